"""The columns' upkeep in a real browser, with a real column: the roster and its chain, maintenance from the first key
to the passed drill, the screen on the wall, the public page behind a label's code; by keyboard, and on a phone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser_probe import MARKS, PHONE, DeskPage, Probe, Visitor, running_city
from column_probe import need
from desk_words import LANGUAGES, words
from playwright.sync_api import expect

from common.receiver import key_of, label_key
from sim.demo.columns import COLUMNS

if TYPE_CHECKING:
    from sim.demo.city import City

pytestmark = [*MARKS, pytest.mark.timeout(300)]

HERE, ABSENT = COLUMNS[0], COLUMNS[1]
KEY, CENTRE = bytes(range(32)), "nko-102"
SIZES = "node => [...node.children].filter(one => one.textContent).map(one => parseInt(getComputedStyle(one).fontSize))"
REFRESHED_MS = 60_000
NOT_FOUND = re.compile(r"status of 404")


def roster(folder: Path) -> list[str]:
    rows = [
        {
            "device_id": one.device_id, "region": "nko", "address": one.address, "geo": one.geo, "site": one.site,
            "stream": ["webrtc"],
        }
        for one in (HERE, ABSENT)
    ]  # fmt: skip
    (folder / "roster.json").write_text(json.dumps({"v": 1, "centre": CENTRE, "columns": rows}))
    (folder / "answer.key").write_text(KEY.hex())
    return ["--roster", str(folder / "roster.json"), "--answer-key", str(folder / "answer.key")]


def adjust(config: dict[str, Any]) -> None:
    """As provisioning makes it."""
    config["receiver"] = {"name": CENTRE}
    config["secrets"]["answer_key"] = key_of(KEY, config["device_id"]).hex()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What provisioning writes for the desk."""
    return tmp_path_factory.mktemp("roster")


@pytest.fixture(scope="module")
def city(folder: Path) -> Iterator[City]:
    need("mosquitto")
    with running_city([HERE], adjust=adjust, desk_arguments=roster(folder)) as city:
        yield city


def drill(desk: DeskPage) -> None:
    """By command, on the column's panel, as an operator does."""
    desk.page.keyboard.press("1")
    desk.get(f"column-{HERE.device_id}").get_by_role("button").click()
    desk.get("command-drill").click()


def is_link(desk: Probe, link: str, state: str) -> None:
    cell = desk.get(f"upkeep-{HERE.device_id}").locator(f'[data-link="{link}"]')
    expect(cell).to_have_attribute("data-state", state)


