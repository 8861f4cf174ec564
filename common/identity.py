"""The TLS identity of a client or a server."""

from dataclasses import dataclass
from pathlib import Path


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
