"""What is spoken with an intercom, into files: both sides, each in an ear of its own."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pillar_rig import pitch_of, run, until
from voices import ears

from desk.media import spoken
from desk.media.files import DISK_FULL, Part, Room, orphans
from desk.media.spoken import Spoken
from desk.sip.announce import tone
from desk.sip.g711 import BLOCK_S

INCIDENT = "petropavl-01-17-3"
PLACE_HZ, OFFICER_HZ = 900, 300
SPARE = {"most": 10**9, "spare": 0}


class Studio:
    """One call's files; `clock` is moved by what is said."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, room: dict[str, int] = SPARE) -> None:
        self.parts: list[Part] = []
        self.folder, self._clock_s = folder, time.monotonic()
        monkeypatch.setattr(spoken, "time", SimpleNamespace(monotonic=lambda: self._clock_s))
        self._threads = ThreadPoolExecutor(1)
        self.spoken = Spoken(INCIDENT, Room(folder, **room), self._threads, self.parts.append)

    def says(self, seconds: float) -> None:
        """Both at once."""
        pairs = zip(tone(PLACE_HZ, 1.0, 0.5), tone(OFFICER_HZ, 1.0, 0.5), strict=True)
        for heard, said in itertools.islice(itertools.cycle(pairs), round(seconds / BLOCK_S)):
            self._clock_s += BLOCK_S
            self.spoken.put(heard, said)

    def is_silent(self, seconds: float) -> None:
        self._clock_s += seconds


def recorded(folder: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[[Studio], None], **room: int) -> list[Part]:
    """What there is when the call is over."""

    async def whole() -> list[Part]:
        studio = Studio(folder, monkeypatch, SPARE | room)
        say(studio)
        await studio.spoken.stop()
        await asyncio.sleep(0)  # the last is told in the loop
        return studio.parts

    return asyncio.run(whole())


def test_each_side_is_in_an_ear_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where the officer's voice is left out, where both come mixed, and where the last second is not written."""
    (part,) = recorded(tmp_path, monkeypatch, lambda studio: studio.says(3))
    path = tmp_path / part.file
    assert part.incident_id == INCIDENT and part.file.endswith(".m4a") and part.to_ms - part.from_ms == 3000
    assert part.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_mode & 0o077 == 0, "nobody else may read it"
    left, right, rate_hz = ears(path)
    assert len(left) == pytest.approx(3 * rate_hz, abs=0.2 * rate_hz)
    for ear, hertz in ((left, PLACE_HZ), (right, OFFICER_HZ)):
        middle = ear[rate_hz : 2 * rate_hz]
        assert pitch_of([middle], rate_hz) == pytest.approx(hertz, abs=10) and np.std(middle) > 0.1
    assert [one.file for one in orphans(tmp_path, ())] == [part.file], "a desk that was killed finds it again"


def test_after_a_pause_there_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time in a file is time in the street. Red without the look at what is missing."""

    def say(studio: Studio) -> None:
        studio.says(1)
        studio.is_silent(spoken.PAUSE_S + 0.5)
        studio.says(1)

    first, second = recorded(tmp_path, monkeypatch, say)
    assert second.from_ms - first.to_ms == pytest.approx(1500, abs=60)


def test_what_was_said_can_be_heard_though_its_writer_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red where a file gets its table of contents at its end alone."""

    async def whole() -> None:
        studio = Studio(tmp_path, monkeypatch)
        try:
            studio.says(5)
            await until(lambda: studio.spoken.runs and studio.spoken._blocks.empty(), "all of it taken")
            await until(lambda: next(tmp_path.glob("*.m4a")).stat().st_size > 10_000, "fragments on the disk")
            shutil.copy(next(tmp_path.glob("*.m4a")), tmp_path / "left.mp4")
        finally:
            await studio.spoken.stop()

    run(whole())
    left, _, rate_hz = ears(tmp_path / "left.mp4")
    assert len(left) > 2 * rate_hz


def test_when_the_disk_is_full_the_conversation_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[str] = []

    async def whole() -> None:
        studio = Studio(tmp_path, monkeypatch, {"most": 0, "spare": 0})
        try:
            studio.says(1)
            await until(lambda: studio.spoken.trouble_code != "", "the trouble")
            codes.append(studio.spoken.trouble_code)
        finally:
            await studio.spoken.stop()
        assert studio.parts == []

    run(whole())
    assert codes == [DISK_FULL] and not list(tmp_path.iterdir())
