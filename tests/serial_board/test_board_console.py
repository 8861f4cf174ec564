"""A column on duty is asked over its serial console: the tools of field/, real MicroPython on a pseudo-terminal."""

import contextlib
import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import memory_rig
import pytest
from board_console_rig import ANSWERS_BYTES, BOOT_S, DEVICE, RUNTIMES, Duty, raised
from board_probe import Typist, bench
from centre_probe import end
from cli_probe import run_sim
from column_probe import PATIENCE_S, need
from duty_rig import until

from field import logs, watch
from field.board import Board
from field.code import letting_in
from field.console import COMMANDS, Console, ConsoleError, Refused
from field.telling import EXIT_FAILED
from field.words import Words
from sim.real.flash_image import PROJECT
from sim.servers.authority import Authority
from sim.servers.broker import EmbeddedBroker, Mosquitto, Tls
from sim.servers.centre import Centre

pytestmark = pytest.mark.micropython


@pytest.fixture
def duty(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Duty]:
    runtime = getattr(request, "param", "micropython")
    need(runtime)
    with EmbeddedBroker() as broker:
        made = run_sim("config", "--device-id", DEVICE, "--region", "nko", "--broker", f"{broker.host}:{broker.port}")
        assert made.returncode == 0, made.stderr
        with (
            Centre(broker.host, broker.port) as centre,
            bench(tmp_path, json.loads(made.stdout), runtime=runtime) as desk,
        ):
            desk.seen.wait("lamp", BOOT_S, state="ready")
            yield Duty(desk, centre)


def both(test: Any) -> Any:
    return pytest.mark.parametrize("duty", RUNTIMES, indirect=True)(test)


@both
def test_every_command_is_answered_while_the_column_stays_on_duty(duty: Duty) -> None:
    duty.alarm()
    with Console(duty.board.port) as console:
        status = console.ask("status")
        assert status["firmware"]["mode"] == "normal" and status["broker"]["session"] is True
        assert status["link"]["address"] and status["link"]["gateway"] and status["button"]["presses"] == 1
        assert status["health"]["heap_free"] > 0 and status["journal"]["damaged"] == 0
        answer = console.ask("test")
        assert 0 <= answer["sent_ms"] <= answer["centre_ms"] < 5000 and answer["broker_ms"] is not None
        assert {one["k"] for one in console.ask("logs")["journal"]} >= {"open", "state"}
        assert [one["command"] for one in console.ask("help")["commands"]] == [*COMMANDS]
        assert len(console.ask("lamp")["colours"]) == 4
        # Its package has each but the first.
        for word in ("dance", "talk", "const", "__init__", "__dict__", "__class__", "__path__"):
            with pytest.raises(Refused, match="unknown command"):
                console.ask(word)
    duty.alarm()
    assert duty.resets() == [] and duty.board.console == "main.py"


@both
def test_a_press_shows_its_bounce_and_is_a_real_alarm(duty: Duty) -> None:
    threading.Timer(1.5, duty.board.press, (200,)).start()
    with Console(duty.board.port) as console:
        answer = console.ask("button")
    assert answer["presses"] == 1 and answer["closures"] >= 1 and len(answer["samples"]) >= 3
    (alarm,) = duty.centre.look(lambda ledger: [one.id for one in ledger.of(DEVICE)])
    assert alarm == answer["alarm"]


@pytest.mark.alone
@both
def test_alarms_arrive_while_questions_are_asked(duty: Duty) -> None:
    over, answers, trouble = threading.Event(), [], []

    def asks() -> None:
        try:
            with Console(duty.board.port) as console:
                while not over.is_set():
                    answers.append(console.ask("status"))
        except ConsoleError as error:
            trouble.append(error)

    asking = threading.Thread(target=asks)
    asking.start()
    try:
        raised = [duty.alarm() for _ in range(5)]
    finally:
        over.set()
        asking.join()
    assert trouble == [] and len(answers) >= 3 and len(set(raised)) == 5
    assert answers[-1]["button"]["presses"] >= 4


