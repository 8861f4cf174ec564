"""Who has access: the own sessions, password and second factor, and for a chief everybody's sessions and factors."""

from __future__ import annotations

import asyncio
from typing import Any

import segno
from aiohttp import web

from desk.web import asking, roles, second_factor
from desk.web.accounts import PASSWORD_MAX, PASSWORD_MIN, Account
from desk.web.audit import Audit
from desk.web.guard import ANYBODY, Guard
from desk.web.login import CODE_MAX, NAME_MAX, Login, password_in
from desk.web.refusal import Refusal, text
from desk.web.sessions import Shown, token_id

ENDED, ENDED_ALL, PASSWORD = "session ended", "sessions ended", "new password"
FACTOR_ON, FACTOR_OFF, FACTOR_RESET = "second factor on", "second factor off", "second factor reset"
QR_SCALE = 4


class Access:
    """Requests about accounts; who may do them to others is in the table of roles. `issuer`: of the codes, as
    authenticator programs show it."""

    def __init__(self, guard: Guard, login: Login, audit: Audit, issuer: str) -> None:
        self._guard, self._login, self._audit, self._issuer = guard, login, audit, issuer
        self._factors = guard.accounts.factors

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/api/sessions", self._sessions),
            web.post("/api/sessions/{session}/end", self._end),
            web.post("/api/sessions/end", self._end_all),
            web.post("/api/password", self._password),
            web.get("/api/accounts", self._accounts),
            web.post("/api/second-factor/begin", self._begin),
            web.post("/api/second-factor/confirm", self._confirm),
            web.post("/api/second-factor/remove", self._remove),
            web.post("/api/second-factor/reset", self._reset),
        ]

    async def _sessions(self, request: web.Request) -> web.StreamResponse:
        """The own ones, or everybody's for those who may see them."""
        token, account = self._guard.account(request)
        sees_all, here = roles.is_allowed(account.role, roles.SEE_SESSIONS), token_id(token)
        found = await asyncio.to_thread(self._guard.sessions.all)
        return web.json_response(
            [_shown(one, here) for one in found if sees_all or one.name == account.name],
        )

    async def _end(self, request: web.Request) -> web.StreamResponse:
        """One. To end the own one is to log out."""
        await asking.document(request)
        _, account = self._guard.account(request)
        wanted = request.match_info["session"]
        found = await asyncio.to_thread(self._guard.sessions.all)
        one = next((one for one in found if one.id == wanted), None)
        if one is None or (one.name != account.name and not roles.is_allowed(account.role, roles.SEE_SESSIONS)):
            raise Refusal(404, "no such session: it is over", code="no-session")
        if one.name != account.name:
            roles.check(account.role, roles.END_SESSION)
        await asyncio.to_thread(self._guard.sessions.end, wanted)
        self._enter(request, ENDED, account, one.name)
        return web.Response(status=204)

    async def _end_all(self, request: web.Request) -> web.StreamResponse:
        """All of an account but the one that asks."""
        document = await asking.document(request, "name")
        token, account = self._guard.account(request)
        name = text(document, "name", NAME_MAX, default=account.name)
        if name != account.name:
            roles.check(account.role, roles.END_SESSIONS)
        await asyncio.to_thread(self._guard.sessions.end_all, name, token)
        self._enter(request, ENDED_ALL, account, name)
        return web.Response(status=204)

    async def _password(self, request: web.Request) -> web.StreamResponse:
        """A new one; whoever got in with the old one is out."""
        document = await asking.document(request, "old", "new")
        token, account = self._guard.account(request)
        new = password_in(document, "new")
        if len(new) < PASSWORD_MIN:
            why = f"new: use {PASSWORD_MIN} to {PASSWORD_MAX} characters, such as four words"
            raise Refusal(400, why, code="password-short", least=PASSWORD_MIN)
        await self.prove(request, account, document, "old")
        changed = await asyncio.to_thread(self._change, account, new)
        await asyncio.to_thread(self._guard.sessions.renew, token, changed)
        await asyncio.to_thread(self._guard.sessions.end_all, account.name, token)
        self._enter(request, PASSWORD, account, account.name)
        return web.Response(status=204)

    def _change(self, account: Account, password: str) -> Account:
        self._guard.accounts.add(account.name, password, account.role)
        changed = self._guard.accounts.find(account.name)
        assert changed is not None
        return changed

    # Second factors

    async def _accounts(self, request: web.Request) -> web.StreamResponse:
        """Everybody, and who has a second factor."""
        found = await asyncio.to_thread(self._guard.accounts.all)
        return web.json_response(
            [
                {"name": one.name, "role": one.role, "second_factor": self._factors.left(one.name) is not None}
                for one in found
            ]
        )

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        """A secret to scan or type into an authenticator program. It counts from its first code on."""
        document = await asking.document(request, "password")
        _, account = self._guard.account(request)
        await self.prove(request, account, document, "password")
        if self._factors.left(account.name) is not None:
            raise Refusal(409, "there is a second factor already: switch it off first", code="factor-there")
        secret = self._factors.begin(account.name)
        uri = second_factor.uri(secret, account.name, self._issuer)
        drawn = segno.make(uri, error="m", micro=False).svg_data_uri(scale=QR_SCALE, dark="#000", light="#fff")
        return web.json_response({"secret": secret, "uri": uri, "qr": drawn})

    async def _confirm(self, request: web.Request) -> web.StreamResponse:
        """The first code: from now on there is one. Answers with recovery codes, which nobody sees again."""
        document = await asking.document(request, "code")
        token, account = self._guard.account(request)
        code = text(document, "code", CODE_MAX)
        recovery = await asyncio.to_thread(self._factors.confirm, account.name, code)
        if recovery is None:
            raise Refusal(403, "that is no code of the secret that was shown", code="factor-code")
        await asyncio.to_thread(self._guard.sessions.end_all, account.name, token)
        self._enter(request, FACTOR_ON, account, account.name)
        return web.json_response({"recovery": recovery})

    async def _remove(self, request: web.Request) -> web.StreamResponse:
        """The own one; it needs a code of it, or a recovery code."""
        document = await asking.document(request, "password", "code")
        _, account = self._guard.account(request)
        await self.prove(request, account, document, "password")
        await self._login.prove_code(request, account.name, document, status=403)
        await asyncio.to_thread(self._factors.remove, account.name)
        self._enter(request, FACTOR_OFF, account, account.name)
        return web.Response(status=204)

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        """Somebody else's, who has lost it, and perhaps more than that: their sessions end."""
        document = await asking.document(request, "name")
        _, account = self._guard.account(request)
        name = text(document, "name", NAME_MAX)
        if name == account.name:
            raise Refusal(409, "switch your own off with its code", code="factor-own")
        if not await asyncio.to_thread(self._factors.remove, name):
            raise Refusal(409, "that account has no second factor", code="factor-none")
        await asyncio.to_thread(self._guard.sessions.end_all, name)
        self._enter(request, FACTOR_RESET, account, name)
        return web.Response(status=204)

    async def prove(self, request: web.Request, account: Account, document: dict[str, Any], key: str) -> None:
        """That it is really this person who asks, not somebody at an unlocked screen. Raises Refusal."""
        if not account.name:
            raise Refusal(409, "nobody logs in here: there is no account", code="no-accounts")
        if await self._login.proven(request, account.name, password_in(document, key)) is None:
            raise Refusal(403, "that is not the password", code="password-wrong")

    def _enter(self, request: web.Request, what: str, account: Account, whose: str) -> None:
        """`whose`: written down if it is somebody else's."""
        by = account.name or ANYBODY
        self._audit.enter(what if whose == account.name else f"{what} of {whose}", by, self._guard.address(request))


def _shown(one: Shown, here: str) -> dict[str, Any]:
    times = {f"{key}_ms": round(getattr(one, f"{key}_s") * 1000) for key in ("since", "seen", "until")}
    name = {"name": one.name or ANYBODY}
    return {"id": one.id, **name, **times, "from": one.address, "browser": one.browser, "here": one.id == here}
