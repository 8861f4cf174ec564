"""The debouncer, look by look: stalls, settings at their limits, and a corpus of waveforms of every class."""

import random
from collections.abc import Callable

import pytest
from debounce_waves import PRESS_MS, RELEASE_MS, STALL_MS, debouncer, look, sample

from firmware import debounce
from firmware.debounce import Debouncer
from firmware.outcomes import NOTHING, PRESS, PRESS_IN_STALL, RELEASE
from sim.bench.contacts import CLASSES, Wave, net_reached_ms, peak_net_ms, shifted, wave_of

SEED = 20261122
CORPUS_SIZE = 6000
DECISION_MS = 45
QUIET_LOOK_MS = 500  # one look at a contact that is and was open


def presses(
    wave: Wave,
    filter_: Debouncer | None = None,
    dice: random.Random | None = None,
    phase_us: int = 0,
    slow_share: float = 0.05,
) -> int:
    said = look(filter_ or debouncer(), wave, dice, slow_share, phase_us)
    return sum(outcome in (PRESS, PRESS_IN_STALL) for outcome, _ in said)


def misjudged(make: Callable[[], Debouncer], size: int) -> dict[str, int]:
    """How many waveforms of the corpus are counted wrongly, by class."""
    dice = random.Random(SEED)
    wrong: dict[str, int] = {}
    for index in range(size):
        kind = CLASSES[index % len(CLASSES)]
        wave, count = kind(dice)
        if presses(shifted(wave, 20_000), make(), dice, phase_us=dice.randrange(3000)) != count:
            wrong[kind.__name__] = wrong.get(kind.__name__, 0) + 1
    return wrong


@pytest.mark.slow
def test_corpus_of_all_classes() -> None:
    print(f"corpus: seed {SEED}, {CORPUS_SIZE} waveforms")
    assert misjudged(debouncer, CORPUS_SIZE) == {}


def test_corpus_agrees_with_the_oracle() -> None:
    """The corpus is honest: what it calls a press nets 45 ms in continuous time, what it calls none nets below 36."""
    dice = random.Random(SEED)
    for index in range(CORPUS_SIZE):
        wave, count = CLASSES[index % len(CLASSES)](dice)
        assert peak_net_ms(wave) >= 45 if count else peak_net_ms(wave) < 36, wave


@pytest.mark.parametrize(
    ("breakage", "constant", "value", "make", "suffers"),
    [
        ("a threshold of 20 ms takes vibration for a finger", None, 0, lambda: Debouncer(20, 60, 40), "vibration"),
        ("a release after 38 ms counts the worst bounce twice", None, 0, lambda: Debouncer(40, 38, 40), "worst_bounce"),
        ("a threshold of 150 ms misses taps", None, 0, lambda: Debouncer(150, 60, 40), "tap"),
        ("no leak adds vibration up", "_DOWN", 0, debouncer, "vibration_train"),
        ("no leak adds interference up", "_DOWN", 0, debouncer, "emi_burst"),
        ("no leak adds pickup up", "_DOWN", 0, debouncer, "pickup"),
    ],
)
def test_corpus_finds_broken_filters(
    monkeypatch: pytest.MonkeyPatch,
    breakage: str,
    constant: str | None,
    value: int,
    make: Callable[[], Debouncer],
    suffers: str,
) -> None:
    if constant:
        monkeypatch.setattr(debounce, constant, value)
    assert misjudged(make, 600).get(suffers, 0) > 0, f"the corpus does not notice: {breakage}"


def test_worst_known_bounce_is_one_press_at_every_phase() -> None:
    wave = wave_of(81, 42, 34)
    assert [presses(wave, phase_us=-phase_us) for phase_us in range(0, 3000, 100)] == [1] * 30


def test_bounce_of_157_ms_is_one_press() -> None:
    bounce = [2.5, 2.0] * 34 + [4.0]
    assert 156 <= sum(bounce) <= 158
    assert presses(wave_of(*bounce, 0.5, 100)) == 1


def test_a_tap_of_60_ms_counts_at_every_phase() -> None:
    for phase_us in range(0, 4000, 50):
        assert presses(shifted(wave_of(60), phase_us)) == 1


@pytest.mark.parametrize("phase_us", range(0, 20_000, 2500))
@pytest.mark.parametrize("jitter", [False, True])
def test_pickup_for_minutes_is_nothing(phase_us: int, jitter: bool) -> None:
    """With jitter, one look in a hundred is up to 8 ms late (at one in twenty, the errors do add up in minutes)."""
    seconds = 180 if phase_us == 0 else 15
    wave = shifted(wave_of(*[10] * (seconds * 100 - 1)), phase_us)
    assert presses(wave, dice=random.Random(phase_us) if jitter else None, slow_share=0.01) == 0


