"""A call that nobody accepts, on its way up the ladder (desk/ladder.py). Pure: no clock, no network, no disk.

A step towards an officer is taken in this order, and each arrow is a commit of the register:

    claimed -> begun -> sent, failed or uncertain

Only what was begun can have left. So a desk that was killed knows at its next start: what was claimed is claimed
again, and what was begun without an end is *uncertain*: the timeline says so, and the step is taken once more, under
the same key, so that the receiver can tell a repeat.

Two desks at one broker take each step once. A claim goes out on the call's `ack` topic, and the broker brings all
claims to both in one order: the first has the step. A desk that hears no broker does not wait for that. A claim of a
desk of which nothing more is heard ends after LEASE_MS: the other takes the step, and says that it is uncertain. After
that, and after a restart, claims are of the next round: one that has lost and is heard late counts no more.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any

from desk.batch import Batch
from desk.ladder import DESKS, Plan, Step
from desk.ledger import NEW, Incident, Waiting
from desk.rungs import Rung, Telling, Word

CLAIMED, THEIRS, BEGUN, SENT, FAILED, UNCERTAIN = "claimed", "theirs", "begun", "sent", "failed", "uncertain"
ENDED = (SENT, FAILED, UNCERTAIN)
CLAIM_MS = 3_000
"""For so long a desk waits for its own claim to come back."""
LEASE_MS = 60_000
"""An officer's adapter takes less, all its waiting included."""
RETRY_MS = 2_000
"""After a step that certainly failed; the next time twice that."""
TRIES_MAX = 3
UNSURE_MAX = 2
"""An uncertain step is taken once more, and then never again."""


