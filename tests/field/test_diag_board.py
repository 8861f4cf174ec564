"""The check-up of a real column: MicroPython behind a serial port, a real mosquitto with mutual TLS and access list."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from board_probe import Bench, Typist, bench
from centre_probe import end
from column_probe import PATIENCE_S, need
from diag_port import dialogue

from field.access import CENTRE, access_list
from field.diag import command
from field.diag.finding import LINES
from field.telling import EXIT_FAILED
from sim.real.flash_image import PROJECT
from sim.servers.authority import Authority
from sim.servers.broker import Mosquitto, Tls
from sim.servers.centre import Centre
from sim.servers.stand_ins import StreamServer, TimeServer

pytestmark = [pytest.mark.micropython, pytest.mark.mosquitto]
DEVICE = "diag-01"
BOOT_S = 30.0
NOT_FITTED = {"supply", "tamper"}
BY_HAND = {"lamp", "button"}


class BoardOnDuty:
    """One column on duty, and all that it needs."""

    def __init__(self, desk: Bench, broker: Mosquitto, centre: Centre, stream: StreamServer) -> None:
        self.desk, self.broker, self.centre, self.stream = desk, broker, centre, stream
        self.port = desk.board.port

    def alarm(self) -> None:
        before = len(self.centre.look(lambda ledger: ledger.of(DEVICE)))
        self.desk.board.press(150)
        raised = self.centre.wait_for(
            lambda ledger: next(iter(ledger.of(DEVICE)[before:]), None), PATIENCE_S, "the alarm"
        )
        time.sleep(0.3)  # let go, and the debouncer has seen it
        end(self.centre, raised)
        self.desk.seen.wait("lamp", PATIENCE_S, state="ready")

    def resets(self) -> list[Any]:
        self.desk.seen.drain(0.2)
        return [event for event in self.desk.seen.events if event["event"] == "reset"]

    def until_status(self, wanted: Any) -> None:
        """Until a check-up's document is as wanted: a column tries again in its own time."""
        deadline_s = time.monotonic() + 3 * PATIENCE_S
        while True:
            status, document = diag(self.port)
            if wanted(status, document):
                return
            assert time.monotonic() < deadline_s, document


@pytest.fixture(scope="module")
def on_duty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardOnDuty]:
    need("micropython")
    need("mosquitto")
    folder = tmp_path_factory.mktemp("diag")
    authority = Authority(folder / "pki")
    stream = StreamServer()
    with (
        TimeServer() as clock,
        Mosquitto(tls=Tls(authority), acl=access_list([("nko", DEVICE)])) as broker,
        Centre(broker.host, broker.port, tls=authority.client(CENTRE)) as centre,
        bench(folder, document(authority, broker, stream.port, clock.port)) as desk,
    ):
        desk.seen.wait("lamp", BOOT_S, state="ready")
        yield BoardOnDuty(desk, broker, centre, stream)
    stream.stop()


def document(authority: Authority, broker: Mosquitto, stream_port: int, clock_port: int) -> dict[str, Any]:
    identity = authority.client(DEVICE)
    files = ["--ca", str(identity.ca), "--cert", str(identity.cert), "--key", str(identity.key)]
    config = [sys.executable, "-m", "sim", "config", "--device-id", DEVICE, "--region", "nko", *files]
    config += ["--broker", f"{broker.host}:{broker.port}", "--rtsp", f"rtsp://127.0.0.1:{stream_port}/{DEVICE}"]
    made: dict[str, Any] = json.loads(subprocess.run(config, cwd=PROJECT, capture_output=True, check=True).stdout)
    made["clock"] = {"server": "127.0.0.1", "port": clock_port}
    made["broker"]["retry_max_s"] = 2
    return made


def diag(port: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    program = [sys.executable, "-m", "field.diag", port, "--json", *arguments]
    done = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, timeout=90, check=False)
    assert done.stderr == "" and done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def with_verdict(document: dict[str, Any], verdict: str) -> set[str]:
    return {one["line"] for one in document["lines"] if one["verdict"] == verdict}


def finding(document: dict[str, Any], line: str) -> str:
    return next(str(one["finding"]) for one in document["lines"] if one["line"] == line)


def test_a_column_on_duty_passes_in_every_line(on_duty: BoardOnDuty) -> None:
    on_duty.until_status(lambda status, document: status == 0)
    status, document = diag(on_duty.port)
    assert with_verdict(document, "-") == NOT_FITTED | BY_HAND, document
    assert with_verdict(document, "PASS") | with_verdict(document, "WARN") == set(LINES) - NOT_FITTED - BY_HAND
    # The authority of tests signs for 30 days, which the check-up finds short.
    assert with_verdict(document, "WARN") <= {"tls"} and status == 0 and document["device_id"] == DEVICE
    on_duty.alarm()
    assert on_duty.resets() == []


def test_a_stream_that_is_down_fails_in_its_line_and_is_well_again(on_duty: BoardOnDuty) -> None:
    on_duty.stream.stop()
    try:
        status, document = diag(on_duty.port)
    finally:
        on_duty.stream.start()
    assert status == EXIT_FAILED and with_verdict(document, "FAIL") == {"stream"}
    assert "refused" in next(one["text"] for one in document["lines"] if one["line"] == "stream")
    assert with_verdict(diag(on_duty.port)[1], "FAIL") == set()


