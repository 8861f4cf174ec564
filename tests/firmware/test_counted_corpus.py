"""The debouncers before a corpus of contacts with stalls anywhere; and the counter over many a quiet hour."""

import pytest
from button_rig import Rig
from debounce_waves import PRESS_MS

from sim.bench.debounce import Judged, corpus, judge
from sim.bench.stats import spread

pytestmark = pytest.mark.slow

SEED = 20261129
CONTACTS = 900
MEDIAN_MS = 45


@pytest.mark.parametrize("stalls", [False, True])
def test_nothing_is_missed_invented_or_doubled(stalls: bool) -> None:
    found = judge(corpus(SEED, CONTACTS), "counter", 10, stalls, SEED)
    assert (found.missed, found.false, found.doubled) == (0, 0, 0)
    assert PRESS_MS <= median_ms(found) <= MEDIAN_MS


def test_without_the_counter_interrupts_are_no_worse_than_looks_every_3_ms() -> None:
    contacts = corpus(SEED, CONTACTS)
    woken = judge(contacts, "interrupts", 10, True, SEED)
    polled = judge(contacts, "poll only", 3, True, SEED)
    assert woken.missed_outside_stalls == 0 and woken.false <= polled.false
    assert judge(contacts, "interrupts", 10, False, SEED).missed == 0
    assert median_ms(woken) <= MEDIAN_MS


def test_poll_alone_is_what_a_tick_of_10_ms_makes_of_it() -> None:
    """Negative control: without interrupts and counter the corpus is judged wrongly."""
    found = judge(corpus(SEED, CONTACTS), "poll only", 10, True, SEED)
    assert found.false > 10


def median_ms(found: Judged) -> float:
    return spread(found.delays_us).median_ms


def test_a_quiet_day_proves_it_again_and_again() -> None:
    rig = Rig(integrates=True)
    for _ in range(2000):
        rig.run(2000)
    assert rig.failures == []
