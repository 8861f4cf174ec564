"""The register, the statistics and the login on the desk's page, before a server that plays what a test tells it."""

from __future__ import annotations

import re

import pytest
from browser_probe import DeskPage, Visitor
from desk_page_probe import STATIC, FakeDesk, column, incident, now_ms
from playwright.sync_api import expect

pytestmark = [pytest.mark.chromium, pytest.mark.xdist_group("browser"), pytest.mark.timeout(240)]
PARK = ("park-01", "park-02", "school-01")

# The first answer for a path with `part` is kept back until `letGo()`, which ends when the page has taken it.
KEEP_BACK = """(part) => {
  const [fetched, kept] = [window.fetch, []];
  window.keptBack = () => kept.length;
  window.letGo = () => { kept.forEach((go) => go()); return new Promise((done) => setTimeout(done)); };
  window.fetch = async (path, options) => {
    const answer = await fetched(path, options);
    if (!path.includes(part) || kept.length) return answer;
    const read = await answer.json();
    await new Promise((go) => kept.push(go));
    return Object.defineProperty(answer, "json", { value: async () => read });
  };
}"""
# Three questions; the second is answered first, then the first, then the last, and a fourth is refused late.
ASK = """async () => {
  const { Refused, asker } = await import("/static/js/api.js");
  const taken = [];
  const ask = asker((answer) => taken.push(answer), (error) => taken.push(error.status));
  const open = [];
  const asked = [0, 1, 2, 3].map((n) => ask(() => new Promise((yes, no) => { open[n] = { yes, no }; })));
  open[1].yes("second");
  await asked[1];
  open[0].yes("first");
  open[3].no(new Refused(503));
  open[2].yes("third");
  await Promise.all(asked);
  return taken;
}"""

UPKEEP = {
    "columns": [], "findings": [], "orders": [], "roster": True, "roster_refused": "", "keys_refused": "",
    "button_days": 30,
    "share": {"proven": 0, "call_proven": 0, "total": 0},
}  # fmt: skip
MONTH = {"availability": None, **dict.fromkeys(("presumed", "down", "lost", "heartbeats", "dropped", "restarts"), 0)}

UNKNOWN = re.compile("status of 401|response code: 401")  # what a browser says of a request by nobody it knows


@pytest.fixture
def desk(server: FakeDesk, visitor: Visitor) -> DeskPage:
    return visitor.desk(server.url)


# -- the upkeep


def test_without_a_roster_nothing_is_said_to_agree(desk: DeskPage) -> None:
    """Below "no roster" stood "0 findings. The roster and the columns agree." Red without upkeep.js's look at
    `found.roster`; with a roster the sentence is there, see the test of the month."""
    desk.page.route("**/api/upkeep?*", lambda route: route.fulfill(json={**UPKEEP, "roster": False}))
    desk.page.route("**/api/life?*", lambda route: route.fulfill(json={"columns": [], "total": MONTH, "repair": {}}))
    desk.page.route("**/api/life.svg?*", lambda route: route.fulfill(path=STATIC / "calm.svg"))
    desk.page.keyboard.press("4")
    expect(desk.get("upkeep-share")).to_contain_text("No roster was given")
    expect(desk.get("upkeep-report")).to_be_visible()
    expect(desk.get("upkeep-findings")).to_have_count(0)


# -- the register


def _press_slowly(desk: DeskPage, button: str) -> None:
    """As a hand does: what the page does when the button takes the focus from a field is done while it is down."""
    box = desk.get(button).bounding_box()
    assert box is not None
    desk.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    desk.page.mouse.down()
    desk.page.evaluate("() => new Promise((done) => setTimeout(() => setTimeout(done)))")
    desk.page.mouse.up()


def test_the_register_filters_and_its_files_have_the_same_filter(server: FakeDesk, desk: DeskPage) -> None:
    """While a call waits and a field has the focus, a line says that keys go there. Red where it goes before the click
    is done (`afterPress` with a bare setTimeout): all below it moves up, and the click falls on what is there then."""
    closed = {"state": "closed", "by": "operator 4", "closed_ms": now_ms()}
    server.put(incident("park-01-1-1", **closed, outcome="false"), incident("school-01-1-1"))
    server.put(incident("park-02-1-1", **closed, outcome="criminal"))
    desk.page.keyboard.press("2")
    rows = desk.page.locator("[data-testid=register-calls] tr[data-id]")
    expect(rows).to_have_count(3)
    desk.get("register-outcome").select_option("criminal")
    expect(rows).to_have_count(1)
    expect(rows).to_have_attribute("data-outcome", "criminal")
    desk.get("register-from").fill("2026-01-02")
    desk.get("register-to").fill("2026-12-31")
    expect(desk.get("register-csv")).to_have_attribute(
        "href", "/api/export.csv?state=all&outcome=criminal&from_ms=1767312000000&to_ms=1798761600000"
    )
    _press_slowly(desk, "register-clear")
    expect(rows).to_have_count(3)
    expect(desk.get("register-json")).to_have_attribute("href", "/api/export.json?state=all")


