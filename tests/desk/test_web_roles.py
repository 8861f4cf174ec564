"""Roles: one table says who may do what, every request is in it, and the desk and its page keep to it."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from desk_page_probe import STATIC
from desk_rig import DeskRig, add_account, wait_for

from desk.web import roles
from desk.web.accounts import FILE, AccountError, Accounts
from desk.web.roles import ANYBODY, AUDITOR, CHIEF, MEMBERS, OPERATOR, REQUESTS, ROLES

METHODS = ("GET", "POST", "DELETE")
FILLED = {
    "{incident_id}": "a-1-1", "{device_id}": "a", "{camera}": "c", "{call}": "x", "{n}": "1", "{session}": "x",
    "{rollout}": "none",
}  # fmt: skip
OWN = (
    "POST /api/logout", "POST /api/sessions/{session}/end", "POST /api/sessions/end", "POST /api/password",
    "POST /api/second-factor/begin", "POST /api/second-factor/confirm", "POST /api/second-factor/remove",
)  # fmt: skip
"""What everybody may do to nothing but the own session or account."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DeskRig]:
    for role in ROLES:
        add_account(tmp_path / "desk", role, role)
    rig = DeskRig(tmp_path / "desk", None)
    yield rig
    rig.close()


def requests_of(application: web.Application) -> set[str]:
    """All that it answers, as the table has them."""
    return {
        f"{'GET' if route.method == 'HEAD' else route.method} {route.resource.canonical}"
        for route in application.router.routes()
        if route.resource is not None
    }


def is_request(entry: str) -> bool:
    """Not one thing within a request."""
    return len(entry.split()) == 2


def test_every_request_is_in_the_table_and_nothing_else(desk: DeskRig) -> None:
    """Red when a route is added without saying who may use it, or an entry has no route."""
    application = desk.server.application()
    known = {entry for entry in REQUESTS if is_request(entry)}
    assert requests_of(application) == known and len(known) > 40
    application.router.add_post("/api/new", _nothing)
    assert requests_of(application) - known == {"POST /api/new"}, "the control"
    for entry in REQUESTS.keys() - known:
        assert " ".join(entry.split()[:2]) in known, entry


async def _nothing(request: web.Request) -> web.Response:
    return web.Response()


def test_a_request_that_was_forgotten_in_the_table_is_nobodys(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the guard lets pass what the table does not name."""
    monkeypatch.delitem(cast("dict[str, roles.Who]", REQUESTS), "GET /api/columns")
    assert desk.get("/api/columns").status == 401
    for role in ROLES:
        desk.log_in(role)
        assert desk.get("/api/columns").status == 403


def answered(desk: DeskRig, entry: str) -> tuple[int, str]:
    """Status and code of the request, asked for things that are not there."""
    method, path = entry.split()[:2]
    for key, value in FILLED.items():
        path = path.replace(key, value)
    kind = "application/sdp" if path.endswith("/whep") else "application/json"
    headers = {"Origin": desk.origin, **({"Content-Type": kind} if method != "GET" else {})}
    answer = desk.ask(method, path, None if method == "GET" else b"{}", headers)
    found = json.loads(answer.body) if answer.status >= 400 and answer.body.startswith(b"{") else {}
    return answer.status, found.get("code", "")


ASKED = sorted(
    entry for entry in REQUESTS if is_request(entry) and entry.split()[1] not in ("/api/logout", "/static", "/enter")
)


@pytest.mark.parametrize("role", [roles.STRANGER, *ROLES])
def test_each_role_gets_what_the_table_gives_it_and_is_refused_the_rest(desk: DeskRig, role: str) -> None:
    """Red when the guard does not ask the table."""
    refused = (401, "login-first") if not role else (403, "role-auditor" if role == AUDITOR else "role-chief")
    if role:
        assert desk.log_in(role).status == 204
    for entry in ASKED:
        status, code = answered(desk, entry)
        if role in REQUESTS[entry]:
            assert (status, code) != refused and status != 500, entry
        else:
            assert (status, code) == refused, entry


def test_a_guard_that_does_not_ask_is_noticed(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles, "check", lambda role, request: None)
    with pytest.raises(AssertionError):
        test_each_role_gets_what_the_table_gives_it_and_is_refused_the_rest(desk, AUDITOR)


def test_an_auditor_reads_everything_and_changes_nothing() -> None:
    """By the table; that the desk keeps to it is above. `GET /api/whep/{call}` keeps a picture open: no reading."""
    for entry, who in REQUESTS.items():
        if not is_request(entry) or who == ANYBODY or entry in OWN:
            continue
        reads = entry.startswith("GET ") and entry != "GET /api/whep/{call}"
        assert (AUDITOR in who) == reads, entry
        assert CHIEF in who, entry
        assert not reads or OPERATOR not in who or who == MEMBERS, entry


def test_one_who_may_not_answer_is_nobody_at_the_desk(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the desk would say "somebody is here" while calls wait. Red when server.py does not ask for ATTEND."""
    attendance = desk.server.desk.duty.attendance
    said: list[str] = []
    monkeypatch.setattr(attendance, "came", lambda: said.append("came"))
    monkeypatch.setattr(attendance, "went", lambda: said.append("went"))
    monkeypatch.setattr(attendance, "sign", lambda: said.append("sign"))
    for role, wanted in ((AUDITOR, []), (OPERATOR, ["came", "sign", "went"])):
        desk.log_in(role)
        with desk.watch() as feed:
            assert feed.next()
            desk.run(feed.socket.send_str("here"))
        wait_for(partial(operator.eq, said, wanted), role)


def test_admins_of_before_are_chiefs_and_a_role_that_is_none_is_refused(tmp_path: Path) -> None:
    entry: dict[str, Any] = {"name": "a", "role": "admin", "hash": "x"}
    (tmp_path / FILE).write_text(json.dumps([entry]))
    assert Accounts(tmp_path).all()[0].role == CHIEF
    (tmp_path / FILE).write_text(json.dumps([{**entry, "role": "king"}]))
    with pytest.raises(AccountError, match="king"):
        Accounts(tmp_path)


def test_the_page_asks_for_rights_that_there_are() -> None:
    """A slip there would leave a button dead for everybody."""
    named = set()
    for script in (STATIC / "js").glob("*.js"):
        named |= set(re.findall(rf'"((?:{"|".join(METHODS)}) /[^"]*)"', script.read_text()))
    assert len(named) > 8 and named - REQUESTS.keys() == set()


def test_nobody_compares_roles_beside_the_table() -> None:
    """A second place that knows roles would be a second truth."""
    compared = re.compile(r"role (?:==|!=|in|not in) ")
    for source in (STATIC.parent).glob("*.py"):
        found = compared.findall(source.read_text())
        assert not found or source.name in ("roles.py", "accounts.py"), source.name
    assert compared.search('person.role == "chief"'), "the control"
