"""A question to a time server and its answer, as RFC 5905 has them: in memory only meanwhile."""

import struct

from firmware import const

_EPOCH_S = const(2208988800)  # from 1900 to 1970


def question(nonce: int) -> bytes:
    """The client's transmit time comes back as the originate time, which tells our answer from a stray."""
    return b"\x23" + bytes(39) + struct.pack("!II", nonce, 0)


def answered(answer, nonce: int):
    """Unix ms; None when this datagram is no answer to that question."""
    if len(answer) < 48 or answer[0] & 7 != 4 or answer[0] >> 6 == 3 or not 1 <= answer[1] <= 15:
        return None  # not a server's, or a server that is not synchronised itself
    if struct.unpack("!II", answer[24:32]) != (nonce, 0):
        return None
    seconds, fraction = struct.unpack("!II", answer[40:48])
    if not seconds and not fraction:
        return None  # RFC 4330 section 5: a server that has no time to give
    if seconds < 1 << 31:
        seconds += 1 << 32  # era 1 begins in 2036, RFC 4330 section 3
    return (seconds - _EPOCH_S) * 1000 + (fraction * 1000 >> 32)