def test_the_answer_to_the_last_question_is_shown(server: FakeDesk, desk: DeskPage) -> None:
    """Whichever comes first. Red when api.js's `asker` takes what is older than what it has taken."""
    closed = {"state": "closed", "by": "operator 4", "closed_ms": now_ms()}
    server.put(
        incident("park-01-1-1", **closed, outcome="false"), incident("park-02-1-1", **closed, outcome="criminal")
    )
    desk.page.keyboard.press("2")
    rows = desk.page.locator("[data-testid=register-calls] tr[data-id]")
    expect(rows).to_have_count(2)
    desk.page.evaluate(KEEP_BACK, "outcome=false")
    desk.get("register-outcome").select_option("false")
    desk.until(lambda: desk.page.evaluate("keptBack()"), "an answer that is kept back")
    desk.get("register-outcome").select_option("criminal")
    expect(rows).to_have_count(1)
    shown = "[...document.querySelectorAll('[data-testid=register-calls] tr[data-id]')].map(row => row.dataset.outcome)"
    assert desk.page.evaluate(f"letGo().then(() => {shown})") == ["criminal"], "at once: the view reads again by itself"


def test_of_questions_that_are_put_often_a_slow_server_answers_some(desk: DeskPage) -> None:
    """What comes counts unless something newer came: red when only the very last question counts, for then a view that
    asks every 3 s never shows what takes longer."""
    assert desk.page.evaluate(ASK) == ["second", 503]


def test_what_was_read_for_a_lost_connection_counts_no_more(server: FakeDesk, desk: DeskPage) -> None:
    """Red when feed.js's `resync` does not ask whether its connection is still the one that stands."""
    desk.page.evaluate(KEEP_BACK, "/api/columns")
    server.hang_up()
    desk.until(lambda: desk.page.evaluate("keptBack()"), "the columns, kept back")
    server.columns["park-01"] = column("park-01", address="Another place")
    server.hang_up()
    expect(desk.get("column-park-01")).to_contain_text("Another place")
    shown = "document.querySelector('[data-testid=column-park-01]').textContent"
    assert "Another place" in desk.page.evaluate(f"letGo().then(() => {shown})")


def test_a_chosen_month_is_shown_while_its_field_has_the_focus(desk: DeskPage) -> None:
    """And stays: red when it waits until somebody leaves the field, or when an older answer comes over it."""
    desk.page.route("**/api/upkeep?*", lambda route: route.fulfill(json=UPKEEP))
    desk.page.route("**/api/life?*", lambda route: route.fulfill(json={"columns": [], "total": MONTH, "repair": {}}))
    desk.page.route("**/api/life.svg?*", lambda route: route.fulfill(path=STATIC / "calm.svg"))
    desk.page.keyboard.press("4")
    expect(desk.get("upkeep-findings")).to_contain_text("The roster and the columns agree.")
    month, file = desk.get("upkeep-month"), desk.get("upkeep-report").locator("a")
    expect(month).to_be_visible()
    _, second, third, *_ = month.locator("option").evaluate_all("all => all.map(one => one.value)")
    desk.page.evaluate(KEEP_BACK, f"month={second}")
    month.focus()
    month.select_option(second)
    desk.until(lambda: desk.page.evaluate("keptBack()"), "an answer that is kept back")
    month.select_option(third)
    expect(file).to_have_attribute("href", f"/api/life.csv?month={third}")
    expect(month).to_be_focused()
    desk.page.evaluate("letGo()")
    expect(file).to_have_attribute("href", f"/api/life.csv?month={third}")


