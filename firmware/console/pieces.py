"""Reads what may be as large as the free heap, a piece at a time."""

from firmware import const, record

_CHUNK_BYTES = const(256)
_LINE_MAX = const(1024)


def lines(flash, name: str):
    """Each line of a file of records as `record.lines` gives it. The file may grow meanwhile."""
    rest, at = b"", 0
    while True:
        piece = flash.read_at(name, at, _CHUNK_BYTES)
        at += len(piece)
        rest += piece
        end = rest.rfind(b"\n") + 1 if piece and len(rest) <= _LINE_MAX else len(rest)
        for line in record.lines(rest[:end]):
            yield line
        if not piece:
            return
        rest = rest[end:]
