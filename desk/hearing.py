"""What the duty does with what it hears, and about the lines that it hears it over."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections import Counter

from paho.mqtt import client as mqtt

from desk.batch import STATUS, Batch, Change
from desk.bypass import Bypass
from desk.duty_part import DutyPart
from desk.intake import Intake
from desk.line import Line, Login, Receipt
from desk.register import Register
from desk.silence import Silence
from desk.trouble import Trouble

TOGETHER_MAX = 50  # calls that are written together
ONE_BY_ONE_MS = 10_000  # ... and not, once something among them could not be written
TRIES_MAX = 5  # of a message that the register is asked about in vain
FAILED_MAX = 100  # such messages
RECEIPTS_MAX = 10  # messages without a PUBACK; mosquitto sends no further ones after 20
QUIET = ("not-started", "connecting", "stopped")

log = logging.getLogger(__name__)


class Hearing(DutyPart):
    """The part of Duty that hears. `_failed`: how often which messages could not be entered; `_unread`: lines that
    have brought what could not be; `_unseen`: a line has changed, and nothing was done about it yet."""

    name: str
    register: Register
    _batch: Batch
    _bypass: Bypass
    _failed: Counter[tuple[str, bytes]]
    _intake: Intake
    _listening: bool
    _login: Login
    _shown: tuple[bool, Trouble]
    _silence: Silence
    _telemetry: Line
    _told: list[Change]
    _unread: set[Line]
    _unseen: bool
    _unwritable_ms: int

    @property
    def connected(self) -> bool:
        raise NotImplementedError

    @property
    def why(self) -> Trouble:
        raise NotImplementedError

    def _answer_what_is_owed(self) -> None:
        raise NotImplementedError

    def _enter_presence(self, device_id: str, now_ms: int | None = None) -> None:
        raise NotImplementedError

    def _lacks_room(self, now_ms: int) -> bool:
        raise NotImplementedError

    def _admits(self, topic: str, payload: bytes) -> bool:
        """Whether a message is not too much, and did not come over the bypass. In a flood most is too much, and then
        there is nothing to write."""
        with self._lock:
            return not self._bypass.copies.take((topic, payload)) and self._admits_once(topic, payload)

    def _admits_once(self, topic: str, payload: bytes) -> bool:
        with self._lock:
            return self._intake.admits(self._batch, topic, payload, self._now_ms())

    def _enter(self, line: Line, message: mqtt.MQTTMessage) -> None:
        """A message that was admitted."""
        topic, payload = message.topic, bytes(message.payload)
        is_noted = False
        try:
            with self._changing():
                now_ms = self._now_ms()
                if message.qos:
                    self._batch.receipts.append(Receipt(line, message.mid, message.qos))
                is_noted = True
                self._take(topic, payload, retain=message.retain, now_ms=now_ms)
                many = len(self._batch.incidents) >= TOGETHER_MAX or self._is_wary(now_ms)
                if many and not self._lacks_room(now_ms):
                    self._commit()
        except sqlite3.Error:
            with self._lock:
                if not is_noted:
                    self._unread.add(line)

    def _take(self, topic: str, payload: bytes, *, retain: bool, now_ms: int) -> None:
        try:
            self._intake.enter(self._batch, topic, payload, retain=retain, now_ms=now_ms)
            if self._failed:
                self._failed.pop((topic, payload), None)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and self._is_to_come_again(topic, payload):
                self._unwritable_ms = now_ms  # what comes before it is not to be lost with it each time
                raise
            # Unacknowledged, it would be redelivered for ever and block all others.
            log.exception("desk %s: a message that cannot be entered", self.name)
            self._batch.violations.append((now_ms, "", f"cannot be entered: {error!r}"))

    def _is_to_come_again(self, topic: str, payload: bytes) -> bool:
        """The disk's fault may be over in a moment; a damaged place of it stays, and each try costs a connection."""
        if len(self._failed) >= FAILED_MAX:
            self._failed.clear()
        self._failed[topic, payload] += 1
        return self._failed[topic, payload] < TRIES_MAX

    def _is_wary(self, now_ms: int) -> bool:
        return 0 <= now_ms - self._unwritable_ms < ONE_BY_ONE_MS

    def _write_together(self) -> None:
        """What came together is written together: each writing waits for the disk, and whoever called waits behind all
        that came before."""
        with self._lock:
            if not self._batch.is_urgent and len(self._batch.receipts) < RECEIPTS_MAX:
                return
        with contextlib.suppress(sqlite3.Error), self._changing():
            if not self._lacks_room(self._now_ms()):
                self._commit()

    def _forget_receipts(self, line: Line) -> None:
        """Of a line that fell: they were of that connection."""
        with self._lock:
            if not line.stands:
                self._batch.receipts = [receipt for receipt in self._batch.receipts if receipt.line is not line]

    def _on_line(self, line: Line) -> None:
        """A line stands, fell, or is in other trouble than before."""
        with self._lock:
            self._forget_receipts(line)
            self._unseen = True
        with contextlib.suppress(sqlite3.Error), self._changing():
            self._see_lines()

    def _see_lines(self) -> None:
        """What there is to do about a change of a line: in its own thread, or at the next look, if the register could
        not be read just then."""
        if self._unseen:
            self._show_status()
            self._listen(self._telemetry.stands or self._telemetry.renews)
            self._unseen = False
        self._answer_what_is_owed()

    def _show_status(self) -> None:
        """To the page, and to the log: each trouble once, with its reason, and when it has ended."""
        shown = self.connected, self.why
        if shown == self._shown:
            return
        (_, before), self._shown = self._shown, shown
        self._told.append(STATUS)
        if shown[1].code in (before.code, *QUIET):
            return
        if shown[1].code:
            log.warning("desk %s: %s", self.name, shown[1].text)
        elif before.code not in QUIET:
            log.warning("desk %s: the broker at %s:%s is heard again", self.name, *self._login[:2])

    def _listen(self, listening: bool) -> None:
        """Without a broker no column is heard, and that is nobody's silence."""
        if listening == self._listening:
            return
        self._listening, now_ms = listening, self._now_ms()
        if not listening:
            self._silence.listen(None)
            self._commit()
            self.register.end_presences(now_ms)
            return
        self._silence.listen(now_ms)
        for device_id in self._ledger.columns:
            self._enter_presence(device_id, now_ms)
        self._commit()


def hang_up(lines: set[Line]) -> None:
    """What they brought comes again, over new connections."""
    while lines:
        lines.pop().hang_up()
