# mypy: allow-untyped-calls
"""Commands from the centre: what is refused, how it is told, and that none of them touches an incident."""

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest
from fake_board import EPOCH_MS, FakeBoard, FlashMode

from contract import validator
from firmware import orders, rfc3339
from firmware.commands import Actions, Commands
from firmware.messages import Messages
from firmware.outbox import Outbox
from firmware.record import frame

ROOT = "sos/v1/nko/p-1/"
LOCATION = {"geo": "geo:54.8753,69.1628", "address": "x", "site": "public", "height_m": 1.0}


class FakeClock:
    def __init__(self, board: FakeBoard) -> None:
        self._board = board
        self.source = "ntp"

    def now_ms(self) -> int:
        return self._board.epoch_ms()

    def text(self, epoch_ms: int | None) -> str | None:
        return None if epoch_ms is None else rfc3339.text(epoch_ms)

    def now_text(self) -> str | None:
        return None if self.source == "none" else rfc3339.text(self.now_ms())


class FakeColumn:
    """What the actions ask of the column; every touch of an incident counts."""

    def __init__(self) -> None:
        self.open = 0
        self.drill_status = ""
        self.drills = self.reports = 0
        self.is_held = False
        self.incidents = self.telemetry = self.button = self
        self.messages = SimpleNamespace(authentic=None)

    def is_touched(self) -> bool:
        return self.is_held

    def count(self) -> int:
        return self.open

    def open_ids(self) -> list[str]:
        return ["p-1-1-1"] * self.open

    def start_drill(self, status: str = "test") -> None:
        self.drills += 1
        self.drill_status = status

    def report(self) -> None:
        self.reports += 1

    def self_test(self) -> dict[str, Any]:
        return {"flash": "ok"}


class Rig:
    def __init__(self) -> None:
        self.board = FakeBoard()
        self.clock = FakeClock(self.board)
        self.outbox = Outbox()
        self.column = FakeColumn()
        self.refusals: list[tuple[str, str]] = []
        config = {"region": "nko", "device_id": "p-1", "location": LOCATION, "stream": {"rtsp": "rtsp://x"}}
        messages = Messages(config, self.clock, 1)
        self.actions = Actions(self.board, self.column)
        self.commands = Commands(
            self.board, messages, self.outbox, self.clock, self.actions, lambda *why: self.refusals.append(why)
        )

    def send(self, **changes: Any) -> dict[str, Any] | None:
        """The result, checked against the contract, or None."""
        body = {"v": 1, "id": "c-1", "cmd": "report", "expires": rfc3339.text(EPOCH_MS + 3_600_000), **changes}
        self.commands.receive(json.dumps({k: v for k, v in body.items() if v is not ...}).encode())
        return self.result()

    def result(self) -> dict[str, Any] | None:
        item = self.outbox.next()
        if item is None:
            return None
        self.outbox.taken(item)
        validator.validate(item[0].decode(), item[1])
        return dict(json.loads(item[1]))


def test_a_command_is_obeyed_and_answered_under_its_id() -> None:
    rig = Rig()
    result = rig.send(id="abc")
    assert result is not None and (result["id"], result["ok"], result["error"]) == ("abc", True, None)
    assert rig.column.reports == 1 and rig.refusals == []


def test_the_self_test_gives_its_figures() -> None:
    result = Rig().send(cmd="selftest")
    assert result is not None and result["detail"] == {"flash": "ok"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"expires": rfc3339.text(EPOCH_MS - 1)}, "expired at"),
        ({"cmd": "self-destruct"}, "must be one of drill, identify, maintain, renew, report, restart, selftest"),
        ({"cmd": ["report"]}, "unknown command"),
        ({"cmd": None}, "unknown command"),
    ],
)
def test_what_is_refused_is_answered_in_words(changes: dict[str, Any], words: str) -> None:
    rig = Rig()
    result = rig.send(**changes)
    assert result is not None and not result["ok"] and words in result["error"]
    assert rig.column.reports == 0 and rig.commands.refused == 1 and words in rig.refusals[0][1]


