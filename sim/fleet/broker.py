"""mosquitto, run from the files that provisioning made for the broker's host; they stay as they are."""

import datetime
import os
import signal
import ssl
from pathlib import Path

from field import access, certificates
from sim.servers.broker import Mosquitto

_FILES = ("password_file", "acl_file", "cafile", "certfile", "keyfile")
_ENDED_DAYS_AGO = 3


class ProvisionedBroker(Mosquitto):
    """On 127.0.0.1 instead of the port in its files. What is wrong with it: `other_password` and `open_access` (names
    of columns), `certificate_ended`; `apply()` makes it so."""

    def __init__(self, provisioned: Path, port: int | None = None) -> None:
        """Raises OSError when `provisioned` lacks a file."""
        super().__init__(port=port)
        self._provisioned = provisioned
        self._probe_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._probe_context.check_hostname = False  # the probe asks "does it answer?", not "is it genuine?"
        self._probe_context.verify_mode = ssl.CERT_NONE
        centre = provisioned / "centre" / access.CENTRE
        self._probe_context.load_cert_chain(f"{centre}.pem", f"{centre}.key")
        self.other_password: set[str] = set()
        self.open_access: set[str] = set()
        self.certificate_ended = False

    def apply(self) -> None:
        """Put what is wrong, or right again, in force; columns that it concerns are thrown out by mosquitto."""
        self._write_config()
        if self.running:
            self._signal(signal.SIGHUP)

    def _write_config(self) -> Path:
        source = self._provisioned / "broker"
        for name in ("ca.pem", "server.key"):
            self._write(name, (source / name).read_text("ascii"))
        self._write("server.pem", self._certificate(source))
        self._write("passwords", self._passwords((source / "passwords").read_text("utf-8")))
        self._write("acl", self._access_list((source / "acl").read_text("utf-8")))
        lines = [self._line(*line.split(" ", 1)) for line in (source / "mosquitto.conf").read_text().splitlines()]
        lines += ["log_dest stderr", *(["user root"] if os.geteuid() == 0 else [])]
        return self._write("mosquitto.conf", "\n".join(lines) + "\n")

    def _line(self, key: str, value: str = "") -> str:
        if key == "listener":
            return f"listener {self.port} {self.host}"
        return f"{key} {self.folder / value}" if key in _FILES else f"{key} {value}"

    def _passwords(self, text: str) -> str:
        others = access.password_file({name: os.urandom(16).hex() for name in self.other_password})
        kept = [line for line in text.splitlines(keepends=True) if line.split(":")[0] not in self.other_password]
        return "".join(kept) + others

    def _access_list(self, text: str) -> str:
        for name in self.open_access:
            text = text.replace(f"user {name}\n", f"user {name}\ntopic readwrite #\n")
        return text

    def _certificate(self, source: Path) -> str:
        pem = (source / "server.pem").read_bytes()
        if self.certificate_ended:
            pem = ended(self._provisioned, certificates.load_key((source / "server.key").read_bytes()), pem)
        return pem.decode("ascii")


def ended(provisioned: Path, key: certificates.Key, pem: bytes) -> bytes:
    """A certificate like `pem`, for the same key and by the same authority, that ended three days ago."""
    authority = provisioned / "ca"
    issuer = certificates.common_name((authority / "ca.pem").read_bytes())
    issuer_key = certificates.load_key((authority / "ca.key").read_bytes())
    end = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=_ENDED_DAYS_AGO)
    hosts = certificates.hosts(pem)
    usage = certificates.SERVER if hosts else certificates.CLIENT
    return certificates.certificate(certificates.common_name(pem), key, issuer, issuer_key, end, usage, hosts)
