"""A picture that is late: when it is suspected, and that the camera is asked before it is believed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from desk.media.lag import BEHIND_S, Lag
from desk.media.relay import Relay, Target

RATE = 15
HOURS_S = 8 * 3600


def noted(lag: Lag, seconds: int, *, drift: float = 0.0, begin_s: float = 0.0, late_s: float = 0.0) -> bool:
    """Whether it was suspected while pictures came for so long."""
    suspected = False
    for number in range(seconds * RATE):
        now_s = begin_s + number / RATE
        lag.note(now_s + late_s, 1000 + now_s * (1 - drift))
        suspected |= lag.is_suspected
    return suspected


@pytest.mark.parametrize("drift", [0.0, 1e-4, -1e-4])
def test_a_camera_whose_clock_is_a_little_off_is_never_late(drift: float) -> None:
    """Red without the allowance for drift: after a night a picture would be thrown away every few hours."""
    assert not noted(Lag(), 5 * HOURS_S, drift=drift)


def test_what_hangs_behind_is_suspected_and_what_has_caught_up_is_not() -> None:
    lag = Lag()
    assert not noted(lag, 60)
    assert not noted(lag, 5, begin_s=60, late_s=BEHIND_S - 1)
    assert noted(lag, 5, begin_s=65, late_s=BEHIND_S + 0.5)
    noted(lag, 1, begin_s=70, late_s=0.5)
    assert not lag.is_suspected


def test_a_clock_that_is_wrong_is_trusted_once_the_camera_has_answered() -> None:
    """25 pictures a second by the camera's times, 24 by the desk's. Red when `trust` keeps what was noted before."""
    lag = Lag()
    assert noted(lag, 120, drift=0.04)
    lag.trust()
    assert not noted(lag, 60, drift=0.04, begin_s=120)


@contextlib.asynccontextmanager
async def camera(answer: bytes) -> AsyncIterator[Relay]:
    """One that answers any question with that; the relay is connected to it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    relay = Relay(Target(("127.0.0.1",), "camera.example", 554, "/a", port_there=port))
    url = await relay.start()
    _, player = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
    try:
        yield relay
    finally:
        player.close()
        await relay.stop()
        server.close()


@pytest.mark.parametrize(
    ("answer", "is_prompt"),
    [
        (b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", True),
        (b"RTSP/1.0 501 Not Implemented\r\nCSeq: 1\r\n\r\n", True),
        (b"$\0\0\4abcd", False),  # pictures, and no answer behind them yet
    ],
)
def test_a_camera_is_asked_and_any_answer_will_do(answer: bytes, is_prompt: bool) -> None:
    async def ask() -> None:
        async with camera(answer) as relay:
            assert await relay.answers(20.0 if is_prompt else 0.2) is is_prompt
            assert relay.trouble is None

    asyncio.run(ask())
