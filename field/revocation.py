"""`make revoke DEVICE=petropavl-07`: a stolen column is cut off; its name may be given to a new board.

What it writes in OUT (default: provisioned/):
  ca/revoked.json      which certificates count no more; never shortened
  broker/revoked.crl   the same for mosquitto, and broker/acl without that column
  centre/keys.json     without the column's key, with its name among the revoked: the desk reads it while it runs
  revoked/ID-SERIAL/   the column's folder: a further `make provision` makes new keys, a new certificate and password

Bring broker/ and centre/keys.json to their hosts and restart the broker there: docs/provisioning.md, A stolen column.
"""

import contextlib
import datetime
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common.key_mark import mark_of
from field import access, certificates, laptop
from field.authorities import Authorities, Authority
from field.keeping import PROVISIONED, Batch, KeepError, check_owner, made_private, read_secrets, understood
from field.telling import in_words
from field.words import asked_for, tool_parser

LIST = "revoked.crl"
FILE, EARLIER = "revoked.json", "earlier.json"
ROW, MARK = ("device_id", "serial", "at"), "key_mark"
KEPT = re.compile(r".+-([0-9a-f]{16,})")  # a folder of what a stolen column had; what else lies there says nothing
SHOWN = 5
THIEF = "bring it back: without it the thief is let in"
KEYS = "remove it: make provision writes it anew, with the same keys"
MS = 1000  # in a second


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[dict[str, Any]]:
    """What an earlier run noted. Raises KeepError, also for what is made of it within."""
    check_owner(file)
    with understood(file, THIEF):
        yield json.loads(file.read_text("utf-8"))


class Revoked:
    """The certificates that count no more, as earlier runs noted them in ca/. Raises KeepError."""

    def __init__(self, out: Path) -> None:
        self.file, self._out = out / "ca" / FILE, out
        self._rows: list[dict[str, str]] = []
        if self.file.exists():
            with _reading(self.file) as noted:
                self._rows = [
                    {key: str(row.get(key, "")) if key == MARK else str(row[key]) for key in (*ROW, MARK)}
                    for row in noted["certificates"]
                ]
                self._serials()
        self._check_it_is_the_newest()

    def _check_it_is_the_newest(self) -> None:
        """Raises KeepError when something else here knows of a theft that this file does not: it was put back."""
        known = {f"{serial:x}" for serial in self._serials()}
        listed = {f"{one:x}" for one in certificates.listed(self._crl.read_bytes())} if self._crl.exists() else set()
        folder = self._out / "revoked"
        names = [KEPT.fullmatch(one.name) for one in folder.iterdir()] if folder.is_dir() else []
        kept = {name[1] for name in names if name}
        if lost := sorted((listed | kept) - known):
            raise KeepError(
                f"{self.file} does not know the revoked {', '.join(lost[:SHOWN])}, which {self._crl} or {folder} has:"
                " it was put back to before a theft; bring the newest copy back: without it the thief is let in"
            )

    @property
    def _crl(self) -> Path:
        return self._out / "broker" / LIST

    @property
    def retired(self) -> list[str]:
        """The marks of the stolen columns' own keys."""
        return sorted({mark for row in self._rows if (mark := row[MARK] or self._mark_of_before(row))})

    def _mark_of_before(self, row: dict[str, str]) -> str:
        """As revoked columns have it whose row has none."""
        file = self._out / "revoked" / f"{row['device_id']}-{row['serial']}" / "secrets.json"
        return _mark(read_secrets(file, THIEF).get("auth_key")) if file.exists() else ""

    @property
    def names(self) -> set[str]:
        """The columns that were revoked at any time."""
        return {row["device_id"] for row in self._rows}

    def add(self, device_id: str, serial: int, at: datetime.datetime, key: object = None) -> None:
        """A further certificate, and the column's own key; one that is there already stays."""
        if serial not in self._serials():
            row = {"device_id": device_id, "serial": f"{serial:x}", "at": at.isoformat(timespec="seconds")}
            self._rows.append({**row, MARK: _mark(key)})

    def text(self) -> str:
        return json.dumps({"v": 1, "certificates": self._rows}, indent=1) + "\n"

    def pem(self, trusted: Sequence[Authority], now: datetime.datetime) -> bytes:
        """For the broker: a list of each authority, or it lets nobody in whose authority has none. One that is there
        stays, if it says the same."""
        serials = self._serials()
        kept = certificates.lists(self._crl.read_bytes()) if self._crl.exists() else []
        made = []
        for one in trusted:
            same = (pem for pem in kept if certificates.revokes(pem, one.pem) == set(serials))
            made.append(next(same, None) or certificates.revocation_list(one.pem, one.key, serials, now))
        return b"".join(made)

    def _serials(self) -> dict[int, datetime.datetime]:
        return {int(row["serial"], 16): datetime.datetime.fromisoformat(row["at"]) for row in self._rows}