class Escalation:
    """`me`: this desk's unique name; `name`: what people call it. `fetch`: the rungs of a call that are kept elsewhere.
    `heard`: what other desks have said that is not to be heard again. What there is to write, to announce and to tell
    goes into the batch, in this order."""

    def __init__(
        self,
        plan: Plan,
        me: str,
        name: str,
        fetch: Callable[[str], Iterable[Rung]],
        heard: Container[tuple[Any, ...]] = (),
    ) -> None:
        self.plan, self._me, self._name, self._fetch, self._heard = plan, me, name, fetch, heard
        self._rungs: dict[str, dict[tuple[int, str], Rung]] = {}

    def recall(self, batch: Batch, begun: Iterable[Rung], now_ms: int) -> None:
        """At the start: what the process before had begun, and did not say how it ended."""
        for rung in begun:
            self._of(rung.incident_id)[rung.opening, rung.step] = rung
            rung.unsure += 1
            self._put(batch, rung, UNCERTAIN, now_ms, "the desk ended while it was under way")

    def resume(self, batch: Batch, unrecorded: Iterable[Rung], now_ms: int) -> None:
        """At the start: the same of what was done while the register took nothing, with how it ended."""
        for rung in unrecorded:
            if rung.state == BEGUN:
                self.recall(batch, [rung], now_ms)
            elif rung.state in ENDED:
                self._put(batch, rung, rung.state, rung.at_ms, rung.why)

    def look(self, batch: Batch, incidents: Iterable[Incident], now_ms: int, *, together: bool) -> None:
        """Often. `incidents`: all, or those that wait at least. `together`: the other desks can be heard."""
        waiting = [one for one in incidents if is_waiting(one)]
        for gone in self._rungs.keys() - {one.id for one in waiting}:
            if all(rung.state in ENDED for rung in self._rungs[gone].values()):
                del self._rungs[gone]
        for incident in waiting:
            self._wait(batch, incident, now_ms)
            for step in self.plan.steps(incident.region, incident.alarm["location"]["site"]):
                self._climb(batch, incident, step, now_ms, together)

    def heard(self, batch: Batch, incident: Incident, ack: dict[str, Any], now_ms: int) -> None:
        """An answer that passed the broker, this desk's own too."""
        if not incident.actual:
            return
        unanswered_s, ladder = ack.get("unanswered_s", 0), ack.get("ladder")
        if unanswered_s and is_waiting(incident):
            self._wait(batch, incident, now_ms)
            self._hear_unanswered(batch, incident, unanswered_s, now_ms)
        if ladder is not None:
            self._hear_word(batch, incident, ladder, now_ms)

    def words(self, ended: Iterable[Rung]) -> list[Word]:
        """What other desks may not have heard of this one's steps: there was no broker, or no room to say so."""
        mine = [one for one in ended if one.desk == self._me and one.state in ENDED and one.tell != DESKS]
        return [Word(rung.incident_id, self._ladder_of(rung, rung.state)) for rung in mine]

    def told(self, batch: Batch, telling: Telling, state: str, why: str, now_ms: int) -> None:
        """How a telling ended."""
        rung = self._of(telling.incident_id).get((telling.opening, telling.step))
        if rung is None or rung.tries != telling.number or rung.state != BEGUN:
            return  # it was uncertain in the meantime, and has been taken again
        rung.unsure += state == UNCERTAIN
        self._put(batch, rung, state, now_ms, why)
        if state != FAILED or rung.tries >= TRIES_MAX:
            self._say(batch, rung, state)

    # How it works

    def _of(self, incident_id: str) -> dict[tuple[int, str], Rung]:
        if incident_id not in self._rungs:
            self._rungs[incident_id] = {(rung.opening, rung.step): rung for rung in self._fetch(incident_id)}
        return self._rungs[incident_id]

    def _wait(self, batch: Batch, incident: Incident, now_ms: int) -> None:
        """Since when it waits; a clock that was set back begins anew."""
        known = incident.waiting
        if known is None or known.opening != incident.opening:
            incident.waiting = Waiting(incident.opening, now_ms)
        elif known.since_ms > now_ms:
            incident.waiting = known._replace(since_ms=now_ms)
        else:
            return
        batch.incidents.setdefault(incident.id, False)

    def _climb(self, batch: Batch, incident: Incident, step: Step, now_ms: int, together: bool) -> None:
        assert incident.waiting is not None
        rung = self._of(incident.id).get((incident.opening, step.name))
        if rung is None:
            if now_ms - incident.waiting.since_ms < step.after_s * 1000:
                return
            rung = Rung(incident.id, incident.opening, step.name, step.tell, step.after_s, "", self._me, now_ms)
            self._of(incident.id)[rung.opening, rung.step] = rung
            if step.tell == DESKS:
                self._ring_louder(batch, incident, rung, now_ms)
                return
            self._claim(batch, rung, now_ms, together)
            return
        since_ms = now_ms - rung.at_ms
        if rung.state == CLAIMED and (not together or not 0 <= since_ms < CLAIM_MS):
            self._begin(batch, rung, now_ms)
        elif rung.state == THEIRS and not 0 <= since_ms < LEASE_MS:
            rung.unsure += 1
            self._enter(batch, rung, UNCERTAIN, now_ms, f"{rung.desk} took it, and does not say how it ended")
            self._claim(batch, rung, now_ms, together)
        elif rung.state == UNCERTAIN and rung.unsure < UNSURE_MAX:
            self._claim(batch, rung, now_ms, together)
        elif rung.state == FAILED and rung.tries < TRIES_MAX and not 0 <= since_ms < RETRY_MS << max(rung.tries - 1, 0):
            self._begin(batch, rung, now_ms)

    def _ring_louder(self, batch: Batch, incident: Incident, rung: Rung, now_ms: int) -> None:
        """All desks and the column hear of it by the answer, which is owed until the broker has taken it."""
        assert incident.waiting is not None
        incident.waiting = incident.waiting._replace(unanswered_s=max(incident.waiting.unanswered_s, rung.after_s, 1))
        self._put(batch, rung, SENT, now_ms)
        batch.answer(incident.id)

    def _claim(self, batch: Batch, rung: Rung, now_ms: int, together: bool) -> None:
        rung.desk = self._me
        if not together:
            self._begin(batch, rung, now_ms)
            return
        rung.state, rung.at_ms = CLAIMED, now_ms
        batch.rungs.append(rung)
        self._say(batch, rung, CLAIMED)

    def _begin(self, batch: Batch, rung: Rung, now_ms: int) -> None:
        repeated = rung.unsure > 0
        rung.tries += 1
        rung.desk = self._me
        self._put(batch, rung, BEGUN, now_ms)
        batch.tellings.append(
            Telling(rung.incident_id, rung.opening, rung.step, rung.tell, rung.tries, repeated)
        )  # fmt: skip

    def _hear_unanswered(self, batch: Batch, incident: Incident, unanswered_s: int, now_ms: int) -> None:
        """Another desk says that nobody answers: here it rings louder as well, whatever this desk's own ladder."""
        assert incident.waiting is not None
        if incident.waiting.unanswered_s:
            return
        incident.waiting = incident.waiting._replace(unanswered_s=unanswered_s)
        batch.incidents.setdefault(incident.id, False)
        detail = {"tell": DESKS, "after_s": unanswered_s, "desk": ""}
        batch.entries.append((incident.id, now_ms, "step-heard", f"{unanswered_s}-{DESKS}", detail))

    def _hear_word(self, batch: Batch, incident: Incident, ladder: dict[str, Any], now_ms: int) -> None:
        if (word := (incident.id, *sorted(ladder.items()))) in self._heard:
            return
        batch.heard.append(word)
        rungs, what, desk = self._of(incident.id), ladder["what"], ladder["desk"]
        opening = ladder["opening"]
        rung = rungs.get((opening, ladder["step"]))
        if desk == self._me:
            if what == CLAIMED and rung is not None and rung.state == CLAIMED:
                self._begin(batch, rung, now_ms)
            return
        if rung is None:
            if opening != incident.opening:
                return  # of a wait that is over
            after_s, _, tell = ladder["step"].partition("-")
            rung = Rung(incident.id, opening, ladder["step"], tell, int(after_s), "", desk, now_ms)
            rungs[rung.opening, rung.step] = rung
        if rung.state in (BEGUN, SENT) and rung.desk == self._me:
            if what == SENT and rung.unsure < UNSURE_MAX:
                rung.unsure = UNSURE_MAX
                batch.rungs.append(rung)
                self._enter(batch, rung, UNCERTAIN, now_ms, f"{desk} has told them as well")
        elif rung.state != SENT:
            self._follow(batch, rung, ladder, now_ms)

    def _follow(self, batch: Batch, rung: Rung, ladder: dict[str, Any], now_ms: int) -> None:
        """Another desk has the step. A claim of an earlier round is one that has lost, heard late."""
        what, desk, claim_round = ladder["what"], ladder["desk"], ladder["round"]
        if what == CLAIMED and claim_round < rung.unsure:
            return
        was, rung.desk, rung.at_ms = rung.state, desk, now_ms
        if what == CLAIMED:
            rung.state, rung.unsure = THEIRS, claim_round
            batch.rungs.append(rung)
            return
        if what == UNCERTAIN:
            rung.unsure = UNSURE_MAX
        elif what == FAILED and was == THEIRS:
            rung.tries = 0  # what does not get there from that machine may do so from this one
        self._put(batch, rung, what, now_ms)

    def _put(self, batch: Batch, rung: Rung, state: str, now_ms: int, why: str = "") -> None:
        rung.state, rung.at_ms, rung.why = state, now_ms, why
        batch.rungs.append(rung)
        self._enter(batch, rung, state, now_ms, why)

    def _enter(self, batch: Batch, rung: Rung, result: str, now_ms: int, why: str) -> None:
        detail: dict[str, Any] = {"tell": rung.tell, "after_s": rung.after_s, "desk": rung.desk, "try": rung.tries}
        if rung.desk == self._me:
            detail["desk"] = self._name
        if why:
            detail["why"] = why
        # By the step, not by the officer: one officer may stand on two, and both may end in one moment.
        batch.entries.append((rung.incident_id, now_ms, f"step-{result}", rung.step, detail))

    def _say(self, batch: Batch, rung: Rung, what: str) -> None:
        batch.words.append(Word(rung.incident_id, self._ladder_of(rung, what)))

    def _ladder_of(self, rung: Rung, what: str) -> dict[str, Any]:
        return {"step": rung.step, "opening": rung.opening, "desk": self._me, "what": what, "round": rung.unsure}


def is_waiting(incident: Incident) -> bool:
    """Whether a person asks for help, and none has accepted."""
    return incident.actual and incident.state in (NEW, "received")