def test_pickup_walks_up_without_the_steeper_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: at 8:8 a duty of 52 % reaches the threshold, at 9:8 it does not."""
    wave = wave_of(*[10.4, 9.6] * 600)
    assert presses(wave, dice=random.Random(SEED), slow_share=0) == 0
    monkeypatch.setattr(debounce, "_DOWN", 8)
    assert presses(wave, dice=random.Random(SEED), slow_share=0) > 0


@pytest.mark.parametrize("jitter", [False, True])
def test_decision_time(jitter: bool) -> None:
    """Within 45 ms of steady closure; with other tasks in between, plus the longest of them."""
    dice = random.Random(SEED)
    slowest = 0.0
    for _ in range(1500):
        wave = shifted(wave_of(dice.uniform(60, 200)), 20_000 + dice.randrange(3000))
        said = look(debouncer(), wave, dice, slow_share=0.05 if jitter else 0.0)
        slowest = max(slowest, said[0][1] - net_reached_ms(wave, 0.001))
    assert PRESS_MS <= slowest <= DECISION_MS + (8 if jitter else 0)


def test_decision_time_control() -> None:
    """Negative control: a threshold of 46 ms is too slow for the check above."""
    said = look(Debouncer(46, RELEASE_MS, STALL_MS), shifted(wave_of(100), 21_000))
    assert said[0][1] - 21 > DECISION_MS


def test_a_release_needs_more_than_the_widest_gap() -> None:
    filter_ = debouncer()
    said = look(filter_, wave_of(100, 59, 100))
    assert [outcome for outcome, _ in said] == [PRESS, RELEASE]
    assert not filter_.pressed


# -- stalls


def settled(filter_: Debouncer | None = None) -> Debouncer:
    """A debouncer that has seen a quiet, open contact."""
    filter_ = filter_ or debouncer()
    assert sample(filter_, QUIET_LOOK_MS, False, 0, True) == NOTHING
    return filter_


def test_press_inside_a_stall_counts_by_the_counter() -> None:
    filter_ = settled()
    assert sample(filter_, 300, False, 1, False) == PRESS_IN_STALL
    assert not filter_.pressed and filter_.is_settled()


def test_press_inside_a_stall_without_a_counter_is_lost() -> None:
    """The C3's documented limit: it has no pulse counter."""
    assert sample(settled(), 300, False, None, False) == NOTHING


def test_press_that_lasts_beyond_the_stall_counts_once() -> None:
    filter_ = settled()
    assert sample(filter_, 300, True, 2, False) == PRESS_IN_STALL
    assert filter_.pressed
    assert sample(filter_, 100, True, 0, True) == NOTHING
    assert sample(filter_, 100, False, 0, True) == NOTHING
    assert sample(filter_, 60, False, 0, True) == RELEASE


@pytest.mark.parametrize("closures", [0, None])
def test_press_that_began_before_the_stall_and_ended_in_it_counts(closures: int | None) -> None:
    filter_ = settled()
    assert sample(filter_, 3, True, 1, True) == NOTHING
    assert sample(filter_, 20, True, 0, True) == NOTHING
    assert sample(filter_, 300, False, closures, False) == PRESS_IN_STALL
    assert not filter_.pressed


def test_interference_inside_a_stall_is_refused() -> None:
    assert sample(settled(), 300, False, 76, False) == NOTHING
    assert sample(settled(), 300, False, 75, False) == PRESS_IN_STALL, "the limit is one closure in 4 ms"


def test_the_bounce_of_the_press_before_is_no_noise() -> None:
    filter_ = settled()
    sample(filter_, 3, True, 1, True)
    sample(filter_, 1, False, 0, True)  # it bounces
    sample(filter_, 1, True, 1, True)
    assert sample(filter_, 60, True, 0, True) == PRESS
    sample(filter_, 1, False, 0, True)
    assert sample(filter_, 300, False, 0, True) == RELEASE
    assert sample(filter_, 300, False, 1, False) == PRESS_IN_STALL


def test_noise_just_before_a_stall_makes_it_untrustworthy() -> None:
    for quiet_ms, outcome in ((900, NOTHING), (1000, PRESS_IN_STALL)):
        filter_ = settled()
        sample(filter_, 3, True, 1, True)
        sample(filter_, 1, False, 0, True)  # a spike
        sample(filter_, quiet_ms, False, 0, True)
        assert sample(filter_, 300, False, 1, False) == outcome


