"""`make provision FLEET=fleet.csv`: from a table to all that columns, broker and control centre need.

Written into OUT (default: provisioned/, never part of the repository):
  ca/          the authority, or two during a change; whoever has ca.key can make columns: keep it offline
  broker/      mosquitto.conf, access list, passwords, server certificate and key
  columns/ID/  config.json and secrets.json, as `make flash` wants them; certificate and key; the chip's name
  centre/      user, password, certificate and key of the control centre; keys.json, the columns' own; the roster,
               and the key of its answers
  labels.html  a label for each pillar, to be printed

The whole table is validated before anything is written. Run it again after a change of the table: keys and passwords
that exist are kept, certificates too unless they are about to end, and everything else is made anew. What fails changes
nothing: keys are added, and all else is replaced together at the end.
"""

import contextlib
import datetime
import hashlib
import json
import os
import pwd
import secrets
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import receiver, release
from field import access, authorities, certificates, fleet, labels, laptop, media_server, revocation, rows
from field.authorities import Authorities
from field.documents import CHIP_FILE, KEYS_FILE
from field.keeping import (
    OF_CENTRE,
    OF_COLUMN,
    PROVISIONED,
    Batch,
    KeepError,
    check_owner,
    keep_key,
    made_private,
    read_secrets,
)
from field.shared import NAME_MAX_BYTES, PORT
from field.telling import EXIT_FAILED, in_words
from field.words import asked_for, tool_parser
from firmware.startup import config

