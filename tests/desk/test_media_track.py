"""Between a camera and the browser: what waits is bounded, and what goes on can be understood."""

from __future__ import annotations

import asyncio
import contextlib
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import pytest
from aiortc.mediastreams import MediaStreamError

from desk.media.source import BACK_MAX, Picture, Slots, Timing, _Whole
from desk.media.track import BYTES_MAX, ITEMS_MAX, LIVE_MAX, Track
from desk.media.trouble import NoStream

BASE = Fraction(1, 90000)
STEP = 6000  # 15 pictures a second
WHOLE, PART, PARAMETERS = b"\0\0\0\1\x65x", b"\0\0\0\1\x41y", b"\0\0\0\1\x67p\0\0\0\1\x68q"


def packet(data: bytes, pts: int | None) -> Any:
    made: Any = av.Packet(data)
    made.pts, made.time_base = pts, BASE
    return made


async def taken(track: Track) -> list[Any]:
    """All that waits."""
    found = []
    while True:
        try:
            found.append(await asyncio.wait_for(track.recv(), 0.05))
        except TimeoutError:
            return found


def test_a_browser_that_is_too_slow_gets_the_present_from_its_next_whole_picture_on() -> None:
    async def run() -> None:
        track = Track("video")
        for number in range(ITEMS_MAX + 5):
            track.put(packet(PART, number), 10, is_key=False)
        assert await taken(track) == []  # what waited is past, and what came after it needs it
        whole, part = packet(WHOLE, 1), packet(PART, 2)
        track.put(whole, 10, is_key=True)
        track.put(part, 10, is_key=False)
        assert await taken(track) == [whole, part]
        track.put(whole, BYTES_MAX, is_key=True)
        track.put(part, 10, is_key=False)
        assert await taken(track) == []

    asyncio.run(run())


def test_of_decoded_pictures_only_the_newest_wait() -> None:
    async def run() -> None:
        track = Track("video")
        frames = [av.VideoFrame(16, 16, "yuv420p") for _ in range(20)]
        for frame in frames:
            track.put(frame, 384, is_key=True)
        found = await taken(track)
        assert 1 <= len(found) <= LIVE_MAX and found[-1] is frames[-1]

    asyncio.run(run())


def test_a_track_that_was_stopped_ends() -> None:
    async def run() -> None:
        track = Track("audio")
        waiting = asyncio.ensure_future(track.recv())
        await asyncio.sleep(0)
        track.stop()
        with pytest.raises(MediaStreamError):
            await asyncio.wait_for(waiting, 5)

    asyncio.run(run())


def picture(track: Track, slots: Slots, stack: contextlib.ExitStack) -> Picture:
    """Of a camera whose H.264 says of itself that it can go on as it is."""
    context = SimpleNamespace(
        extradata=PARAMETERS, name="h264", profile="Main", pix_fmt="yuv420p", has_b_frames=False, decode=lambda _: []
    )
    stream = SimpleNamespace(codec_context=context, time_base=BASE)
    source: Any = SimpleNamespace(h264=True, converted=False, claim=lambda stack: stack.enter_context(slots.one()))
    return Picture(source, track, stream, stack)


def test_it_begins_with_a_whole_picture_and_its_parameters() -> None:
    async def run() -> None:
        with contextlib.ExitStack() as stack:
            track = Track("video")
            found = picture(track, Slots(1), stack)
            for number, data in enumerate((PART, PART, WHOLE, PART)):
                found.take(packet(data, number * STEP))
            assert [bytes(one) for one in await taken(track)] == [PARAMETERS + WHOLE, PART]

    asyncio.run(run())
    assert _Whole(None).complete(PARAMETERS + WHOLE) == (PARAMETERS + WHOLE, True)


def test_pictures_out_of_order_are_decoded_from_then_on() -> None:
    """B-frames that the camera did not announce."""

    async def run() -> None:
        order = [0, *(at + back for at in range(2, 20, 2) for back in (1, 0))]
        slots, track = Slots(1), Track("video")
        with contextlib.ExitStack() as stack:
            found = picture(track, slots, stack)
            for number in order:
                found.take(packet(WHOLE, number * STEP))
            assert not found.copies
            with pytest.raises(NoStream, match="converts"):
                slots.check()
        slots.check()  # the place is free again
        with contextlib.ExitStack() as stack:
            found = picture(track, Slots(0), stack)
            with pytest.raises(NoStream, match="converts"):
                for number in order:
                    found.take(packet(WHOLE, number * STEP))
        assert len(order) / 2 > BACK_MAX

    asyncio.run(run())


def test_times_go_on_after_an_outage_and_never_back() -> None:
    async def run() -> None:
        track = Track("video")
        first = Timing(track)
        stamps = [first.of(pts, BASE)[0] for pts in (500_000, 506_000, 503_000, None)]
        again = Timing(track)  # the camera was restarted: its own times begin anew
        stamps += [again.of(pts, BASE)[0] for pts in (0, 6000, 2**40)]
        assert stamps == sorted(set(stamps)) and stamps[-1] < 90000 * 5

    asyncio.run(run())
