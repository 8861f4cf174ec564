"""Exercises: calls that ask for no help, raised by a column at the desk's word, to see whether somebody answers.

Real calls always win: none begins while a call is open, and one that is open ends as soon as somebody presses. No
exercise climbs the ladder, sends a patrol or stands among the calls. Pure but for the dice.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence

from desk.batch import Batch
from desk.ledger import NEW, Incident, Ledger, LedgerError
from desk.register import Register

MISSED_MS = 180_000
"""Nobody accepted it for so long: it ends as missed."""
DISGUISE_S = 20
"""For so long it looks like any call on an operator's screen."""
WEEK_MS = 7 * 24 * 3_600_000
REAL_CALL, MISSED = "real-call", "missed"


def is_exercise(incident: Incident) -> bool:
    """A press of a person would make it a call for good."""
    return not incident.actual and incident.alarm["status"] == "exercise"


def refuse_patrol(incident: Incident | None) -> None:
    """Raises LedgerError."""
    if incident is not None and is_exercise(incident):
        raise LedgerError(f"{incident.id} is an exercise: nobody is sent", code="exercise-dispatch")


def refuse_while_open(incidents: Iterable[Incident]) -> None:
    """Raises LedgerError."""
    if any(one.is_open and (one.actual or is_exercise(one)) for one in incidents):
        raise LedgerError("a call is open: no exercise now", code="calls-open")


class Exercises:
    """Of one desk, `a_week` of them by itself. Nobody can tell the next one from the last."""

    def __init__(self, name: str, a_week: float, dice: random.Random | None = None) -> None:
        self._name, self._a_week, self._dice = name, a_week, dice or random.Random()

    def end(self, batch: Batch, ledger: Ledger, open_: Sequence[Incident], now_ms: int) -> None:
        """Those that nobody has accepted, and all when a person calls. `open_`: what asks somebody."""
        calls = any(one.actual for one in open_)
        for incident in filter(is_exercise, open_):
            waits = incident.state in (NEW, "received")
            if not calls and not (waits and not 0 <= now_ms - incident.first_s * 1000 < MISSED_MS):
                continue
            ledger.advance(incident.id, "closed", self._name, "other", now_ms)
            why = {"why": REAL_CALL if calls else MISSED}
            batch.entries.append((incident.id, now_ms, "exercise-ended", self._name, why))
            batch.answer(incident.id)

    def is_due(self, register: Register, now_ms: int) -> bool:
        """Whether one is to begin now; then the next is drawn. The register keeps it over a restart."""
        if not self._a_week:
            return False
        due_ms = register.number("exercise_ms")
        if due_ms is None or now_ms >= due_ms:
            register.put_number("exercise_ms", now_ms + round(self._dice.expovariate(self._a_week / WEEK_MS)))
        return due_ms is not None and now_ms >= due_ms

    def one_of(self, device_ids: Sequence[str]) -> str:
        """Any of them."""
        return self._dice.choice(device_ids)

    def read_back(self, batch: Batch, incident: Incident | None, by: str, text: str, now_ms: int) -> None:
        """Raises LedgerError."""
        if incident is None or not is_exercise(incident):
            raise LedgerError("this is no exercise", code="exercise-none")
        detail = {"text": text, "right": is_right(text, incident.alarm["location"]["address"])}
        batch.entries.append((incident.id, now_ms, "readback", by, detail))


def is_right(read: str, address: str) -> bool:
    """Whether what was read back names the place: every number of the address, and half of its words."""
    words = re.findall(r"\w+", address.casefold())
    said = set(re.findall(r"\w+", read.casefold()))
    numbers = {word for word in words if word[0].isdigit()}
    names = {word for word in words if not word[0].isdigit() and len(word) > 2}
    return numbers <= said and 2 * len(names & said) >= len(names) and bool(said)
