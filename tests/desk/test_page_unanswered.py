"""The page when nobody accepts, when nobody is there, and when a call is an exercise."""

from __future__ import annotations

import re

import pytest
from browser_probe import PHONE, DeskPage, Visitor
from desk_page_probe import STATIC, FakeDesk, incident, now_ms
from playwright.sync_api import expect

pytestmark = [pytest.mark.chromium, pytest.mark.xdist_group("browser"), pytest.mark.timeout(240)]
PARK = ("park-01", "park-02")
CALL, DRILL, REAL = "park-01-17-1", "park-01-17-2", "park-02-17-1"


@pytest.fixture
def desk(server: FakeDesk, visitor: Visitor) -> DeskPage:
    return visitor.desk(server.url)


def test_a_call_that_nobody_accepts_rings_louder_and_says_so(server: FakeDesk, desk: DeskPage) -> None:
    server.put(incident(CALL))
    desk.open(CALL)
    strip = desk.page.locator(f'#strips > [data-id="{CALL}"]')
    sound = desk.get("sound")
    expect(sound).to_have_attribute("data-ringing", "true")
    expect(sound).to_have_attribute("data-louder", "false")
    sound.click()
    expect(sound).to_have_attribute("data-state", "hushed")
    server.put(incident(CALL, unanswered_s=15))
    expect(strip).to_contain_text("nobody has accepted for 15 s")
    expect(sound).to_have_attribute("data-louder", "true")
    server.put(incident(CALL, unanswered_s=0, state="accepted", by="anna", accepted_ms=now_ms()))
    expect(sound).to_have_attribute("data-ringing", "false")
    expect(strip).not_to_contain_text("nobody has accepted for")


def test_the_timeline_says_who_was_told_and_who_was_not(server: FakeDesk, desk: DeskPage) -> None:
    server.put(incident(CALL, unanswered_s=15))
    steps = [("sent", "desks", ""), ("failed", "duty", "HTTP 500"), ("uncertain", "chief", "no answer")]
    server.timelines[CALL] = [
        {"at_ms": now_ms() + at, "kind": f"step-{kind}", "by": f"{15 + at}-{who}",
         "detail": {"tell": who, "after_s": 15 + at, "desk": "desk-1", "try": 1, **({"why": why} if why else {})}}
        for at, (kind, who, why) in enumerate(steps)
    ]  # fmt: skip
    server.timelines[CALL][1]["detail"]["unrecorded"] = True
    server.timelines[CALL].append({"at_ms": now_ms() + 9, "kind": "nobody-here", "by": "desk-1",
                                   "detail": {"why": "no-browser"}})  # fmt: skip
    for who in ("desk-1", "centre"):
        server.timelines[CALL].append({"at_ms": now_ms(), "kind": "received", "by": who, "detail": {}})
    desk.open(CALL)
    timeline = desk.get("timeline")
    for text in (
        "all desks and the column: told that nobody has accepted for 15 s",
        "duty: could not be told: HTTP 500",
        "chief: perhaps told, nobody can know: no answer",
        "Nobody is at desk-1: no browser is open",
        "entered later: the register took nothing then",
        "In the register; the column was answered: desk-1",
        "In the register; the column was answered: centre",  # twice the same without {by} in its sentence
    ):
        expect(timeline).to_contain_text(text)


