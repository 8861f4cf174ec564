"""`python -m desk` as a process: when it refuses to start, what it leaves behind when it is killed."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cli_probe import COMMAND, run_sim
from column_probe import need
from desk_rig import NOBODY, PASSWORD, WAIT_S, Speaker, add_account, wait_for

from desk import account_command, command
from desk.broker_options import SetupError
from desk.command import parse
from sim.real.flash_image import PROJECT
from sim.servers.authority import Authority
from sim.servers.broker import Broker, Mosquitto, Tls

EXIT_USAGE = 2


class Process:
    """The desk; `url` is what it says that it listens on."""

    def __init__(self, folder: Path, broker: Broker | None, *arguments: str) -> None:
        where = f"{broker.host}:{broker.port}" if broker else NOBODY
        given = ["desk", "--broker", where, "--folder", str(folder), "--listen", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(
            [*COMMAND, *given], cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        watchdog = threading.Timer(WAIT_S, self.process.kill)
        watchdog.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        watchdog.cancel()
        assert line, f"it ended with {self.process.wait(WAIT_S)} before it listened"
        said = json.loads(line)
        assert said["event"] == "desk"
        url, _, link = said["url"].partition("enter?")
        self.url, self.cookie = url.rstrip("/"), ""
        if link:  # a desk without accounts
            self.cookie = self.ask("GET", f"/enter?{link}")[2].partition(";")[0]

    def ask(self, method: str, path: str, document: Any = None, cookie: str = "") -> tuple[int, Any, str]:
        """(status, document or text, the cookie that was set) of a request, as the desk's own page makes it."""
        url = self.url.replace("//0.0.0.0", "//127.0.0.1")
        headers = {"Cookie": cookie or self.cookie, **({"Origin": url} if method == "POST" else {})}

        async def ask() -> tuple[int, Any, str]:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as browser,
                browser.request(method, url + path, json=document, headers=headers, allow_redirects=False) as response,
            ):
                return response.status, await response.text(), response.headers.get("Set-Cookie", "")

        status, body, cookie = asyncio.run(asyncio.wait_for(ask(), WAIT_S))
        return status, json.loads(body) if body.startswith(("{", "[")) else body, cookie

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


@contextmanager
def desk(folder: Path, broker: Broker | None, *arguments: str) -> Iterator[Process]:
    running = Process(folder, broker, *arguments)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def refused(folder: Path, *arguments: str) -> str:
    """Why it does not start."""
    ended = run_sim("desk", "--broker", NOBODY, "--folder", str(folder), *arguments)
    assert (ended.returncode, ended.stdout) == (EXIT_USAGE, "")
    return ended.stderr


# -- whom it lets in from outside


def test_it_is_not_open_to_others_without_accounts_and_encryption(tmp_path: Path) -> None:
    for outside in ("0.0.0.0:0", "[::]:0", "192.0.2.7:8080", "desk.example:8080"):
        assert "account add" in refused(tmp_path, "--listen", outside)
    add_account(tmp_path, "chief", "chief")
    why = refused(tmp_path, "--listen", "0.0.0.0:0")
    assert "--tls-cert" in why and "--insecure-http" in why


