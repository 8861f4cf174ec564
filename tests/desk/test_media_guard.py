"""Whom the desk calls for a picture and what it tells them: the guard of RTSP addresses, and the relay."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import pytest
from desk_rig import DeskRig
from pillar_rig import wait_until

from common.home import ROOT
from desk.media import hosts, process
from desk.media.gateway import PORTS
from desk.media.hosts import Hosts
from desk.media.relay import BODY_MAX, HEADER_MAX, Relay, Target
from desk.media.source import OPTIONS, read
from desk.media.trouble import NoStream

PASSWORD = "n0b0dy-may-see-this"
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\na=control:track1\r\n"


def refused(hosts: Hosts, address: str) -> str:
    """The code; "" when it may be called."""
    try:
        hosts.allowed(address, PORTS)
    except NoStream as trouble:
        return trouble.code
    return ""


# -- whom


@pytest.mark.parametrize(
    "address",
    [
        "http://cameras.example/x", "rtsps://cameras.example/x", "file:///etc/passwd", "rtsp:///x", "rtsp://",
        "//cameras/x",
        "rtsp://user:password@cameras.example/x", "rtsp://cameras.example:99999/x", "rtsp://[", "rtsp://0.0.0.0/x",
        "rtsp://[::]/x", "rtsp://169.254.169.254/x", "rtsp://224.0.0.1/x", "rtsp://[fe80::1]/x",
        "rtsp://[::ffff:169.254.169.254]/x", "rtsp://[ff02::1]/x", "rtsp://[::ffff:a9fe:a9fe]/x",
        "rtsp://[64:ff9b::a9fe:a9fe]/x", "rtsp://[2002:a9fe:a9fe::]/x", "rtsp://[::169.254.169.254]/x",
        "rtsp://[::ffff:0:169.254.169.254]/x", "rtsp://[fe80::1%25eth0]/x",
        "rtsp://\u2461\u2462\u2463.0.0.1/x", "rtsp://\uff10.\uff10.\uff10.\uff10/x", "rtsp://169\u3002254.169.254/x",
    ],
)  # fmt: skip
def test_addresses_that_no_camera_has(address: str) -> None:
    """Red where an IPv4 address within one of IPv6 is not looked at."""
    assert refused(Hosts(None, local=True), address) == "not-allowed"


def test_stream_hosts_are_all_that_may_be_called() -> None:
    named = Hosts(["cameras.example", "10.0.0.5:8554", "127.0.0.1"], local=False)
    for address in ("rtsp://cameras.example/a", "rtsp://desk@CAMERAS.example:8554/", "rtsp://10.0.0.5:8554/x"):
        assert not refused(named, address), address
    for address in ("rtsp://evil.example/a", "rtsp://10.0.0.5/x", "rtsp://cameras.example.evil.example/"):
        assert refused(named, address) == "not-allowed", address
    assert not refused(named, "rtsp://127.0.0.1:8554/x")  # named, so meant


def test_a_desk_that_others_can_reach_calls_nothing_on_its_own_machine() -> None:
    for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "127.8.8.8", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
                 "[::127.0.0.1]", "\uff11\uff12\uff17.0.0.1", "[0:0:0:0:0:0:0:1]"):  # fmt: skip
        assert not refused(Hosts(None, local=True), f"rtsp://{host}/x")
        assert refused(Hosts(None, local=False), f"rtsp://{host}/x") == "not-allowed"


def hold_names(look: Callable[[str], str]) -> None:
    """A name that stands for this machine is no way around; nor are other spellings of its address."""
    for name in ("localhost", "LOCALHOST", "127.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "0"):
        assert look(name) in ("not-allowed", "no-route"), name
    assert look("localhost") == "not-allowed"


def test_a_name_that_stands_for_its_own_machine_is_no_way_around() -> None:
    def look(name: str) -> str:
        try:
            asyncio.run(Hosts(None, local=False).look_up(name, 554))
        except NoStream as trouble:
            return trouble.code
        return ""

    hold_names(look)


def test_who_is_reached_elsewhere_is_the_word_of_who_runs_the_desk() -> None:
    """What a column says gets nobody further: only the very host and port of the table, and only if it may be called.

    Red when another port of that host is led there, too, or when the table lets in a host that is not named.
    """
    table = {("cameras.example", 554): ("127.0.0.1", 20554)}
    hosts = Hosts(["cameras.example"], local=False, elsewhere=table)
    hosts.local = False
    assert asyncio.run(hosts.reach("Cameras.Example", 554)) == (["127.0.0.1"], 20554)
    with pytest.raises(NoStream):
        asyncio.run(hosts.reach("cameras.example", 8554))
    assert refused(Hosts(["10.0.0.5"], local=False, elsewhere=table), "rtsp://cameras.example/x") == "not-allowed"


def test_a_guard_that_looks_at_names_only_is_noticed() -> None:
    with pytest.raises(AssertionError):
        hold_names(lambda name: refused(Hosts(None, local=False), f"rtsp://{name}/x"))


def test_the_desk_calls_the_very_addresses_that_it_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that means something else a moment later: it is looked up once, and its addresses are handed on."""
    desk = DeskRig(tmp_path / "desk", None)
    gateway, handed = desk.server.player.gateway, []
    looked = ["192.0.2.7"]

    async def look_up(self: Hosts, host: str, port: int) -> list[str]:
        return [looked.pop()]

    async def ask(do: str, what: dict[str, Any], limit_s: float) -> dict[str, Any]:
        handed.append((do, what["rtsp"]["addresses"], what["rtsp"]["host"]))
        return {"name": "n", "answer": "v=0", "ways": ["rtsp"], "tried": []}

    monkeypatch.setattr(hosts.Hosts, "look_up", look_up)
    monkeypatch.setattr(gateway, "_ask", ask)
    try:
        desk.run(gateway.call({"rtsp": "rtsp://cameras.example/x"}, "petropavl-01", b"v=0", ""))
        assert handed == [("call", ["192.0.2.7"], "cameras.example")]
    finally:
        desk.close()