# A certificate that ends takes its column off the air.
YEARS = 15
LIFE_DAYS = 365 * YEARS
RENEW_BEFORE_DAYS = LIFE_DAYS // 3  # at two thirds of its life: years are left for a column that cannot be reached
SPREAD_DAYS = LIFE_DAYS // 10  # by which columns' certificates of one day end apart
PASSWORD_BYTES = 24
ROSTER, ANSWER_KEY = "roster.json", "answer.key"
COLUMNS_SHOWN = 5


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.provision", __doc__)
    parser.add_argument("fleet", type=Path, help="CSV table, with fleet.toml beside it")
    parser.add_argument("--out", type=Path, default=PROVISIONED, help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        found = fleet.read(arguments.fleet)
        summary = Provisioning(arguments.out).make(found)
    except fleet.FleetError as error:
        try:
            error.troubles += filter(None, [lacks_password(arguments.out, error.on_wifi, error.wifi)])
        except (KeepError, OSError) as damaged:
            error.troubles.append(str(damaged))
        head = f"error: {len(error.troubles)} in the fleet's table; nothing was written:"
        print(*map(words.said, (head, *(f"  {trouble}" for trouble in error.troubles))), sep="\n", file=sys.stderr)
        return EXIT_FAILED
    for warning in found.warnings:
        print(words.said(f"warning: {warning}"), file=sys.stderr)
    print(*map(words.said, summary), sep="\n")
    return 0


class Provisioning:
    """Makes the files of a fleet in one folder, which is nobody else's to read."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._lines: list[str] = []
        self._auth_keys: dict[str, str] = {}
        self._now = laptop.now()
        self._batch = Batch()
        self._ends: dict[str, datetime.datetime] = {}
        self._made: set[Path] = set()
        """The certificates of this run."""

    def make(self, found: fleet.Fleet) -> list[str]:
        """Returns what was done, in lines. Raises KeepError or OSError; what existed before is kept then."""
        self._revoked = revocation.Revoked(self._out)
        self._earlier = revocation.Earlier(self._out)
        self._there = Authorities(self._out)
        self._check(found)
        self._release_keys = _release_keys(found)
        for folder in (self._out, self._out / "columns"):
            made_private(folder)
        self._authorities(found.shared.get("authority", {}).get("name"))
        self._answer_key = self._kept_answer_key()
        for name in found.columns:
            self._column(name, found)
        if self._earlier:
            self._batch.write(self._earlier.file, self._earlier.text(), is_secret=True)
        self._broker(found, self._centre(found))
        self._roster(found)
        self._media_server(found)
        page = labels.page(found.columns, self._public(found))
        self._batch.write(self._out / "labels.html", page, is_secret=False)
        self._batch.commit()
        self._lines += fleet.places(found.columns)
        self._lines.append(f"{len(found.columns)} columns in {self._out}/columns; labels: {self._out}/labels.html")
        self._name_strangers(found)
        return self._lines

    def _check(self, found: fleet.Fleet) -> None:
        """Everything that exists already has to be usable before anything is written, and nothing may be missing."""
        years = self._there.years | {self._out / "broker" / "server.pem": YEARS}
        years |= {self._out / "columns" / name / f"{name}.pem": YEARS for name in found.columns}
        laptop.check(self._now, laptop.made(years))
        own = [self._out / "ca" / f"{stem}.key" for stem in self._there.stems]
        own += [self._out / "centre" / f"{access.CENTRE}.key"]
        own += [self._out / "columns" / name / f"{name}.key" for name in found.columns]
        for key in own:
            if key.exists():
                keep_key(key)
        if (server := self._out / "broker" / "server.key").exists():
            keep_key(server, is_the_folders=True)
        for name in found.columns:
            self._kept_password(self._out / "columns" / name / "secrets.json", "mqtt_password")
        self._kept_password(self._out / "centre" / "centre.json", "password")
        self._check_wifi(found)

    def _check_wifi(self, found: fleet.Fleet) -> None:
        """Raises KeepError when a column would lose the Wi-Fi's password, or never had one and no network is open."""
        on_wifi = [name for name, document in found.columns.items() if document["link"].get("type") == "wifi"]
        if lacking := lacks_password(self._out, on_wifi, found.shared.get("wifi", {})):
            raise KeepError(lacking)

    def _authorities(self, name: str | None) -> None:
        """Who signs, and whom everybody trusts; one is made if there is none."""
        there = self._there
        made_private(there.folder)
        if not there.is_there:
            name, key = name or authorities.NAME, there.folder / f"{authorities.FIRST}.key"
            is_its_key_there = key.exists()
            made = authorities.new(there.folder, authorities.FIRST, name, self._now)
            self._batch.write(there.folder / f"{made.stem}.pem", made.pem, is_secret=False)
            end = certificates.expires(made.pem)
            if is_its_key_there:
                self._lines.append(
                    f"{there.folder}/ca.pem was missing: made anew from ca.key, which stays; {name!r}, until"
                    f" {end:%Y-%m-%d}"
                )
            else:
                self._lines.append(f"new authority {name!r}, until {end:%Y-%m-%d}; keep {key} offline")
            self._signers = [made]
        else:
            self._signers = there.read()
        self._trusted = authorities.bundle(self._signers)
        self._issuer = certificates.common_name(self._signers[0].pem)
        is_first = there.stems[0] == authorities.FIRST  # the others got their names from make authority
        if is_first and name not in (None, self._issuer):
            self._lines.append(
                f"the authority keeps its name, {self._issuer!r}: another one would be another authority"
            )

    def _column(self, name: str, found: fleet.Fleet) -> None:
        folder = made_private(self._out / "columns" / name)
        key, cert = self._identity(folder, name, certificates.CLIENT)
        self._ends[name] = self._last_day(cert)
        password = self._kept_password(folder / "secrets.json", "mqtt_password")
        document = json.loads(json.dumps(found.columns[name]))
        document["broker"]["tls"] = {
            "ca": self._trusted.decode("ascii"),
            "cert": cert.decode("ascii"),
            "server_name": document["broker"].pop("server_name", None),
        }
        document.setdefault("clock", {})["latest_s"] = int(self._last_day(cert).timestamp())
        hidden = document.pop("secrets")
        if "wifi_ssid" in hidden:
            hidden["wifi_password"] = wifi_password(self._out, name, hidden["wifi_ssid"])
        document["receiver"] = {"name": _centre_name(found)}
        hidden["answer_key"] = receiver.key_of(self._answer_key, name).hex()
        self._auth_keys[name] = auth_key = self._auth_key(folder / "secrets.json")
        hidden |= {"mqtt_user": name, "mqtt_password": password, "tls_key": certificates.key_pem(key).decode("ascii")}
        hidden["auth_key"] = auth_key
        self._batch.write(folder / "config.json", _json(document), is_secret=False)
        self._batch.write(folder / "secrets.json", _json(hidden), is_secret=True)
        self._batch.write(folder / CHIP_FILE, found.chips[name] + "\n", is_secret=False)
        if self._release_keys:
            self._batch.write(folder / KEYS_FILE, self._release_keys, is_secret=False)

    def _auth_key(self, file: Path) -> str:
        """What column and centre prove their words with: kept, or made for a column of before there were any."""
        kept = read_secrets(file).get("auth_key") if file.exists() else None
        return str(kept) if kept else secrets.token_hex(config.KEY_CHARS // 2)

    def _last_day(self, cert: bytes) -> datetime.datetime:
        """No time after this does a column any good."""
        return min(certificates.expires(cert), max(certificates.expires(one.pem) for one in self._signers))

    def _centre(self, found: fleet.Fleet) -> str:
        folder, broker = made_private(self._out / "centre"), found.shared["broker"]
        self._identity(folder, access.CENTRE, certificates.CLIENT)
        self._batch.write(folder / "ca.pem", self._trusted, is_secret=False)
        password = self._kept_password(folder / "centre.json", "password")
        login = {"host": broker["host"], "port": _centre_port(broker), "user": access.CENTRE, "password": password}
        self._batch.write(folder / "centre.json", _json(login), is_secret=True)
        # The desk takes the password alone (--password-file).
        self._batch.write(folder / "centre.password", f"{password}\n".encode(), is_secret=True)
        self._batch.write(folder / "keys.json", self._column_keys(folder / "keys.json", found), is_secret=True)
        return password

    def _column_keys(self, file: Path, found: fleet.Fleet) -> str:
        """For the desk. A stolen column that was replaced has a new key, and is none of the revoked any more."""
        gone = sorted(self._revoked.names - set(found.columns))
        return revocation.keys_document(file, self._auth_keys, gone, self._revoked.retired, self._now)

    def _kept_answer_key(self) -> bytes:
        """With which the desk signs its answers to drills. Raises KeepError."""
        file = self._out / "centre" / ANSWER_KEY
        if not file.exists():
            return secrets.token_bytes(receiver.KEY_BYTES)
        check_owner(file)
        try:
            key = bytes.fromhex(file.read_text("ascii").strip())
        except ValueError:
            key = b""
        if len(key) != receiver.KEY_BYTES:
            right = f"must be {2 * receiver.KEY_BYTES} hexadecimal digits"
            raise KeepError(f"{file}: {right}; bring it back, or remove it, and flash every column anew")
        return key

    def _public(self, found: fleet.Fleet) -> dict[str, str]:
        """Where each column's public status is, if the desk can be reached by the public."""
        where = found.shared.get("desk", {}).get("public")
        if where is None:
            return {}
        begin = f"{where.rstrip('/')}/public"
        return {name: f"{begin}/{name}?key={receiver.label_key(self._answer_key, name)}" for name in found.columns}

    def _media_server(self, found: fleet.Fleet) -> None:
        """For a city that has a media server of its own. Cameras' logins stand in it."""
        folder = made_private(self._out / media_server.FOLDER)
        for file, made in ((media_server.MEDIAMTX, media_server.mediamtx), (media_server.GO2RTC, media_server.go2rtc)):
            earlier = media_server.earlier_logins(folder / file)
            plain = media_server.sources(found.columns)
            addresses = media_server.with_logins(plain, media_server.given_login(), earlier)
            self._batch.write(folder / file, made(addresses), is_secret=True)

    def _roster(self, found: fleet.Fleet) -> None:
        """What the desk wants to know of the columns that should be there; nothing of it is secret but the key."""
        rows, before = [], _rows_of(self._out / "centre" / ROSTER)
        for name, document in found.columns.items():
            place, ends = document["location"], self._ends[name]
            rows.append(
                {
                    **{"device_id": name, "region": document["region"]},
                    **{key: place[key] for key in ("address", "geo", "site")},
                    "stream": sorted(document["stream"]),
                    "certificate_made": self._made_at(name, before.get(name, {})),
                    "certificate_ends": _time(ends),
                }
            )
        made = {"v": 1, "centre": _centre_name(found), "columns": rows}
        self._batch.write(self._out / "centre" / ROSTER, _json(made), is_secret=False)
        self._batch.write(self._out / "centre" / ANSWER_KEY, self._answer_key.hex() + "\n", is_secret=True)

    def _made_at(self, name: str, before: dict[str, Any]) -> str:
        """When the column's certificate was made; itself it does not say so. `before`: the roster's row of the run
        before."""
        ends = self._ends[name]
        if self._out / "columns" / name / f"{name}.pem" in self._made:
            return _time(self._now)
        if before.get("certificate_ends") == _time(ends) and before.get("certificate_made"):
            return str(before["certificate_made"])
        return _time(min(self._now, ends + spread(name) - datetime.timedelta(days=LIFE_DAYS)))

    def _broker(self, found: fleet.Fleet, password: str) -> None:
        folder = self._out / "broker"
        is_new = not folder.exists()
        made_private(folder)
        if os.geteuid() == 0:
            self._give_away(folder, is_new)
        broker = found.shared["broker"]
        hosts = tuple(dict.fromkeys([broker.get("server_name") or broker["host"], *broker.get("hosts", [])]))
        self._identity(folder, "server", certificates.SERVER, hosts)
        regions = [(document["region"], name) for name, document in found.columns.items()]
        files: dict[str, tuple[str | bytes, bool]] = {  # name -> content, is it secret?
            "ca.pem": (self._trusted, False),
            "acl": (access.access_list(regions), True),  # mosquitto wants it private
            revocation.LIST: (self._revoked.pem(self._signers, self._now), False),
            "passwords": (access.password_file({access.CENTRE: password}), True),
            "mosquitto.conf": (access.configuration(_port(broker), _centre_port(broker), len(found.columns)), False),
        }
        for name, (content, is_secret) in files.items():
            self._batch.write(folder / name, content, is_secret=is_secret, is_the_folders=True)

    def _give_away(self, folder: Path, is_new: bool) -> None:
        """What root starts becomes another user at once, who has to read all this. What was there keeps its owner."""
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(access.BROKER_USER)
            if is_new:
                os.chown(folder, user.pw_uid, user.pw_gid)
            if folder.stat().st_uid == user.pw_uid:
                return
        where = shlex.quote(str(folder))
        self._lines.append(f"on the broker's host, as root: chown -R {access.BROKER_USER}: {where}")

    def _identity(
        self, folder: Path, name: str, usage: certificates.Usage, hosts: tuple[str, ...] = ()
    ) -> tuple[certificates.Key, bytes]:
        """The key and the certificate in `folder`: kept, or made when missing or about to end."""
        key = keep_key(folder / f"{name}.key", is_the_folders=usage == certificates.SERVER)
        file = folder / f"{name}.pem"
        if self._is_still_good(file, key, hosts):
            return key, file.read_bytes()
        end = self._end(file, name)
        subject, issuer_key = _common_name(hosts, name), self._signers[0].key
        cert = certificates.certificate(subject, key, self._issuer, issuer_key, end, usage, hosts)
        self._lines.append(f"certificate of {name}: {'renewed' if file.exists() else 'made'}, until {end:%Y-%m-%d}")
        self._batch.write(file, cert, is_secret=False, is_the_folders=usage == certificates.SERVER)
        self._made.add(file)
        if file.exists() and folder.parent == self._out / "columns":
            with contextlib.suppress(ValueError):  # it was none
                self._earlier.add(name, certificates.serial(file.read_bytes()))
        return key, cert

    def _end(self, file: Path, name: str) -> datetime.datetime:
        """Of a new certificate. Columns' end apart: else a fleet that was made on one day has to be renewed on one, and
        what is forgotten takes all of it off the air at once. It ends no sooner than the one before, for a column takes
        no such certificate (firmware/update/renewal.py)."""
        latest = self._now + datetime.timedelta(days=LIFE_DAYS)
        if file.parent.parent != self._out / "columns":
            return latest
        return max(latest - spread(name), min(latest, _end_of(file) or latest - spread(name)))

    def _is_still_good(self, file: Path, key: certificates.Key, hosts: tuple[str, ...]) -> bool:
        if not file.exists():
            return False
        try:
            pem = file.read_bytes()
            ends = certificates.expires(pem)
            is_ours = certificates.belongs(pem, key) and certificates.issued_by(pem, self._signers[0].pem)
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
            return str(read_secrets(file, OF_CENTRE if file.parent.name == access.CENTRE else OF_COLUMN)[name])
        except KeyError as error:
            raise KeepError(f"{file} holds no {name}; mend it, or remove it to get a new one") from error

    def _name_strangers(self, found: fleet.Fleet) -> None:
        gone = sorted(folder.name for folder in (self._out / "columns").iterdir() if folder.name not in found.columns)
        if gone:
            self._lines.append(f"not in the table any more, so without access to the broker: {', '.join(gone)}")


def lacks_password(out: Path, on_wifi: Sequence[str], wifi: Mapping[str, Any]) -> str:
    """What to say when a column has no password for the Wi-Fi, which is not open; '' if each has. Raises KeepError."""
    if wifi.get("open", False):
        return ""
    lacking = [name for name in on_wifi if wifi_password(out, name, wifi.get("ssid")) is None]
    if not lacking:
        return ""
    shown = ", ".join(lacking[:COLUMNS_SHOWN]) + (", ..." if len(lacking) > COLUMNS_SHOWN else "")
    return (
        f"{rows.WIFI_PASSWORD} is not set, and no earlier run kept the Wi-Fi's password for {shown}; nothing"
        f" was written. Run it as: {rows.WIFI_PASSWORD}=... make provision ...; for an open network say"
        " open = true under [wifi] in fleet.toml"
    )


def wifi_password(out: Path, name: str, ssid: object) -> str | None:
    """As the environment says; else the one of an earlier run, if it was for the same network. Raises KeepError."""
    given = os.environ.get(rows.WIFI_PASSWORD)
    file = out / "columns" / name / "secrets.json"
    if given is not None or not file.exists():
        return given
    kept = read_secrets(file)
    return kept.get("wifi_password") if kept.get("wifi_ssid") == ssid else None


def spread(name: str) -> datetime.timedelta:
    """By how much a column's certificate ends before its life is over: its own share, the same in every run."""
    return datetime.timedelta(days=int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % (SPREAD_DAYS + 1))


def _end_of(file: Path) -> datetime.datetime | None:
    """None: there is no certificate, or none that can be read."""
    try:
        return certificates.expires(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _rows_of(roster: Path) -> dict[str, dict[str, Any]]:
    """By column, as the run before wrote them; a file that is none says nothing."""
    try:
        return {row["device_id"]: dict(row) for row in json.loads(roster.read_text("utf-8"))["columns"]}
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return {}


def _release_keys(found: fleet.Fleet) -> bytes:
    """What columns trust to sign updates; empty: none, they take updates by cable only. Raises KeepError."""
    names = found.shared.get("updates", {}).get("keys", [])
    try:
        keys = release.load_public_keys(found.folder / name for name in names)
        return release.trusted(keys) if keys else b""
    except (OSError, release.ReleaseError) as error:
        raise KeepError(f"fleet.toml: [updates] keys = {names}: {error}") from error


def _common_name(hosts: tuple[str, ...], name: str) -> str:
    """A broker's own name where it fits; clients look at the names beside it."""
    return hosts[0] if hosts and len(hosts[0]) <= NAME_MAX_BYTES else name


def _centre_name(found: fleet.Fleet) -> str:
    """With which the centre answers a drill, and which the columns expect."""
    return str(found.shared.get("desk", {}).get("centre", access.CENTRE)).strip()


def _time(at: datetime.datetime) -> str:
    return at.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _port(broker: dict[str, Any]) -> int:
    return int(broker.get("port", PORT))


def _centre_port(broker: dict[str, Any]) -> int:
    return int(broker.get("centre_port", _port(broker) + 1))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
