"""What a request is refused with, and what a request's texts and numbers may be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

JSON_MAX_BYTES = 8192
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NUMBER = re.compile(r"[0-9]{1,15}")


class Refusal(Exception):
    """Answered as JSON, {"error": text, "code": code, "values": values}. `headers`: further ones of the answer.

    The page shows `refusal.CODE` of its words, filled with the values; for a `code` of "" the text, which is English.
    """

    def __init__(
        self, status: int, text: str, headers: Mapping[str, str] | None = None, *, code: str = "", **values: str | int
    ) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, dict(headers or {})
        self.code, self.values = code, values

    @property
    def document(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"error": self.text, "code": self.code, "values": self.values}


def parse_object(body: bytes, keys: tuple[str, ...]) -> dict[str, Any]:
    """A JSON object with some of these keys and no others; an empty body is an empty object. Raises Refusal."""
    if len(body) > JSON_MAX_BYTES:
        raise Refusal(413, f"the body has {len(body)} bytes, at most {JSON_MAX_BYTES} are read")
    try:
        document = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(document, dict):
        raise Refusal(400, "the body must be a JSON object")
    for key in document:
        if key not in keys:
            raise Refusal(400, f"unknown key {key[:40]!r}; known: {', '.join(keys) or 'none'}")
    return document


def text(document: Mapping[str, Any], key: str, most: int, *, default: str | None = None, lines: bool = False) -> str:
    """A string of at most `most` characters, without control characters; `lines`: line breaks and tabs are allowed.

    Without a `default` it must be there and not blank. Raises Refusal.
    """
    value = document.get(key, default)
    if not isinstance(value, str):
        raise Refusal(400, f"{key}: must be a string")
    if len(value) > most:
        why = f"{key}: has {len(value)} characters, at most {most} are allowed"
        raise Refusal(400, why, code="text-long", n=len(value), most=most)
    if _CONTROLS.search(value) or (not lines and ("\n" in value or "\t" in value)):
        raise Refusal(400, f"{key}: has control characters", code="text-controls")
    if default is None and not value.strip():
        raise Refusal(400, f"{key}: must not be empty", code="text-empty")
    return value.strip()


def plain(value: str) -> str:
    """What somebody else wrote, without control characters."""
    return _CONTROLS.sub("", value).replace("\n", " ").replace("\t", " ").strip()


def flag(document: Mapping[str, Any], key: str, *, default: bool | None = None) -> bool:
    """True or false; without a `default` it must be there. Raises Refusal."""
    value = document.get(key, default)
    if not isinstance(value, bool):
        raise Refusal(400, f"{key}: must be true or false")
    return value


def number(value: str, key: str, most: int) -> int:
    """A decimal number from 0 to `most`. Raises Refusal."""
    if not _NUMBER.fullmatch(value) or int(value) > most:
        raise Refusal(400, f"{key}: must be a whole number from 0 to {most}", code="number")
    return int(value)


def one_of(value: str, key: str, allowed: tuple[str, ...]) -> str:
    """One of the words. Raises Refusal."""
    if value not in allowed:
        raise Refusal(400, f"{key}: must be one of {', '.join(allowed)}")
    return value
