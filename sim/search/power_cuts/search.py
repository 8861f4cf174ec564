"""Part of the campaign: the power goes at every flash operation of every kind of write, on the real LittleFS under
real MicroPython, and the next boot has to have every press and raise the next alarm. How: sim/search/power_cuts/."""

import itertools
import time
from collections import Counter
from collections.abc import Callable

from rich.table import Table

from sim.real.changed import Change
from sim.search.findings import Control, Findings, Violation, command_of
from sim.search.power_cuts import lives
from sim.search.power_cuts.controls import SABOTAGES
from sim.search.power_cuts.hunt import Hunt, search

CONTROLS: dict[str, Control] = {name: sabotage.control for name, sabotage in SABOTAGES.items()}
# How a complaint of sim/search/power_cuts begins -> the promise that is broken.
PROMISES = {
    "lost": "no press lost",
    "invented": "nothing invented",
    "forgotten": "no answer forgotten",
    "twice": "no id twice",
    "boots": "it boots",
    "alarms": "it raises alarms",
    "configuration": "configuration usable",
    "torn": "no torn record",
    "flash": "programs only clear bits",
    "half": "a whole firmware in force",
    "certificates": "certificates that were given",
    "life": "a life as scripted",
}
EVERY_CUT = "every operation cut"
FLIPS = "a flipped bit is noticed"
_SHOWN_MAX = 20  # violations of one search that are told one by one
_BITS = 64
# Every kind of write that the lives do, and every way in which the power goes. What an update that was given up leaves
# is removed by the next one (files of the folder): no life does that yet.
WRITES = frozenset(
    (
        *(f"append to journal.log: {kind}" for kind in ("open", "press", "release", "state")),
        "append to journal.bad", "append to update.part", "make a folder",
        "remove tls.new", "remove update.manifest", "remove update.part", "remove update.signature",
        "rename tls.new to tls.good", "replace tls.new", "rename update.part into the folder",
        "rename update.part to update.manifest", "rename update.part to update.signature", "replace update.floor",
        "replace update.rec", "boot.py's own", "copy config.json", "remove config.trial", "remove journal.bad",
        "remove reset.rec", "remove selftest.tmp", "rename config.trial to config.good",
        "rename journal.log to journal.unread", "replace active", "replace boot.rec", "replace broker.addr",
        "replace clock.floor", "replace config.trial", "replace journal.log", "replace reset.rec",
        "replace selftest.tmp",
    )
)  # fmt: skip
MODES = frozenset(("before", "half", "torn", "thin", "edge", "mixed", "zero", "after", "bit flip"))
ALL = tuple(
    (life, chip)
    for chip, geometry in enumerate(lives.GEOMETRIES)
    for life, one in enumerate(lives.LIVES)
    if geometry.left is None or not one.is_update  # a flash that is nearly full takes no update
    if chip == 0 or one.renews is None  # 300 operations: once is enough
)
FULL_S = 360  # of one core is enough for all of it


def run(budget_s: float, seed: int, control: str | None, say: Callable[[str], None]) -> Findings:
    """Raises toolbox.ToolMissing without MicroPython. A budget below FULL_S is for a part of the lives."""
    return explore(ALL, budget_s, seed, control, say)


def explore(
    plan: tuple[tuple[int, int], ...], budget_s: float, seed: int, control: str | None, say: Callable[[str], None]
) -> Findings:
    """`plan`: pairs of indexes into LIVES and GEOMETRIES. With a control: only until its complaint has come."""
    started = time.monotonic()
    findings = Findings("Power cuts on LittleFS", invariants=(*PROMISES.values(), EVERY_CUT, FLIPS))
    kind: str | None = None
    caught: str | None = None
    breaks: tuple[Change, ...] = ()
    if control is not None:
        sabotage = SABOTAGES[control]
        plan = ((lives.NAMES.index(sabotage.life), 0),)
        kind, caught, breaks = sabotage.kind, sabotage.caught, sabotage.breaks

    def enough(found: Hunt) -> bool:
        if caught is not None and any(wrong.text.startswith(caught) for wrong in found.wrong):
            return True
        return time.monotonic() - started > budget_s

    found, complete = search(plan, seed, breaks, say, enough, _BITS, kind=kind)
    findings.wall_s = time.monotonic() - started
    _report(findings, found, seed, control)
    if complete and control is None:
        findings.checks[EVERY_CUT] = found.counted.total()
        if found.counted.total() != found.total("operations"):
            text = f"{EVERY_CUT}: {found.counted.total()} were counted, {found.total('operations')} were cut"
            findings.violations.append(Violation(text, "make campaign"))
    if plan == ALL and control is None:
        _flip(findings)
    if plan == ALL and (complete or budget_s >= FULL_S):
        findings.kinds = WRITES | MODES
    if not complete and control is None:
        ended = f"a budget of {budget_s:.0f} s ended the search before every operation was cut"
        findings.figures["INCOMPLETE"] = ended
        if budget_s >= FULL_S:
            findings.violations.append(Violation(ended, "make campaign"))
    return findings


