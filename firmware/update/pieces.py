"""How a column gets what it was told of: one piece after the other over the session that it has, into a file."""

import json
from binascii import a2b_base64, hexlify
from hashlib import sha256

from firmware import const, encoding
from firmware.timing import Deadline
from firmware.update import state

PIECE_BYTES = 512
_ANSWER_MS = const(3000)
_ANSWER_MAX_MS = const(300000)
_READ_BYTES = const(512)
_DAMAGED_MAX = const(3)  # of one file, in a row
_ROUTE_MS = const(20)
_NAMES = {state.SIGNATURE_FILE: "signature", state.MANIFEST_FILE: "manifest"}  # how they are asked for


def listen(update):
    """One more subscription of this session; it ends with it."""
    uplink = update.column.uplink
    session, topic = uplink.session, update.column.messages.topic("piece")
    if b"piece" in uplink.refused or b"want" in uplink.refused:
        if uplink.deaf == topic:  # it is neither answers nor commands that are missing
            uplink.deaf = b""
        raise ValueError("the broker ends the session at ...piece or ...want")
    if update.session is not session:
        update.session = session
        session.subscriptions = list(session.subscriptions) + [topic]
    while session.subscriptions:
        yield _ROUTE_MS
        if uplink.session is not session:
            raise OSError("the session ended at the subscription to its pieces")
    if session.unheard == topic:
        session.unheard = b""
        raise ValueError("the broker refuses the subscription to ...piece")


def get(board, update, name, size, digest):
    """Fetch a file into PART_FILE, or the rest of it. `digest`: what its SHA-256 must be, or None."""
    flash, damaged = board.flash, 0
    while True:
        at = flash.size(state.PART_FILE)
        if at > size:
            flash.remove(state.PART_FILE)
            at = 0
        while at < size:
            data = yield from _ask(board, update, name, at, min(PIECE_BYTES, size - at))
            flash.append(state.PART_FILE, data)
            at += len(data)
            yield 0
        if digest is None:
            return
        is_good = yield from is_right(flash, state.PART_FILE, digest)
        if is_good:
            return
        flash.remove(state.PART_FILE)
        damaged += 1
        if damaged >= _DAMAGED_MAX:
            raise ValueError("%s came damaged %d times" % (name, damaged))


def _ask(board, update, name, at, size):
    """One piece: asked for until it comes, ever less often."""
    column, wait_ms = update.column, _ANSWER_MS
    topic = column.messages.topic("want")
    want = {"v": 1, "release": update.entry["digest"][:16], "file": _NAMES.get(name, name), "at": at}
    want["bytes"] = size
    while True:
        update.piece = None
        while not column.uplink.publish_once(topic, encoding.encode(want)):
            yield _ROUTE_MS
        due = Deadline(board, wait_ms)
        while not due.expired():
            yield due.left_ms(0)
            data = _taken(update, want)
            if data is not None:
                return data
        wait_ms = min(wait_ms * 2, _ANSWER_MAX_MS)
        update.is_stuck = wait_ms == _ANSWER_MAX_MS


def _taken(update, want):
    """The bytes of the piece that came, if it is the one that was asked for."""
    payload, update.piece = update.piece, None
    if payload is None:
        return None
    try:
        body = json.loads(payload.decode())
        if all(body[key] == want[key] for key in ("v", "release", "file", "at")):
            data = a2b_base64(body["data"])
            return data if len(data) == want["bytes"] else None
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        pass
    return None


def digest(flash, name: str):
    """Ends with a file's SHA-256 in hex; yields 0 now and then, for the button."""
    found, at = sha256(), 0
    while True:
        data = flash.read_at(name, at, _READ_BYTES)
        if not data:
            break
        found.update(data)
        at += len(data)
        if at & 0x7FF == 0:
            yield 0
    return hexlify(found.digest()).decode()


def is_right(flash, name, wanted):
    """Ends with whether the file has that digest."""
    found = yield from digest(flash, name)
    return found == wanted
