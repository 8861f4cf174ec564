"""The console's `logs`: why the column restarted last, its faults, its journal."""

import json

from firmware import const, journal

_LINES_MAX = const(100)  # of each file
_TEXT_MAX = const(120)  # of a damaged line, of a fault's detail


def run(board, column):
    from firmware.console.pieces import lines

    reset = column.last_reset
    yield {"reset": {"cause": reset["cause"], "culprit": reset["culprit"], "boot": column.number}}
    for line in (reset["traceback"] or "").split("\n"):
        if line:
            yield {"traceback": [line]}
    for ident in column.faults.ids():
        since_ms, detail = column.faults.raised[ident]
        since = column.clock.text(since_ms)
        yield {"faults": [{"id": ident, "since": since, "detail": detail[:_TEXT_MAX]}]}
    for key, name in (("journal", journal.FILE), ("quarantine", journal.QUARANTINE)):
        count = 0
        for line, sound in lines(board.flash, name):
            count += 1
            if count <= _LINES_MAX:
                yield {key: [_entry(line, sound)]}
        if count > _LINES_MAX:
            yield {"left_out": count - _LINES_MAX}


def _entry(line, sound):
    try:
        if sound:
            return json.loads(line.decode())
    except ValueError:
        pass
    return {"damaged": "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line[:_TEXT_MAX])}
