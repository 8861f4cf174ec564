"""The desk as a service: examples/desk as it stands, with the real nginx in front; only addresses and files differ."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from column_probe import need, need_here
from desk_rig import NOBODY, PASSWORD, WAIT_S, DeskRig, Speaker, add_account, audited, wait_for
from upkeep_rig import roster_document

from common.ports import HOST, free_port
from desk.command import parse
from desk.web import listener
from desk.web.guard import KNOWN_COOKIE
from desk.web.sessions import COOKIE
from sim.servers.authority import Authority
from sim.servers.broker import Mosquitto
from tools import toolbox

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "desk"
UNIT, SITE = EXAMPLES / "sos-desk.service", EXAMPLES / "nginx.conf"
NAME, SERVER = "chief", "desk.example"
SYSTEMDS_BURST = 5


class Proxy:
    """nginx with the example's site, at `url`, before what listens at `origin`. `changes`: texts of the site, and what
    stands in their place."""

    def __init__(self, folder: Path, origin: str, changes: dict[str, str] | None = None) -> None:
        self.port, identity = free_port(), Authority(folder / "ca").server()
        site = SITE.read_text()
        for old, new in (
            ("listen 443 ssl;", f"listen {HOST}:{self.port} ssl;"),
            ("  listen [::]:443 ssl;\n", ""),
            ("/etc/nginx/desk.pem", str(identity.cert)),
            ("/etc/nginx/desk.key", str(identity.key)),
            ("http://127.0.0.1:8080", origin),
            *(changes or {}).items(),
        ):
            assert site.count(old) == 1, old
            site = site.replace(old, new)
        (folder / "site.conf").write_text(site)
        paths = "".join(f"{name}_temp_path {folder}/{name};" for name in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
        whole = (
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;"
            f"events {{}} http {{ access_log off; {paths} include {folder}/site.conf; }}"
        )
        (folder / "nginx.conf").write_text(whole)
        self.command = [*toolbox.require("nginx"), "-p", str(folder), "-e", str(folder / "error.log"),
                        "-c", str(folder / "nginx.conf")]  # fmt: skip
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)
        self.url = f"https://{SERVER}:{self.port}"

    async def browser(self) -> aiohttp.ClientSession:
        """One that finds the server's name here."""
        connector = aiohttp.TCPConnector(ssl=False, resolver=Here())
        return aiohttp.ClientSession(connector=connector, headers={"Origin": self.url})

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Here(aiohttp.abc.AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[Any]:
        return [{"hostname": host, "host": HOST, "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


@pytest.fixture
def desk(tmp_path: Path, broker: Mosquitto) -> Iterator[DeskRig]:
    add_account(tmp_path / "desk", NAME, "chief")
    rig = DeskRig(tmp_path / "desk", broker, "--trusted-proxy", HOST)
    yield rig
    rig.close()


@pytest.fixture
def proxy(tmp_path: Path, desk: DeskRig) -> Iterator[Proxy]:
    with started(tmp_path, desk.origin) as running:
        yield running


@contextlib.contextmanager
def started(folder: Path, origin: str, changes: dict[str, str] | None = None) -> Iterator[Proxy]:
    need("nginx")
    running = Proxy(folder, origin, changes)
    try:
        wait_for(lambda: answers(running), "nginx")
        yield running
    finally:
        running.close()


def answers(proxy: Proxy) -> bool:
    assert proxy.process.poll() is None, (Path(proxy.command[-1]).parent / "error.log").read_text()
    try:
        return bool(ssl.get_server_certificate((HOST, proxy.port), timeout=1))
    except OSError:
        return False


@pytest.mark.mosquitto
def test_behind_the_real_nginx(proxy: Proxy, desk: DeskRig, broker: Mosquitto, tmp_path: Path) -> None:
    """The page, a login whose cookie stays on https, the feed, a decision; and who came is known by address. While the
    desk is away nginx says so in three languages."""
    street = Speaker(broker)

    async def work() -> None:
        async with await proxy.browser() as browser:
            async with browser.get(proxy.url + "/") as page:
                assert page.status == 200 and "<html" in await page.text()
            async with browser.post(proxy.url + "/api/login", json={"name": NAME, "password": PASSWORD}) as login:
                assert login.status == 204, await login.text()
                assert all(login.cookies[name]["secure"] for name in (COOKIE, KNOWN_COOKIE))
            async with browser.ws_connect(proxy.url + "/api/feed") as feed:
                incident_id = await asyncio.to_thread(street.press)
                while json.loads((await feed.receive(WAIT_S)).data).get("incident", {}).get("id") != incident_id:
                    pass
            async with browser.post(f"{proxy.url}/api/incidents/{incident_id}/accept", json={}) as accept:
                assert accept.status == 200 and (await accept.json())["by"] == NAME
            foreign = {"Origin": "https://evil.example"}
            async with browser.post(f"{proxy.url}/api/logout", json={}, headers=foreign) as refused:
                assert refused.status == 403
            lie = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
            async with browser.post(f"{proxy.url}/api/login", json={"name": "x", "password": "y"}, headers=lie) as no:
                assert no.status == 401

    asyncio.run(asyncio.wait_for(work(), 3 * WAIT_S))
    street.close()

    async def alone() -> None:
        async with await proxy.browser() as browser, browser.get(proxy.url + "/") as away:
            assert away.status == 502 and away.charset == "utf-8" and "Пульт не отвечает" in await away.text()

    desk.close()
    asyncio.run(asyncio.wait_for(alone(), WAIT_S))
    entries = audited(tmp_path / "desk")
    assert [entry["what"] for entry in entries] == ["login", "wrong password"]
    assert {entry["from"] for entry in entries} == {HOST}


@pytest.mark.mosquitto
def test_health_is_told_to_whoever_watches(proxy: Proxy, desk: DeskRig, broker: Mosquitto) -> None:
    async def ask() -> tuple[int, Any]:
        async with await proxy.browser() as browser, browser.get(proxy.url + "/healthz") as answer:
            return answer.status, await answer.json()

    assert asyncio.run(ask()) == (200, {"ok": True, "broker": True, "why": "", "nobody": ""})
    broker.stop()
    wait_for(lambda: not desk.server.desk.duty.connected, "the desk without a broker")
    status, told = asyncio.run(ask())
    assert status == 503 and not told["ok"] and told["why"]


QUICKER = {
    "client_header_timeout 10s;": "client_header_timeout 2s;", "client_body_timeout 10s;": "client_body_timeout 2s;",
    "limit_conn desk_browsers 100;": "limit_conn desk_browsers 2;",
}  # fmt: skip


def test_the_sites_limits_are_in_force(tmp_path: Path) -> None:
    """With less patience and fewer connections than the example has: red where one of the four is not in it, where its
    number is another, and where nginx does not apply it there."""
    assert "client_max_body_size 64k;" in SITE.read_text()
    with started(tmp_path, f"http://{NOBODY}", QUICKER) as proxy, contextlib.ExitStack() as stack:
        trusting = ssl._create_unverified_context()

        def connect(says: str = "") -> ssl.SSLSocket:
            plain = socket.create_connection((HOST, proxy.port), WAIT_S)
            opened = stack.enter_context(trusting.wrap_socket(plain, server_hostname=SERVER))
            opened.sendall(says.format(f"/ HTTP/1.1\r\nHost: {SERVER}\r\nContent-Length:").encode())
            return opened

        assert connect("POST {} 65537\r\n\r\n").recv(12) == b"HTTP/1.1 413"
        silent, *half = connect(), connect("POST {} 65536\r\n\r\nx"), connect("POST {} 2\r\n\r\nx")
        assert connect("GET {} 0\r\n\r\n").recv(12) == b"HTTP/1.1 503", "one too many"
        assert [one.recv(12) for one in (silent, *half)] == [b"", b"", b""], "each is ended"
        assert connect("GET {} 0\r\n\r\n").recv(12) == b"HTTP/1.1 502", "and there is room again"


def test_health_is_broken_when_the_proof_is(tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = DeskRig(tmp_path / "desk", broker)
    try:
        assert rig.get("/healthz").status == 200
        monkeypatch.setattr("desk.line_proof.Proof.returned", lambda self, payload, now_ms: False)
        wait_for(lambda: rig.get("/healthz").status == 503, "a desk that says so")
        assert rig.get("/healthz").json["why"] == "deaf"
    finally:
        rig.close()


def exec_start() -> list[str]:
    lines = UNIT.read_text().replace("\\\n", " ").splitlines()
    (line,) = [line for line in lines if line.startswith("ExecStart=")]
    return line.removeprefix("ExecStart=").split()


def verified(unit: Path) -> tuple[int, str]:
    command = [need_here("systemd-analyze"), "verify", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """With the programs and folders of this machine in place of those that it names."""
    text = UNIT.read_text().replace("/opt/sos/.venv/bin/python", shutil.which("true") or "").replace("/opt/sos", "/tmp")
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("User=sos-desk", "User=root").replace("Group=sos-desk", "Group=root"))
    assert verified(unit) == (0, "")
    unit.write_text(text + "\nNonsense=1\n")  # the control
    assert "Nonsense" in verified(unit)[1]


def unit_file() -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text().replace("\\\n", " "))
    return unit


@pytest.mark.parametrize(("files", "warnings"), [(None, 0), (256, 1)])
def test_the_unit_lets_the_desk_open_what_it_needs(
    files: int | None, warnings: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With 256 files the desk kept one stranger's connection, in silence. Red with such a unit, and with a desk that
    does not say it."""
    allowed = int(unit_file()["Service"]["LimitNOFILE"]) if files is None else files
    monkeypatch.setattr("desk.web.listener.resource.getrlimit", lambda which: (allowed, allowed))

    async def start() -> None:
        ear = listener.Listener(asyncio.Protocol)
        await ear.start(HOST, 0)
        await ear.stop()

    asyncio.run(start())
    said = [f"only {allowed} files may be open, and 900 are needed" in text for text in caplog.messages]
    assert said == [True] * warnings


def test_the_unit_never_gives_up() -> None:
    """systemd's own limit, five starts within ten seconds, left a desk off duty for ever whose disk was full for a
    moment. Red where the unit keeps it."""
    unit = unit_file()
    limit_s, again_s = unit["Unit"].get("StartLimitIntervalSec", "10"), float(unit["Service"]["RestartSec"])
    assert unit["Service"]["Restart"] == "always"
    assert limit_s == "0" or again_s * SYSTEMDS_BURST > float(limit_s)


def test_what_the_unit_starts_is_the_desk(tmp_path: Path, broker: Mosquitto) -> None:
    """Its command line as it stands, but for this machine's files, from the folder that it names."""
    python, *words = exec_start()
    assert python == "/opt/sos/.venv/bin/python" and words[:2] == ["-m", "desk"]
    assert parse(words[2:]).trusted_proxy
    for file in ("centre.password", "ca.pem", "centre.pem", "centre.key", "roster.json", "answer.key", "keys.json"):
        assert f"/etc/sos-desk/{file}" in words
    authority = Authority(tmp_path)
    own = authority.client("centre")
    (tmp_path / "centre.password").write_text("\ufeffsecret\r\n", "utf-8")
    (tmp_path / "roster.json").write_text(json.dumps(roster_document()))
    (tmp_path / "answer.key").write_text(bytes(32).hex())
    (tmp_path / "keys.json").write_text(json.dumps({"v": 1, "columns": {"petropavl-01": bytes(32).hex()}}))
    (tmp_path / "keys.json").chmod(0o600)
    here = {
        "/etc/sos-desk/roster.json": tmp_path / "roster.json", "/etc/sos-desk/answer.key": tmp_path / "answer.key",
        "/etc/sos-desk/keys.json": tmp_path / "keys.json",
        "/etc/sos-desk/centre.password": tmp_path / "centre.password", "/etc/sos-desk/ca.pem": authority.ca_path,
        "/etc/sos-desk/centre.pem": own.cert, "/etc/sos-desk/centre.key": own.key,
        "/var/lib/sos-desk": tmp_path / "desk", "127.0.0.1:8080": f"{HOST}:0", "broker.example:8884": f"{HOST}:1",
    }  # fmt: skip
    command = [str(ROOT / ".venv/bin/python"), *(str(here.get(word, word)) for word in words)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        process.terminate()
        began_s = time.monotonic()
        assert process.wait(WAIT_S) == 0 and time.monotonic() - began_s < WAIT_S
    assert said["event"] == "desk" and said["url"].startswith(f"http://{HOST}:")