def test_a_desk_that_opens_itself_to_others_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same refusal, in this process, with the look at the address taken away."""
    arguments = parse(["--broker", NOBODY, "--folder", str(tmp_path), "--listen", "0.0.0.0:0"])
    with pytest.raises(SetupError, match="account add"):
        command._guard(arguments, tmp_path)
    monkeypatch.setattr(command, "is_loopback", lambda host: True)
    assert not command._guard(arguments, tmp_path).required


def test_with_both_it_is_open_to_who_logs_in(tmp_path: Path) -> None:
    identity = Authority(tmp_path / "ca").server()
    add_account(tmp_path, "chief", "chief")
    tls = ("--tls-cert", str(identity.cert), "--tls-key", str(identity.key))
    with desk(tmp_path, None, "--listen", "0.0.0.0:0", *tls) as running:
        assert running.url.startswith("https://0.0.0.0:")
        assert running.ask("GET", "/api/incidents")[0] == 401
        status, _, cookie = running.ask("POST", "/api/login", {"name": "chief", "password": PASSWORD})
        assert status == 204 and "Secure" in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
        token = cookie.partition(";")[0]
        assert running.ask("GET", "/api/incidents", cookie=token)[:2] == (200, [])
        assert running.end() == 0


def test_behind_a_proxy_that_encrypts(tmp_path: Path) -> None:
    add_account(tmp_path, "admin")
    with desk(tmp_path, None, "--listen", "0.0.0.0:0", "--insecure-http") as running:
        assert running.url.startswith("http://") and running.ask("GET", "/api/incidents")[0] == 401


# -- accounts on the command line


def account(folder: Path, *arguments: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "desk", "account", *arguments, "--folder", str(folder)],
        cwd=PROJECT, input=password + "\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_accounts_are_made_listed_and_removed(tmp_path: Path) -> None:
    assert account(tmp_path, "add", "Айгүл").returncode == 0
    assert account(tmp_path, "add", "Ержан", "--role", "auditor").returncode == 0
    assert account(tmp_path, "add", "admin", "--admin").returncode == 0, "as it was said before"
    assert account(tmp_path, "list").stdout == "chief\tadmin\noperator\tАйгүл\nauditor\tЕржан\n"
    assert account(tmp_path, "remove", "Ержан").returncode == 0
    assert account(tmp_path, "remove", "admin").returncode == 0
    assert account(tmp_path, "list").stdout == "operator\tАйгүл\n"
    for wrong in (("remove", "admin"), ("add",), ("add", "<b>")):
        ended = account(tmp_path, *wrong)
        assert ended.returncode == EXIT_USAGE and ended.stderr.startswith("error: ")
    assert "characters" in account(tmp_path, "add", "short", password="short").stderr
    entries = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [(entry["what"], entry["name"]) for entry in entries] == [
        *(("account add, operator", "Айгүл"), ("account add, auditor", "Ержан"), ("account add, chief", "admin")),
        *(("account remove", "Ержан"), ("account remove", "admin")),
    ], "what was refused is no entry"
    assert {entry["from"] for entry in entries} == {f"command line, {account_command._user()}"}


def test_an_account_in_a_folder_of_no_desk_is_told(tmp_path: Path) -> None:
    """A mistyped --folder was made, and listed as a desk without accounts; an account in it lets nobody in. Red
    without the look at the folder, and without the note."""
    for action in (("list",), ("remove", "Ержан"), ("reset-second-factor", "Ержан")):
        ended = account(tmp_path / "mistyped", *action)
        assert ended.returncode == EXIT_USAGE and "there is no such folder" in ended.stderr
        assert not (tmp_path / "mistyped").exists()
    made = account(tmp_path / "new", "add", "Айгүл")
    assert made.returncode == 0 and "no desk has run in" in made.stderr
    (tmp_path / "new" / "register.sqlite").touch()
    assert account(tmp_path / "new", "add", "Ержан").stderr.splitlines() == ["'Ержан' can log in, role: operator"]


def test_the_account_command_says_what_it_did_or_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red for a traceback where somebody ends the question (Ctrl-D), for a name that is refused without the reason,
    for silence, and where a mistyped command is taken for a desk without its --broker."""

    def run(*words: str, password: str = "four long words here") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        status = command.main([*words, "--folder", str(tmp_path), "--lang", "en"])
        return status, capsys.readouterr().err

    assert run("account", "list") == (0, f"no accounts in {tmp_path} yet\n")
    assert run("account", "add", "Ivanova A.")[1].endswith("a letter or digit first and last\n")
    assert "'Ivanova A' can log in, role: operator" in run("account", "add", "Ivanova A")[1]
    assert "'Ivanova A' has a new password, role: operator" in run("account", "add", "Ivanova A")[1]
    assert run("account", "remove", "Ivanova A") == (0, "'Ivanova A' is removed: it opens nothing any more\n")
    assert "there is no command 'acount'" in run("acount", "list")[1]

    def ended(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ended)
    monkeypatch.setattr("sys.stdin", Terminal())
    assert command.main(["account", "add", "A", "--folder", str(tmp_path), "--lang", "en"]) == EXIT_USAGE
    assert capsys.readouterr().err == "error: no password was typed: nothing was changed\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# -- what it does not start with


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--broker", "nowhere"), "HOST:PORT"), (("--broker", "a:b"), "HOST:PORT"),
        (("--listen", "u@h:1"), "HOST:PORT"),
        (("--name", "Desk 1"), "a-z"), (("--tiles", "http://tiles.example/"), "{z}"),
        (("--tiles", "https://t.example/{z}/{x}/{y}.png; script-src *"), "must be"),
        (("--stream-hosts", "a,b c"), "HOST"), (("--cert", "a.pem"), "go together"),
        (("--tls-key", "k"), "go together"),
        (("--user", "desk"), "go together"), (("--cert", "a.pem", "--key", "k"), "--ca"),
        (("--tls-cert", "no.pem", "--tls-key", "no.key"), "--tls-cert no.pem: No such file"),
        (("--ca", "no.pem"), "--ca no.pem: No such file"), (("--ca", __file__), "no certificate in PEM"),
        (("--user", "desk", "--password-file", "no"), "--password-file no: No such file"),
        (("--connect-to", "no"), "error: --connect-to no: No such file"),
        (("--ladder", "no"), "error: --ladder no: No such file"),
        (("--roster", "no"), "error: --roster no: No such file"),
        (("--connect-to", __file__), "test_desk_command.py:1: found"),
        (("--tls-cert", __file__, "--tls-key", __file__), "are no certificate in PEM and its key"),
    ],
)  # fmt: skip
def test_wrong_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str
) -> None:
    given = ["--broker", NOBODY, "--folder", str(tmp_path), *arguments]
    try:
        status = command.main(given)
    except SystemExit as ended:  # argparse's own
        status = int(str(ended.code))
    assert status == EXIT_USAGE and why in capsys.readouterr().err