class Earlier:
    """The certificates whose places newer ones took, by column. A thief may have one of these: not every column has
    been given what was made for it last. Raises KeepError."""

    def __init__(self, out: Path) -> None:
        self.file = out / "ca" / EARLIER
        self._serials: dict[str, list[str]] = {}
        if self.file.exists():
            with _reading(self.file) as noted:
                self._serials = {name: [f"{int(one, 16):x}" for one in all_] for name, all_ in noted["serials"].items()}

    def __bool__(self) -> bool:
        return bool(self._serials)

    def of(self, device_id: str) -> list[int]:
        return [int(one, 16) for one in self._serials.get(device_id, [])]

    def add(self, device_id: str, serial: int) -> None:
        known = self._serials.setdefault(device_id, [])
        if f"{serial:x}" not in known:
            known.append(f"{serial:x}")

    def text(self) -> str:
        return json.dumps({"v": 1, "serials": self._serials}, indent=1) + "\n"


def revoke(out: Path, device_id: str) -> list[str]:
    """What was done, in lines. Raises KeepError or OSError; then nothing has changed."""
    folder, broker, now = out / "columns" / device_id, out / "broker", laptop.now()
    if not (folder / f"{device_id}.pem").is_file() and device_id in Revoked(out).names:
        raise KeepError(f"{device_id} is revoked already; what it had is in {out / 'revoked'}")
    if not (folder / f"{device_id}.pem").is_file():
        raise KeepError(f"{folder} holds no certificate: which column was stolen? Its name is its folder's")
    with understood(folder / f"{device_id}.pem", THIEF):
        serial = certificates.serial((folder / f"{device_id}.pem").read_bytes())
    revoked, batch = Revoked(out), Batch()
    keys = out / "centre" / "keys.json"
    trusted = read_secrets(keys, KEYS)
    with understood(keys, KEYS):
        own_key = trusted["columns"].get(device_id)
        left = {name: key for name, key in trusted["columns"].items() if name != device_id}
        gone = sorted({*trusted.get("revoked", []), device_id})
    for one in (serial, *Earlier(out).of(device_id)):
        revoked.add(device_id, one, now, own_key)
    batch.write(revoked.file, revoked.text(), is_secret=True)
    crl = revoked.pem(Authorities(out).read(), now)
    batch.write(broker / LIST, crl, is_secret=False, is_the_folders=True)
    rights = access.without((broker / "acl").read_text("utf-8"), device_id)
    batch.write(broker / "acl", rights, is_secret=True, is_the_folders=True)
    batch.write(keys, keys_document(keys, left, gone, revoked.retired, now), is_secret=True)
    kept = made_private(out / "revoked") / f"{device_id}-{serial:x}"
    batch.commit()
    shutil.move(folder, kept)
    return [
        f"{device_id}: certificate {serial:x} revoked; its folder is now {kept}",
        f"bring {broker} and {keys} to their hosts; send mosquitto there a SIGHUP, then restart it",
        f"for a new board of that name: make provision again, then make flash CONFIG={shlex.quote(str(folder))}",
    ]


def keys_document(
    file: Path, columns: dict[str, str], gone: list[str], retired: list[str], now: datetime.datetime
) -> str:
    """keys.json, with a number above that of the file that is there, unless it says the same. The number is the time:
    it rises too where the file of before is lost."""
    said = {"v": 1, "columns": columns, "revoked": gone, "retired": retired}
    before = read_secrets(file, KEYS) if file.exists() else {}
    number = before.pop("number", 0)
    if before != said or not number:
        number = max(round(now.timestamp() * MS), number + 1)
    return json.dumps({**said, "number": number}, ensure_ascii=False, indent=1) + "\n"


def _mark(key: object) -> str:
    """Of a column's own key, if it has one."""
    return mark_of(bytes.fromhex(key)) if isinstance(key, str) and key else ""


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.revocation", __doc__)
    parser.add_argument("device", help="the stolen column")
    parser.add_argument("--out", type=Path, default=PROVISIONED, help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    print(*map(words.said, revoke(arguments.out, arguments.device)), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