def test_a_broker_that_is_down_fails_in_its_line_and_is_well_again(on_duty: BoardOnDuty) -> None:
    on_duty.broker.stop()
    try:
        on_duty.until_status(lambda status, document: finding(document, "broker") == "broker.down")
        status, document = diag(on_duty.port)
        assert status == EXIT_FAILED and with_verdict(document, "FAIL") == {"broker"}
        assert {one["line"] for one in document["lines"] if one["because"] == "broker"} == {
            "tls", "login", "access", "alarm"}  # fmt: skip
    finally:
        on_duty.broker.start()
    on_duty.until_status(lambda status, document: status == 0)


def test_an_access_list_that_is_too_wide_fails_in_its_line_and_is_well_again(on_duty: BoardOnDuty) -> None:
    wide = f"user {CENTRE}\ntopic readwrite #\nuser {DEVICE}\ntopic readwrite #"
    narrow, on_duty.broker.acl = on_duty.broker.acl, wide
    try:
        on_duty.broker.stop()
        on_duty.broker.start()
        on_duty.until_status(lambda status, document: finding(document, "access") == "access.foreign")
        status, document = diag(on_duty.port)
        assert status == EXIT_FAILED and with_verdict(document, "FAIL") == {"access"}
    finally:
        on_duty.broker.acl = narrow
        on_duty.broker.stop()
        on_duty.broker.start()
    on_duty.until_status(lambda status, document: status == 0)
    on_duty.alarm()


def test_a_technician_presses_the_real_button(on_duty: BoardOnDuty) -> None:
    with dialogue(on_duty.port, "--lang", "en") as (typist, process):
        for colour in (b"red", b"green", b"blue", b"white"):
            typist.until(b"Did you see " + colour, PATIENCE_S)
            typist.type(b"y\n")
        typist.until(b"Test the button now?")
        before = len(on_duty.centre.look(lambda ledger: ledger.of(DEVICE)))
        typist.talk(b"y\n", b"You have 10 s")
        on_duty.desk.board.press(250)
        raised = on_duty.centre.wait_for(
            lambda ledger: next(iter(ledger.of(DEVICE)[before:]), None), PATIENCE_S, "the alarm"
        )
        shown = typist.until(b"the centre closes alarm " + raised.id.encode(), PATIENCE_S)
        assert process.wait(PATIENCE_S) == 0
    text = shown.decode()
    assert "all seen: red, green, blue, white" in text and "presses 1" in text
    assert text.count("█") > 20, "a press of 250 ms fills the enlarged row behind its first closing"
    on_duty.centre.close(raised.id)
    on_duty.desk.seen.wait("lamp", PATIENCE_S, state="ready")


def test_a_cable_pulled_in_the_middle_leaves_the_column_on_duty(on_duty: BoardOnDuty) -> None:
    on_duty.until_status(lambda status, document: status == 0)  # from now on `status` is asked once
    program = [sys.executable, "-m", "field.diag", on_duty.port, "--json"]
    with subprocess.Popen(program, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as running:
        on_duty.desk.board.unplug_after(received=len("\nstatus\n\nfiles\n"))
        out, _ = running.communicate(timeout=PATIENCE_S * 2)
    found = json.loads(out)
    assert running.returncode == command.EXIT_NOBODY and found["error"]
    assert {"duty", "flash", "login"} <= with_verdict(found, "PASS") and with_verdict(found, "FAIL") == set()
    assert finding(found, "alarm") == "any.not-reached"
    on_duty.alarm()
    on_duty.desk.board.plug()
    on_duty.until_status(lambda status, document: status == 0)
    assert on_duty.resets() == []


def test_an_interrupted_column_is_checked_when_its_watchdog_has_put_it_back_on_duty(on_duty: BoardOnDuty) -> None:
    assert on_duty.desk.does("resume", "exec", "print(6 * 7)") == "42\n"
    status, document = diag(on_duty.port)
    assert status == 0 and finding(document, "duty") == "duty.ok"
    assert len(on_duty.resets()) == 1
    on_duty.alarm()


def test_a_board_at_its_prompt_is_recognized(tmp_path: Path) -> None:
    """One that was never flashed; its raw prompt, which echoes nothing, too."""
    need("micropython")
    with bench(tmp_path) as desk:
        desk.console("friendly")
        for _ in range(2):
            status, document = diag(desk.board.port)
            assert status == EXIT_FAILED and finding(document, "duty") == "duty.prompt"
            assert with_verdict(document, "-") == set(LINES) - {"duty"}
            with Typist(desk.board.port) as typist:
                typist.talk(b"\x01", b"raw REPL")


def test_an_unconfigured_board_is_recognized(tmp_path: Path) -> None:
    need("micropython")
    with bench(tmp_path, b'{"v": 1}') as desk:
        desk.seen.wait("lamp", BOOT_S, state="out-of-service")
        status, document = diag(desk.board.port)
    assert status == EXIT_FAILED and finding(document, "duty") == "duty.unconfigured"
    assert "device_id" in document["lines"][0]["text"] and "make flash" in document["lines"][0]["next"]
