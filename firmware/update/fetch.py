"""The work of an update: a generator of how long it can wait (ms). What it has done lies on flash; it begins with that.

signature -> manifest -> is it signed, and for this column? -> the other folder: what is not in the manifest goes, what
the folder in force has as well is copied, the rest fetched -> all of it is held against the signed manifest once more
-> configuration and keys are copied -> the folder is put in force, on trial, and the column restarts.
"""

import json
from binascii import a2b_base64

from firmware import const, encoding, resets
from firmware.startup.seal import CONFIG_FILE, SECRETS_FILE, path
from firmware.timing import Deadline
from firmware.update import manifest, signature, state

PIECE_BYTES = 512
_ANSWER_MS = const(3000)
_ANSWER_MAX_MS = const(300000)
_DAMAGED_MAX = const(3)  # of one file, in a row
_RESTART_MS = const(1000)
_BLOCK_BYTES = const(4096)
_SPARE_BYTES = const(65536)  # of flash stay the journal's
_FOLDER = const(0x4000)
_ROUTE_MS = const(20)
_NAMES = {state.SIGNATURE_FILE: "signature", state.MANIFEST_FILE: "manifest"}  # how they are asked for


def work(board, update):
    flash, entry = board.flash, update.entry
    in_force = update.column.folder
    folder = "b" if in_force == "a" else "a"
    yield from _listen(update)
    found = yield from _manifest(board, update, in_force)
    entry["version"] = found["version"]
    yield from _tidy(flash, folder, in_force, found["end"])
    yield from _fill(board, update, folder, in_force, found["end"])
    yield from _hold(flash, entry, folder, in_force, found["end"])
    yield from _carry(flash, folder, in_force)
    # First: a firmware that never gets as far as to note its trial is not tried again.
    state.write(flash, dict(entry, state=state.TRIAL, to=folder))
    flash.replace(resets.ACTIVE_FILE, (folder + (in_force or "/")).encode())
    board.log("update: %s is in %s, on trial" % (entry["version"], folder))
    update.column.actions.restart.start(_RESTART_MS)


# -- over the session


def _listen(update):
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


def _get(board, update, name, size, digest):
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
        is_right = yield from _is(flash, state.PART_FILE, digest)
        if is_right:
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


# -- what was fetched


def _manifest(board, update, in_force):
    """Its header, once it is here, signed, and for this column."""
    flash, entry = board.flash, update.entry
    for name, size, digest in (
        (state.SIGNATURE_FILE, signature.BYTES, None),
        (state.MANIFEST_FILE, entry["bytes"], entry["digest"]),
    ):
        if flash.size(name) != size:
            yield from _get(board, update, name, size, digest)
            flash.rename(state.PART_FILE, name)
    yield from _check_signature(flash, entry, in_force)
    found = manifest.header(flash)
    why = manifest.objection(board, found, in_force)
    if why is not None:
        raise ValueError(why)
    return found


def _check_signature(flash, entry, in_force):
    is_right = yield from _is(flash, state.MANIFEST_FILE, entry["digest"])
    if not is_right or not signature.is_good(flash, in_force, entry["digest"]):
        raise ValueError("not signed with a key that this column trusts")


def _is(flash, name, digest):
    found = yield from manifest.digest(flash, name)
    return found == digest


# -- the folder that is not in force


def _tidy(flash, folder, in_force, start):
    """Away with what the manifest does not have like that. The configuration goes first: without one a folder is
    nothing that boot.py falls back on, see `_some_folder` there."""
    flash.remove(path(folder, CONFIG_FILE))
    for name in list(_walk(flash, folder)):
        wanted = None
        for digest, _, one in manifest.entries(flash, start, in_force):
            if one == name:
                wanted = digest
                break
            yield 0
        if wanted is not None:
            is_right = yield from _is(flash, path(folder, name), wanted)
            if is_right:
                continue
        flash.remove(path(folder, name))
        yield 0


def _walk(flash, folder, below=""):
    """The path of each file in it."""
    try:
        found = [(entry[0], entry[1]) for entry in flash.entries(path(folder, below[:-1]) if below else folder)]
    except OSError:
        return
    for name, kind in found:
        if kind == _FOLDER:
            yield from _walk(flash, folder, below + name + "/")
        else:
            yield below + name


def _fill(board, update, folder, in_force, start):
    flash = board.flash
    missing = 0
    for _, size, name in manifest.entries(flash, start, in_force):
        if flash.size(path(folder, name)) != size:
            missing += (size + _BLOCK_BYTES - 1) // _BLOCK_BYTES * _BLOCK_BYTES
        yield 0
    if flash.free_bytes() < missing + _SPARE_BYTES:
        raise ValueError("the flash has no room: %d bytes are free" % flash.free_bytes())
    for digest, size, name in manifest.entries(flash, start, in_force):
        target = path(folder, name)
        if size == 0:
            _make_folders(flash, target)
            flash.replace(target, b"")
        if flash.size(target) == size:
            continue
        ours = path(in_force, name)
        is_ours = flash.size(ours) == size
        if is_ours:
            is_ours = yield from _is(flash, ours, digest)
        if is_ours:
            yield from _copy(flash, ours)
        else:
            yield from _get(board, update, name, size, digest)
        _make_folders(flash, target)
        flash.rename(state.PART_FILE, target)
        yield 0


def _copy(flash, source):
    flash.remove(state.PART_FILE)
    at = 0
    while True:
        data = flash.read_at(source, at, PIECE_BYTES)
        if not data:
            return
        flash.append(state.PART_FILE, data)
        at += len(data)
        yield 0


def _make_folders(flash, name):
    at = name.find("/")
    while at > 0:
        flash.make_folder(name[:at])
        at = name.find("/", at + 1)


def _hold(flash, entry, folder, in_force, start):
    """The last look before the switch: signature, and each file as it lies there."""
    yield from _check_signature(flash, entry, in_force)
    for digest, _, name in manifest.entries(flash, start, in_force):
        is_right = yield from _is(flash, path(folder, name), digest)
        if not is_right:
            raise OSError("%s is damaged" % name)  # the work begins again: what is damaged is fetched anew


def _carry(flash, folder, in_force):
    """What is the column's own. The configuration comes last: with it the folder is whole."""
    for name in (state.KEYS_FILE, SECRETS_FILE, CONFIG_FILE):
        ours, target = path(in_force, name), path(folder, name)
        if flash.size(target) or not flash.size(ours):
            continue  # the release has keys of its own
        yield from _copy(flash, ours)
        digest = yield from manifest.digest(flash, ours)
        is_right = yield from _is(flash, state.PART_FILE, digest)
        if not is_right:
            raise OSError("%s is damaged" % name)
        flash.rename(state.PART_FILE, target)
