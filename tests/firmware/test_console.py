# mypy: allow-untyped-calls
"""The console: what is typed while the column is on duty, what it answers, and that it holds nothing up."""

import random
from typing import Any

import column_rig
import pytest
from column_rig import Rig
from console_rig import TypingBoard, merged, said, typed
from fake_board import FlashMode

from firmware import console, journal, lamp, record
from firmware.console import help, talk
from firmware.console import lamp as lamp_command

READ_MAX = 32
NOTICED_MS = 50
ANSWERS_A_S_MAX = 6


# -- lines


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(column_rig, "FakeBoard", TypingBoard)
    return Rig().up()


def test_help_names_every_command(rig: Rig) -> None:
    answer = merged(typed(rig, b"help\n"))
    named = [one["command"] for one in answer["commands"]]
    assert answer["ok"] is True and named == [name for name, _ in help.COMMANDS]
    for name in named:
        lines = typed(rig, name.encode() + b"\r\n", 13_000)
        assert lines and lines[-1]["ok"] in (True, False) and "unknown" not in lines[-1].get("error", ""), name


def test_a_command_may_come_in_pieces_in_capitals_and_between_blanks(rig: Rig) -> None:
    assert typed(rig, b"  HE") == []
    assert typed(rig, b"lp \r")[-1] == {"re": "help", "ok": True}


def test_a_half_line_is_forgotten_and_its_end_is_no_command(rig: Rig) -> None:
    assert typed(rig, b"sta", talk.LINGER_MS + 2500) == []
    assert "firmware.console.talk" in rig.board.forgotten
    assert typed(rig, b"tus\n")[-1]["error"] == "unknown command; type: help"


@pytest.mark.parametrize(
    "garbage",
    [
        "статус\n".encode(),
        "көмек\n".encode(),
        b"hel\x00p\n",
        b"\xff\xfe\x80\n",
        b"help" + b" " * talk.LINE_MAX + b"\n",
        b"\n\r\n  \n",
        b"a-word-too-long-to-be-a-command\n",
        b'console: {"re":"help","ok":true}\n',
    ],
)
def test_garbage_is_ignored_and_the_next_line_is_heard(rig: Rig, garbage: bytes) -> None:
    assert typed(rig, garbage) == []
    assert typed(rig, b"help\n")[-1]["ok"] is True


def test_an_unknown_command_is_told_how_to_go_on(rig: Rig) -> None:
    assert typed(rig, b"reboot\n") == [{"re": "reboot", "ok": False, "error": "unknown command; type: help"}]


@pytest.mark.parametrize("word", ["dance", "talk", "const", "__init__", "__dict__", "__class__", "__path__"])
def test_what_is_no_command_is_not_forgotten(rig: Rig, word: str) -> None:
    """Its package has each of them but the first: on a chip some took the console's names, others ended in a KeyError,
    and in a reset."""
    assert typed(rig, word.encode() + b"\n")[-1]["ok"] is False
    assert f"firmware.console.{word}" not in rig.board.forgotten[:-1]  # the last is the console's own, see `_end`


def test_what_nobody_foresaw_ends_the_console_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red without the last `except` of its step: the watchdog would reset the column."""

    def breaks(_: talk.Talk, typed: bytes) -> int:
        raise KeyError("typed")

    with monkeypatch.context() as broken:
        broken.setattr(talk.Talk, "step", breaks)
        assert typed(rig, b"help\n") == []
    assert rig.board.logged[-1] == "the console ended: KeyError('typed')"
    assert typed(rig, b"help\n")[-1]["ok"] is True


def test_a_module_at_work_is_not_emptied(rig: Rig) -> None:
    """The tests' board notices it: on a chip the next line would find none of its names."""
    with pytest.raises(AssertionError, match="is emptied while test_a_module_at_work_is_not_emptied runs"):
        rig.board.discard(__name__)


def test_a_further_command_ends_the_one_that_runs(rig: Rig) -> None:
    typed(rig, b"lamp\n", 500)
    lines = typed(rig, b"help\n")
    assert lines[0] == {"re": "lamp", "ok": False, "error": "another command came"} and lines[-1]["ok"] is True
    assert rig.lamp() == "ready"


