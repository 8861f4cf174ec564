"""What of a column's words was lost, dropped by itself, and how often it started anew: against a count by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from upkeep_rig import DAY, MINUTE, START_MS, Desk, S

from common.spreadsheet import BOM
from desk.upkeep import report, store
from desk.upkeep.hearing import BOOTS_MAX, Heard, Hearing

ONE = "sos-01"
BEAT_MS = 30_000


def beat(boot: int, seq: int, dropped: int = 0) -> dict[str, Any]:
    return {"boot": boot, "seq": seq, "dropped": dropped}


def total(hearing: Hearing) -> Heard:
    """Of all months."""
    found = Heard()
    for _, _, heard, _ in hearing.take():
        for name, value in vars(heard).items():
            setattr(found, name, getattr(found, name) + value)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_what_was_lost_is_what_a_life_drawn_by_dice_has_lost(seed: int) -> None:
    """Red when a restart's first numbers are forgotten, when what was said to a deaf desk counts, or twice."""
    print(f"seed {seed}")
    dice = random.Random(seed)
    hearing, wanted, boot, seq, now_ms = Hearing({}, UTC), Heard(), 1, 0, START_MS
    pending = 0  # said since the last one that was heard, while the desk listened throughout
    is_known = False  # whether one was heard since the desk listens
    seen_boot: int | None = None
    for _ in range(300):
        now_ms += BEAT_MS
        if dice.random() < 0.03:
            boot, seq, fell_away = boot + 1, 0, dice.random() < 0.5
            if fell_away:
                pending = 0  # the old boot's last words: nobody can know of them
            else:
                hearing.told(ONE, {"boot": boot}, now_ms)  # its birth certificate comes through
                wanted.restarts += boot - (seen_boot if seen_boot is not None else boot)
                seen_boot, pending = boot, 0
        if dice.random() < 0.02:
            hearing.deaf()
            is_known, pending = False, 0
        if dice.random() < 0.2:
            pending += 1
        else:
            hearing.told(ONE, beat(boot, seq), now_ms)
            wanted.heartbeats += 1
            if seen_boot is not None and boot != seen_boot:
                wanted.restarts += boot - seen_boot
                pending = min(pending, seq)
            wanted.lost += pending if is_known else 0
            seen_boot, is_known, pending = boot, True, 0
        seq += 1
    assert total(hearing) == wanted


def test_numbers_that_nobody_could_have_sent_count_for_nothing() -> None:
    """A hostile or replaced board. Red without the bound in time, or without the bound for boots."""
    hearing = Hearing({}, UTC)
    for number, (boot, seq, dropped) in enumerate(
        [(5, 0, 0), (5, 10**9, 0), (5, 10**9 + 3, 10**9), (5, 2, 0), (4, 9, 0), (4 + BOOTS_MAX + 1, 0, 0)]
    ):
        hearing.told(ONE, beat(boot, seq, dropped), START_MS + number * BEAT_MS)
    assert total(hearing) == Heard(heartbeats=6, lost=2)


def test_what_a_column_drops_itself_is_told_apart() -> None:
    hearing = Hearing({ONE: 7}, UTC)
    for number, (boot, seq, dropped) in enumerate([(7, 4, 3), (7, 5, 8), (9, 0, 0), (9, 1, 2)]):
        hearing.told(ONE, beat(boot, seq, dropped), START_MS + number * BEAT_MS)
    assert total(hearing) == Heard(heartbeats=4, lost=0, dropped=7, restarts=2)


def test_a_month_begins_at_the_desks_own_midnight() -> None:
    end_ms = int(datetime(2026, 11, 30, 23, 59, 50, tzinfo=UTC).timestamp() * 1000)
    hearing = Hearing({}, UTC)
    for number in range(3):
        hearing.told(ONE, beat(1, number), end_ms + number * 10_000)
    assert {(month, heard.heartbeats) for _, month, heard, _ in hearing.take()} == {("2026-11", 1), ("2026-12", 2)}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "register.db") as desk:
        yield desk


def test_the_months_table_has_losses_and_restarts_over_a_kill_of_the_desk(desk: Desk) -> None:
    """Red when the count is only in memory, or a restart in the desk's absence is forgotten."""
    desk.now_ms += 10 * DAY  # within the month, whatever the machine's zone
    desk.birth(ONE)
    desk.beat(2 * MINUTE, ONE)
    desk._seq += 4  # the next four do not arrive
    desk.beat(2 * MINUTE, ONE)
    desk.end()
    desk.boots[ONE] += 1
    desk._seq += 100  # nobody was there to hear them
    desk.now_ms += MINUTE
    desk.begin()
    desk.connect(ONE, "watchdog")
    desk.beat(2 * MINUTE, ONE)
    desk.birth(ONE)
    desk._seq = 0
    desk.beat(3 * MINUTE, ONE, step_ms=S)
    month = datetime.fromtimestamp(desk.now_ms / 1000).strftime("%Y-%m")
    heard = store.heard(desk.register, month)[ONE]
    assert (heard.lost, heard.restarts) == (4, 2) and heard.heartbeats > 40
    found = report.month(store.spans(desk.register, 0, desk.now_ms), [], START_MS, desk.now_ms, {ONE: heard})
    (row,) = (one for one in found["columns"] if one["device_id"] == ONE)
    assert (row["lost"], row["restarts"], found["total"]["restarts"]) == (4, 2, 2)
    head, *lines = "".join(report.month_csv(found)).removeprefix(BOM).splitlines()
    cells = {line.split(";")[0]: dict(zip(head.split(";"), line.split(";"), strict=True)) for line in lines}
    assert cells[ONE]["lost"] == cells["*"]["lost"] == "4" and cells["sos-02"]["lost"] == "0"
