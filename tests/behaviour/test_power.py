"""Power cuts, hangs, crashes and boot loops: no press is lost, and whoever is to blame is named."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from rig import PATIENCE_MS, TASKS, WATCHDOG_S, Rig
from rig_real import RealRig
from rig_virtual import VirtualRig
from runs import runtime_parameters

from sim.real.changed import changed_copy

LONGEST_STEP_MS = 2_000  # the slowest task is stepped that often
NEVER_HEALTHY_S = 3_600  # longer than any test: no boot becomes healthy


def test_a_power_cut_between_press_and_delivery_delivers_late(rig: Rig) -> None:
    rig.start()
    rig.break_broker("stop")
    rig.press()
    rig.wait_event("relay", closed=True)
    rig.until(rig.noted, 2000, "the press noted")
    rig.power_off()
    rig.wait_lamp("dark")
    rig.mend_broker()
    rig.power_on()
    [alarm] = rig.wait_alarms()
    assert alarm.late and alarm.press == 1
    rig.wait_lamp("answered")
    rig.check_all_arrived_once()


def test_an_open_incident_outlives_a_power_cut(rig: Rig) -> None:
    rig.start()
    rig.press()
    [alarm] = rig.wait_alarms()
    rig.wait_lamp("answered")
    rig.answer(alarm.id, "accepted")
    rig.wait_lamp("help-coming")
    rig.pass_time(500)  # released
    rig.power_off()
    rig.power_on()
    rig.wait_lamp("help-coming")
    rig.answer(alarm.id, "closed")
    rig.wait_lamp("ready")
    rig.check_all_arrived_once()


def test_a_button_held_during_power_up_calls_once(rig: Rig) -> None:
    rig.install(rig.document())
    rig.hold()
    rig.power_on()
    rig.wait_lamp("answered")
    rig.power_off()
    rig.power_on()
    rig.wait_lamp("answered")
    assert list(rig.noted().values()) == [1], "still the same press"
    rig.release()
    rig.pass_time(500)
    rig.press()
    rig.until(lambda: max(a.press for a in rig.alarms().values()) == 2, PATIENCE_MS, "the next press")
    rig.check_all_arrived_once()


def test_a_press_during_power_up_is_not_lost(rig: Rig) -> None:
    rig.install(rig.document())
    rig.power_on()
    rig.hold()
    rig.wait_event("boot", PATIENCE_MS)  # a busy machine takes its time to start the column
    rig.pass_time(1500)  # the rest takes less
    rig.release()
    rig.wait_lamp("answered")
    rig.check_all_arrived_once()


def test_a_hang_ends_in_a_reset_that_names_the_task(make_rig: Callable[[], Rig]) -> None:
    """One column for each task, so that real time passes for all of them at once."""
    rigs = {task: make_rig() for task in TASKS}
    for rig in rigs.values():
        rig.install(rig.document())
        rig.power_on()
    asked_ms = {}
    for task, rig in rigs.items():
        rig.wait_lamp("ready")
        asked_ms[task] = rig.now_ms()
        rig.hang(task)
    for task, rig in rigs.items():
        reset = rig.wait_event("reset")
        assert (reset["cause"], reset["culprit"]) == ("watchdog", task)
        took_ms = reset["t_ms"] - asked_ms[task]
        assert took_ms <= LONGEST_STEP_MS + (WATCHDOG_S + 1) * 1000 + rig.slack_ms, task
        info = rig.wait_heard("info", boot=rig.wait_event("boot", cause="watchdog")["boot"])
        assert (info["reset"]["cause"], info["reset"]["culprit"]) == ("watchdog", task)
        rig.wait_lamp("ready")
        rig.press()
    for rig in rigs.values():
        rig.wait_lamp("answered")
        rig.check_all_arrived_once()


def test_a_hang_with_an_alarm_on_the_way_loses_nothing(rig: Rig) -> None:
    rig.start()
    rig.break_broker("stop")
    rig.press()
    rig.until(rig.noted, 2000, "the press noted")
    rig.hang("uplink")
    rig.wait_event("reset", culprit="uplink")
    rig.mend_broker()
    [alarm] = rig.wait_alarms()
    assert alarm.late
    rig.wait_lamp("answered")
    rig.check_all_arrived_once()


def test_a_column_that_is_well_is_not_reset(rig: Rig) -> None:
    """The negative control of the hangs: the watchdog runs, and nothing bites for two of its timeouts."""
    rig.start()
    rig.pass_time(2 * WATCHDOG_S * 1000)
    assert not rig.resets() and len(rig.boots()) == 1


def test_a_boot_loop_ends_in_a_safe_mode_that_still_calls(rig: Rig) -> None:
    rig.install(rig.document(watchdog={"healthy_s": NEVER_HEALTHY_S}))
    for _ in range(4):
        rig.power_on()
        assert rig.wait_event("boot")["cause"] == "power-on"
        rig.power_off()
    rig.power_on()
    rig.wait_log("mode=safe")
    rig.wait_lamp("ready")
    assert rig.wait_heard("info", mode="safe")
    assert rig.wait_heard("fault/boot-loop")
    rig.press()
    rig.wait_lamp("answered")
    rig.check_all_arrived_once()


def test_a_healthy_boot_ends_the_count(rig: Rig) -> None:
    """The negative control: seven boots, of which the fourth became healthy."""
    rig.install(rig.document())
    for boot in range(7):
        rig.power_on()
        rig.wait_event("boot")
        if boot == 3:
            rig.wait_lamp("ready")
            rig.wait_healthy()
        rig.power_off()
    assert [boot["cause"] for boot in rig.boots()] == ["power-on"] * 7
    assert not any("mode=safe" in line for line in rig.logs())


@pytest.mark.parametrize("task", ["relay", "telemetry", "uplink"])
def test_a_task_that_raises_is_named_with_its_traceback(
    virtual_rig: VirtualRig, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    rig = virtual_rig
    rig.start()
    boot = rig.boots()[-1]["boot"]
    owner = f"firmware.{task}.{task.title()}"
    healthy_step = getattr(importlib.import_module(f"firmware.{task}"), task.title()).step

    def broken_step(one: object) -> int:
        if not rig.resets():
            raise ValueError("deliberately broken")
        return int(healthy_step(one))

    monkeypatch.setattr(f"{owner}.step", broken_step)
    rig.wait_event("reset", cause="watchdog")
    info = rig.wait_heard("info", boot=boot + 1)
    assert info["reset"]["culprit"] == task
    assert "deliberately broken" in info["reset"]["traceback"] and "broken_step" in info["reset"]["traceback"]
    rig.wait_lamp("ready")
    # The world knows of no hang, so it must have complained: the watchdog reset what looked healthy.
    assert ["I7" in complaint for complaint in rig.world.invariants.violations] == [True]
    rig.world.invariants.violations.clear()


BROKEN_RELAY = """

_healthy_step = Relay.step


def _broken_step(self):
    if self._board.reset_cause() == "power-on":
        raise ValueError("deliberately broken")
    return _healthy_step(self)


Relay.step = _broken_step
"""


@pytest.mark.parametrize("rig_runtime", runtime_parameters("cpython", "micropython", "micropython32"), indirect=True)
def test_a_task_that_raises_on_a_chip_is_named_with_its_traceback(rig: RealRig, tmp_path: Path) -> None:
    """As above, with a firmware that is flashed broken: the traceback is the interpreter's own."""
    rig.sources = changed_copy(tmp_path)
    with (rig.sources / "firmware" / "relay.py").open("a") as source:
        source.write(BROKEN_RELAY)
    rig.start()
    reset = rig.wait_event("reset")
    assert (reset["cause"], reset["culprit"]) == ("watchdog", "relay")
    info = rig.wait_heard("info", boot=rig.wait_event("boot", cause="watchdog")["boot"])
    assert info["reset"]["culprit"] == "relay"
    assert "deliberately broken" in info["reset"]["traceback"] and "relay" in info["reset"]["traceback"]
    rig.wait_lamp("ready")
