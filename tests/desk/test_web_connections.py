"""Connections on which nobody says anything: they keep nobody out, they end, and the log does not grow with them."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from desk_rig import PASSWORD, DeskRig, add_account, wait_for

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


@contextlib.contextmanager
def idle(rig: DeskRig, number: int) -> Iterator[list[socket.socket]]:
    """So many connections, as far as this machine's limit goes, on which nothing is said. The desk, which is in this
    process too, has reckoned with the limit that there was at its start; so few that all of them may stay would tell
    nothing."""
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = soft + number if hard == resource.RLIM_INFINITY else min(soft + number, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    address = urlsplit(rig.origin)
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
def test_idle_connections_keep_nobody_out(desk: DeskRig, caplog: pytest.LogCaptureFixture) -> None:
    with idle(desk, IDLE) as opened:
        kept = listener.STRANGERS_MAX
        wait_for(lambda: all(map(has_ended, opened[:-kept])), "all but the newest to be ended")
        began_s = time.monotonic()
        assert desk.get("/").status == 200 and desk.get("/static/js/main.js").status == 200
        took_s = time.monotonic() - began_s
        assert desk.log_in(NAME, PASSWORD).status == 204 and desk.get("/api/incidents").status == 200
    assert took_s < OPENS_S and len(caplog.records) <= 2


def test_who_is_logged_in_is_not_ended_for_strangers(desk: DeskRig) -> None:
    desk.log_in(NAME, PASSWORD)
    with desk.watch() as feed, idle(desk, 3 * listener.STRANGERS_MAX):
        assert feed.next() and not feed.socket.closed
        assert desk.get("/api/incidents").status == 200 and not feed.socket.closed


def test_a_connection_on_which_nobody_speaks_ends(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert listener.HANDSHAKE_S <= listener.SPEAK_S <= MOST_S
    assert listener.STRANGERS_MAX + listener.MEMBERS_MAX + listener.FILES_KEPT <= listener.FILES_MAX
    monkeypatch.setattr(listener, "SPEAK_S", 0.2)
    with idle(desk, 2) as (silent, slow):
        slow.sendall(b"GET / HTTP/1.1\r\nHost: x")
        wait_for(lambda: has_ended(silent) and has_ended(slow), "both to be ended")


def test_neither_does_one_without_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_S", 0.2)
    identity = Authority(tmp_path / "ca").server()
    add_account(tmp_path / "desk", NAME)
    rig = DeskRig(tmp_path / "desk", None, "--tls-cert", str(identity.cert), "--tls-key", str(identity.key))
    try:
        with idle(rig, 1) as (silent,):
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
    with idle(desk, 1):  # the accept that was waiting
        wait_for(lambda: not failures, "the failures")
    assert desk.get("/").status == 200
    said = [record.getMessage() for record in caplog.records if record.name == listener.log.name]
    assert len(said) == 2 and "Too many open files" in said[0] and "again" in said[1]
