"""The pages without a mouse, on a phone, on a small screen, and in three languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser_probe import MARKS, PHONE, PRESS_MS, WIDE, DeskPage, Visitor
from desk_words import words
from playwright.sync_api import Locator, Page, ViewportSize, expect

from sim.demo.columns import COLUMNS

if TYPE_CHECKING:
    from sim.demo.city import City

pytestmark = [*MARKS, pytest.mark.timeout(240)]

TARGET_PX = 44
SMALL: ViewportSize = {"width": 1024, "height": 768}
TAB_LIMIT = 60
EXERCISE = words("en")["kind.exercise"]


def fits(page: Page) -> bool:
    """Nothing is to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def tab_to(desk: DeskPage, part: Locator) -> None:
    """As somebody without a mouse gets there."""
    for _ in range(TAB_LIMIT):
        if part.evaluate("node => node === document.activeElement"):
            return
        desk.page.keyboard.press("Tab")
    raise AssertionError("the keyboard does not get there")


def ready_for(desk: DeskPage, step: str) -> None:
    """The step before is done: until then a key does nothing, as its button shows."""
    expect(desk.get(step)).to_be_enabled()


def test_a_whole_call_by_keyboard_alone(city: City, visitor: Visitor) -> None:
    pillar = visitor.pillar(city.page("petropavl-01"))
    desk = visitor.desk(city.desk.url)
    keyboard = desk.page.keyboard
    pillar.get("button").focus()
    pillar.page.keyboard.down("Space")
    pillar.page.wait_for_timeout(PRESS_MS)
    pillar.page.keyboard.up("Space")
    incident = desk.call_from("petropavl-01")
    expect(desk.get("incident", id=incident)).to_be_visible()
    keyboard.press("p")
    desk.sees_and_hears()
    keyboard.press("a")
    desk.becomes(incident, "accepted")
    pillar.shows("help-coming")
    ready_for(desk, "dispatch")
    keyboard.press("d")
    desk.becomes(incident, "dispatched")
    ready_for(desk, "close")
    keyboard.press("c")
    expect(desk.get("outcome").locator("input").first).to_be_focused()
    keyboard.press("Enter")  # nothing is chosen yet
    keyboard.press("3")
    expect(desk.get("outcome-help-given")).to_be_checked()
    keyboard.press("Enter")
    desk.becomes(incident, "closed")
    keyboard.press("Escape")
    keyboard.press("2")
    expect(desk.row(incident)).to_have_attribute("data-state", "closed")
    keyboard.press("?")
    expect(desk.get("help")).to_be_visible()
    keyboard.press("Escape")
    expect(desk.get("help")).not_to_be_visible()


def test_an_exercise_by_keyboard_alone(city: City, visitor: Visitor) -> None:
    """From the chief who begins it to the statistics. Red where D asks to send somebody (the desk refuses it), where
    Enter does not keep what was read back, and where the focus is lost with the button for accepting."""
    device_id, desk = "petropavl-02", visitor.desk(city.desk.url)
    keyboard = desk.page.keyboard
    keyboard.press("/")
    keyboard.type(device_id)
    tab_to(desk, desk.get(f"column-{device_id}").get_by_role("button"))
    keyboard.press("Enter")
    tab_to(desk, desk.get("command-exercise"))
    keyboard.press("Enter")
    exercise = desk.call_from(device_id)
    desk.until(desk.is_ringing, "the bell")
    keyboard.press("n")
    panel = desk.get("incident", id=exercise)
    expect(panel).to_be_visible()
    expect(panel).not_to_contain_text(EXERCISE)
    tab_to(desk, desk.get("accept"))
    keyboard.press("Enter")
    desk.becomes(exercise, "accepted")
    expect(panel).to_contain_text(EXERCISE)
    expect(desk.get("close")).to_be_focused()
    keyboard.press("d")  # nobody is sent to an exercise
    tab_to(desk, desk.get("readback"))
    address = next(one.address for one in COLUMNS if one.device_id == device_id)
    keyboard.type(address)
    keyboard.press("Enter")
    expect(panel.get_by_test_id("timeline")).to_contain_text(f"named the place rightly: {address}")
    desk.becomes(exercise, "accepted")
    tab_to(desk, desk.get("close"))
    keyboard.press("Enter")
    keyboard.press("5")
    expect(desk.get("outcome-other")).to_be_checked()
    keyboard.press("Enter")
    desk.becomes(exercise, "closed")
    keyboard.press("Escape")
    keyboard.press("3")
    last = desk.get("exercises").locator("tbody tr").first.locator("td:nth-last-child(-n+3)")
    expect(last).to_have_text(["1", "0", "0"])  # rightly, wrongly, missed


