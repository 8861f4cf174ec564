"""The keeper: hears with the desk what columns say, and knows of each what is proven, how it lives, who repairs it.

It lives behind the duty's lock, has no clock and no disk of its own: what there is to write goes into the duty's batch,
and what there is to send is a wish. When the register does not take a batch, a new keeper begins with what is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from contract.validator import Topic
from desk.ledger import Column, LedgerError
from desk.register import Register
from desk.silence import OFFLINE, SILENT, Presence
from desk.upkeep import chain, life, orders, store
from desk.upkeep.chain import Link
from desk.upkeep.hearing import Hearing
from desk.upkeep.life import DOWN, Judged, Lives, Span
from desk.upkeep.orders import WorkOrder
from desk.upkeep.roster import COLUMNS_MAX, Roster
from desk.upkeep.store import Statement

LOOK_MS = 1000
PROOF_MS = 10_000  # between two looks at the whole chain of a column
WRITTEN_MS = 60_000  # a proof that is only so much newer than the one on the disk is not written
MAINTAIN_S = 3600  # so long a column stays in maintenance that hears nothing more of it
MAINTAIN_AGAIN_MS = MAINTAIN_S * 1000 // 2
LOW = "its supply was low"


class Wish(NamedTuple):
    """A command to be sent. `more`: further keys of it."""

    device_id: str
    cmd: str
    more: dict[str, Any]


class Keeper:
    """`button_days`: for how long a press by hand proves the button."""

    def __init__(
        self, register: Register, roster: Roster | None = None, *, now_ms: int, button_days: int = chain.BUTTON_DAYS
    ) -> None:
        self.roster, self.button_days = roster or Roster.nothing(), button_days
        self.statements: list[Statement] = []
        self.wishes: list[Wish] = []
        self.proofs = store.proofs(register)
        self.first = store.first_sessions(register)
        self.orders: dict[int, WorkOrder] = {}
        self._of: dict[str, dict[int, WorkOrder]] = {}
        for order in store.orders(register, is_open=True):
            self._keep(order)
        self._next_order = store.next_order(register)
        self._written = {
            (name, link): at_ms for name, known in self.proofs.items() for link, (at_ms, _) in known.items()
        }
        self._lives = Lives(store.latest_spans(register))
        self._hearing = Hearing(store.boots(register))
        self._counted_ms = now_ms
        self._boots: dict[str, int] = {}
        """The boot number with which a column was lost."""
        self._tampered: dict[str, int] = {}
        self._maintained_ms: dict[str, int] = {}
        self._chains: dict[str, tuple[int, bool]] = {}
        self.voices: dict[str, str] = {}
        """What is wrong with an intercom, by the voice proof."""
        self._looked_ms = -LOOK_MS
        self._listened = False
        self._was_away(register.alive_ms(), now_ms)

    def take_roster(self, roster: Roster) -> None:
        """Other columns should be there from now on: what is known of each stays."""
        self.roster = roster
        self._chains.clear()

    def _was_away(self, alive_ms: int, now_ms: int) -> None:
        """While this process did not run nobody was there to answer: that is the desk's, whatever the columns did."""
        if not 0 < alive_ms < now_ms:
            return
        away = Judged(DOWN, life.DESK, "the desk did not run", alive_ms)
        last = self._lives.latest
        judged = {name: away for name, span in last.items() if not span.loss and span.cause != life.MAINTENANCE
                  and span.state != life.GONE and name in self.first}  # fmt: skip
        self._write_spans(self._lives.look(judged, now_ms))

    # What is heard

    def heard(self, parts: Topic, document: Mapping[str, Any], *, retain: bool, now_ms: int) -> None:
        """A valid message of a column that is watched. What the broker had in store proves nothing."""
        device_id = parts.device_id
        if retain or not self._is_watched(device_id):
            return
        proofs = chain.proofs(parts, document, now_ms)
        for link, at_ms, how in proofs:
            self.prove(device_id, link, at_ms, how)
        if parts.kind in ("info", "heartbeat"):
            self._hearing.told(device_id, document, now_ms)
            self._explain(device_id, document)
        if parts.kind == "info":
            self._came(device_id, document, now_ms)
        elif parts.kind == "fault" and parts.rest == "tamper" and document:
            self._tampered[device_id] = now_ms
            if self._lives.was_lost(device_id):
                self._revise(device_id, life.VANDALISM, "the housing was open", now_ms)
        elif parts.kind == "event" and document["event"] == "link-reset":
            self._revise(device_id, life.LINK, "it reset its chip for want of a network", now_ms)
        if any(proof.link == "drill" for proof in proofs):
            self._drilled(device_id, now_ms)

    def prove(self, device_id: str, link: str, at_ms: int, how: str) -> None:
        """A link of the chain was proven. For other parts of the desk, too: a picture that was seen, a voice heard."""
        known = self.proofs.setdefault(device_id, {})
        if known.get(link, (-1, ""))[0] >= at_ms:
            return
        known[link] = (at_ms, how)
        if at_ms - self._written.get((device_id, link), -WRITTEN_MS) >= WRITTEN_MS:
            self._written[device_id, link] = at_ms
            self.statements.append(store.put_proof(device_id, link, at_ms, how))

    def answered(self, device_id: str, now_ms: int) -> None:
        """The broker has taken this desk's answer to an alarm of the column."""
        self.prove(device_id, "desk", now_ms, "answer")

    def _came(self, device_id: str, info: Mapping[str, Any], now_ms: int) -> None:
        if device_id not in self.first:
            self.first[device_id] = now_ms
            self.statements.append(store.put_first(device_id, now_ms, info["hw"]["uid"][:80]))
        if self.maintenance(device_id) is not None:
            self._maintained_ms.pop(device_id, None)  # it has started anew, maybe: tell it again
        if any(order.closed_by for order in self._orders_of(device_id)):
            self.wishes.append(Wish(device_id, "drill", {}))

    # How a column lives

    def look(
        self,
        columns: Mapping[str, Column],
        presence: Callable[[str], Presence | None],
        now_ms: int,
        *,
        listening: bool,
    ) -> None:
        """Whatever is so now; call it often."""
        if 0 <= now_ms - self._looked_ms < LOOK_MS:
            return
        self._looked_ms = now_ms
        self._listened = self._listened or listening
        if not listening:
            self._hearing.deaf()
        if not 0 <= now_ms - self._counted_ms < WRITTEN_MS:
            self._counted_ms = now_ms
            self.statements += [store.put_heard(*one) for one in self._hearing.take()]
        judged = {
            name: self._judge(name, columns.get(name), presence(name), now_ms, listening=listening)
            for name in self.roster.entries.keys() | columns.keys()
            if self._is_watched(name)
        }
        gone = dict.fromkeys(self._lives.latest.keys() - judged.keys() if self.roster.known else (), Judged(life.GONE))
        begun = self._lives.look({**judged, **gone}, now_ms)
        for span in begun:
            if span.loss and span.device_id in columns:
                self._boots[span.device_id] = columns[span.device_id].boot
        self._write_spans(begun)
        for name in judged:
            self._see_order(name, now_ms)
        if listening:
            self._maintain(now_ms)

    def _is_watched(self, device_id: str) -> bool:
        """With a roster, its columns; without one, as many as there may be: nobody fills the register with names."""
        if self.roster.known:
            return device_id in self.roster.entries
        return device_id in self._lives.latest or len(self._lives.latest) < COLUMNS_MAX

    def _judge(
        self, device_id: str, column: Column | None, presence: Presence | None, now_ms: int, *, listening: bool
    ) -> Judged:
        order, last = self.maintenance(device_id), self._lives.latest.get(device_id)
        if order is not None:
            return Judged(DOWN, life.MAINTENANCE, f"order {order.n}")
        if column is None or device_id not in self.first and not column.heartbeat and not column.info:
            return Judged(DOWN, life.UNKNOWN, "it never came online")
        if presence is not None and presence.kind in (SILENT, OFFLINE):
            return self._lost(device_id, column, presence)
        if not listening:
            return self._deaf(last)
        if presence is None and last is not None and last.cause != life.MAINTENANCE:
            return Judged(last.state, last.cause, last.why, lost=bool(last.loss))  # too early to tell
        fault = next((name for name in life.OF_FAULT if name in column.faults), None)
        if fault is not None:
            return Judged(DOWN, life.OF_FAULT[fault], f"fault {fault}")
        return Judged(life.PROVEN if presence is not None and self._is_proven(column, now_ms) else life.PRESUMED)

    def _deaf(self, last: Span | None) -> Judged:
        """Without a broker nobody's call is heard; who was lost before still is."""
        if last is not None and (last.loss or last.cause == life.DESK and not self._listened):
            return Judged(last.state, last.cause, last.why, lost=bool(last.loss))
        return Judged(DOWN, life.BROKER, "the desk has no broker")

    def _lost(self, device_id: str, column: Column, presence: Presence) -> Judged:
        """Nothing is heard of it: what was seen before says why, until it tells by itself."""
        cause, why = self._seen_before(device_id, column, presence.since_ms) or (life.UNKNOWN, "nothing is heard of it")
        return Judged(DOWN, cause, why, presence.since_ms, lost=True)

    def _seen_before(self, device_id: str, column: Column, since_ms: int) -> tuple[str, str] | None:
        if any(one.cause == life.WORKS for one in self._orders_of(device_id)):
            return life.WORKS, "an order for works is open"
        if "tamper" in column.faults or since_ms - self._tampered.get(device_id, -life.TAMPER_MS) < life.TAMPER_MS:
            return life.VANDALISM, "the housing was open"
        if "supply" in column.faults:
            return life.SUPPLY, LOW
        return None

    def _explain(self, device_id: str, document: Mapping[str, Any]) -> None:
        """A column that was lost is back, and says whether it has started anew."""
        if not self._lives.was_lost(device_id):
            return
        span = self._lives.latest[device_id]
        before, boot, reset = self._boots.get(device_id), document["boot"], document["reset"]
        cause, why = life.of_reset(reset["cause"] if isinstance(reset, Mapping) else reset)
        if boot == before:
            cause, why = life.LINK, "it ran on, and nothing was heard of it"
        if span.cause in (life.WORKS, life.VANDALISM) or span.why == LOW:
            cause, why = span.cause, span.why  # seen before, and nothing that it says speaks against it
        self._revise(device_id, cause, why, self._looked_ms)

    def _revise(self, device_id: str, cause: str, why: str, now_ms: int) -> None:
        for revision in self._lives.tell(device_id, cause, why):
            self.statements += store.revise(revision, now_ms)
            for order in self._orders_of(revision.device_id):
                if order.down_ms == revision.from_ms:
                    self._put_order(order._replace(cause=revision.cause))

    def correct(self, span: Span | None, cause: str, by: str, reason: str, now_ms: int) -> None:
        """A person knows better. Raises LedgerError."""
        if span is None or span.state != DOWN:
            raise LedgerError("no time that the column was down begins there", code="no-downtime")
        last = self._lives.latest.get(span.device_id)
        if last is not None and last.from_ms == span.from_ms:
            self._lives.latest[span.device_id] = last._replace(cause=cause, by=by, why=reason)
        self.statements += store.correct(span, cause, by, reason, now_ms)

    def _is_proven(self, column: Column, now_ms: int) -> bool:
        looked_ms, found = self._chains.get(column.device_id, (-PROOF_MS, False))
        if not 0 <= now_ms - looked_ms < PROOF_MS:
            found = chain.is_proven(self.chain(column.device_id, column, now_ms), chain.CALL)
            self._chains[column.device_id] = (now_ms, found)
        return found

    def _write_spans(self, spans: Iterable[Span]) -> None:
        for span in spans:
            self.statements += store.put_span(span)

    # What can be asked

    def chain(self, device_id: str, column: Column | None, now_ms: int) -> list[Link]:
        """Every link of one column's chain."""
        known = self.proofs.get(device_id, {})
        wrong = {"voice": self.voices[device_id]} if device_id in self.voices else {}
        entry = self.roster.entries.get(device_id)
        return chain.links(column, entry, known, now_ms, self.button_days, wrong)

    def span(self, device_id: str) -> Span | None:
        """How the column lives now."""
        return self._lives.latest.get(device_id)

    def maintenance(self, device_id: str) -> WorkOrder | None:
        """The order by which the column is in maintenance."""
        return next((one for one in self._orders_of(device_id) if one.maintenance), None)

    def mutes(self, device_id: str, now_ms: int) -> bool:
        """Whether a press of that column does not ring."""
        order = self.maintenance(device_id)
        return order is not None and order.mutes(now_ms)

    # Work orders

    def open_order(self, order: WorkOrder) -> WorkOrder:
        """Enter one; its number is given here. Raises LedgerError."""
        if order.maintenance and self.maintenance(order.device_id) is not None:
            raise LedgerError(f"{order.device_id} is in maintenance already", code="in-maintenance")
        order = order._replace(n=self._next_order)
        self._next_order += 1
        self._put_order(order)
        self._maintained_ms.pop(order.device_id, None)
        return order

    def assign(self, n: int, who: str, until_ms: int | None) -> WorkOrder:
        """Who sees to it, and until when. Raises LedgerError."""
        order = self._order(n)._replace(who=who, until_ms=until_ms)
        self._put_order(order)
        return order

    def finish(self, n: int, by: str) -> WorkOrder:
        """The work is done, says somebody: a drill has to pass, then the order is over. Raises LedgerError."""
        order = self._order(n)._replace(closed_by=by)
        self._put_order(order)
        self.wishes.append(Wish(order.device_id, "drill", {}))
        return order

    def _order(self, n: int) -> WorkOrder:
        if n not in self.orders:
            raise LedgerError(f"no open order {n}", code="no-order", n=n)
        return self.orders[n]

    def _put_order(self, order: WorkOrder) -> None:
        self.statements.append(store.put_order(order))
        self._keep(order)

    def _keep(self, order: WorkOrder) -> None:
        mine = self._of.setdefault(order.device_id, {})
        if order.is_open:
            self.orders[order.n] = mine[order.n] = order
            return
        for kept in (self.orders, mine):
            kept.pop(order.n, None)

    def _orders_of(self, device_id: str) -> list[WorkOrder]:
        return list(self._of.get(device_id, {}).values())

    def _see_order(self, device_id: str, now_ms: int) -> None:
        """A column that is down for long gets an order; one that is back has been repaired."""
        span = self._lives.latest[device_id]
        mine = [order for order in self._orders_of(device_id) if not order.maintenance]
        if span.state != DOWN:
            for order in mine:
                if order.repaired_ms is None and order.down_ms is not None:
                    self._put_order(order._replace(repaired_ms=max(span.from_ms, order.down_ms)))
            return
        for order in mine:
            if order.repaired_ms is not None:
                self._put_order(order._replace(repaired_ms=None))
        if not mine and span.cause not in orders.NOT_ORDERED and now_ms - span.from_ms >= orders.DOWN_MS:
            what, down_ms = span.why, span.from_ms
            self.open_order(WorkOrder(0, device_id, span.cause, what, "", False, now_ms, "", down_ms=down_ms))

    def _drilled(self, device_id: str, now_ms: int) -> None:
        """A drill has passed: what was repaired is proven to be, and maintenance that was to end is over."""
        for order in self._orders_of(device_id):
            if order.maintenance and order.closed_by:
                self._put_order(order._replace(repaired_ms=now_ms, closed_ms=now_ms))
                self.wishes.append(Wish(device_id, "maintain", {"for_s": 0}))
            elif not order.maintenance and (order.repaired_ms is not None or order.closed_by):
                repaired_ms = order.repaired_ms if order.repaired_ms is not None else now_ms
                self._put_order(order._replace(repaired_ms=repaired_ms, closed_ms=now_ms))

    def _maintain(self, now_ms: int) -> None:
        """Columns in maintenance say so on their lamps, as long as they hear so."""
        for order in self.orders.values():
            told_ms = self._maintained_ms.get(order.device_id)
            if order.mutes(now_ms) and (told_ms is None or not 0 <= now_ms - told_ms < MAINTAIN_AGAIN_MS):
                self._maintained_ms[order.device_id] = now_ms
                left_s = (order.until_ms - now_ms) // 1000 if order.until_ms is not None else 0
                self.wishes.append(Wish(order.device_id, "maintain", {"for_s": max(1, min(MAINTAIN_S, left_s))}))
