"""The mark of a column's key: it names the key, and does not tell it."""

from __future__ import annotations

import hashlib

CHARS = 16
_OF = b"the mark of a column's key\0"


def mark_of(key: bytes) -> str:
    """In hexadecimal digits."""
    return hashlib.sha256(_OF + key).hexdigest()[:CHARS]