def test_an_alarm_is_raised_in_a_flood(duty: Duty) -> None:
    with Typist(duty.board.port) as typist:
        over = threading.Event()

        def floods() -> None:
            while not over.is_set():
                typist.type(b"status\nhelp\n\xff\xfegarbage" * 8)
                time.sleep(0.02)  # about 10 bytes a millisecond, as 115,200 baud

        flood = threading.Thread(target=floods)
        reader = threading.Thread(target=_reads, args=(typist, over), daemon=True)
        flood.start()
        reader.start()
        try:
            for _ in range(3):
                duty.desk.seen.drain(0.4)  # the button was let go for long enough
                duty.board.press(120)
                pressed_s = time.monotonic()
                duty.desk.seen.wait("lamp", 2, state="calling")
                assert time.monotonic() - pressed_s < 0.5
                duty.desk.seen.wait("lamp", PATIENCE_S, state="answered")
                (ident,) = duty.centre.look(
                    lambda ledger: [one.id for one in ledger.of(DEVICE) if one.state != "closed"]
                )
                duty.centre.close(ident)
                duty.desk.seen.wait("lamp", PATIENCE_S, state="ready")
        finally:
            over.set()
            flood.join()
            reader.join()
    assert duty.resets() == []
    with Console(duty.board.port) as console:
        assert console.ask("status")["button"]["presses"] == 3


def _reads(typist: Typist, over: threading.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(AssertionError):
            typist.until(b"what no column says", 0.1)
        typist.shown = b""


def test_a_cable_pulled_in_mid_question_leaves_the_column_on_duty(duty: Duty) -> None:
    with Console(duty.board.port) as console, pytest.raises(ConsoleError, match="still on duty"):
        for line in console.lines("lamp"):
            assert line
            duty.board.unplug()
    duty.alarm()
    duty.board.plug()
    with Console(duty.board.port) as console:
        assert console.ask("status")["button"]["presses"] == 1
    assert duty.resets() == []


def test_mpremote_still_interrupts_the_column_after_questions(duty: Duty) -> None:
    with Console(duty.board.port) as console:
        console.ask("status")
    assert duty.desk.does("resume", "exec", "print(6 * 7)") == "42\n"
    with Console(duty.board.port) as console, pytest.raises(ConsoleError, match="nobody answers"):
        console.ask("status")


# -- the tools


def tool(*arguments: str, timeout_s: float = 30) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=timeout_s, check=False)


def test_logs_and_watch_for_people_and_for_machines(duty: Duty) -> None:
    ident, port = duty.alarm(), duty.board.port
    for_people = tool("field.logs", port)
    assert for_people.returncode == 0 and f"call {ident}: raised" in for_people.stdout, for_people.stderr
    assert "reset: power-on" in for_people.stdout and "(clock-unset): no time since power-up" in for_people.stdout
    assert json.loads(tool("field.logs", port, "--json").stdout)["journal"][0]["id"] == ident
    picture = tool("field.watch", port, "--count", "2").stdout
    for words in ("lamp", "1 presses", "wifi up", "session since", "0 damaged"):
        assert words in picture, picture
    looks = [json.loads(line) for line in tool("field.watch", port, "--count", "2", "--json").stdout.splitlines()]
    assert len(looks) == 2 and looks[1]["uptime_s"] > looks[0]["uptime_s"]
    assert duty.resets() == []


def test_a_port_where_nobody_answers_is_explained(tmp_path: Path) -> None:
    missing = tool("field.logs", str(tmp_path / "none"))
    assert missing.returncode == EXIT_FAILED and "there is no such port; is the cable in?" in missing.stderr
    master, slave = pty.openpty()
    try:
        silent = tool("field.console", os.ttyname(slave), "status")
    finally:
        os.close(master)
        os.close(slave)
    assert silent.returncode == EXIT_FAILED and "nobody answers" in silent.stderr and "make flash" in silent.stderr


