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


def lines(data: bytes):
    """Each line in the order of the file, one at a time (a journal must not need its size in heap again):
    (payload, True), or (the damaged line, False)."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        if end < 0:
            end = len(data)
        if end > start:
            line = data[start:end]
            payload = line[_HEAD:]
            sound = line[:_HEAD] == b"%08x " % (crc32(payload) & 0xFFFFFFFF)
            yield (payload, True) if sound else (line, False)
        start = end + 1


def split(data: bytes):
    """(payloads whose CRC holds, lines whose CRC does not), in the order of the file."""
    good, bad = [], []
    for line, sound in lines(data):
        (good if sound else bad).append(line)
    return good, bad
