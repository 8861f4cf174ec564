"""The desk on duty: hears every column, puts it into the register, and only then answers.

The order is the point: message -> register, on the disk -> PUBACK and answer. Until the PUBACK the broker keeps the
message for this desk's session; until the broker's PUBACK the register keeps that an answer is owed. So whatever
ends this process, at whatever point, the next one goes on from there.

Two lines lead to the broker (see line.py): one for calls and answers, one for all else that columns say, so that no
call stands in the same queue as a column's chatter. Each proves every second that it carries what it should. In a flood
there is a third (see bypass.py).

Threads come here: those of the lines, a ticking one, and the operator's. One lock keeps them apart; nothing that
waits for paho's own locks waits for it (see answers.py).
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from common.identity import Identity
from common.running import Running
from desk import mqtt_client, proven, trouble
from desk.answers import Answered, Answers
from desk.attendance import NO_BROWSER, Attendance
from desk.batch import STATUS, Batch, Change
from desk.bypass import Bypass, BypassLine, Copies
from desk.climbing import Climbing
from desk.column_keys import ColumnKeys
from desk.escalation import Escalation
from desk.exercises import Exercises
from desk.floods import Floods
from desk.hearing import ONE_BY_ONE_MS, Hearing, hang_up
from desk.intake import Intake
from desk.ladder import Plan
from desk.ledger import NEW, Incident, LedgerError
from desk.limits import INCIDENTS_IN_MEMORY
from desk.line import Line, Login, MakeClient, monotonic_ms
from desk.mqtt_client import CALLS, EVERYTHING, TELEMETRY, ack, utc
from desk.operators import COMMAND_VALID_MS, COMMANDS, Operators
from desk.origin import CHALLENGE
from desk.register import Register
from desk.rungs import Rung, Telling, rungs_of
from desk.silence import UP, Limits, Presence, Silence
from desk.telling import Nobody, Tells
from desk.trouble import Trouble
from desk.unrecorded import Unrecorded
from desk.upkeep.chain import BUTTON_DAYS
from desk.upkeep.keeper import Keeper
from desk.upkeep.office import Office
from desk.upkeep.roster import Roster
from desk.watched_file import WatchedFile

CONNECT_TIMEOUT_S = 10.0
TICK_S = 0.1
RETOLD_MS = 3_600_000  # steps as old as that are said again to other desks after a connection was lost
ALIVE_MS = 10_000
RETRY_MS = 1_000  # between two tries to write, once one has failed
STALLED_S = 5.0  # without a tick: this process waits for its disk, or for its machine

__all__ = ["COMMANDS", "STATUS", "Change", "Duty"]
log = logging.getLogger(__name__)
NOWHERE = Presence("", 0)


def wall_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Duty(Running, Hearing, Climbing, Operators, Office):
    """A desk named `name` at the broker `host`:`port`. All methods may be called from any thread.

    `tls`: the desk's own certificate, for mutual TLS, or only the authority that the broker's must be from.
    `on_change` is called after each change, in the thread that made it, without a lock held; it must not wait.
    `now_ms`: the wall clock. `plan`: who is told of a call that nobody accepts; `officers`: tells them. `roster`: the
    columns that should be there; `answer_key`: with it answers to drills are signed (desk/upkeep/receiver.py);
    `button_days`: for how long a press proves the button.
    `keys`: the columns', to prove what is said and heard.
    """

    def __init__(
        self,
        register: Register,
        host: str,
        port: int,
        *,
        name: str = "desk",
        tls: Identity | Path | None = None,
        user: str | None = None,
        password: str | None = None,
        on_change: Callable[[Change], None] = lambda change: None,
        now_ms: Callable[[], int] = wall_ms,
        limits: Limits | None = None,
        plan: Plan | None = None,
        officers: Tells | None = None,
        make_client: MakeClient = mqtt_client.make_client,
        roster: Roster | WatchedFile[Roster] | None = None,
        answer_key: bytes | None = None,
        button_days: int = BUTTON_DAYS,
        exercises_a_week: float = 0.0,
        keys: ColumnKeys | None = None,
    ) -> None:
        self._make_client = make_client
        self._exercises = Exercises(name, exercises_a_week)
        self._plan, self._officers = plan or Plan(), officers or Nobody()
        self._began_ms = now_ms()
        self.attendance = Attendance(now_ms)
        self.name, self.register, self._now_ms = name, register, now_ms
        self.limits = limits or Limits()
        self._answer_key, self._button_days = answer_key, button_days
        self._roster_file = roster if isinstance(roster, WatchedFile) else None
        self._roster = roster.content if isinstance(roster, WatchedFile) else roster or Roster.nothing()
        self._login, self._on_change = Login(host, port, tls, user, password), on_change
        self._lock = threading.Condition()
        self._batch = Batch()
        self._origins = proven.restored(keys, register)
        self._told: list[Change] = []
        """Written, and not told yet."""
        self._answers = Answers()
        self._said: dict[str, tuple[str, int]] = {}
        """What each column was last told of its call."""
        self._alive_ms = 0
        self._stale = self._listening = self._unseen = False
        self._unread: set[Line] = set()
        self._failed: Counter[tuple[str, bytes]] = Counter()
        self._ended: deque[tuple[Telling, str, str]] = deque()
        self._owed_on = 0
        """The connection of the line for calls on which all that was owed before it has left."""
        self._shown: tuple[bool, Trouble] = (False, trouble.NOT_STARTED)
        self._disk_trouble, self._failed_ms = register.trouble, now_ms()
        if register.trouble.code:
            log.error("desk %s: begins without room: %s", name, register.trouble.text)
        self._unwritable_ms = -ONE_BY_ONE_MS
        """When something came that could not be written."""
        self._looked_s = time.monotonic()
        self._floods = Floods(name)
        self._stopping = threading.Event()
        self._ticker = threading.Thread(target=self._tick_on, name=f"{name}-ticker", daemon=True)
        self._left_ms: int | None = register.alive_ms()
        """When the process before was last seen, until what it left open is ended."""
        with contextlib.suppress(sqlite3.Error):
            self._end_presences()
        self._ladder_from_ms = register.ladder_from_ms()
        self._me = register.desk_id()
        self._calls, self._telemetry = self._lines(f"desk-{self._me}")
        self._bypass = Bypass(self._make_bypass)
        self._unrecorded = Unrecorded(register.path, now_ms())
        self._load()
        self._recall(now_ms())

    def _load(self) -> None:
        """Begin with what the register says."""
        self._ledger = self.register.restore()
        self._unrecorded.resume(self._ledger)
        self._silence = Silence(self.limits)
        for row in self.register.columns():
            if row["silent_since_ms"] is not None:
                self._silence.recall(row["device_id"], Presence(row["presence"], row["silent_since_ms"]))
        self._batch, self._stale = Batch(), False
        self.keeper = Keeper(self.register, self._roster, now_ms=self._now_ms(), button_days=self._button_days)
        self._escalation = Escalation(self._plan, self._me, self.name, self._steps, self._unrecorded.heard)
        hears = self._escalation, self.keeper, self._origins, self._unrecorded.calls.get
        self._intake = Intake(self._ledger, self._silence, self.name, *hears)
        self._silence.listen(self._now_ms() if self._listening else None)

    def _end_presences(self) -> None:
        """Of the process before: before anything else is written."""
        if self._left_ms is not None:
            self.register.end_presences(self._left_ms)
            self._left_ms = None

    def _steps(self, incident_id: str) -> list[Rung]:
        return [*rungs_of(self.register.rungs(incident_id)), *self._unrecorded.steps(incident_id)]

    def _recall(self, now_ms: int) -> None:
        """What the process before had begun on the ladder."""
        begun = [rung for rung in rungs_of(self.register.rungs_begun()) if not self._unrecorded.has(rung)]
        self._escalation.recall(self._batch, begun, now_ms)
        batch = Batch()
        self._escalation.resume(batch, self._unrecorded.all_steps(), now_ms)
        self._unrecorded.take(batch, self._ledger, self.register)

    def _lines(self, client_id: str) -> tuple[Line, Line]:
        """The line for calls keeps the client id of the former single line, which heard everything."""
        hears = self._admits, self._enter, self._write_together, self._on_line
        calls = Line(
            *(client_id, self._login, CALLS, *hears),
            on_taken=self._answers.on_taken,
            past=[EVERYTHING],
            make=self._make_client,
        )
        telemetry = f"{client_id}-telemetry"
        return calls, Line(telemetry, self._login, TELEMETRY, *hears, make=self._make_client)

    def _make_bypass(self, columns: Iterable[str], copies: Copies) -> Line:
        topics = [f"sos/v1/+/{device_id}/alarm" for device_id in columns]
        hears = self._admits_once, self._enter, self._write_together, self._forget_receipts
        client_id = f"desk-{self._me}-bypass"
        return BypassLine(client_id, self._login, topics, *hears, copies=copies, make=self._make_client)

    # Life

    def start(self) -> None:
        """Begin; returns at once. Without a broker it goes on trying: see `connected`."""
        self.begin()
        self._ticker.start()

    def begin(self) -> None:
        """The same without the thread that ticks: for whoever calls `tick` instead, at the pace of another clock."""
        self._shown = (False, trouble.CONNECTING)
        self._began_ms = self._now_ms()
        self._calls.start()
        self._telemetry.start()

    def stop(self) -> None:
        """Write what is left and disconnect. The broker keeps the sessions, and what comes meanwhile."""
        self._stopping.set()
        self._officers.wait()
        self.tick()
        self._calls.stop()
        self._telemetry.stop()
        if self._ticker.ident is not None:
            self._ticker.join()
        self._bypass.stop()

    @property
    def connected(self) -> bool:
        """Whether the desk hears and is heard: both lines stand, and carry the desk's own messages."""
        return all((line.stands or line.renews) and not line.trouble.code for line in (self._calls, self._telemetry))

    @property
    def why(self) -> Trouble:
        """What is wrong with the broker, the register or this process; trouble.NONE when nothing is."""
        if self._disk_trouble.code:
            return self._disk_trouble
        if self._ticker.is_alive() and time.monotonic() - self._looked_s > STALLED_S:
            return trouble.STALLED
        return self._calls.trouble if self._calls.trouble.code else self._telemetry.trouble

    @property
    def trouble(self) -> str:
        """`why` in words; "" when nothing is wrong."""
        return self.why.text

    @property
    def flooding(self) -> list[str]:
        """Columns that say far more than columns do, at the moment."""
        return sorted(self._floods.now)

    def origin(self, device_id: str) -> str:
        """How far that column's words are proven: a word of desk/origin.py."""
        return self._origins.column(device_id)

    def wait_connected(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Wait until the subscription stands. Raises TimeoutError."""
        with self._lock:
            if not self._lock.wait_for(lambda: self.connected, timeout_s):
                host, port = self._login[:2]
                raise TimeoutError(f"desk {self.name}: no broker at {host}:{port} in {timeout_s} s: {self.trouble}")

    # How it works

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock; then report the changes without it. A change that was not written is undone."""
        told: list[Change] = []
        try:
            with self._lock:
                try:
                    if self._stale:
                        self._load()
                    yield
                except sqlite3.Error as error:
                    self._start_over(error)
                    raise
                finally:
                    told, self._told = self._told, []
                    self._lock.notify_all()
        finally:
            for change in dict.fromkeys(told):
                self._tell(change)

    def _tell(self, change: Change) -> None:
        try:
            self._on_change(change)
        except Exception:  # whoever listens must not end the duty
            log.exception("desk %s: its page was not told of %s", self.name, change)

    def _start_over(self, error: sqlite3.Error) -> None:
        """The register did not take it. What it has taken is the truth; the rest comes again over new connections."""
        why = trouble.of_register(error, self.register.path)
        if why.code != self._disk_trouble.code:
            log.error(
                "desk %s: the register cannot be written: %s; starting over from what is in it", self.name, why.text
            )
            self._told.append(STATUS)
        lost, self._batch = self._batch, Batch()
        lines = {receipt.line for receipt in lost.receipts}
        if self._lacks_room(self._now_ms()):  # brokers lock out who connects too often
            self._unread |= lines
        else:
            hang_up(lines)
        self._stale, self._disk_trouble, self._failed_ms = True, why, self._now_ms()
        self._said.clear()
        self._owed_on = 0  # which answers the broker has taken was lost, too
        with contextlib.suppress(sqlite3.Error):  # it cannot even be read
            self._tell_officers(self._unrecorded.take(lost, self._ledger, self.register))
        self._told += [Change("incident", name) for name in self._unrecorded.news()]

    def _commit(self) -> None:
        """Write what there is; then, and only then, let the broker forget the messages, and answer."""
        self._end_presences()
        batch, now_ms = self._batch, self._now_ms()
        batch.upkeep, self.keeper.statements = [*batch.upkeep, *self.keeper.statements], []
        written = False
        self._unrecorded.keep_back(batch, self._ledger)
        try:
            written = batch.write(self.register, self._ledger, self._silence, now_ms)
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
                raise  # the disk's fault, not the messages'
            log.exception("desk %s: a message that cannot be written", self.name)
            self._load()
            if batch.receipts and not self._is_wary(now_ms):  # they come again, and each is written by itself
                self._unwritable_ms = now_ms
                hang_up({receipt.line for receipt in batch.receipts})
                return
            batch = Batch(receipts=batch.receipts, violations=[(now_ms, "", f"cannot be written: {error!r}")])
            batch.write(self.register, self._ledger, self._silence, now_ms)
        self._batch = Batch()
        if written:
            self._has_room()
        for receipt in batch.receipts:
            receipt.send()
        for word in batch.words:
            self._announce(word)
        self._tell_officers(batch.tellings)
        registered_ms = self._now_ms()
        for incident_id, owed in batch.incidents.items():
            if owed:
                self._answer(incident_id, registered_ms)
        self._told += batch.changes()
        debts = self._unrecorded.debts(self._ledger, batch)  # last: what fails here has not kept anybody waiting
        if debts.write(self.register, self._ledger, self._silence, now_ms):
            self._unrecorded.written(debts)
            self._told += debts.changes()
            self._has_room()
            for word in self._escalation.words(debts.rungs):  # another desk may have done the same
                self._announce(word)
        self._ledger.cool(INCIDENTS_IN_MEMORY)

    def _lacks_room(self, now_ms: int) -> bool:
        """Whether it has just been tried in vain to write. Each failure ends the connections, for all to come again: if
        the next message brought it about at once, none behind it would ever be heard."""
        return bool(self._disk_trouble.code) and 0 <= now_ms - self._failed_ms < RETRY_MS

    def _has_room(self) -> None:
        if self._disk_trouble.code:
            log.error("desk %s: the register can be written again", self.name)
            self._disk_trouble = trouble.NONE
            self._told.append(STATUS)

    def _answer(self, incident_id: str, registered_ms: int | None) -> None:
        """Tell the column, and other desks, the incident's latest state. Without a broker it stays owed."""
        incident = self._ledger.find(incident_id)
        if incident is None or incident.state == NEW:
            return
        if not self._calls.stands:
            self._answers.owed(incident_id)
            return
        document = ack(incident)
        if incident.alarm["status"] == "test" and not incident.actual:
            document["receiver"] = self._receiver(incident)
        mid = self._publish(incident.region, incident.device_id, "ack", document)
        self._witness(incident, document)
        self._answers.sent(mid, Answered(incident_id, registered_ms, self._now_ms()))

    def _answer_what_is_owed(self) -> None:
        """Once on each connection, whoever notices it first: two lines stand at the same time, and one that fell may
        stand again before anybody has looked."""
        connection = self._calls.connection
        if not self._calls.stands or connection == self._owed_on:
            return
        for incident_id in self.register.unanswered():
            try:
                self._answer(incident_id, None)
            except sqlite3.Error:
                raise
            except Exception:  # this one must not hold up the others, now and at each look
                log.exception("desk %s: %s cannot be answered, the others are", self.name, incident_id)
        since_ms = self._now_ms() - RETOLD_MS
        for word in self._escalation.words(rungs_of(self.register.rungs_ended(self.register.desk_id(), since_ms))):
            self._announce(word)
        self._owed_on = connection

    def _witness(self, incident: Incident, document: dict[str, Any]) -> None:
        """What was said to the column is evidence, once; repeats of it are not."""
        said = document["state"], document["heard"]
        if self._said.get(incident.id) == said:
            return
        if len(self._said) >= INCIDENTS_IN_MEMORY:
            self._said.clear()
        self._said[incident.id] = said
        self._batch.links.append((incident.id, self._now_ms(), "answer", self.name, document))

    def listens(self, incident_id: str, seconds: int) -> None:
        """Tell the column that somebody hears the place: for so long, unless it is told again; 0: nobody does any more.
        It is not told without a broker, nor of a call that is closed. Raises sqlite3.Error."""
        with self._lock:
            incident = self._ledger.find(incident_id)
            if incident is not None and incident.is_open and incident.state != NEW and self._calls.stands:
                document = {**ack(incident), "listening_s": seconds}
                self._publish(incident.region, incident.device_id, "ack", document)

    def _publish(
        self, region: str, device_id: str, kind: str, document: dict[str, Any], boot: int | None = None
    ) -> int:
        """Proven, if this desk has the column's key."""
        topic = f"sos/v1/{region}/{device_id}/{kind}"
        sealed = self._origins.seal(device_id, topic, document, self._now_ms(), boot)
        return self._calls.publish(topic, sealed or json.dumps(document, ensure_ascii=False).encode())

    def _ask(self, now_ms: int) -> None:
        """Columns whose words may be of another day are asked whether they live."""
        if not self._calls.stands:
            return
        for device_id, command_id, boot in self._origins.challenges(now_ms):
            column = self._ledger.columns.get(device_id)
            if column is not None:
                expires = utc(now_ms + COMMAND_VALID_MS)
                document = {"v": 1, "id": command_id, "cmd": CHALLENGE, "expires": expires}
                self._publish(column.region, device_id, "cmd", document, boot)

    def _tick_on(self) -> None:
        while not self._stopping.wait(TICK_S):
            try:
                self._calls.look()
                self._telemetry.look()
                self.look_at_files()
                self.tick()
                self._show_floods()
                self._looked_s = time.monotonic()
            except Exception:  # one bad look must not be the last
                log.exception("desk %s: an error of its own at one of its looks; it goes on", self.name)

    def tick(self) -> None:
        """What time alone brings about; called often."""
        with contextlib.suppress(sqlite3.Error), self._changing():
            now_ms = self._now_ms()
            self._enter_ended()
            if self._lacks_room(now_ms):
                self._escalate(self._ledger.asking(), now_ms)
                return
            hang_up(self._unread)
            delivered = list(self._answers.delivered())
            self._batch.answered += delivered
            for one in delivered:
                if (incident := self._ledger.find(one.incident_id)) is not None:
                    self.keeper.answered(incident.device_id, now_ms)
            for column in self._silence.look(list(self._ledger.columns.values()), now_ms):
                self._enter_presence(column.device_id)
            self.keeper.look(self._ledger.columns, self._silence.presence, now_ms, listening=self._listening)
            open_ = self._ledger.asking()  # once: there are thousands in memory, and an alarm waits meanwhile
            self._escalate(open_, now_ms)
            self._exercise(open_, now_ms)
            self._look_around(open_, now_ms)
            self._commit()
            self._see_lines()
            self._send_wishes()
            self._ask(now_ms)
            if not 0 <= now_ms - self._alive_ms < ALIVE_MS:
                self.register.put_alive(now_ms)
                proven.note_count(self.register, self._origins)
                self._alive_ms = now_ms
                self._has_room()
                self.register.share()

    def _exercise(self, open_: list[Incident], now_ms: int) -> None:
        """End exercises that are over, and begin one when the dice say so."""
        self._exercises.end(self._batch, self._ledger, open_, now_ms)
        if self._exercises.is_due(self.register, now_ms):
            up = [one for one in self._ledger.columns if (self._silence.presence(one) or NOWHERE).kind == UP]
            with contextlib.suppress(LedgerError):  # a call is open: another time
                if up:
                    self.exercise(self._exercises.one_of(up), self.name)

    def _look_around(self, open_: list[Incident], now_ms: int) -> None:
        """Say it once when nobody is at this desk, and when somebody is again; and in the timeline of what waits."""
        before = self.attendance.nobody
        for incident in self.attendance.look(open_, now_ms):
            detail = {"why": self.attendance.nobody}
            self._batch.entries.append((incident.id, now_ms, "nobody-here", self.name, detail))
        if self.attendance.nobody == before:
            return
        self._told.append(STATUS)
        if self.attendance.nobody:
            why = "no browser is open" if self.attendance.nobody == NO_BROWSER else "no sign of a person at its page"
            log.warning("desk %s: nobody is here: %s", self.name, why)
        else:
            log.warning("desk %s: somebody is here again", self.name)

    def _enter_presence(self, device_id: str, now_ms: int | None = None) -> None:
        presence = self._silence.presence(device_id)
        if presence is not None:
            self._batch.columns.add(device_id)
            self._batch.presences.append((device_id, presence.kind, presence.since_ms if now_ms is None else now_ms))

    def _show_floods(self) -> None:
        with self._lock:
            flooding = self._intake.flooding(self._now_ms())
            calls = self._intake.flooding_with_calls(self._now_ms())
            known = {*self._ledger.columns, *self._roster.entries} if calls else set()
        self._bypass.look(calls, known, monotonic_ms())
        if self._floods.look(flooding):
            self._tell(STATUS)
