"""The pillar's page with a real column behind it: what the technician does behind the hatch, and who hears whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from browser_probe import MARKS, DeskPage, PillarPage, Visitor, running_city
from column_probe import need
from playwright.sync_api import expect

from sim.demo.columns import COLUMNS
from sim.pillar import button

if TYPE_CHECKING:
    from sim.demo.city import City

pytestmark = [*MARKS, pytest.mark.timeout(240)]

DEVICE = COLUMNS[0].device_id
LEVELS = 24
LEVEL_EVERY_MS = 50
# Who leaves says so, and the intercom may have noticed by itself already.
HUNG_UP = re.compile(r"status of 404 .*/person/")
QUIET, LOUD = 0.01, 0.02


def soon_stuck(config: dict[str, Any]) -> None:
    config["button"]["stuck_s"] = 5


@pytest.fixture(scope="module")
def city() -> Iterator[City]:
    need("mosquitto")
    with running_city(COLUMNS[:1], adjust=soon_stuck) as city:
        yield city


@pytest.fixture
def pillar(city: City, visitor: Visitor) -> PillarPage:
    """With its hatch open."""
    pillar = visitor.pillar(city.page(DEVICE))
    pillar.get("hatch").click()
    expect(pillar.get("power")).to_be_visible()
    return pillar


@pytest.fixture
def desk(city: City, visitor: Visitor) -> DeskPage:
    return visitor.desk(city.desk.url)


def is_on(pillar: PillarPage, switch: str, on: bool) -> None:
    expect(pillar.get(switch)).to_have_attribute("aria-checked", str(on).lower())


def test_the_supply_is_cut_and_comes_back(pillar: PillarPage, desk: DeskPage) -> None:
    is_on(pillar, "power", True)
    pillar.get("power").click()
    pillar.shows("dark")
    is_on(pillar, "power", False)
    expect(desk.get(f"silent-{DEVICE}")).to_be_visible()
    pillar.get("power").click()
    pillar.shows("ready")
    expect(desk.get(f"silent-{DEVICE}")).to_have_count(0)


def test_a_press_while_the_network_is_gone_arrives_when_it_is_back(pillar: PillarPage, desk: DeskPage) -> None:
    pillar.get("link").click()
    is_on(pillar, "link", False)
    pillar.press()
    pillar.shows("not-delivered")
    assert desk.strips() == []
    pillar.get("link").click()
    incident = desk.call_from(DEVICE)
    pillar.shows("answered")
    desk.finish(incident)


def test_the_housing_is_opened(pillar: PillarPage, desk: DeskPage) -> None:
    column = desk.get(f"column-{DEVICE}")
    expect(column).to_have_attribute("data-status", "ready")
    pillar.get("tamper").click()
    is_on(pillar, "tamper", True)
    expect(column).to_have_attribute("data-status", "fault")
    pillar.get("tamper").click()
    expect(column).to_have_attribute("data-status", "ready")


def test_a_stuck_contact_calls_once_and_is_a_fault(pillar: PillarPage, desk: DeskPage) -> None:
    pillar.get("stuck").click()
    incident = desk.call_from(DEVICE)
    desk.finish(incident)
    column = desk.get(f"column-{DEVICE}")
    expect(column).to_have_attribute("data-status", "fault")
    assert desk.strips() == []
    pillar.get("stuck").click()
    is_on(pillar, "stuck", False)
    expect(column).to_have_attribute("data-status", "ready")


def test_chatter_is_no_press(pillar: PillarPage, desk: DeskPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(button, "CHATTER_S", 3.0)
    pillar.get("chatter").click()
    is_on(pillar, "chatter", True)
    is_on(pillar, "chatter", False)  # a loose contact settles by itself
    assert desk.strips() == []
    pillar.shows("ready")


def test_a_reset_is_told_on_the_console(pillar: PillarPage, city: City) -> None:
    boot = city.pillars[DEVICE].state()["boot"]
    pillar.get("reset").click()
    pillar.until(lambda: city.pillars[DEVICE].state()["boot"] == boot + 1, "one more start")
    expect(pillar.get("console")).to_contain_text("reset")
    pillar.shows("ready")


def test_the_desk_hears_who_stands_at_the_pillar(pillar: PillarPage, desk: DeskPage, visitor: Visitor) -> None:
    """The pretended microphone beeps now and then; the intercom's own test tone, the control, never pauses."""
    visitor.may_say = HUNG_UP
    pillar.press()
    incident = desk.call_from(DEVICE)
    desk.open(incident)
    desk.get("play").click()
    desk.sees_and_hears()
    desk.until(lambda: min(levels(desk)) > QUIET, "a tone without pauses")
    pillar.get("person").click()
    expect(pillar.get("person")).to_have_attribute("aria-checked", "true")
    desk.until(lambda: min(heard := levels(desk)) < QUIET and max(heard) > LOUD, "beeps with pauses in between")
    pillar.get("person").click()
    desk.until(lambda: min(levels(desk)) > QUIET, "the tone again")
    desk.finish(incident)


def levels(desk: DeskPage) -> list[float]:
    """How loud the place is at the desk, for a second and more."""
    found = []
    for _ in range(LEVELS):
        desk.page.wait_for_timeout(LEVEL_EVERY_MS)
        found.append(desk.level())
    return found
