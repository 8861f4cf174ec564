"""The desk's page for whoever sits before it: any keyboard layout, any language, any light; and its bell."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browser_probe import PHONE, WIDE, DeskPage, Visitor
from desk_page_probe import FakeDesk, column, incident, now_ms
from desk_words import words
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

pytestmark = [pytest.mark.chromium, pytest.mark.xdist_group("browser"), pytest.mark.timeout(240)]

LANGUAGES = ("en", "ru", "kk")
# Every text that is shown, with its contrast to what is behind it: [text, ratio].
CONTRASTS = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, i) => sum + one * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || node.closest("noscript, svg, :disabled, option")) continue;
    if (!node.checkVisibility({checkVisibilityCSS: true})) continue;
    const style = getComputedStyle(node);
    const pair = [light(parts(style.color)), light(behind(node))].sort((a, b) => b - a);
    found.push([text.slice(0, 40), (pair[0] + 0.05) / (pair[1] + 0.05)]);
  }
  return found;
}"""
# What can be operated and has no name that could be read out.
NAMELESS = """() => [...document.querySelectorAll("button, input, select, textarea, [role=button], a, video")]
  .filter((node) => node.checkVisibility({checkVisibilityCSS: true}))
  .filter((node) => !node.getAttribute("aria-label") && !node.textContent.trim())
  .filter((node) => !node.labels?.[0]?.textContent.trim())
  .map((node) => node.outerHTML.slice(0, 120))"""
# What of a part's text lies beyond the part, or is cut by what is around it.
CUT = """(part) => {
  const found = [];
  const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !node.checkVisibility({checkVisibilityCSS: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (let at = node; at !== part.parentElement; at = at.parentElement) {
      if (at !== part && getComputedStyle(at).overflowX === "visible") continue;
      const frame = at.getBoundingClientRect();
      const isOut = (box) => box.left < frame.left - 1 || box.right > frame.right + 1;
      if ([...range.getClientRects()].some(isOut)) found.push(walker.currentNode.textContent);
    }
  }
  return found;
}"""
LONG = "Петропавловск, микрорайон Береке, улица имени Сакена Сейфуллина, между домами 44 и 46" + "ж" * 90


def busy(server: FakeDesk) -> None:
    """Something of everything that the page can show."""
    gone = {"status": "silent", "presence": "silent", "silent_since_ms": now_ms() - 60_000}
    fault = {"id": "tamper", "since": "2026-11-22T09:12:00.000Z", "detail": "open"}
    server.put(column("park-01"), column("park-02", **gone), column("park-03", status="fault", faults=[fault]))
    server.put(
        incident(
            "park-01-1-1", press=2, late=True, clock="none", raised_ms=None, faults=["tamper"], at_ms=now_ms() - 9
        ),
        incident("park-04-1-1", state="accepted", by="operator 4", accepted_ms=now_ms()),
        incident("park-05-1-1", state="closed", by="operator 4", outcome="false", closed_ms=now_ms()),
        incident("park-06-1-1", status="test"),
    )


def test_who_chooses_twice_gets_the_second_language(server: FakeDesk, visitor: Visitor) -> None:
    """Red when whatever words come last are shown."""
    desk = visitor.desk(server.url)
    late: list[Route] = []
    desk.page.route("**/i18n/ru.json", lambda route: late.append(route))
    desk.get("language").select_option("ru")
    desk.get("language").select_option("kk")
    expect(desk.page.locator("html")).to_have_attribute("lang", "kk")
    with desk.page.expect_response("**/i18n/ru.json") as answer:
        late[0].continue_()
    answer.value.finished()
    desk.page.wait_for_timeout(100)  # the page has read it
    expect(desk.page.get_by_role("button", name=words("kk")["nav.register"], exact=True)).to_be_visible()
    expect(desk.page.locator("html")).to_have_attribute("lang", "kk")


# -- keyboard


def press(page: Page, key: str, code: str, **more: Any) -> None:
    """One key of another layout than Playwright's."""
    page.evaluate(
        """(event) => document.activeElement.dispatchEvent(
        new KeyboardEvent("keydown", {bubbles: true, cancelable: true, ...event}))""",
        {"key": key, "code": code, **more},
    )


def test_the_keys_work_with_a_cyrillic_layout(server: FakeDesk, visitor: Visitor) -> None:
    desk = visitor.desk(server.url)
    server.put(incident("park-01-1-1"))
    expect(desk.get("incident")).to_be_visible()
    press(desk.page, "ф", "KeyA")
    desk.becomes("park-01-1-1", "accepted")
    press(desk.page, "в", "KeyD")
    desk.becomes("park-01-1-1", "dispatched")
    press(desk.page, ",", "Slash", shiftKey=True)
    expect(desk.get("help")).to_be_visible()


