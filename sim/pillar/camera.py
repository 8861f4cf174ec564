"""A pillar's virtual camera: a street at dusk with the column's id, a clock, its lamp and something that moves.

A picture is planar YUV 4:2:0, as encoders take it, so nothing is converted. Text is drawn once, when the camera is
made; afterwards a picture costs a copy and a few small pastes (0.1 ms), and nothing at all while nobody looks.
"""

from __future__ import annotations

import io
import threading
import time
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from firmware.lamp import COLOURS

WIDTH, HEIGHT = 640, 360
RATE = 15
DARK = (24, 24, 24)  # the lamp without power
LAMP_AT, LAMP_PX = (560, 40), 56
CLOCK_AT, CLOCK_PX = (12, 324), 26
CAR_TOP, CAR_SIZE = 252, (88, 36)
CAR_LOOP_S = 8.0
_CLOCK = "0123456789:.- Z"
# Video has black at 16 and white at 235 (BT.601), still pictures have 0 and 255.
_BYTES = np.arange(256)
_VIDEO_LUMA = np.round(16 + _BYTES * 219 / 255).astype(np.uint8)
_VIDEO_CHROMA = np.round(128 + (_BYTES - 128) * 224 / 255).astype(np.uint8)
_FULL_LUMA = np.clip(np.round((_BYTES - 16) * 255 / 219), 0, 255).astype(np.uint8)
_FULL_CHROMA = np.clip(np.round(128 + (_BYTES - 128) * 255 / 224), 0, 255).astype(np.uint8)

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]  # Y, U, V


class Camera:
    """`lamp` is the state that the lamp shows, set by whoever sees it. May be used from any thread."""

    def __init__(self, device_id: str) -> None:
        self.lamp = "dark"
        self.drawn = 0  # pictures since the beginning: stands still while nobody looks
        self._lock = threading.Lock()
        self._street = _planes(_street(device_id))
        self._car = _planes(_car())
        self._glyphs = _glyphs()
        self._last: tuple[int, Plane] = (-1, self._street)

    def picture(self) -> Plane:
        """The picture of now: 540 x 640 bytes, Y above U above V. Not to be written to."""
        tick = int(time.monotonic() * RATE)
        with self._lock:
            if tick != self._last[0]:
                self._last = (tick, self._draw(tick / RATE, datetime.now(UTC)))
                self.drawn += 1
            return self._last[1]

    def jpeg(self) -> bytes:
        """The picture of now."""
        luma, *chroma = _split(self.picture())
        planes = [Image.fromarray(_FULL_LUMA[luma])]
        planes += [Image.fromarray(_FULL_CHROMA[plane]).resize((WIDTH, HEIGHT)) for plane in chroma]
        out = io.BytesIO()
        Image.merge("YCbCr", planes).save(out, "JPEG", quality=75)
        return out.getvalue()

    def _draw(self, at_s: float, now: datetime) -> Plane:
        picture = self._street.copy()
        planes = _split(picture)
        _fill(planes, LAMP_AT, (LAMP_PX, LAMP_PX), _yuv(COLOURS.get(self.lamp, DARK)))
        across = int(at_s % CAR_LOOP_S / CAR_LOOP_S * (WIDTH + CAR_SIZE[0])) - CAR_SIZE[0]
        _paste(planes, _split(self._car, *CAR_SIZE), across & ~1, CAR_TOP)
        left, top = CLOCK_AT
        for letter in now.strftime("%Y-%m-%d %H:%M:%S.") + f"{now.microsecond // 1000:03d}Z":
            glyph = self._glyphs[letter]
            planes[0][top : top + glyph.shape[0], left : left + glyph.shape[1]] = glyph
            left += glyph.shape[1]
        return picture


