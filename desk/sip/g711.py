"""Samples of 16 bits as G.711 has them, by tables: no library of sound is needed for 8,000 samples a second."""

from __future__ import annotations

import array
from dataclasses import dataclass, field

RATE_HZ = 8000
BLOCK = 160  # samples in 20 ms
BLOCK_S = BLOCK / RATE_HZ
SILENCE = bytes(2 * BLOCK)
ULAW_BIAS = 0x84


def _of_ulaw(code: int) -> int:
    code = ~code & 0xFF
    value = (((code & 0x0F) << 3) + ULAW_BIAS << ((code & 0x70) >> 4)) - ULAW_BIAS
    return -value if code & 0x80 else value


def _of_alaw(code: int) -> int:
    code ^= 0x55
    value, exponent = (code & 0x0F) << 4, (code & 0x70) >> 4
    value = value + 8 if exponent == 0 else value + 0x108 << exponent - 1
    return value if code & 0x80 else -value


@dataclass(frozen=True, eq=False)
class Law:
    """One of the two kinds of G.711."""

    name: str
    payload_type: int  # of RTP
    decoded: array.array[int] = field(repr=False)
    encoded: bytes = field(repr=False)  # by sample, from -32768 on

    def decode(self, data: bytes) -> bytes:
        """Samples as the machine has them."""
        return array.array("h", map(self.decoded.__getitem__, data)).tobytes()

    def encode(self, block: bytes) -> bytes:
        samples = array.array("h", block)
        return bytes([self.encoded[sample + 32768] for sample in samples])


def _law(name: str, payload_type: int, values: list[int]) -> Law:
    """The nearest code for each sample: `values` by code."""
    codes = sorted(range(256), key=values.__getitem__)
    encoded, at = bytearray(), 0
    for sample in range(-32768, 32768):
        while at < 255 and abs(values[codes[at + 1]] - sample) <= abs(values[codes[at]] - sample):
            at += 1
        encoded.append(codes[at])
    return Law(name, payload_type, array.array("h", values), bytes(encoded))


ULAW = _law("PCMU", 0, [_of_ulaw(code) for code in range(256)])
ALAW = _law("PCMA", 8, [_of_alaw(code) for code in range(256)])
LAWS = {law.payload_type: law for law in (ULAW, ALAW)}
