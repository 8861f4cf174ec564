"""Logins, login attempts and changed accounts, in a file of the desk's folder: JSON, one entry a line, the oldest are
dropped.

Each line is numbered and names the hash of the line before, whichever file that is in; `audit.log.head` has number and
hash of the last one. So a line that was changed, taken out or put in is named by `python -m desk evidence check`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from desk.web.files import leave_to_the_desk, replace

FILE = "audit.log"
HEAD_FILE = f"{FILE}.head"
LOCK_FILE = f"{FILE}.lock"
LOCK_TRIES, LOCK_TRY_S = 100, 0.01
FILE_MAX_BYTES, FILES = 1_000_000, 10

log = logging.getLogger("desk")


class Head(NamedTuple):
    """Of the last line: its number, and its hash."""

    n: int = 0
    digest: str = ""


class Audit:
    """Entries {"n", "before", "at", "what", "name", "from"}. A name is what somebody typed, and need not be an
    account's. What is wrong with those that are there is said in the log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._head = Head()
        with contextlib.suppress(OSError):  # no reason to be off duty
            chain, head = _walk(folder), _head(folder)
            for text in [*chain.wrong, *_ends(chain, head)]:
                log.error("%s: %s", folder, text)
            # With lines gone it goes on from the head, so that they are missed for ever.
            self._head = chain.last if head is None or head in chain.lines else head

    def enter(self, what: str, name: str, address: str) -> None:
        """Any thread; never raises: a full disk must not keep anybody from logging in. The register says what is wrong
        with it."""
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        with self._lock, contextlib.suppress(OSError), _alone(self._folder):
            found = _head(self._folder)
            if found is not None and found.n > self._head.n:  # `account ...` has entered something beside the desk
                self._head = found
            n, before = self._head
            entry = {"n": n + 1, "before": before, "at": at, "what": what, "name": name, "from": address}
            line = json.dumps(entry).encode()
            self._append(line)
            self._head = Head(n + 1, _digest(line))
            replace(self._folder / HEAD_FILE, f"{self._head.n}:{self._head.digest}\n")

    def _append(self, line: bytes) -> None:
        """For the owner only; whole or not at all."""
        path = self._folder / FILE
        if path.exists() and path.stat().st_size + len(line) > FILE_MAX_BYTES:
            for number in range(FILES - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    _file(self._folder, number - 1).replace(_file(self._folder, number))
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            leave_to_the_desk(handle, path)
            size = os.fstat(handle).st_size
            is_torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"  # the power went there
            data = b"\n" * is_torn + line + b"\n"
            if os.write(handle, data) < len(data):
                os.ftruncate(handle, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process enters anything meanwhile, unless it hangs with the lock in its hand."""
    handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        leave_to_the_desk(handle, folder / LOCK_FILE)
        for _ in range(LOCK_TRIES):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(LOCK_TRY_S)
        yield
    finally:
        os.close(handle)


def check(folder: Path) -> list[str]:
    """What is wrong with the lines that are there, in words."""
    chain = _walk(folder)
    return [*chain.wrong, *_ends(chain, _head(folder))]


@dataclass
class _Chain:
    """What the files say, read once."""

    wrong: list[str] = field(default_factory=list)
    found: dict[int, str] = field(default_factory=dict)
    """Hashes of the entries, by their numbers."""
    lines: set[Head] = field(default_factory=set)
    """Of each line, with the number that was reached."""
    last: Head = Head()


def _walk(folder: Path) -> _Chain:
    chain, is_chained = _Chain(), False
    n, before = 0, ""
    is_cut_off = _file(folder, FILES - 1).exists()  # the oldest lines were dropped, as they should be
    for where, line in _lines(folder):
        entry = _entry(line)
        if entry is None and (is_chained or not _is_of_before(line)):
            chain.wrong.append(f"{where}: no entry of this desk")
        if entry is not None:
            if not is_chained and not before and is_cut_off:
                before, n = entry["before"], entry["n"] - 1
            is_chained = True
            if entry["n"] > n + 1 and entry["before"] != before:
                chain.wrong.append(f"{where}: missing before it: entries {n + 1} to {entry['n'] - 1}")
            elif entry["before"] != before:
                chain.wrong.append(f"{where}: the line before it was changed, or something was put in there")
            n = entry["n"]
            chain.found[n] = _digest(line)
        before = _digest(line)
        chain.last = Head(n, before)
        chain.lines.add(chain.last)
    return chain


def _ends(chain: _Chain, head: Head | None) -> Iterator[str]:
    if head is None:
        if chain.found:
            yield f"{HEAD_FILE} is missing, or damaged: nobody can tell whether the last entries are there"
    elif head.n > chain.last.n:
        yield f"{FILE}: missing at the end: entries {chain.last.n + 1} to {head.n}"
    elif chain.found.get(head.n) != head.digest:
        yield f"{FILE}: entry {head.n} is not the one that {HEAD_FILE} names"


def _head(folder: Path) -> Head | None:
    try:
        n, _, known = (folder / HEAD_FILE).read_text("ascii").strip().partition(":")
        return Head(int(n), known)
    except (OSError, ValueError):
        return None


def _lines(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(where, line) of all files, oldest first."""
    for number in range(FILES - 1, -1, -1):
        file = _file(folder, number)
        if file.exists():
            for at, line in enumerate(file.read_bytes().split(b"\n"), 1):
                if line:
                    yield f"{file.name}:{at}", line


def _entry(line: bytes) -> dict[str, Any] | None:
    """None for one without a place in the chain."""
    try:
        entry: dict[str, Any] = json.loads(line)
        return entry if type(entry["n"]) is int and isinstance(entry["before"], str) else None
    except (ValueError, RecursionError, KeyError, TypeError):
        return None


def _is_of_before(line: bytes) -> bool:
    """As desks wrote them that had no chain."""
    try:
        return set(json.loads(line)) == {"at", "what", "name", "from"}
    except (ValueError, RecursionError, TypeError):
        return False


def _file(folder: Path, number: int) -> Path:
    return folder / (f"{FILE}.{number}" if number else FILE)


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
