"""The desk's API over a real broker: what a column says the page gets, what an operator does the column gets."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk_rig import DeskRig, Speaker, wait_for

from desk import export
from desk.web import roles
from sim.servers.broker import Mosquitto

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def desk(broker: Mosquitto, tmp_path: Path) -> Iterator[DeskRig]:
    rig = DeskRig(tmp_path / "desk", broker)
    yield rig
    rig.close()


def pressed(speaker: Speaker, *arguments: Any, **changes: Any) -> str:
    """An alarm that has been answered, so that it stands in the register."""
    incident_id = speaker.press(*arguments, **changes)
    speaker.hears("ack", id=incident_id)
    return incident_id


def column(desk: DeskRig, device_id: str) -> dict[str, Any]:
    return next((each for each in desk.get("/api/columns").json if each["device_id"] == device_id), {})


# -- what the page is told


def test_the_page_and_what_it_needs_to_know(desk: DeskRig) -> None:
    page = desk.get("/")
    assert (page.status, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
    me = {"name": "operator", "role": "chief", "may": roles.allowed("chief"), "accounts": False, "second_factor": None}
    assert desk.get("/api/me").json == me
    config = desk.get("/api/config").json
    assert config["languages"] == ["en", "ru", "kk"] and config["tiles"] is None
    assert config["outcomes"] == ["administrative", "criminal", "help-given", "false", "other"]
    assert (config["name"], config["broker"], config["trouble"]) == ("desk-1", True, "")
    assert config["silence"]["wire_ms"] == 20_000 and config["silence"]["cellular_ms"] == 90_000


def test_scripts_are_served_as_scripts(desk: DeskRig) -> None:
    """Else `nosniff` keeps a browser from running them."""
    answer = desk.get("/static/js/main.js")
    kind = answer.headers["Content-Type"].partition(";")[0]
    assert answer.status == 200 and kind in ("text/javascript", "application/javascript")


def test_an_incident_has_all_that_the_alarm_said(desk: DeskRig, speaker: Speaker) -> None:
    incident_id = pressed(speaker)
    (found,) = desk.get("/api/incidents").json
    assert (found["id"], found["state"], found["status"], found["press"]) == (incident_id, "received", "actual", 1)
    assert found["location"]["lat"] == 54.8753 and found["location"]["lon"] == 69.1628
    assert found["location"]["address"].startswith("Петропавл") and found["location"]["site"] == "public"
    assert found["stream"]["webrtc"] == "https://cameras.example/petropavl-01/whep"
    assert found["raised_ms"] == 1_795_340_467_250 and found["age_ms"] == 61 and found["late"] is False
    legs = found["legs"]
    assert legs["contact_to_sent_ms"] == 61
    assert legs["sent_to_desk_ms"] == found["received_ms"] - found["raised_ms"] - 61
    assert legs["desk_to_register_ms"] >= 0
    alone = desk.get(f"/api/incidents/{incident_id}").json
    assert {key: alone[key] for key in found} == {**found, "legs": alone["legs"]}
    assert alone["timeline"][0]["kind"] == "press"
    assert "timeline" not in found


def test_a_column_without_a_clock_says_so_and_no_leg_is_invented(desk: DeskRig, speaker: Speaker) -> None:
    incident_id = pressed(speaker, raised_at=None, clock="none", late=True, age_ms=94210)
    found = desk.get(f"/api/incidents/{incident_id}").json
    assert (found["raised_ms"], found["clock"], found["late"]) == (None, "none", True)
    assert found["legs"]["sent_to_desk_ms"] is None and found["legs"]["contact_to_sent_ms"] == 94210


def test_a_column_is_what_it_last_said(desk: DeskRig, speaker: Speaker) -> None:
    for kind in ("state", "info", "heartbeat", "fault"):
        speaker.say(kind)
    found = wait_for(lambda: (each := column(desk, "petropavl-01")).get("faults") and each, "the column's fault")
    assert (found["online"], found["boot"], found["mode"], found["fw"]) == (True, 17, "normal", "0.1.0")
    assert (found["link"], found["rssi_dbm"], found["supply_mv"], found["clock"]) == ("wifi", -61, 12140, "ntp")
    assert found["geo"] == {"lat": 54.8753, "lon": 69.1628}
    assert [(fault["id"], fault["since"]) for fault in found["faults"]] == [("stream-down", "2026-11-22T09:12:00.000Z")]
    assert found["info"]["hw"]["chip"] == "esp32" and found["heartbeat"]["seq"] == 82
    wait_for(lambda: column(desk, "petropavl-01")["status"] == "fault", "the fault as its status")
    incident_id = pressed(speaker)
    with_alarm = column(desk, "petropavl-01")
    assert (with_alarm["status"], with_alarm["open"]) == ("alarm", [incident_id])


def test_a_drill_is_registered_and_no_columns_alarm(desk: DeskRig, speaker: Speaker) -> None:
    pressed(speaker, "petropavl-07", status="test")
    found = column(desk, "petropavl-07")
    assert found["open"] == [] and found["status"] != "alarm"
    assert [each["status"] for each in desk.get("/api/incidents?status=drill").json] == ["test"]
    assert desk.get("/api/incidents?status=actual").json == []


def test_a_last_will_shows(desk: DeskRig, speaker: Speaker) -> None:
    speaker.say("state")
    wait_for(lambda: column(desk, "petropavl-01").get("status") == "ready", "the column is there")
    speaker.say("state", state="offline", at=None)
    found = wait_for(lambda: (each := column(desk, "petropavl-01"))["status"] == "offline" and each, "it is gone")
    assert found["online"] is False and found["silent_since_ms"] > 0


# -- what an operator does


def test_from_the_press_to_the_register(desk: DeskRig, speaker: Speaker) -> None:
    incident_id = pressed(speaker)
    one = f"/api/incidents/{incident_id}"
    accepted = desk.post(one + "/accept", {"by": "оператор 4"})
    assert (accepted.status, accepted.json["state"], accepted.json["by"]) == (200, "accepted", "оператор 4")
    assert speaker.hears("ack", state="accepted")["by"] == "оператор 4"
    assert desk.post(one + "/dispatch").json["by"] == "operator"
    speaker.hears("ack", state="dispatched")
    assert desk.post(one + "/note", {"text": "двое, один ранен\nскорая"}).status == 200
    closed = desk.post(one + "/close", {"outcome": "criminal", "note": "ЕРДР"}).json
    assert (closed["state"], closed["outcome"], closed["note"]) == ("closed", "criminal", "ЕРДР")
    assert speaker.hears("ack", state="closed")["outcome"] == "criminal"
    kinds = [entry["kind"] for entry in desk.get(one).json["timeline"]]
    assert [kind for kind in kinds if kind != "received"] == ["press", "accepted", "dispatched", "note", "closed"]
    assert all(closed[name] for name in ("received_ms", "accepted_ms", "dispatched_ms", "closed_ms"))
    statistics = desk.get("/api/statistics").json
    assert statistics["by_outcome"] == {"criminal": 1} and statistics["press_to_accept_ms"]["n"] == 1
    assert [row["device_id"] for row in statistics["availability"]] == ["petropavl-01"]


def test_what_cannot_be_is_refused_with_the_reason(desk: DeskRig, speaker: Speaker) -> None:
    incident_id = pressed(speaker)
    one = f"/api/incidents/{incident_id}"
    desk.post(one + "/dispatch")
    back = desk.post(one + "/accept")
    assert back.status == 409 and "dispatched" in back.error
    assert (back.json["code"], back.json["values"]) == ("state-passed", {"state": "dispatched"})
    for body in ({}, {"outcome": "won"}, {"outcome": 7}, {"outcome": "false", "note": "x" * 2001}):
        assert desk.post(one + "/close", body).status == 400
    assert desk.get(one).json["state"] == "dispatched"
    assert desk.post("/api/incidents/petropavl-01-17-999/accept").status == 404
    assert desk.post("/api/incidents/..%2f..%2fetc/accept").status == 404
    assert desk.get("/api/nothing").error and desk.get("/api/nothing").status == 404


def test_a_second_press_of_a_closed_incident_opens_it_again(desk: DeskRig, speaker: Speaker) -> None:
    incident_id = pressed(speaker)
    one = f"/api/incidents/{incident_id}"
    desk.post(one + "/close", {"outcome": "other"})
    with desk.watch() as feed:
        speaker.press(press=2)
        again = feed.incident(incident_id, press=2)
    assert again["reopened"] == 1 and again["state"] in ("new", "received") and again["outcome"] == ""


def test_commands_reach_the_column(desk: DeskRig, speaker: Speaker) -> None:
    assert desk.post("/api/columns/petropavl-01/command", {"cmd": "report"}).status == 409  # never heard of
    speaker.say("state")
    wait_for(lambda: column(desk, "petropavl-01"), "the column")
    answer = desk.post("/api/columns/petropavl-01/command", {"cmd": "identify"})
    assert answer.status == 202
    assert speaker.hears("cmd", cmd="identify")["id"] == answer.json["id"]
    speaker.say("result", id=answer.json["id"])

    def events() -> list[dict[str, Any]]:
        return list(desk.get("/api/columns/petropavl-01/events").json)

    wait_for(lambda: len(events()) >= 2, "the command and its result among the column's events")
    assert {each["detail"]["id"] for each in events() if each["event"] in ("command", "result")} == {answer.json["id"]}
    for document in ({"cmd": "explode"}, {}, {"cmd": ["restart"]}):
        assert desk.post("/api/columns/petropavl-01/command", document).status == 400
    assert desk.post("/api/columns/PETROPAVL/command", {"cmd": "report"}).status == 404


def test_a_column_cannot_say_what_an_officer_did(desk: DeskRig, speaker: Speaker) -> None:
    """Its events go by the names that it gives them, but for those of the desk's own."""
    for event in ("command", "result", "boot"):
        speaker.say("event", event=event, detail={"id": "c-1", "cmd": "restart", "by": "operator 4", "ok": True})
    wait_for(lambda: column(desk, "petropavl-01"), "the column")
    wanted = ["boot", "event-result", "event-command"]  # newest first; the last one is the control

    def events() -> list[str]:
        return [each["event"] for each in desk.get("/api/columns/petropavl-01/events").json]

    wait_for(lambda: len(events()) >= len(wanted), "the column's events")
    assert events() == wanted


