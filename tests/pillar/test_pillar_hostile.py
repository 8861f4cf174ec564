"""Hostile input at a pillar's WHEP: what is no offer, what is too much of one, and real ones that were spoilt."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from pillar_rig import DEVICE, SDP, TestTown, Watcher, assert_all_is_free, open_sockets, run, until
from runs import SEED

from common import webrtc
from common.webrtc import BadOffer, check
from sim.pillar import PillarServer
from sim.pillar.camera import Camera
from sim.pillar.media import CameraTrack
from sim.pillar.watchers import WATCHERS_MAX
from sim.pillar.whep import OFFER_BYTES_MAX


def url(server: PillarServer) -> str:
    return server.stream(DEVICE)["webrtc"]


@asynccontextmanager
async def posting(server: PillarServer) -> AsyncIterator[Any]:
    async with aiohttp.ClientSession() as http:

        async def post(body: bytes, headers: dict[str, str] = SDP) -> int:
            async with http.post(url(server), data=body, headers=headers) as response:
                await response.read()
                return response.status

        yield post


def test_what_is_no_offer_is_refused(town: TestTown) -> None:
    server, pillar, _ = town

    async def attack() -> None:
        async with posting(server) as post:
            assert await post(b"v=0\r\nm=video 9 X 0\r\n", {"Content-Type": "text/plain"}) == 415
            assert await post(b"") == 400
            assert await post(b"\xff\xfe\x00") == 400
            assert await post(b"GET / HTTP/1.1\r\n\r\n") == 400
            assert await post(b"v=0\r\n" + b"m=video 9 X 0\r\n" * 500) == 400
            assert await post(b"v=0\r\n" + b"a=x\r\n" * OFFER_BYTES_MAX) == 413

    run(attack())
    assert pillar.watchers.count == 0


def test_an_offer_without_an_end_is_cut_off(town: TestTown) -> None:
    """Chunked: it says no length before."""
    server, pillar, _ = town

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"a=x\r\n" * 1000

    async def attack() -> None:
        async with aiohttp.ClientSession() as http:
            try:
                async with http.post(url(server), data=endless(), headers=SDP) as response:
                    assert response.status == 413
            except aiohttp.ClientError:
                pass  # the server hung up in the middle of it

    run(attack())
    assert pillar.watchers.count == 0


@pytest.mark.parametrize(
    "offer",
    [
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
        "v=0\r\nm=video 9 X 96\r\nm=video 9 X 96\r\n",
        "v=0\r\nm=audio 9 X 0\r\nm=video 9 X 96\r\nm=audio 9 X 0\r\n",
        "v=0\r\nm=audio 9 X 0\r\na=mid:0\r\nm=video 9 X 96\r\na=mid:0\r\n",
        "v=0\r\na=group:BUNDLE 7 0\r\nm=audio 9 X 0\r\na=mid:0\r\n",
        "v=0\r\nm=video\r\n",
        "v=0\r\nm=video 9 X 96\r\n" + "a=candidate:1 1 udp 1 10.0.0.1 1 typ host\r\n" * 65,
    ],
)
def test_an_offer_of_anything_else_is_refused_before_anything_is_made_for_it(offer: str) -> None:
    with pytest.raises(BadOffer):
        check(offer)


def test_a_watchers_offer_passes() -> None:
    candidate = "a=candidate:1 1 udp 1 10.0.0.1 1 typ host\r\n"
    check(f"v=0\r\na=group:BUNDLE 0 1\r\nm=audio 9 X 0\r\na=mid:0\r\nm=video 9 X 96\r\na=mid:1\r\n{candidate}")


def spoilt(offer: str, chance: random.Random) -> str:
    """A real offer with a few lines lost, doubled, cut, mixed up or filled with something else."""
    lines = offer.split("\r\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        match chance.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, chance.choice(lines))
            case 2:
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
            case 3:
                lines[at] = lines[at].partition(":")[0] + ":" + "".join(chance.choices("0 /;=-:aZ\u00e9", k=9))
            case 4:
                lines[at] = chance.choice(
                    ["a=group:BUNDLE", "a=mid:" + "x" * 999, "a=rtpmap:96 VP8/0", "a=setup:actpass"]
                )
        if not lines:
            break
    return "\r\n".join(lines)


def test_spoilt_offers_are_answered_or_refused_and_leave_nothing(
    town: TestTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc, "CONNECT_S", 0.1)
    server, pillar, _ = town
    statuses: list[int] = []

    async def attack() -> None:
        async with aiohttp.ClientSession() as http:
            watcher = Watcher(http, url(server))
            offer = await watcher.offer()
            chance = random.Random(SEED)
            async with posting(server) as post:
                for _ in range(60):
                    statuses.append(await post(spoilt(offer, chance).encode()))
                    await until(lambda: pillar.watchers.count < WATCHERS_MAX, "a place")
            await watcher.close()

    sockets = open_sockets()
    run(attack())
    assert set(statuses) <= {201, 400}, f"seed {SEED}: {statuses}"
    assert 400 in statuses and 201 in statuses, f"seed {SEED}: nothing was spoilt, or everything: {statuses}"
    assert_all_is_free(pillar, sockets)


def test_who_sends_pictures_sends_them_to_nobody(town: TestTown) -> None:
    """aiortc would decode them into a queue without a bound."""
    server, _, _ = town

    async def attack() -> None:
        async with aiohttp.ClientSession() as http:
            sender = Watcher(http, url(server))
            sender.connection.addTrack(CameraTrack(Camera("attacker")))
            await sender.connection.setLocalDescription(await sender.connection.createOffer())
            offer = sender.connection.localDescription.sdp
            assert "a=sendrecv" in offer
            async with http.post(url(server), data=offer, headers=SDP) as response:
                answer = await response.text()
            assert response.status == 201 and "a=sendonly" in answer and "a=sendrecv" not in answer
            await sender.close()

    run(attack())


def test_a_name_of_multicast_dns_is_looked_for_where_the_offer_came_from() -> None:
    hidden = "a=candidate:1 1 udp 2113 3e3e-44.local 50000 typ host\r\na=candidate:2 1 udp 9 10.0.0.1 5 typ host\r\n"
    found = webrtc.reachable(hidden, "10.9.9.9")
    assert found == hidden.replace("3e3e-44.local", "10.9.9.9")
    assert webrtc.reachable(hidden, "not an address") == hidden
