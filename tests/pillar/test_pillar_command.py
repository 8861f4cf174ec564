"""`python -m sim pillar` as a process; the server as a part of a program; a pillar where a column is expected."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from cli_probe import BOOT_TIMEOUT_S, Column, run_sim
from column_probe import CONFIG, need, runtimes
from pillar_rig import IdleColumn, idle_pillar, run, until, wait_until, watching

from common import webrtc
from sim.demo.town import ColumnLike
from sim.pillar import Pillar, PillarServer
from sim.servers.broker import Mosquitto

EXIT_USAGE = 2


class PillarProcess(Column):
    command = "pillar"


@contextmanager
def pillar(config: Path, *arguments: str) -> Iterator[PillarProcess]:
    running = PillarProcess("--config", str(config), "--listen", "127.0.0.1:0", *arguments)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def config(tmp_path: Path, mosquitto: Mosquitto) -> Path:
    broker = f"{mosquitto.host}:{mosquitto.port}"
    made = run_sim("config", "--device-id", "test-01", "--region", "nko", "--broker", broker)
    path = tmp_path / "test-01.json"
    path.write_text(made.stdout)
    return path


@pytest.mark.parametrize("runtime", runtimes())
@pytest.mark.mosquitto
def test_it_serves_its_page_and_runs_its_column_until_it_is_told_to_end(config: Path, runtime: str) -> None:
    need(runtime)
    with pillar(config, "--runtime", runtime) as process:
        url = process.seen.wait("pillar", BOOT_TIMEOUT_S)["url"]
        assert url.startswith("http://127.0.0.1:") and url.endswith("/test-01/")
        process.seen.wait("lamp", BOOT_TIMEOUT_S, state="ready")
        with urlopen(url, timeout=30) as page:
            assert b'data-testid="button"' in page.read()
        chips = process.chips()
        assert chips, "no chip runs"
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(30) == 0
        wait_until(lambda: not any(Path(f"/proc/{chip}").exists() for chip in chips), "the chip has ended with it")


def test_a_broken_configuration_runs_and_names_the_key(tmp_path: Path) -> None:
    """As `python -m sim column` does."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"v": 1, "device_id": "test-01", "location": 7, "stream": "here"}))
    with pillar(path) as process:
        process.seen.wait("pillar", BOOT_TIMEOUT_S)
        process.seen.wait_for(lambda event: "location" in event.get("text", ""), BOOT_TIMEOUT_S, "the broken key")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{}", "must be a JSON object with a device_id"),
        ("[1]", "must be a JSON object with a device_id"),
        ("{", "Expecting property name"),
        (None, "there is no such file; this makes one: "),
    ],
)
def test_an_unusable_configuration_is_explained(tmp_path: Path, document: str | None, told: str) -> None:
    path = tmp_path / "config.json"
    if document is not None:
        path.write_text(document)
    ended = run_sim("pillar", "--config", str(path), "--listen", "127.0.0.1:0")
    assert ended.returncode == EXIT_USAGE and told in ended.stderr and "Traceback" not in ended.stderr


def test_a_taken_port_is_explained(tmp_path: Path) -> None:
    """With the option, once, in the person's language. Red without `_server`'s look at the error: Python's text names
    the address again, in English."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_sim("pillar", "--config", str(path), "--listen", f"127.0.0.1:{port}", "--lang", "ru")
    said = f"ошибка: --listen 127.0.0.1:{port}: этот порт уже занят другой программой"
    assert (ended.returncode, ended.stderr.strip()) == (EXIT_USAGE, said)


@pytest.mark.parametrize("listen", ["8090", "127.0.0.1", "127.0.0.1:99999", ":1"])
def test_an_unusable_address_is_explained(tmp_path: Path, listen: str) -> None:
    ended = run_sim("pillar", "--config", str(tmp_path / "any.json"), "--listen", listen)
    assert ended.returncode == EXIT_USAGE and "must be HOST:PORT" in ended.stderr


# -- in a program


def test_a_town_of_many_is_on_one_server_and_may_grow() -> None:
    with idle_pillar("one") as (server, _, _):
        config = server.configured({**CONFIG, "device_id": "two"})
        assert config["stream"] == {**CONFIG["stream"], **server.stream("two")}  # type: ignore[dict-item]
        with server.add(Pillar(config, make_column=IdleColumn)) as two:  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="two already"):
                server.add(two)
            for device_id in ("one", "two"):
                assert urlopen(server.page(device_id), timeout=30).status == 200
            with urlopen(server.url, timeout=30) as index:
                assert b'href="/two/"' in index.read()

            async def watch_both() -> None:
                async with (
                    watching(server.stream("one")["webrtc"]) as left,
                    watching(server.stream("two")["webrtc"]) as right,
                ):
                    await until(lambda: left.pictures and right.pictures, "a picture of each")
                    assert left.pictures[0].to_ndarray().tobytes() != right.pictures[0].to_ndarray().tobytes()

            run(watch_both())


def test_a_server_may_be_stopped_twice_or_before_it_started() -> None:
    never = PillarServer()
    never.stop()
    with PillarServer() as server:
        server.stop()


def test_a_machine_with_nothing_but_loopback_can_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Client and server are one process here, so both have only what is left. Red without `_addresses_and_loopback`:
    no candidates, no connection."""
    monkeypatch.setattr(webrtc, "_addresses", lambda *_: [])
    with idle_pillar() as (server, pillar, _):

        async def watch() -> None:
            async with watching(server.stream(pillar.device_id)["webrtc"]) as watcher:
                candidates = [line for line in watcher.text.splitlines() if line.startswith("a=candidate:")]
                assert candidates and all(" 127.0.0.1 " in line for line in candidates)
                await until(lambda: watcher.pictures, "a picture")

        run(watch())


def test_a_pillar_stands_where_a_column_does() -> None:
    with Pillar(CONFIG, make_column=IdleColumn) as pillar:  # type: ignore[arg-type]
        column: ColumnLike = pillar  # mypy holds it to it
        for method in vars(ColumnLike):
            assert method.startswith("_") or callable(getattr(column, method))
        column.power_on()
        column.link(False)
        state = pillar.state()
        assert state["power"] and not state["link"]


def test_events_reach_the_owner_and_the_page_alike() -> None:
    events: list[dict[str, object]] = []
    with Pillar(CONFIG, make_column=IdleColumn, on_event=events.append) as pillar:  # type: ignore[arg-type]
        column: IdleColumn = pillar.real  # type: ignore[assignment]
        changes: list[int] = []
        with pillar.listening(lambda: changes.append(1)):
            column.show("lamp", state="calling")
            column.show("relay", closed=True)
            column.show("boot", boot=7, cause="power-on")
            column.show("log", text="column: armed")
            column.show("reset", cause="watchdog", culprit="uplink")
        assert len(changes) == len(events) == 5
        column.show("lamp", state="sent")
        assert len(changes) == 5, "told after it stopped listening"
        state = pillar.state()
        assert (state["lamp"], state["relay"], state["boot"]) == ("sent", True, 7)
        assert pillar.camera.lamp == "sent" and pillar.intercom.calling
        assert pillar.lines(0) == (["column: armed", "reset: watchdog, culprit uplink"], 2)
        assert pillar.lines(1)[0] == ["reset: watchdog, culprit uplink"] and pillar.lines(2)[0] == []
