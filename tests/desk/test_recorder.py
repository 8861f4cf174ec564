"""A camera into files: what players open, through outages, with the seconds before, never more than there is room for.

The camera is GStreamer's RTSP server; the files are opened with PyAV, as ffplay and VLC would (FFmpeg is in all three).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from column_probe import need
from films import frames
from pillar_rig import run, until
from rtsp_camera import STREAMS

from desk.media import files, recorder
from desk.media.files import DISK_FULL, NoRoom, Part, Room, orphans, part_of
from desk.media.recorder import Kept, Ring, RtspRecorder
from desk.media.relay import Target
from sim.servers.rtsp import RtspCamera

INCIDENT = "petropavl-01-17-3"
ROOM = {"most": 10**9, "spare": 0}


class Film(NamedTuple):
    """What a player sees of a file."""

    video: str
    audio: str
    pictures: int
    loudest: float
    seconds: float


def play(path: Path, is_whole: bool = True) -> Film:
    with av.open(str(path)) as film:
        video = next(iter(film.streams.video), None)
        audio = next(iter(film.streams.audio), None)
        pictures, loudest, times = 0, 0.0, list[float]()
        for frame in frames(film, is_whole=is_whole):
            if isinstance(frame, av.VideoFrame):
                pictures += 1
                times.append(float(frame.time or 0))
            else:
                loudest = max(loudest, float(np.abs(frame.to_ndarray()).max()))
        assert times == sorted(times), "pictures out of order"
        names = [one.codec_context.name if one is not None else "" for one in (video, audio)]
        return Film(names[0], names[1], pictures, loudest, max(times, default=0.0) - min(times, default=0.0))


class Studio:
    """A recorder at a camera."""

    def __init__(self, camera: RtspCamera, path: str, folder: Path) -> None:
        self.parts: list[Part] = []
        self.folder = folder
        self._threads = ThreadPoolExecutor(4)
        target = Target(("127.0.0.1",), "127.0.0.1", camera.port, path)
        self.recorder = RtspRecorder(target, self._threads, self.parts.append)
        self.recorder.start()

    async def grows(self, more: int = 30_000) -> None:
        """The file that is open has that much more in it."""
        size = self._size()
        await until(lambda: self._size() > size + more, "more in the file")

    def _size(self) -> int:
        return sum(one.stat().st_size for one in self.folder.iterdir())

    def film(self, number: int = -1) -> Film:
        return play(self.folder / self.parts[number].file)


@contextlib.asynccontextmanager
async def recording(camera: RtspCamera, path: str, folder: Path, room: dict[str, int] = ROOM) -> AsyncIterator[Studio]:
    studio = Studio(camera, path, folder)
    studio.recorder.record(INCIDENT, Room(folder, **room))
    try:
        yield studio
    finally:
        await studio.recorder.stop()


@pytest.fixture(scope="module")
def camera() -> Iterator[RtspCamera]:
    need("gstreamer")
    with RtspCamera(STREAMS) as running:
        yield running


# -- with a real camera


@pytest.mark.gstreamer
@pytest.mark.parametrize(
    ("path", "video", "ending"), [("/h264", "h264", "mp4"), ("/bframes", "h264", "mp4"), ("/mjpeg", "mjpeg", "mkv")]
)
def test_the_picture_is_kept_as_it_comes(
    camera: RtspCamera, tmp_path: Path, path: str, video: str, ending: str
) -> None:
    async def look() -> None:
        async with recording(camera, path, tmp_path) as studio:
            await until(lambda: any(tmp_path.iterdir()), "a file")
            await studio.grows()
        (part,) = studio.parts
        assert part.file.endswith(ending) and part.incident_id == INCIDENT
        assert part.sha256 == hashlib.sha256((tmp_path / part.file).read_bytes()).hexdigest()
        assert (tmp_path / part.file).stat().st_mode & 0o077 == 0, "nobody else may read it"
        film = studio.film()
        assert (
            film.video == video and film.pictures > 9 and 0.8 < film.seconds * 1000 / (part.to_ms - part.from_ms) < 1.2
        )
        if path == "/h264":
            assert film.audio == "aac" and film.loudest > 0.3, "the camera's tone, in a form that browsers know"

    run(look())


@pytest.mark.gstreamer
def test_an_outage_ends_a_file_and_the_next_begins_by_itself(tmp_path: Path) -> None:
    """And a file that was copied while it was open, as if this process had been killed, can be played."""
    need("gstreamer")
    with RtspCamera({"/h264": STREAMS["/h264"]}) as camera:

        async def look() -> None:
            async with recording(camera, "/h264", tmp_path) as studio:
                await until(lambda: any(tmp_path.iterdir()), "a file")
                await studio.grows()
                killed = tmp_path.parent / "killed.mp4"
                shutil.copy(next(tmp_path.iterdir()), killed)
                assert play(killed, is_whole=False).pictures > 0
                camera.stop()
                await until(lambda: len(studio.parts) == 1, "the end of the file")
                await until(lambda: studio.recorder.trouble_code == "refused", "why there is nothing")
                await asyncio.to_thread(camera.start)
                await until(lambda: len(list(tmp_path.iterdir())) == 2, "another file")
                await studio.grows()
                assert studio.recorder.trouble_code == ""
            assert len(studio.parts) == 2 and studio.film(0).pictures > 15 and studio.film(1).pictures > 15

        run(look())


@pytest.mark.gstreamer
def test_the_seconds_before_a_press_are_there_where_the_camera_was_held_open(
    camera: RtspCamera, tmp_path: Path
) -> None:
    """Breaks without the ring: the file would begin at the next whole picture."""

    async def look() -> None:
        studio = Studio(camera, "/h264", tmp_path)
        try:
            await asyncio.sleep(3)  # in which the ring fills: that is what is measured
            studio.recorder.record(INCIDENT, Room(tmp_path, **ROOM))
            await until(lambda: any(tmp_path.iterdir()), "a file")
            await studio.recorder.hold()
            (part,) = studio.parts
            assert part.to_ms - part.from_ms > 1500 and studio.film().seconds > 1.5
            studio.recorder.record("petropavl-01-17-4", Room(tmp_path, **ROOM))  # the next call, the same connection
            await until(lambda: len(list(tmp_path.iterdir())) == 2, "the next file")
        finally:
            await studio.recorder.stop()
        assert [part.incident_id for part in studio.parts] == [INCIDENT, "petropavl-01-17-4"]

    run(look())


@pytest.mark.gstreamer
def test_when_the_disk_is_full_it_says_so_and_goes_on_when_there_is_room(
    camera: RtspCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written until then can be played. Breaks without the look at the disk in `File.put`."""
    monkeypatch.setattr(recorder, "ROOM_EVERY_S", 0.1)
    monkeypatch.setattr(recorder, "RETRY_S", 0.5)

    async def look() -> None:
        async with recording(camera, "/h264", tmp_path, {"most": 60_000, "spare": 0}) as studio:
            await until(lambda: studio.recorder.trouble_code == DISK_FULL, "that the disk is full")
            await until(lambda: len(studio.parts) == 1, "the file, closed")
            assert studio.film().pictures > 0
            (tmp_path / studio.parts[0].file).unlink()  # somebody made room
            await until(lambda: any(tmp_path.iterdir()), "another file")
            await until(lambda: studio.recorder.trouble_code == "", "all is well")

    run(look())


