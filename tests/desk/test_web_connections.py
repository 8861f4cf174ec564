"""Connections on which nobody says anything: they keep nobody out, they end, and the log does not grow with them."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from desk_rig import NOBODY, PASSWORD, WAIT_S, DeskRig, add_account, wait_for

from desk.web import listener
from sim.servers.authority import Authority

NAME = "admin"
IDLE = 5000
MOST_S = 10.0  # for TLS and a first request
LEFT = 900  # files for everything else in this process
OPENS_S = 1.0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DeskRig]:
    add_account(tmp_path / "desk", NAME)
    rig = DeskRig(tmp_path / "desk", None)
    yield rig
    rig.close()


FEW_FILES = """
import resource, sys
from desk import command
from desk.web import listener
resource.setrlimit(resource.RLIMIT_NOFILE, (listener.FILES_MAX, listener.FILES_MAX))
listener.SPEAK_S = 600.0
sys.exit(command.main(sys.argv[1:]))
"""


@contextlib.contextmanager
def desk_with_few_files(folder: Path) -> Iterator[str]:
    """Where a desk listens that may not have more files than the unit gives it, and ends nobody for his silence. What
    it logs is in `folder`/log."""
    given = ["--broker", NOBODY, "--folder", str(folder), "--listen", "127.0.0.1:0"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([sys.executable, "-c", FEW_FILES, *given], stdout=subprocess.PIPE, stderr=log) as process,
    ):
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"].rstrip("/")
        finally:
            process.kill()


def asks(origin: str, path: str, document: dict[str, str] | None = None, cookie: str = "") -> tuple[int, str]:
    """(status, the cookie that was set) of a request on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=WAIT_S)
    headers = {"Cookie": cookie, "Origin": origin, "Content-Type": "application/json"}
    connection.request("POST" if document else "GET", path, json.dumps(document) if document else None, headers)
    with contextlib.closing(connection), connection.getresponse() as answer:
        answer.read()
        return answer.status, (answer.getheader("Set-Cookie") or "").partition(";")[0]


@contextlib.contextmanager
def idle(origin: str, number: int) -> Iterator[list[socket.socket]]:
    """So many connections, as far as this machine's limit goes, on which nothing is said. So few that all of them may
    stay would tell nothing."""
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = soft + number if hard == resource.RLIM_INFINITY else min(soft + number, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    address = urlsplit(origin)
    opened: list[socket.socket] = []
    try:
        for _ in range(min(number, wanted - LEFT)):
            opened.append(socket.create_connection((address.hostname or "", address.port or 0), 10))
        assert len(opened) >= min(number, 2 * listener.STRANGERS_MAX), "this machine's limit of open files is too low"
        yield opened
    finally:
        for one in opened:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def has_ended(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return not one.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.alone
def test_idle_connections_keep_nobody_out(tmp_path: Path) -> None:
    """Red without the end of the oldest (`_cut_oldest`): then only SPEAK_S would end them, which is far away here, and
    the desk has no files left after a thousand. Red, too, by its log, where it accepts a burst without a pause in which
    what was cut is closed."""
    add_account(tmp_path, NAME)
    with desk_with_few_files(tmp_path) as origin, idle(origin, IDLE) as opened:
        kept = listener.STRANGERS_MAX
        wait_for(lambda: all(map(has_ended, opened[:-kept])), "all but the newest to be ended")
        began_s = time.monotonic()
        assert asks(origin, "/")[0] == asks(origin, "/static/js/main.js")[0] == 200
        took_s = time.monotonic() - began_s
        status, cookie = asks(origin, "/api/login", {"name": NAME, "password": PASSWORD})
        assert status == 204 and asks(origin, "/api/incidents", cookie=cookie)[0] == 200
    logged = (tmp_path / "log").read_text().splitlines()
    assert took_s < OPENS_S and len(logged) <= 2, logged


def test_who_is_logged_in_is_not_ended_for_strangers(desk: DeskRig) -> None:
    desk.log_in(NAME, PASSWORD)
    with desk.watch() as feed, idle(desk.origin, 3 * listener.STRANGERS_MAX):
        assert feed.next() and not feed.socket.closed
        assert desk.get("/api/incidents").status == 200 and not feed.socket.closed


def test_few_files_are_shared_out(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where FILES_KEPT is kept whole: of 256 nothing was left, and one connection ended the other."""
    monkeypatch.setattr(listener, "files_allowed", lambda: 256)
    with idle(desk.origin, 50) as opened:
        assert desk.get("/").status == 200 and not any(map(has_ended, opened))


def test_a_connection_on_which_nobody_speaks_ends(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert listener.HANDSHAKE_S <= listener.SPEAK_S <= MOST_S
    assert listener.STRANGERS_MAX + listener.MEMBERS_MAX + listener.FILES_KEPT <= listener.FILES_MAX
    monkeypatch.setattr(listener, "SPEAK_S", 0.2)
    with idle(desk.origin, 2) as (silent, slow):
        slow.sendall(b"GET / HTTP/1.1\r\nHost: x")
        wait_for(lambda: has_ended(silent) and has_ended(slow), "both to be ended")


def test_neither_does_one_without_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_S", 0.2)
    identity = Authority(tmp_path / "ca").server()
    add_account(tmp_path / "desk", NAME)
    rig = DeskRig(tmp_path / "desk", None, "--tls-cert", str(identity.cert), "--tls-key", str(identity.key))
    try:
        with idle(rig.origin, 1) as (silent,):
            wait_for(lambda: has_ended(silent), "it to be ended")
        assert rig.log_in(NAME, PASSWORD).status == 204
    finally:
        rig.close()


def test_a_system_that_gives_no_connection_is_told_once(
    desk: DeskRig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [OSError(24, "Too many open files")] * 5
    accept = desk._loop.sock_accept

    async def fail(ear: socket.socket) -> tuple[socket.socket, object]:
        if failures:
            raise failures.pop()
        return await accept(ear)

    monkeypatch.setattr(desk._loop, "sock_accept", fail)
    with idle(desk.origin, 1):  # the accept that was waiting
        wait_for(lambda: not failures, "the failures")
    assert desk.get("/").status == 200
    said = [record.getMessage() for record in caplog.records if record.name == listener.log.name]
    assert len(said) == 2 and "Too many open files" in said[0] and "again" in said[1]