def test_the_statistics_are_shown(desk: DeskPage) -> None:
    desk.page.keyboard.press("3")
    expect(desk.get("statistics-total")).to_have_text("Calls: 8. Open now: 1.")
    expect(desk.get("press-to-desk").locator("[data-figure=p99]")).to_have_text("1 min 1 s")
    shares = desk.get("availability").locator("tbody td")
    expect(shares).to_have_text(["100 %", "99.987 %", "91.2 %", "–"])  # what is not whole is never rounded up to 100
    expect(desk.get("statistics-drills")).to_contain_text("12")
    heads = desk.get("answers").locator("tbody th")
    expect(heads).to_have_count(8)
    for number, text in enumerate(("All", " – now, anna", ", 2 people on duty", "Nobody was on duty")):
        expect(heads.nth(number)).to_contain_text(text)
    expect(desk.get("misuse").locator("tbody td")).to_have_text([
        "6 of 8", "75.0 %", "a prank: 5; not said: 1",
        "in a row: 4 within a week; 5 between 23:45 and 00:45; 3 on Fridays",
    ])  # fmt: skip


def test_a_false_call_says_of_what_kind_with_the_keyboard_alone(server: FakeDesk, desk: DeskPage) -> None:
    """The kind is asked for a false call only, and may be left out. Red when the row is always or never shown."""
    server.put(incident("park-01-17-1"))
    desk.open("park-01-17-1")
    for key in ("a", "c"):
        desk.page.keyboard.press(key)
    expect(desk.get("outcome").locator("input").first).to_be_focused()
    desk.page.keyboard.press("3")
    expect(desk.get("misuse")).to_be_hidden()
    desk.page.keyboard.press("4")
    expect(desk.get("misuse")).to_be_visible()
    desk.page.keyboard.press("Tab")
    expect(desk.get("misuse")).to_be_focused()
    desk.page.keyboard.press("ArrowDown")
    desk.page.keyboard.press("Enter")
    desk.becomes("park-01-17-1", "closed")
    assert server.posts[-1][1] == {"outcome": "false", "note": "", "misuse": "prank"}
    expect(desk.get("incident")).to_contain_text("False call: a prank")


# -- who


def test_a_stranger_sees_the_login_and_nothing_else(server: FakeDesk, visitor: Visitor) -> None:
    visitor.may_say = UNKNOWN
    server.me = {"name": None, "accounts": True, "role": None}
    server.put(incident("park-01-17-1"))
    desk = DeskPage(visitor.page(server.url))
    expect(desk.get("login")).to_be_visible()
    expect(desk.page.locator("header")).to_be_hidden()
    assert not [path for path in server.gets if not path.startswith("me")], "nothing is asked for"
    desk.get("login-name").fill("operator 1")
    desk.get("login-password").fill("wrong")
    desk.get("login-submit").click()
    expect(desk.page.locator("#login-wrong")).to_have_text("Name or password is wrong.")
    desk.get("login-password").fill("correct horse")
    desk.page.keyboard.press("Enter")
    expect(desk.get("strip")).to_be_visible()
    expect(desk.get("login")).to_be_hidden()
    expect(desk.get("logout")).to_have_text("Log out")
    expect(desk.get("account-open")).to_have_text("operator 1")


def test_a_session_that_ends_leads_to_the_login(server: FakeDesk, visitor: Visitor) -> None:
    visitor.may_say = UNKNOWN
    server.me = {"name": "operator 1", "accounts": True, "role": "operator"}
    desk = visitor.desk(server.url)
    server.put(incident("park-01-17-1"))
    expect(desk.get("timeline").locator("li")).to_have_count(1)  # nothing more is being asked for
    server.me = {**server.me, "name": None}
    server.hang_up()
    expect(desk.get("login")).to_be_visible()
    assert not desk.get("strip").is_visible()


# -- roles


def test_an_auditor_sees_a_call_and_why_it_is_not_to_be_answered_here(server: FakeDesk, desk: DeskPage) -> None:
    """By mouse or by key. Red when panel.js or strips.js does not ask what the role may do."""
    server.me = {"name": "auditor 1", "accounts": True, "role": "auditor"}
    desk.page.reload()
    server.put(incident("park-01-1-1"))
    expect(desk.get("role-line")).to_contain_text("you see everything and change nothing")
    expect(desk.get("strip-accept")).to_be_disabled()
    for what in ("accept", "note", "play", "mic"):
        expect(desk.get(what)).to_be_disabled()
    expect(desk.get("may-not")).to_have_text("An auditor reads everything and changes nothing.")
    for key in "adpm":
        desk.page.keyboard.press(key)
    expect(desk.get("media-state")).to_contain_text("An auditor reads everything")
    assert not server.posts