def test_the_shell_is_not_bitten_and_the_column_goes_back_on_duty(duty: Duty) -> None:
    """Longer at the prompt than the column's watchdog lets it be silent."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "field.shell", duty.board.port, "--minutes", "1"]
    shell = subprocess.Popen(command, cwd=PROJECT, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    typist = Typist.__new__(Typist)
    typist._file, typist.shown = ours, b""
    with typist:
        typist.until(b"to exit this shell", BOOT_S)
        time.sleep(9)
        typist.talk(b"print('still', 6 * 7)\r", b"still 42")
        assert duty.resets() == []
        typist.type(b"\x1d")
        duty.desk.seen.wait("reset", BOOT_S, cause="hard")
        assert shell.wait(BOOT_S) == 0
    duty.desk.seen.wait("lamp", BOOT_S, state="ready")
    duty.alarm()


# -- words


STATUS: dict[str, Any] = {
    "link": {"kind": "wifi", "up": False, "address": None, "rssi_dbm": None},
    "broker": {"host": "b", "port": 1, "session": False, "error": "no route", "since_s": 7},
    "button": {"stuck": True, "closed": True, "presses": 0, "closures": None, "since_press_s": None},
    "journal": {"records": 1, "damaged": 2, "unsaved": 3},
    "queue": {"open": 0, "waiting": 0, "outbox": 0},
    "health": {"heap_free": 1, "flash_free": 2},
    "faults": [],
    "clock": {"source": "none", "now": None},
    "lamp": "ready",
    "supply_mv": None,
    "uptime_s": None,
    "firmware": {"boot": 9},
}


def test_what_is_wrong_stands_out() -> None:
    found = dict(watch.rows(STATUS, Words("en")))
    assert found["button"].startswith("STUCK") and "uncounted" in found["button"] and "never pressed" in found["button"]
    assert "DOWN" in found["link"] and "no session (no route)" in found["broker"] and found["faults"] == "none"
    text = "\n".join(
        logs.text(
            {
                "reset": {"boot": 3, "cause": "watchdog", "culprit": "uplink"},
                "traceback": ["ValueError: x"],
                "journal": [{"damaged": "xx"}, {"k": "release"}],
                "left_out": 4,
            },
            Words("en"),
        )
    )
    for words in (
        "watchdog, while uplink ran",
        "  ValueError: x",
        "faults: none",
        "damaged: xx",
        "let go",
        "and 4 more",
    ):
        assert words in text


# -- a small heap, over mutual TLS


@pytest.mark.mosquitto
def test_questions_never_take_the_memory_of_an_alarm(tmp_path: Path) -> None:
    need("micropython32")
    need("mosquitto")
    authority = Authority(tmp_path / "pki")
    over, answers, refusals = threading.Event(), [], []

    def asks(port: str) -> None:
        with Console(port) as console:
            while not over.is_set():
                try:
                    answers.append(console.ask("status"))
                except Refused as error:
                    refusals.append(str(error))
                    time.sleep(0.05)

    with (
        Mosquitto(tls=Tls(authority)) as broker,
        Centre(broker.host, broker.port, tls=authority.client("centre")) as centre,
        bench(
            tmp_path,
            memory_rig.configuration(authority, broker),
            runtime="micropython32",
            heap_bytes=ANSWERS_BYTES,
        ) as desk,
    ):
        desk.seen.wait("lamp", BOOT_S, state="ready")
        asking = threading.Thread(target=asks, args=(desk.board.port,))
        asking.start()
        try:
            for number in range(8):
                desk.board.press(120)
                one = raised(centre, number)
                time.sleep(0.25)
                end(centre, one)
            before = len(answers)
            until(lambda: len(answers) > before, "answer in peace")
        finally:
            over.set()
            asking.join()
        events = desk.seen.events + desk.seen.drain(0.2)
    assert not [event for event in events if event["event"] == "reset"]
    assert all("too little memory" in why for why in refusals)


def test_a_locked_column_keeps_its_duty_until_a_code_is_typed(tmp_path: Path) -> None:
    """Ctrl-C in mid duty does nothing to it, alarms go out, the flashing tools come in with the provisioned key, and it
    is locked again afterwards. Red when the interrupt is not taken away, or not given back."""
    need("micropython32")
    key = "5a" * 32
    with EmbeddedBroker() as broker:
        made = run_sim("config", "--device-id", DEVICE, "--region", "nko", "--broker", f"{broker.host}:{broker.port}")
        config = {**json.loads(made.stdout), "access": {"code": True}}
        config["secrets"] = {**config.get("secrets", {}), "auth_key": key}
        known = tmp_path / "known.json"
        known.write_text(json.dumps(config))
        with (
            Centre(broker.host, broker.port) as centre,
            bench(tmp_path, config, runtime="micropython32") as desk,
        ):
            desk.seen.wait("lamp", BOOT_S, state="ready")
            duty = Duty(desk, centre)
            with Typist(duty.board.port) as typist:
                typist.talk(b"\r\x03\x03\r\x01", b'"challenge"')
                typist.talk(b"\r\nlamp\r\n", b"a technician's code is needed")
            duty.alarm()
            assert duty.resets() == [] and duty.board.console == "main.py"
            with Board(duty.board.port, let_in=letting_in(known)) as board:
                assert board.run("print(6 * 7)") == "42\r\n"
            desk.seen.wait("reset", BOOT_S, cause="hard")
            desk.seen.wait("lamp", BOOT_S, state="ready")
            with Console(duty.board.port) as console:
                assert console.ask("status")["locked"] is True