# -- nothing is held up


def flood(rig: Rig) -> list[int]:
    """Random bytes without end, and a press in them: how many were read in one go."""
    dice = random.Random(3)
    board: Any = rig.board
    board.keys = bytearray(dice.choice(b"abc help\r\n\xff\x00") for _ in range(40_000))
    pressed_ms = board.now_ms + 20
    board.contact.wave((20, 1), (170, 0))
    while not rig.column.button.presses:
        rig.column.supervisor.turn()
    assert board.now_ms - pressed_ms - 40 <= NOTICED_MS and rig.lamp() == "calling"
    rig.run(200)
    return list(board.read_bytes)


def test_a_flood_takes_little_of_each_turn_and_no_press_is_missed(rig: Rig) -> None:
    assert max(flood(rig)) <= READ_MAX
    rig.run(1000)
    assert rig.column.button.presses == 1 and len(rig.said("alarm")) == 1


def test_a_console_that_reads_all_at_once_would_be_noticed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_READ_BYTES", 10_000)
    assert max(flood(rig)) > READ_MAX


def begun(rig: Rig) -> int:
    lines = typed(rig, b"status\nhelp\n" * 3000, 5000)
    return sum("ok" in line for line in lines)


def test_a_flood_of_commands_is_answered_a_few_times_a_second(rig: Rig) -> None:
    assert 2 <= begun(rig) <= 5 * ANSWERS_A_S_MAX


def test_a_console_that_answers_each_would_be_noticed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "AGAIN_MS", 0)
    assert begun(rig) > 5 * ANSWERS_A_S_MAX


@pytest.mark.parametrize("error", [MemoryError(), OSError(5, "flash read"), ValueError("bad"), RuntimeError("x")])
def test_what_goes_wrong_in_an_answer_is_told_and_ends_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails() -> int:
        raise error

    monkeypatch.setattr(rig.board.flash, "free_bytes", fails)
    last = typed(rig, b"status\n")[-1]
    assert last["ok"] is False and str(error) in last["error"]
    monkeypatch.undo()
    assert typed(rig, b"status\n")[-1]["ok"] is True and rig.column.supervisor.culprit is None


