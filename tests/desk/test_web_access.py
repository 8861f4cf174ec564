"""Access: the sessions that there are and who may end them, and a new password."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from desk_rig import PASSWORD, DeskRig, add_account, audited

from desk.web.accounts import Account, Accounts
from desk.web.roles import ROLES
from desk.web.sessions import COOKIE, VALID_S, Sessions, _seal

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
NEW = "staple correct horse"


@pytest.fixture
def desk(folder: Path) -> Iterator[DeskRig]:
    for role in ROLES:
        add_account(folder, role, role)
    rig = DeskRig(folder, None, "--trusted-proxy", "127.0.0.1")
    yield rig
    rig.close()


class Browser:
    """One of a person's, with a cookie of its own."""

    def __init__(self, desk: DeskRig, name: str, address: str = "203.0.113.7", agent: str = FIREFOX) -> None:
        self._desk, self._cookie = desk, "a=b"
        given = {"X-Forwarded-For": address, "User-Agent": agent}
        answer = self.post("/api/login", {"name": name, "password": PASSWORD}, given)
        assert answer.status == 204, answer.body
        found: SimpleCookie = SimpleCookie()
        for line in answer.headers.getall("Set-Cookie"):
            found.load(line)
        self.token = found[COOKIE].value
        self._cookie = f"{COOKIE}={self.token}"
        desk.forget()  # the rig's own browser shall add nothing to it

    def post(self, path: str, document: Any = None, headers: dict[str, str] | None = None) -> Any:
        return self._desk.post(path, document, {"Cookie": self._cookie, **(headers or {})})

    def sessions(self) -> list[dict[str, Any]]:
        return list(self._desk.get("/api/sessions", {"Cookie": self._cookie}).json)

    @property
    def own(self) -> dict[str, Any]:
        return next(one for one in self.sessions() if one["here"])

    @property
    def is_in(self) -> bool:
        return self._desk.get("/api/me", {"Cookie": self._cookie}).json["name"] is not None


def audit(folder: Path) -> list[tuple[str, str]]:
    return [(line["what"], line["name"]) for line in audited(folder) if line["what"] != "login"]


def test_a_person_sees_the_own_sessions_and_ends_one_or_all_others(desk: DeskRig, folder: Path) -> None:
    first, second, third = (Browser(desk, "operator", f"203.0.113.{n}") for n in (1, 2, 3))
    Browser(desk, "chief")
    found = first.sessions()
    assert {one["name"] for one in found} == {"operator"} and len(found) == 3
    assert {one["from"] for one in found} == {"203.0.113.1", "203.0.113.2", "203.0.113.3"}
    assert all(one["browser"] == FIREFOX and one["until_ms"] - one["since_ms"] == VALID_S * 1000 for one in found)
    assert [one["here"] for one in found].count(True) == 1 and first.own["from"] == "203.0.113.1"
    assert first.post(f"/api/sessions/{second.own['id']}/end").status == 204
    assert (first.is_in, second.is_in, third.is_in) == (True, False, True)
    assert first.post("/api/sessions/made-up/end").json["code"] == "no-session"
    assert first.post("/api/sessions/end").status == 204
    assert (first.is_in, third.is_in) == (True, False)
    assert first.post(f"/api/sessions/{first.own['id']}/end").status == 204 and not first.is_in
    assert [what for what, _ in audit(folder)] == ["session ended", "sessions ended", "session ended"]


