"""Second factors, for those who want one: the codes of an authenticator program (TOTP, RFC 6238), and recovery codes.

A code counts once, in the order of time: what somebody saw over a shoulder is used up. What is known is in one file of
the desk's folder, for its owner only; of recovery codes there are only hashes. The command line may change the file
while the desk runs. A file that cannot be read keeps what was known before: a slip of an editor must not open the desk.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import logging
import re
import secrets
import threading
import time
from base64 import b32encode
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyotp

from desk.web.files import Stamp, damaged, leave_to_the_desk, private, replace, stamp, unreadable

FILE, LOCK_FILE = "second-factors.json", "second-factors.lock"
STEP_S = 30
WINDOW = (0, -1, 1)  # steps by which a telephone's clock may differ
PENDING_S = 600.0  # for scanning, and typing the first code
RECOVERY_CODES, RECOVERY_BYTES, GROUP = 10, 10, 4
WRONG_MAX, WRONG_WINDOW_S = 5, 3600.0
INSTEAD = (
    "restore it from a backup; if you remove it instead, each second factor must be set up anew, and until then the "
    "password alone opens"
)
log = logging.getLogger("desk")
_CODE = re.compile(r"[0-9]{6}")


class SecondFactorError(ValueError):
    """The file cannot be read; says why."""


class Factor(NamedTuple):
    """Of one account. `step`: of the latest code that was taken; `recovery`: hashes of those that are left."""

    secret: str
    step: int
    recovery: tuple[str, ...]


class SecondFactors:
    """Of the desk whose files are in `folder`. Any thread. `now_s`: the time of day. Raises SecondFactorError."""

    def __init__(self, folder: Path, now_s: Callable[[], float] = time.time) -> None:
        self._path, self._lock_path = folder / FILE, folder / LOCK_FILE
        self._now_s = now_s
        self._lock = threading.RLock()
        self._stamp: Stamp | None = None
        self._refused: Stamp | None = None
        self._known: dict[str, Factor] = {}
        self._pending: dict[str, tuple[str, float]] = {}
        self._read()

    def left(self, name: str) -> int | None:
        """How many recovery codes that account has left; None: it has no second factor."""
        factor = self._all().get(name)
        return None if factor is None else len(factor.recovery)

    def begin(self, name: str) -> str:
        """A secret for this account, which counts for nothing until a code of it has been seen."""
        secret = pyotp.random_base32()
        with self._lock:
            self._pending[name] = secret, self._now_s() + PENDING_S
        return secret

    def confirm(self, name: str, code: str) -> list[str] | None:
        """From now on the account needs its codes: its recovery codes, this once. None: that is no code of the secret
        that was begun, or it was too long ago."""
        with self._changing() as known:
            secret, until_s = self._pending.get(name, ("", 0.0))
            step = self._step_of(secret, code, -1) if self._now_s() < until_s else None
            if step is None:
                return None
            codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
            known[name] = Factor(secret, step, tuple(_digest(one) for one in codes))
            del self._pending[name]
            return codes

    def check(self, name: str, code: str) -> bool:
        """Whether it is a code that counts; it counts no more. True for an account that has no second factor. A full
        disk keeps nobody from logging in: that the code is used up is then known as long as this process lives."""
        with self._changing(has_to_last=False) as known:
            factor = known.get(name)
            if factor is None:
                return True
            step = self._step_of(factor.secret, code, factor.step)
            if step is not None:
                known[name] = factor._replace(step=step)
                return True
            digest = _digest(code)
            if not any(hmac.compare_digest(digest, one) for one in factor.recovery):
                return False
            known[name] = factor._replace(recovery=tuple(one for one in factor.recovery if one != digest))
            return True

    def remove(self, name: str) -> bool:
        """The account needs none from now on. False: it needed none."""
        with self._changing() as known:
            return known.pop(name, None) is not None

    def _step_of(self, secret: str, code: str, after: int) -> int | None:
        """Whose code it is, of the steps that count now and come after that one."""
        typed = "".join(code.split())
        if not _CODE.fullmatch(typed):
            return None
        now, maker = int(self._now_s()) // STEP_S, pyotp.TOTP(secret)
        for step in (now + offset for offset in WINDOW):
            if step > after and hmac.compare_digest(maker.generate_otp(step), typed):
                return step
        return None

    @contextlib.contextmanager
    def _changing(self, *, has_to_last: bool = True) -> Iterator[dict[str, Factor]]:
        """What is so now; what is changed in it is on the disk afterwards, if it has to. One at a time, other processes
        too. Raises OSError."""
        with self._lock, open(self._lock_path, "w", opener=private) as lock:
            leave_to_the_desk(lock.fileno(), self._lock_path)
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self._all()
            known = dict(before)
            yield known
            if known != before:
                try:
                    replace(self._path, json.dumps({name: one._asdict() for name, one in known.items()}, indent=1))
                except OSError as error:
                    if has_to_last:
                        raise
                    log.error("%s: that a code is used up cannot be written down: %s", self._path, error.strerror)
                self._known, self._stamp = known, stamp(self._path)

    def _all(self) -> dict[str, Factor]:
        with self._lock:
            now = stamp(self._path)
            if now != self._stamp:
                self._look_again(now)
            return self._known

    def _look_again(self, now: Stamp | None) -> None:
        """The file has changed. That it cannot be read is said once: else somebody's new factor counts for nothing, and
        nobody knows why."""
        try:
            self._read()
        except SecondFactorError as error:
            if now != self._refused:
                log.error("%s; the second factors of before go on counting", error)
            self._refused = now

    def _read(self) -> None:
        found = stamp(self._path)
        try:
            entries = json.loads(self._path.read_bytes()) if found else {}
            self._known = {str(name): _factor(**entry) for name, entry in entries.items()}
        except OSError as error:
            raise SecondFactorError(unreadable(self._path, error)) from error
        except (ValueError, RecursionError, TypeError, AttributeError) as error:
            why = f"{self._path}: cannot be read as second factors ({damaged(error)}); {INSTEAD}"
            raise SecondFactorError(why) from error
        self._stamp = found


class CodeTries:
    """Wrong codes of late, by account: whoever tries them has the password. After WRONG_MAX within an hour codes of six
    digits wait; recovery codes, which nobody guesses, do not. `known`: a browser that had been logged in has tries of
    its own, so that nobody is shut out by what others try."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._wrong_s: dict[tuple[str, bool], deque[float]] = {}

    def begin(self, name: str, code: str, *, known: bool) -> float:
        """Counted before the check, so that parallel tries cannot beat the limit. Returns the seconds to wait; above 0
        the try was not counted and is to be refused."""
        if not _CODE.fullmatch("".join(code.split())):
            return 0.0
        now_s, tries = self._now_s(), self._wrong_s.setdefault((name, known), deque(maxlen=WRONG_MAX))
        while tries and tries[0] <= now_s - WRONG_WINDOW_S:
            tries.popleft()
        if len(tries) >= WRONG_MAX:
            return tries[0] + WRONG_WINDOW_S - now_s
        tries.append(now_s)
        return 0.0

    def succeeded(self, name: str, *, known: bool) -> None:
        """The code was right."""
        self._wrong_s.pop((name, known), None)


def uri(secret: str, name: str, issuer: str) -> str:
    """What authenticator programs read from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def _factor(secret: str, step: int, recovery: list[str], **_: Any) -> Factor:
    return Factor(str(secret), int(step), tuple(str(one) for one in recovery))


def _recovery_code() -> str:
    text = b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode("ascii").lower()
    return "-".join(text[at : at + GROUP] for at in range(0, len(text), GROUP))


def _digest(code: str) -> str:
    """Of a recovery code, however it was typed. It has 80 bits: no need for a slow hash."""
    return hashlib.sha256("".join(code.lower().replace("-", "").split()).encode("utf-8", "replace")).hexdigest()
