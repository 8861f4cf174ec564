# mypy: allow-untyped-calls
"""From a board to a running column: every kind of configuration, and a board that refuses one."""

import json
from typing import Any

import pytest
from config_document import document
from config_files_rig import BOOT, good_board, put, run
from fake_board import FakeBoard, FakeReset, FlashMode

from firmware import column
from firmware.lamp import COLOURS
from firmware.startup import start


class Idle:
    def run(self) -> None:
        pass


class Picky(FakeBoard):
    """Refuses one device id's pins, as a driver may."""

    def configure(self, config: dict[str, Any]) -> None:
        if config.get("device_id") == "refused":
            raise ValueError("invalid pin")
        super().configure(config)


def test_a_good_configuration_is_run() -> None:
    board = run(good_board())
    assert board.config["device_id"] == "petropavl-01" and "start" in board.link.calls and board.dog.fed_ms


def test_what_only_the_start_needs_is_forgotten() -> None:
    names = (
        "configure",
        "wiped",
        "config",
        "config_files",
        "seal",
        "pins",
        "addresses",
        "hosts",
        "last_reset",
        "restoring",
        "assembly",
    )
    startup = [*("firmware.startup." + name for name in names), "firmware.startup"]
    assert [name for name in run(good_board()).forgotten if name != "firmware.startup.healthy"] == startup


def test_the_certificates_stay_with_the_board_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the column's copy of the configuration they would take several KB of heap."""
    made: list[Any] = []

    def make(board: Any, boot: Any, config: Any, *_: Any) -> Idle:
        made.append(config)
        return Idle()

    monkeypatch.setattr(column, "Column", make)
    board = good_board()
    taken: list[str] = []
    monkeypatch.setattr(board, "configure", lambda config: taken.append(json.dumps(config)))
    start.run(board, dict(BOOT))
    assert "-----BEGIN" in taken[0] and "-----BEGIN" not in json.dumps(made[0])


def test_a_broken_one_is_said_and_the_last_good_one_run() -> None:
    board = good_board()
    put(board, document(device_id="Ä"))
    run(board)
    assert board.config is not None and board.config["device_id"] == "petropavl-01"
    assert any(line.startswith("configuration: device_id: found ") for line in board.logged)


def test_one_that_the_board_refuses_falls_back_too() -> None:
    board = Picky()
    board.flash = good_board().flash
    put(board, document(device_id="refused"))
    run(board)
    assert board.config is not None and board.config["device_id"] == "petropavl-01"
    assert any("the board refused them: invalid pin" in line for line in board.logged)


def test_with_none_that_works_it_waits_and_says_so_again_and_again() -> None:
    board = run(FakeBoard(), turns=100)
    said = [line for line in board.logged if "there is no such file" in line]
    assert len(said) == 5 and board.link.calls == [] and board.dog is not None and len(board.dog.fed_ms) > 90
    assert board.config["link"] == {"type": "none"} and board.lamp.shown


def asked(typed: bytes) -> tuple[FakeBoard, list[dict[str, Any]]]:
    """A board without a usable configuration, and what its console answers."""
    board = FakeBoard()
    put(board, document(device_id="Ä", broker__port=0))
    board.keys = bytearray(typed)
    run(board, turns=700)
    return board, [json.loads(line.partition("console: ")[2]) for line in board.logged if line.startswith("console: ")]


def test_without_a_configuration_it_says_so_when_it_is_asked() -> None:
    board, said = asked(b"\xff\xfegarbage\nstatus\n")
    assert [line["re"] for line in said] == ["status"] * len(said) and said[-1]["ok"] is True
    assert said[0]["configured"] is False and said[1]["firmware"]["mode"] == "unconfigured"
    errors = [line["errors"][0] for line in said if "errors" in line]
    assert [text.partition(":")[0] for text in errors] == ["device_id", "broker.port"]
    assert board.dog is not None and len(board.dog.fed_ms) > 600 and board.now_ms > 10_000


def test_without_a_configuration_there_is_only_status() -> None:
    for word in (b"files", b"help", b"test"):
        (line,) = asked(word + b"\n")[1]
        assert line["ok"] is False and "no usable configuration; see status" in line["error"]


def test_a_flood_of_questions_does_not_keep_it_from_feeding_its_watchdog() -> None:
    board, said = asked(b"x\r\nstatus\n" * 2000)
    assert board.dog is not None
    fed_ms = board.dog.fed_ms
    assert max(after - before for before, after in zip(fed_ms, fed_ms[1:], strict=False)) < 1000
    assert any(line.get("ok") for line in said)


def test_a_refused_one_without_a_good_one_waits() -> None:
    board = Picky()
    put(board, document(device_id="refused"))
    run(board)
    assert board.config is not None and board.config["link"] == {"type": "none"}


def until_reset(board: FakeBoard) -> int:
    """In ms, what the next life begins with stays on its flash."""
    with pytest.raises(FakeReset):
        start.run(board, dict(BOOT))
    return board.now_ms


def test_a_board_that_refuses_a_valid_one_is_reset_ever_later() -> None:
    """mbedTLS calls a certificate invalid when it has no memory for it. Red until it fed its watchdog for ever."""
    flash, waits_ms = Picky().flash, []
    for _ in range(3):
        board = Picky()
        board.flash = flash
        put(board, document(device_id="refused"))
        waits_ms.append(until_reset(board))
    assert waits_ms == pytest.approx([60_000, 120_000, 240_000], abs=1_000)


def test_a_configuration_that_is_wrong_waits_for_a_technician_alone() -> None:
    board = FakeBoard()
    put(board, document(device_id="Ä"))
    run(board, turns=1_000)
    assert board.now_ms > 300_000


def test_a_flash_that_keeps_no_count_keeps_the_board_from_resetting_without_an_end() -> None:
    board = Picky()
    put(board, document(device_id="refused"))
    board.flash.mode = FlashMode.WRITE_ERROR
    run(board, turns=1_000)
    assert board.now_ms > 300_000


def test_the_fall_back_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by a board that forgot what worked."""
    monkeypatch.setattr("firmware.startup.config.last_good", lambda flash, chip: (None, "none"))
    with pytest.raises(KeyError):  # the fallback configuration has no device id
        test_one_that_the_board_refuses_falls_back_too()


def test_a_technicians_interrupt_leaves_no_green_lamp_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red without the `except` in `start.run`: the lamp keeps its last colour while nobody looks at the button."""
    board = good_board()

    def wait(_timeout_ms: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(board, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        start.run(board, dict(BOOT))
    assert board.lamp.shown[-1][1] == COLOURS["out-of-service"]


def test_a_file_system_that_cannot_be_mounted_is_tried_again() -> None:
    """image/_boot.py left the reason on a disk in RAM. A board that merely has no configuration waits for ever."""
    board = FakeBoard()
    board.flash.files["filesystem.bad"] = b"OSError(19,)"
    with pytest.raises(FakeReset):
        start.run(board, dict(BOOT))
    said = [line for line in board.logged if line.startswith("configuration: ")]
    assert said[0] == "configuration: the file system cannot be mounted: OSError(19,); see docs/flashing.md"
    assert board.now_ms >= 600_000
    assert run(FakeBoard(), turns=1300).now_ms > 600_000
