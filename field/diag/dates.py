"""When certificates end: from what a column shows of them, and from what a broker shows this laptop."""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import re
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

LOOK_S = 3.0
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_LONG_FORM = 0x80  # of a DER length: the low bits say how many bytes of length follow


class Dates(NamedTuple):
    """One certificate; `whose`: own, broker or ca."""

    whose: str
    name: str
    begins: datetime.datetime
    ends: datetime.datetime

    @property
    def day(self) -> str:
        return self.ends.date().isoformat()


def dates_of(whose: str, pieces: list[str]) -> list[Dates]:
    """Of the certificates in base64, cut into pieces; what is none is passed over."""
    found = []
    for der in _certificates("".join(pieces)):
        with contextlib.suppress(ValueError):
            found.append(_read(whose, der))
    return found


def broker_seen_from_here(address: str, port: int, server_name: str) -> Dates | None:
    """What the broker shows this laptop, unverified; None when it cannot be reached from here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), LOOK_S) as plain,
            context.wrap_socket(plain, server_hostname=server_name) as secure,
        ):
            der = secure.getpeercert(binary_form=True)
            return _read("broker", der) if der else None
    except (OSError, ValueError):
        return None


def _read(whose: str, der: bytes) -> Dates:
    certificate = x509.load_der_x509_certificate(der)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else "-"
    return Dates(whose, name, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _certificates(text: str) -> Iterator[bytes]:
    """Each DER, whether they were encoded together or one by one."""
    for part in _BASE64.findall(text):
        try:
            data = base64.b64decode(part)
        except binascii.Error:
            continue
        while data:
            size = _size(data)
            yield data[:size]
            data = data[size:]


def _size(der: bytes) -> int:
    """Of the first element, header included; all of it where the header is none."""
    if len(der) < 2:
        return len(der)
    if der[1] < _LONG_FORM:
        return 2 + der[1]
    count = der[1] - _LONG_FORM
    return 2 + count + int.from_bytes(der[2 : 2 + count], "big") if len(der) >= 2 + count else len(der)
