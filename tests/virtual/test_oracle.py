"""The oracle: what must be a press, what may be one, and what is none, judged from the waveform itself."""

import pytest

from sim.virtual.checks.oracle import Oracle


def judged(*edges_ms: tuple[float, int], until_ms: int = 5_000) -> tuple[list[float], Oracle]:
    oracle = Oracle()
    oracle.running(0, True)
    oracle.contact_changed(0, [(int(ms * 1000), level) for ms, level in edges_ms])
    return [t_us / 1000 for t_us in oracle.advance(until_ms * 1000)], oracle


@pytest.mark.parametrize(
    ("edges", "musts"),
    [
        ([(100, 1), (145, 0)], [145]),
        ([(100, 1), (144, 0)], []),
        ([(100, 1)], [145]),
        ([(100, 1), (120, 0), (121, 1), (200, 0)], [147.25]),
        ([(100, 1), (181, 0), (223, 1), (300, 0)], [145]),  # a bounce: one press
        ([(100, 1), (181, 0), (300, 1), (400, 0)], [145, 345]),  # let go in between: two
        ([(t, t // 10 % 2) for t in range(0, 4_010, 10)], []),  # 50 Hz pickup
    ],
)
def test_what_must_be_a_press(edges: list[tuple[float, int]], musts: list[float]) -> None:
    assert judged(*edges)[0] == musts


@pytest.mark.parametrize(("closed_ms", "may"), [(35.9, False), (36, True), (60, True)])
def test_what_may_be_a_press(closed_ms: float, may: bool) -> None:
    _, oracle = judged((100, 1), (100 + closed_ms, 0))
    assert oracle.may_have_been_pressed(0, 5_000_000) is may


def test_a_closure_in_a_stall_may_be_a_press() -> None:
    _, oracle = judged((100, 1), (102, 0))
    assert not oracle.may_have_been_pressed(0, 5_000_000)
    oracle.stall(80_000, 180_000)
    assert oracle.may_have_been_pressed(0, 5_000_000)


@pytest.mark.parametrize(
    ("gap_ms", "may"),
    [((115, 131), False), ((115, 136), True), ((101, 118), False), ((95, 105), False), ((90, 117), True)],
)
def test_a_closure_whose_end_falls_into_a_gap_may_have_been_longer(gap_ms: tuple[int, int], may: bool) -> None:
    """Closed from 100 to 120 ms: all of the gap counts when the contact changed in it, and only then."""
    _, oracle = judged((100, 1), (120, 0), until_ms=gap_ms[1])
    oracle.gap(gap_ms[0] * 1000, gap_ms[1] * 1000)
    assert oracle.may_have_been_pressed(0, 5_000_000) is may


def test_nothing_counts_while_the_column_does_not_run() -> None:
    oracle = Oracle()
    oracle.contact_changed(0, [(100_000, 1), (900_000, 0)])
    assert oracle.advance(1_000_000) == []
    oracle.contact_changed(1_000_000, [(1_100_000, 1)])
    oracle.running(1_200_000, True)
    assert oracle.advance(2_000_000) == [1_245_000]  # held while it boots
