"""The clock: network time with retries, a floor that outlives a power cut, and how far it can be trusted.

`source` is "ntp" (set from the network in this boot), "kept" (the chip kept a time across a reset, and it is not before
the floor) or "none". With "none" the board's clock stands at the floor: wrong, but good enough for the validity
dates of certificates, and never shown to anybody as a time.

NTP has no signature. So an answer is believed only between the floor, which never falls, and the end of the column's
certificate; a large step only when a second answer says the same; and the floor rises only when the time has held for
hours: what a forger does in an hour is undone by the next true answer, and is gone after a power cut.
"""

from firmware import const, record, rfc3339
from firmware.timing import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLOOR_FILE = "clock.floor"
EARLIEST_MS = 1767225600000  # 2026-01-01: no column of this firmware is older
FLOOR_EVERY_MS = const(21600000)  # 6 h: four flash writes a day
_STEP_MS = const(600000)  # more than a crystal loses in a year without an answer
_AGREE_MS = const(2000)  # between two answers about one step
_LOOKUP_MS = const(20000)  # getaddrinfo takes 19 s at most
_ANSWER_MS = const(2000)
_RETRY_MS = const(10000)
_RETRY_MAX_MS = const(640000)
_IDLE_MS = const(2000)
_POLL_MS = const(20)


class Clock:
    """A task. `on_set()` is called when the time becomes known or better known."""

    name = "clock"

    def __init__(self, board, config, was_trusted: bool, on_set):
        """`was_trusted`: the clock was right before this reset (and no power cut stopped it)."""
        self._board = board
        self.server = config["server"]
        self._port = config["port"]
        self._every_ms = config["every_s"] * 1000
        self.latest_ms = config["latest_s"] * 1000  # the certificates' end
        self._on_set = on_set
        self._peer: Any = None
        self._lookup: Any = None
        self._nonce = 0
        self._answer = Deadline(board)
        self._next = Deadline(board, 0)
        self._floor_due = Deadline(board)
        self._retry_ms = _RETRY_MS
        self._doubted_ms = 0  # a large step that one answer asks for
        self.floor_ms = self._read_floor()
        self.source = "none"
        self._start(was_trusted)

    def now_ms(self) -> int:
        """Unix milliseconds; meaningful only while `source` is not "none"."""
        return self._board.epoch_ms()

    def text(self, epoch_ms):
        return None if epoch_ms is None else rfc3339.text(epoch_ms)

    def now_text(self):
        return None if self.source == "none" else rfc3339.text(self.now_ms())

    def step(self) -> int:
        if self._floor_due.expired():
            self._write_floor()
        if self.server is None:
            return _IDLE_MS
        try:
            return self._ask()
        except (OSError, MemoryError) as error:
            self._failed(error)
            return _IDLE_MS

    def _start(self, was_trusted):
        if was_trusted and self._board.epoch_ms() >= self.floor_ms:
            self.source = "kept"
            self._floor_due.start(FLOOR_EVERY_MS)
        else:
            self._board.set_epoch_ms(self.floor_ms)

    def _ask(self):
        if self._peer is not None:
            return self._await()
        if not self._next.expired() or not self._board.link.is_up():
            return _IDLE_MS
        if self._lookup is None:
            self._lookup = self._board.lookup(self.server)
            self._answer.start(_LOOKUP_MS)
        address = self._lookup.result()
        if address is None:
            if self._answer.expired():
                raise OSError("no address for %s" % self.server)
            return _POLL_MS
        self._lookup = None
        self._peer = self._board.datagram(address, self._port)
        self._nonce = self._board.random(1 << 30)
        from firmware.ntp import question  # forgotten with the connection

        self._peer.send(question(self._nonce))
        self._answer.start(_ANSWER_MS)
        return _POLL_MS

    def _await(self):
        answer = self._peer.receive()
        if answer is not None and self._take(answer):
            return min(_IDLE_MS, self._next.left_ms(0))
        if self._answer.expired():
            raise OSError("no answer from %s:%d" % (self.server, self._port))
        return _POLL_MS

    def _take(self, answer):
        """True when this datagram is the answer."""
        from firmware.ntp import answered

        epoch_ms = answered(answer, self._nonce)
        if epoch_ms is None or not self.floor_ms <= epoch_ms <= self.latest_ms:
            return False
        self._close()
        step_ms = epoch_ms - self._board.epoch_ms()
        if abs(step_ms) > _STEP_MS:
            if abs(step_ms - self._doubted_ms) > _AGREE_MS:
                self._doubted_ms = step_ms
                self._next.start(0)
                return True
            self._floor_due.stop()
        self._doubted_ms = 0
        self._board.set_epoch_ms(epoch_ms)
        self._retry_ms = _RETRY_MS
        self._next.start(self._every_ms)
        self.source = "ntp"
        if not self._floor_due.running():
            self._floor_due.start(FLOOR_EVERY_MS)
        self._on_set()
        return True

    def _failed(self, error):
        self._board.log("clock: no network time: %s" % error)
        self._close()
        self._next.start(self._retry_ms)
        self._retry_ms = min(self._retry_ms * 2, _RETRY_MAX_MS)

    def _close(self):
        self._lookup = None
        if self._peer is not None:
            self._peer.close()
            self._peer = None
            self._board.discard("firmware.ntp")

    def _read_floor(self):
        try:
            good, _ = record.split(self._board.flash.read(FLOOR_FILE) or b"")
            return max(EARLIEST_MS, int(good[0])) if good else EARLIEST_MS
        except (OSError, ValueError):
            return EARLIEST_MS

    def _write_floor(self):
        self._floor_due.start(FLOOR_EVERY_MS)
        self.floor_ms = max(self.floor_ms, self.now_ms())
        try:
            self._board.flash.replace(FLOOR_FILE, record.frame(b"%d" % self.floor_ms))
        except OSError as error:
            self._board.log("clock: floor not kept: %s" % error)
