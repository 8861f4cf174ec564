"""Ten columns are pressed at once: ten strips, none lost, none twice, and each gets its own answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from browser_probe import MARKS, PATIENCE_S, PRESS_MS, Visitor, running_city
from column_probe import need
from playwright.sync_api import expect

from sim.demo.columns import DemoColumn

if TYPE_CHECKING:
    from sim.demo.city import City

pytestmark = [*MARKS, pytest.mark.timeout(300)]

COLUMNS = tuple(
    DemoColumn(f"crowd-{n:02}", f"Place {n}", f"geo:54.8{50 + n},69.1{40 + n};u=5", f"Street {n}", "public")
    for n in range(10)
)
PATIENT_S = 2 * PATIENCE_S


@pytest.fixture(scope="module")
def city() -> Iterator[City]:
    need("mosquitto")
    with running_city(COLUMNS) as city:
        for place in COLUMNS:
            city.wait_for_lamp(place.device_id, "ready", PATIENT_S)
        yield city


def test_ten_columns_are_pressed_within_a_second(city: City, visitor: Visitor) -> None:
    desk = visitor.desk(city.desk.url)
    started_s = time.monotonic()
    for pillar in city.pillars.values():
        pillar.press(PRESS_MS)
    print(f"ten presses in {time.monotonic() - started_s:.2f} s")
    desk.until(lambda: len(desk.strips()) == len(COLUMNS), "ten strips", PATIENT_S)
    calls = {device_id: desk.call_from(device_id) for device_id in city.pillars}
    assert sorted(calls.values()) == sorted(desk.strips())
    for device_id in city.pillars:
        city.wait_for_lamp(device_id, "answered", PATIENT_S)

    taken = [device_id for number, device_id in enumerate(calls) if number % 2]
    for device_id in taken:
        desk.get("strip", id=calls[device_id]).locator("[data-testid=strip-accept]").click()
        city.wait_for_lamp(device_id, "help-coming", PATIENT_S)
    for device_id in set(calls) - set(taken):
        assert "help-coming" not in city.lamps(device_id), "nobody has taken that call"
    assert desk.is_ringing(), "five calls are still waiting"
    for device_id in sorted(set(calls) - set(taken)):
        desk.get("strip", id=calls[device_id]).locator("[data-testid=strip-accept]").click()
        city.wait_for_lamp(device_id, "help-coming", PATIENT_S)
    desk.until(lambda: not desk.is_ringing(), "quiet")

    desk.page.keyboard.press("2")
    rows = desk.page.locator("[data-testid=register-calls] tr[data-id]")
    expect(rows).to_have_count(len(COLUMNS))
    for call in calls.values():
        expect(desk.row(call)).to_have_count(1)
