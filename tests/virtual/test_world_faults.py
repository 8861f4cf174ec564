"""The world's faults of flash, tasks, time servers and rivals do what they say, and excuse nothing else."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from firmware import counted, debounce, journal, outcomes, supervisor
from sim.virtual.broker import BrokerFault
from sim.virtual.checks.flash_watch import presses_in
from sim.virtual.checks.invariants import Violation
from sim.virtual.configuration import config_with
from sim.virtual.costs import Costs
from sim.virtual.flash import FlashFault
from sim.virtual.network_faults import Net
from sim.virtual.presses import PressWatch
from sim.virtual.task_faults import Sabotage
from sim.virtual.timeline import Timeline
from sim.virtual.world import World

Patch = pytest.MonkeyPatch
HASTY_CLOCK = config_with(clock={"every_s": 60})


def pressed(seed: int = 6) -> World:
    """A column with one incident in its journal."""
    world = World(seed)
    world.at(20_000, world.press)
    world.run(25_000)
    assert presses_in(world.flash.files[journal.FILE])
    return world


# -- flash


def test_a_cut_in_a_write_falls_between_its_beginning_and_its_end() -> None:
    world = World(6)
    told: list[int] = []

    def cut(takes_us: int) -> None:
        told.append(takes_us)
        world.timeline.after(takes_us // 2, world.power_off)

    world.run(15_000)
    world.flash.on_write = cut
    world.press()
    world.run(1_000)
    assert len(told) == 1 and not world.powered, "only the next write is told of"
    cut_us = world.trace.of("power")[-1].t_us
    felt_us = world.trace.of("lamp")[-2].t_us
    assert felt_us < cut_us < felt_us + told[0] + 1_000
    world.settle()


@pytest.mark.parametrize("how", ["flip", "truncate", "erase"])
def test_a_damaged_record_is_excused_and_no_other_one(how: str) -> None:
    world = pressed()
    before = presses_in(world.flash.files[journal.FILE])
    world.power_off()
    if how == "flip":
        world.flash.flip_bit(journal.FILE, 200)
    elif how == "truncate":
        world.flash.truncate(journal.FILE, 30)
    else:
        world.flash.erase(journal.FILE, 30, 20)
    assert presses_in(world.flash.files[journal.FILE]) == {} and world.invariants._flash.lost == before
    world.power_on()
    world.at(40_000, world.press)
    world.run(40_000)
    world.settle()
    assert len(world.centre.ledger) == 2


def test_damage_elsewhere_excuses_nothing() -> None:
    world = pressed()
    world.power_off()
    world.flash.truncate("config.json", 7)
    assert world.invariants._flash.lost == {}
    world.power_on()
    world.run(5_000)
    world.settle()
    assert any("config.json" in str(entry.data[0]) for entry in world.trace.of("log"))


def test_a_technician_repairs_the_configuration_when_the_faults_end() -> None:
    world = World(6)
    world.run(10_000)
    world.power_off()
    world.flash.truncate("config.json", 7)
    world.power_on()
    world.run(20_000)
    assert world.column is None, "nothing to run on"
    world.settle()
    assert world.column is not None and world.centre.births


def test_a_flash_that_refused_has_to_have_the_press_soon_after(monkeypatch: Patch) -> None:
    """Negative control: a journal that forgets what the flash refused."""

    def forgetful(self: journal.Journal) -> int:
        self.unsaved = []
        return 5_000

    monkeypatch.setattr(journal.Journal, "step", forgetful)
    world = World(6)
    world.at(19_000, lambda: world.flash.start(FlashFault.WRITE_ERROR))
    world.at(20_000, world.press)
    world.at(24_000, lambda: world.flash.stop(FlashFault.WRITE_ERROR))
    world.run(60_000)
    with pytest.raises(Violation, match="was never noted"):
        world.settle()


def test_a_flash_that_is_well_again_excuses_no_later_press(monkeypatch: Patch) -> None:
    world = World(6)
    world.at(10_000, lambda: world.flash.start(FlashFault.WRITE_ERROR))
    world.at(12_000, lambda: world.flash.stop(FlashFault.WRITE_ERROR))
    world.run(30_000)
    monkeypatch.setattr(journal.Journal, "add", lambda self, entry: True)
    world.press()
    world.run(10_000)
    with pytest.raises(Violation, match="before it was on flash"):
        world.settle()


# -- tasks


@pytest.mark.parametrize("task", ["uplink", "link", "button"])
def test_a_task_that_raises_is_named_in_the_next_birth(task: str) -> None:
    world = World(6)
    world.at(20_000, lambda: world.hardware.sabotage.raises(task, 1))
    world.run(60_000)
    assert world.boots == ["power-on", "watchdog"] and world.centre.births[-1]["reset"]["culprit"] == task
    world.settle()


def test_an_exception_of_the_firmwares_own_is_a_violation(monkeypatch: Patch) -> None:
    world = World(6)
    world.run(20_000)
    monkeypatch.setattr(type(world.column.relay), "step", lambda self: 1 // 0)
    world.run(5_000)
    monkeypatch.undo()
    world.run(30_000)
    with pytest.raises(Violation, match="task relay raised by itself: ZeroDivisionError"):
        world.settle()


def test_a_death_that_the_watchdog_overlooks_is_a_violation(monkeypatch: Patch) -> None:
    monkeypatch.setattr(supervisor.Supervisor, "_died", lambda self, entry, error: None)
    world = World(6)
    world.at(20_000, lambda: world.hardware.sabotage.raises("link", 1))
    world.run(60_000)
    with pytest.raises(Violation, match="link hangs, and the watchdog did not bite"):
        world.settle()


def test_no_heap_strikes_whatever_runs() -> None:
    world = World(6)
    world.at(20_000, lambda: world.hardware.sabotage.no_heap(5))
    world.run(60_000)
    assert world.boots == ["power-on", "watchdog"] and "MemoryError" in str(world.centre.births[-1]["reset"])
    world.settle()


def test_an_idle_uplink_sends_nothing_until_it_wakes() -> None:
    world = World(6)
    world.at(20_000, lambda: world.hardware.sabotage.idle("uplink", 15_000))
    world.at(21_000, world.press)
    world.run(33_000)
    assert world.centre.ledger == {} and world.boots == ["power-on"]
    world.run(20_000)
    assert len(world.centre.ledger) == 1
    world.settle()


def sleeping_link() -> World:
    """The link is wedged, and the task that could restart it asked to be called again in days."""
    world = World(6, config_with(link={"type": "wifi", "restart_after_s": 10}))
    world.at(20_000, lambda: world.hardware.sabotage.sleeps("link"))
    world.at(25_000, lambda: world.network.start(Net.LINK_WEDGED))
    world.at(26_000, world.press)
    world.run(120_000)
    return world


def test_no_task_sleeps_for_ever(monkeypatch: Patch) -> None:
    assert len(sleeping_link().centre.ledger) == 1
    monkeypatch.setattr(supervisor, "_WAIT_MAX_MS", 1 << 28)
    assert sleeping_link().centre.ledger == {}, "negative control: without the limit it does"


def test_faults_of_tasks_end_with_the_others() -> None:
    world = World(6)
    sabotage: Sabotage = world.hardware.sabotage
    sabotage.idle("uplink", 10**9)
    sabotage.raises("column", 10**6)
    world.at(20_000, world.press)
    world.run(30_000)
    assert world.centre.ledger == {}
    world.settle()
    assert len(world.centre.ledger) == 1


# -- resets, time, rivals


def test_the_reset_pin_keeps_the_power() -> None:
    world = pressed()
    world.at(30_000, world.reset)
    world.run(20_000)
    assert world.boots == ["power-on", "hard"] and world.column.clock.source != "none"
    world.settle()


@pytest.mark.parametrize(("fault", "sign"), [(Net.NTP_AHEAD, 1), (Net.NTP_BEHIND, -1)])
def test_a_time_server_that_is_wrong(fault: Net, sign: int) -> None:
    world = World(6, HASTY_CLOCK)
    world.during(30_000, 60_000, fault, 1_000)
    world.run(80_000)
    assert world.board is not None
    assert world.board.epoch_ms() - world.true_epoch_ms() == pytest.approx(sign * 1_000_000, abs=1_000)
    world.run(80_000)
    assert world.board.epoch_ms() - world.true_epoch_ms() == pytest.approx(0, abs=1_000)


def test_a_rival_takes_every_session_over() -> None:
    world = World(6)
    world.during(10_000, 30_000, BrokerFault.RIVAL, 300)
    world.at(11_000, world.broker.takeover)
    world.at(20_000, world.press)
    world.run(40_000)
    assert sum("session with" in str(entry.data[0]) for entry in world.trace.of("log")) > 3
    world.settle()
    assert len(world.centre.ledger) == 1


# -- presses in a stall: what can be told, and what cannot


def stalled(chip: str, for_ms: int = 60, tls_chunks: int = 2, *, integrates: bool = False) -> World:
    """A second or two of stall by handshakes, a press in the middle of each."""
    world = World(2, chip=chip, costs=Costs(tls_chunks=tls_chunks, pulses=integrates))
    for n in range(12):
        world.at(20_000 + n * 5_000, world.broker.takeover)
        world.at(20_300 + n * 5_000 + n * 37, lambda: world.press(for_ms))
    world.run(90_000)
    return world


def test_a_press_in_a_stall_is_demanded_of_a_chip_that_counts(monkeypatch: Patch) -> None:
    world = stalled("esp32")
    world.settle()
    monkeypatch.setattr(debounce.Debouncer, "_after_stall", lambda self, *_: outcomes.NOTHING)
    deaf = stalled("esp32")
    with pytest.raises(Violation, match="I[26] "):
        deaf.settle()


def test_a_press_in_a_stall_is_demanded_of_a_chip_that_integrates(monkeypatch: Patch) -> None:
    """Red with an integrator whose latch nobody reads."""
    world = stalled("esp32", integrates=True)
    world.settle()
    assert len(world.invariants.presses.presses) == 12
    monkeypatch.setattr(counted.Counted, "sample", lambda self, *_: outcomes.NOTHING)
    deaf = stalled("esp32", integrates=True)
    with pytest.raises(Violation, match="I[26] "):
        deaf.settle()


def test_and_not_of_one_that_cannot() -> None:
    world = stalled("esp32c3")
    world.settle()
    assert len(world.invariants.presses.presses) < len(stalled("esp32").invariants.presses.presses)


def test_a_press_that_outlasts_the_stall_is_demanded_of_any_chip(monkeypatch: Patch) -> None:
    world = stalled("esp32c3", 2_000, tls_chunks=1)
    world.settle()
    assert len(world.invariants.presses.presses) >= 8  # it was 3 of 12 once, and nobody noticed

    def swallows(self: debounce.Debouncer, dt_ms: int, was_closed: bool, closed: bool, *_: object) -> int:
        self.pressed = closed
        return outcomes.NOTHING

    monkeypatch.setattr(debounce.Debouncer, "_after_stall", swallows)
    deaf = stalled("esp32c3", 2_000, tls_chunks=1)
    with pytest.raises(Violation, match="I[26] "):
        deaf.settle()


@pytest.mark.parametrize(
    ("counts", "behind_ms", "demanded"), [(False, 44, False), (False, 46, True), (True, 4, False), (True, 6, True)]
)
def test_what_is_behind_a_stall_has_to_be_a_press_by_itself(counts: bool, behind_ms: int, demanded: bool) -> None:
    """100 ms of stall; the last 40 ms of it are the press's, and so many behind it. With a counter all of it counts."""
    timeline = Timeline()
    watch = PressWatch(timeline, lambda *_: None, Counter(), lambda: True)
    hardware = SimpleNamespace(costs=Costs())
    board: Any = SimpleNamespace(contact=SimpleNamespace(counts=counts), hardware=hardware, unseen_us=lambda: 0)
    watch.life_begins(board)
    board.on_first_look()
    watch.contact_changed([(160_000, 1), (200_000 + behind_ms * 1000, 0)])
    timeline.advance_to(200_000)
    board.on_stall(100_000, 200_000)
    timeline.advance_to(1_000_000)
    assert bool(watch.presses) is demanded
