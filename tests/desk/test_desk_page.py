"""The desk's page in a browser, before a server that plays what the test tells it: what the officer sees and does."""

from __future__ import annotations

import math
import re

import pytest
from browser_probe import AWAY, PHONE, DeskPage, Visitor
from desk_page_probe import FakeDesk, column, incident, now_ms
from playwright.sync_api import expect

pytestmark = [pytest.mark.chromium, pytest.mark.xdist_group("browser"), pytest.mark.timeout(240)]
PARK = ("park-01", "park-02", "school-01")

HOSTILE = "\u202e<img src=x onerror=pwned(1)>\u0000" + "W" * 5000


@pytest.fixture
def desk(server: FakeDesk, visitor: Visitor) -> DeskPage:
    return visitor.desk(server.url)


# -- calls


def test_calm_is_said_and_nothing_else(desk: DeskPage) -> None:
    expect(desk.page.locator("#calm")).to_have_text("No open calls. All 3 columns that were heard are ready.")
    assert desk.strips() == []
    assert not desk.is_ringing()
    expect(desk.page.locator("#side")).to_be_hidden()
    assert desk.page.title() == "desk-1 · SOS"


def test_a_call_shows_its_place_first_and_asks_to_be_accepted(server: FakeDesk, desk: DeskPage) -> None:
    server.put(column("park-01", status="alarm", open=["park-01-17-1"]), incident("park-01-17-1"))
    strip = desk.get("strip", id="park-01-17-1")
    expect(strip).to_be_visible()
    expect(strip).to_have_attribute("role", "alert")
    expect(strip).to_have_text(re.compile(r"^\s*Address of park-01"))
    box = strip.bounding_box()
    assert box is not None and box["width"] == 1280
    desk.until(desk.is_ringing, "the bell")
    assert desk.page.title() == "(1) Address of park-01"
    panel = desk.get("incident", id="park-01-17-1")
    expect(panel.locator("h2")).to_have_text("Address of park-01")
    expect(panel).to_contain_text("Nobody has accepted this call yet.")
    expect(desk.page.locator("#calm")).to_be_hidden()


def test_the_steps_of_a_call(server: FakeDesk, desk: DeskPage) -> None:
    server.put(incident("park-01-17-1"))
    desk.open("park-01-17-1")
    desk.get("accept").click()
    desk.becomes("park-01-17-1", "accepted")
    desk.until(lambda: not desk.is_ringing(), "quiet")
    expect(desk.get("accept")).to_be_disabled()
    expect(desk.get("strip")).to_contain_text("Accepted: operator")
    desk.get("dispatch").click()
    desk.becomes("park-01-17-1", "dispatched")
    desk.get("close").click()
    expect(desk.get("close-confirm")).to_be_disabled()  # nothing is preset: the outcome is a decision
    desk.get("note").fill("  two lines\nof text ")
    desk.get("outcome-help-given").check()
    desk.get("close-confirm").click()
    desk.becomes("park-01-17-1", "closed")
    assert desk.strips() == []
    path = "incidents/park-01-17-1/"
    closing = {"outcome": "help-given", "note": "two lines\nof text"}
    assert server.posts == [(path + "accept", {}), (path + "dispatch", {}), (path + "close", closing)]
    expect(desk.get("incident")).to_contain_text("Help given")


def test_a_double_click_is_one_step(server: FakeDesk, desk: DeskPage) -> None:
    """The second click of a double click lands on what has come to stand there: the next call's button."""
    server.put(incident("park-01-17-1", at_ms=now_ms() - 2000), incident("park-02-3-1"))
    expect(desk.get("strip")).to_have_count(2)
    box = desk.get("strip-accept").first.bounding_box()
    assert box is not None
    mouse = desk.page.mouse
    mouse.click(box["x"] + 9, box["y"] + 9)
    desk.becomes("park-01-17-1", "accepted")
    assert desk.strips()[0] == "park-02-3-1", "the next call is where the first one was"
    mouse.down(click_count=2)
    mouse.up(click_count=2)
    desk.page.wait_for_timeout(300)
    assert [path for path, _ in server.posts] == ["incidents/park-01-17-1/accept"]
    mouse.click(box["x"] + 9, box["y"] + 9)  # the control
    desk.becomes("park-02-3-1", "accepted")


