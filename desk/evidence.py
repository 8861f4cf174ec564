"""Evidence: what happened to a call, as a chain of signed links that nobody can change afterwards without its being
noticed. contract/evidence.py checks the export of one call, offline; `check` here holds the whole register against its
chain.

Who caused an event signs it: the operator who is logged in (with a key that the desk keeps for the account), else the
desk. A column's alarm is kept as it was sent, with its own proof. The keys lie in the desk's folder, for its owner: who
has that folder can forge what comes later, not what a fingerprint, an export or a head elsewhere has fixed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract.evidence import digest
from desk import agreement
from desk.web.files import replace

KEYS_FILE = "evidence-keys.json"
HEAD_SUFFIX = ".head"
DESK = "desk"
BY_OPERATORS = ("accepted", "dispatched", "closed", "note", "opened", "shut")
RECORDING = "recording"  # a way of an opening: the desk itself, under its name
LOOKED_AT = 500  # links, at each start
Link = dict[str, Any]
log = logging.getLogger(__name__)


class Signers:
    """The private keys, by who signs: "desk", "operator NAME". Made when they are first needed."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / KEYS_FILE
        self._keys: dict[str, Ed25519PrivateKey] | None = None

    def sign(self, signer: str, document: Link) -> Link:
        """The document with `signer` and `signature`."""
        signed = {**document, "signer": signer}
        return {**signed, "signature": self._key(signer).sign(digest(signed)).hex()}

    def public(self, signer: str) -> str:
        return self._key(signer).public_key().public_bytes_raw().hex()

    def verify(self, document: Link) -> None:
        """Raises InvalidSignature, and KeyError for a signer whom nobody knows."""
        self._keys = self._read() if self._keys is None else self._keys
        self._keys[document["signer"]].public_key().verify(bytes.fromhex(document["signature"]), digest(document))

    def voucher(self, signer: str) -> Link:
        """The signer's public key, signed with the desk's."""
        document = {"signer": signer, "public": self.public(signer)}
        return {**document, "signature": self._key(DESK).sign(digest(document)).hex()}

    def _key(self, signer: str) -> Ed25519PrivateKey:
        keys = self._keys = self._read() if self._keys is None else self._keys
        if signer not in keys:
            made = {**keys, signer: Ed25519PrivateKey.generate()}
            self._keep({name: key.private_bytes_raw().hex() for name, key in made.items()})
            self._keys = keys = made
        return keys[signer]

    def _read(self) -> dict[str, Ed25519PrivateKey]:
        """A damaged file is put aside: what it signed can be told from what comes by the desk's fingerprint."""
        try:
            found = json.loads(self._file.read_text("ascii")) if self._file.exists() else {}
            return {name: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key)) for name, key in found.items()}
        except (ValueError, RecursionError, TypeError, AttributeError):
            log.error("%s is damaged and put aside; the desk signs with new keys", self._file)
            self._file.replace(self._file.with_name(self._file.name + ".damaged"))
            return {}

    def _keep(self, keys: dict[str, str]) -> None:
        replace(self._file, json.dumps(keys))


