"""What hands do on a pillar's page, in a real browser: the contact is closed for exactly as long as they hold."""

from __future__ import annotations

import pytest
from browser_probe import PHONE, Visitor
from pillar_rig import DEVICE, IdleColumn, TestTown, idle_pillar, loudness, wait_until
from playwright.sync_api import Page, expect

from sim.pillar import Pillar, PillarServer
from sim.pillar.intercom import block_now

pytestmark = [pytest.mark.chromium, pytest.mark.xdist_group("browser"), pytest.mark.timeout(240)]

HELD_MS = 700
HOLD, RELEASE = [(0, 1)], [(0, 0)]


@pytest.fixture
def page(town: TestTown, visitor: Visitor) -> Page:
    return _open(visitor.page(town[0].page(DEVICE)))


def _open(page: Page) -> Page:
    """Once the feed has told whose page it is."""
    expect(page.locator("h1")).to_have_text(DEVICE)
    return page


def middle(page: Page) -> tuple[float, float]:
    """Of the button."""
    box = page.get_by_test_id("button").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def held_for_a_while(page: Page, pillar: Pillar) -> None:
    wait_until(lambda: pillar.state()["held"], "the contact is closed")
    page.wait_for_timeout(HELD_MS)
    assert pillar.state()["held"], "it opened by itself"


def let_go(column: IdleColumn, pillar: Pillar) -> None:
    wait_until(lambda: not pillar.state()["held"], "the contact is open again")
    assert column.moves == [HOLD, RELEASE], "more than one press"


def test_a_mouse_that_slips_off_still_holds(town: TestTown, page: Page) -> None:
    _, pillar, column = town
    page.mouse.move(*middle(page))
    page.mouse.down()
    held_for_a_while(page, pillar)
    page.mouse.move(5, 5)
    held_for_a_while(page, pillar)
    page.mouse.up()
    let_go(column, pillar)


def test_the_other_mouse_button_does_nothing(town: TestTown, page: Page) -> None:
    _, pillar, column = town
    page.mouse.click(*middle(page), button="right")
    page.get_by_test_id("button").click(delay=50)
    let_go(column, pillar)


def test_a_finger_that_trembles_still_holds(town: TestTown, visitor: Visitor) -> None:
    """Red without `preventDefault` on touchstart: the browser scrolls, and takes the finger for itself."""
    server, pillar, column = town
    page = _open(visitor.page(server.page(DEVICE), PHONE, has_touch=True, is_mobile=True))
    x, y = middle(page)
    screen = page.context.new_cdp_session(page)
    screen.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    held_for_a_while(page, pillar)
    screen.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x + 60, "y": y + 60}]})
    held_for_a_while(page, pillar)
    screen.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    let_go(column, pillar)


@pytest.mark.parametrize("key", ["Space", "Enter"])
def test_a_key_holds_wherever_the_focus_is_not_on_another_control(town: TestTown, page: Page, key: str) -> None:
    _, pillar, column = town
    page.keyboard.down(key)
    page.keyboard.down(key)  # a keyboard repeats
    held_for_a_while(page, pillar)
    page.keyboard.up(key)
    let_go(column, pillar)


def test_a_key_on_another_control_is_that_controls(town: TestTown, page: Page) -> None:
    _, pillar, column = town
    page.get_by_test_id("hatch").press("Enter")
    expect(page.get_by_test_id("inside")).to_be_visible()
    page.get_by_test_id("power").press("Space")
    expect(page.get_by_test_id("power")).to_have_attribute("aria-checked", "true")
    assert column.done == [("power_on",)] and column.moves == []


@pytest.mark.parametrize("event", ["blur", "pagehide"])
def test_a_page_that_is_left_lets_go(town: TestTown, page: Page, event: str) -> None:
    _, pillar, column = town
    page.keyboard.down("Space")
    held_for_a_while(page, pillar)
    page.evaluate("event => window.dispatchEvent(new Event(event))", event)
    let_go(column, pillar)


def test_who_stands_at_the_pillar_is_heard_and_leaves(town: TestTown, page: Page) -> None:
    """The browser's pretended microphone beeps; as long as it is there, the tone is not."""
    _, pillar, column = town
    column.show("relay", closed=True)
    page.get_by_test_id("person").click()
    expect(page.get_by_test_id("person")).to_have_attribute("aria-checked", "true")
    wait_until(lambda: loudness([pillar.intercom.to_operator(block_now())]) > 8000, "a beep, louder than the tone")
    page.get_by_test_id("person").click()
    expect(page.get_by_test_id("person")).to_have_attribute("aria-checked", "false")
    wait_until(lambda: loudness([pillar.intercom.to_operator(block_now())]) in range(3000, 3500), "the tone again")


def test_the_page_speaks_three_languages_and_remembers(town: TestTown, page: Page) -> None:
    _, _, column = town
    column.show("lamp", state="answered")
    sentence = page.locator("#sentence")
    expect(sentence).to_have_text("The centre has the call.")
    page.get_by_test_id("language").select_option("ru")
    expect(sentence).to_have_text("Центр получил вызов.")
    page.get_by_test_id("language").select_option("kk")
    expect(sentence).to_have_text("Орталық шақыруды алды.")
    page.reload()
    expect(sentence).to_have_text("Орталық шақыруды алды.")
    expect(page.locator("html")).to_have_attribute("lang", "kk")


def test_a_lost_connection_is_told_and_found_again(town: TestTown, visitor: Visitor) -> None:
    server, _, column = town
    visitor.servers_go_away = True
    page = _open(visitor.page(server.page(DEVICE)))
    server.stop()
    expect(page.get_by_test_id("lost")).to_be_visible()
    with PillarServer(port=server.port) as again, idle_pillar() as (_, pillar, other):
        again.add(pillar)
        other.show("lamp", state="ready")
        expect(page.get_by_test_id("lost")).to_be_hidden()
        expect(page.get_by_test_id("lamp")).to_have_attribute("data-state", "ready")