PRESS = """() => {
  const accept = document.querySelector("[data-testid=strip-accept]");
  const point = (name) => accept.dispatchEvent(new PointerEvent(name, { bubbles: true }));
  const at = { top: accept.getBoundingClientRect().top };
  window.pressAt = at;
  new MutationObserver(() => {
    if (accept.getBoundingClientRect().top !== at.top) at.moved ??= performance.now();
  }).observe(document.body, { attributes: true, childList: true, characterData: true, subtree: true });
  window.letGo = () => { at.up = performance.now(); point("pointerup"); };
  at.down = performance.now();
  point("pointerdown");
}"""

ANSWERED = """async () => {
  const { get } = await import("/static/js/api.js");
  get("/api/config").then(() => { pressAt.moved ??= performance.now(); });
}"""


@pytest.mark.parametrize(("what", "is_held"), [("feed", False), ("lost", False), ("answer", True)])
def test_nothing_moves_from_under_a_button_that_is_down(
    server: FakeDesk, desk: DeskPage, what: str, is_held: bool
) -> None:
    """A banner comes above it: the click would fall on what is there then. What is held longer holds nothing up. Red
    where feed.js takes a message, or its end, or api.js an answer, at once; the held ones without PRESS_MAX_MS."""
    server.put(incident("park-01-17-1"))
    expect(desk.get("strip")).to_have_count(1)
    desk.page.evaluate(PRESS)
    if what == "feed":
        server.say_desk(broker=False)
    elif what == "lost":
        server.hang_up()
    else:
        desk.page.evaluate(ANSWERED)
    if not is_held:
        desk.page.evaluate("letGo()")
    desk.until(lambda: desk.page.evaluate("pressAt.moved"), "the banner")
    at = desk.page.evaluate("pressAt")
    assert at["moved"] >= min(at.get("up", math.inf), at["down"] + 499), at


def test_what_waits_stands_above_what_is_taken_and_a_new_call_moves_nothing(server: FakeDesk, desk: DeskPage) -> None:
    at_ms = now_ms()
    server.put(*(incident(f"park-0{n}-1-1", at_ms=at_ms + n) for n in (1, 2, 3)))
    expect(desk.get("strip")).to_have_count(3)
    desk.open("park-02-1-1")
    desk.get("accept").click()
    desk.becomes("park-02-1-1", "accepted")
    assert desk.strips() == ["park-01-1-1", "park-03-1-1", "park-02-1-1"]
    before = desk.get("dispatch").bounding_box()
    server.put(incident("park-04-1-1", at_ms=at_ms + 4))
    expect(desk.get("strip")).to_have_count(4)
    assert desk.strips() == ["park-01-1-1", "park-03-1-1", "park-04-1-1", "park-02-1-1"]
    expect(desk.get("incident")).to_have_attribute("data-id", "park-02-1-1")
    assert desk.get("dispatch").bounding_box() == before, "the buttons stay under the hand"


def test_a_step_taken_before_the_server_has_answered_is_not_lost(server: FakeDesk, desk: DeskPage) -> None:
    """Everybody is told of a step before whoever took it has the answer. Red when the next key is ignored meanwhile."""
    server.put(incident("park-01-17-1"))
    desk.open("park-01-17-1")
    server.is_slow = True
    for _ in range(2):
        desk.page.keyboard.press("a")
    desk.becomes("park-01-17-1", "accepted")
    desk.page.keyboard.press("d")
    server.is_slow = False
    desk.becomes("park-01-17-1", "dispatched")
    assert [path.rpartition("/")[2] for path, _ in server.posts] == ["accept", "dispatch"]


def test_a_step_behind_a_refusal_is_not_sent(server: FakeDesk, desk: DeskPage, visitor: Visitor) -> None:
    visitor.may_say = re.compile("status of 409")
    server.put(incident("park-01-17-1"))
    desk.open("park-01-17-1")
    server.refuse = {"error": "it is 'closed'", "code": "state-passed", "values": {"state": "closed"}}
    server.is_slow = True
    desk.page.keyboard.press("a")
    desk.page.keyboard.press("d")
    server.is_slow = False
    expect(desk.get("failure")).to_contain_text("already “closed”")
    expect(desk.get("accept")).not_to_have_attribute("aria-busy", "true")
    assert [path.rpartition("/")[2] for path, _ in server.posts] == ["accept"]


