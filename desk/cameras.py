"""The city's own cameras: `cameras.csv`, and which of them are the nearest to a place.

    id,name,lat,lon,stream
    k-014,"Конституция / Абай",54.8751,69.1630,rtsp://10.30.0.14/main

`stream` is the address of a camera that speaks RTSP, or webrtc=https://... of one that speaks WHEP, or both with a
blank between. The separator may be a semicolon. All that is wrong is told at once, with its line and column.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from yarl import URL

from common.numbers import must_be
from common.places import apart_m

FIELDS = ("id", "name", "lat", "lon", "stream")
SCHEMES = {"rtsp": ("rtsp",), "webrtc": ("https", "http")}  # way -> of its address
LIMITS = {"lat": 90.0, "lon": 180.0}  # degrees
NEAREST = 3
CAMERAS_MAX, SIZE_MAX, NAME_MAX = 10_000, 4 * 1024 * 1024, 80
TROUBLES_SHOWN = 20
ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
NUMBER = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,12})?")


class CamerasError(ValueError):
    """The file cannot be used; every line says where in it, what was found, and what must be there."""


@dataclass(frozen=True)
class Camera:
    """`stream`: way -> address, as in an alarm."""

    id: str
    name: str
    lat: float
    lon: float
    stream: Mapping[str, str] = field(default_factory=dict)

    def distance_m(self, lat: float, lon: float) -> float:
        """From that place."""
        return apart_m((self.lat, self.lon), (lat, lon))


def nearest(cameras: Sequence[Camera], lat: float | None, lon: float | None) -> list[tuple[Camera, float]]:
    """The nearest of them with their distances in metres, the nearest first; none where the place is unknown."""
    if lat is None or lon is None:
        return []
    found = sorted(((camera.distance_m(lat, lon), camera.id, camera) for camera in cameras), key=lambda one: one[:2])
    return [(camera, metres) for metres, _, camera in found[:NEAREST]]


def read(path: Path) -> list[Camera]:
    """Raises CamerasError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CamerasError(f"{path}: {error.strerror}") from None
    if len(raw) > SIZE_MAX:
        raise CamerasError(f"{path}: has more than {SIZE_MAX} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        raise CamerasError(f"{path}, line {line}, byte {column}: is not UTF-8: save it as UTF-8") from None
    cameras: list[Camera] = []
    names: set[str] = set()
    troubles: list[str] = []
    for line, found, wrong in _rows(text):
        troubles += [f"{path}, line {line}, {where}: {what}" for where, what in wrong]
        if found is not None:
            if found.id in names:
                troubles.append(f"{path}, line {line}, column id: found {found.id!r} again, must be of one camera")
            names.add(found.id)
            cameras.append(found)
    if len(cameras) > CAMERAS_MAX:
        troubles.append(f"{path}: has more than {CAMERAS_MAX} cameras")
    if troubles:
        more = [f"... and {len(troubles) - TROUBLES_SHOWN} more"] if len(troubles) > TROUBLES_SHOWN else []
        raise CamerasError("\n".join([*troubles[:TROUBLES_SHOWN], *more]))
    return cameras


Wrong = list[tuple[str, str]]
"""(where in the line, what)"""


def _rows(text: str) -> Iterator[tuple[int, Camera | None, Wrong]]:
    head = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    names: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            line, next_line = (line, reader.line_num + 1)
            if not any(cell.strip() for cell in cells):
                pass
            elif names is None:
                names = [cell.strip() for cell in cells]
                if wrong := _head(names):
                    yield line, None, wrong
                    return
            else:
                yield (line, *_camera(names, cells))
            line = next_line
    except csv.Error as error:
        yield line, None, [("", f"is no CSV: {error}")]
    if names is None:
        yield 1, None, [("column id", f"found nothing, must be the names {','.join(FIELDS)}")]


def _head(names: list[str]) -> Wrong:
    if 2 * len({*FIELDS} & {*names}) < len(FIELDS):
        return [("all columns", f"is no table of cameras: the first line must have the names {','.join(FIELDS)}")]
    wrong = [(f"column {name}", "is missing in the first line") for name in FIELDS if name not in names]
    unknown = sorted({name for name in names if name not in FIELDS or names.count(name) > 1})
    return wrong + [(f"column {name or '(empty)'}", f"must be one of {','.join(FIELDS)}, once") for name in unknown]


def _camera(names: list[str], cells: list[str]) -> tuple[Camera | None, Wrong]:
    if len(cells) != len(names):
        why = f"found {len(cells)} cells, must be {len(names)}: is a comma without quotes in one, or in a number?"
        return None, [("all columns", why)]
    row = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    wrong: Wrong = []
    if not ID.fullmatch(row["id"]):
        wrong.append(("id", f"found {row['id']!r}, must be 1 to 32 of the characters A-Z, a-z, 0-9, '.', '_' and '-'"))
    if not row["name"] or len(row["name"]) > NAME_MAX or not row["name"].isprintable():
        wrong.append(("name", f"found {row['name'][:40]!r}, must be 1 to {NAME_MAX} characters of text"))
    for name, limit in LIMITS.items():
        if not NUMBER.fullmatch(row[name]):
            right = must_be(row[name][:40], "a number with a point, such as 54.8753")
            wrong.append((name, f"found {row[name][:40]!r}, must be {right}"))
        elif abs(float(row[name])) > limit:
            wrong.append((name, f"found {row[name]}, must be degrees from -{limit:.0f} to {limit:.0f}"))
    stream, more = _stream(row["stream"])
    wrong += [("stream", what) for what in more]
    if wrong:
        return None, [(f"column {where}", what) for where, what in wrong]
    return Camera(row["id"], row["name"], float(row["lat"]), float(row["lon"]), stream), []


def _stream(text: str) -> tuple[dict[str, str], list[str]]:
    """(way -> address, what is wrong)"""
    found: dict[str, str] = {}
    for part in text.split():
        way, equals, address = part.partition("=")
        if not equals or way not in SCHEMES:
            way, address = "rtsp", part
        try:
            where = URL(address)
            is_right = where.scheme in SCHEMES[way] and bool(where.host) and where.port != 0
        except ValueError:
            where, is_right = URL(), False
        if not is_right:
            return {}, [f"found {part[:60]!r}, must be rtsp://HOST/PATH or webrtc=https://HOST/PATH"]
        if where.user is not None or where.password is not None:  # said without showing it
            return {}, ["holds a user or a password, which belong into the file of --camera-passwords"]
        if way in found:
            return {}, [f"found two addresses of the kind {way}, must be one of each at most"]
        found[way] = address
    return found, [] if found else ["found nothing, must be rtsp://HOST/PATH or webrtc=https://HOST/PATH"]
