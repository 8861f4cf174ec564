"""What the duty officer sees of the rule that nobody listens in: the reason, the audit list, the cameras nearby."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from browser_probe import DeskPage, Visitor
from desk_page_probe import FakeDesk, incident, now_ms
from playwright.sync_api import expect

pytestmark = [pytest.mark.chromium, pytest.mark.xdist_group("browser"), pytest.mark.timeout(240)]
PARK = ("park-01",)

CALL = "park-01-17-1"


@pytest.fixture
def desk(server: FakeDesk, visitor: Visitor) -> DeskPage:
    visitor.may_say = re.compile("status of 502")
    server.cameras = [
        {"id": "k-1", "name": "Вокзал", "distance_m": 77},
        {"id": "k-2", "name": "Парк", "distance_m": 1112},
    ]
    return visitor.desk(server.url)


def test_outside_a_call_the_page_asks_why(server: FakeDesk, desk: DeskPage) -> None:
    """With keys alone. Breaks without the look at `isCall` in media.js: the server would refuse, and say so."""
    server.incidents[CALL] = incident(CALL, state="closed", outcome="false", closed_ms=now_ms())
    server.timelines[CALL] = [
        {"at_ms": now_ms(), "kind": "opened", "by": "A. Ivanova", "detail": {"way": "rtsp", "note": "сынақ"}},
        {"at_ms": now_ms(), "kind": "shut", "by": "A. Ivanova", "detail": {"way": "rtsp", "ms": 61000, "how": "asked"}},
        {"at_ms": now_ms(), "kind": "shut", "by": "B", "detail": {"camera": "Парк (k-2)", "ms": 2000, "how": "gone"}},
    ]
    keyboard = desk.page.keyboard
    keyboard.press("2")
    desk.row(CALL).locator("button").click()
    expect(desk.get("timeline")).to_contain_text("Picture and sound opened: A. Ivanova")
    expect(desk.get("timeline")).to_contain_text("Picture and sound closed after 1 min 1 s: A. Ivanova")
    expect(desk.get("timeline")).to_contain_text("Camera Парк (k-2) closed after 2.0 s: B")
    expect(desk.get("timeline")).to_contain_text("сынақ")
    keyboard.press("p")
    expect(desk.get("reason")).to_be_focused()
    keyboard.press("Enter")  # nothing is no reason, and is said to be none
    expect(desk.get("reason-missing")).to_have_text("Write at least 3 characters.")
    keyboard.press("Escape")
    expect(desk.get("reason")).to_be_hidden()
    assert not server.posts
    keyboard.press("p")
    keyboard.type("Дыбысты тексеру")
    keyboard.press("Enter")
    expect(desk.get("media-state")).to_have_text("No picture: the camera does not answer")
    assert [unquote(reason) for reason in server.reasons] == ["Дыбысты тексеру"]
    keyboard.press("7")
    keyboard.type("Тағы да")
    keyboard.press("Enter")
    desk.until(lambda: len(server.posts) == 2, "an offer for the camera nearby")
    assert server.posts[1][0] == f"incidents/{CALL}/cameras/k-1/whep" and unquote(server.reasons[1]) == "Тағы да"


def test_the_cameras_nearby_are_one_key_away(server: FakeDesk, desk: DeskPage) -> None:
    server.put(incident(CALL))
    desk.open(CALL)
    expect(desk.get("camera", id="k-1")).to_contain_text("Вокзал, 77 m")
    desk.page.keyboard.press("9")  # there is no third
    desk.page.keyboard.press("8")
    expect(desk.get("camera-state")).to_have_text("No picture: the camera does not answer")
    ((path, offer),) = server.posts
    assert path == f"incidents/{CALL}/cameras/k-2/whep" and server.reasons == [""]
    assert "m=video" in offer and "m=audio" not in offer  # the conversation is with the column
    expect(desk.get("media-state")).to_have_text("Picture and sound are off")


def test_the_audit_list(server: FakeDesk, desk: DeskPage) -> None:
    closed = {"n": 1, "at_ms": now_ms() - 65_000, "ended_ms": now_ms() - 4_000, "ended": "call-closed", "camera": "",
              "device_id": "park-01", "incident_id": CALL, "way": "rtsp", "by": "A. Ivanova", "reason": ""}  # fmt: skip
    server.openings = [
        {
            **closed,
            "n": 2,
            "ended_ms": None,
            "ended": "",
            "camera": "Парк (k-2)",
            "reason": "<img src=x onerror=pwned(1)>",
        },
        closed,
    ]
    desk.page.keyboard.press("5")
    rows = desk.get("audit-list").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("still open")
    expect(rows.nth(0)).to_contain_text("<img src=x onerror=pwned(1)>")
    expect(rows.nth(1)).to_contain_text("1 min 1 s")
    expect(rows.nth(1)).to_contain_text("within the call")
    expect(rows.nth(1)).to_contain_text("the call was closed")
    desk.get("audit-device").select_option("park-01")
    desk.until(lambda: any("device_id=park-01" in one for one in server.gets), "the filter")
    expect(desk.get("audit-csv")).to_have_attribute("href", "/api/openings.csv?device_id=park-01")


def test_a_recording_is_played_from_the_registers_row_and_kept(
    server: FakeDesk, desk: DeskPage, visitor: Visitor
) -> None:
    visitor.may_say = re.compile("status of 404")
    at = now_ms()
    server.incidents[CALL] = incident(CALL, state="closed", outcome="false", closed_ms=at, recorded=1)
    server.timelines[CALL] = []
    file = {
        "n": 7,
        "file": "x.mp4",
        "from_ms": at - 65_000,
        "to_ms": at - 4_000,
        "size": 9,
        "sha256": "ab" * 32,
        "deleted_ms": None,
    }
    server.recordings[CALL] = {"files": [file, {**file, "n": 8, "deleted_ms": at}], "hold": None, "code": None}
    desk.page.keyboard.press("2")
    desk.row(CALL).get_by_test_id("row-play").click()
    expect(desk.get("recording-video")).to_have_attribute("src", "/api/recordings/7")
    expect(desk.get("recordings").locator("li").nth(0)).to_contain_text("1 min 1 s")
    expect(desk.get("recordings").locator("li").nth(1)).to_contain_text("had its time")
    desk.get("recording-hold").click()
    desk.page.keyboard.type("сот сұрауы")
    desk.page.keyboard.press("Enter")
    expect(desk.get("recording-said")).to_have_text("Kept until further notice: operator. сот сұрауы")
    assert server.posts[-1] == (f"incidents/{CALL}/hold", {"hold": True, "why": "сот сұрауы"})


def test_calls_that_are_not_recorded_are_said_to_be(server: FakeDesk, desk: DeskPage) -> None:
    server.recordings[CALL] = {"files": [], "hold": None, "code": "no-camera"}
    server.put(incident(CALL))
    desk.open(CALL)
    said = "This call is not recorded now: the desk cannot record this kind of stream."
    expect(desk.get("recording-said")).to_have_text(said)
    server.recordings[CALL] = {"files": [], "hold": None, "code": "timeout", "spoken": True}
    server.put(incident(CALL, state="accepted"))
    expect(desk.get("recording-said")).to_contain_text("Only the conversation is recorded now, not the picture: ")
    server.recordings[CALL] = {"files": [], "hold": None, "code": "", "spoken": True}
    server.put(incident(CALL, state="dispatched", stream={"sip": "sip:park-01@intercom.example"}))
    expect(desk.get("recording-said")).to_contain_text("What you say to the place is recorded, too.")
    server.say({"kind": "desk", "broker": True, "recording": "disk-full", "now_ms": now_ms()})
    expect(desk.page.locator("#recording")).to_contain_text("calls are NOT recorded. Calls themselves go on.")
    server.say({"kind": "desk", "broker": True, "recording": "", "now_ms": now_ms()})
    expect(desk.page.locator("#recording")).to_be_hidden()