def test_a_refusal_is_said_and_the_call_shown_as_it_is(server: FakeDesk, desk: DeskPage, visitor: Visitor) -> None:
    visitor.may_say = re.compile("status of 409")
    server.put(incident("park-01-17-1"))
    desk.open("park-01-17-1")
    server.refuse = {
        "error": "'closed': it cannot become 'accepted'",
        "code": "state-passed",
        "values": {"state": "closed"},
    }
    server.incidents["park-01-17-1"] |= {"state": "closed", "by": "operator 4", "outcome": "false"}
    desk.get("accept").click()
    expect(desk.get("failure")).to_contain_text("The call's state is already “closed”")
    desk.becomes("park-01-17-1", "closed")
    expect(desk.get("incident")).to_contain_text("operator 4")


@pytest.mark.parametrize(
    ("language", "failure", "no_picture"),
    [
        ("ru", "Вызов уже в состоянии «закрыт»", "Нет видео: камера не отвечает"),
        ("kk", "күйі қазірдің өзінде «жабылды»", "Бейне жоқ: камера жауап бермейді"),
    ],
)
def test_a_refusal_is_said_in_the_readers_language(
    server: FakeDesk, desk: DeskPage, visitor: Visitor, language: str, failure: str, no_picture: str
) -> None:
    """Also in one that is chosen afterwards; without a code that the page knows, in the server's English."""
    visitor.may_say = re.compile("status of (409|502)")
    server.put(incident("park-01-17-1"))
    desk.open("park-01-17-1")
    server.refuse = {"error": "it is 'closed'", "code": "state-passed", "values": {"state": "closed"}}
    desk.get("accept").click()
    expect(desk.get("failure")).to_contain_text("already “closed”")
    desk.get("language").select_option(language)
    expect(desk.get("failure")).to_contain_text(failure)
    server.refuse = {}
    desk.get("play").click()
    expect(desk.get("media-state")).to_have_text(no_picture)
    server.refuse = {"error": "of next year", "code": "unheard-of", "values": {}}
    desk.get("accept").click()
    expect(desk.get("failure")).to_contain_text("of next year")


NO_WAY = {
    "en": "RTSP: there is no way to the camera; SIP: there is no way to the intercom",
    "ru": "RTSP: нет пути к камере; SIP: нет пути к переговорному устройству",
    "kk": "RTSP: камераға жол жоқ; SIP: сөйлесу құрылғысына жол жоқ",
}


def test_an_intercom_is_called_no_camera(server: FakeDesk, desk: DeskPage, visitor: Visitor) -> None:
    """Red where `sip` has the cameras' words; a code that the intercom has none for is said in those."""
    visitor.may_say = re.compile("status of 502")
    said = {"Stream-Tried": "rtsp=no-route sip=no-route"}
    desk.page.route("**/whep", lambda route: route.fulfill(status=502, headers=said, json={"code": "no-route"}))
    server.put(incident("park-01-17-1"))
    desk.open("park-01-17-1")
    desk.get("play").click()
    for language, why in NO_WAY.items():
        desk.get("language").select_option(language)
        expect(desk.get("media-state")).to_contain_text(why)
    said["Stream-Tried"] = "sip=busy"
    desk.get("language").select_option("en")
    desk.get("play").click()
    expect(desk.get("media-state")).to_have_text("No picture: SIP: the desk shows as many pictures as it can")


def test_a_second_press_is_a_badge_a_pulse_and_not_a_new_call(server: FakeDesk, desk: DeskPage) -> None:
    server.put(incident("park-01-17-1", state="accepted", by="operator 4", accepted_ms=now_ms()))
    strip = desk.get("strip", id="park-01-17-1")
    expect(strip).not_to_contain_text("times")
    server.put({**server.incidents["park-01-17-1"], "press": 2, "transmissions": 2})
    expect(strip).to_contain_text("pressed 2 times")
    expect(strip).to_have_class(re.compile("pulse"))
    assert len(desk.strips()) == 1


