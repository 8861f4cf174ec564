"""The technician's one-time code for a column's console (`access.code`, docs/diagnostics.md), as a host makes it.

The column's side of the same is firmware/console/code.py: RFC 4226's HOTP with SHA-256 and 8 digits, by a key that is
derived from the column's own.
"""

from __future__ import annotations

import hashlib
import hmac
import re

CHALLENGE = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")  # this boot's number, and which code of it: what `code` shows
MAC_CHARS = 32
_NAME = b"console"
_CODES, _COUNTER_BITS, _WORD_BYTES, _SIGN = 10**8, 32, 4, 0x7FFFFFFF


def code(key: bytes, challenge: str) -> str:
    """8 digits. `key`: the column's own. Raises ValueError for what no column shows."""
    found = CHALLENGE.fullmatch(challenge.strip())
    numbers = [int(number) for number in found.groups()] if found else []
    if not numbers or max(numbers) >= 1 << _COUNTER_BITS:
        raise ValueError(f"found {challenge[:40]!r}, must be what the column shows, such as 16777300-1")
    counter = b"".join(number.to_bytes(_WORD_BYTES, "big") for number in numbers)
    mac = hmac.digest(derived(key), counter, hashlib.sha256)
    at = mac[-1] & 0xF
    return f"{(int.from_bytes(mac[at : at + _WORD_BYTES], 'big') & _SIGN) % _CODES:08d}"


def derived(key: bytes) -> bytes:
    """A key for codes alone: whoever has it proves nothing in the column's name."""
    return hmac.new(key, _NAME + b"\0", hashlib.sha256).hexdigest()[:MAC_CHARS].encode()