# -- filters and files


def test_filters(desk: DeskRig, speaker: Speaker) -> None:
    first = pressed(speaker, "col-a")
    pressed(speaker, "col-b", location={**_location(), "site": "school"})
    pressed(speaker, "col-c", status="test")
    desk.post(f"/api/incidents/{first}/close", {"outcome": "false"})

    def devices(query: str) -> list[str]:
        return [each["device_id"] for each in desk.get("/api/incidents" + query).json]

    assert devices("") == devices("?state=all") == ["col-c", "col-b", "col-a"]  # newest first
    assert devices("?state=open") == ["col-b", "col-c"] and devices("?state=closed") == ["col-a"]
    assert devices("?status=actual&state=open") == ["col-b"] and devices("?status=drill") == ["col-c"]
    assert devices("?site=school") == ["col-b"] and devices("?outcome=false") == ["col-a"]
    assert devices("?device_id=col-a") == ["col-a"] and devices("?limit=1") == ["col-c"]
    received_ms = desk.get(f"/api/incidents/{first}").json["received_ms"]
    assert devices(f"?to_ms={received_ms}") == [] and "col-a" in devices(f"?from_ms={received_ms}")
    wrong = ("state=lost", "limit=-1", "limit=5001", "from_ms=1e9", "device_id=A%20B", "nonsense=1", "limit=1&limit=2")
    for query in wrong:
        assert desk.get(f"/api/incidents?{query}").status == 400, query


