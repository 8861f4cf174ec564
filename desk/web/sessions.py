"""Who is logged in, and how often somebody may try.

A session is a random token in a cookie; the desk keeps its SHA-256 only, in a file, so that a desk that is started
again after a crash does not ask for passwords in the middle of an alarm.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import NamedTuple

from desk.web.accounts import Account, Accounts
from desk.web.files import replace
from desk.web.roles import CHIEF

log = logging.getLogger("desk")
FILE = "sessions.json"
COOKIE = "desk_session"
TOKEN_BYTES = 32
VALID_S = 13 * 3600  # a shift of twelve hours, and handing it over
ID_DIGITS = 16
ADDRESS_MAX, BROWSER_MAX = 64, 200  # characters
SESSIONS_MAX = 20  # of one account: more than a person has browsers; the oldest go

TRIES, TRY_WINDOW_S = 5, 300.0  # of one name from one address
ADDRESS_TRIES = 20  # of all names from one address, in the same time
DELAY_S, WAIT_MAX_S = 2.0, 10.0  # between further ones, and how long one waits at most
PLACES_MAX = 10_000  # of those counted


NOBODY = Account("", CHIEF, "")


class Session(NamedTuple):
    """One login, as the file has it. `seal`: of the account as it was then; `browser`: as it calls itself."""

    name: str
    seal: str
    until_s: float
    since_s: float
    address: str
    browser: str


class Shown(NamedTuple):
    """One that is not over, for people to look at. `id` names it and opens nothing; `seen_s`: when it was last used, as
    far as this run of the desk knows."""

    id: str
    name: str
    since_s: float
    seen_s: float
    until_s: float
    address: str
    browser: str


class Sessions:
    """The sessions of `accounts`. Any thread. `now_s`: the time of day. `nobody`: stands for whoever holds the key of a
    desk without accounts; no account can have its name."""

    def __init__(
        self, folder: Path, accounts: Accounts, now_s: Callable[[], float] = time.time, nobody: Account = NOBODY
    ) -> None:
        self._path, self.nobody = folder / FILE, nobody
        self._accounts = accounts
        self._now_s = now_s
        self._lock = threading.Lock()
        self._open = self._read()
        self._seen_s: dict[str, float] = {}

    def open(self, account: Account, address: str = "", browser: str = "") -> str:
        """A new session's token."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._lock:
            now_s = self._now_s()
            self._open = {key: session for key, session in self._open.items() if session.until_s > now_s}
            mine = [key for key, session in self._open.items() if session.name == account.name]
            for key in mine[: max(0, len(mine) + 1 - SESSIONS_MAX)]:
                del self._open[key]
            browser = browser[:BROWSER_MAX]
            self._open[_digest(token)] = Session(
                account.name, _seal(account), now_s + VALID_S, now_s, address[:ADDRESS_MAX], browser
            )
            self._write()
        return token

    def find(self, token: str) -> Account | None:
        """Whose session it is; None when it is unknown, over, or the account has changed since."""
        key = _digest(token)
        with self._lock:
            session = self._open.get(key)
        account = session and self._account_of(session)
        if account:
            self._seen_s[key] = self._now_s()
        return account or None

    def close(self, token: str) -> None:
        """End a session."""
        self._end(lambda key, _: key == _digest(token))

    def all(self) -> list[Shown]:
        """Those that are not over, newest first."""
        with self._lock:
            found = list(self._open.items())
        shown = [
            Shown(
                id_of(key), one.name, one.since_s, self._seen_s.get(key, one.since_s), one.until_s, one.address,
                one.browser,
            )
            for key, one in found
            if self._account_of(one)
        ]  # fmt: skip
        return sorted(shown, key=lambda one: -one.since_s)

    def end(self, id_: str) -> None:
        """The one that is shown with this id; harmless when it is over."""
        self._end(lambda key, _: id_of(key) == id_)

    def end_all(self, name: str, but: str | None = None) -> None:
        """All of an account; `but` the one of this token."""
        kept = but and _digest(but)
        self._end(lambda key, session: session.name == name and key != kept)

    def renew(self, token: str, account: Account) -> None:
        """The account has changed, and this session's person did it: this one goes on."""
        key = _digest(token)
        with self._lock:
            if key in self._open:
                self._open[key] = self._open[key]._replace(seal=_seal(account))
                self._write()

    def _account_of(self, session: Session) -> Account | None:
        if session.until_s <= self._now_s():
            return None
        account = self.nobody if session.name == self.nobody.name else self._accounts.find(session.name)
        return account if account and _seal(account) == session.seal else None

    def _end(self, is_meant: Callable[[str, Session], bool]) -> None:
        with self._lock:
            gone = [key for key, session in self._open.items() if is_meant(key, session)]
            for key in gone:
                del self._open[key]
                self._seen_s.pop(key, None)
            if gone:
                self._write()

    def _read(self) -> dict[str, Session]:
        try:
            found = json.loads(self._path.read_bytes())
            return {str(key): _session(*entry) for key, entry in found.items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._put_aside(str(error.strerror))
        except (ValueError, RecursionError, TypeError, AttributeError):
            self._put_aside("it is damaged")
        return {}

    def _put_aside(self, why: str) -> None:
        """Said once: who is asked for a password in the middle of an alarm should be told why by somebody."""
        aside = self._path.with_name(self._path.name + ".damaged")
        try:
            self._path.replace(aside)
        except OSError:
            log.error("%s: who was logged in cannot be read: %s; everybody logs in again", self._path, why)
        else:
            log.error(
                "%s: who was logged in cannot be read: %s; everybody logs in again, and the file is put aside as %s",
                self._path, why, aside,
            )  # fmt: skip

    def _write(self) -> None:
        """A full disk keeps nobody from logging in: then a session ends with this process."""
        try:
            replace(self._path, json.dumps(self._open))
        except OSError as error:
            log.error("%s: who is logged in cannot be written down: %s", self._path, error.strerror)


def token_id(token: str) -> str:
    """The id with which this token's session is shown."""
    return id_of(_digest(token))


def id_of(digest: str) -> str:
    return digest[:ID_DIGITS]


def _session(
    name: str, seal: str, until_s: float, since_s: float | None = None, address: str = "", browser: str = ""
) -> Session:
    """An entry of the file, which had three of these before. Raises TypeError and ValueError."""
    until_s = float(until_s)
    since_s = until_s - VALID_S if since_s is None else float(since_s)
    return Session(str(name), str(seal), until_s, since_s, str(address), str(browser))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _seal(account: Account) -> str:
    """Changes with the password and the role, which ends the sessions opened before."""
    return hashlib.sha256(f"{account.role} {account.hash}".encode()).hexdigest()


class Attempts:
    """Recent login attempts by name and source. Nobody is locked out: after some attempts each further one has to
    wait, at most WAIT_MAX_S. `whence`: an address, or a browser that has logged in before.

    `now_s` never goes back.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._tried: OrderedDict[tuple[str, str], _Tried] = OrderedDict()

    def begin(self, name: str, whence: str) -> float:
        """Counted before the password check, so parallel tries cannot beat the limit.

        Returns the seconds to wait. More than WAIT_MAX_S: refuse the attempt; it was not counted.
        """
        keys, now_s = self._keys(name, whence), self._now_s()
        wait_s = max(self._wait_s(key, most, now_s) for key, most in zip(keys, (TRIES, ADDRESS_TRIES), strict=True))
        if wait_s > WAIT_MAX_S:
            return wait_s
        for key in keys:
            tried = self._tried.setdefault(key, _Tried())
            tried.at_s.append(now_s)
            tried.turn_s = now_s + wait_s + DELAY_S
            self._tried.move_to_end(key)
        while len(self._tried) > PLACES_MAX:
            self._tried.popitem(last=False)
        return wait_s

    def succeeded(self, name: str, whence: str) -> None:
        """The login succeeded: forget earlier attempts of this name from this source."""
        mine, everybodys = self._keys(name, whence)
        gone = self._tried.pop(mine, _Tried())
        if everybodys in self._tried:
            for _ in gone.at_s:
                if self._tried[everybodys].at_s:
                    self._tried[everybodys].at_s.pop()

    def _keys(self, name: str, whence: str) -> tuple[tuple[str, str], tuple[str, str]]:
        place = _place(whence)
        return (name, place), ("", place)

    def _wait_s(self, key: tuple[str, str], most: int, now_s: float) -> float:
        tried = self._tried.get(key, _Tried())
        while tried.at_s and tried.at_s[0] <= now_s - TRY_WINDOW_S:
            tried.at_s.popleft()
        return max(0.0, tried.turn_s - now_s) if len(tried.at_s) >= most else 0.0


class _Tried:
    """Times of the latest attempts, and when the next is allowed if there were too many."""

    def __init__(self) -> None:
        self.at_s: deque[float] = deque(maxlen=ADDRESS_TRIES)
        self.turn_s = 0.0


def _place(address: str) -> str:
    """An address, or the network of an IPv6 address: its owner has 2**64 of them."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(ip_network((int(found), 64), strict=False))
