"""`make provision FLEET=fleet.csv`: from a table to all that columns, broker and control centre need.

Written into OUT (default: provisioned/, never part of the repository):
  ca/          the authority; whoever has ca.key can make columns: keep it offline
  broker/      mosquitto.conf, access list, passwords, server certificate and key
  columns/ID/  config.json and secrets.json, as `make flash` wants them; certificate and key; the chip's name
  centre/      user, password, certificate and key of the control centre
  labels.html  a label for each pillar, to be printed

The whole table is validated before anything is written. Run it again after a change of the table: keys and passwords
that exist are kept, certificates too unless they are about to end, and everything else is made anew.
"""

import argparse
import datetime
import json
import os
import pwd
import secrets
import sys
from pathlib import Path
from typing import Any

from field import access, certificates, fleet, labels
from field.keeping import KeepError, keep_key, made_private, write

AUTHORITY = "SOS columns CA"
AUTHORITY_YEARS = 30
# A certificate that ends takes its column off the air, and a button waits two years between uses.
YEARS = 15
RENEW_BEFORE_DAYS = 2 * 365
PASSWORD_BYTES = 24
CHIP_FILE = "chip"  # in a column's folder: which board to take for it
EXIT_FAILED = 1


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m field.provision", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("fleet", type=Path, help="CSV table, with fleet.toml beside it")
    parser.add_argument("--out", type=Path, default=Path("provisioned"), help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        found = fleet.read(arguments.fleet)
        summary = Provisioning(arguments.out).make(found)
    except fleet.FleetError as error:
        print(f"error: {len(error.troubles)} in the fleet's table; nothing was written:", file=sys.stderr)
        print(*(f"  {trouble}" for trouble in error.troubles), sep="\n", file=sys.stderr)
        return EXIT_FAILED
    except (OSError, KeepError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    print(*summary, sep="\n")
    return 0


class Provisioning:
    """Makes the files of a fleet in one folder, which is nobody else's to read."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._lines: list[str] = []
        self._now = datetime.datetime.now(datetime.UTC)

    def make(self, found: fleet.Fleet) -> list[str]:
        """Returns what was done, in lines. Raises KeepError or OSError; what existed before is kept then."""
        self._check(found)
        for folder in (self._out, self._out / "columns"):
            made_private(folder)
        self._ca_key = self._authority(found.shared.get("authority", {}).get("name", AUTHORITY))
        for name in found.columns:
            self._column(name, found)
        self._broker(found, self._centre(found.shared["broker"]))
        write(self._out / "labels.html", labels.page(found.columns), is_secret=False)
        self._lines.append(f"{len(found.columns)} columns in {self._out}/columns; labels: {self._out}/labels.html")
        self._name_strangers(found)
        return self._lines

    def _check(self, found: fleet.Fleet) -> None:
        """Everything that exists already has to be readable before anything is written."""
        for key in sorted(self._out.glob("**/*.key")):
            keep_key(key)
        for name in found.columns:
            self._kept_password(self._out / "columns" / name / "secrets.json", "mqtt_password")
        self._kept_password(self._out / "centre" / "centre.json", "password")

    def _authority(self, name: str) -> certificates.Key:
        folder = made_private(self._out / "ca")
        if (folder / "ca.pem").exists() and not (folder / "ca.key").exists():
            raise KeepError(
                f"{folder}/ca.key is missing beside ca.pem; bring it back, or move {folder} away to begin anew"
            )
        key = keep_key(folder / "ca.key")
        if not (folder / "ca.pem").exists():
            end = self._now + datetime.timedelta(days=365 * AUTHORITY_YEARS)
            write(folder / "ca.pem", certificates.authority(key, name, end), is_secret=False)
            self._lines.append(f"new authority {name!r}, until {end:%Y-%m-%d}; keep {folder}/ca.key offline")
        self._ca_pem = (folder / "ca.pem").read_bytes()
        if not certificates.belongs(self._ca_pem, key):
            raise KeepError(f"{folder}/ca.pem and ca.key do not belong together; bring back the pair that does")
        self._issuer = certificates.common_name(self._ca_pem)
        return key

    def _column(self, name: str, found: fleet.Fleet) -> None:
        folder = made_private(self._out / "columns" / name)
        key, cert = self._identity(folder, name, certificates.CLIENT)
        password = self._kept_password(folder / "secrets.json", "mqtt_password")
        document = json.loads(json.dumps(found.columns[name]))
        document["broker"]["tls"] = {
            "ca": self._ca_pem.decode("ascii"),
            "cert": cert.decode("ascii"),
            "server_name": document["broker"].pop("server_name", None),
        }
        hidden = document.pop("secrets")
        hidden |= {"mqtt_user": name, "mqtt_password": password, "tls_key": certificates.key_pem(key).decode("ascii")}
        write(folder / "config.json", _json(document), is_secret=False)
        write(folder / "secrets.json", _json(hidden), is_secret=True)
        write(folder / CHIP_FILE, found.chips[name] + "\n", is_secret=False)

    def _centre(self, broker: dict[str, Any]) -> str:
        folder = made_private(self._out / "centre")
        self._identity(folder, access.CENTRE, certificates.CLIENT)
        write(folder / "ca.pem", self._ca_pem, is_secret=False)
        password = self._kept_password(folder / "centre.json", "password")
        login = {"host": broker["host"], "port": _centre_port(broker), "user": access.CENTRE, "password": password}
        write(folder / "centre.json", _json(login), is_secret=True)
        return password

    def _broker(self, found: fleet.Fleet, password: str) -> None:
        folder = self._out / "broker"
        is_new = not folder.exists()
        made_private(folder)
        if is_new and os.geteuid() == 0:
            self._give_away(folder)
        broker = found.shared["broker"]
        hosts = tuple(dict.fromkeys([broker.get("server_name") or broker["host"], *broker.get("hosts", [])]))
        self._identity(folder, "server", certificates.SERVER, hosts)
        write(folder / "ca.pem", self._ca_pem, is_secret=False)
        regions = [(document["region"], name) for name, document in found.columns.items()]
        write(folder / "acl", access.access_list(regions), is_secret=True)  # mosquitto wants it private
        write(folder / "passwords", access.password_file({access.CENTRE: password}), is_secret=True)
        settings = access.configuration(_port(broker), _centre_port(broker), len(found.columns))
        write(folder / "mosquitto.conf", settings, is_secret=False)

    def _give_away(self, folder: Path) -> None:
        """What root starts becomes another user at once, who has to read all this."""
        try:
            user = pwd.getpwnam(access.BROKER_USER)
        except KeyError:
            self._lines.append(f"on the broker's host, as root: chown -R {access.BROKER_USER}: {folder}")
        else:
            os.chown(folder, user.pw_uid, user.pw_gid)

    def _identity(
        self, folder: Path, name: str, usage: certificates.Usage, hosts: tuple[str, ...] = ()
    ) -> tuple[certificates.Key, bytes]:
        """The key and the certificate in `folder`: kept, or made when missing or about to end."""
        key = keep_key(folder / f"{name}.key")
        file = folder / f"{name}.pem"
        if self._is_still_good(file, key, hosts):
            return key, file.read_bytes()
        end = self._now + datetime.timedelta(days=365 * YEARS)
        cert = certificates.certificate(hosts[0] if hosts else name, key, self._issuer, self._ca_key, end, usage, hosts)
        self._lines.append(f"certificate of {name}: {'renewed' if file.exists() else 'made'}, until {end:%Y-%m-%d}")
        write(file, cert, is_secret=False)
        return key, cert

    def _is_still_good(self, file: Path, key: certificates.Key, hosts: tuple[str, ...]) -> bool:
        if not file.exists():
            return False
        try:
            pem = file.read_bytes()
            ends = certificates.expires(pem)
            is_ours = certificates.belongs(pem, key) and certificates.issued_by(pem, self._ca_pem)
        except ValueError:
            return False
        return (
            is_ours
            and ends - self._now > datetime.timedelta(days=RENEW_BEFORE_DAYS)
            and certificates.hosts(pem) == hosts
        )

    def _kept_password(self, file: Path, name: str) -> str:
        if not file.exists():
            return secrets.token_urlsafe(PASSWORD_BYTES)
        try:
            password = json.loads(file.read_text("utf-8"))[name]
        except (ValueError, KeyError, TypeError) as error:
            raise KeepError(
                f"{file} holds no {name} ({type(error).__name__}); mend it, or remove it to get a new one"
            ) from error
        return str(password)

    def _name_strangers(self, found: fleet.Fleet) -> None:
        gone = sorted(folder.name for folder in (self._out / "columns").iterdir() if folder.name not in found.columns)
        if gone:
            self._lines.append(f"not in the table any more, so without access to the broker: {', '.join(gone)}")


def _port(broker: dict[str, Any]) -> int:
    return int(broker.get("port", 8883))


def _centre_port(broker: dict[str, Any]) -> int:
    return int(broker.get("centre_port", _port(broker) + 1))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
