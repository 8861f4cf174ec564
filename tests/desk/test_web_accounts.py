"""Accounts: who gets in, for how long, and how often somebody may try."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request
from argon2 import PasswordHasher
from desk_rig import PASSWORD, WAIT_S, Answer, DeskRig, add_account, audited, wait_for

from desk.evidence import DESK, Signers
from desk.rollout.alone import alone
from desk.web import retired, roles
from desk.web.accounts import Account, AccountError, Accounts
from desk.web.guard import KNOWN_COOKIE, Guard
from desk.web.key import Key
from desk.web.second_factor import SecondFactors
from desk.web.sessions import COOKIE, SESSIONS_MAX, TRIES, VALID_S, Attempts, Sessions

NAME = "Ерлан 4"
NOBODY = 65534


@pytest.fixture
def desk(folder: Path) -> Iterator[DeskRig]:
    add_account(folder, NAME)
    rig = DeskRig(folder, None)
    yield rig
    rig.close()


def accounts_in(folder: Path) -> Accounts:
    folder.mkdir(exist_ok=True)
    return Accounts(folder)


# -- on the server


PRIVATE = (
    "/api/config", "/api/columns", "/api/incidents", "/api/incidents/a-1-1", "/api/statistics", "/api/export.csv",
    "/api/export.json", "/api/feed", "/api/columns/a/events",
)  # fmt: skip
CHANGES = (
    "/api/incidents/a-1-1/accept", "/api/incidents/a-1-1/dispatch", "/api/incidents/a-1-1/close",
    "/api/incidents/a-1-1/note", "/api/incidents/a-1-1/whep", "/api/columns/a/command",
)  # fmt: skip


def hold_closed(desk: DeskRig, headers: dict[str, str]) -> None:
    for path in PRIVATE:
        assert desk.get(path, headers).status == 401, path
    for path in CHANGES:
        assert desk.post(path, headers=headers).status == 401, path
    assert desk.ask("DELETE", "/api/whep/a", headers={"Origin": desk.origin, **headers}).status == 401
    me: dict[str, Any] = {"name": None, "role": None, "may": [], "accounts": True, "second_factor": None}
    assert desk.get("/api/me", headers).json == me


def test_nothing_is_told_and_nothing_done_before_the_login(desk: DeskRig) -> None:
    assert desk.get("/").status == 200  # the page with the form
    hold_closed(desk, {})
    hold_closed(desk, {"Cookie": f"{COOKIE}=made-up"})


def test_a_desk_that_forgets_to_ask_is_noticed(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast("dict[str, roles.Who]", roles.REQUESTS), "GET /api/columns", roles.ANYBODY)
    with pytest.raises(AssertionError):
        hold_closed(desk, {})


def cookie(answer: Answer) -> SimpleCookie:
    found = SimpleCookie()
    for line in answer.headers.getall("Set-Cookie"):
        found.load(line)
    return found


def test_in_and_out(desk: DeskRig) -> None:
    answer = desk.log_in(NAME)
    assert (answer.status, answer.body) == (204, b"")
    given = cookie(answer)[COOKIE]
    assert given["httponly"] and given["samesite"] == "Strict" and given["path"] == "/"
    assert not given["domain"] and int(given["max-age"]) == VALID_S and len(given.value) >= 43
    me = {"name": NAME, "role": "operator", "may": roles.allowed("operator"), "accounts": True, "second_factor": None}
    assert desk.get("/api/me").json == me
    assert desk.get("/api/incidents").status == 200
    assert desk.post("/api/logout").status == 204
    hold_closed(desk, {})
    hold_closed(desk, {"Cookie": f"{COOKIE}={given.value}"})  # whoever kept it has nothing


def test_the_cookie_stays_on_encrypted_ways_behind_a_proxy_that_encrypts(proxied: DeskRig) -> None:
    document, headers = {"name": NAME, "password": PASSWORD}, {"X-Forwarded-Proto": "https"}
    assert cookie(proxied.post("/api/login", document, headers))[COOKIE]["secure"]


def test_each_login_is_a_session_of_its_own(desk: DeskRig) -> None:
    first, second = (cookie(desk.log_in(NAME))[COOKIE].value for _ in range(2))
    assert first != second
    desk.post("/api/logout")
    assert desk.get("/api/me", {"Cookie": f"{COOKIE}={first}"}).json["name"] == NAME


@pytest.mark.parametrize(
    ("name", "password", "status"),
    [
        (NAME, "wrong horse battery", 401), ("nobody", PASSWORD, 401), (NAME, PASSWORD + " ", 401), (NAME, "", 401),
        (NAME, "x" * 129, 400), ("x" * 33, PASSWORD, 400), ("", PASSWORD, 400), (NAME, "a\0b", 400),
    ],
)  # fmt: skip
def test_who_does_not_get_in(desk: DeskRig, name: str, password: str, status: int) -> None:
    answer = desk.log_in(name, password)
    assert answer.status == status and "Set-Cookie" not in answer.headers
    for document in ({}, {"name": NAME}, {"name": [NAME], "password": PASSWORD}, {"name": NAME, "password": 1}):
        assert desk.post("/api/login", document).status == 400


def test_by_whom_it_was_done_is_who_logged_in_and_nobody_else(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, ...]] = []
    monkeypatch.setattr(desk.server.desk, "incident", lambda incident_id: {"id": incident_id})
    monkeypatch.setattr(desk.server.desk.duty, "accept", lambda *arguments: done.append(arguments))
    desk.log_in(NAME)
    assert desk.post("/api/incidents/a-1-1/accept", {"by": "somebody else"}).status == 200
    assert done == [("a-1-1", NAME)]


def test_only_a_chief_restarts_a_column(desk: DeskRig, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, ...]] = []

    def send(*arguments: str) -> str:
        sent.append(arguments)
        return "c-1"

    monkeypatch.setattr(desk.server.desk.duty, "command", send)
    add_account(folder, "chief", "chief")
    desk.log_in(NAME)
    assert desk.post("/api/columns/a/command", {"cmd": "restart"}).status == 403
    assert desk.post("/api/columns/a/command", {"cmd": "report"}).status == 202
    desk.log_in("chief")
    assert desk.get("/api/me").json["role"] == "chief"
    assert desk.post("/api/columns/a/command", {"cmd": "restart"}).status == 202
    assert sent == [("a", "report", NAME), ("a", "restart", "chief")]


def try_wrong(desk: DeskRig, times: int, headers: dict[str, str] | None = None) -> None:
    for _ in range(times):
        wrong = {"name": NAME, "password": "wrong horse battery"}
        assert desk.post("/api/login", wrong, headers).status == 401


def took_s(desk: DeskRig, status: int = 204, headers: dict[str, str] | None = None) -> float:
    """How long the right password takes."""
    began_s = time.monotonic()
    assert desk.post("/api/login", {"name": NAME, "password": PASSWORD}, headers).status == status
    return time.monotonic() - began_s


SLOW_S = 1.0
WAITING = 40  # what two checks of 0.1 s at once have done in 2 s
SENT_AWAY = 20


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.web.sessions.DELAY_S", SLOW_S)


def test_after_some_wrong_passwords_the_right_one_waits_and_gets_in(desk: DeskRig, slow: None) -> None:
    try_wrong(desk, TRIES)
    assert took_s(desk) >= SLOW_S / 2
    assert took_s(desk) < SLOW_S / 2  # that is forgotten now


def test_a_desk_that_counts_no_tries_is_noticed(desk: DeskRig, slow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attempts, "begin", lambda self, name, address: 0.0)
    with pytest.raises(AssertionError):
        test_after_some_wrong_passwords_the_right_one_waits_and_gets_in(desk, None)


def test_nobody_waits_in_line_for_ever(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.web.sessions.DELAY_S", 100.0)
    try_wrong(desk, TRIES)
    late = desk.log_in(NAME)
    assert late.status == 429 and 0 < int(late.headers["Retry-After"]) <= 100


def test_a_browser_that_was_logged_in_before_does_not_wait_for_what_strangers_try(desk: DeskRig, slow: None) -> None:
    known = {"Cookie": f"{KNOWN_COOKIE}={cookie(desk.log_in(NAME))[KNOWN_COOKIE].value}"}
    stranger = {"Cookie": f"{KNOWN_COOKIE}=made-up"}
    desk.forget()
    try_wrong(desk, TRIES, stranger)
    assert took_s(desk, headers=known) < SLOW_S / 2
    try_wrong(desk, TRIES, known)  # the control: it may not try without end either
    assert took_s(desk, headers=known) >= SLOW_S / 2


def test_too_many_at_once_are_sent_away_and_known_browsers_are_not(
    proxied: DeskRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A right login waited 63 s behind 300 wrong ones. Red with a WAITING_MAX that lets more wait than are checked in
    two seconds, with an AT_ONCE of more than 128 MiB, and where known browsers stand in the strangers' line."""
    known = {"Cookie": f"{KNOWN_COOKIE}={cookie(proxied.log_in(NAME))[KNOWN_COOKIE].value}"}
    proxied.forget()
    begun, over = [], threading.Event()

    def check(accounts: Accounts, name: str, password: str) -> Account | None:
        if password == PASSWORD:
            return accounts.find(name)
        begun.append(name)
        over.wait(WAIT_S)
        return None

    monkeypatch.setattr(Accounts, "check", check)
    wrong = json.dumps({"name": "x", "password": "y"}).encode()
    headers = {"Content-Type": "application/json", "Origin": proxied.origin, "Cookie": "a=b"}
    busy: list[Answer] = []

    async def ask(number: int) -> int:
        address = {"X-Forwarded-For": f"198.51.100.{number}"}
        answer = await proxied._ask("POST", "/api/login", wrong, {**headers, **address})
        busy.extend([answer] * (answer.status == 503))
        return answer.status

    async def all_at_once() -> list[int]:
        return await asyncio.gather(*map(ask, range(WAITING + SENT_AWAY)))

    waiting = asyncio.run_coroutine_threadsafe(all_at_once(), proxied._loop)
    try:
        wait_for(lambda: len(busy) >= SENT_AWAY, "those who are too many to be sent away")
        assert all(answer.headers["Retry-After"] for answer in busy) and len(begun) <= 2
        assert proxied.post("/api/login", {"name": NAME, "password": PASSWORD}, known).status == 204
    finally:
        over.set()
    assert set(waiting.result(WAIT_S)) == {401, 503}


