"""A pillar's MPEG transport stream, opened as a player does."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from typing import Any

import av
import numpy as np
import pytest
from av import AudioFrame, VideoFrame
from pillar_rig import DEVICE, TestTown, loudness, pitch_of, wait_until

from sim.pillar import PillarServer, mpeg_ts
from sim.pillar.mpeg_ts import TransportStream
from sim.pillar.watchers import WATCHERS_MAX

PICTURES = 30
PITCH_ERROR_HZ = 5


def url(server: PillarServer) -> str:
    return server.stream(DEVICE)["http"]


def watch(server: PillarServer) -> tuple[list[VideoFrame], list[AudioFrame]]:
    """`PICTURES` pictures and the sound that comes with them."""
    pictures: list[VideoFrame] = []
    sound: list[AudioFrame] = []
    with av.open(url(server), timeout=30) as player:
        for frame in player.decode(video=0, audio=0):
            if isinstance(frame, VideoFrame):
                pictures.append(frame)
            else:
                assert isinstance(frame, AudioFrame)
                sound.append(frame)
            if len(pictures) == PICTURES:
                break
    return pictures, sound


def samples(sound: list[AudioFrame]) -> list[Any]:
    return [np.round(frame.to_ndarray()[0] * 32767).astype(np.int16) for frame in sound]


def ask(server: PillarServer, method: str, path: str) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    connection.request(method, path)
    answer = connection.getresponse()
    connection.close()
    return answer.status, dict(answer.headers)


def test_a_player_sees_pictures_and_hears_the_tone(town: TestTown) -> None:
    server, pillar, column = town
    column.show("relay", closed=True)
    pictures, sound = watch(server)
    assert {(picture.width, picture.height) for picture in pictures} == {(640, 360)}
    stamps = [picture.time for picture in pictures]
    assert stamps == sorted(set(stamps))
    shown = {picture.to_ndarray().tobytes() for picture in pictures}
    assert len(shown) > PICTURES / 2  # a loaded machine shows one twice
    assert {frame.sample_rate for frame in sound} == {48_000}
    assert abs(pitch_of(samples(sound)) - pillar.intercom.pitch_hz) < PITCH_ERROR_HZ
    heard_s = sum(frame.samples for frame in sound) / 48_000
    shown_s = (stamps[-1] or 0) - (stamps[0] or 0)
    assert heard_s == pytest.approx(shown_s, abs=0.4), "sound and picture do not keep together"


def test_without_a_call_it_is_silent(town: TestTown) -> None:
    server, _, _ = town
    _, sound = watch(server)
    assert 0 <= loudness(samples(sound)) < 20


def test_a_player_that_leaves_frees_its_place(town: TestTown) -> None:
    server, pillar, _ = town
    watch(server)
    wait_until(lambda: pillar.watchers.count == 0, "nobody watches")
    drawn = pillar.camera.drawn
    time.sleep(0.5)  # in which a camera that is still looked through draws seven pictures
    assert pillar.camera.drawn == drawn


def test_a_player_that_takes_nothing_is_dropped(town: TestTown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red without `keep_short`, too: the system then takes megabytes for it."""
    steps: list[int] = []

    def step(_: TransportStream, tick: int) -> bytes:
        steps.append(tick)
        return bytes(50_000)  # fills the buffers within a second

    monkeypatch.setattr(mpeg_ts, "SLOW_S", 0.3)
    monkeypatch.setattr(TransportStream, "step", step)
    server, pillar, _ = town
    with socket.socket() as player:
        player.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        player.connect((server.host, server.port))
        player.sendall(f"GET /{DEVICE}/stream.ts HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        wait_until(lambda: pillar.watchers.count == 1, "it watches")
        wait_until(lambda: pillar.watchers.count == 0, "it was dropped")
    assert len(steps) <= 20, "a megabyte and more was kept for a player that takes nothing"


def test_places_are_shared_with_those_who_watch_by_webrtc(town: TestTown) -> None:
    server, pillar, _ = town
    leave = threading.Event()

    def hold_a_place() -> None:
        with pillar.watchers.place():
            leave.wait()

    threads = [threading.Thread(target=hold_a_place) for _ in range(WATCHERS_MAX)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: pillar.watchers.count == WATCHERS_MAX, "all places are taken")
        status, headers = ask(server, "GET", f"/{DEVICE}/stream.ts")
        assert (status, headers["Retry-After"]) == (503, "2")
    finally:
        leave.set()
        for thread in threads:
            thread.join()


def test_the_column_may_ask_whether_the_stream_is_there_and_nothing_runs_for_it(town: TestTown) -> None:
    """firmware/probe.py asks HEAD of `http` and OPTIONS of `webrtc`."""
    server, pillar, _ = town
    status, headers = ask(server, "HEAD", f"/{DEVICE}/stream.ts")
    assert (status, headers["Content-Type"]) == (200, "video/mp2t")
    assert ask(server, "OPTIONS", f"/{DEVICE}/whep")[0] == 204
    assert ask(server, "HEAD", "/nobody/stream.ts")[0] == 404
    assert pillar.camera.drawn == 0


def test_a_still_picture(town: TestTown) -> None:
    server, _, _ = town
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    connection.request("GET", f"/{DEVICE}/picture.jpg")
    answer = connection.getresponse()
    assert answer.headers["Content-Type"] == "image/jpeg" and answer.read(3) == b"\xff\xd8\xff"
    connection.close()
