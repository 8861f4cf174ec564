"""What the desk refuses: other pages' requests, names that are not its own, bodies and paths that no page sends."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from aiohttp import web
from contract_examples import DOCS
from desk_rig import Answer, DeskRig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desk.web import guard
from desk.web.guard import headers, is_loopback
from desk.web.refusal import Refusal, number, parse_object, text
from desk.web.sessions import COOKIE

POLICY = {
    "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:",
    "connect-src": "'self'", "media-src": "'self' blob: mediastream:", "form-action": "'self'",
    "frame-ancestors": "'none'", "base-uri": "'none'",
}  # fmt: skip
ONE = "/api/incidents/petropavl-01-17-3"
FOREIGN = ("http://evil.example", "https://evil.example", "http://localhost:1", "null", "file://", "http://[::1")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskRig]:
    rig = DeskRig(tmp_path_factory.mktemp("desk"), None)
    yield rig
    rig.close()


# -- what every answer carries


def answers(desk: DeskRig) -> list[Answer]:
    """One of each kind: page, script, API, what is not there, what is refused, what is wrong."""
    return [
        desk.get("/"),
        desk.get("/static/index.html"),
        desk.get("/api/me"),
        desk.get("/api/nothing"),
        desk.get("/nothing"),
        desk.post("/api/login", headers={"Origin": "http://evil.example"}),
        desk.get("/api/incidents?nonsense=1"),
        desk.ask("PUT", "/api/me"),
    ]


def hold_headers(desk: DeskRig) -> None:
    for answer in answers(desk):
        policy = answer.headers.get("Content-Security-Policy", "")
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";") if part.strip())
        assert directives == POLICY
        assert answer.headers.get("X-Content-Type-Options") == "nosniff"
        assert answer.headers.get("Referrer-Policy") == "no-referrer"
        assert answer.headers.get("Cross-Origin-Opener-Policy") == "same-origin"
        assert answer.headers.get("Cross-Origin-Resource-Policy") == "same-origin"
        assert answer.headers.get("X-Frame-Options") == "DENY"
        assert "microphone=(self)" in answer.headers.get("Permissions-Policy", "")
        assert "Access-Control-Allow-Origin" not in answer.headers and "Server" not in answer.headers
    assert desk.get("/api/me").headers["Cache-Control"] == "no-store"


def test_every_answer_tells_browsers_what_to_keep_to(desk: DeskRig) -> None:
    hold_headers(desk)


@pytest.mark.parametrize("name", [*headers(None)])
def test_a_header_that_is_missing_is_noticed(desk: DeskRig, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {key: value for key, value in headers(None).items() if key != name}
    monkeypatch.setattr(guard, "headers", lambda tiles: fewer)
    with pytest.raises(AssertionError):
        hold_headers(desk)


def test_a_looser_policy_is_noticed(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = headers(None)["Content-Security-Policy"]
    loose = policy.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'")
    monkeypatch.setattr(guard, "headers", lambda tiles: {**headers(None), "Content-Security-Policy": loose})
    with pytest.raises(AssertionError):
        hold_headers(desk)


def test_the_maps_tiles_are_let_in_and_nothing_else_with_them() -> None:
    policy = headers("https://tiles.example:8443/{z}/{x}/{y}.png?key=1")["Content-Security-Policy"]
    without = headers(None)["Content-Security-Policy"]
    assert policy == without.replace("data:", "data: https://tiles.example:8443", 1)


# -- other pages in the operator's browser

CHANGES = [
    ("POST", ONE + "/accept"),
    ("POST", ONE + "/dispatch"),
    ("POST", ONE + "/close"),
    ("POST", ONE + "/note"),
    ("POST", ONE + "/whep"),
    ("POST", "/api/columns/petropavl-01/command"),
    ("POST", "/api/login"),
    ("POST", "/api/logout"),
    ("DELETE", "/api/whep/abc"),
]


def hold_other_pages(desk: DeskRig) -> None:
    for method, path in CHANGES:
        sent = {"Content-Type": "application/json"}
        for origin in (*FOREIGN, ""):  # "": none at all
            assert desk.ask(method, path, b"{}", {**sent, "Origin": origin}).status == 403, (path, origin)
        for site in ("cross-site", "same-site"):  # same-site: another port of this machine
            headers = {**sent, "Origin": desk.origin, "Sec-Fetch-Site": site}
            assert desk.ask(method, path, b"{}", headers).status == 403, (path, site)
        own = desk.ask(method, path, b"{}", {**sent, "Origin": desk.origin})
        assert own.status in (204, 400, 401, 404, 409, 415), path
        assert desk.ask(method, path, b"{}", {**sent, "Sec-Fetch-Site": "same-origin"}).status == own.status
    for path in ("/api/incidents", "/api/export.csv", "/api/me"):
        assert desk.get(path, {"Sec-Fetch-Site": "cross-site"}).status == 403
        assert desk.get(path, {"Origin": "http://evil.example"}).status == 403
        assert desk.get(path, {"Sec-Fetch-Site": "none"}).status == 200  # typed by a person


def test_what_changes_something_is_for_the_desks_own_page_only(desk: DeskRig) -> None:
    hold_other_pages(desk)


def test_a_desk_that_believes_any_page_is_noticed(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard.Guard, "_check_origin", lambda self, request: None)
    with pytest.raises(AssertionError):
        hold_other_pages(desk)


def test_a_desk_that_looks_at_the_origin_only_if_there_is_one_is_noticed(
    desk: DeskRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = guard.Guard._check_origin

    def lax(self: guard.Guard, request: web.Request) -> None:
        if "Origin" in request.headers:
            strict(self, request)

    monkeypatch.setattr(guard.Guard, "_check_origin", lax)
    with pytest.raises(AssertionError):
        hold_other_pages(desk)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_of_another_page_is_no_json(desk: DeskRig, kind: str) -> None:
    """A page may send these types to anybody without being asked for leave."""
    for method, path in CHANGES:
        if method == "POST":
            sent = {"Origin": desk.origin, "Content-Type": kind}
            assert desk.ask(method, path, b'{"outcome": "false"}', sent).status == 415, path


# -- by what name the desk is called


def by_name(desk: DeskRig, host: str, path: str = "/api/me", **more: str) -> int:
    return desk.get(path, {"Host": host, **more}).status


def hold_names(desk: DeskRig) -> None:
    port = urlsplit(desk.origin).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"127.0.0.2:{port}"):
        assert by_name(desk, host) == 200, host
    for host in (f"evil.example:{port}", "evil.example", f"127.0.0.1.evil.example:{port}", f"192.168.0.7:{port}"):
        for path in ("/api/me", "/api/incidents", "/"):
            assert by_name(desk, host, path) == 403, host
        # A page of that name would send its own name as its origin, too.
        assert by_name(desk, host, Origin=f"http://{host}") == 403


def test_a_name_that_stands_for_this_machine_is_not_enough(desk: DeskRig) -> None:
    hold_names(desk)


def test_a_desk_that_answers_to_any_name_is_noticed(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard.Guard, "_check_host", lambda self, request: None)
    with pytest.raises(AssertionError):
        hold_names(desk)


@pytest.mark.parametrize("name", guard.PROXIED)
def test_behind_a_proxy_a_desk_without_accounts_serves_nobody(desk: DeskRig, name: str) -> None:
    assert desk.get("/api/me", {name: "203.0.113.7"}).status == 403


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True), ("::1", True), ("localhost", True), ("LOCALHOST", True), ("127.8.9.10", True),
        ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.example", False), ("", False),
        ("127.0.0.1.example", False), ("2130706433", False),
    ],
)  # fmt: skip
def test_which_addresses_only_this_machine_has(host: str, is_one: bool) -> None:
    assert is_loopback(host) is is_one


# -- bodies and paths


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[]", 400), (b"7", 400), (b"{", 400), (b"\xff", 400), (b'{"by": 1}', 400), (b'{"role": "admin"}', 400),
        (b"[" * 8000, 400), (b'{"by": "' + b"x" * 40 + b'"}', 400), (b'{"by": "a\\u0000b"}', 400),
        (b'{"by": "a\\nb"}', 400), (b'{"by": "\\ud800"}', 400), (b'{"by": "\\u202eevil"}', 400),
        (b'{"by": "' + b"x" * 9000 + b'"}', 413), (b"", 404), (b'{"by": "  "}', 404), (b'{"by": "\xd0\x90"}', 404),
    ],
)  # fmt: skip
def test_bodies(desk: DeskRig, body: bytes, status: int) -> None:
    sent = {"Origin": desk.origin, "Content-Type": "application/json"}
    answer = desk.ask("POST", ONE + "/accept", body, sent)
    assert answer.status == status and answer.error


def test_a_body_without_an_end_is_cut_off(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.web.asking.BODY_TIMEOUT_S", 0.2)
    parts = urlsplit(desk.origin)
    who = f"Cookie: {COOKIE}={desk.server.guard.sessions.open(desk.server.guard.sessions.nobody)}\r\n"
    with socket.create_connection((parts.hostname or "", parts.port or 0), 20) as slow:
        head = f"POST {ONE}/accept HTTP/1.1\r\nHost: {parts.netloc}\r\nOrigin: {desk.origin}\r\n{who}"
        slow.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert b" 408 " in slow.recv(1000).split(b"\r\n")[0]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py", "/static//etc/passwd",
        "/static/%2fetc/passwd", "/static/..%5cserver.py", "/static/%00", "/static/", "/static", "/../../etc/passwd",
    ],
)  # fmt: skip
def test_nothing_but_the_page_is_served(desk: DeskRig, path: str) -> None:
    answer = desk.get(path)
    assert answer.status in (400, 403, 404) and b"import" not in answer.body and b"root:" not in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/x{}", "/static/{}", "/public/{}?key={}", "/api/incidents/{}", "/api/incidents.csv?device_id={}",
        "/api/columns/{}/events", "/api/life.csv?month={}", "/api/{}",
    ],
)  # fmt: skip
def test_no_line_end_in_a_request_makes_a_header(desk: DeskRig, path: str) -> None:
    """Red where something of the request stands in a header of the answer as it came, as a file's name may."""
    line = "%0d%0aX-Forged:%201%0d%0a%0d%0a"
    answer = desk.get(path.replace("{}", line))
    assert 200 <= answer.status < 500 and "X-Forged" not in answer.headers and b"X-Forged: 1\r\n" not in answer.body