# -- the relay: a camera that means harm


class Harm:
    """A server in a thread that answers each request with what `say` makes of it, and remembers what it was asked."""

    def __init__(self, say: Callable[[str, int], bytes]) -> None:
        self._say, self.asked = say, list[str]()
        self.came = 0
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self.loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        with contextlib.suppress(OSError, EOFError, ConnectionError):
            while True:
                request = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.asked.append(request)
                number = next(line[6:] for line in request.split("\r\n") if line.startswith("CSeq: "))
                writer.write(self._say(request, int(number)))
                await writer.drain()
        writer.close()

    def close(self) -> None:
        async def end() -> None:
            self._server.close()

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)


def reply(number: int, status: str, *lines: str, body: str = "") -> bytes:
    rest = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"RTSP/1.0 {status}", f"CSeq: {number}", *lines, *rest, "", body]).encode()


@pytest.fixture
def elsewhere() -> Iterator[Harm]:
    """Where a camera would like the desk to go."""
    running = Harm(lambda request, number: reply(number, "200 OK", "Public: DESCRIBE"))
    yield running
    running.close()


@contextlib.asynccontextmanager
async def relayed(target: Target) -> AsyncIterator[tuple[str, Relay]]:
    relay = Relay(target)
    try:
        yield await relay.start(), relay
    finally:
        await relay.stop()


def opened(harm: Harm, user: str | None = None, password: str | None = None) -> tuple[str, str]:
    """FFmpeg at the relay, at that camera: (code of the trouble, its text)."""

    def look(url: str) -> None:
        with contextlib.suppress(av.FFmpegError), av.open(url, format="rtsp", options=dict(OPTIONS), timeout=(3, 3)):
            pass

    async def run() -> tuple[str, str]:
        target = Target(("127.0.0.1",), "camera.example", harm.port, "/a?udp", user, password)
        async with relayed(target) as (url, relay):
            await asyncio.to_thread(look, url)
            trouble = relay.trouble or relay.unanswered()
            return (trouble.code, trouble.text) if trouble else ("", "")

    return asyncio.run(run())