def test_an_exercise_looks_like_a_call_until_somebody_accepts_it(server: FakeDesk, desk: DeskPage) -> None:
    """Red where it is marked at once, where a patrol can be sent, or where it stands before a call. And where another
    part of the page tells it: the line over the map said that no call is open, its column that all is well."""
    server.disguise_s = 600
    desk.page.reload()
    desk.get("column-park-01").locator("button").click()
    order = {"id": "c-9", "cmd": "drill", "by": "desk-1"}
    server.happens("park-01", "command", order)
    with desk.page.expect_response("**/api/columns/park-01/events?*"):
        server.happens("park-01", "result", {"v": 1, "id": "c-9", "ok": True, "error": None})
    expect(desk.get("events").locator("li")).to_have_count(0)  # nor does the order tell it before it comes
    server.put(incident(DRILL, status="exercise"))
    strip = desk.page.locator(f'#strips > [data-id="{DRILL}"]')
    expect(strip).to_be_visible()
    expect(strip).not_to_contain_text("EXERCISE")
    expect(desk.get("sound")).to_have_attribute("data-ringing", "true")
    desk.open(DRILL)
    expect(desk.get("incident")).not_to_contain_text("exercise")
    row, calm = desk.get("column-park-01"), desk.page.locator("#calm")
    for shown in (row, desk.page.locator('#map-host [data-status="alarm"]')):
        expect(shown).to_have_attribute("data-status", "alarm")
    expect(row).to_contain_text("Open calls: 1")
    expect(calm).to_be_hidden()
    row.locator("button").click()
    expect(desk.get("events").locator("li")).to_have_count(0)
    expect(desk.get("command-result")).to_be_empty()
    desk.page.get_by_text(f"Show call {DRILL}").click()
    desk.page.keyboard.press("2")
    expect(desk.row(DRILL)).to_have_attribute("data-status", "actual")
    desk.page.keyboard.press("1")
    server.put(incident(DRILL, status="exercise", state="accepted", by="anna", accepted_ms=now_ms()))
    expect(strip).to_contain_text("EXERCISE")
    expect(desk.get("incident")).to_contain_text("An exercise: not a call")
    expect(desk.get("dispatch")).to_be_hidden()
    expect(row).to_have_attribute("data-status", "ready")
    expect(calm).to_contain_text("No open calls.")
    desk.get("readback").fill("Address of park-01")
    desk.get("readback-save").click()
    sent = (f"incidents/{DRILL}/readback", {"text": "Address of park-01"})
    desk.until(lambda: sent in server.posts, "what was read back")
    server.put(incident(REAL))
    expect(desk.page.locator("#strips > .strip").first).to_have_attribute("data-id", REAL)


def test_an_exercise_shows_what_it_is_when_its_time_is_over(server: FakeDesk, desk: DeskPage) -> None:
    server.put(incident(DRILL, status="exercise", at_ms=now_ms() - 60_000))
    server.disguise_s = 20
    desk.page.reload()
    expect(desk.page.locator(f'#strips > [data-id="{DRILL}"]')).to_contain_text("EXERCISE")


def accepted(server: FakeDesk) -> list[str]:
    return [path.split("/")[1] for path, _ in server.posts if path.endswith("/accept")]


def test_the_key_accepts_the_real_call_while_the_ended_exercise_is_shown(server: FakeDesk, visitor: Visitor) -> None:
    """Red where A is for the shown call alone (accepting.js takes `selectedIncident()`): the real call that ended the
    exercise came while that one was open, so the panel stayed with it, and A did nothing. Red, too, where the field of
    the exercise goes while somebody types in it: the letters left would be keys, and one of them accepts."""
    desk = visitor.desk(server.url, PHONE)
    at = now_ms()
    taken = {"status": "exercise", "by": "anna", "accepted_ms": at, "at_ms": at - 4}
    server.put(incident(DRILL, **taken, state="accepted"))
    desk.open(DRILL)
    desk.get("readback").focus()
    server.put(incident(REAL, at_ms=at - 3))
    line = desk.get("key-line")
    expect(line).to_contain_text("Esc, then A accepts it")
    server.put(incident(DRILL, **taken, state="closed", outcome="other", closed_ms=at))
    expect(desk.get("incident", id=DRILL)).to_have_attribute("data-state", "closed")
    desk.page.keyboard.press("a")
    expect(desk.get("readback")).to_have_value("a")  # the field goes when it is left, not under the fingers
    desk.page.keyboard.press("Escape")
    expect(desk.get("readback")).to_be_hidden()
    expect(desk.get("incident", id=DRILL)).to_be_visible()
    expect(line).to_be_hidden()
    assert accepted(server) == []
    desk.page.keyboard.press("a")
    desk.becomes(REAL, "accepted")
    expect(desk.get("incident", id=REAL)).to_be_visible()
    assert accepted(server) == [REAL]


