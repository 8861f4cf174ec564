"""The work of an update: a generator of how long it can wait (ms). What it has done lies on flash; it begins with that.

signature -> manifest -> is it signed, and for this column? -> the other folder: what is not in the manifest goes, what
the folder in force has as well is copied, the rest fetched -> all of it is held against the signed manifest once more
-> configuration and keys are copied -> the folder is put in force, on trial, and the column restarts.
"""

from firmware import const, resets
from firmware.startup.seal import CONFIG_FILE, SECRETS_FILE, path
from firmware.update import manifest, pieces, signature, state

_RESTART_MS = const(1000)
_BLOCK_BYTES = const(4096)
_SPARE_BYTES = const(65536)  # of flash stay the journal's
_FOLDER = const(0x4000)


def work(board, update):
    flash, entry = board.flash, update.entry
    in_force = update.column.folder
    folder = "b" if in_force == "a" else "a"
    yield from pieces.listen(update)
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


# -- what was fetched


def _manifest(board, update, in_force):
    """Its header, once it is here, signed, and for this column."""
    flash, entry = board.flash, update.entry
    for name, size, digest in (
        (state.SIGNATURE_FILE, signature.BYTES, None),
        (state.MANIFEST_FILE, entry["bytes"], entry["digest"]),
    ):
        if flash.size(name) != size:
            yield from pieces.get(board, update, name, size, digest)
            flash.rename(state.PART_FILE, name)
    yield from _check_signature(flash, entry, in_force)
    found = manifest.header(flash)
    why = manifest.objection(board, found, in_force)
    if why is not None:
        raise ValueError(why)
    return found


def _check_signature(flash, entry, in_force):
    is_right = yield from pieces.is_right(flash, state.MANIFEST_FILE, entry["digest"])
    if not is_right or not signature.is_good(flash, in_force, entry["digest"]):
        raise ValueError("not signed with a key that this column trusts")


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
            is_right = yield from pieces.is_right(flash, path(folder, name), wanted)
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
            is_ours = yield from pieces.is_right(flash, ours, digest)
        if is_ours:
            yield from _copy(flash, ours)
        else:
            yield from pieces.get(board, update, name, size, digest)
        _make_folders(flash, target)
        flash.rename(state.PART_FILE, target)
        yield 0


def _copy(flash, source):
    flash.remove(state.PART_FILE)
    at = 0
    while True:
        data = flash.read_at(source, at, pieces.PIECE_BYTES)
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
        is_right = yield from pieces.is_right(flash, path(folder, name), digest)
        if not is_right:
            raise OSError("%s is damaged" % name)  # the work begins again: what is damaged is fetched anew


def _carry(flash, folder, in_force):
    """What is the column's own. The configuration comes last: with it the folder is whole."""
    for name in (state.KEYS_FILE, SECRETS_FILE, CONFIG_FILE):
        ours, target = path(in_force, name), path(folder, name)
        if flash.size(target) or not flash.size(ours):
            continue  # the release has keys of its own
        yield from _copy(flash, ours)
        digest = yield from pieces.digest(flash, ours)
        is_right = yield from pieces.is_right(flash, state.PART_FILE, digest)
        if not is_right:
            raise OSError("%s is damaged" % name)
        flash.rename(state.PART_FILE, target)
