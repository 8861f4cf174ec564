"""The certificates in force, as they lie on flash: in a file that is too large to be read at once. Loaded when somebody
asks, and forgotten.
"""

from firmware import const, resets
from firmware.startup import seal

_RENEWED_FILE = "tls.good"  # see renewed.py
_PIECE_BYTES = const(256)
_TEXT_BYTES = const(96)  # of base64, a line
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_HEAD_BYTES = const(64)


def in_force(flash, column, key: bytes):
    """The first certificate of `"ca"` or `"cert"`, the key as it stands in the file: base64 of its DER, in pieces. An
    empty piece: not yet."""
    tls = column.uplink.config["tls"]
    name = seal.path(column.folder, seal.CONFIG_FILE)
    if column.origin["source"] != "current":
        name = resets.GOOD_FILE
    if tls and tls.get("source"):  # they came over the air
        name = tls["source"]
        if not flash.size(name):
            name = _RENEWED_FILE  # they were on trial, and have been kept
    at = yield from _find(flash, name, key)
    end = -1
    while at and end < 0:
        piece = flash.read_at(name, at, _TEXT_BYTES)
        end = piece.find(b"-")
        if end >= 0:
            piece = piece[:end]
        elif piece.endswith(b"\\"):
            piece = piece[:-1]  # half an escape
        if not piece:
            return
        at += len(piece)
        # JSON's escapes, out of base64
        yield piece.decode().replace("\\n", "").replace("\\r", "").replace("\\/", "/")


def _find(flash, name, key):
    """Ends with where the text behind that key's `BEGIN CERTIFICATE` begins, or with 0: there is none."""
    at = 0
    while True:
        piece = flash.read_at(name, at, _PIECE_BYTES)
        found = piece.find(key)
        if found >= 0:
            at += found + len(key)
            head = flash.read_at(name, at, _HEAD_BYTES)
            begin = head.find(_BEGIN)
            if begin > 0 and b"".join(head[:begin].split()) == b':"':
                return at + begin + len(_BEGIN)
        elif len(piece) < _PIECE_BYTES:
            return 0
        else:
            at += _PIECE_BYTES - len(key)
        yield ""
