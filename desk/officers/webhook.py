"""A POST of JSON to an address of one's own: a pager service, a messenger's gateway, a script.

Any answer of 200 to 299 means that the call was taken. `Idempotency-Key` is the same for a repeat.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from desk.officers import Call, NotTold, Tell

KEYS = {"url": True, "token": False, "timeout_s": False, "ca": False}
TIMEOUT_S = 10
TIMEOUT_MAX_S = 30
ANSWER_MAX_BYTES = 4096


def make(settings: Mapping[str, Any], notes: Path | None) -> Tell:
    """`token` goes out as a bearer's; `ca` is the authority of a certificate that no browser would know."""
    url, timeout_s = settings["url"], settings.get("timeout_s", TIMEOUT_S)
    where = urlsplit(url)
    if where.scheme not in ("http", "https") or not where.hostname:
        raise ValueError("url: must be like https://pager.example/hook")
    if not isinstance(timeout_s, int) or not 1 <= timeout_s <= TIMEOUT_MAX_S:
        raise ValueError(f"timeout_s: found {timeout_s!r}, must be a whole number from 1 to {TIMEOUT_MAX_S}")
    token = settings.get("token", "")
    if not isinstance(token, str) or not token.isascii() or (token and not token.isprintable()):
        raise ValueError("token: must be a text of ASCII characters")
    context = None
    if where.scheme == "https":
        ca = settings.get("ca")
        context = ssl.create_default_context(cafile=str(Path(ca)) if ca else None)
    return lambda call: _post(where, token, timeout_s, context, call)


def _post(where: SplitResult, token: str, timeout_s: float, context: ssl.SSLContext | None, call: Call) -> str:
    connection = _connection(where, timeout_s, context)
    body = json.dumps(call._asdict(), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": call.key}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        try:
            connection.connect()
        except OSError as error:
            raise NotTold(f"no connection to {where.hostname}: {error}") from None
        target = (where.path or "/") + (f"?{where.query}" if where.query else "")
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        said = f"HTTP {answer.status}"
        answer.read(ANSWER_MAX_BYTES)
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise NotTold(said)
    return said


def _connection(where: SplitResult, timeout_s: float, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    assert where.hostname is not None
    if context is not None:
        return http.client.HTTPSConnection(where.hostname, where.port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(where.hostname, where.port, timeout=timeout_s)