def test_an_older_message_does_not_undo_a_newer_one(server: FakeDesk, desk: DeskPage) -> None:
    first = incident("park-01-17-1")
    server.put(first)
    desk.open("park-01-17-1")
    desk.get("accept").click()
    desk.becomes("park-01-17-1", "accepted")
    server.say({"kind": "incident", "incident": first})
    server.put(incident("park-02-1-1"))
    expect(desk.get("strip")).to_have_count(2)
    expect(desk.get("strip", id="park-01-17-1")).to_have_attribute("data-state", "accepted")
    server.say({"kind": "incident", "incident": {**first, "reopened": 1, "press": 2}})  # but a new press does
    expect(desk.get("strip", id="park-01-17-1")).to_have_attribute("data-state", "received")


DOUBTS: list[tuple[dict[str, object], tuple[str, ...]]] = [
    ({}, ()),
    ({"late": True, "age_ms": 5_000_000}, ("Sent 1 h 23 min after the press",)),
    ({"late": True, "clock": "none", "raised_ms": None, "age_ms": 94210}, ("At least 1 min 34 s passed",)),
    ({"clock": "none", "raised_ms": None}, ("clock is not set",)),
    ({"clock": "kept"}, ("was not checked since its restart",)),
    ({"age_ms": 42_000}, ("the call waited 42 s",)),
    ({"age_ms": 42_000, "press": 2}, ("or another centre had the call",)),  # red where it is said to have waited
    ({"faults": ["tamper", "x-new"]}, ("housing is open", "Fault: x-new.")),
    ({"stream": {"ok_at": None}}, ("no camera and no intercom",)),
    ({"stream": {"rtsp": "rtsp://a/b", "ok_at": None}}, ("not known whether the column reaches its camera",)),
    (
        {"stream": {"rtsp": "rtsp://a/b", "ok_at": None}, "faults": ["stream-down"]},
        ("camera or intercom does not answer", "has not reached its camera yet"),
    ),
    ({"stream": {"rtsp": "rtsp://a/b", "ok_at": "2026-01-01T00:00:00.000Z"}}, ("last reached its camera",)),
]


def test_what_is_uncertain_is_said_in_words(server: FakeDesk, desk: DeskPage) -> None:
    for number, (changes, said) in enumerate(DOUBTS, 1):
        legs = {"contact_to_sent_ms": changes.get("age_ms", 61), "sent_to_desk_ms": None, "desk_to_register_ms": 5,
                "register_to_answer_ms": 2}  # fmt: skip
        server.put(incident(f"park-01-1-{number}", **changes, legs=legs))
        desk.page.keyboard.press("Escape")
        desk.open(f"park-01-1-{number}")
        expect(desk.get("legs").locator("[data-leg=total] dd")).to_have_text("not known")
        expect(desk.get("doubts").locator("li")).to_have_count(len(said))
        for words in said:
            expect(desk.get("doubts")).to_contain_text(words)


def test_the_time_of_a_press_is_no_more_exact_than_it_is(server: FakeDesk, desk: DeskPage) -> None:
    at_ms = 1767607200000  # 2026-01-05 10:00:00 UTC
    lame: dict[str, object] = {"raised_ms": None, "age_ms": 60_000, "legs": {"contact_to_sent_ms": 60_000}}
    cases: list[tuple[dict[str, object], str]] = [
        ({"raised_ms": at_ms}, "pressed 2026-01-05 10:00:00"),
        ({**lame, "clock": "none"}, "pressed 2026-01-05 09:59:00"),
        ({**lame, "clock": "kept", "raised_ms": at_ms - 5_000_000}, "pressed 2026-01-05 09:59:00"),
        ({**lame, "clock": "kept", "late": True}, "pressed about 2026-01-05 09:59:00"),
        ({**lame, "clock": "none", "late": True}, "pressed 2026-01-05 09:59:00 or earlier"),
    ]
    for number, (changes, said) in enumerate(cases, 1):
        server.put(incident(f"park-01-1-{number}", at_ms=at_ms, **changes))
        pressed = desk.get("strip", id=f"park-01-1-{number}").locator(".fact-pressed")
        expect(pressed).to_have_text(said)


def test_a_column_that_is_silent_under_an_open_call_is_told(server: FakeDesk, desk: DeskPage) -> None:
    server.put(incident("park-01-17-1"))
    desk.open("park-01-17-1")
    gone = {"presence": "offline", "silent_since_ms": now_ms() - 5000}
    server.put(column("park-01", status="alarm", open=["park-01-17-1"], **gone))
    expect(desk.get("doubts")).to_contain_text("may not show your answer")
    expect(desk.get("silent-park-01")).to_be_visible()


