"""`make authority DO=add|switch|drop`: another authority takes the place of the one that is there, and nobody is left
out in between. For an authority that nears its end, or whose key may be in other hands.

  add      makes a second one. From the next `make provision` on everybody trusts both; the old one goes on signing
  switch   the second one signs from the next `make provision` on. Not before every column trusts both
  drop     the one that signs no more is trusted no more. Not before every column has a certificate of the other

Each is one step of docs/provisioning.md, Another authority. What it writes in OUT (default: provisioned/):
  ca/authorities.json      which of the authorities signs, and which are trusted; without it there is one, ca
  ca/ca-2.pem, ca-2.key    the second one, ca-3 the third and so on
"""

import datetime
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from field import certificates, laptop
from field.keeping import PROVISIONED, KeepError, check_owner, keep_key, write
from field.telling import in_words
from field.words import asked_for, tool_parser

FILE = "authorities.json"
FIRST = "ca"
YEARS = 30
NAME = "SOS columns CA"


class Authority(NamedTuple):
    """`stem`: of its two files."""

    stem: str
    pem: bytes
    key: certificates.Key


def new(folder: Path, stem: str, name: str, now: datetime.datetime) -> Authority:
    """Its key is on the disk; the certificate is the caller's to write. Raises KeepError."""
    key = keep_key(folder / f"{stem}.key")
    return Authority(stem, certificates.authority(key, name, now + datetime.timedelta(days=365 * YEARS)), key)


class Authorities:
    """What lies in OUT/ca. Raises KeepError when it cannot be used."""

    def __init__(self, out: Path) -> None:
        self.folder = out / "ca"
        self._file = self.folder / FILE
        self.stems = (FIRST,)
        """Who is trusted; the first one signs."""
        if self._file.exists():
            check_owner(self._file)
            try:
                found = json.loads(self._file.read_text("utf-8"))["trusted"]
                if not found or not all(isinstance(stem, str) and Path(stem).name == stem for stem in found):
                    raise ValueError("no names of files")
            except (ValueError, RecursionError, KeyError, TypeError) as error:
                raise KeepError(f"{self._file} is damaged ({error}); bring it back") from error
            self.stems = tuple(found)

    @property
    def is_there(self) -> bool:
        """Whether there is one at all."""
        return self._file.exists() or (self.folder / f"{FIRST}.pem").exists()

    @property
    def years(self) -> dict[Path, int]:
        """The certificates of all that are trusted, and for how long they were made."""
        return {self.folder / f"{stem}.pem": YEARS for stem in self.stems}

    def read(self) -> list[Authority]:
        """All that are trusted; the first one signs."""
        found = []
        for stem in self.stems:
            pem, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
            if not key.exists() or not pem.exists():
                raise KeepError(
                    f"{self.folder}: {stem}.pem or {stem}.key is missing; bring it back, or move {self.folder} away to"
                    " begin anew"
                )
            one = Authority(stem, pem.read_bytes(), keep_key(key))
            if not certificates.belongs(one.pem, one.key):
                raise KeepError(f"{pem} and {key.name} do not belong together; bring back the pair that does")
            found.append(one)
        return found

    def add(self, name: str | None, now: datetime.datetime) -> list[str]:
        """Raises ClockError too."""
        laptop.check(now, laptop.made(self.years))
        trusted = self._only(1, "there are two already: switch and drop first")
        stem = self._free_stem()
        name = name or f"{NAME} {stem.partition('-')[2]}"
        if name == certificates.common_name(trusted[0].pem):
            raise KeepError(f"the authority that is there has the name {name!r} already; give another one: NAME=...")
        pem = new(self.folder, stem, name, now).pem
        write(self.folder / f"{stem}.pem", pem, is_secret=False)
        self._note(trusted[0].stem, stem)
        end = certificates.expires(pem)
        return [
            f"new authority {name!r}, until {end:%Y-%m-%d}: {self.folder}/{stem}.pem; keep {stem}.key offline",
            "now make provision; then the new ca.pem to the broker, the desk and every column, and only then: switch",
        ]

    def switch(self) -> list[str]:
        signs, other = self._only(2, "there is one authority only: add another one first")
        self._note(other.stem, signs.stem)
        return [
            f"{certificates.common_name(other.pem)!r} signs from now on",
            "now make provision; then its certificates to every column, the broker and the desk, and only then: drop",
        ]

    def drop(self, out: Path) -> list[str]:
        signs, other = self._only(2, "there is one authority only, which signs")
        issued = [file for file in _issued(out) if certificates.issued_by(file.read_bytes(), other.pem)]
        if issued:
            shown = ", ".join(str(file.relative_to(out)) for file in issued[:5])
            raise KeepError(f"{len(issued)} certificates are of that authority still ({shown}): make provision first")
        self._note(signs.stem)
        return [
            f"{certificates.common_name(other.pem)!r} is trusted no more; destroy {self.folder}/{other.stem}.key",
            "now make provision; then the new ca.pem to the broker, the desk and every column",
        ]

    def _only(self, count: int, otherwise: str) -> list[Authority]:
        found = self.read()
        if len(found) != count:
            raise KeepError(otherwise)
        return found

    def _free_stem(self) -> str:
        """Never one that was used before, of which copies may lie about."""
        number = 2
        while any((self.folder / f"{FIRST}-{number}.{kind}").exists() for kind in ("pem", "key")):
            number += 1
        return f"{FIRST}-{number}"

    def _note(self, *trusted: str) -> None:
        """One file, replaced in one step: there is nothing half done."""
        write(self._file, json.dumps({"v": 1, "trusted": trusted}) + "\n", is_secret=True)


def bundle(authorities: Sequence[Authority]) -> bytes:
    """PEM of all, as columns, broker and desk take it."""
    return b"".join(one.pem for one in authorities)


def _issued(out: Path) -> list[Path]:
    found = [out / "broker" / "server.pem", out / "centre" / "centre.pem"]
    found += sorted(folder / f"{folder.name}.pem" for folder in (out / "columns").iterdir())
    return [file for file in found if file.is_file()]


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.authorities", __doc__)
    parser.add_argument("what", choices=("add", "switch", "drop"))
    parser.add_argument("--name", help="of the one that is added")
    parser.add_argument("--out", type=Path, default=PROVISIONED, help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    found = Authorities(arguments.out)
    if arguments.what == "add":
        lines = found.add(arguments.name, laptop.now())
    else:
        lines = found.switch() if arguments.what == "switch" else found.drop(arguments.out)
    print(*map(words.said, lines), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
