"""What a column has to know of an X.509 certificate, from its DER: who it is for, which key, and from when to when.

Loaded for a renewal, and forgotten. It checks no signature; TLS does. Errors are ValueErrors.
"""

from binascii import a2b_base64

from firmware.rfc3339_parse import parse

_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END"
_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18
_CENTURY_TURNS = 50  # RFC 5280: a year of two digits below that is one of 20xx


class Certificate:
    """`subject`, `public_key`: as they stand in the certificate. Times are Unix milliseconds."""

    def __init__(self, der: bytes):
        try:
            at = _part(der, _part(der, 0)[1])[1]
            for _ in range(4 if der[at] == _VERSION else 3):  # (version), serial number, algorithm, issuer
                at = _part(der, at)[2]
            _, begin, at = _part(der, at)
            self.begins_ms, self.ends_ms = _time(der, begin), _time(der, _part(der, begin)[2])
            begin, at = at, _part(der, at)[2]
            self.subject = der[begin:at]
            end = _part(der, at)[2]
            self.public_key = der[at:end]
        except IndexError:
            raise ValueError("a certificate is cut short")
        if len(der) < end:
            raise ValueError("a certificate is cut short")


def read(pem: str):
    """Each certificate of a PEM text."""
    at = pem.find(_BEGIN)
    while at >= 0:
        at += len(_BEGIN)
        end = pem.find(_END, at)
        if end < 0:
            raise ValueError("a certificate is cut short")
        yield Certificate(a2b_base64(pem[at:end]))
        at = pem.find(_BEGIN, end)


def _part(der, at):
    """(tag, where its content begins, where it ends)"""
    tag, size = der[at], der[at + 1]
    at += 2
    if size & 0x80:
        count = size & 0x7F
        size = int.from_bytes(der[at : at + count], "big")
        at += count
    return tag, at, at + size


def _time(der, at):
    tag, begin, end = _part(der, at)
    text = der[begin:end].decode()
    if tag == _UTC_TIME:
        text = ("20" if int(text[:2]) < _CENTURY_TURNS else "19") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("a certificate without dates")
    day, time = (text[:4], text[4:6], text[6:8]), (text[8:10], text[10:12], text[12:])
    return parse("-".join(day) + "T" + ":".join(time))
