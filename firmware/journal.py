"""The journal: what must outlive a power cut. One file of CRC-framed JSON records, appended to, compacted by rename.

Records (`k` is the kind):
  {"k":"open","id","n","at","clock"}  an incident was raised; `at` Unix ms or null, `n` presses so far
  {"k":"press","id","n"}              a further press of it
  {"k":"state","id","s"}              what the centre answered (`acknowledgement` states)
  {"k":"sealed"}                      records were damaged: of the incidents before this one presses may be missing
  {"k":"release"} / {"k":"held"}      the button was let go after the last press, or not yet (after a compaction)
An incident leaves the journal at compaction, once it is closed or its retention has ended.

Nothing here refuses an alarm: what cannot be written is kept in RAM, tried again, and shown as a fault.
"""

import json

from firmware import const, record
from firmware.timing import Deadline

FILE = "journal.log"
QUARANTINE = "journal.bad"
UNREAD = "journal.unread"
COMPACT_ABOVE_BYTES = 4096
QUARANTINE_MAX_BYTES = 4096
_RETRY_MS = const(5000)
SEALED = {"k": "sealed"}
_UNSAVED_MAX = const(200)  # records that wait in RAM for a flash that refuses to write


class Journal:
    """`on_fault(id, detail or None)` is told when writing fails (`journal`, `flash-full`) and when it works again."""

    def __init__(self, board, on_fault):
        self._board = board
        self._flash = board.flash
        self._on_fault = on_fault
        self.unsaved = []
        self._incomplete = False  # the queue overflowed: only a compaction can write what matters
        self._retry = Deadline(board)
        self.quarantined = 0

    def restore(self):
        """Yield each readable record, in order; see firmware/startup/restoring.py, which only the start needs."""
        from firmware.startup.restoring import read

        return read(self)

    def add(self, entry: dict) -> bool:
        """Append one record; True once it is on flash. It stays queued in RAM when the flash refuses."""
        self.unsaved.append(entry)
        return self._flush()

    def step(self) -> int:
        """Try again what the flash refused. Returns ms until the next try."""
        if self.unsaved and not self._retry.left_ms(0):
            self._flush()
        return _RETRY_MS

    def wants_compaction(self) -> bool:
        return self._incomplete or self._flash.size(FILE) > COMPACT_ABOVE_BYTES

    def compact(self, records) -> None:
        """Replace the journal by `records` (an iterable), which say all that matters (what is unsaved too)."""
        data = b"".join(framed(entry) for entry in records)
        if self._guarded(lambda: self._flash.replace(FILE, data)):
            self.unsaved = []
            self._incomplete = False
            self._on_fault("journal", None)
            self._on_fault("flash-full", None)

    def _flush(self):
        data = b"".join(framed(entry) for entry in self.unsaved)
        if not self._guarded(lambda: self._flash.append(FILE, data)):
            if len(self.unsaved) > _UNSAVED_MAX:
                del self.unsaved[:-_UNSAVED_MAX]
                self._incomplete = True
            self._retry.start(_RETRY_MS)
            return False
        if self._retry.running():
            self._retry.stop()
            self._on_fault("journal", None)
            self._on_fault("flash-full", None)
        self.unsaved = []
        return True

    def _guarded(self, write):
        try:
            write()
            return True
        except OSError as error:
            full = error.args and error.args[0] == 28  # ENOSPC
            if full and self._spare():
                return self._guarded(write)  # at once: a press must not wait in RAM when there is room for it
            self._on_fault("flash-full" if full else "journal", "cannot be written: %s" % error)
            return False

    def _spare(self):
        """Make room: the quarantine is the only thing on the flash that can be spared. False when there is none."""
        if not self._flash.size(QUARANTINE):
            return False
        try:
            self._flash.remove(QUARANTINE)
            return True
        except OSError as error:
            self._board.log("journal: %s cannot be removed: %s" % (QUARANTINE, error))
            return False


def framed(entry):
    return record.frame(json.dumps(entry).encode())
