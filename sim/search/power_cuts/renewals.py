# mypy: allow-untyped-calls
"""The certificates of the lives that are renewed: real ones, made anew in each process, which changes bytes and no
operation."""

import datetime
import hashlib
import json
from functools import cache
from typing import Any, NamedTuple

from field import certificates, renewal

DEVICE = "cut-01"
EXPIRES = "2026-11-18T12:00:00.000Z"
_PEM_CHARS = 800  # as JSON has it: a signature is not always as long
_ENDS, _NEW_ENDS = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2041, 2046))


class Pair(NamedTuple):
    """Whom the column trusts, and its own certificate."""

    ca: str
    cert: str

    @property
    def fingerprint(self) -> str:
        return certificates.fingerprint(self.ca, self.cert)


@cache
def _key() -> certificates.Key:
    return certificates.new_key()


@cache
def _pair(authority: str, ends: datetime.datetime) -> Pair:
    key = certificates.new_key()
    ca = certificates.authority(key, authority, _NEW_ENDS)
    return Pair(_even(ca), _even(certificates.certificate(DEVICE, _key(), authority, key, ends, certificates.CLIENT)))


def _even(pem: bytes) -> str:
    """Line feeds behind it make each as long as the next."""
    text = pem.decode()
    text += "\n" * ((_PEM_CHARS - len(json.dumps(text))) // len(json.dumps("\n")[1:-1]))
    assert len(json.dumps(text)) == _PEM_CHARS, len(json.dumps(text))
    return text


def old() -> Pair:
    return _pair("Old CA", _ENDS)


def new() -> Pair:
    return _pair("New CA", _NEW_ENDS)


def tls_key() -> str:
    return certificates.key_pem(_key()).decode()


@cache
def _package() -> bytes:
    return renewal.package(DEVICE, tls_key(), new().ca, new().cert, 1)


def offered(*, works: bool) -> dict[str, Any]:
    """What the device's centre serves, which certificates there are, and with which of them the broker lets it in."""
    pairs = [old().fingerprint, new().fingerprint]
    return {"files": {"renewal": _package().decode()}, "pairs": pairs, "known": pairs if works else pairs[:1]}


def command() -> dict[str, Any]:
    wanted = {"digest": hashlib.sha256(_package()).hexdigest(), "bytes": len(_package())}
    return {"v": 1, "id": "r1", "cmd": "renew", "renewal": wanted, "expires": EXPIRES}
