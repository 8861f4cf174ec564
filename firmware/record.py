"""Framing of records on flash: LittleFS keeps no checksum over file data, so each record carries its own.

A record is one line between line feeds: 8 hex digits of CRC-32 over the payload, a space, the payload (which holds
no line feed). The line feed on *both* sides lets a reader find the next record whatever happened to this one.
"""

from binascii import crc32

_HEAD = 9  # 8 hex digits and a space


def frame(payload: bytes) -> bytes:
    """`payload` as it goes to flash. Raises ValueError when it holds a line feed."""
    if b"\n" in payload:
        raise ValueError("a record cannot hold a line feed")
    return b"\n%08x %s\n" % (crc32(payload) & 0xFFFFFFFF, payload)


def split(data: bytes):
    """(payloads whose CRC holds, lines whose CRC does not), in the order of the file."""
    good, bad = [], []
    for line in data.split(b"\n"):
        if not line:
            continue
        payload = line[_HEAD:]
        if line[:_HEAD] == b"%08x " % (crc32(payload) & 0xFFFFFFFF):
            good.append(payload)
        else:
            bad.append(line)
    return good, bad