def test_the_expiry_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by a clock that stands still in 1970."""
    monkeypatch.setattr(FakeClock, "now_ms", lambda self: 0)
    with pytest.raises(AssertionError):
        test_what_is_refused_is_answered_in_words({"expires": rfc3339.text(EPOCH_MS - 1)}, "expired at")


def test_a_repeat_is_refused() -> None:
    rig = Rig()
    rig.send(cmd="drill")
    result = rig.send(cmd="drill")
    assert result is not None and result["error"] == "repeated command" and rig.column.drills == 1


def test_the_repeat_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by remembering two ids only."""
    monkeypatch.setattr(orders, "REMEMBERED", 2)
    rig = Rig()
    rig.send(id="a")
    rig.send(id="b")
    rig.send(id="c")
    again = rig.send(id="a")
    assert again is not None and again["ok"], "with two ids remembered the first of three passes again"


MALFORMED: list[dict[str, Any]] = [
    *({key: ...} for key in ("v", "id", "cmd", "expires")),
    {"v": 2},
    *({"id": bad} for bad in ("", "x" * 65, 5, None, ["a"], "\ud800")),
    *({"expires": bad} for bad in ("", "soon", 5, None, "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01")),
]


@pytest.mark.parametrize("changes", MALFORMED, ids=repr)
def test_malformed_commands_are_refused_and_counted(changes: dict[str, Any]) -> None:
    rig = Rig()
    assert rig.send(**changes) is None
    assert rig.commands.refused == 1 and "malformed" in rig.refusals[0][1] and rig.column.reports == 0


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"5", b'"x"', b"{", b"\xff\xfe", b"[" * 2000, b'{"a":' * 300])
def test_what_is_no_json_object(payload: bytes) -> None:
    rig = Rig()
    rig.commands.receive(payload)
    assert rig.commands.refused == 1 and rig.result() is None


