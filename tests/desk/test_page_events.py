"""What became of a command to a column, and what happened to it of late: on the desk's page, in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_probe import DeskPage, Visitor
from contract_examples import packed
from desk_page_probe import FakeDesk, column, now_ms
from desk_rig import DeskRig, Speaker, wait_for
from playwright.sync_api import Locator, expect

from desk.operators import COMMAND_VALID_MS
from sim.servers.broker import Mosquitto

pytestmark = [pytest.mark.chromium, pytest.mark.mosquitto, pytest.mark.xdist_group("browser"), pytest.mark.timeout(240)]
PARK = ("park-01", "park-02")

MARKUP = "<img class=pwned src=x onerror=pwned(1)>"
HOSTILE = f"\u202e{MARKUP}\u0000" + "W" * 5000
NO_EVENTS = re.compile("status of 500")


@pytest.fixture
def desk(server: FakeDesk, visitor: Visitor) -> DeskPage:
    return visitor.desk(server.url)


def opened(desk: DeskPage, device_id: str = "park-01") -> Locator:
    """The panel of that column, when its events are there."""
    with desk.page.expect_response(f"**/api/columns/{device_id}/events?*"):
        desk.get(f"column-{device_id}").locator("button").click()
    return desk.get("command-result")


def result(command_id: str, error: str | None = None, **more: Any) -> dict[str, Any]:
    return {"v": 1, "id": command_id, "ok": error is None, "error": error, **more}


# -- what became of a command


def test_the_answer_to_a_command_is_told_as_it_comes(server: FakeDesk, desk: DeskPage) -> None:
    said = opened(desk)
    expect(said).to_be_empty()
    expect(said).not_to_have_attribute("data-state", re.compile(""))  # nobody has sent anything
    desk.get("command-selftest").click()
    expect(said).to_have_attribute("data-state", "waiting")
    expect(said).to_contain_text("Self-test")
    server.happens("park-01", "result", result("c-99"))  # the control: an answer to something else
    server.happens("park-01", "result", {**result("c-99"), "id": None})
    expect(desk.get("events").locator("li")).to_have_count(3)
    expect(said).to_have_attribute("data-state", "waiting")
    answer = {"flash": "ok", "faults": ["tamper"], "heap_free": 2048, "button": "stuck", "open": [], "lamp": "ok"}
    server.happens("park-01", "result", result("c-1", detail=answer))
    expect(said).to_have_attribute("data-state", "ok")
    expect(said).to_contain_text("the column has carried it out")
    expect(desk.get("events")).to_contain_text(  # in the reader's words: red where an answer is shown as it came
        "Memory of calls: in order · Faults: The column's housing is open. · Memory free: 2 KB · "
        "Button: The button has been down for too long: it may be stuck. · Open calls: none · lamp: ok"
    )
    desk.get("command-drill").click()
    expect(said).to_have_attribute("data-state", "waiting")
    server.happens("park-01", "result", result("c-2", "refused: a drill is under way"))
    expect(said).to_have_attribute("data-state", "refused")
    expect(said).to_contain_text("Test call")
    expect(said).to_contain_text("the column refused: refused: a drill is under way")


def test_the_first_answer_counts(server: FakeDesk, desk: DeskPage) -> None:
    """The broker may deliver a command twice: the column has done it, and refuses to do it again."""
    server.happens("park-01", "command", {"id": "c-1", "cmd": "identify", "by": "operator 4"})
    server.happens("park-01", "result", result("c-1"))
    server.happens("park-01", "result", result("c-1", "repeated command"))
    expect(opened(desk)).to_have_attribute("data-state", "ok")


def half_a_minute_passes(server: FakeDesk) -> None:
    """The page goes by the server's clock."""
    server.say({"kind": "desk", "broker": True, "now_ms": now_ms() + COMMAND_VALID_MS})


