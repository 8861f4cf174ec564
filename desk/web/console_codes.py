"""The request for a technician's one-time code, which opens the console of a column that asks for one."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from common import console_code
from desk.duty import Duty
from desk.web import asking
from desk.web.refusal import Refusal, text

CHALLENGE_MAX = 32


class ConsoleCodes:
    """`enter`: into the audit log, with who asks. It stands there before the code is told."""

    def __init__(self, duty: Duty, enter: Callable[[web.Request, str], None]) -> None:
        self._duty, self._enter = duty, enter

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [web.post("/api/columns/{device_id}/code", self._code)]

    async def _code(self, request: web.Request) -> web.StreamResponse:
        device_id = asking.device_id(request)
        challenge = text(await asking.document(request, "challenge"), "challenge", CHALLENGE_MAX)
        key = self._duty.column_key(device_id)
        if key is None:
            raise Refusal(409, f"this desk has no key of {device_id}: --column-keys", code="code-keyless")
        try:
            code = console_code.code(key, challenge)
        except ValueError as error:
            raise Refusal(400, f"challenge: {error}", code="code-challenge") from None
        self._enter(request, f"console code of {device_id} for {challenge}")
        return web.json_response({"code": code})