def test_who_came_and_who_tried_is_written_down(desk: DeskRig, folder: Path) -> None:
    try_wrong(desk, 1)
    desk.log_in(NAME)
    desk.post("/api/logout")
    lines = audited(folder)
    assert [line["what"] for line in lines] == ["wrong password", "login", "logout"]
    assert {line["name"] for line in lines} == {NAME} and lines[0]["from"] == "127.0.0.1"
    assert stat.S_IMODE((folder / "audit.log").stat().st_mode) == 0o600


@pytest.fixture
def proxied(folder: Path) -> Iterator[DeskRig]:
    add_account(folder, NAME)
    rig = DeskRig(folder, None, "--trusted-proxy", "127.0.0.1")
    yield rig
    rig.close()


def test_behind_a_proxy_the_tries_of_one_do_not_keep_out_all(proxied: DeskRig, slow: None) -> None:
    for number in range(TRIES):  # what they say of themselves changes nothing: the proxy adds the last one
        try_wrong(proxied, 1, {"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.7"})
    assert took_s(proxied, headers={"X-Forwarded-For": "203.0.113.8"}) < SLOW_S / 2
    proxied.forget()
    assert took_s(proxied, headers={"X-Forwarded-For": "203.0.113.7"}) >= SLOW_S / 2


def test_nobody_is_believed_who_is_no_named_proxy(desk: DeskRig, slow: None) -> None:
    for number in range(TRIES):
        try_wrong(desk, 1, {"X-Forwarded-For": f"198.51.100.{number}"})
    assert took_s(desk, headers={"X-Forwarded-For": "203.0.113.8"}) >= SLOW_S / 2


