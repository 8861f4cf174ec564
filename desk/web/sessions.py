"""Who is logged in, and how often somebody may try.

A session is a random token in a cookie; the desk keeps its SHA-256 only, in a file, so that a desk that is started
again after a crash does not ask for passwords in the middle of an alarm.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

from desk.web.accounts import Account, Accounts
from desk.web.files import replace

FILE = "sessions.json"
COOKIE = "desk_session"
TOKEN_BYTES = 32
VALID_S = 13 * 3600  # a shift of twelve hours, and handing it over
SESSIONS_MAX = 500

TRIES, TRY_WINDOW_S = 5, 300.0  # of one name from one address
ADDRESS_TRIES = 20  # of all names from one address, in the same time
PLACES_MAX = 10_000  # of those counted


class Sessions:
    """The sessions of `accounts`. Any thread. `now_s`: the time of day."""

    def __init__(self, folder: Path, accounts: Accounts, now_s: Callable[[], float] = time.time) -> None:
        self._path = folder / FILE
        self._accounts = accounts
        self._now_s = now_s
        self._lock = threading.Lock()
        self._open = self._read()

    def open(self, account: Account) -> str:
        """A new session's token."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._lock:
            now_s = self._now_s()
            self._open = {key: session for key, session in self._open.items() if session[2] > now_s}
            while len(self._open) >= SESSIONS_MAX:
                del self._open[next(iter(self._open))]
            self._open[_digest(token)] = (account.name, _seal(account), now_s + VALID_S)
            self._write()
        return token

    def find(self, token: str) -> Account | None:
        """Whose session it is; None when it is unknown, over, or the account has changed since."""
        with self._lock:
            session = self._open.get(_digest(token))
        if session is None or session[2] <= self._now_s():
            return None
        account = self._accounts.find(session[0])
        return account if account and _seal(account) == session[1] else None

    def close(self, token: str) -> None:
        """End a session."""
        with self._lock:
            if self._open.pop(_digest(token), None):
                self._write()

    def _read(self) -> dict[str, tuple[str, str, float]]:
        try:
            found = json.loads(self._path.read_bytes())
            return {str(key): (str(name), str(seal), float(until_s)) for key, (name, seal, until_s) in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # everybody logs in again

    def _write(self) -> None:
        replace(self._path, json.dumps(self._open))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _seal(account: Account) -> str:
    """Changes with the password and the role, which ends the sessions opened before."""
    return hashlib.sha256(f"{account.role} {account.hash}".encode()).hexdigest()


class Attempts:
    """Logins tried of late, from where. Nobody is locked out by what somebody else tries from another address.

    `now_s` never goes back.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._tried: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def begin(self, name: str, address: str) -> float:
        """Count one before its password is looked at, so that many at once get no further than one by one.

        Returns 0, or how many seconds this name may not be tried from this address: that try is not to be made.
        """
        mine, everybodys = self._keys(name, address)
        wait_s = max(self._wait_s(mine, TRIES), self._wait_s(everybodys, ADDRESS_TRIES))
        if wait_s:
            return wait_s
        for key in (mine, everybodys):
            self._tried[key] = [*self._recent(key), self._now_s()]
            self._tried.move_to_end(key)
        while len(self._tried) > PLACES_MAX:
            self._tried.popitem(last=False)
        return 0.0

    def succeeded(self, name: str, address: str) -> None:
        """That try was right: forget those of this name from this address."""
        mine, everybodys = self._keys(name, address)
        for _ in self._tried.pop(mine, []):
            if self._tried.get(everybodys):
                self._tried[everybodys].pop()

    def _keys(self, name: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
        place = _place(address)
        return (name, place), ("", place)

    def _recent(self, key: tuple[str, str]) -> list[float]:
        since_s = self._now_s() - TRY_WINDOW_S
        return [at_s for at_s in self._tried.get(key, []) if at_s > since_s]

    def _wait_s(self, key: tuple[str, str], most: int) -> float:
        recent = self._recent(key)
        return recent[-most] + TRY_WINDOW_S - self._now_s() if len(recent) >= most else 0.0


def _place(address: str) -> str:
    """An address, or the network of an IPv6 address: its owner has 2**64 of them."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(ip_network((int(found), 64), strict=False))