def replay(what: str, control: str | None) -> int:
    """`what`: LIFE/GEOMETRY/OPERATION/MODE/SEED, all but the mode numbers. 1 = it happened again."""
    life, chip, operation, mode, seed = _parsed(what)
    breaks = SABOTAGES[control].breaks if control else ()
    plan = [(life, chip)]
    found, _ = search(plan, seed, breaks, lambda _: None, lambda _: False, _BITS, only=(operation, mode))
    print(f"{lives.LIVES[life].name} on {lives.GEOMETRIES[chip].name}: operation {operation}, {mode}: "
          f"{found.total('cuts')} cut, {found.total('checks')} checks")  # fmt: skip
    for wrong in found.wrong:
        print(f"  {wrong.kind}: {wrong.text}")
    return int(bool(found.wrong))


def _parsed(what: str) -> tuple[int, int, int, str, int]:
    try:
        life, chip, operation, mode, seed = what.split("/")
        lives.LIVES[int(life)], lives.GEOMETRIES[int(chip)]
        return int(life), int(chip), int(operation), mode, int(seed)
    except (ValueError, IndexError) as error:
        form = "LIFE/GEOMETRY/OPERATION/MODE/SEED"
        raise ValueError(f"found power_cuts:{what}, must be power_cuts:{form}, as printed") from error


def _report(findings: Findings, found: Hunt, seed: int, control: str | None) -> None:
    findings.runs = found.total("cuts") + found.total("checks")
    findings.simulated_s = found.simulated_s
    for (kind, _), tally in found.rows.items():
        findings.fired[kind] += tally.cuts
    for mode, count in found.modes.items():
        findings.fired[mode.split(" ")[0]] += count
    findings.figures = {
        "flash operations": f"{found.total('operations'):,}, each cut in 8 ways",
        "cuts": f"{found.total('cuts'):,}, one process each",
        "distinct images": f"{found.distinct_images:,}",
        "checks": f"{found.total('checks'):,}, one process each; the same image and knowledge share one",
        "programs over remains": f"{found.remains:,}, each noticed by LittleFS itself",
    }
    findings.checks = Counter({promise: found.total("checks") for promise in PROMISES.values()})
    for wrong in found.wrong[:_SHOWN_MAX]:
        begin, _, what = wrong.text.partition(": ")
        command = command_of("power_cuts", f"'{wrong.name}/{seed}'", control)
        findings.violations.append(Violation(f"{PROMISES[begin]}: {what} (cut in: {wrong.kind})", command))
    if len(found.wrong) > _SHOWN_MAX:
        findings.violations.append(Violation(f"and {len(found.wrong) - _SHOWN_MAX} more of these", "the same search"))
    for kind in sorted(set(found.counted) - WRITES):
        text = f"{EVERY_CUT}: a kind of write that nobody foresaw, {kind}: add it to WRITES in power_cuts/search.py"
        findings.violations.append(Violation(text, "make campaign"))
    findings.tables = [_table(found)]


def _flip(findings: Findings) -> None:
    from sim.search.power_cuts import flips  # it needs umqtt, which only a part that runs does

    table = Table(title="Every bit flipped, one at a time", title_justify="left")
    table.add_column("file")
    for heading in ("bits", "noticed", "harmless", "wrong"):
        table.add_column(heading, justify="right")
    for one in flips.all_flips():
        figures = (one.bits, one.detected, one.harmless, len(one.wrong))
        table.add_row(one.file, *(f"{figure:,}" for figure in figures))
        findings.runs += one.bits
        findings.fired["bit flip"] += one.bits
        findings.checks[FLIPS] += one.bits
        for text in one.wrong[:_SHOWN_MAX]:
            findings.violations.append(
                Violation(f"{FLIPS}: {text}", ".venv/bin/python -m pytest tests/search/test_bit_flips.py")
            )
    findings.tables.append(table)


def _table(found: Hunt) -> Table:
    table = Table(title="Power cuts: kind of write by flash chip", title_justify="left")
    table.add_column("kind of write")
    table.add_column("flash chip")
    for heading in ("operations", "cuts", "images", "checks", "wrong"):
        table.add_column(heading, justify="right")
    rows = sorted((kind, chip) for kind, chip in found.rows if found.rows[kind, chip].operations)
    for kind, group in itertools.groupby(rows, key=lambda row: row[0]):
        for position, (_, chip) in enumerate(group):
            tally = found.rows[kind, chip]
            figures = (tally.operations, tally.cuts, tally.images, tally.checks, tally.wrong)
            table.add_row("" if position else kind, chip, *(f"{figure:,}" for figure in figures))
    totals = [found.total(field) for field in ("operations", "cuts", "images", "checks", "wrong")]
    table.add_row("all", "", *(f"{figure:,}" for figure in totals), style="bold")
    return table
