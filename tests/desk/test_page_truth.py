"""The page says nothing that did not happen, and one thing in one word."""

from __future__ import annotations

import re

import pytest
from browser_probe import AWAY, PHONE, DeskPage, Visitor
from desk_page_probe import FakeDesk, column, incident, now_ms
from playwright.sync_api import FloatRect, ViewportSize, expect

pytestmark = [pytest.mark.chromium, pytest.mark.xdist_group("browser"), pytest.mark.timeout(240)]
PARK = ("park-01", "park-02")

CALL = "park-01-17-1"
HOUR_MS = 3_600_000
EDGE_PX = 60
WIDE: ViewportSize = {"width": 1280, "height": 800}


@pytest.fixture
def desk(server: FakeDesk, visitor: Visitor) -> DeskPage:
    return visitor.desk(server.url)


def close_from_accepted(server: FakeDesk, desk: DeskPage) -> None:
    at = now_ms()
    server.put(incident(CALL, state="accepted", by="operator 4", accepted_ms=at))
    desk.open(CALL)
    server.put(incident(CALL, state="closed", by="operator 4", outcome="false", accepted_ms=at, closed_ms=at))
    desk.becomes(CALL, "closed")


def test_a_step_that_was_left_out_is_not_shown_as_done(server: FakeDesk, desk: DeskPage) -> None:
    """Red where a later state ticks every step before it."""
    close_from_accepted(server, desk)
    expect(desk.get("dispatch")).to_have_text(re.compile("No help was sent"))
    expect(desk.get("accept")).to_contain_text("✓ Accepted")


def test_nobody_is_heard_on_a_closed_call(server: FakeDesk, desk: DeskPage) -> None:
    close_from_accepted(server, desk)
    expect(desk.get("mic")).to_be_disabled()
    expect(desk.get("mic")).to_contain_text("The call is over")
    desk.page.keyboard.press("m")
    expect(desk.get("mic")).to_have_attribute("aria-pressed", "false")


def test_the_keys_of_the_close_form_close_and_the_other_keys_go_on_working(server: FakeDesk, desk: DeskPage) -> None:
    """Red with a select: Enter opens its list, which swallows the keys of the views and of the help."""
    server.put(incident(CALL, state="accepted", by="operator 4", accepted_ms=now_ms()))
    desk.open(CALL)
    desk.page.keyboard.press("c")
    expect(desk.get("close")).to_be_hidden()
    desk.page.keyboard.press("?")
    expect(desk.get("help")).to_be_visible()
    desk.page.keyboard.press("Escape")
    desk.get("outcome-administrative").focus()
    desk.page.keyboard.press("4")
    expect(desk.get("outcome-false")).to_be_checked()
    desk.page.keyboard.press("Enter")
    desk.becomes(CALL, "closed")
    assert server.posts[-1][1]["outcome"] == "false"


def test_the_banner_says_since_when_the_server_is_lost_and_not_the_broker(
    server: FakeDesk, desk: DeskPage, visitor: Visitor
) -> None:
    visitor.may_say = AWAY
    server.say_desk(broker=False)
    expect(desk.page.locator("#banner")).to_contain_text("New calls cannot arrive")
    desk.page.evaluate("""() => import('/static/js/store.js').then(({store}) => { store.lostMs = 0; })""")
    server.stop()
    banner = desk.page.locator("#banner")
    expect(banner).to_contain_text("NOT shown here")
    expect(banner).not_to_contain_text("1970")


def test_silence_has_one_name(server: FakeDesk, desk: DeskPage) -> None:
    since = now_ms() - HOUR_MS
    server.put(column("park-01", status="offline", presence="offline", silent_since_ms=since))
    server.put(column("park-02", status="silent", presence="silent", silent_since_ms=since))
    for device_id in ("park-01", "park-02"):
        expect(desk.get(f"silent-{device_id}")).to_contain_text("Silent: ")
        expect(desk.get(f"column-{device_id}")).to_contain_text("Silent since ")


