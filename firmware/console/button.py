"""The console's `button`: what the contact does within 10 s, as the loop sees it, each millisecond.

A press is a real press: whoever needs help in these seconds gets it. The centre is told of the test by an event.
"""

import struct

from firmware import const
from firmware.timing import Stopwatch

_LASTS_MS = const(10000)
_SAMPLE = "<HBB"  # ms since the beginning, closed?, closing edges since the sample before
_SAMPLE_BYTES = const(4)
_SAMPLES_MAX = const(200)
_IN_A_LINE = const(16)
_BYTE_MAX = const(255)


def run(board, column):
    button, since = column.button, Stopwatch(board)
    column.telemetry.event("button-test", "a technician tries the button for %d s" % (_LASTS_MS // 1000))
    closed, closures, first, presses = button.was_closed, button.closures, button.closures, button.presses
    seen = bytearray(struct.pack(_SAMPLE, 0, closed, 0))
    yield {"lasts_ms": _LASTS_MS, "counts": board.contact.counts}
    while since.ms() < _LASTS_MS:
        if button.was_closed != closed or button.closures != closures:
            if len(seen) < _SAMPLES_MAX * _SAMPLE_BYTES:
                edges = min(button.closures - closures, _BYTE_MAX)
                seen.extend(struct.pack(_SAMPLE, min(since.ms(), _LASTS_MS), button.was_closed, edges))
            closed, closures = button.was_closed, button.closures
        yield 1
    for start in range(0, len(seen), _IN_A_LINE * _SAMPLE_BYTES):
        some = range(start, min(start + _IN_A_LINE * _SAMPLE_BYTES, len(seen)), _SAMPLE_BYTES)
        yield {"samples": [struct.unpack_from(_SAMPLE, seen, at) for at in some]}
    incident = column.incidents.current()
    pressed = button.presses - presses
    alarm = incident.id if pressed and incident else None
    yield {"presses": pressed, "closures": closures - first, "alarm": alarm, "stuck": button.is_stuck}
