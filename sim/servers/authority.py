"""A certificate authority for simulations and tests: everything in PEM files in one folder.

>>> authority = Authority(folder)
>>> server = authority.server()                  # for 127.0.0.1 and localhost
>>> column = authority.client("petropavl-01")    # common name = device id, which brokers use as the user name

Bad certificates are made by asking for them: `expired=True`, `server(hosts=("other.example",))`, or a second
`Authority` in another folder for "signed by somebody else". Never use these certificates in the street: those
are made by provisioning.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from common.identity import Identity
from field import certificates

VALID_DAYS = 30
LOCAL_HOSTS = ("localhost", "127.0.0.1")


class Authority:
    """Signs certificates and writes them into `folder` (made if missing): ca.pem, NAME.pem, NAME.key."""

    def __init__(self, folder: Path | str, name: str = "SOS simulation CA") -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_path = self.folder / "ca.pem"
        self._key = certificates.new_key()
        self._name = name
        self.ca_path.write_bytes(certificates.authority(self._key, name, _end(expired=False)))

    def server(self, hosts: tuple[str, ...] = LOCAL_HOSTS, *, expired: bool = False) -> Identity:
        """A server certificate for `hosts` (DNS names or IP addresses)."""
        return self._issue(hosts[0], certificates.SERVER, hosts, expired=expired)

    def client(self, device_id: str, *, expired: bool = False) -> Identity:
        """A client certificate whose common name is the device id."""
        return self._issue(device_id, certificates.CLIENT, (), expired=expired)

    def _issue(self, name: str, usage: certificates.Usage, hosts: tuple[str, ...], *, expired: bool) -> Identity:
        key = certificates.new_key()
        stem = re.sub(r"[^A-Za-z0-9.-]", "_", name) + ("-expired" if expired else "")
        identity = Identity(self.folder / f"{stem}.pem", self.folder / f"{stem}.key", self.ca_path)
        end = _end(expired=expired)
        identity.cert.write_bytes(certificates.certificate(name, key, self._name, self._key, end, usage, hosts))
        identity.key.touch(mode=0o600)
        identity.key.write_bytes(certificates.key_pem(key))
        return identity


def _end(*, expired: bool) -> datetime.datetime:
    """A column whose clock stands at its floor (firmware/clock.py) sees only what ended before that."""
    if expired:
        return certificates.VALID_FROM + datetime.timedelta(days=1)
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=VALID_DAYS)
