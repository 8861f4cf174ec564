"""The line that brings everybody else's calls while one column floods: when it is there, and that nothing counts twice
or is lost because of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from column_probe import need
from duty_rig import PATIENCE_S, Street, row_of, until
from paho.mqtt.enums import MQTTErrorCode

from desk import limits, line
from desk.bypass import AGAIN_MS, COPIES_MAX, STANDS_WITHIN_MS, Bypass, Copies
from desk.duty import Duty
from desk.register import Register
from sim.servers.broker import Mosquitto
from sim.servers.thief import flood

THIEF, SECOND_THIEF, OTHER, THIRD = "hostile-01", "hostile-02", "petropavl-01", "petropavl-02"
CITY = (THIEF, SECOND_THIEF, OTHER, THIRD)
TOO_MANY = 400


class FakeLine:
    """What the bypass asks of a line. `events`: in which order it was done."""

    def __init__(self, columns: list[str], events: list[str]) -> None:
        self.columns, self.stands, self._events = columns, False, events

    def start(self) -> None:
        self._events.append("+" + " ".join(self.columns))

    def stop(self) -> None:
        self._events.append("-" + " ".join(self.columns))


class VirtualBypass:
    """With such lines, in virtual time."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.lines: list[FakeLine] = []
        self.bypass = Bypass(self._make)
        self.now_ms = 1_000

    def _make(self, columns: Any, copies: Copies) -> Any:
        self.lines.append(FakeLine(list(columns), self.events))
        return self.lines[-1]

    def look(self, *flooding: str, after_ms: int = 100, city: tuple[str, ...] = CITY) -> list[str]:
        """What was done; lines end in a thread of their own."""
        self.now_ms += after_ms
        before = len(self.events)
        is_to_end = not flooding and self.bypass._begins.has("", self.now_ms)
        ending = self.bypass._line is not None and is_to_end
        self.bypass.look(flooding, city, self.now_ms)
        if ending:
            until(lambda: len(self.events) > before, "a line that ends")
        return sorted(self.events[before:])


def test_it_is_there_while_somebody_floods_and_brings_everybody_else() -> None:
    street = VirtualBypass()
    assert street.look() == []
    assert street.look(THIEF) == [f"+{SECOND_THIEF} {OTHER} {THIRD}"]
    street.lines[0].stands = True
    assert street.look(THIEF) == [] and street.look(THIEF, after_ms=60_000) == []
    assert street.look() == [f"-{SECOND_THIEF} {OTHER} {THIRD}"]
    assert street.look() == []


def test_a_second_one_that_floods_is_left_out_too() -> None:
    street = VirtualBypass()
    street.look(THIEF)
    street.lines[0].stands = True
    street.look(THIEF, SECOND_THIEF)
    until(lambda: len(street.events) == 3, "the first line's end")
    assert [each.columns for each in street.lines] == [[SECOND_THIEF, OTHER, THIRD], [OTHER, THIRD]]
    street.lines[1].stands = True
    assert street.look(SECOND_THIEF) == []  # who has stopped stays out until the end: nothing is gained by a new line


def test_one_that_does_not_stand_is_given_up_for_a_minute() -> None:
    """A broker may refuse it, and lock out who tries too often: 15 connections a minute are too many for some."""
    street = VirtualBypass()
    street.look(THIEF)
    for _ in range((STANDS_WITHIN_MS + AGAIN_MS) // 1000):
        street.look(THIEF, after_ms=1000)
    assert len(street.lines) == 1
    street.look(THIEF, after_ms=2000)
    assert len(street.lines) == 2


@pytest.mark.parametrize("quiet_ms", [100, 1_000, 4_000, 20_000])
def test_a_thief_who_pulses_neither_gets_the_desk_locked_out_nor_past_the_bypass(quiet_ms: int) -> None:
    """EMQX locks out who connects 15 times in a minute. Red without the bypass's pace, and where it ends in a pause
    although it could not begin again: it was there in a third of the pulses."""
    street, begun_ms, covered = VirtualBypass(), [], []
    for _ in range(200):
        street.look(after_ms=quiet_ms)
        if any(done.startswith("+") for done in street.look(THIEF)):
            begun_ms.append(street.now_ms)
            street.lines[-1].stands = True
        covered.append(street.bypass._line is not None)
    assert max(sum(at <= each < at + 60_000 for each in begun_ms) for at in begun_ms) < 15
    assert all(covered)


def test_nobody_else_is_known() -> None:
    street = VirtualBypass()
    assert street.look(THIEF, city=(THIEF,)) == [] and street.lines == []


def test_a_copy_counts_once_and_only_when_it_is_written() -> None:
    copies, one, other = Copies(), ("t", b"1"), ("t", b"2")
    assert not copies.take(one)
    copies.written(one)
    assert not copies.take(other) and copies.take(one) and not copies.take(one)
    for number in range(COPIES_MAX + 10):
        copies.written(("t", b"%d" % number))
    assert len(copies._written) <= COPIES_MAX


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    need("mosquitto")
    with Mosquitto() as running:
        yield running


def stuck(*_: object) -> MQTTErrorCode:
    """In the place of a line's reading."""
    time.sleep(0.01)
    return MQTTErrorCode.MQTT_ERR_SUCCESS


@pytest.mark.mosquitto
def test_a_call_is_answered_although_the_line_for_calls_brings_nothing(
    register: Register, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind ten thousand messages. When it brings the call, too, nothing happens: red without the bypass, and where
    what it brings is entered a second time; the broker keeps no session of it."""
    monkeypatch.setattr(limits, "FLOOD_ENDED_MS", 600_000)
    monkeypatch.setattr(line, "RENEW_EVERY_MS", 10**9)
    monkeypatch.setattr(line, "RENEW_AFTER_MS", 10**9)
    monkeypatch.setattr(line, "TOPICS_AT_ONCE", 2)
    with Street(broker, hears=OTHER) as street, Duty(register, broker.host, broker.port) as duty:
        duty.wait_connected(PATIENCE_S)
        for name in (OTHER, THIRD, "petropavl-03"):
            street.press(name, seq=1)
        street.wait_for(f"{OTHER}-17-1", "received")
        with flood(broker.port, "alarm", TOO_MANY, device=THIEF) as thief:
            assert thief.wait(PATIENCE_S) == 0
        until(lambda: duty._bypass._line is not None and duty._bypass._line.stands, "a bypass")
        with monkeypatch.context() as patch:
            patch.setattr(duty._calls._client, "loop_read", stuck)
            incident_id = street.press(OTHER, seq=2)
            street.wait_for(incident_id, "received")
            assert duty._bypass.copies._written
        until(lambda: not duty._bypass.copies._written, "the call over the line for calls")
        street.wait_for(street.press(OTHER, seq=3), "received")
        kinds = [entry["kind"] for entry in row_of(register, incident_id)["timeline"]]
        assert kinds.count("press") == 1 and "repeat" not in kinds
        monkeypatch.setattr(limits, "FLOOD_ENDED_MS", 0)
        until(lambda: duty._bypass._line is None, "the end of the flood")
        until(lambda: duty.connected or None, "a desk that is well")
    assert re.search(r"as desk-\w+-bypass \(p2, c1,", broker.log_path.read_text()), "a session that ends with it"