def test_keys_with_a_modifier_held_down_or_in_a_field_do_nothing(server: FakeDesk, visitor: Visitor) -> None:
    desk = visitor.desk(server.url)
    server.put(incident("park-01-1-1"))
    expect(desk.get("incident")).to_be_visible()
    press(desk.page, "a", "KeyA", ctrlKey=True)
    press(desk.page, "a", "KeyA", repeat=True)
    desk.get("note").press("a")
    desk.get("filter").press("a")
    desk.page.keyboard.press("Escape")
    desk.page.wait_for_timeout(300)
    assert server.posts == []
    desk.page.keyboard.press("a")  # the control
    desk.becomes("park-01-1-1", "accepted")


def test_single_keys_can_be_switched_off(server: FakeDesk, visitor: Visitor) -> None:
    desk = visitor.desk(server.url)
    server.put(incident("park-01-1-1"))
    desk.page.keyboard.press("?")
    desk.get("keys-on").uncheck()
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("a")
    desk.page.wait_for_timeout(300)
    assert server.posts == []
    desk.get("help-open").click()
    desk.get("keys-on").check()
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("a")
    desk.becomes("park-01-1-1", "accepted")


def test_next_and_walk_go_from_call_to_call(server: FakeDesk, visitor: Visitor) -> None:
    desk = visitor.desk(server.url)
    taken = {"state": "accepted", "by": "operator 4", "accepted_ms": now_ms()}
    at_ms = now_ms()
    server.put(*(incident(f"park-0{n}-1-1", at_ms=at_ms + n, **(taken if n == 2 else {})) for n in (1, 2, 3)))
    expect(desk.get("strip")).to_have_count(3)
    shown = desk.get("incident")
    expect(shown).to_have_attribute("data-id", "park-01-1-1")
    for key, wanted in (("n", 3), ("n", 1), ("j", 3), ("j", 2), ("j", 1), ("k", 2)):
        desk.page.keyboard.press(key)
        expect(shown).to_have_attribute("data-id", f"park-0{wanted}-1-1")
    desk.page.keyboard.press("Escape")
    expect(shown).to_have_count(0)


def test_the_focus_does_not_get_lost_with_a_button(server: FakeDesk, visitor: Visitor) -> None:
    desk = visitor.desk(server.url)
    server.put(incident("park-01-1-1"))
    desk.get("strip-accept").focus()
    desk.page.keyboard.press("Enter")
    expect(desk.get("strip-open")).to_be_focused()
    desk.get("dispatch").focus()
    desk.page.keyboard.press("Enter")
    expect(desk.get("close")).to_be_focused()


def test_the_map_is_operated_without_a_mouse(server: FakeDesk, visitor: Visitor) -> None:
    server.put(column("park-01"), column("park-02", geo={"lat": 54.9, "lon": 69.2}))
    desk = visitor.desk(server.url)
    desk.get("marker-park-02").focus()
    desk.page.keyboard.press("Enter")
    expect(desk.get("column-panel")).to_have_attribute("data-id", "park-02")


# -- eyes and ears


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_that_is_shown_can_be_read_and_read_out(
    server: FakeDesk, visitor: Visitor, scheme: str, viewport: ViewportSize
) -> None:
    busy(server)
    desk = visitor.desk(server.url, viewport, color_scheme=scheme, reduced_motion="reduce")
    expect(desk.page.locator("html")).to_have_attribute("data-theme", {"light": "day", "dark": "night"}[scheme])
    desk.open("park-01-1-1")
    desk.get("close").click()
    seen = 0
    for look in ("1", "2", "3", "column"):
        if look == "column":
            desk.page.keyboard.press("1")
            desk.get("column-park-03").locator("button").click()
        else:
            desk.page.locator("[data-go]").nth(int(look) - 1).click()
        desk.page.wait_for_timeout(200)
        texts = desk.page.evaluate(CONTRASTS)
        seen += len(texts)
        assert [text for text in texts if text[1] < 4.5] == [], look
        assert desk.page.evaluate(NAMELESS) == [], look
    assert seen > 150