def test_the_key_takes_the_shown_call_else_the_longest_wait_and_says_when_none_waits(
    server: FakeDesk, desk: DeskPage
) -> None:
    """Red where the longest wait goes before what is shown, where A twice takes two calls (SAME_PRESS_MS = 0), and
    where an A that takes nothing says nothing."""
    keyboard, at = desk.page.keyboard, now_ms()
    keyboard.press("a")
    expect(desk.get("key-line")).to_have_text("A: no call waits.")
    third = "park-01-18-1"
    server.put(*(incident(one, at_ms=at + n) for n, one in enumerate((CALL, REAL, third))))
    desk.open(third)
    twice = """() => new Promise((done) => {
      const key = {code: "KeyA", key: "a", bubbles: true};
      const press = () => document.body.dispatchEvent(new KeyboardEvent("keydown", key));
      const strip = () => document.querySelector('#strips > [data-id="park-01-18-1"]').dataset.state;
      press();
      const look = (left) => (left && strip() !== "accepted" ? setTimeout(look, 10, left - 1) : (press(), done()));
      look(1000);
    })"""
    desk.page.evaluate("() => { performance.now = () => 5000; }")
    desk.page.evaluate(twice)
    assert accepted(server) == [third]
    desk.page.evaluate("() => { performance.now = () => 9000; }")
    keyboard.press("a")
    desk.becomes(CALL, "accepted")
    expect(desk.get("incident", id=CALL)).to_be_visible()
    assert accepted(server) == [third, CALL]


DOES = {"Digit1", "Digit2", "Digit3", "Digit4", "Digit5", "Digit6", "KeyS"}
"""Single keys that do something whatever is shown: views (the sixth for who may read it), and the sound."""


def test_a_key_that_does_nothing_says_why(server: FakeDesk, desk: DeskPage) -> None:
    """D and C did nothing without a word. Every single key of keys.js, where no call is: red for one that swallows its
    press (give `press` in panel.js a bare return), and for a new key that says nothing. Then those of a call that is
    over, and of one that is not taken up again."""
    keys = (STATIC / "js" / "keys.js").read_text("utf-8")
    codes = re.findall(r"(\w+): \"", keys.partition("PLACES = {")[2].partition("}")[0]) + ["KeyT"]
    assert len(codes) > 18
    line = desk.get("key-line")
    for code in codes:
        if code not in DOES:
            desk.page.keyboard.press(code)
            expect(line).to_have_text(re.compile(f"^{({'Minus': '-', 'Equal': '='}).get(code, code[-1])}: .{{8}}"))
    desk.page.keyboard.press("1")
    expect(line).to_be_hidden()
    at = now_ms()
    server.put(incident(CALL, state="closed", outcome="other", closed_ms=at, at_ms=at - 4))
    server.put(incident(REAL, state="dispatched", by="anna", accepted_ms=at, dispatched_ms=at, at_ms=at - 3))
    desk.open(REAL)
    desk.page.keyboard.press("d")
    expect(line).to_have_text("D: Help sent")
    server.put(incident(REAL, state="closed", by="anna", outcome="other", closed_ms=at, at_ms=at - 3))
    expect(desk.get("incident", id=REAL)).to_have_attribute("data-state", "closed")
    for key in "dc":
        desk.page.keyboard.press(key)
        expect(line).to_have_text(f"{key.upper()}: this call is closed.")


def test_closing_without_an_outcome_says_what_is_missing(server: FakeDesk, desk: DeskPage) -> None:
    """Enter did nothing. Red where `confirmClose` returns before it has said so. A note without a word is the same."""
    server.put(incident(CALL, state="accepted", by="anna", accepted_ms=now_ms()))
    desk.open(CALL)
    desk.get("note-save").click()
    expect(desk.get("failure")).to_have_text("Write something first.")
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("c")
    desk.page.keyboard.press("Enter")
    expect(desk.get("close-missing")).to_have_text("Choose how it ended first: a digit from 1 to 5, or a click.")
    assert server.posts == []
    desk.page.keyboard.press("1")
    expect(desk.get("close-missing")).to_have_text("")
    desk.page.keyboard.press("Enter")
    desk.becomes(CALL, "closed")