def test_no_answer_is_told_after_thirty_seconds_and_a_late_one_still_counts(server: FakeDesk, desk: DeskPage) -> None:
    later_ms = now_ms() + COMMAND_VALID_MS
    server.happens("park-02", "command", {"id": "c-9", "cmd": "report", "by": ""}, at_ms=later_ms)
    said = opened(desk)
    desk.get("command-report").click()
    expect(said).to_have_attribute("data-state", "waiting")
    half_a_minute_passes(server)
    expect(said).to_have_attribute("data-state", "silent")  # by the time alone: the column says nothing
    expect(said).to_contain_text("no answer from the column within 30 s")
    opened(desk, "park-02")
    expect(said).to_have_attribute("data-state", "waiting")  # the control: sent at the end of that half minute
    opened(desk)
    expect(said).to_have_attribute("data-state", "silent")
    server.happens("park-01", "result", result("c-1"))
    expect(said).to_have_attribute("data-state", "ok")


def test_a_page_that_cannot_read_does_not_say_that_the_column_is_silent(
    server: FakeDesk, desk: DeskPage, visitor: Visitor
) -> None:
    visitor.may_say = NO_EVENTS
    said = opened(desk)
    desk.get("command-report").click()
    expect(said).to_have_attribute("data-state", "waiting")
    desk.page.route("**/api/columns/*/events?*", lambda route: route.fulfill(status=500, json={"error": "disk"}))
    half_a_minute_passes(server)
    for _ in range(2):
        with desk.page.expect_response("**/api/columns/park-01/events?*"):
            pass
    expect(desk.get("column-panel")).to_contain_text("could not be read")
    expect(said).to_have_attribute("data-state", "waiting")
    desk.page.unroute("**/api/columns/*/events?*")
    expect(said).to_have_attribute("data-state", "silent")  # the control
    expect(desk.get("column-panel")).not_to_contain_text("could not be read")


# -- what happened


def test_the_latest_ten_events_are_told_in_words(server: FakeDesk, desk: DeskPage) -> None:
    at_ms = 1767607200000  # 2026-01-05 10:00:00 UTC
    server.happens("park-01", "link-lost", "the oldest", at_ms - 60_000)
    for number in range(5):
        server.happens("park-01", "x-new-thing", f"number {number}", at_ms)
    server.happens("park-01", "boot", {"number": 18, "cause": "watchdog"}, at_ms + 1000)
    server.happens("park-01", "command", {"id": "c-1", "cmd": "identify", "by": "operator 4"}, at_ms + 2000)
    server.happens("park-01", "result", result("c-1"), at_ms + 3000)
    server.happens("park-01", "result", result("c-7", "expired"), at_ms + 4000)
    opened(desk)
    rows = desk.get("events").locator("li")
    expect(rows).to_have_count(10)
    expect(rows.nth(0)).to_contain_text("Answer: Command: refused")  # to a command of another desk
    expect(rows.nth(0)).to_contain_text("expired")
    expect(rows.nth(1)).to_contain_text("Answer: Flash its lamp: carried out")
    expect(rows.nth(2)).to_contain_text("Command: Flash its lamp, by operator 4")
    expect(rows.nth(3)).to_contain_text("2026-01-05 10:00:01")
    expect(rows.nth(3)).to_contain_text("The column started")
    expect(rows.nth(3)).to_contain_text("number: 18 · cause: watchdog")
    expect(rows.nth(4)).to_contain_text("x-new-thing")
    expect(rows.nth(9)).to_contain_text("The connection was lost")
    server.happens("park-01", "call-ended")
    expect(rows.nth(0)).to_contain_text("The intercom's call ended")
    expect(rows).to_have_count(10)
    expect(desk.get("events")).not_to_contain_text("the oldest")
    desk.get("language").select_option("ru")
    expect(rows.nth(0)).to_contain_text("Переговоры завершены")
    desk.get("language").select_option("kk")
    expect(rows.nth(0)).to_contain_text("Сөйлесу аяқталды")


def test_other_columns_change_nothing_here(server: FakeDesk, desk: DeskPage) -> None:
    opened(desk)
    expect(desk.get("column-panel")).to_contain_text("Nothing has happened yet.")
    asked = len([path for path in server.gets if "/events?" in path])
    server.happens("park-02", "boot")
    server.put(column("park-02", address="Moved"))
    expect(desk.get("column-park-02")).to_contain_text("Moved")
    assert len([path for path in server.gets if "/events?" in path]) == asked
    assert desk.get("events").locator("li").count() == 0
    server.happens("park-01", "boot")  # the control
    expect(desk.get("events").locator("li")).to_have_count(1)