# -- the rules


def packet(at_s: float, *, key: bool = False, index: int = 0, size: int = 100) -> Kept:
    return Kept(index, b"x" * size, int(at_s * 90_000), None, Fraction(1, 90_000), key, at_s)


def test_the_ring_holds_ten_seconds_and_gives_what_can_be_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring()
    for step in range(300):  # 30 s, a whole picture every 2 s
        ring.put(packet(step / 10, key=step % 20 == 0))
        ring.put(packet(step / 10, index=1))
    found = ring.take(0)
    assert (found[0].at_s, found[0].is_key, found[-1].at_s) == (20.0, True, 29.9)
    assert ring.take(0) == []
    ring.put(packet(1, index=1))
    assert ring.take(0) == [], "sound alone is not what a camera with a picture has"
    ring.put(packet(1, index=1))
    assert len(ring.take(None)) == 1
    monkeypatch.setattr(recorder, "RING_BYTES", 1000)
    for step in range(100):
        ring.put(packet(step / 10, key=True))
    assert len(ring.take(0)) == 10


def test_times_begin_with_the_file_and_never_go_back() -> None:
    timing = recorder._Timing(100.0)
    one = Kept(0, b"", 900_000, None, Fraction(1, 90_000), True, 100.5)
    assert timing.of(one) == 45_000  # half a second after the file's beginning, whatever the camera's clock says
    assert timing.of(one) == 45_001
    jumped = Kept(0, b"", 9_000_000, None, Fraction(1, 90_000), True, 101.0)
    assert timing.of(jumped) == 90_000, "a clock that jumped is not followed"


def test_room_is_what_is_left_of_the_disk_and_of_the_bound(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x" * 100)
    Room(tmp_path, 101, 0).check()
    for room in (Room(tmp_path, 100, 0), Room(tmp_path, 10**9, 10**18)):
        with pytest.raises(NoRoom, match=DISK_FULL):
            room.check()
    with pytest.raises(NoRoom):
        Room(tmp_path / "a.mp4", 10**9, 0).check()


def test_files_of_a_desk_that_was_killed_are_found(tmp_path: Path) -> None:
    for name in (f"{INCIDENT}-1795340467250.mp4", f"{INCIDENT}-1795340467251.mkv", "notes.txt", f"{INCIDENT}-1.mp4"):
        (tmp_path / name).write_bytes(b"film")
    (tmp_path / f"{INCIDENT}-1795340467252.mp4").write_bytes(b"")
    found = orphans(tmp_path, {f"{INCIDENT}-1795340467250.mp4"})
    assert [(part.file, part.incident_id, part.from_ms) for part in found] == [
        (f"{INCIDENT}-1795340467251.mkv", INCIDENT, 1_795_340_467_251)
    ]
    assert found[0].sha256 == hashlib.sha256(b"film").hexdigest()
    assert not (tmp_path / f"{INCIDENT}-1795340467252.mp4").exists(), "nothing was in it"
    assert part_of(tmp_path / "none", INCIDENT, 0, 0) is None
    assert files.NAME.fullmatch("../x-1-1-1795340467250.mp4") is None