def away_to(elsewhere: Harm) -> Harm:
    """A camera that sends everybody there."""
    there = f"rtsp://127.0.0.1:{elsewhere.port}/stolen"
    return Harm(lambda request, number: reply(number, "302 Moved", f"Location: {there}"))


def test_no_redirection_is_followed(elsewhere: Harm) -> None:
    harm = away_to(elsewhere)
    try:
        code, text = opened(harm)
        assert (code, elsewhere.came) == ("protocol", 0) and "elsewhere" in text and "stolen" not in text
        assert harm.asked[0].startswith(f"OPTIONS rtsp://camera.example:{harm.port}/a?udp RTSP/1.0\r\n")
    finally:
        harm.close()


def test_a_player_that_follows_redirections_is_noticed(elsewhere: Harm) -> None:
    """The control: FFmpeg by itself goes where the camera says."""
    harm = away_to(elsewhere)
    try:
        with contextlib.suppress(av.FFmpegError):
            av.open(f"rtsp://127.0.0.1:{harm.port}/a", format="rtsp", options=dict(OPTIONS), timeout=(3, 3))
        assert elsewhere.came > 0
    finally:
        harm.close()


def test_a_description_that_names_another_place_does_not_lead_there(elsewhere: Harm) -> None:
    there = f"rtsp://127.0.0.1:{elsewhere.port}/stolen"

    def say(request: str, number: int) -> bytes:
        if request.startswith("DESCRIBE"):
            sdp = SDP.replace("track1", there).replace("a=control", f"a=control:{there}\r\na=control")
            return reply(number, "200 OK", "Content-Type: application/sdp", f"Content-Base: {there}/", body=sdp)
        if request.startswith("SETUP"):
            udp = (
                f"RTP/AVP;unicast;destination=127.0.0.1;source=127.0.0.1;server_port={elsewhere.port}-{elsewhere.port}"
            )
            return reply(number, "200 OK", f"Transport: {udp}", "Session: 1")
        return reply(number, "200 OK", f"Location: {there}")

    harm = Harm(say)
    try:
        opened(harm)
        assert elsewhere.came == 0 and any(asked.startswith("SETUP") for asked in harm.asked)
    finally:
        harm.close()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "protocol"), (b"220 mail.example ESMTP\r\n\r\n", "protocol"),
        (b"x" * (HEADER_MAX + 10), "protocol"), (b"RTSP/1.0 200 OK\r\nCSeq: 99\r\n\r\n", "protocol"),
        (f"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: {BODY_MAX + 1}\r\n\r\n".encode(), "protocol"),
        (b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "protocol"),
        (b"RTSP/1.0 200 OK\r\nCSeq 1\r\n\r\n", "protocol"), (b"", "timeout"),
    ],
)  # fmt: skip
def test_whoever_speaks_something_else(said: bytes, code: str) -> None:
    harm = Harm(lambda request, number: said)
    try:
        assert opened(harm)[0] == code
    finally:
        harm.close()


def test_a_password_goes_only_where_it_is_asked_for_and_not_again_when_it_is_wrong() -> None:
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n"'
    harm = Harm(lambda request, number: reply(number, "401 Unauthorized", challenge))
    try:
        code, text = opened(harm, "desk", PASSWORD)
        assert code == "unauthorized" and PASSWORD not in text
        assert ["Authorization: " in asked for asked in harm.asked] == [False, True]  # once
        assert not any(PASSWORD in asked for asked in harm.asked)
    finally:
        harm.close()


