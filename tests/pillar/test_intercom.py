"""The virtual intercom: its tone, and that nothing is said or heard without a call."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from sim.pillar import intercom
from sim.pillar.intercom import BLOCK, BLOCKS_PER_S, RATE_HZ, Intercom, Line, level_of, pitch_hz


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
    assert not phone.to_operator(0).any()
    phone.call(True)
    sound = np.concatenate([phone.to_operator(number) for number in range(40, 40 + 2 * BLOCKS_PER_S)]).astype(float)
    spectrum = np.abs(np.fft.rfft(sound))
    assert np.argmax(spectrum) / 2 == phone.pitch_hz
    steepest = 32767 * 0.1 * 2 * math.pi * phone.pitch_hz / RATE_HZ
    assert np.max(np.abs(np.diff(sound))) <= steepest + 2, "a click between two blocks"
    phone.call(False)
    assert not phone.to_operator(0).any()


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
    with phone.operator() as hear:
        hear(sine(-12))
        assert phone.heard == 0.0 and changes == []
        phone.call(True)
        hear(sine(-12))
        assert phone.heard == pytest.approx(0.8, abs=0.02) and len(changes) == 1
        now_s[0] += 0.2
        assert 0.3 < phone.heard < 0.5, "it fades"
        now_s[0] += 0.4
        assert phone.heard == 0.0
        hear(sine(-12))
        phone.call(False)
        assert phone.heard == 0.0


# -- microphones

CLOCK_S = 1000.0
FIRST = round(CLOCK_S * BLOCKS_PER_S)  # the block that is due then
LEAD = round(intercom.LEAD_S * BLOCKS_PER_S)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(now_s=CLOCK_S)
    monkeypatch.setattr(intercom, "time", SimpleNamespace(monotonic=lambda: made.now_s))
    return made


def ramp(number: int) -> intercom.Samples:
    return np.arange(BLOCK, dtype=np.int16) + 1000 * number + 1


def test_what_is_spoken_comes_out_whole_in_order_and_once(clock: SimpleNamespace) -> None:
    line = Line()
    for number in range(4):
        line.write(ramp(number))
    heard = [line.read(FIRST + LEAD + number) for number in range(5)]
    assert [block.tolist() for block in heard[:4]] == [ramp(number).tolist() for number in range(4)]
    assert not heard[4].any(), "more came out than was said"
    assert not line.read(FIRST + LEAD - 1).any(), "it came before it was said"
    assert not line.read(FIRST + LEAD + BLOCKS_PER_S).any(), "a second later it came again"


def test_what_is_older_than_a_second_is_forgotten(clock: SimpleNamespace) -> None:
    """Red without the lower bound of `read`: in its place stands what was said a second later."""
    line = Line()
    for number in range(BLOCKS_PER_S + 5):
        line.write(ramp(number % 30))
        clock.now_s += 1 / BLOCKS_PER_S
    assert not line.read(FIRST + LEAD).any() and line.read(FIRST + LEAD + 5).any()


def test_after_a_pause_it_begins_anew(clock: SimpleNamespace) -> None:
    line = Line()
    line.write(ramp(0))
    clock.now_s += 0.5
    line.write(ramp(1))
    later = FIRST + BLOCKS_PER_S // 2
    assert line.read(later + LEAD).tolist() == ramp(1).tolist()
    assert not line.read(FIRST + LEAD).any()


def test_one_who_sends_faster_than_time_goes_does_not_pile_up(clock: SimpleNamespace) -> None:
    line = Line()
    for number in range(300):
        line.write(ramp(number % 30))
    ahead = round(intercom.LEAD_MAX_S * BLOCKS_PER_S) + 1
    assert not any(line.read(FIRST + number).any() for number in range(ahead + 1, ahead + 40))
    line.write(np.ones(10 * RATE_HZ, np.int16))  # and nothing breaks


def test_two_operators_are_heard_at_once_and_loudness_has_an_end(clock: SimpleNamespace) -> None:
    phone = Intercom("petropavl-01")
    phone.call(True)
    with phone.operator() as one, phone.operator() as other:
        one(np.full(BLOCK, 10_000, np.int16))
        other(np.full(BLOCK, 5_000, np.int16))
        assert set(phone.to_person(FIRST + LEAD)) == {15_000}
        for hear in (one, other):
            hear(np.full(BLOCK, 30_000, np.int16))
        assert set(phone.to_person(FIRST + LEAD + 1)) == {32_767}
        phone.call(False)
        assert not phone.to_person(FIRST + LEAD).any(), "the loudspeaker speaks without a call"
    phone.call(True)
    assert not phone.to_person(FIRST + LEAD).any(), "an operator who left is still to be heard"


def test_a_microphone_at_the_pillar_takes_the_place_of_the_tone(clock: SimpleNamespace) -> None:
    phone = Intercom("petropavl-01")
    phone.call(True)
    tone = phone.to_operator(FIRST + LEAD)
    with phone.person() as speak:
        speak(ramp(1))
        assert phone.to_operator(FIRST + LEAD).tolist() == ramp(1).tolist()
        assert phone.heard == 0.0, "who stands there is no operator"
        phone.call(False)
        assert not phone.to_operator(FIRST + LEAD).any(), "the pillar listens without a call"
        phone.call(True)
    assert phone.to_operator(FIRST + LEAD).tolist() == tone.tolist()
