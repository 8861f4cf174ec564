"""The contact's waveforms."""

import random
import subprocess
from pathlib import Path

import pytest
from column_probe import need

from sim.chip import contact as contact_module
from sim.chip.contact import HISTORY_US, Contact, parse_wave
from tools import toolbox


def test_levels_and_closures() -> None:
    contact = Contact()
    contact.replace_from(100, [(100, 1), (200, 0), (300, 1)])
    assert [contact.level_at(t) for t in (99, 100, 199, 200, 299, 300, 10_000)] == [0, 1, 1, 0, 0, 1, 1]
    assert contact.closures_between(0, 99) == 0
    assert contact.closures_between(99, 100) == 1
    assert contact.closures_between(100, 299) == 0
    assert contact.closures_between(0, 300) == 2
    assert contact.settled and contact.level == 1


def test_new_edges_replace_those_from_their_time_on() -> None:
    contact = Contact()
    contact.replace_from(0, [(10, 1), (20, 0), (30, 1), (40, 0)])
    assert contact.level_at(35) == 1
    contact.replace_from(25, [(50, 1)])
    assert [contact.level_at(t) for t in (15, 22, 35, 50)] == [1, 0, 0, 1]
    assert contact.closures_until(60) == 2
    contact.replace_from(0, [])
    assert contact.closures_until(60) == 0 and contact.level_at(60) == 0


def test_edges_that_change_nothing_are_dropped() -> None:
    contact = Contact(level=1)
    contact.replace_from(0, [(5, 1), (6, 0), (7, 0), (8, 1)])
    assert contact.closures_until(10) == 1
    assert contact.next_edge_after(0) == 6
    assert contact.next_edge_after(8) is None


def test_late_edges_count() -> None:
    contact = Contact()
    before = contact.closures_until(1_000)
    contact.replace_from(500, [(500, 1), (600, 0)])
    assert contact.closures_until(1_000) - before == 1
    assert contact.level_at(1_000) == 0


def test_old_edges_are_forgotten_and_still_counted() -> None:
    contact = Contact()
    total = 20_000
    for i in range(total):
        contact.replace_from(i * 10_000, [(i * 10_000, 1), (i * 10_000 + 5_000, 0)])
        contact.level_at(i * 10_000 + 7_000)
    end_us = total * 10_000
    assert contact.closures_until(end_us) == total
    assert len(contact._times) < 2 * (HISTORY_US // 10_000) + 100
    assert contact.closures_between(end_us - 1_000_001, end_us) == 100
    assert contact.since(0) == contact._horizon_us  # a counter that nobody looked at for so long goes on from there
    with pytest.raises(ValueError, match="forgotten"):
        contact.level_at(0)


def test_against_a_naive_model() -> None:
    rng = random.Random(1)
    for _ in range(200):
        contact = Contact()
        edges: list[tuple[int, int]] = []
        for _ in range(rng.randrange(1, 6)):
            start = rng.randrange(1000)
            times = sorted(rng.randrange(start, 1200) for _ in range(rng.randrange(8)))
            new = [(t, rng.randrange(2)) for t in times]
            edges = [edge for edge in edges if edge[0] < start] + new
            contact.replace_from(start, new)
            t0, t1 = sorted(rng.randrange(1300) for _ in range(2))
            assert contact.level_at(t0) == _level(edges, t0)
            closures = sum(_level(edges, t) > _level(edges, t - 1) for t in range(t0 + 1, t1 + 1))
            # Two edges in one microsecond can close and open again unseen by the naive model.
            if len({t for t, _ in edges}) == len(edges):
                assert contact.closures_between(t0, t1) == closures


def _level(edges: list[tuple[int, int]], t_us: int) -> int:
    return ([0] + [level for at_us, level in edges if at_us <= t_us])[-1]


@pytest.mark.parametrize("edges", [[(5, 1)], [(20, 1), (15, 0)], [(20, 2)]])
def test_wrong_edges_are_refused(edges: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="levels are 0 or 1 and times must not go back"):
        Contact().replace_from(10, edges)


def test_parse_wave() -> None:
    assert parse_wave(" 0:1  120000:0 ") == [(0, 1), (120_000, 0)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no edges"),
        ("5", "'5' is not T_US:LEVEL"),
        ("5:2", "'5:2' is not T_US:LEVEL"),
        ("-5:1", "'-5:1' is not T_US:LEVEL"),
        ("1.5:1", "'1.5:1' is not T_US:LEVEL"),
        ("9:1 5:0", "'5:0' comes before 9 us"),
    ],
)
def test_parse_wave_says_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_wave(text)


@pytest.mark.micropython
@pytest.mark.parametrize("name", ["micropython", "micropython32"])
def test_the_same_on_micropython(name: str, tmp_path: Path) -> None:
    script = tmp_path / "same.py"
    source = Path(contact_module.__file__).read_text(encoding="utf-8")
    script.write_text(
        source
        + """
c = Contact()
t = 10**12
c.replace_from(t, parse_wave("%d:1 %d:0 %d:1" % (t, t + 80000, t + 90000)))
print(c.level_at(t - 1), c.level_at(t), c.level_at(t + 85000), c.closures_between(t - 1, t + 10**6), c.settled)
try:
    parse_wave("x")
except ValueError as error:
    print(error)
""",
        encoding="utf-8",
    )
    run = subprocess.run([*toolbox.require(need(name)), str(script)], capture_output=True, text=True, check=False)
    assert run.stdout.splitlines() == [
        "0 1 0 2 True",
        "wave: 'x' is not T_US:LEVEL (whole microseconds, then 0 = open or 1 = closed)",
    ], run.stderr
