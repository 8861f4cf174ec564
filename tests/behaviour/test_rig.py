"""Negative controls: firmware that is broken on purpose, and what the rig says to it. If one of these passes for
sound, the behaviour tests prove nothing."""

from collections.abc import Callable

import pytest
from rig import Rig
from rig_virtual import VirtualRig

from firmware import incident
from firmware.incident import Incident
from firmware.journal import Journal
from firmware.outbox import Outbox
from firmware.relay import Relay
from tools.toolbox import ToolMissing


@pytest.fixture
def broken_rig() -> VirtualRig:
    """A column whose broken promises the test collects itself."""
    return VirtualRig(seed=1)


def start_and_press(rig: Rig) -> None:
    rig.start()
    rig.press()
    rig.wait_alarms()


def test_a_lamp_that_takes_puback_for_an_answer_is_caught(
    broken_rig: VirtualRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Incident.lamp
    monkeypatch.setattr(Incident, "lamp", lambda one: "answered" if one.state == incident.SENT else honest(one))
    broken_rig.silence_centre()
    start_and_press(broken_rig)
    broken_rig.wait_lamp("answered")
    with pytest.raises(AssertionError, match="I4"):
        broken_rig.check()


def test_a_journal_that_forgets_is_caught(broken_rig: VirtualRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "add", lambda *_: None)
    broken_rig.start()
    broken_rig.break_broker("stop")
    broken_rig.press()
    broken_rig.until(broken_rig.noted, 2000, "the press noted")
    broken_rig.power_off()
    broken_rig.mend_broker()
    broken_rig.power_on()
    broken_rig.wait_lamp("ready")
    with pytest.raises(AssertionError):
        broken_rig.check_all_arrived_once()
    with pytest.raises(AssertionError, match="I1"):
        broken_rig.check()


def test_an_id_that_nobody_pressed_is_caught(broken_rig: VirtualRig) -> None:
    start_and_press(broken_rig)
    broken_rig.check()
    broken_rig.events = [event for event in broken_rig.events if event["event"] != "log"]
    with pytest.raises(AssertionError, match="nobody pressed"):
        broken_rig.check()


def test_answered_by_nobody_is_caught(broken_rig: VirtualRig) -> None:
    broken_rig.start()
    broken_rig.check()
    broken_rig.saw("lamp", broken_rig.now_ms(), state="answered")
    with pytest.raises(AssertionError, match="answered by nobody"):
        broken_rig.check()


def test_a_message_against_the_contract_is_caught(broken_rig: VirtualRig, monkeypatch: pytest.MonkeyPatch) -> None:
    add = Outbox.add
    monkeypatch.setattr(Outbox, "add", lambda box, topic, payload: add(box, topic, payload.replace(b'"v":1', b'"v":2')))
    broken_rig.start()
    broken_rig.wait_happened("boot")
    with pytest.raises(AssertionError, match="v: found 2"):
        broken_rig.check()


def test_a_relay_that_stays_open_is_not_waited_for_in_vain(
    broken_rig: VirtualRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Relay, "close", lambda _: None)
    start_and_press(broken_rig)
    with pytest.raises(AssertionError, match="no relay .* within 1000 ms"):
        broken_rig.wait_event("relay", 1000, closed=True)


@pytest.mark.parametrize("strict", [True, False])
def test_a_missing_tool_is_a_failure_under_strict_and_else_a_skip(
    monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    from column_probe import need, need_here

    from tools import toolbox

    def missing(name: str) -> list[str]:
        raise ToolMissing(f"no {name}")

    monkeypatch.setattr(toolbox, "require", missing)
    monkeypatch.setattr(toolbox, "STRICT", strict)
    toolbox.find.cache_clear()
    outcome: Callable[..., object] = pytest.fail.Exception if strict else pytest.skip.Exception
    try:
        with pytest.raises(outcome, match="mosquitto is missing: make tools"):  # type: ignore[call-overload]
            need("mosquitto")
        with pytest.raises(outcome, match="!!! NOT TESTED: no unheard-of here"):  # type: ignore[call-overload]
            need_here("unheard-of")
    finally:
        toolbox.find.cache_clear()
