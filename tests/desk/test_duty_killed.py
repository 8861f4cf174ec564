"""A desk that is killed (SIGKILL, a process of its own) at each point of an alarm's way: nothing is lost, nothing is
answered that is not in the register. Each message is sent once only: a real column would send it again."""

from __future__ import annotations

from pathlib import Path

import pytest
from duty_rig import DeskProcess, Street

from desk.register import Register
from sim.servers.broker import Mosquitto

pytestmark = pytest.mark.mosquitto


def registered(folder: Path) -> list[str]:
    """What is in the register of a desk that does not run."""
    with Register(folder / "register.db") as register:
        return [row["id"] for row in register.incidents()]


def press_and_die(fault: str, folder: Path, broker: Mosquitto, street: Street) -> str:
    with DeskProcess(folder, broker, fault=fault) as desk:
        incident_id = street.press()
        desk.wait_killed()
    street.flush()
    assert street.states(incident_id) == []
    return incident_id


def comes_back(incident_id: str, folder: Path, broker: Mosquitto, street: Street, wait_s: float = 60.0) -> None:
    """The next desk has it, and answers it though nobody sends it again."""
    with DeskProcess(folder, broker):
        street.wait_for(incident_id, "received", wait_s)
    assert registered(folder) == [incident_id]


def test_killed_after_the_message_and_before_the_commit(tmp_path: Path, broker: Mosquitto, street: Street) -> None:
    incident_id = press_and_die("before-commit", tmp_path, broker, street)
    assert registered(tmp_path) == []
    comes_back(incident_id, tmp_path, broker, street)


@pytest.mark.parametrize("fault", ["after-commit", "before-answer"])
def test_killed_after_the_commit_and_before_received(
    fault: str, tmp_path: Path, broker: Mosquitto, street: Street
) -> None:
    """With and without the PUBACK: the broker sends it again, or the register knows that an answer is owed."""
    incident_id = press_and_die(fault, tmp_path, broker, street)
    assert registered(tmp_path) == [incident_id]
    comes_back(incident_id, tmp_path, broker, street)


@pytest.mark.parametrize("wrong", ["receipt-first", "forgets-debts"])
def test_a_desk_with_the_wrong_order_is_noticed(wrong: str, tmp_path: Path, broker: Mosquitto, street: Street) -> None:
    """The controls: PUBACK before the commit loses the alarm; a register without debts loses the answer."""
    incident_id = press_and_die(wrong, tmp_path, broker, street)
    with pytest.raises(AssertionError, match="was not answered"):
        comes_back(incident_id, tmp_path, broker, street, wait_s=2.0)
    assert registered(tmp_path) == ([] if wrong == "receipt-first" else [incident_id])


def test_killed_between_press_and_accept(tmp_path: Path, broker: Mosquitto, street: Street) -> None:
    with DeskProcess(tmp_path, broker) as desk:
        incident_id = street.press()
        street.wait_for(incident_id, "received")
        desk.kill()
    with DeskProcess(tmp_path, broker) as desk:
        desk.do("accept", incident_id, "operator 4")
        assert street.wait_for(incident_id, "accepted")["by"] == "operator 4"
        desk.do("close", incident_id, "help-given", "operator 4", "all is well")
        street.wait_for(incident_id, "closed")
    with Register(tmp_path / "register.db") as register:
        row = register.incident(incident_id)
    assert row is not None and (row["state"], row["outcome"], row["note"]) == ("closed", "help-given", "all is well")
    assert [entry["kind"] for entry in row["timeline"]] == ["press", "received", "accepted", "closed"]


@pytest.mark.parametrize("fault", ["before-commit", "after-commit", "before-answer"])
def test_killed_while_the_operator_accepts(fault: str, tmp_path: Path, broker: Mosquitto, street: Street) -> None:
    """The operator sees that it failed; what is committed, the next desk answers; the rest did not happen."""
    with DeskProcess(tmp_path, broker):
        incident_id = street.press()
        street.wait_for(incident_id, "received")
    with DeskProcess(tmp_path, broker, fault=fault) as desk:
        assert desk.do("accept", incident_id, "operator 4") == ""
        desk.wait_killed()
    with DeskProcess(tmp_path, broker) as desk:
        if fault == "before-commit":
            assert "accepted" not in street.states(incident_id)
            desk.do("accept", incident_id, "operator 5")
        by = street.wait_for(incident_id, "accepted")["by"]
    assert by == ("operator 5" if fault == "before-commit" else "operator 4")


def test_an_alarm_while_no_desk_runs_is_there_when_one_does(tmp_path: Path, broker: Mosquitto, street: Street) -> None:
    with DeskProcess(tmp_path, broker):
        pass
    incident_id = street.press()
    comes_back(incident_id, tmp_path, broker, street)


def test_an_alarm_survives_a_dead_desk_and_a_restarted_broker(
    tmp_path: Path, broker: Mosquitto, street: Street
) -> None:
    with DeskProcess(tmp_path, broker):
        pass
    first = street.press()
    broker.restart()
    second = street.press(seq=4)
    with DeskProcess(tmp_path, broker):
        street.wait_for(first, "received")
        street.wait_for(second, "received")
    assert sorted(registered(tmp_path)) == [first, second]
