"""Who is there: logging in and out."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from aiohttp import web

from desk.web import asking, roles
from desk.web.accounts import PASSWORD_MAX, Account
from desk.web.audit import Audit
from desk.web.guard import ANYBODY, Guard
from desk.web.refusal import Refusal, plain, text
from desk.web.second_factor import CodeTries
from desk.web.sessions import COOKIE, DELAY_S, VALID_S, WAIT_MAX_S, Attempts

NAME_MAX = 32
AT_ONCE = 2  # passwords that are checked at the same time, each in 64 MiB
WAITING_MAX = 16  # logins that may wait for a check, none longer than a second or two
CODE_MAX = 40  # characters
KNOWN = "a known browser of"  # no address


class Login:
    """The three requests about the person itself."""

    def __init__(self, guard: Guard, audit: Audit) -> None:
        self._guard = guard
        self._audit = audit
        self._attempts, self._codes = Attempts(), CodeTries()
        self._turn, self._known_turn = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(AT_ONCE)
        self._checking = {True: 0, False: 0}

    async def me(self, request: web.Request) -> web.StreamResponse:
        """Who is logged in; asked by everybody."""
        person = self._guard.person(request)
        enrolling = person is not None and self._guard.is_enrolling(person)
        return web.json_response(
            {
                "name": person.name if person else None,
                "role": person.role if person else None,
                "may": roles.allowed(person.role, enrolling=enrolling) if person else [],
                "accounts": self._guard.with_accounts,
                "second_factor": self._second_factor(person.name) if person and self._guard.with_accounts else None,
            }
        )

    def _second_factor(self, name: str) -> dict[str, int] | None:
        left = self._guard.accounts.factors.left(name)
        return None if left is None else {"recovery_left": left}

    async def login(self, request: web.Request) -> web.StreamResponse:
        """204 and a cookie; 401; 429 or 503 when too many try."""
        document = await asking.document(request, "name", "password", "code")
        name = text(document, "name", NAME_MAX)
        password = password_in(document, "password")
        account = await self.proven(request, name, password)
        if account is None:
            raise Refusal(401, "no such name and password", code="login-wrong")
        if self._guard.accounts.factors.left(name) is not None:
            await self.prove_code(request, name, document, status=401)
        self._audit.enter("login", name, self._guard.address(request))
        response = web.Response(status=204)
        await self._open(request, response, account)
        self._guard.mark_known(request, response, account)
        return response

    async def proven(self, request: web.Request, name: str, password: str) -> Account | None:
        """The account if that is its password. Raises Refusal when too many try."""
        known, address = self._guard.knows(request, name), self._guard.address(request)
        whence = f"{KNOWN} {name}" if known else address
        await self._wait(name, whence, address)
        account = await self._check(name, password, known=known)
        if account is None:
            self._audit.enter("wrong password", name, address)
            return None
        self._attempts.succeeded(name, whence)
        return account

    async def prove_code(self, request: web.Request, name: str, document: dict[str, Any], *, status: int) -> None:
        """That whoever asks has the second factor as well. Raises Refusal."""
        code, address = text(document, "code", CODE_MAX, default=""), self._guard.address(request)
        if not code:
            raise Refusal(status, "the code of the second factor is wanted, too", code="login-code")
        known = self._guard.knows(request, name)
        wait_s = self._codes.begin(name, code, known=known)
        if wait_s > 0:
            self._audit.enter("too many wrong codes", name, address)
            why, headers, seconds = _later("too many wrong codes", wait_s)
            raise Refusal(429, why, headers, code="code-wait", n=math.ceil(seconds / 60))
        if not await asyncio.to_thread(self._guard.accounts.factors.check, name, code):
            self._audit.enter("wrong code", name, address)
            raise Refusal(status, "that code does not count", code="login-code-wrong")
        self._codes.succeeded(name, known=known)

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """A desk without accounts: the link that it printed. The key does not stay in the browser's address."""
        response = web.Response(status=303, headers={"Location": "/"})
        if self._guard.key.is_key(request.query.get("key", "")) and not self._guard.with_accounts:
            self._audit.enter("key", ANYBODY, self._guard.address(request))
            await self._open(request, response, self._guard.sessions.nobody)
        return response

    async def _open(self, request: web.Request, response: web.StreamResponse, account: Account) -> None:
        browser = plain(request.headers.get("User-Agent", ""))
        token = await asyncio.to_thread(self._guard.sessions.open, account, self._guard.address(request), browser)
        response.set_cookie(
            *(COOKIE, token), max_age=VALID_S, path="/",
            secure=self._guard.is_encrypted(request), httponly=True, samesite="Strict",
        )  # fmt: skip

    async def _wait(self, name: str, whence: str, address: str) -> None:
        """Wait until this attempt is allowed. Raises Refusal when the wait is too long."""
        wait_s = self._attempts.begin(name, whence)
        if wait_s > WAIT_MAX_S:
            self._audit.enter("too many tries", name, address)
            why, headers, seconds = _later("too many tries", wait_s)
            raise Refusal(429, why, headers, code="login-wait", n=seconds)
        if wait_s:
            self._audit.enter("has to wait", name, address)
            await asyncio.sleep(wait_s)

    async def _check(self, name: str, password: str, *, known: bool) -> Account | None:
        """Known browsers have their own queue, so strangers cannot block them. Raises Refusal when too many wait."""
        turn = self._known_turn if known else self._turn
        if self._checking[known] >= WAITING_MAX:
            why, headers, seconds = _later("too many log in at once", DELAY_S)
            raise Refusal(503, why, headers, code="login-busy", n=seconds)
        self._checking[known] += 1
        try:
            async with turn:
                return await asyncio.to_thread(self._guard.accounts.check, name, password)
        finally:
            self._checking[known] -= 1

    async def logout(self, request: web.Request) -> web.StreamResponse:
        """204, whoever asks; the session is over."""
        await asking.document(request)
        token, person = request.cookies.get(COOKIE), self._guard.person(request)
        if person is not None:
            self._audit.enter("logout", person.name, self._guard.address(request))
        if token:
            await asyncio.to_thread(self._guard.sessions.close, token)
        response = web.Response(status=204)
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response


def password_in(document: dict[str, Any], key: str) -> str:
    """Raises Refusal."""
    password = document.get(key)
    if not isinstance(password, str) or len(password) > PASSWORD_MAX or not password.isprintable():
        why = f"{key}: must be a string of at most {PASSWORD_MAX} printable characters"
        raise Refusal(400, why, code="login-password", most=PASSWORD_MAX)
    return password


def _later(why: str, wait_s: float) -> tuple[str, dict[str, str], int]:
    """Text, headers and seconds of a refusal that says when to try again."""
    seconds = math.ceil(wait_s)
    return f"{why}; the next one in {seconds} s", {"Retry-After": str(seconds)}, seconds
