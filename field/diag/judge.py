"""From what a column answered to one finding for each line."""

from __future__ import annotations

from field.diag import board_checks, by_hand, network_checks
from field.diag.finding import LINES, Finding, Untold, Verdict, untested
from field.diag.interview import Column

CHECKS = {**board_checks.CHECKS, **network_checks.CHECKS, **by_hand.CHECKS}
FIRST = ("duty", "versions", "flash", "link", "lookup", "clock")  # others look at what these found


def judge(column: Column) -> list[Finding]:
    """In the order of LINES."""
    found: dict[str, Finding] = {}
    for line in (*FIRST, *(line for line in LINES if line not in FIRST)):
        found[line] = _one(line, column, found)
    return [found[line] for line in LINES]


def _one(line: str, column: Column, so_far: dict[str, Finding]) -> Finding:
    duty = so_far.get("duty")
    if duty is not None and duty.verdict is Verdict.FAIL and duty.says != "safe":
        return untested(line, "blocked", because="duty")
    try:
        finding: Finding = CHECKS[line](column, so_far)
    except Untold as why:
        return untested(line, why.says, _root(why.because, so_far), **why.values)
    except KeyError as missing:  # an older firmware knows less about itself
        return untested(line, "cannot-say", command=str(missing))
    return finding


def _root(because: str, so_far: dict[str, Finding]) -> str:
    """The line that failed, where `because` could itself not be tested for it."""
    finding = so_far.get(because)
    return finding.because if finding is not None and finding.because else because
