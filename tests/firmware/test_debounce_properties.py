"""What holds for every waveform, looked at every millisecond: hypothesis searches for one that breaks it."""

import pytest
from debounce_waves import RELEASE_MS, debouncer, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware import debounce
from firmware.outcomes import NOTHING, PRESS
from sim.bench.contacts import peak_net_ms, wave_of

MUST_MS, MUST_NOT_MS = 45, 36
REOPENED_MS = 43

# Closed, open, closed ... in whole milliseconds, so that looking every millisecond is exact.
durations = st.lists(st.one_of(st.integers(1, 12), st.integers(1, 120)), min_size=1, max_size=40)


def looks(spans: list[int]) -> list[tuple[int, int]]:
    """What the debouncer says and when (ms), at one look a millisecond; ends 200 ms open."""
    filter_ = debouncer()
    levels = [1 - index % 2 for index, span in enumerate(spans) for _ in range(span)] + [0] * 200
    said = []
    for ms, (level, before) in enumerate(zip(levels, [0, *levels], strict=False)):
        outcome = sample(filter_, 1 if ms else 0, bool(level), level and not before, True)
        if outcome != NOTHING:
            said.append((outcome, ms))
    return said


def opened_between(spans: list[int], start_ms: int, end_ms: int) -> int:
    levels = [1 - index % 2 for index, span in enumerate(spans) for _ in range(span)] + [0] * 200
    return levels[start_ms:end_ms].count(0)


def check_never_twice(spans: list[int]) -> None:
    times = [ms for outcome, ms in looks(spans) if outcome == PRESS]
    for first, second in zip(times, times[1:], strict=False):
        assert opened_between(spans, first, second) >= REOPENED_MS


def check_oracle(spans: list[int]) -> None:
    count = sum(outcome == PRESS for outcome, _ in looks(spans))
    peak = peak_net_ms(wave_of(*spans))
    if peak < MUST_NOT_MS:
        assert count == 0
    if peak >= MUST_MS:
        assert count >= 1


@settings(max_examples=400, deadline=None, derandomize=True)
@given(durations)
def test_never_two_presses_without_a_net_opening(spans: list[int]) -> None:
    check_never_twice(spans)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(durations)
def test_below_36_ms_net_is_none_and_45_ms_is_one(spans: list[int]) -> None:
    check_oracle(spans)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 41)), max_size=8), st.integers(60, 400))
def test_a_bounce_before_a_hold_is_never_counted_twice(bounce: list[tuple[int, int]], hold_ms: int) -> None:
    spans = [span for pair in bounce for span in pair] + [hold_ms]
    assert [outcome for outcome, _ in looks(spans)].count(PRESS) == 1


def test_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative controls: a filter that lets go after 42 ms, and one that never leaks, break what is checked above."""
    with monkeypatch.context() as patch, pytest.raises(AssertionError):
        patch.setattr("debounce_waves.RELEASE_MS", 42)
        check_never_twice([60, 42, 60])
    assert RELEASE_MS >= REOPENED_MS
    with monkeypatch.context() as patch, pytest.raises(AssertionError):
        patch.setattr(debounce, "_DOWN", 0)
        check_oracle([20, 60, 20])
    with monkeypatch.context() as patch, pytest.raises(AssertionError):
        patch.setattr("debounce_waves.PRESS_MS", 47)
        check_oracle([46])
