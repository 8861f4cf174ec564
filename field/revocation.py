"""`make revoke DEVICE=petropavl-07`: a stolen column is cut off; its name may be given to a new board.

What it writes in OUT (default: provisioned/):
  ca/revoked.json      which certificates count no more; never shortened
  broker/revoked.crl   the same for mosquitto, and broker/acl without that column
  centre/keys.json     without the column's key, with its name among the revoked: the desk reads it while it runs
  revoked/ID-SERIAL/   the column's folder: a further `make provision` makes new keys, a new certificate and password

Bring broker/ and centre/keys.json to their hosts and restart the broker there: docs/provisioning.md, A stolen column.
"""

import datetime
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from field import access, certificates, laptop
from field.authorities import Authorities, Authority
from field.keeping import PROVISIONED, Batch, KeepError, check_owner, made_private
from field.telling import in_words
from field.words import asked_for, tool_parser

LIST = "revoked.crl"
FILE = "revoked.json"


class Revoked:
    """The certificates that count no more, as earlier runs noted them in ca/. Raises KeepError."""

    def __init__(self, out: Path) -> None:
        self.file = out / "ca" / FILE
        self._rows: list[dict[str, str]] = []
        if not self.file.exists():
            return
        check_owner(self.file)
        try:
            self._rows = [
                {key: str(row[key]) for key in ("device_id", "serial", "at")}
                for row in json.loads(self.file.read_text("utf-8"))["certificates"]
            ]
            self._serials()
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            why = f"{self.file} is damaged ({error}); bring it back: without it the thief is let in"
            raise KeepError(why) from error

    @property
    def names(self) -> set[str]:
        """The columns that were revoked at any time."""
        return {row["device_id"] for row in self._rows}

    def add(self, device_id: str, serial: int, at: datetime.datetime) -> None:
        """A further certificate; one that is there already stays."""
        if serial not in self._serials():
            self._rows.append({"device_id": device_id, "serial": f"{serial:x}", "at": at.isoformat(timespec="seconds")})

    def text(self) -> str:
        return json.dumps({"v": 1, "certificates": self._rows}, indent=1) + "\n"

    def pem(self, trusted: Sequence[Authority], now: datetime.datetime) -> bytes:
        """For the broker: a list of each authority, or it lets nobody in whose authority has none. One that is there
        stays, if it says the same."""
        file, serials = self.file.parent.parent / "broker" / LIST, self._serials()
        kept = certificates.lists(file.read_bytes()) if file.exists() else []
        made = []
        for one in trusted:
            same = (pem for pem in kept if certificates.revokes(pem, one.pem) == set(serials))
            made.append(next(same, None) or certificates.revocation_list(one.pem, one.key, serials, now))
        return b"".join(made)

    def _serials(self) -> dict[int, datetime.datetime]:
        return {int(row["serial"], 16): datetime.datetime.fromisoformat(row["at"]) for row in self._rows}


def revoke(out: Path, device_id: str) -> list[str]:
    """What was done, in lines. Raises KeepError or OSError; then nothing has changed."""
    folder, broker, now = out / "columns" / device_id, out / "broker", laptop.now()
    if not (folder / f"{device_id}.pem").is_file() and device_id in Revoked(out).names:
        raise KeepError(f"{device_id} is revoked already; what it had is in {out / 'revoked'}")
    if not (folder / f"{device_id}.pem").is_file():
        raise KeepError(f"{folder} holds no certificate: which column was stolen? Its name is its folder's")
    serial = certificates.serial((folder / f"{device_id}.pem").read_bytes())
    revoked, batch = Revoked(out), Batch()
    revoked.add(device_id, serial, now)
    batch.write(revoked.file, revoked.text(), is_secret=True)
    crl = revoked.pem(Authorities(out).read(), now)
    batch.write(broker / LIST, crl, is_secret=False, is_the_folders=True)
    rights = access.without((broker / "acl").read_text("utf-8"), device_id)
    batch.write(broker / "acl", rights, is_secret=True, is_the_folders=True)
    batch.write(out / "centre" / "keys.json", _without(out / "centre" / "keys.json", device_id), is_secret=True)
    kept = made_private(out / "revoked") / f"{device_id}-{serial:x}"
    batch.commit()
    shutil.move(folder, kept)
    return [
        f"{device_id}: certificate {serial:x} revoked; its folder is now {kept}",
        f"bring {broker} and {out / 'centre' / 'keys.json'} to their hosts, and restart the broker there",
        f"for a new board of that name: make provision again, then make flash CONFIG={folder}",
    ]


def _without(file: Path, device_id: str) -> str:
    """keys.json without that column's key, and with its name among the revoked."""
    check_owner(file)
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    document["columns"].pop(device_id, None)
    document["revoked"] = sorted({*document.get("revoked", []), device_id})
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


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
