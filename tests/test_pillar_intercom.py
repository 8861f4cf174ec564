"""The virtual intercom: its tone, and that nothing is said or heard without a call."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from sim.pillar import intercom
from sim.pillar.intercom import BLOCK, BLOCKS_PER_S, RATE_HZ, Intercom, level_of, pitch_hz


def sine(dbfs: float, hertz: int = 500) -> intercom.Samples:
    """A sine whose power is `dbfs` below a square wave of full scale."""
    amplitude = 32767 * math.sqrt(2) * 10 ** (dbfs / 20)
    return np.clip(np.sin(np.arange(BLOCK) * 2 * math.pi * hertz / RATE_HZ) * amplitude, -32768, 32767).astype(np.int16)


def test_columns_of_a_town_have_pitches_of_their_own() -> None:
    pitches = {pitch_hz(f"petropavl-{number:02}") for number in range(1, 16)}
    assert len(pitches) >= 10, "fifteen columns, and hardly a difference"
    assert all(440 <= pitch <= 1040 and pitch % 20 == 0 for pitch in pitches)
    assert pitch_hz("petropavl-01") == pitch_hz("petropavl-01")


def test_the_tone_is_there_during_the_call_only_and_has_its_pitch_without_clicks() -> None:
    phone = Intercom("petropavl-01")
    assert not phone.block(0).any()
    phone.call(True)
    sound = np.concatenate([phone.block(number) for number in range(40, 40 + 2 * BLOCKS_PER_S)]).astype(float)
    spectrum = np.abs(np.fft.rfft(sound))
    assert np.argmax(spectrum) / 2 == phone.pitch_hz
    steepest = 32767 * 0.1 * 2 * math.pi * phone.pitch_hz / RATE_HZ
    assert np.max(np.abs(np.diff(sound))) <= steepest + 2, "a click between two blocks"
    phone.call(False)
    assert not phone.block(0).any()


@pytest.mark.parametrize(("dbfs", "level"), [(-60, 0.0), (-30, 0.5), (-6, 0.9)])
def test_levels_are_decibels(dbfs: float, level: float) -> None:
    assert level_of(sine(dbfs)) == pytest.approx(level, abs=0.02)


def test_silence_and_nothing_are_zero_and_the_loudest_is_one() -> None:
    assert level_of(np.zeros(BLOCK, np.int16)) == 0.0
    assert level_of(np.zeros(0, np.int16)) == 0.0
    assert level_of(np.full(BLOCK, -32768, np.int16)) == 1.0


def test_the_operator_is_heard_during_a_call_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(intercom, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    changes: list[float] = []
    phone = Intercom("petropavl-01", lambda: changes.append(phone.heard))
    phone.hear(sine(-12))
    assert phone.heard == 0.0 and changes == []
    phone.call(True)
    phone.hear(sine(-12))
    assert phone.heard == pytest.approx(0.8, abs=0.02) and len(changes) == 1
    now_s[0] += 0.2
    assert 0.3 < phone.heard < 0.5, "it fades"
    now_s[0] += 0.4
    assert phone.heard == 0.0
    phone.hear(sine(-12))
    phone.call(False)
    assert phone.heard == 0.0