def held_through_a_stall(closures: int | None) -> int:
    """Pressed and seen open for a moment before a stall and after it."""
    filter_ = settled()
    sample(filter_, 1, True, 1, True)
    assert sample(filter_, PRESS_MS, True, 0, True) == PRESS
    assert sample(filter_, 1, False, 0, True) == NOTHING
    return sample(filter_, 300, False, closures, False)


def test_a_held_contact_that_chatters_through_a_stall_is_not_let_go() -> None:
    """Negative control: one that nothing closed meanwhile is."""
    assert held_through_a_stall(5) == NOTHING
    assert held_through_a_stall(0) == RELEASE


def after_bounce(bounce_ms: int) -> int:
    """A contact that chatters for so long (2 ms closed, 8 open), then a stall in which it closed once."""
    filter_ = settled()
    for _ in range(bounce_ms // 10):
        sample(filter_, 8, True, 1, True)
        sample(filter_, 2, False, 0, True)
    return sample(filter_, 300, False, 1, False)


@pytest.mark.parametrize(("bounce_ms", "outcome"), [(10, PRESS_IN_STALL), (160, PRESS_IN_STALL), (300, NOTHING)])
def test_a_presss_own_bounce_before_a_stall_is_no_noise(bounce_ms: int, outcome: int) -> None:
    assert after_bounce(bounce_ms) == outcome


@pytest.mark.parametrize(("limit_ms", "bounce_ms"), [(0, 160), (1 << 20, 300)])
def test_a_wrong_limit_of_bounce_is_noticed(monkeypatch: pytest.MonkeyPatch, limit_ms: int, bounce_ms: int) -> None:
    """Broken both ways: no bounce is believed, or every chatter is."""
    right = after_bounce(bounce_ms)
    monkeypatch.setattr(debounce, "_BOUNCE_MAX_MS", limit_ms)
    assert after_bounce(bounce_ms) != right


def test_closure_all_over_a_stall_counts() -> None:
    filter_ = settled()
    sample(filter_, 3, True, 1, True)
    assert sample(filter_, 300, True, 0, False) == PRESS


def test_closure_all_over_a_stall_as_long_as_a_press_is_one() -> None:
    filter_ = settled()
    sample(filter_, 1, True, 1, True)
    assert sample(filter_, PRESS_MS, True, 0, False) == PRESS


def test_an_open_contact_was_open_all_over_a_stall() -> None:
    """Nothing says otherwise: the 39 ms before it drain by 26, and what is left is 8.6 ms of a press."""
    filter_ = settled(Debouncer(PRESS_MS, RELEASE_MS, 26))
    for dt_ms, closed in ((1, True), (38, True), (1, False)):
        assert sample(filter_, dt_ms, closed, None, True) == NOTHING
    assert sample(filter_, 26, False, None, False) == NOTHING
    assert sample(filter_, 1, True, None, True) == NOTHING
    assert sample(filter_, 31, True, None, True) == NOTHING
    assert sample(filter_, 1, True, None, True) == PRESS


def test_closure_over_a_stall_without_a_counter_counts_a_little_later() -> None:
    """Nobody can vouch that it was closed all the time: 8 ms of credit, the rest by looking."""
    filter_ = settled()
    sample(filter_, 3, True, None, True)
    assert sample(filter_, 300, True, None, False) == NOTHING
    assert sample(filter_, 31, True, None, True) == NOTHING
    assert sample(filter_, 1, True, None, True) == PRESS


def test_a_watched_wait_is_no_stall() -> None:
    """2 s of idling is not 2 s of not looking: without `watched` the same numbers would be a press in a stall."""
    assert sample(settled(), 2000, True, 1, True) == NOTHING
    assert sample(settled(), 2000, True, 1, False) == PRESS_IN_STALL


@pytest.mark.parametrize(
    ("guard", "value", "closures", "spike"),
    [("_CLOSURE_MIN_MS", 0, 76, False), ("_QUIET_MS", 0, 1, True)],
)
def test_guards_of_a_stall_are_needed(
    monkeypatch: pytest.MonkeyPatch, guard: str, value: int, closures: int, spike: bool
) -> None:
    """Negative control: with the guard gone, the interference that was refused above is a press."""
    monkeypatch.setattr(debounce, guard, value)
    filter_ = settled()
    if spike:
        sample(filter_, 3, True, 1, True)
        sample(filter_, 1, False, 0, True)
    assert sample(filter_, 300, False, closures, False) == PRESS_IN_STALL
