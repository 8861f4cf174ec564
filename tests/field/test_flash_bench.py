"""Flashing several boards: one identity on one board, one verdict for each, whatever other cables do; and the log.

The boards here are scripts: what a real one does with what it is sent is in test_flash_board.py.
"""

import json
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from config_document import document

from field import bundle, flash, flashed
from field.board import BoardError
from field.telling import EXIT_INTERRUPTED
from field.words import LANGUAGES, Words
from firmware.resets import ADDRESS_FILE

ARMED = ["column: armed"]
CONNECTED = [*ARMED, "uplink: session with 192.0.2.1:8883"]


class Script:
    """What is behind a port: which column it serves as, and what befalls it."""

    def __init__(self, serves: str | None = None, says: Iterable[str] = CONNECTED, **survey: Any) -> None:
        self.serves, self.says = serves, says
        self.changes = survey
        self.sent: list[str] = []
        self.raises: Exception | None = None
        self.fed = 0


BOARDS: dict[str, Script] = {}


class FakeBoard:
    def __init__(self, port: str, grace_ms: int, let_in: object) -> None:
        self.port, self._script = port, BOARDS[port]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def survey(self) -> dict[str, Any]:
        if self._script.raises is not None:
            raise self._script.raises
        return {
            "files": {}, "machine": "ESP32", "version": [1, 25, 0], "mpy": bundle.make().mpy_version, "active": "",
            "umqtt": True, "free_bytes": 1 << 20,
            "frozen": None, "idf_heap": [[0, 1 << 22, 1 << 22, 0]], "gc_bytes": 1 << 22,
            "uid": f"uid-of-{self.port}", "device_id": self._script.serves,
            **self._script.changes,
        }  # fmt: skip

    def send(self, name: str, data: bytes) -> Iterator[int]:
        self._script.sent.append(name)
        yield len(data)

    def lines(self, for_s: float) -> Iterator[str]:
        yield from self._script.says
        while True:
            yield ""

    def feed(self) -> None:
        self._script.fed += 1

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@pytest.fixture(autouse=True)
def _boards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(flash, "Board", FakeBoard)
    monkeypatch.setattr(flash, "_verify", lambda board, wanted: None)
    monkeypatch.setattr(flash, "FEED_EVERY_S", 0.01)
    monkeypatch.setattr(flash, "SESSION_WITHIN_S", 0.01)
    BOARDS.clear()
    yield


