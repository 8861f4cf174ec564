"""What the last boot left: the journal's records, and the incidents that were open."""

import json

from firmware import const, incident, journal, record
from firmware.incident import Incident

_RANDOM_BOOT = const(1 << 25)  # beyond what boot.py draws
_LINE_MAX = const(256)  # of a damaged line, so much is kept


def boot_of(ident: str) -> int:
    """The boot number inside `<device_id>-<boot>-<seq>`; 0 when it has none."""
    parts = ident.rsplit("-", 2)
    return int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else 0


def read(one):
    """Yield each readable record of the journal `one`, in order. Damaged lines go to `journal.bad`; the file is then
    written anew, and ends with `sealed`, as does what we yield."""
    flash = one._flash
    try:
        data = flash.read(journal.FILE) or b""
    except OSError as error:
        one._on_fault("journal", "cannot be read: %s; kept as %s" % (error, journal.UNREAD))
        if not flash.size(journal.UNREAD):  # or the next compaction would overwrite it
            one._guarded(lambda: flash.rename(journal.FILE, journal.UNREAD))
        return
    bad = []
    for line, sound in record.lines(data):
        entry = _parsed(line) if sound else None
        if entry is None:
            bad.append(line)
        else:
            yield entry
    if bad:
        _quarantine(one, bad)
        sound = b"".join(record.frame(line) for line, _ in record.lines(data) if line not in bad)
        sound += journal.framed(journal.SEALED)
        one._guarded(lambda: flash.replace(journal.FILE, sound))
        yield journal.SEALED


def replay(incidents, records, boot: int) -> None:
    """Rebuild what was open when the board went down. Damaged sequences cost at most the record in question.

    `boot` becomes the boot number, or a random one when the journal has its ids already: none is used twice. One
    more than the journal's would not do: an id may be with the centre and in no journal (a flash that refuses).
    """
    incidents.boot = boot
    for entry in records:
        try:
            _replay(incidents, entry)
            if boot_of(entry.get("id", "")) == boot:
                incidents.boot = _RANDOM_BOOT + incidents._board.random(_RANDOM_BOOT)
        except (KeyError, TypeError, AttributeError, ValueError):
            incidents._board.log("journal: a record makes no sense and is left out: %s" % entry)
    incidents.clock_set()


def _replay(incidents, entry):
    kind = entry["k"]
    if kind in ("release", "held"):
        incidents.held = kind == "held"
    elif kind == "sealed":
        incidents.held = False  # the release may be what was damaged: better a second alarm than none
        for one in incidents._list:
            one.sealed = True
    elif kind in ("open", "press") and incidents._find(entry["id"]) is None:  # its `open` may be damaged
        restored = Incident(incidents._board, entry["id"], incidents.config, late=True)
        restored.raised_at = entry.get("at")
        restored.clock = entry.get("clock", "none")
        restored.press = entry["n"]
        incidents._list.append(restored)
        incidents.held = True
    else:
        one = incidents._find(entry["id"])
        if kind == "state" and one:
            one.restored(entry["s"])
            if one.state == incident.CLOSED:
                incidents._list.remove(one)
        elif one:  # a further press; or an `open` written twice, by a flash that failed after it had written
            incidents.held = True
            one.press = max(one.press, entry["n"])


def _quarantine(one, lines):
    one.quarantined = len(lines)
    if one._flash.size(journal.QUARANTINE) < journal.QUARANTINE_MAX_BYTES:
        text = b"".join(line[:_LINE_MAX] + b"\n" for line in lines)[: journal.QUARANTINE_MAX_BYTES]
        one._guarded(lambda: one._flash.append(journal.QUARANTINE, text))


def _parsed(payload):
    """The record, or None."""
    try:
        entry = json.loads(payload.decode())
        return entry if isinstance(entry, dict) else None
    except ValueError:
        return None
