"""Passwords that were changed or removed, so that no accounts.json out of a backup makes them count again.

One file of the desk's folder, with hashes of argon2's own texts, which have a salt: no new password is ever among them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from desk.web.files import damaged, replace, unreadable

FILE = "accounts.retired.json"
KEPT_MAX = 10_000  # the oldest go: years of changes
INSTEAD = (
    "restore it from a backup; if you remove it instead, passwords that were changed count again once accounts.json is "
    "put back to an older state"
)


class RetiredError(ValueError):
    """The file cannot be read; says why."""


class Retired:
    """Of the desk whose files are in `folder`. Raises RetiredError for a broken file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def among(self, hashes: Iterable[str]) -> set[str]:
        """Those of them that count no more."""
        gone = set(self._marks())
        return {one for one in hashes if _mark(one) in gone}

    def add(self, password_hash: str) -> None:
        """Raises OSError."""
        marks = [*self._marks(), _mark(password_hash)]
        replace(self._path, json.dumps(list(dict.fromkeys(marks))[-KEPT_MAX:], indent=1))

    def _marks(self) -> list[str]:
        try:
            found = json.loads(self._path.read_bytes()) if self._path.exists() else []
            if not isinstance(found, list):
                raise TypeError
            return [str(one) for one in found]
        except OSError as error:
            raise RetiredError(unreadable(self._path, error)) from error
        except (ValueError, RecursionError, TypeError) as error:
            why = f"{self._path}: cannot be read as passwords that are over ({damaged(error)}); {INSTEAD}"
            raise RetiredError(why) from error


def _mark(password_hash: str) -> str:
    return hashlib.sha256(password_hash.encode("utf-8", "replace")).hexdigest()