def _split(picture: Plane, width: int = WIDTH, height: int = HEIGHT) -> Planes:
    """Views of Y, U and V."""
    chroma = picture.reshape(-1)[width * height :].reshape(2, height // 2, width // 2)
    return picture[:height], chroma[0], chroma[1]


def _planes(image: Image.Image) -> Plane:
    """An RGB image of even size as planar YUV 4:2:0."""
    luma, *chroma = image.convert("YCbCr").split()
    half = (image.width // 2, image.height // 2)
    small = [np.asarray(plane.resize(half, Image.Resampling.BOX)) for plane in chroma]
    parts = [_VIDEO_LUMA[np.asarray(luma)], *(_VIDEO_CHROMA[plane] for plane in small)]
    return np.concatenate([part.reshape(-1) for part in parts]).reshape(-1, image.width)


def _yuv(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    luma, blue, red = _split(_planes(Image.new("RGB", (2, 2), colour)), 2, 2)
    return int(luma[0, 0]), int(blue[0, 0]), int(red[0, 0])


def _fill(planes: Planes, at: tuple[int, int], size: tuple[int, int], colour: tuple[int, int, int]) -> None:
    for plane, value, scale in zip(planes, colour, (1, 2, 2), strict=True):
        left, top, width, height = at[0] // scale, at[1] // scale, size[0] // scale, size[1] // scale
        plane[top : top + height, left : left + width] = value


def _paste(planes: Planes, sprite: Planes, left: int, top: int) -> None:
    """At an even place, which may lie partly outside."""
    for plane, part, scale in zip(planes, sprite, (1, 2, 2), strict=True):
        x, y = left // scale, top // scale
        first, last = max(0, x), min(plane.shape[1], x + part.shape[1])
        if first < last:
            plane[y : y + part.shape[0], first:last] = part[:, first - x : last - x]


def _street(device_id: str) -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), (30, 36, 58))
    draw = ImageDraw.Draw(image)
    for y in range(180):
        draw.line([(0, y), (WIDTH, y)], fill=(30 + y // 3, 36 + y // 4, 58 + y // 5))
    for number, left in enumerate(range(0, WIDTH, 80)):
        top = 90 + number * 37 % 60
        draw.rectangle([left, top, left + 72, 216], fill=(44, 42, 50))
        for window in range(6):
            lit = (number * 5 + window * 3) % 4 == 0
            x, y = left + 10 + window % 3 * 20, top + 14 + window // 3 * 30
            draw.rectangle([x, y, x + 10, y + 14], fill=(236, 200, 120) if lit else (30, 30, 40))
    draw.rectangle([0, 216, WIDTH, 248], fill=(96, 92, 90))
    draw.rectangle([0, 248, WIDTH, HEIGHT], fill=(52, 52, 56))
    for left in range(0, WIDTH, 64):
        draw.rectangle([left, 300, left + 32, 303], fill=(200, 200, 190))
    draw.rectangle([0, 316, WIDTH, HEIGHT], fill=(0, 0, 0))
    draw.rectangle([0, 0, WIDTH, 34], fill=(0, 0, 0))
    draw.text((12, 4), device_id, font=ImageFont.load_default(CLOCK_PX), fill=(255, 255, 255))
    x, y = LAMP_AT
    draw.rectangle([x - 6, y - 6, x + LAMP_PX + 5, y + LAMP_PX + 5], fill=(10, 10, 10))
    return image


def _car() -> Image.Image:
    width, height = CAR_SIZE
    image = Image.new("RGB", CAR_SIZE, (52, 52, 56))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle([14, 0, width - 26, 20], 8, fill=(150, 30, 30))
    draw.rounded_rectangle([0, 12, width - 6, height - 8], 6, fill=(190, 40, 40))
    draw.rectangle([width - 10, 16, width - 1, 22], fill=(255, 240, 190))
    for x in (10, width - 34):
        draw.ellipse([x, height - 18, x + 18, height - 1], fill=(16, 16, 16))
    return image


def _glyphs() -> dict[str, Plane]:
    """The clock's letters, white on black, each of one width."""
    font = ImageFont.load_default(CLOCK_PX)
    width = max(int(font.getlength(letter)) for letter in _CLOCK) + 1
    glyphs = {}
    for letter in _CLOCK:
        image = Image.new("L", (width, CLOCK_PX + 6), 16)
        ImageDraw.Draw(image).text((width / 2, 0), letter, font=font, fill=235, anchor="ma")
        glyphs[letter] = np.asarray(image)
    return glyphs