def test_a_faint_or_nameless_thing_is_noticed(server: FakeDesk, visitor: Visitor) -> None:
    desk = visitor.desk(server.url)
    desk.page.evaluate("""() => {
      const faint = document.body.appendChild(document.createElement("button"));
      faint.style.color = "#777";
      faint.style.background = "#888";
      faint.textContent = "faint";
      document.body.appendChild(document.createElement("button"));
    }""")
    assert [text for text, ratio in desk.page.evaluate(CONTRASTS) if ratio < 4.5] == ["faint"]
    assert len(desk.page.evaluate(NAMELESS)) == 1


def test_nothing_moves_for_whoever_wants_it_so(server: FakeDesk, visitor: Visitor) -> None:
    running = "document.getAnimations().filter((one) => one.playState === 'running').length"
    server.put(column("park-01", status="alarm", open=["park-01-1-1"]), incident("park-01-1-1"))
    moving = visitor.desk(server.url)
    moving.until(lambda: moving.page.evaluate(running), "the ring around the column (the control)")
    still = visitor.desk(server.url, reduced_motion="reduce")
    expect(still.get("strip")).to_be_visible()
    server.put({**server.incidents["park-01-1-1"], "press": 2})
    expect(still.get("strip")).to_have_attribute("data-press", "2")
    assert still.page.evaluate(running) == 0


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_no_word_is_missing_and_all_fits(
    server: FakeDesk, visitor: Visitor, language: str, viewport: ViewportSize
) -> None:
    """A key that has no word is shown as itself: with a dot in the middle of it."""
    busy(server)
    desk = visitor.desk(server.url, viewport)
    desk.get("language").select_option(language)
    expect(desk.page.locator("html")).to_have_attribute("lang", language)
    desk.open("park-01-1-1")
    for view in range(3):
        desk.page.locator("[data-go]").nth(view).click()
        desk.page.wait_for_timeout(200)
        text = desk.page.locator("body").inner_text()
        assert not re.search(r"\b[a-z_-]+\.[a-z][a-z_.-]+\b", text.replace("cameras.example", "")), text
        assert "{" not in text and "undefined" not in text and "NaN" not in text
        assert desk.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    desk.page.reload()
    expect(desk.page.locator("html")).to_have_attribute("lang", language)  # it is remembered


@pytest.mark.parametrize(("language", "height"), [("en", 720), ("ru", 720), ("kk", 500)])
def test_no_text_of_a_calls_panel_is_cut(server: FakeDesk, visitor: Visitor, language: str, height: int) -> None:
    """House 46 read as house 4. Red where a badge of the panel is one line, and (500: there is little room) where the
    line of facts is, or where it takes the room of the buttons. The last look is the control."""
    desk = visitor.desk(server.url, {"width": 1280, "height": height})
    desk.get("language").select_option(language)
    call = incident("park-01-1-1", press=12, late=True, clock="none", origin="unsigned", by="a" * 64, reopened=1)
    server.put(call | {"state": "accepted", "expected": {"address": LONG, "geo": ""}})
    panel = desk.open("park-01-1-1")
    badge = panel.locator(".badge", has_text=LONG)
    expect(badge).to_be_visible()
    desk.until(lambda: panel.evaluate(CUT) == [], "nothing is cut")
    for part in (panel.locator(".place"), desk.get("dispatch"), desk.get("close")):
        expect(part).to_be_in_viewport(ratio=0.99)
    badge.evaluate("node => { node.style.whiteSpace = 'nowrap'; node.style.flex = 'none'; }")
    assert {text[-len(LONG) :] for text in panel.evaluate(CUT)} == {LONG}


def test_plurals(server: FakeDesk, visitor: Visitor) -> None:
    desk = visitor.desk(server.url)
    said = desk.page.evaluate("""async () => {
      const {t, use} = await import("/static/js/i18n.js");
      const said = {};
      for (const language of ["en", "ru", "kk"]) {
        await use(language);
        said[language] = [1, 2, 5, 11, 12, 21, 22, 111].map((n) => t("badge.press", {n}));
      }
      return said;
    }""")
    raz = ["1 раз", "2 раза", "5 раз", "11 раз", "12 раз", "21 раз", "22 раза", "111 раз"]
    assert said["ru"] == [f"нажато {n}" for n in raz]
    assert said["en"][1] == "pressed 2 times"
    assert said["kk"][4] == "12 рет басылды"