def test_what_a_column_answers_is_text(server: FakeDesk, desk: DeskPage) -> None:
    opened(desk)
    desk.get("command-identify").click()
    server.happens("park-01", "toString", {HOSTILE: HOSTILE, "__proto__": [HOSTILE]})
    server.happens("park-01", HOSTILE, HOSTILE)
    server.happens("park-01", "result", {"id": {"id": HOSTILE}, "ok": HOSTILE, "error": {"toString": HOSTILE}})
    server.happens("park-01", "command", {"id": "c-1", "cmd": HOSTILE, "by": HOSTILE})
    server.happens("park-01", "result", result("c-1", HOSTILE, detail=HOSTILE))
    said = desk.get("command-result")
    expect(said).to_have_attribute("data-state", "refused")
    expect(said).to_contain_text(MARKUP)
    expect(desk.get("events").locator("li")).to_have_count(6)
    text = desk.get("column-panel").inner_text()
    assert "\u202e" not in text and "\u0000" not in text and "W" * 301 not in text
    assert desk.page.locator("img").count() == 0
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= 1280


# -- with the real desk


@pytest.fixture
def rig(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[DeskRig]:
    rig = DeskRig(tmp_path / "desk", mosquitto)
    yield rig
    rig.close()


@pytest.fixture
def speaker(mosquitto: Mosquitto) -> Iterator[Speaker]:
    speaker = Speaker(mosquitto)
    yield speaker
    speaker.close()


def test_a_columns_own_answer_gets_to_the_page(rig: DeskRig, speaker: Speaker, visitor: Visitor) -> None:
    device_id = "events-01"
    speaker.say("info", device_id)
    wait_for(lambda: rig.get(f"/api/columns/{device_id}/events").status == 200, "the column at the desk")
    desk = visitor.desk(rig.page)
    said = opened(desk, device_id)
    desk.get("command-selftest").click()
    command_id = speaker.hears("cmd", cmd="selftest")["id"]
    expect(said).to_have_attribute("data-state", "waiting")
    topic = f"sos/v1/nko/{device_id}"
    for event, detail in (
        ("result", {"id": command_id, "ok": True, "error": None}),
        ("command", {"id": "c-0", "cmd": "restart", "by": "operator 4"}),
    ):  # the control: a column's own events under the names of the desk's
        speaker.publish(f"{topic}/event", packed({"v": 1, "event": event, "at": None, "detail": detail}))
        expect(desk.get("events").locator("li").first).to_contain_text(f"event-{event}")
    expect(said).to_have_attribute("data-state", "waiting")
    expect(said).to_contain_text("Self-test")
    speaker.say("result", device_id, id=command_id, ok=False, error=f"refused: {MARKUP}")
    expect(said).to_have_attribute("data-state", "refused")
    expect(said).to_contain_text(MARKUP)
    desk.get("command-identify").click()
    speaker.say("result", device_id, id=speaker.hears("cmd", cmd="identify")["id"])
    expect(said).to_have_attribute("data-state", "ok")
    expect(desk.get("events").locator("li").first).to_contain_text("Answer: Flash its lamp: carried out")


# -- a technician's code


def test_a_code_is_made_for_what_a_technician_reads_out(server: FakeDesk, desk: DeskPage, visitor: Visitor) -> None:
    """By the keyboard alone; what was typed stays when the column is heard meanwhile. An auditor finds it disabled."""
    opened(desk)
    desk.get("code").locator("summary").press("Enter")
    desk.get("code-challenge").fill("16777300-1")
    server.put(column("park-01"))
    desk.get("code-challenge").press("Enter")
    expect(desk.get("code-said")).to_have_text("Code for 16777300-1: 01234567")
    assert server.posts == [("columns/park-01/code", {"challenge": "16777300-1"})]
    visitor.may_say = re.compile("status of 409")
    server.refuse = {"error": "no key", "code": "code-keyless", "values": {}}
    desk.get("code-make").click()
    expect(desk.get("code-said")).to_have_text("This desk has no key of that column.")
    server.me["role"] = "auditor"
    desk.page.reload()
    opened(desk)
    desk.get("code").locator("summary").click()
    expect(desk.get("code-make")).to_be_disabled()