def test_a_stranger_at_the_relays_port_gets_nothing() -> None:
    """Another program of this machine that is quicker than FFmpeg."""
    harm = Harm(lambda request, number: reply(number, "200 OK"))

    async def run() -> None:
        target = Target(("127.0.0.1",), "camera.example", harm.port, "/a", "desk", PASSWORD)
        async with relayed(target) as (url, relay):
            port = int(url.split(":")[2].split("/")[0])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"OPTIONS rtsp://127.0.0.1/a RTSP/1.0\r\nCSeq: 1\r\n\r\n")
            assert await reader.read() == b""
            assert relay.trouble is not None and relay.trouble.code == "no-gateway"
            writer.close()

    try:
        asyncio.run(run())
        assert not harm.asked
    finally:
        harm.close()

@pytest.mark.parametrize(("last", "code"), [("TEARDOWN", "codec"), ("OPTIONS", "lost")])
def test_a_camera_that_leaves_when_it_is_told_goodbye_is_not_lost(last: str, code: str) -> None:
    """What the reading has found is told: FFmpeg says goodbye then, and the end of the camera's side may be seen before
    that of the reading. Red where the goodbye is not remembered. Before any goodbye it is the camera that is lost."""

    def say(request: str, number: int) -> bytes:
        if number == 2:
            raise ConnectionError
        return reply(number, "200 OK")

    def reading(url: str) -> None:
        with socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0])), 10) as player:
            for number, method in enumerate(("OPTIONS", last)):
                player.sendall(f"{method} {url} RTSP/1.0\r\nCSeq: {number}\r\n\r\n".encode())
                assert bool(player.recv(1000)) == (number == 0)
        raise NoStream("codec", "nothing that the desk knows")

    async def run() -> None:
        target = Target(("127.0.0.1",), "camera.example", harm.port, "/a")
        with ThreadPoolExecutor(1) as threads, pytest.raises(NoStream) as told:
            await read(Relay(target), threads, reading)
        assert told.value.code == code

    harm = Harm(say)
    try:
        asyncio.run(run())
    finally:
        harm.close()


@pytest.mark.parametrize("answer", ["401 Unauthorized", "302 Moved", "404 Not Found", ""])
def test_what_a_camera_answers_to_the_goodbye_is_no_trouble(answer: str) -> None:
    """Red where it is judged like an answer to a request, or its absence as one that was not given."""
    harm = Harm(lambda request, number: reply(number, answer) if answer else b"")

    async def run() -> None:
        target = Target(("127.0.0.1",), "camera.example", harm.port, "/a")
        async with relayed(target) as (url, relay):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
            writer.write(f"TEARDOWN {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
            if answer:
                assert answer[:3] in (await reader.readuntil(b"\r\n")).decode()
            else:
                await asyncio.to_thread(wait_until, lambda: bool(harm.asked), "the goodbye at the camera")
            assert relay.trouble is None and relay.unanswered() is None
            writer.close()

    try:
        asyncio.run(run())
    finally:
        harm.close()



# -- the process

STARTS = """
import asyncio
from desk.media.credentials import Credentials
from desk.media.gateway import Gateway
from desk.media.hosts import Hosts
async def run():
    gateway = Gateway(Hosts(None, local=True), Credentials())
    print((await gateway._running()).pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(run())
"""


def test_the_gateway_does_not_outlive_a_desk_that_was_killed() -> None:
    desk = subprocess.Popen([sys.executable, "-c", STARTS], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert desk.stdout is not None
    with desk, desk.stdout:
        gateway = Path(f"/proc/{int(desk.stdout.readline())}")
        assert b"desk.media.process" in (gateway / "cmdline").read_bytes()
        desk.kill()
        desk.wait()

    def is_gone() -> bool:
        try:
            return (gateway / "cmdline").read_bytes() == b""  # nobody has asked for its status yet
        except OSError:
            return True

    wait_until(is_gone, "the gateway ends with its desk")


def test_a_gateway_whose_desk_was_killed_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where it complains of the pipe in the desk's log, with a traceback for each picture."""
    said: list[str] = []
    reads, writes = os.pipe()
    os.close(reads)
    with contextlib.suppress(BrokenPipeError), os.fdopen(writes, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        process._say({"ended": "a call"})
        monkeypatch.undo()
        said.append("nothing")
    assert said == ["nothing"]