@pytest.mark.parametrize(
    ("proxies", "nearest", "whose"),
    [
        ("127.0.0.1/32", "127.0.0.1", "203.0.113.7"),  # a proxy on this machine
        ("10.0.0.0/24", "10.0.0.2", "203.0.113.7"),
        ("10.0.0.0/24", "10.0.1.2", "10.0.1.2"),
        ("", "127.0.0.1", "127.0.0.1"),  # no proxy: anybody may write that header
    ],
)
def test_whose_request_it_is(folder: Path, proxies: str, nearest: str, whose: str) -> None:
    accounts = accounts_in(folder)
    trusted = tuple(ip_network(one) for one in proxies.split(",") if one)
    guard = Guard(accounts, Sessions(folder, accounts), Key(folder), True, True, proxies=trusted)
    request = make_mocked_request("POST", "/api/login", {"X-Forwarded-For": "1.2.3.4, 203.0.113.7"})
    assert guard.address(request.clone(remote=nearest)) == whose
    assert guard.address(make_mocked_request("GET", "/").clone(remote=nearest)) == nearest


# -- without accounts


def link(folder: Path) -> str:
    return f"/enter?key={(folder / 'key').read_text().strip()}"


def test_without_accounts_only_the_link_that_was_printed_opens_the_desk(folder: Path) -> None:
    rig = DeskRig(folder, None)
    try:
        me = {"name": "operator", "role": "chief", "accounts": False, "second_factor": None}
        assert rig.get("/api/me").json == {**me, "may": roles.allowed("chief")}
        rig.forget()
        for headers in ({"Cookie": "a=b"}, {"Cookie": f"{COOKIE}=made-up"}):
            for path in PRIVATE:
                assert rig.get(path, headers).status == 401, path
            for path in CHANGES:
                assert rig.post(path, headers=headers).status == 401, path
        for wrong in ("/enter", "/enter?key=", "/enter?key=made-up", link(folder)[:-1]):
            answer = rig.get(wrong, {"Cookie": "a=b"})
            assert answer.status == 303 and "Set-Cookie" not in answer.headers
        right = rig.get(link(folder), {"Cookie": "a=b"})
        assert (right.status, right.headers["Location"]) == (303, "/") and COOKIE in cookie(right)
        assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    finally:
        rig.close()


