"""mosquitto, run from the files that provisioning made for the broker's host; they stay as they are."""

import datetime
import json
import os
import pwd
import signal
import ssl
from pathlib import Path

from common.ports import free_port
from field import access, certificates, revocation
from field.authorities import Authorities
from sim.servers.broker import Mosquitto

_ENDED_DAYS_AGO = 3
_FALLBACK_USER = "nobody"  # mosquitto's own, where there is no user of its name


def broker_user() -> pwd.struct_passwd:
    """Whom mosquitto becomes when root starts it, also on a machine without the user of its name."""
    try:
        return pwd.getpwnam(access.BROKER_USER)
    except KeyError:
        return pwd.getpwnam(_FALLBACK_USER)


def give_to_broker(folder: Path) -> None:
    """As root: `chown -R mosquitto: folder`."""
    user = broker_user()
    for path in (folder, *folder.iterdir()):
        os.chown(path, user.pw_uid, user.pw_gid)


class ProvisionedBroker(Mosquitto):
    """On 127.0.0.1 and other ports instead of those in its files; else they are as provisioning made them.

    What is wrong with it: `other_password` and `open_access` (names of columns), `certificate_ended`; `apply()` makes
    it so."""

    def __init__(self, provisioned: Path, port: int | None = None, centre_port: int | None = None) -> None:
        """Raises OSError when `provisioned` lacks a file."""
        super().__init__(port=port)
        self.centre_port = self.probe_port = centre_port or free_port()
        self._provisioned = provisioned
        self._probe_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._probe_context.check_hostname = False  # the probe asks "does it answer?", not "is it genuine?"
        self._probe_context.verify_mode = ssl.CERT_NONE
        centre = provisioned / "centre" / access.CENTRE
        for end in ("pem", "key"):
            Path(f"{centre}.{end}").read_bytes()  # which names the one that is missing
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
        for name in ("ca.pem", "server.key", revocation.LIST):
            self._write(name, (source / name).read_text("ascii"))
        self._write("server.pem", self._certificate(source))
        self._write("passwords", self._passwords((source / "passwords").read_text("utf-8")))
        self._write("acl", self._access_list((source / "acl").read_text("utf-8")))
        self._write("mosquitto.conf", self._settings((source / "mosquitto.conf").read_text()))
        if os.geteuid() == 0:  # as documentation has it: what root starts becomes that user
            give_to_broker(self.folder)
        return Path("mosquitto.conf")

    def _settings(self, text: str) -> str:
        ports = iter((self.port, self.centre_port))
        lines = [f"listener {next(ports)} {self.host}" if line.startswith("listener ") else line
                 for line in text.splitlines()]  # fmt: skip
        if self.other_password:  # it goes by the password then, and not by the certificate
            lines.remove("use_identity_as_username true")
        return "\n".join([*lines, "log_dest stderr", ""])

    def _passwords(self, text: str) -> str:
        if not self.other_password:
            return text
        users = {}
        for folder in self._provisioned.glob("columns/*"):
            users[folder.name] = json.loads((folder / "secrets.json").read_text("utf-8"))["mqtt_password"]
        return text + access.password_file(users | {name: os.urandom(16).hex() for name in self.other_password})

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
    signs = Authorities(provisioned).read()[0]
    issuer, issuer_key = certificates.common_name(signs.pem), signs.key
    end = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=_ENDED_DAYS_AGO)
    hosts = certificates.hosts(pem)
    usage = certificates.SERVER if hosts else certificates.CLIENT
    return certificates.certificate(certificates.common_name(pem), key, issuer, issuer_key, end, usage, hosts)
