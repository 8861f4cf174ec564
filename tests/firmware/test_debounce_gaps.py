"""One gap of 10 to 39 ms without a look, anywhere in a waveform: no press is missed for it, and no knock is one for a
shorter gap than it says."""

import random
from collections.abc import Callable

import pytest
from debounce_waves import SETTLE_US, debouncer, sample

from firmware import debounce
from firmware.outcomes import PRESS, PRESS_IN_STALL
from sim.bench.contacts import Wave, bouncing_press, shifted, tap, vibration, wave_of
from sim.chip.contact import Contact

SEED = 45_2
WAVES = 1500
GAP_MS = (10, 39)
LEAD_US = 60_000  # open before the waveform: a gap may begin here
LOOK_US = 1_000


def short_press(dice: random.Random) -> tuple[Wave, int]:
    """The shortest that must count, with the bounce of a typical switch."""
    length_ms = dice.uniform(45.5, 60)
    bounce = [dice.uniform(0.1, 1.5) for _ in range(2 * dice.randrange(3))]
    return wave_of(*bounce, length_ms), 1


def presses(wave: Wave, gap_us: int, gap_ms: int) -> int:
    """How many are counted with looks every millisecond, but for one gap that begins at `gap_us`."""
    contact, filter_ = Contact(), debouncer()
    contact.replace_from(0, shifted(wave, LEAD_US))
    counted = count = now_us = 0
    while now_us < wave[-1][0] + LEAD_US + SETTLE_US:
        is_gap = now_us <= gap_us < now_us + LOOK_US
        step_ms = gap_ms if is_gap else 1
        now_us += step_ms * 1000
        total = contact.closures_until(now_us)
        said = sample(filter_, step_ms, bool(contact.level_at(now_us)), total - counted, not is_gap)
        counted = total
        count += said in (PRESS, PRESS_IN_STALL)
    return count


def judged(make: Callable[[random.Random], tuple[Wave, int]], longest_ms: int = GAP_MS[1]) -> list[str]:
    """The waveforms that are counted wrongly."""
    dice = random.Random(SEED)
    wrong = []
    for _ in range(WAVES):
        wave, wanted = make(dice)
        gap_us, gap_ms = dice.randrange(wave[-1][0] + LEAD_US), dice.randint(GAP_MS[0], longest_ms)
        found = presses(wave, gap_us, gap_ms)
        if found != wanted:
            wrong.append(f"{found} for {wanted}, a gap of {gap_ms} ms at {gap_us} us in {wave}")
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("make", [short_press, tap, bouncing_press])
def test_one_gap_makes_no_press_missed_or_counted_twice(make: Callable[[random.Random], tuple[Wave, int]]) -> None:
    assert judged(make) == []


@pytest.mark.slow
def test_a_knock_is_none_for_a_gap_of_less_than_15_ms() -> None:
    """25 ms at most and 14 more are less than 40. The control: with longer gaps a few knocks are."""
    assert judged(vibration, 14) == []
    assert 0 < len(judged(vibration)) < WAVES / 10


@pytest.mark.slow
def test_short_presses_are_missed_without_the_benefit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: when half of a gap is all that ever counts."""
    monkeypatch.setattr(debounce, "_SEEN_MIN_MS", 1 << 20)
    assert len(judged(short_press)) > WAVES / 100