@pytest.fixture
def columns(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        folder = tmp_path / "columns" / name
        folder.mkdir(parents=True)
        whole = document(device_id=name)
        (folder / "config.json").write_text(
            json.dumps({key: value for key, value in whole.items() if key != "secrets"})
        )
        (folder / "secrets.json").write_text(json.dumps(whole["secrets"]))
        (folder / "chip").write_text("esp32\n")
    return tmp_path / "columns"


@pytest.fixture
def run(columns: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*boards: str, **options: Any) -> tuple[int, str, str]:
        arguments = ["--log", str(columns.parent / "flashed.csv"), *(f"--{name}" for name in options)]
        status = flash.main([*boards, *arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return run


def sent(port: str) -> bool:
    return bool(BOARDS[port].sent)


# -- one identity, one board


def test_two_boards_are_not_made_one_column(run: Any, columns: Path) -> None:
    BOARDS.update(b1=Script(), b2=Script())
    status, _, err = run(f"b1={columns}/one", f"b2={columns}/one")
    assert status == 1 and "b1, b2" in err and "'one'" in err and not sent("b1") and not sent("b2")


def test_two_boards_that_serve_as_one_column_are_both_refused(run: Any, columns: Path) -> None:
    """Only they know it; nothing may be sent to the first before the second has answered. Red without `Roll`."""
    BOARDS.update(b1=Script("one"), b2=Script("one"), b3=Script("two"))
    status, out, err = run(f"b1={columns}", f"b2={columns}", f"b3={columns}")
    assert status == 1 and err.count("take each other's session") == 2
    assert not sent("b1") and not sent("b2") and "b3: column two: folder a is in force" in out


def test_a_board_that_does_not_answer_holds_nobody_up(run: Any, columns: Path) -> None:
    BOARDS.update(b1=Script("one"), b2=Script())
    BOARDS["b2"].raises = BoardError("b2", "board.silent", error="x")
    status, out, err = run(f"b1={columns}", f"b2={columns}")
    assert status == 1 and "b1: column one" in out and "error: b2: stopped answering" in err


def test_one_port_twice(run: Any, columns: Path) -> None:
    BOARDS.update(b1=Script())
    assert run(f"b1={columns}/one", f"b1={columns}/two")[0] == 1 and not sent("b1")


def test_another_identity_over_a_serving_one_asks(run: Any, columns: Path) -> None:
    BOARDS.update(b1=Script("two"))
    status, _, err = run(f"b1={columns}/one")
    assert status == 1 and "serves as column 'two', not 'one'" in err and "FORCE=1" in err and not sent("b1")
    assert run(f"b1={columns}/one", force=True)[0] == 0 and sent("b1")


def test_the_right_board_needs_no_force(run: Any, columns: Path) -> None:
    BOARDS.update(b1=Script("one"), b2=Script(None))
    assert run(f"b1={columns}/one", f"b2={columns}/two")[0] == 0


# -- verdicts


def test_every_verdict_names_port_and_column(run: Any, columns: Path) -> None:
    BOARDS.update(b1=Script(), b2=Script(says=["main: restarting"]))
    status, out, err = run(f"b1={columns}/one", f"b2={columns}/two")
    assert status == 1 and "\nb1: column one: " in out and "error: b2: column two: the new firmware" in err


@pytest.mark.parametrize(
    "raises", [ValueError("noise"), KeyError("files"), OSError(28, "No space left on device", "x")]
)
def test_one_boards_surprise_leaves_the_others_verdicts(run: Any, columns: Path, raises: Exception) -> None:
    """Red when a thread's exception ends the program: the good board's verdict is lost, behind a traceback."""
    BOARDS.update(b1=Script(), b2=Script())
    BOARDS["b2"].raises = raises
    status, out, err = run(f"b1={columns}/one", f"b2={columns}/two")
    assert status == 1 and "b1: column one: folder a is in force" in out and "error: b2: column two: " in err


def test_the_wrong_board_on_the_cable_is_not_a_wrong_pin(run: Any, columns: Path) -> None:
    BOARDS.update(b1=Script(machine="ESP32S3"))
    _, _, err = run(f"b1={columns}/one")
    assert "the board is an esp32s3" in err and "is for: esp32" in err and "pins" not in err and not sent("b1")


def test_a_lost_session_is_a_failure_where_there_was_one(run: Any, columns: Path) -> None:
    """A wrong Wi-Fi password must not end in "up to date"; on a bench without a network, the first flash may."""
    BOARDS.update(b1=Script("one", says=ARMED, files={ADDRESS_FILE: "0"}), b2=Script(None, says=ARMED))
    status, out, err = run(f"b1={columns}/one", f"b2={columns}/two")
    assert status == 1 and "NOT CONNECTED" in err and "had a session before" in err
    assert "b2: column two" in out and "NOT CONNECTED" in out


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """It meets the main thread where that waits for the boards. A real signal may meet it anywhere: in the callback of
    a weak reference, which swallows it, or behind the test, which ends all others of its process."""
    pressed = threading.Event()

    def interrupted(each: object) -> None:
        assert pressed.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(flash, "wait", interrupted)
    return pressed.set


def test_ctrl_c_ends_the_waiting_for_a_session(
    run: Any, columns: Path, monkeypatch: pytest.MonkeyPatch, ctrl_c: Callable[[], None]
) -> None:
    """It was waited for to its end, half a minute, and then nothing was told. Red when the waiting goes on, or when the
    verdict is lost."""
    monkeypatch.setattr(flash, "SESSION_WITHIN_S", 5.0)

    def says() -> Iterator[str]:
        yield from ARMED
        ctrl_c()

    BOARDS.update(b1=Script("one", says=says()))
    status, _, err = run(f"b1={columns}/one")
    assert status == EXIT_INTERRUPTED and "b1: column one: interrupted while the column started" in err


def test_ctrl_c_at_a_board_that_gives_no_prompt_ends_behind_the_first_attempt(columns: Path) -> None:
    """Three attempts were made, and a code asked for in between. Red where the next one is made."""
    roll = flash.Roll()
    let_in = flash._letting_in(flash.Job("b1", columns / "one"), roll)
    roll.stop()
    with pytest.raises(flash.FlashError) as stopped:
        let_in("b1")
    assert stopped.value.key == "flash.interrupted"


def test_ctrl_c_before_that_changes_nothing(
    run: Any, columns: Path, monkeypatch: pytest.MonkeyPatch, ctrl_c: Callable[[], None]
) -> None:
    """Red when the steps go on, or when an interrupted board is put in force."""
    activated: list[str] = []

    def stopping(board: FakeBoard, *_: object) -> Iterator[None]:
        ctrl_c()
        end_s = time.monotonic() + 10
        while time.monotonic() < end_s:
            time.sleep(0.01)
            yield
        activated.append(board.port)

    monkeypatch.setattr(flash, "steps", stopping)
    BOARDS.update(b1=Script("one"))
    status, _, err = run(f"b1={columns}/one")
    assert (status, activated) == (EXIT_INTERRUPTED, []) and "what was in force before stays in force" in err


@pytest.mark.parametrize("language", LANGUAGES)
def test_verdicts_are_in_the_persons_language(columns: Path, capsys: pytest.CaptureFixture[str], language: str) -> None:
    BOARDS.update(b1=Script(), b2=Script(machine="ESP32S3"))
    log = columns.parent / "log.csv"
    flash.main([f"b1={columns}/one", f"b2={columns}/two", "--log", str(log), "--lang", language])
    out, err = capsys.readouterr()
    said = Words(language)
    assert said("flash.in-force", slot="a") in out and said("flash.line", port="b1", column="one", what="")[:-2] in out
    assert said("document.other-chip", path=columns / "two", found="esp32s3", fits="esp32") in err


# -- the log


def test_what_went_onto_which_board_is_written_down(run: Any, columns: Path) -> None:
    BOARDS.update(b1=Script(), b2=Script("two"))
    run(f"b1={columns}/one", f"b2={columns}/one")
    run(f"b1={columns}/one")
    run(f"b2={columns}/one")
    log = columns.parent / "flashed.csv"
    entries = flashed.read(log)
    assert [(one.board, one.column, one.port) for one in entries] == [
        ("uid-of-b1", "one", "b1"), ("uid-of-b2", "one", "b2")]  # fmt: skip
    assert entries[0].result == flashed.OK and "serves as column" in entries[1].result
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_log_says_why_in_the_persons_language(columns: Path, language: str) -> None:
    """A technician reads it in a spreadsheet. What programs look for is the same in all languages: a column that was
    flashed by somebody of another language is still known. Red with the verdict as an English string."""
    BOARDS.update(b1=Script("two"), b2=Script(), b3=Script())
    log = columns.parent / "log.csv"
    for number, spoken in enumerate((language, "kk"), 1):
        flash.main([f"b1={columns}/one", "--log", str(log), "--lang", spoken])
        flash.main([f"b{number + 1}={columns}/one", "--log", str(log), "--lang", spoken])
    failed, good, _, again = flashed.read(log)
    why = Words(language)("flash.serves", carried="two", wanted="one")
    assert failed.result == why.partition("\n")[0] and good.result == again.result == flashed.OK
    assert flashed.elsewhere(log, "uid-of-b2", "one") == again


FAILED = flashed.Entry("2026-01-02T03:04:05+00:00", "240a", "one", "1.0.0", "/dev/x", "не открывается; =1+1")


@pytest.mark.parametrize("before", ["", "at,board,column,version,port,result\r\n"], ids=["new", "begun before"])
def test_the_log_opens_in_a_spreadsheet_program(tmp_path: Path, before: str) -> None:
    """In columns and with its letters, also where the list separator is a semicolon, and no text of a board's is a
    formula. Red with commas alone, or without the mark. A log that has commas already keeps them, and is read."""
    log = tmp_path / "flashed.csv"
    if before:
        log.write_bytes(before.encode())
    flashed.note(log, FAILED)
    flashed.note(log, FAILED._replace(result=flashed.OK))
    assert flashed.read(log) == [FAILED, FAILED._replace(result=flashed.OK)]
    text = log.read_bytes().decode()
    assert text.startswith(before or "\ufeffat;board;column;version;port;result\r\n") and "; =1" not in text
    assert flashed.elsewhere(log, "other", "one") == flashed.read(log)[1]


def test_a_column_on_a_second_board_is_pointed_out(run: Any, columns: Path) -> None:
    BOARDS.update(b1=Script(), b2=Script())
    assert "warning" not in run(f"b1={columns}/one")[1]
    assert "warning" not in run(f"b1={columns}/one")[1]
    status, out, _ = run(f"b2={columns}/one")
    assert status == 0 and "warning: one went onto board uid-of-b1 too" in out


def test_a_log_that_cannot_be_written_is_told_and_takes_no_verdict_away(run: Any, columns: Path) -> None:
    (columns.parent / "flashed.csv").mkdir()
    BOARDS.update(b1=Script())
    status, out, _ = run(f"b1={columns}/one")
    assert status == 0 and "folder a is in force" in out and "not written into the log" in out
