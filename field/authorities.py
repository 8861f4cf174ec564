"""`make authority DO=add|switch|drop`: another authority takes the place of the one that is there, and nobody is left
out in between. For an authority that nears its end, or whose key may be in other hands.

  add      makes a second one. From the next `make provision` on everybody trusts both; the old one goes on signing
  switch   the second one signs from the next `make provision` on. Not before every column trusts both
  drop     the one that signs no more is trusted no more. Not before every column has a certificate of the other

switch and drop are refused while a column is not known to have what the step before made for it: it would be off the
air for good. A column is known to have it once it was flashed (OUT/flashed.csv), or when ROLLOUT, which is what
`.venv/bin/python -m desk.rollout status --json` printed, says so. FORCE=1 leaves the others to a cable.

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

from field import certificates, laptop, reached
from field.keeping import PROVISIONED, KeepError, check_owner, keep_key, understood, write
from field.shared import wrong_name
from field.telling import in_words
from field.words import asked_for, tool_parser

FILE = "authorities.json"
FIRST = "ca"
DROPPED = "dropped.pem"
YEARS = 30
NAME = "SOS columns CA"
SHOWN = 5
"""So many names in a message."""


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
        self._step = ""
        """The last one, if that is known."""
        if self._file.exists():
            check_owner(self._file)
            with understood(self._file, "bring it back"):
                noted = json.loads(self._file.read_text("utf-8"))
                found = noted["trusted"]
                if not found or not all(isinstance(stem, str) and Path(stem).name == stem for stem in found):
                    raise ValueError  # what stands there are no names of files
                self.stems, self._step = tuple(found), str(noted.get("step", ""))

    @property
    def is_there(self) -> bool:
        """Whether there is one at all."""
        return any(one.exists() for one in (self._file, self.folder / f"{FIRST}.pem", self._dropped(FIRST)))

    @property
    def years(self) -> dict[Path, int]:
        """The certificates of all that are trusted, and for how long they were made."""
        return {self.folder / f"{stem}.pem": YEARS for stem in self.stems}

    def read(self) -> list[Authority]:
        """All that are trusted; the first one signs."""
        found = []
        for stem in self.stems:
            if self._dropped(stem).exists():
                raise KeepError(
                    f"{self._file} trusts {stem} again, which was dropped ({self._dropped(stem).name} is there): it was"
                    " put back to an older state; bring the newest copy back, or thieves of that key are let in"
                )
            pem, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
            if not key.exists() or not pem.exists():
                raise KeepError(
                    f"{self.folder}: {stem}.pem or {stem}.key is missing; bring it back, or move {self.folder} away to"
                    " begin anew"
                )
            one = Authority(stem, pem.read_bytes(), keep_key(key))
            with understood(pem, "bring it back"):
                is_whole = certificates.belongs(one.pem, one.key)
            if not is_whole:
                raise KeepError(f"{pem} and {key.name} do not belong together; bring back the pair that does")
            found.append(one)
        return found

    def add(self, name: str | None, now: datetime.datetime) -> list[str]:
        """Raises ClockError too."""
        laptop.check(now, laptop.made(self.years))
        trusted = self._only(1, "there are two already: switch and drop first")
        stem = self._free_stem()
        name = name or f"{NAME} {stem.partition('-')[2]}"
        if wrong := wrong_name(name):
            raise KeepError(f"NAME: {wrong}")
        if name == certificates.common_name(trusted[0].pem):
            raise KeepError(f"the authority that is there has the name {name!r} already; give another one: NAME=...")
        pem = new(self.folder, stem, name, now).pem
        write(self.folder / f"{stem}.pem", pem, is_secret=False)
        self._note("add", trusted[0].stem, stem)
        end = certificates.expires(pem)
        return [
            f"new authority {name!r}, until {end:%Y-%m-%d}: {self.folder}/{stem}.pem; keep {stem}.key offline",
            "now make provision; then the new ca.pem to the broker, the desk and every column, and only then: switch",
        ]

    def switch(self, out: Path, rollout: Path | None, *, force: bool) -> list[str]:
        """Columns that do not trust the other one yet refuse the broker's next certificate. Back again nobody does."""
        signs, other = self._only(2, "there is one authority only: add another one first")
        if self._step != "switch" and not force:
            self._check_reached("switch", [signs, other], out, rollout)
        self._note("switch", other.stem, signs.stem)
        return [
            f"{certificates.common_name(other.pem)!r} signs from now on",
            "now make provision; then its certificates to every column, the broker and the desk, and only then: drop",
        ]

    def drop(self, out: Path, rollout: Path | None, *, force: bool) -> list[str]:
        """Columns that have no certificate of the one that signs yet are refused by the broker from then on. Nobody has
        one of another that was only added."""
        signs, other = self._only(2, "there is one authority only, which signs: there is none to drop")
        issued = [file for file in _issued(out) if certificates.issued_by(file.read_bytes(), other.pem)]
        if issued:
            shown = ", ".join(str(file.relative_to(out)) for file in issued[:SHOWN])
            raise KeepError(f"{len(issued)} certificates are of that authority still ({shown}): make provision first")
        if self._step != "add" and not force:
            self._check_reached("drop", [signs, other], out, rollout)
        self._note("drop", signs.stem)
        (self.folder / f"{other.stem}.pem").replace(self._dropped(other.stem))
        return [
            f"{certificates.common_name(other.pem)!r} is trusted no more; destroy {self.folder}/{other.stem}.key",
            "now make provision; then the new ca.pem to the broker, the desk and every column",
        ]

    def _check_reached(self, step: str, trusted: Sequence[Authority], out: Path, rollout: Path | None) -> None:
        """Raises KeepError when a column is not known to have what the step before made for it."""
        for name in reached.names(out):
            if not all(one.pem.decode() in reached.tls(out, name)["ca"] for one in trusted):
                raise KeepError(f"{step}: {name} is to trust both first: make provision, then bring it to the columns")
        if left := reached.unreached(out, rollout):
            shown = ", ".join(left[:SHOWN]) + (" ..." if len(left) > SHOWN else "")
            raise KeepError(
                f"{step}: {len(left)} of {len(reached.names(out))} columns are not known to have what make provision"
                f" made last ({shown}), and would be off the air until somebody comes with a cable: make flash for"
                " each, or make renew and its rollout, whose status --json is given with ROLLOUT=FILE; FORCE=1 leaves"
                " them behind"
            )

    def _only(self, count: int, otherwise: str) -> list[Authority]:
        found = self.read()
        if len(found) != count:
            raise KeepError(otherwise)
        return found

    def _free_stem(self) -> str:
        """Never one that was used before, of which copies may lie about."""
        number = 2
        while any((self.folder / f"{FIRST}-{number}.{kind}").exists() for kind in ("pem", DROPPED)):
            number += 1
        return f"{FIRST}-{number}"

    def _dropped(self, stem: str) -> Path:
        """The certificate of one that is trusted no more: it stays, so that none is trusted again by an older list."""
        return self.folder / f"{stem}.{DROPPED}"

    def _note(self, step: str, *trusted: str) -> None:
        """One file, replaced in one step: there is nothing half done."""
        write(self._file, json.dumps({"v": 1, "trusted": trusted, "step": step}) + "\n", is_secret=True)


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
    parser.add_argument("--rollout", type=Path, help="what desk.rollout status --json printed: who has it over the air")
    parser.add_argument("--force", action="store_true", help="also columns that are not known to be reached")
    arguments = parser.parse_args(argv)
    found = Authorities(arguments.out)
    if arguments.what == "add":
        lines = found.add(arguments.name, laptop.now())
    else:
        step = found.switch if arguments.what == "switch" else found.drop
        lines = step(arguments.out, arguments.rollout, force=arguments.force)
    print(*map(words.said, lines), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