def test_no_memory_for_an_answer_is_survived(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(value: Any) -> bytearray:
        raise MemoryError

    typed(rig, b"lamp\n", 300)
    monkeypatch.setattr("firmware.encoding.encode", starved)
    assert typed(rig, b"help\n", 300) == []
    monkeypatch.undo()
    assert rig.column.supervisor.culprit is None and rig.run(100).lamp() == "ready"
    assert lamp.COLOURS["identify"] == (255, 64, 0)
    assert typed(rig, b"help\n")[-1]["ok"] is True


@pytest.mark.parametrize("free", [console.NEEDS_BYTES - 1, 0])
def test_an_answer_takes_no_memory_that_an_alarm_may_need(rig: Rig, free: int) -> None:
    rig.board.heap_free = free
    assert typed(rig, b"status\n") == [{"re": "", "ok": False, "error": "too little memory is free"}]
    rig.board.heap_free = console.NEEDS_BYTES
    typed(rig, b"help\n", 300)
    rig.board.heap_free = talk.NEEDS_BYTES - 1
    assert typed(rig, b"status\n")[-1] == {"re": "status", "ok": False, "error": "too little memory is free"}


@pytest.mark.parametrize(
    ("command", "free", "is_cut"),
    [
        (b"test", console.SCARCE_BYTES - 1, True),
        (b"test", console.SCARCE_BYTES, False),
        (b"button", console.SCARCE_BYTES - 1, False),  # it is about the press
    ],
)
def test_an_alarm_takes_back_what_an_answer_has(rig: Rig, command: bytes, free: int, is_cut: bool) -> None:
    """Red without `Console.make_room`: in a stock image's heap the press died of a MemoryError."""
    typed(rig, command + b"\n", 100)
    rig.board.heap_free = free
    before = len(rig.board.logged)
    ident = rig.press()
    assert ident in {alarm["id"] for alarm in rig.said("alarm")} and rig.column.supervisor.culprit is None
    cut = {"re": command.decode(), "ok": False, "error": talk.SHORT}
    assert (cut in said(rig, before)) is is_cut and (rig.column.console._talk is None) is is_cut
    assert ("firmware.console.talk" in rig.board.forgotten) is is_cut


@pytest.mark.parametrize(
    ("free", "has"),
    [
        (5_999, []), (6_000, ["drills"]), (11_749, ["drills"]), (11_750, ["drills", "console"]),
        (13_499, ["drills", "console"]), (13_500, ["drills", "console", "looks"]),
    ],
)  # fmt: skip
def test_what_an_alarm_does_not_need_is_left_out_where_memory_is_scarce(
    monkeypatch: pytest.MonkeyPatch, free: int, has: list[str]
) -> None:
    """Drills go last: a column that nobody drills fails silently."""

    class Small(TypingBoard):
        def __init__(self, *args: Any, **changes: Any) -> None:
            super().__init__(*args, **changes)
            self.heap_free = free

    monkeypatch.setattr(column_rig, "FakeBoard", Small)
    rig = Rig(selftest__drill_s=1).up()
    names = [entry.task.name for entry in rig.column.supervisor._entries]
    assert [name for name in ("drills", "console", "looks") if name in names] == has
    lacks = [word for word in ("drills", "console", "looks at the stream") if word.split(" ")[0] not in has]
    told = [text for text in rig.board.logged if text.endswith("bytes of heap are free")]
    assert told == ([f"column: no {', no '.join(lacks)}: only {free} bytes of heap are free"] if lacks else [])
    rig.run(5_000)
    assert bool(rig.said("alarm")) is ("drills" in has)


@pytest.mark.parametrize(
    ("free", "system_free", "drills"), [(2_499, 98_304, 0), (2_500, 98_304, 1), (2_500, 98_303, 0)]
)
def test_code_in_place_leaves_room_for_drills_earlier(
    monkeypatch: pytest.MonkeyPatch, free: int, system_free: int, drills: int
) -> None:
    class Small(TypingBoard):
        def __init__(self, *args: Any, **changes: Any) -> None:
            super().__init__(*args, **changes)
            self.heap_free, self.system_free = free, system_free

    monkeypatch.setattr(column_rig, "FakeBoard", Small)
    assert bool(Rig().column.drills) is bool(drills)


def test_a_board_that_only_shows_has_no_console() -> None:
    rig = Rig().up()
    assert "console" not in [entry.task.name for entry in rig.column.supervisor._entries]


# -- commands


def test_status_tells_what_the_column_knows(rig: Rig) -> None:
    rig.column.button.look()
    ident = rig.press()
    rig.board.supply = 11_900
    status = merged(typed(rig, b"status\n"))
    assert status["firmware"]["boot"] == column_rig.BOOT and status["firmware"]["mode"] == "normal"
    assert status["config"]["source"] == "current" and status["chip"]["chip"] == "esp32"
    assert status["reset"] == {"cause": "power-on", "culprit": None, "traceback": False}
    assert status["health"] == {
        "heap_free": rig.board.heap_free,
        "system_free": rig.board.system_free,
        "flash_free": rig.board.flash.free,
    }
    assert status["supply_mv"] == 11_900 and status["uptime_s"] >= 3
    assert status["journal"]["records"] == 2 and status["journal"]["damaged"] == 0 and ident
    assert status["queue"]["open"] == 1 and status["lamp"] in ("sent", "calling")
    assert status["link"]["gateway"] == "10.0.0.1" and status["link"]["up"] is True
    assert status["broker"]["session"] is True and status["broker"]["address"] == "10.0.0.2"
    assert status["button"]["presses"] == 1 and status["button"]["closures"] == 1
    assert status["button"]["since_press_s"] <= 2 and status["faults"] == ["clock-unset"]


def test_status_counts_damaged_records_of_a_long_journal(rig: Rig) -> None:
    good = b"".join(record.frame(b'{"k":"press","id":"x","n":%d}' % n) for n in range(30))
    rig.board.flash.files[journal.FILE] = good + b"\n12345678 torn\n" + b"\xff" * 2000
    found = merged(typed(rig, b"status\n"))["journal"]
    assert found["records"] == 30 and found["damaged"] >= 2


def test_logs_are_journal_faults_and_the_last_reset(rig: Rig) -> None:
    rig.column.last_reset["traceback"] = "Traceback:\n  File x\nValueError: y"
    ident = rig.press()
    rig.board.flash.files[journal.FILE] += b"\ndamaged \xff line\n"
    logs = merged(typed(rig, b"logs\n", 3000))
    assert logs["traceback"] == ["Traceback:", "  File x", "ValueError: y"]
    assert logs["journal"][0]["id"] == ident and logs["journal"][-1] == {"damaged": "damaged . line"}
    assert logs["faults"] == [{"id": "clock-unset", "since": None, "detail": "no time since power-up"}]


def test_a_flash_that_cannot_be_read_is_told(rig: Rig) -> None:
    rig.board.flash.mode = FlashMode.READ_ERROR
    assert "flash read" in typed(rig, b"logs\n")[-1]["error"]


def test_the_lamp_shows_each_colour_and_no_state(rig: Rig) -> None:
    before = len(rig.board.lamp.shown)
    answer = merged(typed(rig, b"lamp\n", 6000))
    shown = [colour for _, colour in rig.board.lamp.shown[before:]]
    assert answer["ok"] is True and answer["colours"] == [name for name, _ in lamp_command.COLOURS]
    assert {colour for _, colour in lamp_command.COLOURS} <= set(shown)
    assert set(shown) & set(column_rig.NAME_OF) == {lamp.COLOURS["ready"]}, "only what it shows again at its end"
    assert rig.lamp() == "ready"


def test_a_press_takes_the_lamp_back_at_once(rig: Rig) -> None:
    typed(rig, b"lamp\n", 1500)
    before = len(rig.board.lamp.shown)
    rig.press()
    assert rig.board.lamp.shown[before:] and rig.lamp() in ("calling", "sent")
    assert "the lamp is needed" in said(rig)[-1]["error"]


def test_the_button_shows_its_bounce_and_raises_a_real_alarm(rig: Rig) -> None:
    rig.board.keys = bytearray(b"button\n")
    rig.run(500)
    rig.board.contact.wave((0, 1), (2, 0), (4, 1), (200, 0))
    rig.run(11_000)
    answer = merged(said(rig))
    assert answer["ok"] is True and answer["presses"] == 1 and answer["closures"] == 2
    levels = [closed for _, closed, _ in answer["samples"]]
    assert levels[0] == 0 and levels[-1] == 0 and 1 in levels
    assert sum(edges for _, _, edges in answer["samples"]) == 2
    alarms = rig.said("alarm")  # again and again: nobody answers
    assert {(one["status"], one["id"]) for one in alarms} == {("actual", answer["alarm"])}
    assert rig.events("button-test")


def test_a_test_alarm_tells_each_leg(rig: Rig) -> None:
    typed(rig, b"test\n", 500)
    (drill,) = rig.said("alarm")
    assert drill["status"] == "test"
    rig.answer(drill["id"], "received")
    rig.run(500)
    answer = merged(said(rig))
    assert answer["ok"] is True and answer["id"] == drill["id"]
    assert 0 <= answer["sent_ms"] <= answer["broker_ms"] <= answer["centre_ms"] < 2000


def test_a_test_alarm_that_nobody_answers_is_refused_with_the_leg_that_worked(rig: Rig) -> None:
    lines = typed(rig, b"test\n", 14_000)
    assert lines[-1]["ok"] is False and "did not answer" in lines[-1]["error"]
    assert lines[-2]["broker_ms"] is not None


def test_no_test_in_safe_mode_or_without_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_rig, "FakeBoard", TypingBoard)
    safe = Rig(mode="safe").run(3000)
    assert "safe mode" in typed(safe, b"test\n")[-1]["error"]
    assert merged(typed(safe, b"status\n"))["firmware"]["mode"] == "safe"
    away = Rig().up()
    away.board.link.up = False
    assert "no session" in typed(away, b"test\n")[-1]["error"]
