"""RSA-3072, PKCS#1 v1.5 with SHA-256: is the manifest signed with one of the keys that this column trusts?

`release.keys` has at most two: 4 bytes of CRC-32, then the 384 bytes of the modulus, big end first; the exponent is
65537. The whole padded block is compared, so there is nothing to parse, and nothing to be lax about.
"""

from binascii import crc32, unhexlify

from firmware import const
from firmware.startup.seal import path
from firmware.update import state

BYTES = 384
KEYS_MAX = 2
_EXPONENT = const(65537)
_ENTRY_BYTES = const(388)
_SHA256 = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"  # RFC 8017, 9.2 note 1


def has_keys(flash, in_force: str) -> bool:
    return any(_modulus(flash, in_force, number) for number in range(KEYS_MAX))


def is_good(flash, in_force: str, digest: str) -> bool:
    """`digest`: of the manifest, hex. Takes one modular power per key, some 0.2 s on an ESP32."""
    raw = flash.read_at(state.SIGNATURE_FILE, 0, BYTES + 1)
    if len(raw) != BYTES:
        return False
    signature = int.from_bytes(raw, "big")
    wanted = int.from_bytes(_padded(unhexlify(digest)), "big")
    for number in range(KEYS_MAX):
        modulus = _modulus(flash, in_force, number)
        if modulus and signature < modulus and pow(signature, _EXPONENT, modulus) == wanted:
            return True
    return False


def _padded(digest):
    tail = b"\0" + _SHA256 + digest
    return b"\0\x01" + b"\xff" * (BYTES - 2 - len(tail)) + tail


def _modulus(flash, in_force, number):
    """0 where there is no sound key of 3,072 bits."""
    entry = flash.read_at(path(in_force, state.KEYS_FILE), number * _ENTRY_BYTES, _ENTRY_BYTES)
    if len(entry) != _ENTRY_BYTES or crc32(memoryview(entry)[4:]) & 0xFFFFFFFF != int.from_bytes(entry[:4], "big"):
        return 0
    return int.from_bytes(entry[4:], "big") if entry[4] & 0x80 else 0
