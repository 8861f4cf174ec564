"""Who wrote a message: the proof from end to end that docs/contract.md explains, as a centre makes and checks it.

The column's side of the same is firmware/authentic.py. Pure: keys and bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, NamedTuple

KEY_BYTES = 32
MAC_CHARS = 32
MARK, END = b'"mac":"', b'"}'


class Number(NamedTuple):
    """`boot` of the column, whoever speaks; `serial` rises."""

    boot: int
    serial: int


def mac(key: bytes, topic: str, data: bytes) -> bytes:
    """For whatever is to be authenticated, named by `topic`: 32 hex digits."""
    return hmac.new(key, topic.encode() + b"\0" + data, hashlib.sha256).hexdigest()[:MAC_CHARS].encode()


def seal(key: bytes, topic: str, document: dict[str, Any], number: Number) -> bytes:
    """The document's bytes as they have to be sent, proven."""
    text = json.dumps({**document, "n": list(number)}, ensure_ascii=False, separators=(",", ":")).encode()
    text = text[:-1] + b"," + MARK
    return text + mac(key, topic, text) + END


def is_claimed(payload: bytes) -> bool:
    """Whether the message says that it is proven."""
    return payload[-MAC_CHARS - len(END) - len(MARK) :].startswith(MARK)


def is_sealed(key: bytes, topic: str, payload: bytes) -> bool:
    """Whether somebody with the key wrote it, for this topic."""
    at = len(payload) - MAC_CHARS - len(END)
    if at <= 0 or not is_claimed(payload) or not payload.endswith(END):
        return False
    return hmac.compare_digest(mac(key, topic, payload[:at]), payload[at : at + MAC_CHARS])


def number(document: dict[str, Any]) -> Number | None:
    """A message's number, None for one without."""
    match document.get("n"):
        case [int(boot), int(serial)] if boot >= 0 and serial >= 0:
            return Number(boot, serial)
    return None
