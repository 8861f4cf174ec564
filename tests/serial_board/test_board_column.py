"""The column's firmware on a virtual board: on duty, taken off duty through the port, and back; the command line."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from board_probe import Bench, Typist, bench, unhealthy
from cli_probe import Column, run_sim
from column_probe import need

from firmware.startup import pins
from sim.real import flash_image
from sim.servers.broker import EmbeddedBroker
from sim.servers.centre import Centre

pytestmark = pytest.mark.micropython
DEVICE = "board-01"
WATCHDOG_S = 2
SAFE_AFTER = 4  # boot.py
BOOT_S = 20.0


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    need("micropython")
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def config(broker: EmbeddedBroker) -> dict[str, Any]:
    endpoint = f"{broker.host}:{broker.port}"
    made = run_sim("config", "--device-id", DEVICE, "--region", "nko", "--broker", endpoint)
    assert made.returncode == 0, made.stderr
    return {**json.loads(made.stdout), "watchdog": {"timeout_s": WATCHDOG_S}}


def alarm(desk: Bench, centre: Centre) -> None:
    """A press arrives and is answered."""
    before = len(centre.look(lambda ledger: ledger.of(DEVICE)))
    desk.board.press(150)
    desk.seen.wait("lamp", state="calling")
    centre.wait_for(lambda ledger: len(ledger.of(DEVICE)) > before or None, 10)
    desk.seen.wait("lamp", state="answered")


def test_a_board_on_duty_raises_alarms_and_talks_on_its_port(
    tmp_path: Path, broker: EmbeddedBroker, config: dict[str, Any]
) -> None:
    with Centre(broker.host, broker.port) as centre, bench(tmp_path, config) as desk:
        with Typist(desk.board.port) as typist:
            typist.until(b"column: armed\r\n", BOOT_S)
            desk.seen.wait("lamp", BOOT_S, state="ready")
            alarm(desk, centre)
        desk.does("resume", "exec", "import os; print(boot)")
        desk.seen.wait("reset", cause="watchdog")  # nobody fed it, and nothing stopped it
        desk.seen.wait("lamp", BOOT_S, state="answered")  # from its journal


def test_a_service_request_takes_it_off_duty_for_longer_than_its_watchdog(
    tmp_path: Path, broker: EmbeddedBroker, config: dict[str, Any]
) -> None:
    """Red where boot.py counts soft resets as starts that failed."""
    image = tmp_path / "flash.img"
    with Centre(broker.host, broker.port) as centre, bench(tmp_path, config, flash_path=image) as desk:
        desk.seen.wait("lamp", BOOT_S, state="ready")
        desk.does("resume", "exec", "open('service.req', 'w').close()", "+", "reset")
        desk.seen.wait("reset", cause="hard")
        desk.console("friendly")
        time.sleep(WATCHDOG_S + 1)
        assert desk.does("resume", "eval", "boot['mode']") == "service\n"
        for _ in range(SAFE_AFTER):  # each begins with a soft reset, and so with boot.py
            assert "service.req" not in desk.does("fs", "ls")
        desk.does("reset")
        desk.seen.wait("lamp", BOOT_S, state="ready")
        assert unhealthy(image) < SAFE_AFTER, "what a technician types is no boot loop"
        alarm(desk, centre)


def test_service_ends_by_itself(tmp_path: Path, broker: EmbeddedBroker, config: dict[str, Any]) -> None:
    """Red when main.py leaves the watchdog alone: a board that nobody resets would be off duty for ever."""
    shorter = "t = open('main.py').read(); f = open('main.py', 'w'); f.write(t.replace('* 60000', '* 100')); f.close()"
    with Centre(broker.host, broker.port) as centre, bench(tmp_path, config) as desk:
        desk.seen.wait("lamp", BOOT_S, state="ready")
        desk.does("resume", "exec", shorter + "; open('service.req', 'w').close()", "+", "reset")
        desk.seen.wait("reset", cause="hard")
        desk.console("friendly")
        desk.seen.wait("reset", BOOT_S, cause="watchdog")
        desk.seen.wait("lamp", BOOT_S, state="ready")
        alarm(desk, centre)


def test_a_blank_board_becomes_a_column_over_the_port(
    tmp_path: Path, broker: EmbeddedBroker, config: dict[str, Any]
) -> None:
    files = {**flash_image.firmware_files(mpy=True), **flash_image.configuration_files(config)}
    tree = tmp_path / "tree"
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    with Centre(broker.host, broker.port) as centre, bench(tmp_path) as desk:
        copies: list[str] = []
        for entry in sorted(tree.iterdir()):
            copies += [*(["+"] if copies else []), "fs", "cp", "-r", str(entry), ":"]
        assert desk.mpremote(*copies, "+", "reset", timeout_s=60).returncode == 0
        desk.seen.wait("lamp", BOOT_S, state="ready")
        alarm(desk, centre)


# -- the command line


class Program(Column):
    """`python -m sim board` as a process."""

    command = "board"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    need("micropython")
    running = Program("--link", str(tmp_path / "board"), "--flash", str(tmp_path / "flash.img"), "--seed", "4")
    yield running
    running.process.kill()
    running.process.wait()


def test_the_command_line_opens_a_port_and_obeys(program: Program, tmp_path: Path) -> None:
    port = program.seen.wait("port")["path"]
    assert port == str(tmp_path / "board") and str(Path(port).readlink()).startswith("/dev/")
    program.seen.wait("console", state="friendly")
    with Typist(port) as typist:
        typist.talk(b"\r", b">>> ")
        button = "import machine; print('button', machine.Pin(%d, machine.Pin.IN, machine.Pin.PULL_UP).value())\r"
        program.say("hold")
        time.sleep(0.2)
        typist.talk((button % pins.defaults("esp32")["button"]).encode(), b"\nbutton 0\r\n>>> ")
    program.say("unplug")
    program.seen.wait("port", path=None)
    assert not (tmp_path / "board").exists()
    program.say("unplug")
    assert program.seen.wait("error")["text"] == "unplug: the cable is out already"
    program.say("plug")
    assert program.seen.wait("port")["path"] == port
    program.say("plug")
    assert program.seen.wait("error")["text"] == "plug: the cable is in already"
    program.say("power off")
    program.seen.wait("console", state="off")
    program.say("help")
    program.seen.wait("help", command="unplug")
    program.seen.wait("help", command="press MS")
    program.say("swim")
    assert "unknown command 'swim'" in program.seen.wait("error")["text"]
    program.say("quit")
    assert program.process.wait(10) == 0
    assert not (tmp_path / "board").exists()
    assert flash_image.Image((tmp_path / "flash.img").read_bytes()).names() == []


def test_a_killed_program_takes_its_board_along(program: Program, tmp_path: Path) -> None:
    program.seen.wait("console", state="friendly")
    program.process.terminate()
    assert program.process.wait(10) == 128 + 15
    assert not (tmp_path / "board").exists()


def test_wrong_arguments_are_explained(tmp_path: Path) -> None:
    need("micropython")
    fault = run_sim("board", "--fault", "rust")
    assert fault.returncode == 2 and "must be one of unplugged" in fault.stderr
    missing = run_sim("board", "--config", str(tmp_path / "none.json"))
    assert missing.returncode == 2 and "python -m sim config --device-id test-01" in missing.stderr
    shown = run_sim("board", "--help").stdout
    for words in ("unplugged-at", "press MS", "unplug ", "console "):
        assert words in shown
