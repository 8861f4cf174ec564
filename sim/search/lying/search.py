"""Lives under a lying broker, one after another; life number N is the same on every machine.

Column and desk are the real ones, with proof from end to end on; network, flash and time are the virtual world's.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from contract import authentic as proof
from desk.origin import PROVEN, Origins, Voice
from sim.search.findings import Control, Findings, Violation, command_of
from sim.search.lying.liar import FATES
from sim.search.lying.life import HONEST_S, LYING_S, Life
from sim.search.lying.promises import COMMANDS, FORGED, PROMISES, REPLAYED, TOLD

from firmware.proven import Proven  # isort: skip - after the world, which lets it find its own

LIES = ("replay", "swap", "strip", "alter", "forge")
KINDS = frozenset([*FATES, *(f"{lie} to the {to}" for lie in LIES for to in ("column", "desk")), "register lost"])
CONTROLS = {
    "replay-accepted": Control("the desk takes whatever carries a proof for new", REPLAYED),
    "command-replayed": Control("the column looks at no number, and forgets the ids that it has obeyed", COMMANDS),
    "proof-not-checked": Control("the column takes any proof for good", COMMANDS),
    "forged-counts": Control("the desk takes any proof for good", FORGED),
    "fault-not-checked": Control("the desk takes births, faults and events without a proof", TOLD),
}
SHOWN_MAX = 10


def run(budget_s: float, seed: int, control: str | None, say: Callable[[str], None]) -> Findings:
    """As many lives as the budget lets, one at least."""
    began_s = time.monotonic()
    findings = Findings("lives under a lying broker", invariants=PROMISES, kinds=KINDS)
    with applied(control):
        while findings.runs == 0 or (time.monotonic() - began_s < budget_s and len(findings.violations) < SHOWN_MAX):
            number = seed + findings.runs
            life = perform(number)
            findings.runs += 1
            findings.simulated_s += LYING_S + HONEST_S
            findings.checks.update(life.judge.checks)
            findings.fired.update(life.fired)
            replayed = command_of("lying", str(number), control)
            findings.violations += [Violation(line, replayed) for line in life.judge.violations]
            say(f"{findings.runs} lives, {len(findings.violations)} wrong")
    findings.wall_s = time.monotonic() - began_s
    return findings


def perform(number: int) -> Life:
    """One life, judged."""
    logging.getLogger("desk").setLevel(logging.CRITICAL)  # it has much to say of such a broker
    try:
        with tempfile.TemporaryDirectory(prefix="sos-lying-") as folder:
            life = Life(number, Path(folder))
            life.perform()
            return life
    finally:
        logging.getLogger("desk").setLevel(logging.NOTSET)


def replay(what: str, control: str | None) -> int:
    """`what`: a life's number. 1 = it happened again."""
    with applied(control):
        life = perform(int(what))
    print(*life.judge.violations or ["every promise was kept"], sep="\n")
    return int(bool(life.judge.violations))


def _forgets_ids(original: Any) -> Any:
    def receive(commands: Any, payload: bytes) -> None:
        commands.seen = []
        original(commands, payload)

    return receive


@contextmanager
def applied(control: str | None) -> Iterator[None]:
    """Column or desk are broken like that meanwhile."""
    from firmware.commands import Commands

    with ExitStack() as stack:
        if control == "replay-accepted":
            stack.enter_context(mock.patch.object(Origins, "_weigh", lambda *_: PROVEN))
        elif control == "command-replayed":
            stack.enter_context(mock.patch.object(Proven, "objection", lambda *_: None))
            stack.enter_context(mock.patch.object(Commands, "receive", _forgets_ids(Commands.receive)))
        elif control == "proof-not-checked":
            stack.enter_context(mock.patch.object(Proven, "is_sealed", lambda *_: True))
        elif control == "forged-counts":
            stack.enter_context(mock.patch.object(proof, "is_sealed", lambda *_: True))
        elif control == "fault-not-checked":
            stack.enter_context(mock.patch.object(Voice, "must_prove", lambda *_: False))
        yield
