"""Picture and sound: an offer goes to where the alarm says and nowhere else, and only a camera's answer comes back."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientTimeout, web
from column_probe import need
from desk_rig import Answer, DeskRig, Speaker

from common.home import ROOT
from desk import command
from desk.broker_options import SetupError
from desk.media import whep
from desk.media.hosts import Hosts
from desk.media.trouble import NoStream
from desk.media.whep import PORTS, SDP_MAX_BYTES
from desk.web import player as player_module
from desk.web.refusal import Refusal
from sim.servers.broker import Mosquitto

OFFER = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
ANSWER = b"v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
INCIDENT = "petropavl-01-17-3"
WAYS = {"webrtc", "rtsp", "sip"}
WHEP = f"/api/incidents/{INCIDENT}/whep"


def incident(address: str | None) -> dict[str, Any]:
    call = {"id": INCIDENT, "device_id": "petropavl-01", "status": "actual", "state": "received"}
    return {**call, "stream": {"webrtc": address}}


class Camera:
    """Somebody's HTTP server in the desk's loop: what it was asked, and several ways to answer."""

    def __init__(self, desk: DeskRig) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None)
        self._desk, self._ended = desk, asyncio.Event()
        desk.run(self._start())
        self.port = self._runner.addresses[0][1]

    async def _start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    def close(self) -> None:
        self._desk.run(self._stop())

    async def _stop(self) -> None:
        self._ended.set()
        await self._runner.cleanup()

    def address(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, await request.read()))
        self.headers.append(dict(request.headers))
        headers = {"Location": "/whep/calls/7"}
        way = request.path.strip("/")
        if request.method == "DELETE":
            return web.Response(status=200)
        if way == "slow":
            await self._ended.wait()
        if way in ("401", "403", "404"):
            return web.Response(status=int(way))
        if way == "cut":
            assert request.transport is not None
            request.transport.abort()
        if way == "redirect":
            return web.Response(status=307, headers={"Location": self.address("whep")})
        if way == "ok-but-200":
            return web.Response(status=200, body=ANSWER, content_type="application/sdp")
        if way == "html":
            return web.Response(status=201, text="<h1>secret router page</h1>", content_type="text/html")
        if way == "no-sdp":
            return web.Response(status=201, body=b"root:x:0:0", content_type="application/sdp")
        if way == "huge":
            return web.Response(status=201, body=b"v=0" + b"x" * SDP_MAX_BYTES, content_type="application/sdp")
        if way == "elsewhere":
            headers["Location"] = "http://localhost:9/other"
        if way == "nowhere":
            headers = {}
        if way == "gzip":
            headers["Content-Encoding"] = "gzip"
        return web.Response(status=201, body=ANSWER, content_type="application/sdp", headers=headers)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DeskRig]:
    rig = DeskRig(tmp_path / "desk", None)
    yield rig
    rig.close()


@pytest.fixture
def camera(desk: DeskRig) -> Iterator[Camera]:
    running = Camera(desk)
    yield running
    running.close()


@pytest.fixture
def play(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], Answer]:
    """A click on play, in an incident whose alarm has that address."""

    def click(address: str | None) -> Answer:
        monkeypatch.setattr(desk.server.desk, "incident", lambda incident_id: incident(address))
        sent = {"Origin": desk.origin, "Content-Type": "application/sdp"}
        return desk.ask("POST", WHEP, OFFER, sent)

    return click


Play = Callable[[str | None], Answer]


def hang_up(desk: DeskRig, answer: Answer) -> int:
    return desk.ask("DELETE", answer.headers["Location"], headers={"Origin": desk.origin}).status


# -- as it should be


def test_the_offer_goes_to_the_camera_and_its_answer_comes_back(desk: DeskRig, camera: Camera, play: Play) -> None:
    answer = play(camera.address("whep"))
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (201, ANSWER, "application/sdp")
    assert camera.asked == [("POST", "/whep", OFFER)]
    assert camera.headers[0]["Content-Type"] == "application/sdp"
    assert not {"Cookie", "Origin", "Referer", "Authorization"} & camera.headers[0].keys()
    assert answer.headers["Location"].startswith("/api/whep/")
    assert hang_up(desk, answer) == 204
    assert camera.asked[1:] == [("DELETE", "/whep/calls/7", b"")]
    assert hang_up(desk, answer) == 404


@pytest.mark.mosquitto
def test_the_address_is_that_of_this_alarm(tmp_path: Path) -> None:
    need("mosquitto")
    with Mosquitto() as broker:
        desk, street = DeskRig(tmp_path / "desk", broker), Speaker(broker)
        camera = Camera(desk)
        try:
            address = camera.address("petropavl-01/whep")
            incident_id = street.press(stream={"webrtc": address, "ok_at": None})
            street.hears("ack", id=incident_id)
            sent = {"Origin": desk.origin, "Content-Type": "application/sdp"}
            assert desk.ask("POST", f"/api/incidents/{incident_id}/whep", OFFER, sent).body == ANSWER
            assert camera.asked == [("POST", "/petropavl-01/whep", OFFER)]
            silent = street.press("petropavl-02", stream={"ok_at": None})
            street.hears("ack", id=silent)
            assert desk.ask("POST", f"/api/incidents/{silent}/whep", OFFER, sent).status == 409
        finally:
            camera.close()
            street.close()
            desk.close()


def test_a_camera_that_names_no_place_to_end_it_is_left_alone(desk: DeskRig, camera: Camera, play: Play) -> None:
    for way in ("nowhere", "elsewhere"):
        answer = play(camera.address(way))
        assert answer.status == 201 and hang_up(desk, answer) == 204
    assert [method for method, *_ in camera.asked] == ["POST", "POST"]


def test_forgotten_calls_are_ended(desk: DeskRig, camera: Camera, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_module, "CALLS_MAX", 2)
    answers = [play(camera.address("whep")) for _ in range(3)]
    assert [method for method, *_ in camera.asked] == ["POST", "POST", "POST", "DELETE"]
    assert [hang_up(desk, answer) for answer in answers] == [404, 204, 204]


def test_all_calls_end_with_the_desk(desk: DeskRig, camera: Camera, play: Play) -> None:
    play(camera.address("whep"))
    desk.run(desk.server.player.stop())
    assert camera.asked[-1][0] == "DELETE"
    assert play(camera.address("whep")).status == 503


# -- as it must not be


@pytest.mark.parametrize(
    ("way", "status", "why"),
    [
        ("redirect", 502, "answered 307"), ("ok-but-200", 502, "answered 200"), ("html", 502, "text/html"),
        ("no-sdp", 502, "no session description"), ("huge", 502, "more than"), ("401", 502, "answered 401"),
    ],
)  # fmt: skip
def test_nothing_but_a_cameras_answer_comes_back(
    desk: DeskRig, camera: Camera, play: Play, way: str, status: int, why: str
) -> None:
    answer = play(camera.address(way))
    assert answer.status == status and why in answer.error
    assert b"secret" not in answer.body and b"root:" not in answer.body
    assert len(camera.asked) == 1  # no redirect was followed
    assert not desk.server.player._calls


def test_a_player_that_follows_redirects_is_noticed(
    desk: DeskRig, camera: Camera, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(self: Any, shown: str | None) -> Any:
        return self._client.request(self._method, self._where, data=self._body)

    monkeypatch.setattr(whep._Asking, "_ask", ask)
    with pytest.raises(AssertionError):
        test_nothing_but_a_cameras_answer_comes_back(desk, camera, play, "redirect", 502, "answered 307")


def test_a_camera_that_does_not_answer(
    desk: DeskRig, camera: Camera, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = desk.server.player._whep._client
    assert client is not None
    monkeypatch.setattr(client, "_timeout", ClientTimeout(total=0.2))
    slow = play(camera.address("slow"))
    assert (slow.status, slow.json["code"]) == (504, "timeout")
    assert play("http://127.0.0.1:9/whep").status == 502


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://127.0.0.1:9/whep", "refused"), ("http://camera.invalid/whep", "no-route"),
        ("401", "unauthorized"), ("403", "unauthorized"), ("404", "not-found"),
        ("no-sdp", "protocol"), ("redirect", "protocol"), ("cut", "lost"),
        ("http://0.0.0.0/", "not-allowed"), ("ftp://cameras.example/", "not-allowed"),
        (None, "none"),
    ],
)  # fmt: skip
def test_each_trouble_has_a_code(desk: DeskRig, camera: Camera, play: Play, address: str | None, code: str) -> None:
    answer = play(address if address is None or "://" in address else camera.address(address))
    assert answer.json["code"] == code


@pytest.mark.parametrize(
    "address",
    [
        None, "", "ftp://cameras.example/whep", "file:///etc/passwd", "javascript:alert(1)", "//cameras.example/whep",
        "http://", "http:///whep", "http://user:password@cameras.example/whep", "http://cameras.example:99999/", "http://[",
        "http://0.0.0.0/", "http://[::]/", "http://169.254.169.254/latest/meta-data", "http://224.0.0.1/",
        "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/", "http://[ff02::1]/", "http://2852039166/",
        "http://0x7f000001/", "http://127.1/",
    ],
)  # fmt: skip
def test_addresses_that_no_camera_has(desk: DeskRig, camera: Camera, play: Play, address: str | None) -> None:
    answer = play(address)
    assert answer.status in (403, 409, 502) and answer.error
    assert not camera.asked


def allowed(hosts: list[str] | None, local: bool, address: str) -> bool:
    try:
        Hosts(hosts, local=local).allowed(address, PORTS)
    except Refusal:
        return False
    return True


def test_stream_hosts_are_all_that_may_be_called() -> None:
    hosts = ["cameras.example", "10.0.0.5:8889", "127.0.0.1"]
    for address in ("https://cameras.example/a/whep", "http://CAMERAS.example:8889/", "http://10.0.0.5:8889/whep"):
        assert allowed(hosts, False, address), address
    for address in ("https://evil.example/whep", "http://10.0.0.5/whep", "http://cameras.example.evil.example/"):
        assert not allowed(hosts, False, address), address
    assert allowed(hosts, False, "http://127.0.0.1:8090/whep")  # named, so meant
    assert allowed(None, False, "https://any.example/whep")


def test_a_desk_that_others_can_reach_calls_nothing_on_its_own_machine() -> None:
    for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"):
        assert allowed(None, True, f"http://{host}:1883/"), host
        assert not allowed(None, False, f"http://{host}:1883/"), host


def hold_names(desk: DeskRig, camera: Camera, play: Play) -> None:
    desk.server.player.gateway.hosts.local = False
    answer = play(camera.address("whep", "localhost"))
    assert answer.status == 403 and not camera.asked
    desk.server.player.gateway.hosts.local = True
    assert play(camera.address("whep", "localhost")).status == 201


def test_a_name_that_stands_for_its_own_machine_is_no_way_around(desk: DeskRig, camera: Camera, play: Play) -> None:
    hold_names(desk, camera, play)


def test_a_player_that_looks_at_names_only_is_noticed(
    desk: DeskRig, camera: Camera, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        whep.Resolver, "resolve", lambda self, host, port=0, family=0: self._inner.resolve(host, port, family)
    )
    with pytest.raises(AssertionError):
        hold_names(desk, camera, play)


def test_a_camera_is_reached_where_the_desk_was_told(desk: DeskRig, camera: Camera, play: Play) -> None:
    assert play("http://camera.invalid:8889/whep").status == 502
    desk.server.player.gateway.hosts.elsewhere = {("camera.invalid", 8889): ("127.0.0.1", camera.port)}
    assert play("http://camera.invalid:8889/whep").status == 201
    assert play("http://camera.invalid/whep").status == 502
    assert camera.headers[0]["Host"] == "camera.invalid:8889"


@pytest.mark.parametrize("size", [SDP_MAX_BYTES, SDP_MAX_BYTES + 1])
def test_an_offer_is_bounded(desk: DeskRig, camera: Camera, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    address = camera.address("whep")
    monkeypatch.setattr(desk.server.desk, "incident", lambda incident_id: incident(address))
    sent = {"Origin": desk.origin, "Content-Type": "application/sdp"}
    answer = desk.ask("POST", WHEP, b"v=0" + b"x" * (size - 3), sent)
    assert answer.status == (201 if size <= SDP_MAX_BYTES else 413) and len(camera.asked) == (answer.status == 201)


def test_every_column_of_the_example_names_a_way_that_ends_in_a_browser() -> None:
    rows = list(csv.DictReader((ROOT / "examples" / "petropavl" / "fleet.csv").open()))
    ways = [{uri.partition("=")[0].partition(":")[0] for uri in row["stream"].split()} for row in rows]
    assert len(rows) == 19 and all(found & WAYS for found in ways)


def test_every_way_is_tried_and_the_last_trouble_told(
    desk: DeskRig, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = {"webrtc": camera.address("html"), "rtsp": "rtsp://169.254.169.254/x"}
    named = {**incident(None), "stream": ways}
    monkeypatch.setattr(desk.server.desk, "incident", lambda incident_id: named)
    sent = {"Origin": desk.origin, "Content-Type": "application/sdp"}
    answer = desk.ask("POST", WHEP, OFFER, sent)
    assert (answer.status, answer.headers["Stream-Tried"]) == (403, "webrtc=protocol rtsp=not-allowed")
    ways["webrtc"] = camera.address("whep")
    answer = desk.ask("POST", WHEP, OFFER, sent)
    assert (answer.status, answer.headers["Stream-Way"], answer.headers["Stream-Tried"]) == (201, "webrtc", "")
    assert desk.get(answer.headers["Location"]).json == {
        "way": "webrtc", "state": None, "copy": False, "loudness_db": 0,
    }  # fmt: skip
    assert desk.get("/api/whep/nobody").json == {"way": None, "state": "ended", "copy": False}


# -- the city's own media server


def test_the_media_server_is_asked_first_and_the_camera_where_it_fails(tmp_path: Path) -> None:
    """Breaks without `by_server`. A server that speaks WHEP has no voice: with an intercom it is not asked."""
    rig = DeskRig(tmp_path / "desk", None)
    camera = Camera(rig)
    try:
        player, stream = rig.server.player, {"webrtc": camera.address("whep"), "sip": None}
        player._server = camera.address("{device_id}")
        for device_id, way, tried in (("column-1", "webrtc", ()), ("404", "webrtc", ("media-server=not-found",))):
            before = len(camera.asked)
            answer = rig.run(player.call(player.by_server(stream, device_id), device_id, OFFER, ""))
            assert (answer.way, answer.tried) == (way, tried)
            paths = [path for _, path, _ in camera.asked[before:]]
            assert paths == ([f"/{device_id}"] if not tried else [f"/{device_id}", "/whep"])
        spoken = {**stream, "sip": "sip:a@b"}
        assert player.by_server(spoken, "a") == spoken
        player._server = "rtsp://127.0.0.1:9/{device_id}"
        assert player.by_server(spoken, "a")["media-server"] == "rtsp://127.0.0.1:9/a"

        async def refused(*_: Any) -> Any:
            raise NoStream("refused", "nobody listens there")

        player.gateway.call = refused  # type: ignore[method-assign,assignment]
        answer = rig.run(player.call(player.by_server(stream, "a"), "a", OFFER, ""))
        assert answer.tried == ("media-server=refused",)
    finally:
        camera.close()
        rig.close()


@pytest.mark.parametrize("given", ["http://media.example/a", "ftp://m/{device_id}", "http://m/{device_id}{device_id}"])
def test_a_template_that_is_none(given: str) -> None:
    with pytest.raises(SystemExit):
        command.parse(["--broker", "a:1", "--folder", "x", "--media-server", given])


def test_a_media_server_that_the_desk_may_not_call_is_said_at_the_start(tmp_path: Path) -> None:
    more = ("--media-server", "http://media.example/{device_id}/whep", "--stream-hosts", "cameras.example")
    with pytest.raises(SetupError, match="may not call media.example: --stream-hosts does not name it"):
        DeskRig(tmp_path / "desk", None, *more)
