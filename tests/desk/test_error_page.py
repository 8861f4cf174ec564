"""What a browser shows in place of a page is in the reader's language; what a program gets stays JSON."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Iterator
from html import unescape

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from browser_probe import Visitor
from desk_rig import DeskRig
from desk_words import LANGUAGES, words
from playwright.sync_api import expect

from desk.media.trouble import NoStream
from desk.web import error_page
from desk.web.guard import refusals
from desk.web.refusal import Refusal

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
RAISED: dict[str, Exception] = {
    "http.400": web.HTTPBadRequest(), "http.403": web.HTTPForbidden(), "http.404": web.HTTPNotFound(),
    "http.405": web.HTTPMethodNotAllowed("PUT", ["GET"]), "http.413": web.HTTPRequestEntityTooLarge(9, 10),
    "http.429": web.HTTPTooManyRequests(), "http.503": web.HTTPServiceUnavailable(), "http.other": web.HTTPGone(),
    "refusal.failed": RuntimeError("a slip"), "refusal.login-first": Refusal(401, "log in", code="login-first"),
    "refusal.login-wait": Refusal(429, "later", {"Retry-After": "7"}, code="login-wait", n=7),
    "refusal.register-read": sqlite3.OperationalError("x"), "way-failed.timeout": NoStream("timeout", "x"),
}  # fmt: skip


def answered(raised: Exception, accept: str, languages: str) -> web.Response:
    async def handler(request: web.Request) -> web.StreamResponse:
        raise raised

    request = make_mocked_request("GET", "/api/x", {"Accept": accept, "Accept-Language": languages})
    found = asyncio.run(refusals(request, handler))
    assert isinstance(found, web.Response)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", RAISED)
def test_a_browser_shows_why_in_its_language(key: str, language: str) -> None:
    """A page that is not there said "404: Not Found" to everybody. Red for a refusal or a failure that does not pass
    `_answer` in guard.py, and for one that a program, or the page's own request, gets as a page."""
    answer = answered(RAISED[key], BROWSER, f"xx, {language}-KZ;q=0.9, en;q=0.1")
    assert answer.content_type == "text/html" and answer.text is not None
    shown = unescape(re.sub(r"<[^>]+>", "", answer.text.partition("<main")[2]))
    known = str(words(language)[key]).replace("{n}", "7").replace("{status}", "410").partition("{")[0]
    assert known and known in shown and f'lang="{language}"' in answer.text
    assert answer.headers.get("Retry-After") == ("7" if key == "refusal.login-wait" else None)
    other = answered(RAISED[key], "*/*", language)
    assert other.content_type == "application/json" and other.status == answer.status
    assert answer.headers.get("Allow") == ("GET" if key == "http.405" else None)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("de, kk;q=0.4, ru;q=0.5", "ru"),
        ("kk;q=x, ru", "ru"),
        ("*", "en"),
    ],
)
def test_the_first_language_that_the_desk_speaks(accepted: str, language: str) -> None:
    assert error_page.language_of(accepted) == language


def test_what_a_refusal_is_filled_with_stays_text() -> None:
    answer = answered(Refusal(400, "x", code="text-long", n="<img src=x>", most='"'), BROWSER, "ru")
    assert answer.text is not None and "<img" not in answer.text
    data = re.search(r'data-refused="([^"]*)"', answer.text)
    assert data is not None and json.loads(unescape(data[1]))["values"] == {"n": "<img src=x>", "most": '"'}


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskRig]:
    rig = DeskRig(tmp_path_factory.mktemp("desk"), None)
    yield rig
    rig.close()


@pytest.mark.chromium
@pytest.mark.xdist_group("browser")
@pytest.mark.timeout(240)
def test_the_language_that_was_chosen_at_the_desk_goes_before_the_browsers(desk: DeskRig, visitor: Visitor) -> None:
    """Red without its script, and where a script's import is mistyped."""
    visitor.may_say = re.compile("status of 404")
    page = visitor.page(f"{desk.origin}/nothing")
    expect(page.get_by_test_id("refused")).to_have_text(words("en")["http.404"])
    page.evaluate("localStorage.setItem('sos-language', 'kk')")
    page.reload()
    expect(page.get_by_test_id("refused")).to_have_text(words("kk")["http.404"])
    expect(page.locator("html")).to_have_attribute("lang", "kk")
