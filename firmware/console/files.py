"""The console's `files`: what is on flash, each file by its hash. Whoever asks knows what should be there.

Of the configuration, which holds secrets, only whether its seal fits.
"""

from binascii import crc32, hexlify
from hashlib import sha256

from firmware import const

_PIECE_BYTES = const(512)  # a turn: read and hashed within a millisecond or two
_FOLDER = const(0x4000)
_DIGITS = const(16)
_TAIL_BYTES = const(64)  # the seal is within these
_PACKAGES = ("firmware", "hal", "umqtt")  # in the root lies more than the firmware
_ROOT_FILES = ("boot.py", "main.py")


def run(board, column):
    from firmware.startup import seal

    flash, folder = board.flash, column.folder
    private = [seal.path(folder, name) for name in (seal.CONFIG_FILE, seal.SECRETS_FILE)]
    mark = seal.SEAL
    del seal
    board.forget("firmware.startup.seal")
    for name in _names(flash, folder):
        if not name or name in private:
            yield 0
        else:
            yield (yield from _hashed(flash, name, folder))
    for name in _ROOT_FILES:
        yield (yield from _hashed(flash, name, ""))
    for name in private:
        fits = yield from _seal_fits(flash, name, mark)
        yield {"sealed": {_within(folder, name): fits}}
    yield {"folder": folder}


def _within(folder, name):
    return name[len(folder) + 1 :] if folder else name


def _names(flash, folder):
    """Each file of the firmware with its path, and "" where a turn is to end."""
    if folder:
        yield from _below(flash, folder)
        return
    for package in _PACKAGES:
        try:
            yield from _below(flash, package)
        except OSError:
            pass  # the image has it frozen


def _below(flash, folder):
    for entry in flash.entries(folder):
        name = folder + "/" + entry[0]
        if entry[1] == _FOLDER:
            yield ""
            yield from _below(flash, name)
        else:
            yield name


def _hashed(flash, name, folder):
    """Ends with what is to be said of the file: its hash, or null when it is not there or cannot be read."""
    digest, at = sha256(), 0
    try:
        while True:
            piece = flash.read_at(name, at, _PIECE_BYTES)
            if not piece:
                break
            digest.update(piece)
            at += len(piece)
            yield 0
    except OSError:
        at = 0
    return {"files": {_within(folder, name): hexlify(digest.digest()).decode()[:_DIGITS] if at else None}}


def _seal_fits(flash, name, mark):
    """Ends with True, False, or None for a file that is not there or has no seal. See config_files.py."""
    try:
        end = max(0, flash.size(name) - _TAIL_BYTES)
        tail = flash.read_at(name, end, _TAIL_BYTES)
        found = tail.rfind(mark)
        if found < 0:
            return None
        crc = at = 0
        yield 0
        while at < end:
            piece = flash.read_at(name, at, min(_PIECE_BYTES, end - at))
            crc = crc32(piece, crc)
            at += len(piece) or end
            yield 0
    except OSError:
        return False
    crc = crc32(tail[:found], crc) & 0xFFFFFFFF
    return tail[found:].rstrip() == mark + b'%08x"}' % crc