def test_with_accounts_the_link_opens_nothing(desk: DeskRig, folder: Path) -> None:
    assert "Set-Cookie" not in desk.get(link(folder)).headers
    hold_closed(desk, {})


def test_a_desk_that_is_started_again_knows_its_people(folder: Path) -> None:
    add_account(folder, NAME)
    first = DeskRig(folder, None)
    token = cookie(first.log_in(NAME))[COOKIE].value
    first.close()
    second = DeskRig(folder, None)
    try:
        assert second.get("/api/me", {"Cookie": f"{COOKIE}={token}"}).json["name"] == NAME
    finally:
        second.close()
    stored = (folder / "sessions.json").read_text()
    assert token not in stored  # whoever reads the file is nobody


def test_an_account_made_while_the_desk_runs_closes_it(folder: Path) -> None:
    rig = DeskRig(folder, None)
    try:
        assert rig.get("/api/incidents").status == 200
        add_account(folder, NAME)
        assert rig.get("/api/incidents").status == 401
        (folder / "accounts.json").write_text("{")  # a slip must not open it again
        assert rig.get("/api/incidents").status == 401
    finally:
        rig.close()


# -- accounts by themselves


def test_passwords_are_kept_as_argon2_and_by_their_owner_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.web.accounts.PasswordHasher", PasswordHasher)
    accounts = accounts_in(folder)
    accounts.add(NAME, PASSWORD)
    assert accounts.check(NAME, PASSWORD)
    path = folder / "accounts.json"
    (entry,) = json.loads(path.read_text())
    assert entry["hash"].startswith("$argon2id$v=19$m=65536,t=3,p=4$") and PASSWORD not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [left.name for left in folder.iterdir()] == ["accounts.json"]


