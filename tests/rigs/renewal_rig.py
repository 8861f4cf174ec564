# mypy: allow-untyped-calls
"""A column that gets new certificates over the air: real start and firmware over a flash that outlives power cuts, and
a broker that lets in whoever has certificates that it knows. Virtual time."""

import datetime
import hashlib
import json
from typing import Any

from column_rig import Rig
from config_document import document
from fake_board import EPOCH_MS, FakeFlash, PowerCut
from update_rig import UpdatedColumn

from field import certificates, renewal
from firmware.startup.configure import configure
from firmware.startup.seal import path

DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS
DEVICE = "petropavl-01"
SESSION_MS = 400_000  # within which a column that went back has a session again


def at(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)


class Signer:
    """An authority. `begins`: when, if not as provisioning makes them."""

    def __init__(self, name: str, end_ms: int = EPOCH_MS + 30 * YEAR_MS) -> None:
        self.name, self.key = name, certificates.new_key()
        self.pem = certificates.authority(self.key, name, at(end_ms)).decode()

    def signs(self, key: certificates.Key, end_ms: int, name: str = DEVICE) -> str:
        return certificates.certificate(name, key, self.name, self.key, at(end_ms), certificates.CLIENT).decode()


class Package:
    """What the desk has to send; looks like a release to the rig."""

    def __init__(self, text: bytes) -> None:
        self.manifest = text
        self.digest = hashlib.sha256(text).hexdigest()

    def piece(self, file: str, at: int, size: int) -> bytes | None:
        return self.manifest[at : at + size] if file == "renewal" else None


class FromFlash(Rig):
    """Configured as a board is: with what lies on its flash."""

    def configuration(self, folder: str, mode: str, changes: dict[str, Any]) -> Any:
        config, _, errors = configure(self.board, folder, mode)
        assert config is not None and errors == [], errors
        return config


class RenewedColumn(UpdatedColumn):
    """`known`: fingerprints of the certificates with which the broker lets it in."""

    rig_class = FromFlash

    def __init__(self, flash: FakeFlash | None = None, folder: str = "") -> None:
        self.old, self.new = Signer("Old CA"), Signer("New CA")
        self.key = certificates.new_key()
        self.ca, self.cert = self.old.pem, self.old.signs(self.key, EPOCH_MS + 5 * YEAR_MS)
        self.known = {certificates.fingerprint(self.ca, self.cert)}
        self.tls_key = certificates.key_pem(self.key).decode()
        flash = flash if flash is not None else FakeFlash()
        made = document(
            broker__tls={"ca": self.ca, "cert": self.cert}, secrets__tls_key=self.tls_key, watchdog__healthy_s=1,
            selftest__drill_s=0, selftest__stream_s=0,
        )  # fmt: skip
        flash.files[path(folder, "secrets.json")] = json.dumps(made.pop("secrets")).encode()
        flash.files[path(folder, "config.json")] = json.dumps(made, ensure_ascii=False).encode()
        if folder:
            flash.files["active"] = folder.encode()
        super().__init__(flash=flash)

    def boot(self) -> None:
        while True:
            try:
                super().boot()
                break
            except PowerCut:  # at the start, which counts its boots on trial
                self._cause = "power-on"
        dial = self.rig.board.on_dial

        def dialled(*where: Any) -> Any:
            if self.in_force() not in self.known:
                raise OSError("TLS: the broker refuses us")
            return dial(*where)

        self.rig.board.on_dial = dialled

    def in_force(self) -> str:
        tls: Any = self.rig.column.uplink.config["tls"]
        return str(tls["digest"])

    def package(self, **changes: Any) -> Package:
        """Signed by the new authority, good for five more years."""
        ca = changes.pop("ca", self.old.pem + self.new.pem)
        cert = changes.pop("cert", None) or self.new.signs(self.key, EPOCH_MS + 10 * YEAR_MS)
        given = {"device_id": DEVICE, "tls_key": self.tls_key, "number": 1, **changes}
        self.fingerprint = certificates.fingerprint(ca, cert)
        return Package(renewal.package(ca=ca, cert=cert, **given))

    def send_package(self, package: Any, *, works: bool = True, **changes: Any) -> dict[str, Any]:
        if works:
            self.known.add(self.fingerprint)
        self.release = package
        return self.command(cmd="renew", renewal={"digest": package.digest, "bytes": len(package.manifest), **changes})

    def has_session(self) -> bool:
        return bool(self.rig.column.uplink.is_up())

    def is_over(self) -> bool:
        """Kept, returned or refused, and a session."""
        return self.state() not in (None, "fetching", "trial") and self.has_session()