def test_a_drill_is_in_the_register_only(server: FakeDesk, desk: DeskPage) -> None:
    """An exercise rings as a call does, and counts among the drills afterwards."""
    server.put(incident("park-01-17-1", status="test"), incident("park-01-17-2", status="exercise"))
    server.put(incident("park-02-1-1"))
    for shown in ("park-02-1-1", "park-01-17-2"):
        expect(desk.get("strip", id=shown)).to_be_visible()
    expect(desk.get("strip")).to_have_count(2)
    desk.page.keyboard.press("2")
    expect(desk.page.locator("[data-testid=register-drills] tr[data-id]")).to_have_count(2)
    desk.row("park-01-17-1").locator("button").click()
    expect(desk.get("incident", id="park-01-17-1")).to_contain_text("Nothing is to be done")
    expect(desk.get("accept")).to_be_hidden()


def test_a_picture_that_cannot_be_had_is_said(server: FakeDesk, desk: DeskPage, visitor: Visitor) -> None:
    visitor.may_say = re.compile("status of 502")
    server.put(incident("park-01-17-1"))
    desk.open("park-01-17-1")
    desk.get("play").click()
    expect(desk.get("media-state")).to_have_text("No picture: the camera does not answer")
    path, offer = server.posts[-1]
    assert path == "incidents/park-01-17-1/whep"
    assert re.search(r"^m=video .*?^a=recvonly", offer, re.MULTILINE | re.DOTALL)
    assert re.search(r"^m=audio .*?^a=sendrecv", offer, re.MULTILINE | re.DOTALL)
    server.put({**server.incidents["park-01-17-1"], "press": 2, "stream": {"http": "http://a/b", "ok_at": None}})
    expect(desk.get("play")).to_be_disabled()
    expect(desk.get("media-state")).to_contain_text("names no stream for a browser")


# -- the server, the broker, the columns


def test_a_lost_server_is_said_and_everything_read_anew(server: FakeDesk, visitor: Visitor) -> None:
    visitor.may_say = AWAY
    server.put(incident("park-01-17-1"))
    desk = visitor.desk(server.url)
    expect(desk.get("strip")).to_have_count(1)
    server.stop()
    expect(desk.get("desk-state")).to_have_attribute("data-state", "no-server")
    expect(desk.page.locator("#banner")).to_contain_text("New calls are NOT shown here")
    assert desk.strips() == ["park-01-17-1"]
    server.incidents["park-01-17-1"] |= {"state": "closed", "outcome": "false", "closed_ms": now_ms()}
    server.incidents["park-02-1-1"] = incident("park-02-1-1")
    server.timelines["park-02-1-1"] = []
    server.start_again()
    expect(desk.get("desk-state")).to_have_attribute("data-state", "connected")
    expect(desk.page.locator("#banner")).to_be_hidden()
    expect(desk.get("strip", id="park-02-1-1")).to_be_visible()
    expect(desk.get("strip", id="park-01-17-1")).to_have_count(0)


def test_a_broker_that_is_away_is_said(server: FakeDesk, desk: DeskPage) -> None:
    server.say_desk(broker=False)
    expect(desk.get("desk-state")).to_have_attribute("data-state", "no-broker")
    expect(desk.page.locator("#banner")).to_contain_text("New calls cannot arrive")
    server.say_desk(broker=True)
    expect(desk.page.locator("#banner")).to_be_hidden()


def test_messages_that_make_no_sense_change_nothing(server: FakeDesk, desk: DeskPage) -> None:
    for message in ("{", "null", "[]", {"kind": "x"}, {"kind": "incident"}, {"kind": "column", "column": 5},
                    {"kind": "incident", "incident": {"id": 7}}):  # fmt: skip
        server.say(message)
    server.put(incident("park-01-17-1"))
    expect(desk.get("strip")).to_have_count(1)
    expect(desk.get("desk-state")).to_have_attribute("data-state", "connected")