@pytest.mark.parametrize(
    "work",
    [
        lambda folder: Accounts(folder).add(NAME, PASSWORD),
        lambda folder: SecondFactors(folder).remove(NAME),
        lambda folder: Signers(folder).public(DESK),
        lambda folder: alone(folder).__enter__(),
    ],
    ids=["accounts", "second-factors", "evidence-keys", "rollout"],
)
def test_what_root_typed_the_desk_can_read(
    work: Callable[[Path], object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`account add`, typed by root, left a file of root's: the running desk knew nobody new and said nothing, and its
    next start was refused. Red where a file of the folder is made by other means than desk/web/files.py."""
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    owner, given = (folder.stat().st_uid, folder.stat().st_gid), []
    monkeypatch.setattr("desk.web.files.os.geteuid", lambda: 0)
    monkeypatch.setattr("desk.web.files.os.fchown", lambda handle, *to: given.append(to))
    work(folder)
    assert len(given) == len(list(folder.iterdir())) == 1 and given == [owner]


def test_a_list_that_cannot_be_read_any_more_is_said_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A desk that goes on with the accounts of before lets nobody new in; it has to say why."""
    accounts = accounts_in(folder)
    accounts.add(NAME, PASSWORD)
    path = folder / "accounts.json"
    path.unlink()
    path.mkdir()  # as good as a file of somebody else's: not even root reads it
    assert [one.name for _ in range(3) for one in accounts.all()] == [NAME] * 3
    (said,) = caplog.messages
    assert said.startswith(f"{path}: ") and "see its owner and mode" in said and "accounts of before" in said
    with pytest.raises(AccountError, match="see its owner and mode"):
        accounts_in(folder)


def test_second_factors_that_cannot_be_read_any_more_are_said_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They went on in silence, as accounts had. Red where it is said at each look, or never."""
    folder.mkdir()
    (path := folder / "second-factors.json").write_text('{"anna": {"secret": "x", "step": 0, "recovery": []}}')
    factors = SecondFactors(folder)
    path.write_text("{")
    assert [factors.left("anna") for _ in range(3)] == [0, 0, 0]
    (said,) = caplog.messages
    assert said.startswith(f"{path}: cannot be read") and said.endswith("the second factors of before go on counting")


def test_a_new_password_and_a_removed_account(folder: Path) -> None:
    accounts = accounts_in(folder)
    accounts.add(NAME, PASSWORD)
    sessions = Sessions(folder, accounts)
    account = accounts.check(NAME, PASSWORD)
    assert account and accounts.check(NAME, PASSWORD + "!") is None
    token = sessions.open(account)
    assert sessions.find(token) == account
    accounts_in(folder).add(NAME, PASSWORD + "!", "chief")  # another process
    assert accounts.check(NAME, PASSWORD) is None and sessions.find(token) is None
    changed = accounts.check(NAME, PASSWORD + "!")
    assert changed and changed.role == "chief"
    token = sessions.open(changed)
    accounts_in(folder).remove(NAME)
    assert sessions.find(token) is None and accounts.all() == []
    with pytest.raises(AccountError, match="no account"):
        accounts.remove(NAME)


def test_a_file_of_accounts_that_was_put_back_lets_nobody_in_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Out of a backup: who was removed, and the password that was changed, count no more; the others do. Red without
    the list of those that are over; and the door is no wider open for it."""
    desk = accounts_in(folder)
    for name in ("leaver", "changer", "stayer"):
        add_account(folder, name)
    file = folder / "accounts.json"
    old = file.read_bytes()
    Accounts(folder).remove("leaver")
    Accounts(folder).add("changer", "another password")
    assert [one.name for one in desk.all()] == ["changer", "stayer"]
    file.write_bytes(old)
    for accounts in (desk, Accounts(folder)):
        for _ in range(3):
            assert [one.name for one in accounts.all()] == ["stayer"]
        assert accounts.check("leaver", PASSWORD) is None and accounts.check("changer", PASSWORD) is None
        assert accounts.check("stayer", PASSWORD) is not None
    said = [one.getMessage() for one in caplog.records if "put back" in one.getMessage()]
    assert len(said) == 2 and all("of changer, leaver;" in one for one in said)
    Accounts(folder).add("changer", "another password")
    assert desk.check("changer", "another password") is not None
    (folder / retired.FILE).write_text("{")
    with pytest.raises(AccountError, match=r"\(no JSON from line 1, column 2 on\); restore it from"):
        Accounts(folder)


def test_a_session_is_over_in_time(folder: Path) -> None:
    now_s = [1000.0]
    accounts = accounts_in(folder)
    accounts.add(NAME, PASSWORD)
    account = accounts.find(NAME)
    assert account
    sessions = Sessions(folder, accounts, lambda: now_s[0])
    token = sessions.open(account)
    now_s[0] += VALID_S - 1
    assert sessions.find(token) == account
    now_s[0] += 1
    assert sessions.find(token) is None
    sessions.open(account)
    assert len(json.loads((folder / "sessions.json").read_text())) == 1  # the old one went


def test_there_is_an_end_to_the_number_of_sessions(folder: Path) -> None:
    """Of one account: 500 logins of one ended those of all. Red without an end, with one for all accounts, and where
    the end comes before that number."""
    accounts = accounts_in(folder)
    for name in (NAME, "other"):
        accounts.add(name, PASSWORD)
    anna, other = map(accounts.find, (NAME, "other"))
    assert anna and other
    sessions = Sessions(folder, accounts)
    others = sessions.open(other)
    tokens = [sessions.open(anna) for _ in range(SESSIONS_MAX + 1)]
    assert [sessions.find(token) is not None for token in tokens] == [False] + [True] * SESSIONS_MAX
    assert sessions.find(others) == other and SESSIONS_MAX <= 20


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a": 1}', '{"a": ["b", "c"]}', "\udcff"])
def test_a_damaged_list_of_sessions_logs_everybody_out(
    folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And says so, once: red where it is silent, and where the next start says it again. What was in it is kept."""
    accounts, file = accounts_in(folder), folder / "sessions.json"
    assert Sessions(folder, accounts).find("a") is None and not caplog.records, "a new desk has none"
    file.write_bytes(damage.encode("utf-8", "surrogateescape"))
    for _ in range(2):
        assert Sessions(folder, accounts).find("a") is None
    (said,) = [one.getMessage() for one in caplog.records]
    assert said.startswith(f"{file}: who was logged in cannot be read: it is damaged; everybody logs in again")
    aside = folder / "sessions.json.damaged"
    assert said.endswith(f"put aside as {aside}") and aside.read_bytes() == damage.encode("utf-8", "surrogateescape")


def test_a_list_of_sessions_that_is_somebody_elses_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder in its place stands for what the system refuses. Red where only damage is told."""
    accounts = accounts_in(folder)
    (folder / "sessions.json").mkdir()
    (folder / "sessions.json.damaged").touch()  # and nothing can be put aside
    assert Sessions(folder, accounts).find("a") is None
    (said,) = [one.getMessage() for one in caplog.records]
    assert said.endswith("cannot be read: Is a directory; everybody logs in again")


@pytest.mark.parametrize("damage", ["", "{", "{}x", '[{"name": "a"}]', "[1]", "7"])
def test_a_damaged_list_of_accounts_is_said_and_no_open_door(folder: Path, damage: str) -> None:
    folder.mkdir()
    (folder / "accounts.json").write_text(damage)
    with pytest.raises(AccountError, match="accounts.json"):
        accounts_in(folder)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 33, "<b>", "a ", " a", "-", 'a"b'])
def test_names_that_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(AccountError, match="name"):
        accounts_in(folder).add(name, PASSWORD)


@pytest.mark.parametrize("password", ["", "nine char", "x" * 129])
def test_passwords_that_are_refused(folder: Path, password: str) -> None:
    with pytest.raises(AccountError, match="characters"):
        accounts_in(folder).add(NAME, password)


def test_a_full_disk_keeps_nobody_from_logging_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red while the session had to be written down first: an operator stood before a call and could not accept it."""

    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    add_account(tmp_path, "anna")
    accounts = Accounts(tmp_path)
    sessions = Sessions(tmp_path, accounts)
    monkeypatch.setattr("desk.web.sessions.replace", full)
    anna = accounts.check("anna", PASSWORD)
    assert anna is not None
    token = sessions.open(anna)
    assert sessions.find(token) == anna
    sessions.close(token)
    assert sessions.find(token) is None
