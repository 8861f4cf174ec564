"""What a browser shows where there is no page: a refusal in the reader's language. Programs, the page's own requests
too, get JSON (guard.py). The words are the page's; its script shows them anew in the language that was chosen there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from aiohttp import web

from common.sentences import LANGUAGES, texts
from desk.web.refusal import Refusal

STATIC = Path(__file__).resolve().parent / "static"
TERMS = {"why": "why.", "state": "state-short."}
"""Of a refusal's values those that are the server's terms, as in words.js."""


def is_wanted(request: web.Request) -> bool:
    """Whether a person's browser would show the answer: an address that was typed, a link that was followed."""
    return "text/html" in request.headers.get("Accept", "")


def answer(request: web.Request, refusal: Refusal) -> web.Response:
    """The refusal as a page."""
    language = language_of(request.headers.get("Accept-Language", ""))
    words = texts(STATIC / "i18n", language)
    refused = json.dumps({**refusal.document, "status": refusal.status})
    page = (STATIC / "error.html").read_text("utf-8")
    for name, value in (
        ("language", language),
        ("status", str(refusal.status)),
        ("text", text_of(refusal, words)),
        ("desk", words["wall.desk"]),
        ("refused", refused),
    ):
        page = page.replace(f"[[{name}]]", escape(value))
    headers = {**refusal.headers, "Vary": "Accept, Accept-Language"}
    return web.Response(text=page, content_type="text/html", charset="utf-8", status=refusal.status, headers=headers)


def text_of(refusal: Refusal, known: Mapping[str, Any]) -> str:
    """Why, in the words of one language: its own, else those of its status."""
    said = known.get(f"refusal.{refusal.code}", known.get(f"way-failed.{refusal.code}"))
    if said is None:
        said = known.get(f"http.{refusal.status}", known["http.other"])
    text = str(said)
    for name, value in {**refusal.values, "status": refusal.status}.items():
        text = text.replace(f"{{{name}}}", str(known.get(f"{TERMS[name]}{value}", "")) if name in TERMS else str(value))
    return text


def language_of(accepted: str) -> str:
    """The first that a browser asks for and the desk speaks, as the login page takes it."""
    wishes: list[tuple[float, str]] = []
    for one in accepted.split(","):
        tag, _, weight = one.partition(";q=")
        try:
            wishes.append((-float(weight or 1), tag.strip()[:2].lower()))
        except ValueError:
            continue
    return next((tag for _, tag in sorted(wishes, key=lambda one: one[0]) if tag in LANGUAGES), LANGUAGES[0])
