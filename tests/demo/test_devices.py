"""Whoever watches a camera beside a pillar is counted on the pillar's page, as one who watches the pillar's own."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from column_probe import need
from pillar_rig import idle_pillar, wait_until

from sim.demo.devices import Devices

TCP = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"


@contextlib.contextmanager
def asked(address: str, *, plays: bool) -> Iterator[None]:
    """Asked whether the stream is there, as a column does, or watched; ends without a word, as a dead network."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=10) as camera, camera.makefile("rb") as said:

        def request(method: str, more: str = "", to: str = address) -> dict[bytes, bytes]:
            camera.sendall(f"{method} {to} RTSP/1.0\r\nCSeq: 1\r\n{more}\r\n".encode())
            assert said.readline().startswith(b"RTSP/1.0 200"), method
            head = dict(line.strip().split(b": ", 1) for line in iter(said.readline, b"\r\n"))
            said.read(int(head.get(b"Content-Length", 0)))
            return head

        request("DESCRIBE")
        if plays:
            session = request("SETUP", TCP, f"{address}/stream=0")[b"Session"].split(b";")[0].decode()
            camera.sendall(f"PLAY {address} RTSP/1.0\r\nCSeq: 1\r\nSession: {session}\r\n\r\n".encode())
        yield


@pytest.mark.gstreamer
def test_who_watches_by_rtsp_is_counted_and_who_only_asks_is_not() -> None:
    """Red without `on_watched` in devices.py, without "closed" in rtsp_server.py (nobody leaves), with every client
    counted there that connects, and without the 0 at the end of what RtspCamera reads."""
    need("gstreamer")
    with idle_pillar() as (_, pillar, _), Devices(pillar.device_id, intercom=False) as devices:
        devices.serve(pillar)
        address = devices.stream()["rtsp"]
        counts: list[int] = []
        with pillar.listening(lambda: counts.append(pillar.state()["watchers"])):
            with asked(address, plays=False):
                pass
            with asked(address, plays=True):
                wait_until(lambda: counts == [1], "one watches")
            wait_until(lambda: counts == [1, 0], "nobody watches any more")
            with asked(address, plays=True):
                wait_until(lambda: counts == [1, 0, 1], "one watches again")
                devices.stop()
        assert counts == [1, 0, 1, 0], "a camera that is away is watched"
