"""The rules of a rollout, without a clock, a disk or a network: what is heard goes in, what is to be sent comes out.

One column first, then 5 %, 25 %, all. Two columns that stand close together are never under way at once: a bad release
must not leave a whole square without a button. Between the stages nothing happens for a while, so that drills and
heartbeats have their say. When too many columns went back, refused, got lost, fell silent or have drills that nobody
answers, it stops by itself: nobody else is told, and who only fetches gives up.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from common.places import apart_m
from desk.rollout.offer import Offer

# Of a column.
WAITING, TOLD, FETCHING, TRIAL, KEPT = "waiting", "told", "fetching", "trial", "kept"
RETURNED, REFUSED, LOST = "returned", "refused", "lost"
UNDER_WAY = (TOLD, FETCHING, TRIAL)
FAILED = (RETURNED, REFUSED, LOST)
# Of the rollout.
RUNNING, PAUSED, STOPPED, ABORTED, DONE = "running", "paused", "stopped", "aborted", "done"
UNFINISHED = (RUNNING, PAUSED)
STAGES = (0.0, 0.05, 0.25, 1.0)  # shares of the fleet; the first is one column, and each at least one
RELEASE_DIGITS = 16
TELL_AGAIN_MS = 60_000
TOLD_MAX = 5  # times, until a column counts as lost
QUIET_MS = 60_000  # who fetches asks for a piece every few seconds
ON_TRIAL = "refused: a firmware, or a certificate, is on trial"  # as the firmware says it; it passes by itself
WAITS = "it still tries what it got before and is told again every minute"
GIVES_UP = "it is told to give up as soon as the broker is heard"
GIVEN_UP = "given up"
HELD = "it asks for nothing just now and goes on by itself when no call is open there and it has a connection"


class Limits(NamedTuple):
    """More of it than that, and the rollout stops. Times in seconds."""

    returned: int = 0
    refused: int = 0
    lost: int = 0
    silent: int = 0  # updated columns without a sign of life for `silent_s`
    unanswered: int = 0  # updated columns whose drills are not answered
    silent_s: float = 180.0
    watch_s: float = 3600.0  # between the stages
    column_s: float = 7200.0  # for one column, from the command to `kept`
    apart_m: float = 300.0  # closer columns are neighbours
    at_once: int = 4


class Send(NamedTuple):
    """A command `update` for a column. `is_wanted`: False, to give it up."""

    region: str
    device_id: str
    is_wanted: bool


@dataclass
class Column:
    """What of it outlives a kill stands before the rest."""

    device_id: str
    region: str
    place: tuple[float, float] | None = None
    state: str = WAITING
    since_ms: int = 0
    tries: int = 0
    why: str = ""
    counts: bool = False  # its failure is one of this rollout's, and nobody has resumed since
    heard_ms: int | None = field(default=None, compare=False)
    is_online: bool = field(default=False, compare=False)
    drill_failed: bool = field(default=False, compare=False)
    told_ms: int | None = field(default=None, compare=False)
    """When it was told last; None: before this run."""
    asked_ms: int = field(default=0, compare=False)
    """When it began to fetch, or asked for a piece, last."""


class Plan:
    """`digest`, `version`: of the release. Which of the columns comes first is decided by a hash, so that it is another
    one with each release; `first` names it instead."""

    def __init__(self, digest: str, version: str, limits: Limits, first: str = "") -> None:
        self.digest, self.version, self.limits, self.first = digest, version, limits, first
        self.offer: Offer | None = None
        """What it is about, if the digest alone does not say it: each column its own."""
        self.columns: dict[str, Column] = {}
        self.state, self.why, self.stage = RUNNING, "", 0
        self.since_ms = 0
        """When a column changed last."""
        self.changed: list[Column] = []
        """Since the last `take_changed`."""
        self._started_ms: int | None = None
        self._online: dict[str, bool] = {}
        """Also of columns that have not said yet what they are: a column says `state` first."""

    # -- what columns say

    def heard(
        self, region: str, device_id: str, kind: str, body: Mapping[str, Any], now_ms: int, *, kept: bool
    ) -> None:
        """`kept`: it is a retained message, which tells nothing of now. `kind`: as in the topic."""
        if kind == "state":
            self._online[device_id] = body["state"] == "online"
        column = self.columns.get(device_id)
        if column is None:
            if kind != "info" or (self.offer is not None and not self.offer.is_for(device_id)):
                return
            column = self.columns[device_id] = Column(device_id, region, since_ms=now_ms)
            column.is_online = self._online.get(device_id, False)
            self.changed.append(column)
        if not kept:
            column.heard_ms = now_ms
        if kind == "info":
            self._info(column, body, now_ms)
        elif kind == "state":
            column.is_online = self._online[device_id]
        elif kind == "fault/drill-unanswered":
            column.drill_failed = bool(body)
        elif kind == "heartbeat" and "faults" in body:  # a broker may have kept the fault, or its end, to itself
            column.drill_failed = "drill-unanswered" in body["faults"]
        elif kind == "result" and self._is_no(column, body) and body["error"] == ON_TRIAL:
            self._let_try(column, now_ms)
        elif kind == "result" and self._is_no(column, body):
            self._put(column, REFUSED, now_ms, str(body["error"]).removeprefix(f"{REFUSED}: "))

    def _is_no(self, column: Column, result: Mapping[str, Any]) -> bool:
        return column.state == TOLD and not result["ok"] and result["id"].startswith(self.command_prefix)

    def _let_try(self, column: Column, now_ms: int) -> None:
        """It was flashed a minute ago, say: no refusal of this release. It is told again, as long as it may take."""
        column.why, column.tries, column.told_ms = WAITS, 1, now_ms
        self.changed.append(column)

    def asked(self, device_id: str, now_ms: int) -> None:
        """It wants a piece, and gets on."""
        column = self.columns.get(device_id)
        if column is None or column.state != FETCHING:
            return
        column.asked_ms = now_ms
        if column.why == HELD:
            column.why = ""
            self.changed.append(column)

    @property
    def command_prefix(self) -> str:
        """Of the ids of this rollout's commands."""
        return f"r-{self.digest[:8]}-"

    def _info(self, column: Column, body: Mapping[str, Any], now_ms: int) -> None:
        column.place = _place(body["location"]["geo"]) or column.place
        update = body.get("update") or {}
        offer, name = self.offer, column.device_id
        if update.get("release") != (offer.digest_of(name) if offer else self.digest)[:RELEASE_DIGITS]:
            is_there = offer.is_there(name, body) if offer else body["fw"] == self.version
            if column.state == WAITING and is_there and update.get("state") != TRIAL:  # what it tries it may give back
                self._put(column, KEPT, now_ms, "it had that version")
            return
        state, why = str(update["state"]), str(update.get("why") or "")
        if state == FETCHING and column.why == GIVES_UP:
            return  # it has not heard that yet
        if state in (FETCHING, TRIAL, KEPT, RETURNED, REFUSED) and state != column.state:
            if column.state in FAILED and state in (FETCHING, TRIAL) and not column.counts:
                return  # an old message
            self._put(column, state, now_ms, why)

    def _put(self, column: Column, state: str, now_ms: int, why: str = "") -> None:
        """A failure counts when it is this rollout's doing."""
        column.counts = state in FAILED and column.state in UNDER_WAY
        column.asked_ms = now_ms
        if state == TOLD or column.state not in UNDER_WAY:
            column.since_ms = now_ms
        column.state, column.why = state, why
        self.since_ms = now_ms
        self.changed.append(column)

    def is_served(self, device_id: str) -> bool:
        """May it have pieces?"""
        column = self.columns.get(device_id)
        return self.state in (RUNNING, PAUSED, DONE) and column is not None and column.state in UNDER_WAY

    # -- what follows

    def look(self, now_ms: int) -> list[Send]:
        """What is to be sent now. Call it every second or so."""
        if self._started_ms is None:
            self._started_ms = now_ms
            self.since_ms = self.since_ms or now_ms
        if self.state not in UNFINISHED:
            return self._give_up(now_ms)
        for column in self._in(UNDER_WAY):
            if now_ms - column.since_ms > self.limits.column_s * 1000:
                self._put(column, LOST, now_ms, "it took too long")
        self._notice_held(now_ms)
        why = self._excess(now_ms)
        if why:
            self._stop(STOPPED, why)
            return self._give_up(now_ms)
        sends = self._tell_again(now_ms)
        if self.state == PAUSED:
            return sends
        self._advance(now_ms)
        while self.state == RUNNING and (following := self._next(now_ms)) is not None:
            sends.append(self._tell(following, now_ms))
        return sends

    def connected(self, now_ms: int) -> None:
        """Until now it could hear nobody: that makes no column silent, and none held up."""
        self._started_ms = now_ms

    def _notice_held(self, now_ms: int) -> None:
        """Whoever looks on wonders why nothing happens: the column does not say, but it asks for nothing."""
        for column in self._in((FETCHING,)):
            since_ms = max(column.asked_ms, self._started_ms or 0)
            if not column.why and now_ms - since_ms >= QUIET_MS:
                column.why = HELD
                self.changed.append(column)

    def pause(self) -> None:
        """Nobody else is told; who is under way goes on."""
        if self.state == RUNNING:
            self.state, self.why = PAUSED, "paused by hand"

    def resume(self, now_ms: int) -> None:
        """Also after it stopped by itself: what failed so far counts no longer, and is not tried again."""
        if self.state in (PAUSED, STOPPED):
            for column in self.columns.values():
                if column.counts:
                    column.counts = False
                    self.changed.append(column)
            for column in self._giving_up():
                column.why = ""
                self.changed.append(column)
            self.state, self.why, self.since_ms = RUNNING, "", now_ms
            self._started_ms = now_ms

    def abort(self) -> None:
        if self.state not in (ABORTED, DONE):
            self._stop(ABORTED, "aborted by hand")

    def _stop(self, how: str, why: str) -> None:
        self.state, self.why = how, why
        for column in self._in((TOLD, FETCHING)):
            column.state, column.why, column.tries, column.told_ms = WAITING, GIVES_UP, 0, None
            self.changed.append(column)

    def _give_up(self, now_ms: int) -> list[Send]:
        """To whom only fetches, once a minute until the broker has it: else it would ask for pieces for ever."""
        due = [one for one in self._giving_up() if one.told_ms is None or now_ms - one.told_ms >= TELL_AGAIN_MS]
        for column in due:
            column.told_ms = now_ms
        return [Send(column.region, column.device_id, is_wanted=False) for column in due]

    def gave_up(self, device_id: str) -> None:
        """The broker has the command for it."""
        column = self.columns[device_id]
        if column.why == GIVES_UP:
            column.why = GIVEN_UP
            self.changed.append(column)

    @property
    def is_over(self) -> bool:
        """Nothing is left to be sent."""
        return self.state not in UNFINISHED and not self._giving_up()

    def take_changed(self) -> list[Column]:
        changed, self.changed = list({id(column): column for column in self.changed}.values()), []
        return changed

    # -- its rules

    def _in(self, states: tuple[str, ...]) -> list[Column]:
        return [column for column in self.columns.values() if column.state in states]

    def _giving_up(self) -> list[Column]:
        """Who is still to be told that it gives up."""
        return [column for column in self.columns.values() if column.why == GIVES_UP]

    def _excess(self, now_ms: int) -> str:
        """Of what there is too much; empty: of nothing."""
        updated = self._in((TRIAL, KEPT))
        silent = [one.device_id for one in updated if self._is_silent(one, now_ms)]
        found = {how: [one.device_id for one in self._in((how,)) if one.counts] for how in FAILED}
        found |= {"silent": silent, "unanswered": [one.device_id for one in updated if one.drill_failed]}
        for what, names in found.items():
            if len(names) > getattr(self.limits, what):
                return f"{what}: {', '.join(sorted(names)[:5])} ({len(names)}, at most {getattr(self.limits, what)})"
        return ""

    def _is_silent(self, column: Column, now_ms: int) -> bool:
        since_ms = max(column.heard_ms or 0, self._started_ms or 0)
        return now_ms - since_ms > self.limits.silent_s * 1000

    def target(self, stage: int) -> int:
        """Of how many columns the release may have come to, up to that stage."""
        return max(1, math.ceil(len(self.columns) * STAGES[stage]))

    def _taken(self) -> int:
        return len(self._in((*UNDER_WAY, KEPT, *FAILED)))

    def _advance(self, now_ms: int) -> None:
        if not self.columns or self._in(UNDER_WAY):
            return
        if not self._in((WAITING,)):
            self.state, self.why = DONE, ""
            return
        is_calm = now_ms - self.since_ms >= self.limits.watch_s * 1000
        while self.stage + 1 < len(STAGES) and self._taken() >= self.target(self.stage) and is_calm:
            self.stage += 1

    def _next(self, now_ms: int) -> Column | None:
        """The column that is told next, if any may be."""
        busy = self._in(UNDER_WAY)
        if len(busy) >= self.limits.at_once or self._taken() >= self.target(self.stage):
            return None
        for column in sorted(self._in((WAITING,)), key=self._rank):
            is_here = column.is_online and column.heard_ms is not None and not self._is_silent(column, now_ms)
            if is_here and not any(self.are_neighbours(column, other) for other in busy):
                return column
        return None

    def _rank(self, column: Column) -> tuple[bool, str]:
        dice = hashlib.sha256(f"{self.digest} {column.device_id}".encode()).hexdigest()
        return column.device_id != self.first, dice

    def are_neighbours(self, one: Column, other: Column) -> bool:
        if one.place is None or other.place is None:
            return True
        return apart_m(one.place, other.place) < self.limits.apart_m

    def _tell(self, column: Column, now_ms: int) -> Send:
        tries = column.tries + 1
        self._put(column, TOLD, now_ms)
        column.tries, column.told_ms = tries, now_ms
        return Send(column.region, column.device_id, is_wanted=True)

    def _tell_again(self, now_ms: int) -> list[Send]:
        """Whoever did not say yet that it fetches: the command may have been lost."""
        sends = []
        for column in self._in((TOLD,)):
            told_ms = column.since_ms + TELL_AGAIN_MS * (column.tries - 1) if column.told_ms is None else column.told_ms
            if column.is_online and now_ms - told_ms >= TELL_AGAIN_MS:
                if column.tries >= TOLD_MAX:
                    self._put(column, LOST, now_ms, "it does not say that it heard the command")
                else:
                    column.tries, column.told_ms = column.tries + 1, now_ms
                    self.changed.append(column)
                    sends.append(Send(column.region, column.device_id, is_wanted=True))
        return sends


def _place(geo: str) -> tuple[float, float] | None:
    try:
        latitude, longitude = geo.removeprefix("geo:").partition(";")[0].split(",")[:2]
        return float(latitude), float(longitude)
    except ValueError:
        return None