def test_random_payloads_raise_nothing() -> None:
    dice = random.Random(3)
    good = json.dumps({"v": 1, "id": "a", "cmd": "report", "expires": "2030-01-01T00:00:00.000Z"}).encode()
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(dice.randint(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        rig = Rig()
        rig.commands.receive(bytes(data))


def test_a_flood_is_refused_without_an_answer_to_each() -> None:
    rig = Rig()
    answers = [rig.send(id=f"c-{i}") for i in range(100)]
    assert len([one for one in answers if one is not None]) == 10 and rig.commands.refused == 90
    rig.board.advance(60_000)
    rig.commands.step()
    assert rig.send(id="later") is not None


@pytest.mark.parametrize("command", ["report", "identify", "selftest", "drill", "restart"])
def test_without_a_clock_only_what_does_no_harm(command: str) -> None:
    rig = Rig()
    rig.clock.source = "none"
    result = rig.send(cmd=command)
    assert result is not None and result["ok"] == (command in ("report", "identify"))
    assert result["ok"] or "clock unset" in result["error"]


def test_a_restart_waits_for_its_answer_and_never_interrupts_an_incident() -> None:
    rig = Rig()
    rig.column.open = 1
    result = rig.send(cmd="restart")
    assert result is not None and "incident is open" in result["error"]
    rig.column.open = 0
    assert (rig.send(cmd="restart", id="c-2") or {})["ok"] and not rig.actions.restart_due()
    rig.board.advance(2000)
    rig.column.open = 1  # somebody pressed meanwhile
    assert not rig.actions.restart_due()
    rig.column.open = 0
    rig.column.is_held = True  # somebody presses just now
    assert not rig.actions.restart_due()
    rig.column.is_held = False
    assert rig.actions.restart_due()


def test_a_drill_is_answered_when_it_ends_and_only_one_runs() -> None:
    rig = Rig()
    assert rig.send(cmd="drill", id="d-1") is None
    second = rig.send(cmd="drill", id="d-2")
    assert second is not None and "under way" in second["error"]
    assert rig.actions.drill_ended() == "d-1" and rig.actions.drill_ended() is None


def test_identify_ends_by_itself() -> None:
    rig = Rig()
    rig.send(cmd="identify")
    assert rig.actions.identifying()
    rig.board.advance(10_001)
    assert not rig.actions.identifying()


def test_no_command_changes_an_incident() -> None:
    """All that a command may do to incidents is to count and to name them, and to start a drill."""
    rig = Rig()
    touched: list[str] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            touched.append(name)
            return getattr(rig.column, name)

    rig.column.incidents = Watched()  # type: ignore[assignment]
    for i, command in enumerate([*orders._TABLE, "press", "answered", ""]):
        rig.send(cmd=command, id=f"c-{i}")
    rig.actions.restart_due()
    assert set(touched) <= {"count", "open_ids", "start_drill"} and touched


# -- replays


def at(ahead_ms: int) -> str:
    return rfc3339.text(EPOCH_MS + ahead_ms)


def test_a_command_counts_for_an_hour_at_most() -> None:
    rig = Rig()
    result = rig.send(expires=at(orders.AHEAD_MAX_MS + 1000))
    assert result is not None and "expires more than 3600 s from now" in result["error"] and not rig.column.reports
    assert (rig.send(id="c-2", expires=at(orders.AHEAD_MAX_MS)) or {})["ok"]


def reborn(before: Rig) -> Rig:
    """After a reset: what was in memory is gone."""
    rig = Rig()
    rig.board.flash = before.board.flash
    rig.clock.now_ms = before.clock.now_ms  # type: ignore[method-assign]
    return rig


def test_a_restart_is_obeyed_once_whatever_is_replayed_behind_it() -> None:
    rig = Rig()
    assert (rig.send(cmd="drill", id="d-1") or {"ok": True})["ok"]
    assert (rig.send(cmd="restart", id="r-1") or {})["ok"]
    for _ in range(3):
        rig = reborn(rig)
        for ident, command in (("r-1", "restart"), ("d-1", "drill")):
            assert (rig.send(cmd=command, id=ident) or {})["error"] == "repeated command"
    assert rig.board.flash.writes == 1 and rig.column.drills == 0


def test_a_second_restart_within_the_hour_is_refused() -> None:
    rig = Rig()
    assert (rig.send(cmd="restart", id="r-1") or {})["ok"]
    rig = reborn(rig)
    assert "once in an hour is enough" in (rig.send(cmd="restart", id="r-2") or {})["error"]
    rig.board.advance(3_600_000)
    rig.clock.now_ms = rig.board.epoch_ms  # type: ignore[method-assign]
    late = at(3_600_000 + 60_000)
    assert (rig.send(cmd="restart", id="r-3", expires=late) or {})["ok"]


def test_without_the_record_a_restart_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    monkeypatch.setattr(orders, "_kept", lambda commands: {"at": None, "seen": []})
    rig = Rig()
    rig.send(cmd="restart", id="r-1")
    assert (reborn(rig).send(cmd="restart", id="r-1") or {})["ok"]


def test_a_restart_that_cannot_be_noted_is_refused() -> None:
    rig = Rig()
    rig.board.flash.mode = FlashMode.FULL
    assert "the flash cannot note it" in (rig.send(cmd="restart") or {})["error"]
    rig.board.advance(5000)
    assert not rig.actions.restart_due()


@pytest.mark.parametrize("content", [b"", b"garbage", frame(b"{}"), frame(b'{"at":"x","seen":1}'), frame(b"[]")])
def test_a_record_that_makes_no_sense_forbids_nothing(content: bytes) -> None:
    rig = Rig()
    rig.board.flash.files[orders.RESTART_FILE] = content
    assert (rig.send(cmd="restart") or {})["ok"]


def test_no_memory_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def receive(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(orders, "receive", receive)
    rig = Rig()
    assert rig.send() is None and rig.refusals == [("", "no memory for a command")]
    assert rig.board.forgotten == ["firmware.orders", "firmware.rfc3339_parse"]


@pytest.mark.parametrize(
    ("asked", "status"), [({}, "test"), ({"status": "exercise"}, "exercise"), ({"status": 5}, "test")]
)
def test_a_drill_may_be_an_exercise(asked: dict[str, Any], status: str) -> None:
    rig = Rig()
    assert rig.send(cmd="drill", id="d-1", **asked) is None
    assert rig.column.drill_status == status
