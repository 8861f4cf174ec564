"""Who is there: logging in and out."""

from __future__ import annotations

import asyncio
import math

from aiohttp import web

from desk.web import asking
from desk.web.accounts import PASSWORD_MAX
from desk.web.guard import Guard
from desk.web.refusal import Refusal, text
from desk.web.sessions import COOKIE, VALID_S, Attempts

NAME_MAX = 32
AT_ONCE = 2  # passwords that are checked at the same time, each in 64 MiB


class Login:
    """The three requests about the person itself."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._attempts = Attempts()
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def me(self, request: web.Request) -> web.StreamResponse:
        """Who is logged in; asked by everybody."""
        person = self._guard.person(request)
        return web.json_response(
            {
                "name": person.name if person else None,
                "role": person.role if person else None,
                "accounts": self._guard.with_accounts,
            }
        )

    async def login(self, request: web.Request) -> web.StreamResponse:
        """204 and a cookie, 401, or 429 after too many tries."""
        document = await asking.document(request, "name", "password")
        name = text(document, "name", NAME_MAX)
        password = document.get("password")
        if not isinstance(password, str) or len(password) > PASSWORD_MAX or not password.isprintable():
            raise Refusal(400, f"password: must be a string of at most {PASSWORD_MAX} printable characters")
        address = self._guard.address(request)
        wait_s = math.ceil(self._attempts.begin(name, address))
        if wait_s:
            raise Refusal(429, f"too many tries; the next one in {wait_s} s", {"Retry-After": str(wait_s)})
        async with self._turn:
            account = await asyncio.to_thread(self._guard.accounts.check, name, password)
        if account is None:
            raise Refusal(401, "no such name and password")
        self._attempts.succeeded(name, address)
        token = await asyncio.to_thread(self._guard.sessions.open, account)
        response = web.Response(status=204)
        secure = self._guard.encrypted or request.headers.get("X-Forwarded-Proto") == "https"
        response.set_cookie(COOKIE, token, max_age=VALID_S, path="/", secure=secure, httponly=True, samesite="Strict")
        return response

    async def logout(self, request: web.Request) -> web.StreamResponse:
        """204, whoever asks; the session is over."""
        await asking.document(request)
        token = request.cookies.get(COOKIE)
        if token:
            await asyncio.to_thread(self._guard.sessions.close, token)
        response = web.Response(status=204)
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response
