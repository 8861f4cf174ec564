"""HMAC-SHA-256 over hashlib: stock MicroPython has no `hmac`."""

from hashlib import sha256

from firmware import const

_BLOCK_BYTES = const(64)
_INNER, _OUTER = const(0x36), const(0x5C)


def pads(key: bytes) -> tuple:
    """What `digest` takes: a key of at most 64 bytes, made ready."""
    key = key + bytes(_BLOCK_BYTES - len(key))
    return bytes([byte ^ _INNER for byte in key]), bytes([byte ^ _OUTER for byte in key])


def digest(pads, *parts) -> bytes:
    """Of the parts, one behind the other."""
    inner = sha256(pads[0])
    for part in parts:
        inner.update(part)
    outer = sha256(pads[1])
    outer.update(inner.digest())
    return outer.digest()
