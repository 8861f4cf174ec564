"""The virtual camera: what is in its picture, and that it works only while somebody looks."""

import io
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from av import VideoFrame
from PIL import Image

from firmware.lamp import COLOURS
from sim.pillar import camera
from sim.pillar.camera import CAR_TOP, CLOCK_AT, CLOCK_PX, HEIGHT, LAMP_AT, LAMP_PX, RATE, WIDTH, Camera

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
COLOUR_ERROR = 12  # chroma has half the resolution and YUV fewer values


def as_seen(picture: camera.Plane) -> np.ndarray:
    """What a player shows: by the codecs' own conversion, which is not the camera's."""
    return VideoFrame.from_ndarray(picture, format="yuv420p").to_ndarray(format="rgb24")


def lamp_in(picture: np.ndarray) -> tuple[int, ...]:
    left, top = LAMP_AT
    return tuple(int(value) for value in picture[top + LAMP_PX // 2, left + LAMP_PX // 2])


def changed_rows(one: camera.Plane, other: camera.Plane) -> set[int]:
    return {int(row) for row in np.unique(np.nonzero(one[:HEIGHT] != other[:HEIGHT])[0])}


@pytest.mark.parametrize("state", [*COLOURS, "dark"])
def test_the_lamp_is_in_the_picture_in_its_colour(state: str) -> None:
    source = Camera("petropavl-01")
    source.lamp = state
    wanted = COLOURS.get(state, camera.DARK)
    assert np.allclose(lamp_in(as_seen(source.picture())), wanted, atol=COLOUR_ERROR)
    still = np.asarray(Image.open(io.BytesIO(source.jpeg())))
    assert still.shape == (HEIGHT, WIDTH, 3)
    assert np.allclose(lamp_in(still), wanted, atol=2 * COLOUR_ERROR)


def test_time_shows_in_the_clock_and_in_what_moves_and_nowhere_else() -> None:
    source = Camera("petropavl-01")
    first = source._draw(0.0, NOON)
    assert changed_rows(first, source._draw(0.0, NOON)) == set()
    clock = changed_rows(first, source._draw(0.0, NOON + timedelta(milliseconds=1)))
    assert clock and clock <= set(range(CLOCK_AT[1], CLOCK_AT[1] + CLOCK_PX + 6))
    moved = changed_rows(first, source._draw(1 / RATE, NOON))
    assert moved and moved <= set(range(CAR_TOP, CAR_TOP + camera.CAR_SIZE[1]))


def test_each_id_makes_its_own_picture() -> None:
    pictures = {Camera(name)._draw(0.0, NOON).tobytes() for name in ("petropavl-01", "petropavl-02", "z" * 32)}
    assert len(pictures) == 3


def test_what_moves_drives_through_the_whole_picture() -> None:
    source = Camera("petropavl-01")
    steps = [source._draw(step / RATE, NOON) for step in range(round(camera.CAR_LOOP_S * RATE))]
    seen = np.zeros(WIDTH, bool)
    for picture in steps:
        seen |= (picture[CAR_TOP : CAR_TOP + 30] != source._street[CAR_TOP : CAR_TOP + 30]).any(axis=0)
    assert seen[: WIDTH - 2].all()
    assert len({picture.tobytes() for picture in steps}) == len(steps), "two pictures are the same"


def test_it_draws_once_a_tick_however_many_look() -> None:
    source = Camera("petropavl-01")
    before_s = time.monotonic()
    pictures = [source.picture() for _ in range(200)]
    ticks = int(time.monotonic() * RATE) - int(before_s * RATE) + 1
    assert 1 <= source.drawn <= ticks
    assert len({id(picture) for picture in pictures}) == source.drawn


def test_nobody_looks_and_nothing_is_drawn() -> None:
    source = Camera("petropavl-01")
    time.sleep(2.5 / RATE)  # that time passes is the point
    assert source.drawn == 0
