"""What operators do about the columns' upkeep, and what the duty does for it."""

from __future__ import annotations

import contextlib
import hmac
import logging
import sqlite3
from collections.abc import Mapping
from typing import Any

from common.receiver import label_key
from desk.batch import STATUS, Change
from desk.duty_part import DutyPart
from desk.ledger import BY_MAX, Incident, LedgerError
from desk.limits import NOTE_MAX, wording
from desk.origin import Origins
from desk.register import Register
from desk.upkeep import orders, receiver, report, store
from desk.upkeep.keeper import Keeper
from desk.upkeep.life import CAUSES
from desk.upkeep.orders import WorkOrder
from desk.upkeep.roster import Roster, findings
from desk.watched_file import WatchedFile

log = logging.getLogger(__name__)


class Office(DutyPart):
    """The half of Duty that orders, corrections and maintenance are in."""

    name: str
    register: Register
    keeper: Keeper
    _roster: Roster
    _roster_file: WatchedFile[Roster] | None
    _origins: Origins
    _answer_key: bytes | None
    _told: list[Change]

    def overview(self, now_ms: int) -> dict[str, Any]:
        """Everything about all columns. They are compared with each other outside the lock: no call waits for that."""
        with self._lock:
            found = report.overview(self.keeper, self._ledger.columns, now_ms)
            columns, first = dict(self._ledger.columns), dict(self.keeper.first)
        refused = self._roster_file.trouble if self._roster_file is not None else ""
        found["roster_refused"], found["keys_refused"] = refused, self._origins.keys.trouble
        return report.with_findings(found, findings(self._roster, columns, now_ms, first))

    def look_at_files(self) -> None:
        """Read again what has changed: the columns' keys, the roster. A bad one changes nothing but what is said."""
        known, file = self._origins.keys, self._roster_file
        before = known.trouble
        keys = known.look() or known.trouble != before
        is_new = file is not None and file.look()
        if file is not None and is_new and file.trouble:
            log.error("desk %s: the new roster is refused, the old one stays: %s", self.name, file.trouble)
        elif file is not None and is_new:
            self._roster = file.content
            log.warning("desk %s: the roster was read again: %d columns", self.name, len(self._roster.entries))
        if keys or is_new:
            with contextlib.suppress(sqlite3.Error), self._changing():  # a keeper made later takes it by itself
                self.keeper.take_roster(self._roster)
                self._told.append(STATUS)

    def voice(self, device_id: str, verdict: str) -> None:
        """What the voice proof of a column's intercom has shown."""
        with self._changing():
            if verdict == "ok":
                self.keeper.voices.pop(device_id, None)
                self.keeper.prove(device_id, "voice", self._now_ms(), "tones heard back")
            else:
                self.keeper.voices[device_id] = verdict
            self._told.append(Change("column", device_id))

    def intercoms(self) -> dict[str, str]:
        """The SIP address of each column that has one and no open call, as its latest alarm or drill names it."""
        sql = (
            "SELECT device_id, json_extract(alarm, '$.stream.sip') AS sip FROM incident AS one WHERE received_ms ="
            " (SELECT max(received_ms) FROM incident WHERE device_id = one.device_id)"
            " AND NOT EXISTS (SELECT 1 FROM incident WHERE device_id = one.device_id AND state != 'closed'"
            " AND status = 'actual')"
        )
        return {row["device_id"]: row["sip"] for row in self.register.ask(sql) if row["sip"]}

    def prove(self, device_id: str, link: str, how: str) -> None:
        """A link of a column's chain was proven by another part of the desk: a picture that was seen, a voice heard."""
        with self._changing():
            self.keeper.prove(device_id, link, self._now_ms(), how)

    def muted(self, now_ms: int) -> dict[str, int]:
        """The columns in maintenance whose presses do not ring, and until when."""
        with self._lock:
            kept = self.keeper.orders.values()
            return {one.device_id: one.until_ms for one in kept if one.until_ms is not None and one.mutes(now_ms)}

    def expected(self, device_id: str, location: Mapping[str, Any]) -> dict[str, str] | None:
        """The roster's address and place of a column that says another one; None: it says the same, or nobody knows."""
        entry = self._roster.entries.get(device_id)
        if entry is None or entry.agrees(location):
            return None
        return {"address": entry.address, "geo": entry.geo}

    def column_key(self, device_id: str) -> bytes | None:
        """The column's own, from provisioning; None: it is not here, or the column was stolen."""
        return None if device_id in self._origins.keys.revoked else self._origins.keys.of(device_id)

    def is_label(self, device_id: str, key: str) -> bool:
        """Whether that stands in the code on the column's label. Without a key there are no such labels."""
        wanted = label_key(self._answer_key, device_id) if self._answer_key is not None else ""
        return bool(wanted) and hmac.compare_digest(wanted.encode(), key.encode("utf-8", "replace"))

    def correct(self, device_id: str, from_ms: int, cause: str, by: str, reason: str) -> None:
        """Give a time that a column was down another cause. Raises LedgerError, as all of these do."""
        by, reason = wording(by, "name", BY_MAX), wording(reason, "reason", NOTE_MAX)
        _check_cause(cause)
        with self._changing():
            self._commit()
            span = store.span(self.register, device_id, from_ms)
            self.keeper.correct(span, cause, by, reason, self._now_ms())
            self._commit()
            self._told.append(Change("column", device_id))

    def open_order(
        self, device_id: str, by: str, *, what: str, who: str, cause: str, until_ms: int | None, maintenance: bool
    ) -> WorkOrder:
        """Somebody is to see to a column; `maintenance`: from now until then its presses do not ring."""
        by, what = wording(by, "name", BY_MAX), wording(what, "what", orders.WHAT_MAX)
        who = wording(who, "who", orders.WHO_MAX)
        with self._changing():
            now_ms = self._now_ms()
            if device_id not in self._ledger.columns and device_id not in self._roster.entries:
                raise LedgerError(f"column {device_id!r} has not been heard of yet", code="column-unheard")
            _check_cause(cause)
            if until_ms is not None and not now_ms < until_ms <= now_ms + orders.UNTIL_MAX_MS:
                raise LedgerError("until: must be later than now, and within a year", code="order-until")
            if maintenance and (until_ms is None or until_ms > now_ms + orders.MAINTENANCE_MAX_MS):
                raise LedgerError("maintenance needs an end within seven days", code="maintenance-until")
            order = WorkOrder(0, device_id, cause, what, who, maintenance, now_ms, by, None, until_ms)
            order = self.keeper.open_order(order)
            self._commit()
            self._told.append(Change("column", device_id))
            return order

    def assign_order(self, n: int, who: str, until_ms: int | None) -> WorkOrder:
        """Who sees to it, and until when."""
        with self._changing():
            now_ms = self._now_ms()
            if until_ms is not None and not now_ms < until_ms <= now_ms + orders.UNTIL_MAX_MS:
                raise LedgerError("until: must be later than now, and within a year", code="order-until")
            order = self.keeper.assign(n, wording(who, "who", orders.WHO_MAX), until_ms)
            self._commit()
            self._told.append(Change("column", order.device_id))
            return order

    def finish_order(self, n: int, by: str) -> WorkOrder:
        """The work is done: the order is over when a drill has passed, which is asked for now."""
        with self._changing():
            order = self.keeper.finish(n, wording(by, "name", BY_MAX))
            self._commit()
            self._told.append(Change("column", order.device_id))
        with contextlib.suppress(sqlite3.Error), self._changing():
            self._send_wishes()
        return order

    def _send_wishes(self) -> None:
        """What the keeper wants columns to do, in order. Without a broker it waits."""
        if not self._calls.stands:
            return
        wishes, self.keeper.wishes = self.keeper.wishes, []
        for wish in wishes:
            column = self._ledger.columns.get(wish.device_id)
            if column is not None:
                self._command(column.region, wish.device_id, wish.cmd, self.name, wish.more)

    def _receiver(self, incident: Incident) -> dict[str, Any]:
        """Who answers a drill, and the place that is known here for the column: the roster's, else what it said."""
        entry, location = self._roster.entries.get(incident.device_id), incident.alarm["location"]
        place = (entry.address, entry.geo) if entry else (location["address"], location["geo"])
        return receiver.receiver(
            self._answer_key, self._roster.centre or self.name, incident.device_id, incident.id, place
        )


def _check_cause(cause: str) -> None:
    if cause not in CAUSES:
        raise LedgerError(f"cause {cause!r}: give one of {', '.join(CAUSES)}")
