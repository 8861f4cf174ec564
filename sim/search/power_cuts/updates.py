"""The release of the lives that are updated: small, but with a file of each kind. The key is made anew in each process,
which changes bytes and no operation."""

import hashlib
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from common import release as releases
from field.release import sign

_OLD = {"firmware/__init__.mpy": "M\x06\x00\x1fold", "hal/esp32.mpy": "M\x06\x00\x1fsame", "firmware/gone.mpy": "gone"}
_NEW = {"firmware/__init__.mpy": "M\x06\x00\x1fnew", "hal/esp32.mpy": "M\x06\x00\x1fsame",
        "firmware/startup/long.mpy": "M\x06\x00\x1f" + "long" * 160}  # fmt: skip
ROOT_FILES = {"boot.py": "boot", "main.py": "main"}
_VERSION = "99.0.0"


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(releases.EXPONENT, releases.KEY_BITS)


@cache
def _manifest() -> bytes:
    roots = {name: [hashlib.sha256(text.encode()).hexdigest()[:16]] for name, text in ROOT_FILES.items()}
    head = {"version": _VERSION, "floor": _VERSION, "mpy": 6, "micropython": "1.24", "chips": ["esp32"], "roots": roots}
    return releases.manifest(head, {name: text.encode() for name, text in _NEW.items()})


def _keys() -> list[int]:
    return list(releases.trusted([_key().public_key()]))


def folders() -> dict[str, Any]:
    """Files of the folder in force, as text or as a list of bytes."""
    return {**{f"a/{name}": text for name, text in _OLD.items()}, "a/release.keys": _keys()}


@cache
def release() -> dict[str, Any]:
    """What the device's centre serves, and what each folder must hold when it is in force."""
    signature = sign(_manifest(), _key()).hex()
    trust = {"release.keys": _keys()}
    return {"signature": signature, "manifest": _manifest().decode(), "files": _NEW,
            "folders": {"a": {**_OLD, **trust}, "b": {**_NEW, **trust}}}  # fmt: skip


def command() -> dict[str, Any]:
    wanted = {"digest": hashlib.sha256(_manifest()).hexdigest(), "bytes": len(_manifest())}
    return {"v": 1, "id": "u1", "cmd": "update", "release": wanted, "expires": EXPIRES}


EXPIRES = "2026-11-18T12:00:00.000Z"
