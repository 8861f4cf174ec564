"""What a column reads of a certificate: the same as the cryptography library."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from fake_board import EPOCH_MS
from renewal_rig import at

from field import certificates
from firmware.startup import certificate

KEY = certificates.new_key()


def own(end_ms: int, name: str = "petropavl-01") -> str:
    return certificates.certificate(name, KEY, "CA", KEY, at(end_ms), certificates.CLIENT).decode()


@pytest.mark.parametrize("year", [2027, 2049, 2050, 2099])
def test_it_reads_what_the_cryptography_library_reads(year: int) -> None:
    """From 2050 on the dates have another form (RFC 5280, 4.1.2.5)."""
    end = datetime.datetime(year, 2, 28, 23, 59, 58, tzinfo=datetime.UTC)
    pem = own(int(end.timestamp() * 1000))
    right, (found,) = x509.load_pem_x509_certificate(pem.encode()), certificate.read(pem)
    der, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    assert at(found.begins_ms) == right.not_valid_before_utc and at(found.ends_ms) == end
    assert found.subject == right.subject.public_bytes()
    assert found.public_key == right.public_key().public_bytes(der, form)


def test_what_is_cut_short_is_none() -> None:
    """Red when an end of the file passes for an end of the certificate."""
    pem = own(EPOCH_MS)
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
    (whole,) = certificate.read(pem)
    for size in range(len(der)):
        try:
            cut = certificate.Certificate(der[:size])
        except ValueError:
            continue
        # Of the signature it knows nothing, which stands behind all that it reads.
        assert cut.public_key == whole.public_key and size >= der.index(whole.public_key) + len(whole.public_key)
    with pytest.raises(ValueError, match="cut short"):
        list(certificate.read(pem[:-30]))