def test_since_when_a_column_is_silent_is_said_as_far_as_it_is_known(server: FakeDesk, desk: DeskPage) -> None:
    """A desk that began while it was silent said that all was well, since the desk's own beginning. Red where
    `sinceKind` in words.js says "since" of one that was never heard, or was heard an hour before."""
    since = now_ms() - HOUR_MS
    gone = {"status": "offline", "presence": "offline", "silent_since_ms": since}
    fault = [{"id": "tamper", "since": None, "detail": "open"}]
    server.put(column("park-01", **gone, heard_ms=None), column("park-02", **gone, heard_ms=None, faults=fault))
    server.put(column("park-03", **gone, heard_ms=since - HOUR_MS), column("park-04", **gone, heard_ms=since - 90_000))
    said = {f"park-0{n}": desk.get(f"silent-park-0{n}") for n in range(1, 5)}
    for device_id in ("park-01", "park-02"):
        expect(said[device_id]).to_contain_text("for an unknown time: this desk has listened since ")
        expect(said[device_id]).not_to_contain_text("well")
        expect(said[device_id].locator(".strip-age")).to_have_text("")
        expect(desk.get(f"column-{device_id}")).to_contain_text("Silent for an unknown time")
    expect(said["park-02"]).to_contain_text("kept by the broker: ")
    expect(said["park-03"]).to_contain_text("or earlier")
    expect(said["park-03"].locator(".strip-age")).to_have_text("")
    expect(said["park-04"]).not_to_contain_text("or earlier")
    expect(said["park-04"]).to_contain_text("all was well")
    expect(said["park-04"].locator(".strip-age")).to_contain_text("1:00:")


@pytest.mark.parametrize(("language", "typed"), [("en", "2026-01-02"), ("ru", "02.01.2026"), ("kk", "2.1.2026")])
def test_days_are_typed_as_the_page_writes_them(desk: DeskPage, language: str, typed: str) -> None:
    desk.get("language").select_option(language)
    desk.page.keyboard.press("2")
    desk.get("register-from").fill(typed)
    desk.get("register-to").fill("31.02.2026")
    expect(desk.get("register-csv")).to_have_attribute("href", re.compile(r"from_ms=1767312000000$"))
    expect(desk.get("register-to")).to_have_attribute("aria-invalid", "true")


def test_all_columns_of_the_register_are_on_the_page(server: FakeDesk, desk: DeskPage) -> None:
    closed = {"state": "closed", "by": "Айгүл Серікқызы", "accepted_by": "Айгүл Серікқызы", "closed_ms": now_ms()}
    server.put(incident("petropavl-school-1-16777216-12", **closed, accepted_ms=now_ms(), outcome="criminal"))
    desk.page.keyboard.press("2")
    expect(desk.page.locator("[data-testid=register-calls] tr[data-id]")).to_have_count(1)
    table = desk.get("register-calls")
    assert table.evaluate("node => node.scrollWidth <= node.clientWidth"), "1280 pixels show every column"


def boxes(desk: DeskPage, *selectors: str) -> list[list[FloatRect]]:
    """What everything of each kind covers, outlines included."""
    return [
        [box for one in desk.page.locator(selector).all() if (box := one.bounding_box()) and box["width"]]
        for selector in selectors
    ]


def settled(desk: DeskPage, *selectors: str) -> list[list[FloatRect]]:
    """As they lie when a fifth of a second has moved none of them."""
    looks = [boxes(desk, *selectors)]

    def rests() -> bool:
        desk.page.wait_for_timeout(200)
        looks.append(boxes(desk, *selectors))
        return looks[-1] == looks[-2]

    desk.until(rests, "nothing moves")
    return looks[-1]


