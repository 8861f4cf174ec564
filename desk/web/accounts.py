"""Who may use the desk: names, roles and hashes (argon2id) of passwords in one file of the desk's folder.

The file is read again whenever it changed, so that an account added, changed or removed on the command line counts
at once. A file that cannot be read keeps the accounts of before: a slip of an editor must not open the desk.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from desk.web.files import Stamp, damaged, replace, stamp, unreadable
from desk.web.retired import Retired, RetiredError
from desk.web.roles import CHIEF, OPERATOR, ROLES
from desk.web.second_factor import SecondFactors

FILE = "accounts.json"
FORMER_ROLES = {"admin": CHIEF}  # as files of before have them
ACCOUNTS_MAX = 200
INSTEAD = "restore it from a backup; if you remove it instead, everybody's account must be made anew: account add"
NAME = re.compile(r"[^\W_](?:[\w .@-]{0,30}[^\W_])?")  # in any script; it is shown, and sent to the columns as `by`
PASSWORD_MIN, PASSWORD_MAX = 10, 128  # characters

log = logging.getLogger("desk")


class AccountError(ValueError):
    """An account cannot be made, found or read; says why."""


@dataclass(frozen=True)
class Account:
    """One person. `hash` is argon2's own text: algorithm, cost, salt and digest."""

    name: str
    role: str
    hash: str


class Accounts:
    """The accounts of the desk whose files are in `folder`. Any thread. Raises AccountError and SecondFactorError
    for a broken file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._hasher = PasswordHasher()
        self.factors, self._retired = SecondFactors(folder), Retired(folder)
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._refused: Stamp | None = None
        self._put_back: Stamp | None = None
        self._known: dict[str, Account] = {}
        self._decoy = self._hasher.hash("nobody's password")
        self._read()

    def all(self) -> list[Account]:
        """Everybody, by name."""
        with self._lock:
            now = stamp(self._path)
            if now != self._stamp:
                self._look_again(now)
            return sorted(self._known.values(), key=lambda account: account.name)

    def find(self, name: str) -> Account | None:
        """The account of that name, as it is now."""
        return next((account for account in self.all() if account.name == name), None)

    def check(self, name: str, password: str) -> Account | None:
        """The account if the password is its own. Takes some 100 ms and 64 MiB whether or not the name exists."""
        account = self.find(name)
        try:
            self._hasher.verify(account.hash if account else self._decoy, password)
        except (VerificationError, InvalidHashError):
            return None
        return account

    def refuse(self, name: str, password: str, role: str) -> None:
        """Raises AccountError for what no account may have."""
        if not NAME.fullmatch(name):
            right = "use 1 to 32 letters, digits, spaces or . @ - _, a letter or digit first and last"
            raise AccountError(f"name {name!r}: {right}")
        if role not in ROLES:
            raise AccountError(f"role {role!r}: use one of {', '.join(ROLES)}")
        if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
            raise AccountError(
                f"the password has {len(password)} characters: use {PASSWORD_MIN} to {PASSWORD_MAX}, such as four words"
            )

    def add(self, name: str, password: str, role: str = OPERATOR) -> None:
        """Make an account, or give it a new password and role. Raises AccountError."""
        self.refuse(name, password, role)
        with self._lock:
            self._read()
            before = self._known.get(name)
            self._known[name] = Account(name, role, self._hasher.hash(password))
            if len(self._known) > ACCOUNTS_MAX:
                raise AccountError(f"there are {ACCOUNTS_MAX} accounts already: remove one")
            self._write()
            if before is not None:
                self._retired.add(before.hash)

    def remove(self, name: str) -> None:
        """Take an account away; its sessions end with it. Raises AccountError."""
        with self._lock:
            self._read()
            gone = self._known.pop(name, None)
            if gone is None:
                raise self._unknown(name)
            self._write()
            self._retired.add(gone.hash)
        if self.factors.left(name) is not None:
            self.factors.remove(name)  # not for the next of that name

    def known(self, name: str) -> Account:
        """The account of that name. Raises AccountError."""
        account = self.find(name)
        if account is None:
            raise self._unknown(name)
        return account

    def _unknown(self, name: str) -> AccountError:
        if not self._known:
            return AccountError(f"no account {name!r}: there are none yet; make the first with: account add")
        return AccountError(f"no account {name!r}; there are: {', '.join(sorted(self._known))}")

    def _look_again(self, now: Stamp | None) -> None:
        """The file has changed. That it cannot be read is said once: else somebody waits in vain for a new account."""
        try:
            self._read()
        except AccountError as error:
            if now != self._refused:
                log.error("%s; the accounts of before go on counting", error)
            self._refused = now

    def _read(self) -> None:
        found = stamp(self._path)
        try:
            entries = json.loads(self._path.read_bytes()) if found else []
            known = {entry["name"]: _account(entry) for entry in entries}
            retired = self._retired.among(account.hash for account in known.values())
        except RetiredError as error:
            raise AccountError(str(error)) from error
        except AccountError as error:
            raise AccountError(f"{self._path}: {error}") from error
        except OSError as error:
            raise AccountError(unreadable(self._path, error)) from error
        except (ValueError, RecursionError, TypeError, KeyError) as error:
            why = f"{self._path}: cannot be read as accounts ({damaged(error)}); {INSTEAD}"
            raise AccountError(why) from error
        self._known = {name: one for name, one in known.items() if one.hash not in retired}
        self._stamp = found
        if retired and found != self._put_back:
            names = ", ".join(sorted(known.keys() - self._known.keys()))
            log.error(
                "%s: put back to an older state; passwords that were changed or removed since do not count: of %s; "
                "give new ones: account add", self._path, names,
            )  # fmt: skip
        self._put_back = found if retired else None

    def _write(self) -> None:
        replace(self._path, json.dumps([asdict(account) for account in self._known.values()], indent=1))
        self._stamp = stamp(self._path)


def _account(entry: dict[str, str]) -> Account:
    """Raises KeyError, TypeError, and AccountError for a role that is none."""
    role = FORMER_ROLES.get(entry["role"], entry["role"])
    if role not in ROLES:
        raise AccountError(f"role {role!r}: use one of {', '.join(ROLES)}")
    return Account(entry["name"], role, entry["hash"])
