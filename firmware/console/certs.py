"""The console's `certs`: the certificates that a session's TLS stands on, as base64 of DER, in pieces. Never a key.

Our own two lie in the configuration's file, which is too large to be read at once; the broker's is the live session's.
"""

from binascii import b2a_base64

from firmware import const, resets

_PIECE_BYTES = const(256)
_TEXT_BYTES = const(96)  # of base64, a line
_DER_BYTES = const(72)  # as many characters of base64: a multiple of 3, so that the pieces can be joined
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_HEAD_BYTES = const(64)


def run(board, column):
    from firmware.startup import seal

    name = seal.path(column.folder, seal.CONFIG_FILE)
    if column.origin["source"] != "current":
        name = resets.GOOD_FILE
    del seal
    board.forget("firmware.startup.seal")
    for said, key in (("ca", b'"ca"'), ("own", b'"cert"')):
        at = yield from _find(board.flash, name, key)
        if at:
            yield from _text(board.flash, name, at, said)
        else:
            yield {said: None}
    uplink = column.uplink
    try:
        der = uplink.stream.certificate() if uplink.is_up() else None
    except AttributeError:  # an image whose TLS forgets the peer's
        der = None
    if der is None:
        yield {"broker": None}
        return
    for at in range(0, len(der), _DER_BYTES):
        yield {"broker": [b2a_base64(der[at : at + _DER_BYTES]).decode().strip()]}


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
        yield 0


def _text(flash, name, at, said):
    """JSON's escapes out of base64 text, up to the dashes of its end."""
    end = -1
    while end < 0:
        piece = flash.read_at(name, at, _TEXT_BYTES)
        end = piece.find(b"-")
        if end >= 0:
            piece = piece[:end]
        elif piece.endswith(b"\\"):
            piece = piece[:-1]  # half an escape
        if not piece:
            return
        at += len(piece)
        yield {said: [piece.decode().replace("\\n", "").replace("\\r", "").replace("\\/", "/")]}
