"""The console's commands for a check-up, on a virtual board: real MicroPython over its serial port."""

import hashlib
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from board_console_rig import BOOT_S, DEVICE, RUNTIMES, Duty
from board_probe import bench
from cli_probe import run_sim
from column_probe import need

from common.ports import free_port
from field import bundle
from field.console import Console, ConsoleError, Refused
from sim.servers.broker import EmbeddedBroker
from sim.servers.centre import Centre
from sim.servers.stand_ins import StreamServer

pytestmark = pytest.mark.micropython
both = pytest.mark.parametrize("site", RUNTIMES, indirect=True)


class FleetServers:
    def __init__(self, duty: Duty, camera: StreamServer, streams: dict[str, str]) -> None:
        self.duty, self.camera, self.streams = duty, camera, streams
        self.port = duty.board.port


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FleetServers]:
    """A column with a camera that answers, an intercom that refuses and a picture that nobody has an address for."""
    need(request.param)
    camera = StreamServer()
    streams = {
        "rtsp": f"rtsp://localhost:{camera.port}/1",
        "sip": f"sip:door@localhost:{free_port()};transport=tcp",
        "http": "http://nobody.invalid/1.jpg",
    }
    with EmbeddedBroker() as broker:
        made = run_sim("config", "--device-id", DEVICE, "--region", "nko", "--broker", f"{broker.host}:{broker.port}")
        assert made.returncode == 0, made.stderr
        document = {**json.loads(made.stdout), "stream": streams, "clock": {"server": "localhost", "port": free_port()}}
        with (
            Centre(broker.host, broker.port) as centre,
            bench(tmp_path, document, runtime=request.param) as desk,
        ):
            desk.seen.wait("lamp", BOOT_S, state="ready")
            yield FleetServers(Duty(desk, centre), camera, streams)
    camera.stop()


def each(console: Console, command: str, key: str) -> list[Any]:
    return [line[key] for line in console.lines(command) if key in line]


@both
def test_files_net_and_stream_on_duty(site: FleetServers) -> None:
    with Console(site.port) as console:
        answer = console.ask("files")
        lookups, looks = each(console, "net", "lookup"), each(console, "stream", "stream")
        network = console.ask("net")
    wanted = {name: hashlib.sha256(data).hexdigest()[:16] for name, data in bundle.make().files.items()}
    found = {name: digest for name, digest in answer["files"].items() if not name.startswith("umqtt/")}
    assert found == wanted
    assert answer["sealed"] == {"config.json": True, "secrets.json": True} and answer["folder"] == ""

    assert [(one["what"], one["host"], one["address"]) for one in lookups] == [
        ("broker", "127.0.0.1", "127.0.0.1"),
        ("stream", "nobody.invalid", None),
        ("stream", "localhost", "127.0.0.1"),
        ("clock", "localhost", "127.0.0.1"),
    ]
    assert "no address for nobody.invalid" in lookups[1]["error"] and lookups[2]["error"] == ""
    assert network["gateway"] == network["dns"] == "192.168.4.1" and network["netmask"] == "255.255.255.0"

    by_uri = {one["uri"]: one for one in looks}
    assert set(by_uri) == set(site.streams.values())
    assert by_uri[site.streams["rtsp"]]["ok"] is True and site.camera.asked[0].startswith(b"OPTIONS rtsp://")
    assert "refused" in by_uri[site.streams["sip"]]["error"] and "no address" in by_uri[site.streams["http"]]["error"]
    site.duty.alarm()
    assert site.duty.resets() == []


@both
def test_alarms_arrive_while_a_check_up_runs(site: FleetServers) -> None:
    over, answered, trouble = threading.Event(), list[str](), list[str]()

    def asks() -> None:
        try:
            with Console(site.port) as console:
                for command in itertools.cycle(("files", "net", "certs", "stream", "access", "status")):
                    if over.is_set():
                        return
                    try:
                        console.ask(command)
                        answered.append(command)
                    except Refused as error:
                        if "an alarm is open" not in str(error):
                            trouble.append(str(error))
        except ConsoleError as error:
            trouble.append(str(error))

    asking = threading.Thread(target=asks)
    asking.start()
    try:
        raised = [site.duty.alarm() for _ in range(6)]
        while len(set(answered)) < 4 and asking.is_alive():
            asking.join(0.1)
        raised.append(site.duty.alarm())
    finally:
        over.set()
        asking.join()
    assert trouble == [] and len(set(raised)) == 7 and {"files", "net", "certs", "status"} <= set(answered)
    assert site.duty.resets() == []


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_column_without_a_configuration_says_so(tmp_path: Path, runtime: str) -> None:
    need(runtime)
    with bench(tmp_path, b'{"v": 1}', runtime=runtime) as desk:
        desk.seen.wait("lamp", BOOT_S, state="out-of-service")
        with Console(desk.board.port) as console:
            for _ in range(2):
                status = console.ask("status")
                assert status["configured"] is False and any("device_id" in text for text in status["errors"])
                assert status["firmware"]["mode"] == "unconfigured" and status["chip"]["chip"] == "esp32"
            with pytest.raises(Refused, match="no usable configuration"):
                console.ask("files")