def test_a_silent_column_stays_on_top_until_it_is_noted(server: FakeDesk, desk: DeskPage) -> None:
    gone = {"status": "silent", "presence": "silent", "silent_since_ms": now_ms() - 60_000}
    fault = {"id": "supply", "since": None, "detail": "9100 mV"}
    server.put(column("park-02", **gone, faults=[fault]))
    silence = desk.get("silent-park-02")
    expect(silence).to_contain_text("The column's supply voltage is low.")
    expect(desk.get("column-park-02")).to_have_attribute("data-status", "silent")
    desk.get("silent-noted-park-02").click()
    expect(silence).to_have_count(0)
    expect(desk.page.locator("#calm")).to_contain_text("silent: 1")
    server.put(column("park-02", **gone))
    server.put(column("park-01", **gone))
    expect(desk.get("silent-park-01")).to_be_visible()
    expect(silence).to_have_count(0)
    server.put(column("park-02", **gone | {"silent_since_ms": now_ms()}))  # it came back, and fell silent again
    expect(silence).to_be_visible()


def test_a_column_nobody_has_heard_is_no_silence(server: FakeDesk, desk: DeskPage) -> None:
    server.put(column("new-01", status="offline", online=None, presence=None, heard_ms=None, geo=None, address=None))
    expect(desk.get("column-new-01")).to_contain_text("Not heard yet")
    assert desk.get("silent-new-01").count() == 0


def test_commands_to_a_column(server: FakeDesk, desk: DeskPage) -> None:
    server.me["role"] = "chief"
    desk.page.reload()
    desk.get("column-park-01").locator("button").click()
    desk.get("command-identify").click()
    expect(desk.get("command-said")).to_contain_text("Sent: Flash its lamp")
    desk.get("command-restart").click()
    assert [document for _, document in server.posts] == [{"cmd": "identify"}]
    desk.get("command-restart").click()  # asked twice
    expect(desk.get("command-said")).to_contain_text("Sent: Restart")
    assert server.posts[-1] == ("columns/park-01/command", {"cmd": "restart"})


def test_who_is_no_chief_restarts_nothing_and_reads_why(desk: DeskPage) -> None:
    """Red when columns.js does not ask what the role may do."""
    desk.get("column-park-01").locator("button").click()
    expect(desk.get("command-selftest")).to_be_enabled()
    for chiefs in ("restart", "exercise"):
        expect(desk.get(f"command-{chiefs}")).to_be_disabled()
    expect(desk.get("command-may-not")).to_contain_text("Only a chief begins an exercise, and restarts a column")


# -- text from outside


def test_text_from_outside_is_text_short_and_without_tricks(server: FakeDesk, desk: DeskPage) -> None:
    place = {"geo": HOSTILE, "address": HOSTILE, "site": "toString", "height_m": HOSTILE, "lat": None, "lon": None}
    stream = {"rtsp": HOSTILE, "webrtc": None, "http": "javascript:pwned(2)", "ok_at": HOSTILE}
    texts = {"by": HOSTILE, "note": HOSTILE, "fw": HOSTILE}
    fault = {"id": HOSTILE, "since": HOSTILE, "detail": HOSTILE}
    info = {"hw": {"chip": HOSTILE}}
    server.put(incident("evil-01-1-1", location=place, stream=stream, faults=[HOSTILE], **texts))
    server.put(
        column("evil-01", address=HOSTILE, faults=[fault], link=HOSTILE, mode=HOSTILE, info=info, status="fault")
    )
    desk.open("evil-01-1-1")
    text = desk.page.locator("body").inner_text()
    assert "<img src=x" in text and "\u202e" not in text
    assert "W" * 400 not in text
    desk.get("column-evil-01").locator("button").click()
    expect(desk.get("column-panel")).to_contain_text("<img src=x")
    desk.page.keyboard.press("2")
    expect(desk.row("evil-01-1-1")).to_be_visible()
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert desk.page.locator("img, a[href^=javascript]").count() == 0


def test_a_phone_shows_the_call_and_its_buttons_at_once(server: FakeDesk, visitor: Visitor) -> None:
    desk = visitor.desk(server.url, PHONE)
    server.put(*(incident(f"park-{n:02}-1-1", at_ms=now_ms() + n) for n in range(10)))
    expect(desk.get("strip")).to_have_count(10)
    for part in ("accept", "dispatch", "close"):
        expect(desk.get(part)).to_be_in_viewport(ratio=1)
    expect(desk.get("strip").first).to_be_in_viewport(ratio=1)
