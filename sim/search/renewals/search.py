"""Part of the campaign: a city changes its certificates and its authority over the air, step by step, with clocks that
are wrong by years, power cuts, and links and brokers that come and go. In between somebody sends certificates that no
broker knows. No column is lost: when the trouble is over, each has a session, and the certificates of the step; and
every other promise was kept meanwhile, such as that of a press.

Each number is one column, performed by the firmware itself in the virtual world: 10,000 are the fleet."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

from firmware.startup import renewed
from firmware.update import proving
from sim.search.findings import Control, Findings, Violation, command_of
from sim.search.renewals.column import CLOCKS, TROUBLES, Renewed, steps

FLEET = 10_000
KEPT = "no column is lost when certificates change"
CONTROLS: dict[str, Control] = {
    "kept-without-session": Control("new certificates are kept untried", KEPT),
    "trial-without-end": Control("a column waits for ever for a session with new certificates", KEPT),
}
KINDS = frozenset((*TROUBLES, *(f"clock {name}" for name in CLOCKS)))
_SHOWN_MAX = 10


def _keep(proving_one: Any) -> int:
    proving_one._keep()
    return 2000


def _wait(_: Any) -> None:
    """Nobody goes back."""


_BREAKS: dict[str, list[tuple[Any, str, Any]]] = {
    "kept-without-session": [(proving.Proving, "step", _keep)],
    "trial-without-end": [(proving.Proving, "_go_back", _wait), (renewed, "_TRIES_MAX", 1 << 30)],
}


def attempt(number: int) -> tuple[str, set[str], float]:
    """What went wrong with that column (empty: nothing), what happened to it, and for how long it lived (s)."""
    column = Renewed(number)
    for step in steps():
        why = column.perform(step)
        if why:
            break
    return why or column.presses(), column.fired, column.world.now_ms / 1000


def run(budget_s: float, seed: int, control: str | None, say: Callable[[str], None]) -> Findings:
    """The fleet, or as much of it as the budget lets."""
    return explore(FLEET, budget_s, seed, control, say)


def explore(count: int, budget_s: float, seed: int, control: str | None, say: Callable[[str], None]) -> Findings:
    findings = Findings("Certificates that change", invariants=(KEPT,), kinds=KINDS)
    began_s = time.monotonic()
    with broken(control):
        for number in range(seed, seed + count):
            why, fired, lived_s = attempt(number)
            findings.runs += 1
            findings.simulated_s += lived_s
            findings.checks[KEPT] += 1
            findings.fired.update(fired)
            if why and len(findings.violations) < _SHOWN_MAX:
                text = f"{KEPT}: number {number}, {why}"
                findings.violations.append(Violation(text, command_of("renewals", str(number), control)))
            if number % 20 == 0:
                say(f"renewals: {findings.runs} columns, {len(findings.violations)} lost")
            if time.monotonic() - began_s > budget_s:
                break
    findings.wall_s = time.monotonic() - began_s
    findings.figures = {"columns": f"{findings.runs:,} of {count:,}"}
    return findings


def broken(control: str | None) -> ExitStack:
    """Columns are broken like that meanwhile."""
    stack = ExitStack()
    if control is not None:
        for one in _BREAKS[control]:
            stack.enter_context(mock.patch.object(*one))
    return stack


def replay(what: str, control: str | None) -> int:
    """`what`: a column's number. 1 = it happened again."""
    with broken(control):
        why, fired, _ = attempt(int(what))
    print(why or "as it should be", sorted(fired))
    return int(bool(why))