class Chain:
    """The table `link` behind the connection `db`, in whose transactions it writes, and the head beside the file."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db, self._head = db, path.with_name(path.name + HEAD_SUFFIX)
        self._signers = Signers(path.parent)
        if not (path.parent / KEYS_FILE).exists() and self._last("SELECT n, hash FROM link LIMIT 1")[0]:
            log.error("%s: %s is missing and made anew: bring it from the backup, or nobody can check what was signed "
                      "before", path.parent, KEYS_FILE)  # fmt: skip
        self._signers.public(DESK)  # made now, when somebody looks on: later its lack would be a call's
        self._grown = False

    def add(self, incident_id: str, at_ms: int, kind: str, by: str, detail: dict[str, Any]) -> None:
        """One more event. Drills are no evidence: they are dropped one day."""
        row = self._db.execute("SELECT status FROM incident WHERE id = ?", (incident_id,)).fetchone()
        if row is None or row[0] != "actual":
            return
        if not self._last("SELECT k, hash FROM link WHERE incident_id = ? LIMIT 1", incident_id)[0]:
            self._add_earlier(incident_id, (at_ms, kind, by))
        self._link(incident_id, at_ms, kind, by, detail)

    def _add_earlier(self, incident_id: str, now: tuple[int, str, str]) -> None:
        """What stands in the timeline of a call that is evidence from now on: it began as a drill, or before there were
        links."""
        rows = 'SELECT at_ms, kind, "by", detail FROM entry WHERE incident_id = ? ORDER BY n'
        for row in self._db.execute(rows, (incident_id,)).fetchall():
            if tuple(row[:3]) != now:
                self._link(incident_id, row[0], row[1], row[2], json.loads(row[3]))

    def _link(self, incident_id: str, at_ms: int, kind: str, by: str, detail: dict[str, Any]) -> None:
        is_operators = kind in BY_OPERATORS and "heard_ms" not in detail and detail.get("way") != RECORDING
        signer = f"operator {by}" if is_operators else DESK
        n, previous = self._last("SELECT n, hash FROM link ORDER BY n DESC LIMIT 1")
        k, before = self._last("SELECT k, hash FROM link WHERE incident_id = ? ORDER BY k DESC LIMIT 1", incident_id)
        document = {"n": n + 1, "previous": previous, "k": k + 1, "before": before, "incident": incident_id}
        document |= {"at_ms": at_ms, "kind": kind, "by": by, "detail": detail}
        try:
            link = self._signers.sign(signer, document)
        except OSError:  # a new key that cannot be kept
            link = self._signers.sign(DESK, document)
        body = json.dumps(link, ensure_ascii=False, separators=(",", ":"))
        values = n + 1, incident_id, k + 1, digest(link).hex(), body
        self._db.execute("INSERT INTO link VALUES (?, ?, ?, ?, ?)", values)
        self._grown = True

    def _last(self, sql: str, *values: str) -> tuple[int, str]:
        row = self._db.execute(sql, values).fetchone()
        return (0, "") if row is None else (row[0], row[1])

    def committed(self) -> None:
        """What was added is on the disk: the head, which lies apart, follows. It may lag behind, never run ahead, and
        it must not keep a call from its answer."""
        if not self._grown:
            return
        self._grown = False
        with contextlib.suppress(OSError):
            n, last = self._last("SELECT n, hash FROM link ORDER BY n DESC LIMIT 1")
            fresh = self._head.with_name(self._head.name + ".new")
            fresh.write_text(f"{n}:{last}\n", "ascii")
            fresh.replace(self._head)


# Checking


class NotWhole(ValueError):
    """The desk does not sign that these are all links of a call; says why."""


def export(db: sqlite3.Connection, path: Path, incident_id: str, at_ms: int) -> Link | None:
    """One call's evidence, from the register at `path`, for contract/evidence.py; None: there is no such call. Raises
    NotWhole: links that somebody took out would be missing, and the desk's own signature would say that none is."""
    links = [json.loads(row[0]) for row in _rows(db, "WHERE incident_id = ? ORDER BY k", incident_id)]
    if not links:
        return None
    wrong = [*_heads(db, path, None), *_links(db, path, links[0]["n"])]
    if wrong:
        raise NotWhole(f"{incident_id}: the evidence is not whole since its first link: {wrong[0]}")
    signers = Signers(path.parent)
    last = {"incident": incident_id, "count": len(links), "last": digest(links[-1]).hex(), "at_ms": at_ms}
    who = {DESK, *(link["signer"] for link in links)}
    return {
        "v": 1,
        "incident": incident_id,
        "keys": {signer: signers.voucher(signer) for signer in sorted(who)},
        "links": links,
        "head": signers.sign(DESK, last),
    }


def check(db: sqlite3.Connection, path: Path, *, whole: bool = True, head: str | None = None) -> list[str]:
    """What is wrong with the register at `path`, in words. `whole`: all of it, else the end. `head`: N:HASH that
    somebody has noted elsewhere, beside the one in the folder."""
    wrong = [*_heads(db, path, head)]
    (count,) = db.execute("SELECT coalesce(max(n), 0) FROM link").fetchone()
    first = 1 if whole else max(1, count - LOOKED_AT + 1)
    wrong += _links(db, path, first)
    return wrong + (agreement.check(db) if whole else [])


def _heads(db: sqlite3.Connection, path: Path, noted: str | None) -> Iterator[str]:
    file = path.with_name(path.name + HEAD_SUFFIX)
    heads = {"--head": noted} if noted else {}
    if file.exists():
        heads[file.name] = file.read_text("ascii", "replace").strip()
    elif db.execute("SELECT 1 FROM link").fetchone():
        yield f"{file.name} is missing: nobody can tell whether the register was put back to an older state"
    for where, text in heads.items():
        n, _, known = text.partition(":")
        row = db.execute("SELECT hash FROM link WHERE n = ?", (int(n) if n.isdigit() else -1,)).fetchone()
        if row is None:
            yield f"rolled back: the head {where} is link {n[:20]}, and the register has no such link"
        elif row[0] != known:
            yield f"changed: link {n} is not the one of the head {where}"


def _links(db: sqlite3.Connection, path: Path, first: int) -> Iterator[str]:
    """Each link: its place, its hash, its signature."""
    row = db.execute("SELECT hash FROM link WHERE n = ?", (first - 1,)).fetchone()
    expected, previous, signers = first, row[0] if row else "", Signers(path.parent)
    for row in db.execute("SELECT n, hash, body, incident_id, k FROM link WHERE n >= ? ORDER BY n", (first,)):
        n, known, body, *place = row
        try:
            link = json.loads(body)
            name = f"link {n} ({link['kind']} of {link['incident']})"
            is_whole = digest(link).hex() == known and (link["n"], link["previous"]) == (n, previous)
            is_whole &= [link["incident"], link["k"]] == place  # else an export would lack it
        except (ValueError, RecursionError, KeyError, TypeError):
            name, is_whole = f"link {n}", False
        if n != expected:
            yield f"missing before {name}: {expected} to {n - 1}"
        elif not is_whole:
            yield f"changed: {name}"
        elif not _is_signed(signers, link):
            yield f"signed with a key that is not in {KEYS_FILE}: {name}"
        expected, previous = n + 1, known


def _is_signed(signers: Signers, link: Link) -> bool:
    """With a key that is here. Whoever put a register back without its keys has changed nothing."""
    try:
        signers.verify(link)
    except (ValueError, KeyError, TypeError, InvalidSignature):
        return False
    return True


def _rows(db: sqlite3.Connection, where: str, *values: str) -> Iterator[Mapping[int, Any]]:
    yield from db.execute(f"SELECT body FROM link {where}", values)
