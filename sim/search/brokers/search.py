"""Real brokers under real faults: columns in real time, mosquitto, a spoiling proxy before each, thousands of presses.

See brokers_column.py for how the presses are counted, brokers_faults.py for what goes wrong. A run is not repeated
exactly by its seed, since the machine's own timing takes part; the plan of faults is.
"""

import time
from collections.abc import Callable, Sequence

from sim.search.brokers.column import INVARIANTS
from sim.search.brokers.controls import BREAKS as BREAKS
from sim.search.brokers.controls import CONTROLS as CONTROLS
from sim.search.brokers.faults import KINDS, LANE_KINDS
from sim.search.brokers.run import MUTUAL, PLAIN, POLL_S, Spec, Stage
from sim.search.findings import Findings, Violation, command_of

HEAL_SHARE, HEAL_MAX_S = 0.2, 30.0  # of the budget: when the faults end
SHOWN_MAX = 20

SPECS = (
    Spec("saw-a", "cpython", PLAIN, saws=True),
    Spec("saw-b", "cpython", PLAIN, saws=True),
    Spec("plain-a", "cpython", PLAIN),
    Spec("plain-b", "cpython", PLAIN),
    Spec("tls-a", "cpython", MUTUAL),
    Spec("tls-b", "cpython", MUTUAL),
    Spec("chip-64", "micropython", MUTUAL),
    Spec("chip-32", "micropython32", PLAIN),
)


def run(budget_s: float, seed: int, control: str | None, say: Callable[[str], None]) -> Findings:
    """Press for `budget_s` seconds (real time; all processors are used), then heal everything and compare."""
    return campaign(SPECS, budget_s, seed, control, say)


def replay(what: str, control: str | None) -> int:
    """`what` = SEED:SECONDS, as a violation names it. Real time: a rare one may need more than one try."""
    seed, _, seconds = what.partition(":")
    findings = run(float(seconds), int(seed), control, lambda text: print(text, flush=True))
    for violation in findings.violations:
        print(violation.text)
    return int(bool(findings.violations))


def campaign(
    specs: Sequence[Spec], budget_s: float, seed: int, control: str | None, say: Callable[[str], None]
) -> Findings:
    """`run`, with other columns. Raises KeyError for an unknown control, toolbox.ToolMissing for a missing tool."""
    if control is not None:
        CONTROLS[control]  # a wrong name is found out before anything is started
    start_s = time.monotonic()
    with Stage(specs, seed, control) as stage:
        stage.trouble()
        end_s = start_s + budget_s - min(HEAL_SHARE * budget_s, HEAL_MAX_S)
        while time.monotonic() < end_s and not (control and stage.book.wrong):
            time.sleep(POLL_S)
            say(f"brokers: {stage.summary()}, {max(0, round(end_s - time.monotonic()))} s to go")
        stage.heal()
        say("brokers: everything is whole again, the last presses arrive")
        stage.settle()
    return _findings(stage, f"{seed}:{budget_s:g}", time.monotonic() - start_s, control)


def _findings(stage: Stage, again: str, wall_s: float, control: str | None) -> Findings:
    book, columns = stage.book, stage.columns.values()
    for column in columns:
        for kind in LANE_KINDS:
            book.fired[kind] += column.proxy.fired[kind]
    command = command_of("brokers", again, control)
    found = Findings("real brokers", runs=len(columns), wall_s=wall_s, simulated_s=wall_s * len(columns))
    found.invariants, found.fired, found.kinds = INVARIANTS, book.fired, KINDS
    for column in columns:
        found.checks.update(column.checks)
    found.violations = [Violation(text, command) for text in book.wrong[:SHOWN_MAX]]
    if len(book.wrong) > SHOWN_MAX:
        found.violations.append(Violation(f"... and {len(book.wrong) - SHOWN_MAX} more", command))
    found.figures = stage.figures()
    found.tables = [stage.column_table(), stage.fault_table()]
    return found