def test_a_chief_ends_anyones_and_others_do_not(desk: DeskRig, folder: Path) -> None:
    """Red when access.py does not ask the table of roles."""
    operator, chief, auditor = (Browser(desk, name) for name in ("operator", "chief", "auditor"))
    other = Browser(desk, "operator")
    assert operator.post(f"/api/sessions/{chief.own['id']}/end").status == 404, "it is not even there for them"
    assert operator.post("/api/sessions/end", {"name": "chief"}).json["code"] == "role-chief"
    assert len(auditor.sessions()) == len(chief.sessions()) == 4 and len(operator.sessions()) == 2
    assert auditor.post(f"/api/sessions/{other.own['id']}/end").json["code"] == "role-auditor"
    assert chief.post(f"/api/sessions/{other.own['id']}/end").status == 204
    assert (operator.is_in, other.is_in) == (True, False)
    assert chief.post("/api/sessions/end", {"name": "operator"}).status == 204
    assert (operator.is_in, chief.is_in, auditor.is_in) == (False, True, True)
    assert audit(folder) == [("session ended of operator", "chief"), ("sessions ended of operator", "chief")]


def test_a_new_password_ends_the_other_sessions_and_not_this_one(desk: DeskRig, folder: Path) -> None:
    """Red when this session is not sealed anew, or the change asks for no password."""
    here, elsewhere = Browser(desk, "operator"), Browser(desk, "operator")
    for document, code in (
        ({"old": "wrong horse battery", "new": NEW}, "password-wrong"),
        ({"old": PASSWORD, "new": "short"}, "password-short"),
        ({"new": NEW}, "login-password"), ({"old": PASSWORD, "new": "a\0" * 10}, "login-password"),
    ):  # fmt: skip
        assert here.post("/api/password", document).json["code"] == code
    assert elsewhere.is_in
    assert here.post("/api/password", {"old": PASSWORD, "new": NEW}).status == 204
    assert (here.is_in, elsewhere.is_in) == (True, False) and len(here.sessions()) == 1
    account = Accounts(folder).check("operator", NEW)
    assert account is not None and account.role == "operator"
    assert audit(folder) == [("wrong password", "operator"), ("new password", "operator")]


def test_wrong_passwords_are_counted_as_wrong_logins_are(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an unlocked screen would be a place to guess in. Red when `prove` asks the accounts by itself."""
    here = Browser(desk, "operator")
    monkeypatch.setattr("desk.web.sessions.DELAY_S", 100.0)
    tries = [here.post("/api/password", {"old": f"wrong horse {n}", "new": NEW}).status for n in range(7)]
    assert tries[:5] == [403] * 5 and tries[-1] == 429


def test_sessions_are_the_same_after_a_restart_also_those_of_a_desk_of_before(folder: Path) -> None:
    add_account(folder, "operator")
    accounts = Accounts(folder)
    account = accounts.find("operator")
    assert account is not None
    token = Sessions(folder, accounts, lambda: 1000.0).open(account, "203.0.113.7", FIREFOX + "x" * 300)
    (again,) = Sessions(folder, accounts, lambda: 1000.0).all()
    assert (again.since_s, again.address, again.browser[: len(FIREFOX)]) == (1000.0, "203.0.113.7", FIREFOX)
    assert len(again.browser) == 200 and token not in (folder / "sessions.json").read_text()
    old = [account.name, _seal(account), 2000.0 + VALID_S]
    (folder / "sessions.json").write_text(json.dumps({hashlib.sha256(b"old").hexdigest(): old}))
    sessions = Sessions(folder, accounts, lambda: 2000.0)
    assert isinstance(sessions.find("old"), Account)
    assert [(one.since_s, one.address) for one in sessions.all()] == [(2000.0, "")]


def test_what_a_browser_calls_itself_is_shown_without_tricks(desk: DeskRig) -> None:
    here = Browser(desk, "operator", agent="a\u202eb<b>")
    assert here.own["browser"].endswith("b<b>") and "\u202e" not in here.own["browser"]


def test_without_accounts_there_is_no_password_to_change(folder: Path) -> None:
    rig = DeskRig(folder, None)
    try:
        assert [one["here"] for one in rig.get("/api/sessions").json] == [True]
        assert rig.post("/api/password", {"old": PASSWORD, "new": NEW}).json["code"] == "no-accounts"
    finally:
        rig.close()