def test_a_folder_and_a_port_have_one_desk(tmp_path: Path) -> None:
    with desk(tmp_path / "one", None) as running:
        assert "another desk" in refused(tmp_path / "one", "--listen", "127.0.0.1:0")
        taken = running.url.rpartition(":")[2]
        why = refused(tmp_path / "two", "--listen", f"127.0.0.1:{taken}")
        assert f"--listen 127.0.0.1:{taken}: address already in use" in why.lower()
        assert running.end(signal.SIGINT) == 0
    with desk(tmp_path / "one", None) as again:
        assert again.ask("GET", "/api/me")[0] == 200


def test_what_the_desk_keeps_is_for_its_owner_only(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Whatever the shell that starts it leaves open."""
    request.addfinalizer(partial(os.umask, os.umask(0)))
    folder = tmp_path / "desk"
    with desk(folder, None):
        assert folder.stat().st_mode & 0o077 == 0
        for path in folder.iterdir():
            assert path.stat().st_mode & 0o077 == 0, path.name


# -- with a broker


@pytest.mark.mosquitto
def test_a_killed_desk_loses_nothing(tmp_path: Path) -> None:
    need("mosquitto")
    with Mosquitto() as broker:
        street = Speaker(broker)
        with desk(tmp_path, broker) as first:
            _until_connected(first)  # nothing is kept for it before its first subscription
            incident_id = street.press()
            street.hears("ack", id=incident_id, state="received")
            assert first.ask("POST", f"/api/incidents/{incident_id}/accept", {"by": "operator 4"})[0] == 200
            street.hears("ack", id=incident_id, state="accepted")
            first.end(signal.SIGKILL)
        missed = street.press(number=4)  # while nobody is there
        with desk(tmp_path, broker) as second:
            street.hears("ack", id=missed, state="received")
            (newest, oldest) = second.ask("GET", "/api/incidents?state=open")[1]
            assert (oldest["id"], oldest["state"], oldest["by"]) == (incident_id, "accepted", "operator 4")
            assert (newest["id"], newest["state"]) == (missed, "received")
            assert second.ask("POST", f"/api/incidents/{incident_id}/close", {"outcome": "help-given"})[0] == 200
            street.hears("ack", id=incident_id, state="closed")
        street.close()


@pytest.mark.mosquitto
def test_a_broker_that_wants_certificates_or_a_password(tmp_path: Path) -> None:
    need("mosquitto")
    authority = Authority(tmp_path / "ca")
    mine = authority.client("desk-1")
    tls = ("--ca", str(mine.ca), "--cert", str(mine.cert), "--key", str(mine.key))
    with Mosquitto(tls=Tls(authority)) as broker, desk(tmp_path / "tls", broker, *tls) as running:
        _until_connected(running)
    secret = tmp_path / "secret"
    secret.write_text("pass word\n")
    user = ("--user", "desk", "--password-file", str(secret))
    with Mosquitto(users={"desk": "pass word"}) as broker, desk(tmp_path / "user", broker, *user) as running:
        _until_connected(running)


def _until_connected(running: Process) -> None:
    wait_for(lambda: running.ask("GET", "/api/config")[1]["broker"], "the desk has a broker")


def test_it_ends_with_browsers_watching(tmp_path: Path) -> None:
    with desk(tmp_path, None) as running:
        headers = {"Origin": running.url, "Cookie": running.cookie}

        async def watch() -> int:
            async with (
                aiohttp.ClientSession() as browser,
                browser.ws_connect(running.url + "/api/feed", headers=headers) as feed,
            ):
                await feed.receive()
                os.kill(running.process.pid, signal.SIGTERM)
                while (await feed.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
                return feed.close_code or 0

        assert asyncio.run(asyncio.wait_for(watch(), WAIT_S)) == 1012
        assert running.process.wait(WAIT_S) == 0


def test_the_command_line_names_it() -> None:
    assert "the control centre's desk" in run_sim("--help").stdout
    assert "--stream-hosts" in run_sim("desk", "--help").stdout
