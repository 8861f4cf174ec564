"""The console's `certs`: the certificates that a session's TLS stands on, as base64 of DER, in pieces. Never a key.

Our own two lie on flash (firmware/startup/pem.py); the broker's is the live session's.
"""

from binascii import b2a_base64

from firmware import const

_DER_BYTES = const(72)  # as many characters of base64: a multiple of 3, so that the pieces can be joined


def run(board, column):
    from firmware.startup.pem import in_force

    for said, key in (("ca", b'"ca"'), ("own", b'"cert"')):
        found = False
        for text in in_force(board.flash, column, key):
            found = found or text != ""
            yield {said: [text]} if text else 0
        if not found:
            yield {said: None}
    del in_force
    board.forget("firmware.startup.pem", "firmware.startup.seal", "firmware.startup")
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
