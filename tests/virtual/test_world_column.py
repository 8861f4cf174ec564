"""The column's own behaviour in the virtual world, and the world's promise: same seed, same trace."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sim.search.storms.happenings import TASKS
from sim.search.storms.script import Outcome, generate, perform
from sim.virtual.board import VirtualBoard
from sim.virtual.broker import BrokerFault
from sim.virtual.centre import Policy
from sim.virtual.configuration import config_with
from sim.virtual.malformed import SCRIPTS
from sim.virtual.network_faults import Net
from sim.virtual.world import SERVICE_MS, World

ROOT = Path(__file__).resolve().parents[2]
DAYS = 3
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
STORM_SEED = 29  # of a quarter of an hour, with resets and cuts
STORM = f"""
from sim.search.storms.script import generate, perform
outcome = perform(generate({STORM_SEED}, "heal"))
print(outcome.digest, outcome.simulated_s, sorted(outcome.fired.items()))
"""


def storm(seed: int) -> Outcome:
    return perform(generate(seed, "heal"))


def in_process(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    run = [sys.executable, "-c", STORM]
    return subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_i9_the_same_seed_gives_the_same_trace_with_any_hash_seed() -> None:
    first, second = in_process("0"), in_process("4242")
    assert first == second
    here = storm(STORM_SEED)
    assert first.split()[0] == here.digest
    assert storm(STORM_SEED + 1).digest != here.digest


def test_i9_control_a_board_with_real_randomness_gives_another_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    first = storm(STORM_SEED).digest
    monkeypatch.setattr(VirtualBoard, "random", lambda self, below: int.from_bytes(os.urandom(4)) % below)
    assert storm(STORM_SEED).digest != first


def test_the_hash_covers_every_entry() -> None:
    world = World(1, powered=False)
    world.trace.add("log", "x", 1)
    assert world.trace.digest() == hashlib.sha256(f"{world.trace.entries[0]!r}\n".encode()).hexdigest()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_three_days_without_faults_have_no_reset_and_all_reports(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(3)
    began = time.monotonic()
    world.run(DAYS * DAY_MS)
    took_s = time.monotonic() - began
    world.settle()
    assert world.boots == ["power-on"]
    assert world.centre.heartbeats == pytest.approx(DAYS * DAY_MS / 30_000, rel=0.01)
    drills = [case for case in world.centre.ledger.values() if case.first["status"] == "test"]
    assert len(drills) == len(world.centre.ledger), "nobody pressed"
    assert DAYS <= len(drills) <= 2 * DAYS, "one in 12 to 24 h"
    assert not [topic for topic in world.centre.latest if "/fault/" in topic], "camera and centre answer"
    with capsys.disabled():
        print(f"\n  {DAYS} days in {took_s:.1f} s: {DAYS * DAY_MS / 1000 / took_s:,.0f} simulated seconds a second")


def test_a_press_goes_all_the_way() -> None:
    world = World(1, policy=Policy(accepted_ms=3_000, closed_ms=60_000))
    world.at(20_000, world.press)
    world.run(30_000)
    (case,) = world.centre.ledger.values()
    assert case.press == 1 and case.states == ["received", "accepted"] and not case.late
    assert abs(case.raised_us - 20_000_000) < 20_000
    lamps = [entry.data for entry in world.trace.of("lamp") if entry.t_us > 20_000_000]
    assert lamps[0] == (255, 180, 0) and lamps[-1] == (255, 255, 255)
    assert world.trace.of("relay")[-1].data == (True,)
    world.settle()
    assert world.trace.of("relay")[-1].data == (False,)


def test_every_task_that_hangs_is_named() -> None:
    for seed, task in enumerate(TASKS):
        world = World(seed)
        world.at(40_000, lambda world=world, task=task: world.hang(task))  # type: ignore[misc]
        world.run(70_000)
        assert world.boots == ["power-on", "watchdog"], task
        assert world.centre.births[-1]["reset"]["culprit"] == task
        world.settle()


@pytest.mark.parametrize("cut_ms", [30, 45, 46, 48, 50, 52, 55, 60, 80, 120, 1_000])
def test_power_cut_around_a_press_without_a_broker(cut_ms: int) -> None:
    """What was durable arrives late, what was not debounced arrives never."""
    for seed in range(8):
        world = World(seed)
        world.during(10_000, 40_000, BrokerFault.DOWN)
        world.at(20_000, lambda world=world: world.press(80))  # type: ignore[misc]
        world.at(20_000 + cut_ms, world.power_off)
        world.at(30_000, world.power_on)
        world.run(60_000)
        world.settle()
        assert len(world.centre.ledger) <= 1
        if cut_ms < 36:
            assert world.centre.ledger == {}
        if cut_ms >= 1_000:
            assert [case.late for case in world.centre.ledger.values()] == [True]


@pytest.mark.parametrize("fault", [*Net, *BrokerFault])
def test_presses_during_each_fault_arrive_after_it(fault: Net | BrokerFault) -> None:
    world = World(11, config_with(incident={"open_s": 20}))
    world.during(20_000, 120_000, fault)
    for at_ms in (19_900, 30_000, 60_000, 100_000):
        world.at(at_ms, world.press)
    world.run(140_000)
    world.settle()
    assert len(world.invariants.presses.presses) == 4
    if fault != BrokerFault.DENY_ALARM:
        assert sum(case.press for case in world.centre.ledger.values()) == 4
    assert "watchdog" not in world.boots


@pytest.mark.parametrize("script", SCRIPTS)
def test_hostile_bytes_cost_a_link_at_most(script: str) -> None:
    world = World(12)
    world.at(20_000, lambda: world.broker.hostile(script))
    world.at(20_010, world.press)
    world.run(60_000)
    world.settle()
    assert world.boots == ["power-on"] and len(world.centre.ledger) == 1


@pytest.mark.slow
def test_a_long_outage_causes_no_reset() -> None:
    world = World(13)
    world.during(60_000, 3 * HOUR_MS, BrokerFault.DOWN)
    world.at(HOUR_MS, world.press)
    world.run(3 * HOUR_MS)
    assert world.boots == ["power-on"] and world.centre.ledger == {}
    world.settle()
    assert len(world.centre.ledger) == 1


@pytest.mark.slow
def test_presses_against_handshakes_that_never_stop() -> None:
    """The worst place for a press: TLS again and again, each with stalls of up to a second."""
    for seed in range(6):
        world = World(seed, config_with(incident={"open_s": 10}))
        for n in range(60):
            world.at(20_000 + n * 5_000, world.broker.takeover)
            world.at(20_000 + n * 5_000 + 47 * n, world.press)
        world.run(330_000)
        world.settle()


def test_a_run_may_be_paused_anywhere() -> None:
    world = World(1)
    for _ in range(200):
        world.run(137)
    world.press()
    world.run(500)
    assert len(world.centre.ledger) == 1
    world.power_off()
    world.run(5_000)
    assert world.board is None
    world.power_on()
    world.settle()
    assert world.boots == ["power-on", "power-on"]


def test_what_an_action_raises_comes_out_of_run() -> None:
    world = World(1)

    def fail() -> None:
        raise LookupError("mine")

    world.at(5_000, fail)
    with pytest.raises(LookupError, match="mine"):
        world.run(10_000)


def test_a_broken_configuration_says_which_key_and_stays_up() -> None:
    world = World(1, config_with(location={"geo": "nowhere"}))
    world.run(60_000)
    assert any("location.geo" in str(entry.data[0]) for entry in world.trace.of("log"))
    assert world.trace.of("lamp")[0].data == (255, 0, 0)
    assert world.boots == ["power-on"]


def test_a_board_without_a_configuration_stays_calm_while_its_contact_is_closed() -> None:
    world = World(1, config_with(location={"geo": "nowhere"}))
    world.at(20_000, world.hold)
    world.run(60_000)
    said = [entry for entry in world.trace.of("log") if "location.geo" in str(entry.data[0])]
    assert len(said) == 6 and world.boots == ["power-on"]


def test_service_mode_leaves_the_column_alone_for_one_boot() -> None:
    world = World(1)
    world.flash.files["service.req"] = b""
    world.run(60_000)
    assert world.centre.births == [] and world.boots == ["power-on"]
    world.power_off()
    world.power_on()
    world.run(60_000)
    assert len(world.centre.births) == 1


def test_service_mode_ends_by_itself() -> None:
    world = World(1)
    world.flash.files["service.req"] = b""
    world.run(SERVICE_MS - 60_000)
    assert world.centre.births == [] and world.boots == ["power-on"]
    world.run(120_000)
    assert world.boots == ["power-on", "watchdog"] and len(world.centre.births) == 1


def test_the_world_knows_how_long_main_lets_service_last() -> None:
    assert f"SERVICE_MIN = {SERVICE_MS // 60_000} " in (ROOT / "main.py").read_text()


def test_a_forged_connack_from_a_broker_that_gave_none() -> None:
    """Seed 3188 of a storm: the column believes it, and what it then sends breaks no protocol."""
    world = World(3188)
    world.during(0, 20_000, BrokerFault.NO_CONNACK)
    for at_ms in range(500, 15_000, 500):
        world.at(at_ms, lambda: world.broker.hostile("second-connack"))
    world.run(30_000)
    world.settle()
    assert any("session with" in str(text) for text in world.trace.of("log"))
