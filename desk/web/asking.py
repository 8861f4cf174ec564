"""What a request asks for: its query and its body, held against what may be asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from common.sentences import LANGUAGES
from desk.ledger import OUTCOMES
from desk.spoken import reasons
from desk.web.refusal import JSON_MAX_BYTES, Refusal, number, one_of, parse_object

BODY_TIMEOUT_S = 10.0
LIMIT, LIMIT_MAX = 200, 5000
TIME_MAX_MS = 10**14  # in the year 5138
INCIDENT_ID = re.compile(r"[a-z0-9-]{1,32}-[0-9]{1,10}-[0-9]{1,10}")
DEVICE_ID = re.compile(r"[a-z0-9-]{1,32}")

WORDS = {
    "state": ("open", "closed", "all"),
    "status": ("actual", "exercise", "drill"),
    "site": ("public", "school"),
    "outcome": OUTCOMES,
}
NUMBERS = {"from_ms": TIME_MAX_MS, "to_ms": TIME_MAX_MS, "limit": LIMIT_MAX}


FILTERS = (*WORDS, "device_id", *NUMBERS)


def wanted(request: web.Request, *, limit: int = LIMIT, known: tuple[str, ...] = FILTERS) -> dict[str, Any]:
    """The filter in the query; `limit` when it names none. Raises Refusal."""
    found: dict[str, Any] = {}
    for key, value in request.query.items():
        if key in found:
            raise Refusal(400, f"{key}: is there twice")
        if key not in known:
            raise Refusal(400, f"unknown filter {key[:40]!r}; known: {', '.join(known)}")
        if key in WORDS:
            found[key] = one_of(value, key, WORDS[key])
        elif key in NUMBERS:
            found[key] = number(value, key, NUMBERS[key])
        elif not DEVICE_ID.fullmatch(value):
            raise Refusal(400, f"{key}: 1 to 32 of the characters a-z, 0-9 and '-'")
        else:
            found[key] = value
    found.setdefault("limit", limit)
    return found


def in_language(request: web.Request) -> Callable[[str], str]:
    """Turns reasons that have no code into the language in the query, if it names one. Raises Refusal."""
    return reasons(one_of(request.query.get("language", LANGUAGES[0]), "language", LANGUAGES))


def incident_id(request: web.Request) -> str:
    """The incident in the path. Raises Refusal."""
    return _name(request.match_info["incident_id"], "incident", INCIDENT_ID)


def device_id(request: web.Request) -> str:
    """The column in the path. Raises Refusal."""
    return _name(request.match_info["device_id"], "column", DEVICE_ID)


async def document(request: web.Request, *keys: str) -> dict[str, Any]:
    """The JSON object in the body. Another site's page cannot send that type without permission. Raises Refusal."""
    return parse_object(await body(request, "application/json", JSON_MAX_BYTES), keys)


async def body(request: web.Request, content_type: str, most: int) -> bytes:
    """The body, of that type and at most so many bytes. Raises Refusal."""
    if request.content_type != content_type:
        raise Refusal(415, f"the body must be {content_type}")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            found = await request.content.read(most + 1)
            while len(found) <= most and (part := await request.content.read(most + 1 - len(found))):
                found += part
    except TimeoutError:
        why = f"the body did not come in {BODY_TIMEOUT_S:.0f} s"
        raise Refusal(408, why, code="slow-body", n=round(BODY_TIMEOUT_S)) from None
    if len(found) > most:
        raise Refusal(413, f"the body has more than {most} bytes")
    return found


def _name(value: str, key: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(value):
        raise Refusal(404, f"no such {key}")
    return value