def test_the_bell_rings_while_a_call_waits_and_can_be_hushed(server: FakeDesk, visitor: Visitor) -> None:
    desk = visitor.desk(server.url)
    sound = desk.get("sound")
    expect(sound).to_have_attribute("data-ringing", "false")
    server.put(incident("park-01-1-1"))
    expect(sound).to_have_attribute("data-ringing", "true")
    sound.click()
    expect(sound).to_have_attribute("data-state", "hushed")
    expect(sound).to_have_attribute("data-ringing", "false")
    server.put(incident("park-02-1-1"))  # whoever is new rings, whatever was hushed before
    expect(sound).to_have_attribute("data-ringing", "true")
    for incident_id in ("park-01-1-1", "park-02-1-1"):
        server.put({**server.incidents[incident_id], "state": "accepted", "by": "operator 4"})
    expect(sound).to_have_attribute("data-ringing", "false")
    expect(sound).to_have_attribute("data-state", "on")


def test_a_browser_that_blocks_the_sound_is_told_of(server: FakeDesk, browser: Browser) -> None:
    """Browsers are silent until the page is touched. A headless one is not, so it is made to be."""
    page = browser.new_context(viewport=WIDE, locale="en-GB").new_page()
    page.add_init_script("""window.AudioContext = class extends AudioContext {
      constructor() { super(); super.suspend(); }
    };""")
    page.goto(server.url)
    desk = DeskPage(page)
    sound = desk.get("sound")
    expect(sound).to_have_attribute("data-state", "blocked")
    expect(sound).to_have_text("Sound is off: click here")
    server.put(incident("park-01-1-1"))
    expect(desk.get("strip")).to_be_visible()
    expect(sound).to_have_attribute("data-ringing", "false")
    sound.click()
    expect(sound).to_have_attribute("data-ringing", "true")
    page.context.close()


# -- the map


def test_the_map_is_drawn_to_scale(server: FakeDesk, visitor: Visitor) -> None:
    desk = visitor.desk(server.url)
    found = desk.page.evaluate("""async () => {
      const map = await import("/static/js/mercator.js");
      const [a, b] = [{lat: 54.85, lon: 69.1}, {lat: 54.85, lon: 69.2}];
      const view = map.fit([a, b], 800, 400, 50, 20);
      const [left, right] = [a, b].map((point) => map.toPixels(point, view, 800, 400));
      const back = map.unproject(map.project(a));
      return {left, right, back, metres: (right.x - left.x) * map.metresPerPixel(view.zoom, 54.85),
        zoom0: map.project({lat: 0, lon: 0}), round: [map.round(7), map.round(130), map.round(4999)],
        tiles: map.tiles({x: 0.5, y: 0.5, zoom: 1}, 512, 512).map(({x, y, z, left, top}) => [x, y, z, left, top])};
    }""")
    assert (found["left"]["x"], found["right"]["x"]) == (pytest.approx(50), pytest.approx(750))
    assert found["back"] == {"lat": pytest.approx(54.85), "lon": pytest.approx(69.1)}
    assert found["metres"] == pytest.approx(6410, rel=0.002)  # a tenth of a degree at 54.85 degrees north
    assert found["zoom0"] == {"x": 0.5, "y": 0.5}
    assert found["round"] == [5, 100, 2000]
    assert found["tiles"] == [[0, 0, 1, 0, 0], [1, 0, 1, 256, 0], [0, 1, 1, 0, 256], [1, 1, 1, 256, 256]]


def test_a_status_has_a_shape_not_only_a_colour(server: FakeDesk, visitor: Visitor) -> None:
    gone = {"presence": "silent", "silent_since_ms": now_ms()}
    statuses = ("ready", "fault", "silent", "alarm")
    for number, status in enumerate(statuses):
        more = gone if status == "silent" else {}
        server.put(column(f"park-0{number}", status=status, geo={"lat": 54.86 + number / 100, "lon": 69.1}, **more))
    desk = visitor.desk(server.url)
    marks = desk.page.locator(".marker")
    expect(marks).to_have_count(len(statuses))
    looks = {(mark.locator(".shape").get_attribute("d"), mark.locator(".sign").text_content()) for mark in marks.all()}
    assert len(looks) == len(statuses)


def test_tiles_lie_under_the_columns_when_there_are_any(server: FakeDesk, visitor: Visitor) -> None:
    server.put(column("park-01"), column("park-02", geo={"lat": 54.9, "lon": 69.2}))
    bare = visitor.desk(server.url)
    expect(bare.get("marker-park-01")).to_be_visible()
    assert bare.page.locator("image").count() == 0
    server.tiles = server.url + "/tiles/{z}/{x}/{y}.png"
    tiled = visitor.desk(server.url)
    address = re.compile(f"^{re.escape(server.url)}" + r"/tiles/1[0-9]/\d{3,}/\d{3,}\.png$")
    expect(tiled.page.locator("image").first).to_have_attribute("href", address)
