"""Two desks at one broker, each a process with a register of its own: they agree, and either may be killed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from duty_rig import DeskProcess, Street, alarm_of, until

from desk.register import Reading
from sim.servers.broker import Mosquitto

pytestmark = pytest.mark.mosquitto
TEN = [f"column-{number:02}" for number in range(10)]
TOLD = ("state", "by", "outcome", "press", "reopened", "accepted_by", "accepted_ms", "closed_ms")


def told(folder: Path, incident_id: str) -> dict[str, Any] | None:
    """What a desk's register says of an incident while the desk runs."""
    with contextlib.closing(Reading(folder / "register.db")) as reading:
        row = reading.incident(incident_id)
    return row and {name: row[name] for name in TOLD}


def agreed(folders: list[Path], incident_id: str, state: str) -> dict[str, Any]:
    """What both registers say, as soon as it is the same and in that state."""

    def look() -> dict[str, Any] | None:
        first, second = (told(folder, incident_id) for folder in folders)
        return first if first is not None and first == second and first["state"] == state else None

    return until(look, f"agreement on {incident_id} as {state}")


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return [tmp_path / "a", tmp_path / "b"]


def test_each_shows_what_the_other_does(broker: Mosquitto, street: Street, folders: list[Path]) -> None:
    with DeskProcess(folders[0], broker, name="desk-a") as a, DeskProcess(folders[1], broker, name="desk-b") as b:
        incident_id = street.press()
        agreed(folders, incident_id, "received")
        a.do("accept", incident_id, "anna")
        assert agreed(folders, incident_id, "accepted")["accepted_by"] == "anna"
        b.do("dispatch", incident_id, "boris")
        agreed(folders, incident_id, "dispatched")
        b.do("close", incident_id, "help-given", "boris")
        assert agreed(folders, incident_id, "closed")["outcome"] == "help-given"
        street.press(press=2)
        assert agreed(folders, incident_id, "received")["reopened"] == 1


def test_one_that_was_dead_learns_what_the_other_did(broker: Mosquitto, street: Street, folders: list[Path]) -> None:
    with DeskProcess(folders[0], broker, name="desk-a") as a:
        with DeskProcess(folders[1], broker, name="desk-b"):
            pass  # killed
        incident_id = street.press()
        street.wait_for(incident_id, "received")
        a.do("close", incident_id, "false", "anna")
        street.wait_for(incident_id, "closed")
        with DeskProcess(folders[1], broker, name="desk-b"):
            assert agreed(folders, incident_id, "closed")["by"] == "anna"
            before = len(street.states(incident_id))
            street.press()
            until(lambda: len(street.states(incident_id)) >= before + 2, "both desks' answer")
    assert set(street.states(incident_id)[before:]) == {"closed"}


def test_ten_columns_at_once_and_two_operators_at_once(broker: Mosquitto, street: Street, folders: list[Path]) -> None:
    with DeskProcess(folders[0], broker, name="desk-a") as a, DeskProcess(folders[1], broker, name="desk-b") as b:
        ids = [street.press(device_id) for device_id in TEN]
        for incident_id in ids:
            agreed(folders, incident_id, "received")
        for number, incident_id in enumerate(ids):  # neither waits to hear of the other's
            for desk, name in [(a, "anna"), (b, "boris")][:: 1 if number % 2 else -1]:
                desk.try_to("accept", incident_id, name)
        for incident_id in ids:
            agreed(folders, incident_id, "accepted")
        for desk in (a, b):
            desk.kill()
    for incident_id in ids:
        assert told(folders[0], incident_id) == told(folders[1], incident_id)
    assert set(ids) == {alarm_of(device_id)["id"] for device_id in TEN}
