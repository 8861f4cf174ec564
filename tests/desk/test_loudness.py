"""How loud an officer is said at a column: in steps, never clipped, and kept for the next call."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from desk.loudness import FILE, Loudnesses, wanted
from desk.media.loudness import CEILING, Loudness
from desk.sip.announce import tone
from desk.sip.g711 import SILENCE
from desk.web.refusal import Refusal

BLOCKS = list(tone(400, 1.0, 0.1))  # -20 dB
SETTLED = 20  # blocks


def said(loudness: Loudness, blocks: list[bytes]) -> list[float]:
    """The largest sample of each block."""
    return [float(np.abs(np.frombuffer(loudness(block), np.int16)).max(initial=0)) for block in blocks]


def test_as_it_comes_it_is_not_touched() -> None:
    loudness = Loudness()
    assert [loudness(block) for block in BLOCKS] == BLOCKS and loudness(b"") == b""


@pytest.mark.parametrize("db", [-12, -6, 6, 12])
def test_it_is_so_much_louder_or_quieter(db: int) -> None:
    loudness = Loudness()
    loudness.db = db
    peaks = said(loudness, BLOCKS)
    assert peaks[SETTLED:] == pytest.approx([0.1 * 32767 * 10 ** (db / 20)] * (len(BLOCKS) - SETTLED), rel=0.02)
    loudness.db = 0
    assert said(loudness, BLOCKS)[SETTLED:] == pytest.approx([0.1 * 32767] * (len(BLOCKS) - SETTLED), rel=0.02)


def test_a_loud_word_is_limited_and_the_next_soft_one_is_loud_again() -> None:
    """Red without the limiter (samples overflow, and a shout becomes noise), and where what it has taken stays away."""
    loudness = Loudness()
    loudness.db = 12
    said(loudness, BLOCKS)
    shout = list(tone(400, 0.2, 0.9))
    for block in shout:
        found = np.frombuffer(loudness(block), np.int16).astype(np.float64)
        assert np.abs(found).max() <= CEILING
        assert np.abs(found).max() / np.sqrt(np.mean(found**2)) == pytest.approx(np.sqrt(2), rel=0.05), "still a tone"
    peaks = said(loudness, BLOCKS)
    assert peaks[0] < peaks[5] < peaks[SETTLED] == pytest.approx(0.1 * 32767 * 10 ** (12 / 20), rel=0.02)
    assert max(b / a for a, b in zip(peaks, peaks[1:], strict=False)) < 1.2, "no step that would be heard"
    assert said(loudness, [SILENCE]) == [0]


def test_what_somebody_chose_is_kept_for_the_next_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Loudnesses(tmp_path)
    assert kept.of("petropavl-01") == 0
    kept.choose("petropavl-01", 6)
    kept.choose("petropavl-02", -12)
    kept.choose("petropavl-02", 0)
    again = Loudnesses(tmp_path)
    assert (again.of("petropavl-01"), again.of("petropavl-02")) == (6, 0)
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0 and not caplog.records


@pytest.mark.parametrize("found", ["{", "[]", '{"a": 7}', '{"a": true}', '{"a": 999999}'])
def test_a_file_that_is_none_hinders_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture, found: str) -> None:
    (tmp_path / FILE).write_text(found)
    with caplog.at_level(logging.WARNING):
        assert Loudnesses(tmp_path).of("a") == 0
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("db", [18, -18, 5, 6.0, "6", True, None])
def test_only_steps_are_taken(db: object) -> None:
    with pytest.raises(Refusal):
        wanted({"db": db})
