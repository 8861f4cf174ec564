"""Each invariant has a broken column that turns it red: a monitor that nothing can trip proves nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from firmware import column, counted, debounce, incident, incidents, journal, lamp, messages, outcomes, resets, session
from sim.virtual.broker import BrokerFault
from sim.virtual.centre import Policy
from sim.virtual.checks.flash_watch import presses_in
from sim.virtual.checks.invariants import Violation
from sim.virtual.configuration import config_with
from sim.virtual.costs import Costs
from sim.virtual.flash import FlashFault
from sim.virtual.peripherals import VirtualWatchdog
from sim.virtual.world import World

Patch = pytest.MonkeyPatch


def complaints(world: World) -> str:
    """What the monitors recorded, once the world has settled."""
    with pytest.raises(Violation) as caught:
        world.settle()
    assert f"(seed {world.seed}, " in str(caught.value) or ": " in str(caught.value)
    return "\n".join(world.invariants.violations)


def pressed_world(policy: Policy | None = None, **sections: dict[str, Any]) -> World:
    world = World(5, config_with(**sections), policy=policy)
    world.at(20_000, world.press)
    world.run(40_000)
    return world


def test_an_honest_column_breaks_nothing() -> None:
    world = pressed_world()
    world.settle()
    assert len(world.invariants.presses.presses) == 1 and world.invariants.violations == []


def test_i1_a_journal_that_is_not_written(monkeypatch: Patch) -> None:
    monkeypatch.setattr(journal.Journal, "add", lambda self, entry: True)
    text = complaints(pressed_world())
    assert "I1" in text and "before it was on flash" in text and "the relay closed" in text


def test_i1_a_relay_before_the_journal(monkeypatch: Patch) -> None:
    honest: Callable[..., None] = column.Column._pressed

    def hasty(self: Any, age_ms: int, in_stall: bool) -> None:
        self.lamp.show("calling")
        self.relay.close()
        honest(self, age_ms, in_stall)

    monkeypatch.setattr(column.Column, "_pressed", hasty)
    assert "the relay closed, and the press is not on flash yet" in complaints(pressed_world())


def test_i1_does_not_blame_a_column_whose_flash_refuses() -> None:
    world = World(5)
    world.at(19_000, lambda: world.flash.start(FlashFault.WRITE_ERROR))
    world.at(20_000, world.press)
    world.run(40_000)
    world.settle()
    assert len(world.centre.ledger) == 1


def test_i2_an_uplink_that_sends_nothing(monkeypatch: Patch) -> None:
    monkeypatch.setattr(incident.Incident, "is_due", lambda self: False)
    monkeypatch.setattr(incident.Incident, "due_in_ms", lambda self, otherwise: otherwise)
    assert "press 1 of 20.0" in complaints(pressed_world())


def test_i2_and_i6_a_deaf_debouncer(monkeypatch: Patch) -> None:
    for one in (debounce.Debouncer, counted.Counted):
        monkeypatch.setattr(one, "sample", lambda self, *_: outcomes.NOTHING)
    text = complaints(pressed_world())
    assert "was never noted" in text and "does not say calling" in text


def test_i3_an_id_that_is_used_twice(monkeypatch: Patch) -> None:
    monkeypatch.setattr(incidents.Incidents, "_next_id", lambda self: "petropavl-01-1-1")
    world = pressed_world(Policy(closed_ms=1_000))
    world.press()
    world.run(20_000)
    assert "was used again" in complaints(world)


def test_i3_an_alarm_whose_time_changes(monkeypatch: Patch) -> None:
    honest = messages.Messages.alarm

    def redated(self: Any, one: Any, faults: list[str]) -> bytearray:
        one.raised_at += 1_000
        return honest(self, one, faults)

    monkeypatch.setattr(messages.Messages, "alarm", redated)
    world = pressed_world()
    world.press()
    world.run(20_000)
    assert "changed its raised_at" in complaints(world)


def forgetful_world(*presses_ms: int) -> World:
    """Compactions at 30 s, until the flash has spoilt the record of the one incident; the column still knows it."""
    world = World(5)

    def forget() -> None:
        while incident_ids(world):
            world.column.incidents.compact()

    for at_ms in presses_ms:
        world.at(at_ms, world.press)
    world.at(30_000, lambda: world.flash.start(FlashFault.CORRUPT_BIT))
    world.at(30_001, forget)
    world.at(32_000, lambda: world.flash.stop(FlashFault.CORRUPT_BIT))
    world.run(60_000)
    assert incident_ids(world) == set() and world.column.incidents.count() == 1
    return world


def incident_ids(world: World) -> set[str]:
    return set(presses_in(world.flash.files[journal.FILE]))


@pytest.mark.parametrize("how", ["a compaction", "a further press"])
def test_i3_and_i5_do_not_blame_a_column_that_knows_what_its_flash_forgot(how: str) -> None:
    world = forgetful_world(20_000, 21_000)
    if how == "a compaction":
        world.column.incidents.compact()
    else:
        world.press()
    world.run(20_000)
    assert incident_ids(world)
    world.settle()


def test_i3_an_id_that_is_used_twice_over_a_spoilt_record(monkeypatch: Patch) -> None:
    monkeypatch.setattr(incidents.Incidents, "_next_id", lambda self: "petropavl-01-1-1")
    world = forgetful_world(20_000)
    world.column.incidents._list.clear()
    world.press()
    world.run(20_000)
    assert "was used again after it had left the journal" in complaints(world)


def test_i5_a_press_out_of_nothing_over_a_spoilt_record() -> None:
    world = forgetful_world(20_000, 21_000)
    world.column.incidents._list[0].press = 1
    world.column._pressed(40, False)
    world.run(20_000)
    assert "the contact shows none" in complaints(world)


@pytest.mark.parametrize("state", ["answered", "help-coming"])
def test_i4_a_lamp_that_comforts(monkeypatch: Patch, state: str) -> None:
    monkeypatch.setattr(incident.Incident, "lamp", lambda self: state)
    assert "I4 (seed 5, 20.0" in complaints(pressed_world(Policy(received_ms=None)))


def test_i4_a_puback_is_no_answer(monkeypatch: Patch) -> None:
    honest = incident.Incident.at_broker

    def flattered(self: Any, press: int) -> None:
        honest(self, press)
        self.state = incident.RECEIVED

    monkeypatch.setattr(incident.Incident, "at_broker", flattered)
    assert "the lamp says answered, and the centre did not" in complaints(pressed_world(Policy(received_ms=None)))


def test_i4_a_spoilt_record_excuses_no_comfort_while_the_column_knows(monkeypatch: Patch) -> None:
    """The first incident was answered; the second is spoilt on flash, and the broker throws it away."""
    short = config_with(incident={"open_s": 20, "retention_s": 600})

    def spoilt_world(before_press: Callable[[], None] = lambda: None) -> World:
        world = World(6, short)  # the bit that flips leaves the new record readable as it is written
        world.at(59_000, before_press)
        world.at(20_000, world.press)
        world.at(50_000, lambda: world.flash.start(FlashFault.CORRUPT_BIT))
        world.at(50_000, lambda: world.broker.start(BrokerFault.DENY_ALARM))
        world.at(60_000, world.press)
        world.run(70_000)
        return world

    world = spoilt_world()
    world.reset()
    world.run(10_000)
    assert world.invariants.lamp == "answered" and world.invariants.violations == []
    liar = spoilt_world(lambda: monkeypatch.setattr(incident.Incident, "lamp", lambda self: "answered"))
    assert "the lamp says answered, and the centre did not" in "".join(liar.invariants.violations)


def test_i5_a_press_out_of_nothing() -> None:
    world = World(5)
    world.at(20_000, lambda: world.column._pressed(40, False))
    world.run(40_000)
    assert "the contact shows none" in complaints(world)


def test_i5_a_debouncer_that_takes_vibration_for_a_press(monkeypatch: Patch) -> None:
    honest = debounce.Debouncer.__init__
    monkeypatch.setattr(debounce.Debouncer, "__init__", lambda self, press_ms, *rest: honest(self, 10, *rest))
    world = World(5, costs=Costs(pulses=False))
    world.at(20_000, lambda: world.wave([(0, 1), (25_000, 0)]))
    world.run(40_000)
    assert "the contact shows none" in complaints(world)


def test_i5_an_honest_column_takes_vibration_for_nothing() -> None:
    world = World(5)
    for n in range(50):
        world.at(20_000 + n * 300, lambda: world.wave([(0, 1), (25_000, 0)]))
    world.run(60_000)
    world.settle()
    assert world.centre.ledger == {}


def test_i6_a_lamp_that_stays_calm(monkeypatch: Patch) -> None:
    honest = lamp.Lamp.show
    monkeypatch.setattr(lamp.Lamp, "show", lambda self, state: honest(self, "ready"))
    assert "does not say calling" in complaints(pressed_world())


def test_i6_a_press_path_that_waits(monkeypatch: Patch) -> None:
    honest: Callable[..., None] = column.Column._pressed

    def slow(self: Any, age_ms: int, in_stall: bool) -> None:
        self._board.collect()
        for _ in range(12):
            self._board.flash.append("diary.txt", b"somebody pressed")
        honest(self, age_ms, in_stall)

    monkeypatch.setattr(column.Column, "_pressed", slow)
    assert "does not say calling" in complaints(pressed_world())


def test_i7_a_healthy_column_that_is_not_fed(monkeypatch: Patch) -> None:
    honest = VirtualWatchdog.feed
    monkeypatch.setattr(VirtualWatchdog, "feed", lambda self: honest(self) if self._board.watchdog_us is None else None)
    assert "the watchdog reset a healthy column" in complaints(pressed_world())


def test_i7_a_watchdog_that_a_timer_feeds() -> None:
    world = World(5)

    def feed() -> None:
        if world.board is not None and world.board.watchdog_us is not None:
            world.board.watchdog_us = world.timeline.now_us + world.board.watchdog_timeout_us
        world.timeline.after(1_000_000, feed)

    world.at(10_000, feed)
    world.at(20_000, lambda: world.hang("uplink"))
    world.at(60_000, world.power_on)
    world.run(70_000)
    assert "task uplink hangs, and the watchdog did not bite" in complaints(world)


def test_i7_a_reset_that_names_nobody(monkeypatch: Patch) -> None:
    honest: Callable[..., dict[str, Any]] = resets.last
    monkeypatch.setattr(resets, "last", lambda board: {**honest(board), "culprit": None})
    world = World(5)
    world.at(20_000, lambda: world.hang("uplink"))
    world.run(60_000)
    assert "task uplink hung, and the next birth message does not name it" in complaints(world)


def test_i7_an_exception_that_leaves_the_firmware(monkeypatch: Patch) -> None:
    world = World(5)
    world.at(20_000, lambda: monkeypatch.setattr(column.Column, "run", lambda self: None))
    world.run(19_000)
    world.run(2_000)
    world.column.supervisor = None
    monkeypatch.undo()
    world.run(10_000)
    assert "an exception left the firmware" in complaints(world)


def test_i8_telemetry_that_goes_first(monkeypatch: Patch) -> None:
    monkeypatch.setattr(incidents.Incidents, "due", lambda self: None)
    world = World(5)
    world.at(33_000, world.press)  # a heartbeat is due at 34 s
    world.at(35_000, monkeypatch.undo)
    world.run(40_000)
    assert "telemetry was sent while incident" in complaints(world)


def test_the_protocol_packet_id_0_is_a_violation(monkeypatch: Patch) -> None:
    monkeypatch.setattr(session.PacketIds, "next", lambda self, used: 0)
    assert "broker: packet id 0" in complaints(pressed_world())


def test_the_contract_is_held_against_every_message(monkeypatch: Patch) -> None:
    monkeypatch.setattr(messages.Messages, "event", lambda self, name, detail: b'{"v":1}')
    assert "contract: " in complaints(pressed_world())


def test_i6_a_call_closed_at_once_needs_no_lamp(monkeypatch: Patch) -> None:
    """The centre that has heard of the press closes it within the 50 ms; one that has not excuses nothing."""
    monkeypatch.setattr(lamp.Lamp, "show", lambda self, state, listened=False: None)
    for heard in (True, False):
        world = pressed_world(Policy(received_ms=None, closed_ms=0, tells_heard=heard))
        blamed = any("does not say calling" in text for text in world.invariants.violations)
        assert blamed != heard
