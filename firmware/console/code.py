"""The console's `code`: what a technician's one-time code is for, whether this is it, and the end of what it opened.

The challenge is this boot's number and a count; neither is secret. The code is RFC 4226's HOTP with SHA-256 and 8
digits: the key is derived from the column's own, the counter is boot * 2**32 + count (common/console_code.py).
"""

import struct

from firmware import const
from firmware.hmac import digest, pads

_END = "end"
_NAME = b"console"  # as a topic of a proof: none of the contract's
_CODES = const(100000000)


def run(board, column, typed):
    lock = column.lock
    if lock is None:
        raise ValueError("this column asks for no code")
    if typed == _END:
        lock.close()
    elif typed and not lock.is_open():  # a line may come twice
        _try(column, lock, typed.replace(" ", ""))
    yield {"challenge": "%d-%d" % (lock.boot, lock.count), "open_s": lock.open_ms() // 1000}


def _try(column, lock, typed):
    pause_ms = lock.pause_ms()
    if pause_ms:
        raise ValueError("after a wrong code the next one has to wait: try again in %d s" % (pause_ms // 1000 + 1))
    if typed != of(column.messages.authentic.mac(_NAME, b""), lock.boot, lock.count):
        lock.refuse()
        column.commands.refuse("", "a wrong code on the console")
        raise ValueError("a wrong code; the centre is told")
    lock.open()
    column.telemetry.event("console-opened", {"open_s": lock.open_ms() // 1000})


def of(key: bytes, boot: int, count: int) -> str:
    found = digest(pads(key), struct.pack(">II", boot, count))
    number = struct.unpack_from(">I", found, found[-1] & 15)[0] & 0x7FFFFFFF
    return "%08d" % (number % _CODES)
