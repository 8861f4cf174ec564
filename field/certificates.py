"""X.509 certificates of an authority, of brokers and of columns: EC P-256, which mbedTLS on an ESP32 verifies in 0.1 s.

Pure: from keys and names to bytes. Who keeps them in which file is the caller's business.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import ipaddress
from collections.abc import Mapping, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firmware.clock import EARLIEST_MS

Key = ec.EllipticCurvePrivateKey
Usage = x509.ObjectIdentifier
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
# A column without network time stands at the floor of its clock, which may be the firmware's own: a certificate has to
# be valid there too, whenever it is made.
VALID_FROM = datetime.datetime.fromtimestamp(EARLIEST_MS / 1000, datetime.UTC) - datetime.timedelta(days=365)


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    """PKCS#8, not encrypted: a column has nobody who could type a password."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def load_key(pem: bytes) -> Key:
    """Raises ValueError when it is not the PEM of an unencrypted EC key."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ValueError(f"the key is encrypted: {error}") from error
    except (ValueError, UnsupportedAlgorithm) as error:  # their own words are for programmers
        raise ValueError("no private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key on an elliptic curve")
    return key


def authority(key: Key, name: str, end: datetime.datetime) -> bytes:
    """PEM of a self-signed authority that may sign certificates, but no further authority."""
    return _signed(name, key, name, key, end, usage=None, for_hosts=())


def certificate(
    name: str,
    key: Key,
    issuer: str,
    issuer_key: Key,
    end: datetime.datetime,
    usage: Usage,
    for_hosts: Sequence[str] = (),
) -> bytes:
    """PEM of a certificate for `name` (common name), for SERVER or CLIENT use; `for_hosts`: DNS names or addresses."""
    return _signed(name, key, issuer, issuer_key, end, usage, for_hosts)


def expires(pem: bytes) -> datetime.datetime:
    """When a certificate ends, UTC. Raises ValueError when it is none."""
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def belongs(pem: bytes, key: Key) -> bool:
    """Whether the certificate is one of this key. Raises ValueError when it is no certificate."""
    return x509.load_pem_x509_certificate(pem).public_key() == key.public_key()


def issued_by(pem: bytes, authority_pem: bytes) -> bool:
    """Whether the authority signed the certificate. Raises ValueError when one of them is no certificate."""
    try:
        x509.load_pem_x509_certificate(pem).verify_directly_issued_by(x509.load_pem_x509_certificate(authority_pem))
    except (InvalidSignature, TypeError):
        return False
    except ValueError as error:
        if "issuer" in str(error).lower():
            return False
        raise
    return True


def hosts(pem: bytes) -> tuple[str, ...]:
    """The DNS names and addresses that a certificate is for, in its order. Raises ValueError when it is none."""
    try:
        names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names.value)


def common_name(pem: bytes) -> str:
    """The subject's common name. Raises ValueError when `pem` is no certificate or has none."""
    names = x509.load_pem_x509_certificate(pem).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names:
        raise ValueError("the certificate has no common name")
    return str(names[0].value)


def serial(pem: bytes) -> int:
    """The number by which an authority revokes a certificate. Raises ValueError when it is none."""
    return x509.load_pem_x509_certificate(pem).serial_number


def revocation_list(
    authority_pem: bytes, key: Key, revoked: Mapping[int, datetime.datetime], now: datetime.datetime
) -> bytes:
    """PEM of the list of revoked serials, with when. It is in force to the end of the authority: a list that ended
    would keep every column out."""
    issuer = x509.load_pem_x509_certificate(authority_pem)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
    builder = builder.last_update(min(now, VALID_FROM)).next_update(issuer.not_valid_after_utc)
    builder = builder.add_extension(x509.CRLNumber(len(revoked)), critical=False)  # it is never shortened
    for number, at in sorted(revoked.items()):
        one = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(at).build()
        builder = builder.add_revoked_certificate(one)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def listed(pem: bytes) -> set[int]:
    """The serials on all lists of a file, whoever signed them; what is no list counts for nothing."""
    found: set[int] = set()
    for one in lists(pem):
        with contextlib.suppress(ValueError):
            found |= {each.serial_number for each in x509.load_pem_x509_crl(one)}
    return found


def lists(pem: bytes) -> list[bytes]:
    """Each list of revoked serials in a file."""
    end = b"-----END X509 CRL-----\n"
    return [part + end for part in pem.split(end)[:-1]]


def revokes(pem: bytes, authority_pem: bytes) -> set[int] | None:
    """The serials on a list of that authority's; None: it is none."""
    try:
        found = x509.load_pem_x509_crl(pem)
    except ValueError:
        return None
    key = x509.load_pem_x509_certificate(authority_pem).public_key()
    return {one.serial_number for one in found} if found.is_signature_valid(key) else None  # type: ignore[arg-type]


def _signed(
    name: str,
    key: Key,
    issuer: str,
    issuer_key: Key,
    end: datetime.datetime,
    usage: Usage | None,
    for_hosts: Sequence[str],
) -> bytes:
    is_ca = usage is None
    authority_key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True)
        .add_extension(_key_usage(is_ca=is_ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority_key_id, critical=False)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if for_hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in for_hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def fingerprint(ca: str, cert: str) -> str:
    """What a column that trusts those and has that certificate says in its birth message."""
    return hashlib.sha256((ca + cert).encode()).hexdigest()[:16]