def test_the_button_is_held_as_long_as_the_key(city: City, visitor: Visitor) -> None:
    pillar = visitor.pillar(city.page("petropavl-02"))
    desk = visitor.desk(city.desk.url)
    pillar.get("button").focus()
    pillar.page.keyboard.down("Enter")
    pillar.until(lambda: city.pillars["petropavl-02"].state()["held"], "the finger on the button")
    incident = desk.call_from("petropavl-02")
    assert city.pillars["petropavl-02"].state()["held"], "the call goes out while the button is held"
    pillar.page.keyboard.up("Enter")
    pillar.until(lambda: not city.pillars["petropavl-02"].state()["held"], "no finger on the button")
    desk.open(incident)
    desk.accept(incident)
    desk.close(incident, "false")


def test_a_call_on_a_phone(city: City, visitor: Visitor) -> None:
    pillar = visitor.pillar(city.page("school-07-01"), PHONE)
    desk = visitor.desk(city.desk.url, PHONE, has_touch=True, is_mobile=True)
    assert fits(desk.page) and fits(pillar.page)
    pillar.press()
    incident = desk.call_from("school-07-01")
    strip = desk.get("strip", id=incident)
    expect(strip).to_be_in_viewport()
    box = desk.get("strip-accept").bounding_box()
    assert box is not None and box["height"] >= TARGET_PX and box["width"] >= TARGET_PX, box
    desk.get("strip-accept").tap()
    desk.becomes(incident, "accepted")
    assert fits(desk.page)
    for part in ("play", "dispatch", "close"):
        desk.get(part).scroll_into_view_if_needed()
        expect(desk.get(part)).to_be_in_viewport()
    desk.get("close").tap()
    desk.get("outcome-help-given").check()
    desk.get("close-confirm").tap()
    desk.becomes(incident, "closed")
    pillar.shows("ready")


@pytest.mark.parametrize("viewport", [WIDE, SMALL, PHONE], ids=["1280x720", "1024x768", "phone"])
def test_no_view_is_to_be_scrolled_sideways(city: City, visitor: Visitor, viewport: ViewportSize) -> None:
    """Red when a word of one language is too long for its place: Kazakh ones are the longest."""
    desk = visitor.desk(city.desk.url, viewport)
    expect(desk.get("column-petropavl-01")).to_be_visible()
    desk.page.evaluate("document.querySelectorAll('.tabs button').forEach((tab) => (tab.hidden = false))")  # a chief's
    for language in ("en", "ru", "kk"):
        desk.get("language").select_option(language)
        expect(desk.page.locator("html")).to_have_attribute("lang", language)
        desk.page.locator("body").click(position={"x": 1, "y": 1})  # out of the list, or a digit would choose in it
        for view in ("1", "2", "3"):
            desk.page.keyboard.press(view)
            desk.until(lambda: fits(desk.page), f"view {view} fits in {language}")


def test_a_page_that_is_too_wide_is_noticed(visitor: Visitor) -> None:
    page = visitor.page("data:text/html,<div style='width:2000px'>wide</div>")
    assert not fits(page)


@pytest.mark.parametrize(("language", "word"), [("ru", "Приня"), ("kk", "Қабылда"), ("en", "Accept")])
def test_the_desk_speaks(city: City, visitor: Visitor, language: str, word: str) -> None:
    pillar = visitor.pillar(city.page("petropavl-01"))
    desk = visitor.desk(city.desk.url)
    desk.get("language").select_option(language)
    expect(desk.page.locator("html")).to_have_attribute("lang", language)
    pillar.press()
    incident = desk.call_from("petropavl-01")
    expect(desk.get("strip-accept")).to_contain_text(word)
    desk.open(incident)
    expect(desk.get("accept")).to_contain_text(word)
    desk.accept(incident)
    desk.close(incident, "false")
    pillar.shows("ready")
