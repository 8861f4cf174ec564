"""Broken configurations: the column says which key, on the lamp and on the console, and falls back if it can."""

from typing import Any

import pytest
from rig import Rig


def broken(document: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    *path, last = key.split(".")
    section = document
    for part in path:
        section = section.setdefault(part, {})
    section[last] = value
    return document


@pytest.mark.parametrize(
    ("key", "value"),
    [("location.geo", "somewhere"), ("pins.button", 6), ("device_id", "Петропавл"), ("broker.keepalive", 5)],
)
def test_a_broken_configuration_says_which_key(rig: Rig, key: str, value: object) -> None:
    rig.install(broken(rig.document(), key, value))
    rig.power_on()
    rig.wait_lamp("out-of-service")
    line = rig.wait_log(f"configuration: {key}: ")
    assert "must be" in line or "but" in line, "and what would be right"
    assert set(rig.lamps()) == {"out-of-service"}


def test_every_wrong_key_is_said(rig: Rig) -> None:
    document = broken(rig.document(), "location.geo", "somewhere")
    rig.install(broken(document, "incident.answer_s", 0))
    rig.power_on()
    rig.wait_log("configuration: location.geo: found")
    rig.wait_log("configuration: incident.answer_s: found 0, must be an integer from 1 to 120")


def test_a_column_that_worked_once_falls_back_to_what_worked(rig: Rig) -> None:
    rig.start()
    rig.wait_healthy()
    rig.install(broken(rig.document(), "location.geo", "somewhere"))
    rig.power_on()
    rig.wait_lamp("ready")
    rig.wait_log("configuration: location.geo: found")
    fault = rig.wait_heard("fault/config")
    assert "location.geo" in fault["detail"] and "last-good" in fault["detail"]
    info = rig.wait_heard("info", boot=rig.boots()[-1]["boot"])
    assert info["config"]["source"] == "last-good"
    rig.press()
    [alarm] = rig.wait_alarms()
    assert alarm.body["location"] == rig.document()["location"]
    rig.wait_lamp("answered")
    rig.install(rig.document())
    rig.power_on()
    rig.until(lambda: rig.heard("fault/config") is None, 10_000, "the fault cleared by a good configuration")