def test_no_drill_and_no_limit_hides_an_open_call(desk: DeskRig, speaker: Speaker) -> None:
    pressed(speaker, "col-a")
    pressed(speaker, "col-b")
    for number in range(3):
        pressed(speaker, "col-c", number, status="test")
    found = [each["device_id"] for each in desk.get("/api/incidents?state=open&limit=1").json]
    assert found == ["col-b", "col-a", "col-c"]


def _location() -> dict[str, Any]:
    return {"geo": "geo:54.87,69.16", "address": "Школа 5", "site": "public", "height_m": 1.0}


def test_what_is_exported_is_what_is_registered(desk: DeskRig, speaker: Speaker) -> None:
    first = pressed(speaker, "col-a", location={**_location(), "address": '=HYPERLINK("http://evil.example")'})
    pressed(speaker, "col-b")
    desk.post(f"/api/incidents/{first}/close", {"outcome": "false", "misuse": "prank", "note": '+7 701 000; "да"\nнет'})
    answer = desk.get("/api/export.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="incidents-')
    text = answer.body.decode("utf-8")
    rows = {row["device_id"]: row for row in export.read_csv(text)}
    assert rows["col-a"]["address"] == '=HYPERLINK("http://evil.example")'
    assert rows["col-a"]["note"] == '+7 701 000; "да"\nнет'
    cells = [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=";") for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    document = json.loads(desk.get("/api/export.json").body)
    assert document["desk"] == "desk-1" and document["exported_ms"] > 0
    for exported, listed in zip(document["incidents"], desk.get("/api/incidents").json, strict=True):
        assert exported.pop("timeline")[0]["kind"] == "press" and exported == listed
    assert rows["col-a"]["misuse"] == "prank"
    for name in ("id", "state", "by", "outcome", "misuse", "note"):
        assert {row["device_id"]: row[name] for row in document["incidents"]} == {
            device: row[name] for device, row in rows.items()
        }
    assert [row["device_id"] for row in export.read_csv(desk.get("/api/export.csv?state=open").body.decode())] == [
        "col-b"
    ]


def test_too_much_for_one_file_is_refused_not_cut(
    desk: DeskRig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desk.web.report.EXPORT_MAX", 1)
    pressed(speaker, "col-a")
    assert desk.get("/api/export.csv").status == 200
    pressed(speaker, "col-b")
    assert desk.get("/api/export.csv").status == 413


# -- when things break


def test_a_desk_without_a_broker_says_so_and_still_shows_its_register(
    broker: Mosquitto, speaker: Speaker, tmp_path: Path
) -> None:
    folder = tmp_path / "desk"
    rig = DeskRig(folder, broker)
    incident_id = pressed(speaker)
    rig.close()
    alone = DeskRig(folder, None)
    try:
        config = alone.get("/api/config").json
        assert config["broker"] is False and config["trouble"]
        assert alone.get(f"/api/incidents/{incident_id}").json["state"] == "received"
        assert alone.post(f"/api/incidents/{incident_id}/accept").status == 200  # goes out when there is one
        assert alone.post("/api/columns/petropavl-01/command", {"cmd": "report"}).status == 409
    finally:
        alone.close()
    back = DeskRig(folder, broker)
    assert speaker.hears("ack", id=incident_id, state="accepted")
    back.close()


def test_what_the_register_did_not_take_did_not_happen(
    desk: DeskRig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id = pressed(speaker)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(desk.server.desk.duty, "accept", full)
        answer = desk.post(f"/api/incidents/{incident_id}/accept")
    assert answer.status == 503 and "disk is full" in answer.error
    assert (answer.json["code"], answer.json["values"]) == ("register-write", {"why": "disk"})
    assert desk.get(f"/api/incidents/{incident_id}").json["state"] == "received"


def test_a_register_that_cannot_be_read_says_why(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked() -> None:
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    monkeypatch.setattr(desk.server.desk, "columns", locked)
    answer = desk.get("/api/columns")
    assert (answer.status, answer.json["code"], answer.json["values"]) == (503, "register-read", {"why": "disk-locked"})


def test_a_failure_inside_tells_nothing_of_the_inside(desk: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("secret of /home/somebody")

    monkeypatch.setattr(desk.server.desk, "columns", fail)
    answer = desk.get("/api/columns")
    assert answer.status == 500 and "secret" not in answer.error
    assert answer.headers["Content-Security-Policy"]
