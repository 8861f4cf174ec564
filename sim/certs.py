"""A certificate authority for simulations and tests: EC P-256, everything in PEM files in one folder.

>>> authority = Authority(folder)
>>> server = authority.server()                  # for 127.0.0.1 and localhost
>>> column = authority.client("petropavl-01")    # common name = device id, which brokers use as the user name

Bad certificates are made by asking for them: `expired=True`, `server(hosts=("other.example",))`, or a second
`Authority` in another folder for "signed by somebody else". Keys are not encrypted: never use these
certificates in the street.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 30
# Columns whose clock was never set start from a build date, so certificates must be old enough to be valid
# for them.
BACKDATED_DAYS = 2 * 365
LOCAL_HOSTS = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, and the certificate of the authority that the other side should trust."""

    cert: Path
    key: Path
    ca: Path

    @property
    def cert_pem(self) -> str:
        """The certificate as PEM text, as a column's configuration wants it."""
        return self.cert.read_text("ascii")

    @property
    def key_pem(self) -> str:
        """The private key (PKCS#8) as PEM text."""
        return self.key.read_text("ascii")

    @property
    def ca_pem(self) -> str:
        """The authority's certificate as PEM text."""
        return self.ca.read_text("ascii")


class Authority:
    """Signs certificates and writes them into `folder` (made if missing): ca.pem, NAME.pem, NAME.key."""

    def __init__(self, folder: Path | str, name: str = "SOS simulation CA") -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_path = self.folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name(name)
        cert = self._builder(self._name, self._key, expired=False, is_ca=True).sign(self._key, hashes.SHA256())
        self.ca_path.write_bytes(cert.public_bytes(serialization.Encoding.PEM))

    def server(self, hosts: tuple[str, ...] = LOCAL_HOSTS, *, expired: bool = False) -> Identity:
        """A server certificate for `hosts` (DNS names or IP addresses)."""
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        return self._issue(hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, names, expired=expired)

    def client(self, device_id: str, *, expired: bool = False) -> Identity:
        """A client certificate whose common name is the device id."""
        return self._issue(device_id, ExtendedKeyUsageOID.CLIENT_AUTH, None, expired=expired)

    def _issue(
        self,
        name: str,
        usage: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None,
        *,
        expired: bool,
    ) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_common_name(name), key, expired=expired, is_ca=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        cert = builder.sign(self._key, hashes.SHA256())
        stem = re.sub(r"[^A-Za-z0-9.-]", "_", name) + ("-expired" if expired else "")
        identity = Identity(self.folder / f"{stem}.pem", self.folder / f"{stem}.key", self.ca_path)
        identity.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        identity.key.touch(mode=0o600)
        identity.key.write_bytes(_key_pem(key))
        return identity

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, expired: bool, is_ca: bool
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        end = now - datetime.timedelta(days=1) if expired else now + datetime.timedelta(days=VALID_DAYS)
        authority_key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=BACKDATED_DAYS))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True)
            .add_extension(_key_usage(is_ca=is_ca), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(authority_key_id, critical=False)
        )


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


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