def test_errors_are_json_that_names_nothing_to_run(desk: DeskRig) -> None:
    answer = desk.get("/api/incidents?%3Cscript%3Ealert(1)%3C/script%3E=1")
    assert answer.status == 400 and answer.headers["Content-Type"].startswith("application/json")
    assert json.loads(answer.body)["error"].startswith("unknown filter")


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["state", "status", "site", "outcome", "device_id", "from_ms", "to_ms", "limit", "x"]),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=40),
)
def test_no_filter_breaks_the_desk(desk: DeskRig, key: str, value: str) -> None:
    assert desk.get(f"/api/incidents?{key}={quote(value)}").status in (200, 400)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda each: json.dumps({"text": each}).encode()))
def test_no_body_breaks_its_reader(body: bytes) -> None:
    try:
        found = text(parse_object(body, ("text",)), "text", 20)
    except Refusal as refusal:
        assert refusal.status in (400, 413)
    else:
        assert 0 < len(found) <= 20 and found.encode()


@pytest.mark.parametrize("value", ["", "-1", "1.5", "1e3", " 1", "１", "9" * 16, "101"])
def test_numbers(value: str) -> None:
    with pytest.raises(Refusal):
        number(value, "limit", 100)
    assert number("100", "limit", 100) == 100


# -- the document


def documented(text: str) -> set[tuple[str, str]]:
    return {(method, path) for method, path in re.findall(r"`(GET|POST|DELETE) (/\S*)`", text)}


def served(desk: DeskRig) -> set[tuple[str, str]]:
    routes = desk.server.application().router.routes()
    known = {(each.method, each.resource.canonical) for each in routes if each.resource and each.method != "HEAD"}
    return {(method, "/static/..." if path == "/static" else path) for method, path in known}


def test_the_document_names_what_is_served(desk: DeskRig) -> None:
    text = (DOCS / "desk-api.md").read_text()
    assert documented(text) == served(desk)
    assert documented(text.replace("`GET /api/feed`", "")) != served(desk)
