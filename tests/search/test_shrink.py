"""Shrinking: what stays is what it takes, and what stays is easy to read."""

import pytest

from sim.search.storms import judge, script
from sim.search.storms.script import Happening, Storm
from sim.search.storms.shrink import fewest, shrink


@pytest.mark.parametrize("needed", [set(), {7}, {0, 19}, {3, 4, 5}, set(range(20))])
def test_the_fewest_items_that_still_fail(needed: set[int]) -> None:
    tries = 0

    def fails(items: list[int]) -> bool:
        nonlocal tries
        tries += 1
        return needed <= set(items)

    assert fewest(list(range(20)), fails) == sorted(needed)
    assert tries < 20 * 20


def test_the_order_of_what_stays_is_kept() -> None:
    assert fewest("abcabc", lambda items: "cb" in "".join(items)) == ["c", "b"]


def test_times_values_and_length_get_simpler_and_the_failure_stays() -> None:
    presses = tuple(Happening(at_ms, "press", (1_234, 5_678)) for at_ms in (10_111, 98_765, 200_222))
    storm = Storm(1, "heal", 3_000_000, {"chip": "esp32"}, presses)

    def fails(some: Storm) -> bool:
        late = [one for one in some.script if one.at_ms >= 90_000]
        return any(one.values[0] >= 500 for one in late if isinstance(one.values[0], int))

    small = shrink(storm, fails)
    (press,) = small.script
    assert fails(small) and press.values[1] == 1
    assert press.at_ms % 10_000 == 0 and small.length_ms == press.at_ms + 1_000
    assert isinstance(press.values[0], int) and 500 <= press.values[0] <= 600


def test_a_broken_column_is_shown_with_one_press() -> None:
    """The whole way: a storm in which a control is caught, shrunk, read back from its text, and still broken."""

    def fails(storm: Storm) -> bool:
        verdict = judge.perform(storm, 1, "relay-before-journal")
        return "I1" in map(judge.broken, verdict.violations)

    storm = next(one for seed in range(1, 20) if fails(one := script.generate(seed, "never")))
    small = script.load(script.dump(shrink(storm, fails)))
    assert fails(small) and len(small.script) == 1
    assert judge.perform(small, 1, None).violations == []