def apart(one: FloatRect, other: FloatRect) -> bool:
    return (
        one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        or one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
    )  # fmt: skip


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_on_the_map_no_text_lies_over_a_column(server: FakeDesk, visitor: Visitor, size: ViewportSize) -> None:
    """Red where the map is fitted under the line of text, or a label knows nothing of a call's ring."""
    places = [(54.88, 69.15), (54.87, 69.15), (54.865, 69.12), (54.865, 69.18), (54.85, 69.15)]
    server.columns = {}
    for number, (lat, lon) in enumerate(places):
        name = f"park-{number:02}"
        server.columns[name] = column(name, geo={"lat": lat, "lon": lon})
    server.columns["park-03"] |= {"status": "fault", "faults": [{"id": "supply", "since": None, "detail": "x"}]}
    desk = visitor.desk(server.url, size)
    shapes = desk.page.locator(".marker .shape")
    expect(shapes).to_have_count(len(places))
    (text,), (frame,), drawn = settled(desk, "#calm", "#map-host", ".marker .shape")
    for shape in drawn:
        assert apart(text, shape), (text, shape)
        assert frame["x"] <= shape["x"] and shape["x"] + shape["width"] <= frame["x"] + frame["width"]
        assert frame["y"] <= shape["y"] and shape["y"] + shape["height"] <= frame["y"] + frame["height"]
    server.put(column("park-01", status="alarm", open=[CALL], geo={"lat": 54.87, "lon": 69.15}), incident(CALL))
    expect(desk.get("marker-park-01")).to_have_attribute("data-status", "alarm")

    (ring,), labels = settled(desk, ".marker[data-status=alarm] .shape", ".marker .label")
    for label in labels:
        assert apart(label, ring), (label, ring)


def test_a_column_does_not_vanish_behind_the_panel_that_it_opens(server: FakeDesk, visitor: Visitor) -> None:
    """Fitted, and where somebody has moved the map. Red where the panel lies over the map, or without `reveal`."""
    for name, lon in (("park-01", 69.10), ("park-02", 69.20)):
        server.columns[name] |= {"geo": {"lat": 54.87, "lon": lon}}
    desk = visitor.desk(server.url, WIDE)
    marker = desk.get("marker-park-02")
    for moved in (False, True):
        if moved:
            desk.page.keyboard.press("Escape")
            expect(desk.get("column-panel")).to_be_hidden()
            desk.page.locator("#zoom-in").click()
            (frame,), (shape,) = settled(desk, "#map-host", "[data-testid=marker-park-02] .shape")
            desk.page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
            desk.page.mouse.down()
            right = frame["x"] + frame["width"] - EDGE_PX - shape["x"]
            desk.page.mouse.move(frame["x"] + frame["width"] / 2 + right, frame["y"] + frame["height"] / 2)
            desk.page.mouse.up()
        marker.focus()
        desk.page.keyboard.press("Enter")
        expect(desk.get("column-panel")).to_have_attribute("data-id", "park-02")
        (panel,), (frame,), (shape,) = settled(
            desk, "[data-testid=column-panel]", "#map-host", "[data-testid=marker-park-02] .shape"
        )
        assert apart(panel, shape) and frame["x"] <= shape["x"] <= frame["x"] + frame["width"], (panel, frame, shape)


LATIN = re.compile(r"[A-Za-z]{3,}")
NAMES = {"park", "nko"}  # ids


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_a_columns_panel_is_all_in_the_pages_language(server: FakeDesk, desk: DeskPage, language: str) -> None:
    """Red with a column's English, or a term of the contract, among the page's words."""
    faulty = column("park-01", status="fault", mode="safe", link="ethernet", address="Петропавл")
    faulty["faults"] = [{"id": "tamper", "since": None, "detail": "the housing is open"}]
    faulty["info"] = {**faulty["info"], "reset": {"cause": "hard", "culprit": None}}
    faulty["info"]["hw"], faulty["info"]["config"]["digest"] = {}, "12"
    server.put(faulty)
    desk.get("language").select_option(language)
    desk.get("column-park-01").locator("button").click()
    panel = desk.get("column-panel")
    expect(panel).to_contain_text("park-01")
    text = panel.inner_text()
    assert not {word for word in LATIN.findall(text) if word not in NAMES}, text