def test_from_the_roster_to_maintenance_and_back_by_keyboard_alone(city: City, visitor: Visitor) -> None:
    pillar, desk = visitor.pillar(city.page(HERE.device_id)), visitor.desk(city.desk.url)
    drill(desk)
    keys = desk.page.keyboard
    keys.press("Escape")
    keys.press("4")
    absent = desk.get("upkeep-findings").locator('[data-kind="never-online"]')
    expect(absent).to_contain_text(ABSENT.device_id)
    is_link(desk, "drill", "proven")
    is_link(desk, "desk", "proven")
    is_link(desk, "journal", "proven")
    is_link(desk, "button", "unproven")
    is_link(desk, "voice", "unproven")

    desk.tab_to(f"order-{HERE.device_id}")
    keys.press("Enter")
    expect(desk.get("ask-order")).to_be_visible()
    keys.type("new button")
    keys.press("Tab")
    keys.type("A. Omarov")
    keys.press("Tab")
    keys.press("Tab")
    keys.press("ArrowDown")
    keys.press("Tab")
    keys.press("Space")
    keys.press("Enter")
    expect(desk.get("ask-order")).to_be_hidden()
    row = desk.get(f"upkeep-{HERE.device_id}")
    expect(row).to_have_attribute("data-state", "maintenance")
    pillar.shows("out-of-service")
    expect(desk.get(f"column-{HERE.device_id}")).to_contain_text("maintenance")

    pillar.press()
    is_link(desk, "button", "proven")
    assert desk.strips() == [] and not desk.is_ringing(), "it must not ring"
    pillar.shows("out-of-service")

    number = int(str(desk.get("upkeep-orders").locator("[data-testid^=work-order]").get_attribute("data-testid"))[11:])
    desk.tab_to(f"finish-{number}")
    keys.press("Enter")
    expect(desk.get("upkeep-orders").locator("[data-testid^=work-order]")).to_have_count(0)
    expect(row).not_to_have_attribute("data-state", "maintenance")
    desk.until(lambda: city.lamps(HERE.device_id)[-1] != "out-of-service", "a lamp that is out of maintenance")
    pillar.press()
    desk.until(desk.is_ringing, "a press that rings again")
    desk.finish(desk.call_from(HERE.device_id))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_wall_and_the_public_page_in_every_language(city: City, visitor: Visitor, language: str) -> None:
    """What is wrong comes first and can be read from three metres; what the public reads names no fault."""
    desk = visitor.desk(city.desk.url)
    desk.page.evaluate(f"localStorage.setItem('sos-language', '{language}')")
    desk.page.goto(city.desk.url.split("/enter")[0].rstrip("/") + "/wall")
    wall = Probe(desk.page)
    expect(wall.get("wall-percent")).to_have_text("0 %")
    first = wall.get("wall-columns").locator("li").first
    expect(first).to_have_attribute("data-kind", "down")
    expect(first).to_contain_text(ABSENT.device_id)
    expect(first).to_contain_text(words(language)["cause.unknown"])
    height = desk.page.evaluate("innerHeight")
    sizes = first.evaluate(SIZES)
    assert min(sizes[:-1]) * 41 >= height, f"{sizes} px on {height}"
    assert desk.page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"

    visitor.may_say = NOT_FOUND
    base = city.desk.url.split("/enter")[0].rstrip("/")
    page = visitor.page(f"{base}/public/{HERE.device_id}?key={label_key(KEY, HERE.device_id)}", PHONE)
    public = Probe(page)
    public.get("public-language").select_option(language)
    expect(public.get("public-name")).to_have_text(HERE.device_id)
    right = "|".join(re.escape(words(language)[f"public.{state}"]) for state in ("works", "checked"))
    state = public.get("public-state")
    expect(state).to_have_attribute("data-state", re.compile("works|checked"))
    expect(state).to_have_text(re.compile(f"^({right})$"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the phone"
    guessed = Probe(visitor.page(f"{base}/public/{ABSENT.device_id}?key=0123456789abcdef", PHONE))
    expect(guessed.get("public-state")).to_have_attribute("data-state", "unknown")


def test_the_upkeep_on_a_phone(city: City, visitor: Visitor) -> None:
    desk = visitor.desk(city.desk.url, PHONE)
    desk.page.get_by_role("button", name=words("en")["nav.upkeep"], exact=True).click()
    expect(desk.get(f"upkeep-{HERE.device_id}")).to_be_attached()
    assert desk.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the phone"
    desk.get(f"order-{HERE.device_id}").click()
    expect(desk.get("ask-save")).to_be_in_viewport()


def test_a_bad_new_roster_is_refused_on_the_page(city: City, visitor: Visitor, folder: Path) -> None:
    roster_file = folder / "roster.json"
    good = roster_file.read_text()
    roster_file.write_text(good.replace('"site": "public"', '"site": "moon"', 1))
    desk = visitor.desk(city.desk.url)
    desk.page.keyboard.press("4")
    refused = desk.get("roster-refused")
    expect(refused).to_contain_text("site: found 'moon', must be public or school", timeout=REFRESHED_MS)
    expect(desk.get(f"upkeep-{ABSENT.device_id}")).to_be_attached()
    roster_file.write_text(good)
    expect(refused).to_be_hidden(timeout=REFRESHED_MS)
