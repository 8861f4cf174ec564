"""Nobody listens in: outside an open call a look needs a reason, and every opening and closing is written down."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from desk_rig import Answer, DeskRig, Speaker, wait_for

from common.spreadsheet import BOM
from desk import export, openings
from desk.batch import Change
from desk.openings import CALL_CLOSED, DESK_STOPPED, GONE, Opening, Openings
from desk.register import Register
from desk.web import watching
from desk.web.player import Answer as Playing
from sim.servers.broker import Mosquitto

DEVICE, REASON = "petropavl-01", "Өтініш бойынша: дыбысты тексеру"
LOOK = Opening(DEVICE, "petropavl-01-17-3", "rtsp", "A. Ivanova")
OFFER = b"v=0\r\n"


# -- the list


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with Register(tmp_path / "desk" / "register.sqlite") as opened:
        yield opened


def test_an_opening_and_its_end_are_in_the_list_and_in_the_timeline(register: Register) -> None:
    clock, told = itertools.count(1000, 500), list[Change]()
    kept = Openings(register, told.append, lambda: next(clock))
    kept.end(kept.begin(LOOK._replace(reason=REASON)), CALL_CLOSED)
    kept.end(1, GONE)  # the first who says so says how
    (row,) = kept.listed()
    assert (row["at_ms"], row["ended_ms"], row["ended"], row["by"]) == (1000, 1500, CALL_CLOSED, "A. Ivanova")
    assert (row["reason"], row["way"], row["device_id"]) == (REASON, "rtsp", DEVICE)
    entries = register.ask('SELECT at_ms, kind, "by", detail FROM entry ORDER BY n')
    assert [(one["at_ms"], one["kind"], one["by"]) for one in entries] == [
        (1000, "opened", "A. Ivanova"), (1500, "shut", "A. Ivanova"),
    ]  # fmt: skip
    assert REASON in entries[0]["detail"] and '"ms":500' in entries[1]["detail"]
    assert told == [Change("incident", LOOK.incident_id)] * 2


def test_two_in_one_moment_are_two_lines(register: Register) -> None:
    """Breaks without the look for a taken millisecond in `_enter`: an entry is unique."""
    kept = Openings(register, now_ms=lambda: 1000)
    for number in [kept.begin(LOOK) for _ in range(2)]:
        kept.end(number, GONE)
    assert len(register.ask("SELECT * FROM entry")) == 4


def test_what_was_open_when_the_desk_was_killed_is_ended_by_the_next_start(register: Register) -> None:
    """Breaks without `recover`: it would be open for ever."""
    kept = Openings(register, now_ms=lambda: 1000)
    for _ in range(2):
        kept.begin(LOOK)
    kept.end(2, GONE)
    register.put_alive(61_000)
    register.close()
    with Register(register.path) as again:
        kept = Openings(again, now_ms=lambda: 99_000)
        kept.recover()
        assert [(one["n"], one["ended_ms"], one["ended"]) for one in kept.listed()] == [
            (2, 1000, GONE), (1, 61_000, DESK_STOPPED),
        ]  # fmt: skip


def test_what_was_left_open_is_ended_as_soon_as_there_is_room_and_nothing_else(register: Register) -> None:
    """A desk that begins on a full disk opens pictures before it can end what the one before had left."""
    kept = Openings(register, now_ms=lambda: 99_000)
    before = kept.begin(LOOK)
    register.put_alive(100_000)
    left = kept.left()
    now = kept.begin(LOOK)
    register.put_alive(200_000)
    kept.recover(left)
    assert {one["n"]: one["ended_ms"] for one in kept.listed()} == {before: 100_000, now: None}


def test_the_list_is_bounded_and_what_is_open_stays(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openings, "OPENINGS_MAX", 3)
    kept = Openings(register)
    kept.begin(LOOK)
    for _ in range(6):
        kept.end(kept.begin(LOOK), GONE)
    assert [one["n"] for one in kept.listed()] == [7, 6, 5, 1]


def test_the_filters_of_the_list(register: Register) -> None:
    clock = itertools.count(1000, 1000)
    kept = Openings(register, now_ms=lambda: next(clock))
    for device_id in ("a", "b"):
        kept.end(kept.begin(LOOK._replace(device_id=device_id)), GONE)  # 1000 to 2000, 3000 to 4000
    assert [one["device_id"] for one in kept.listed()] == ["b", "a"]
    assert [one["device_id"] for one in kept.listed(device_id="a")] == ["a"]
    assert [one["device_id"] for one in kept.listed(from_ms=2001)] == ["b"]
    assert [one["device_id"] for one in kept.listed(to_ms=3000)] == ["a"]
    assert [one["device_id"] for one in kept.listed(limit=1)] == ["b"]


# -- the requests


class Stage:
    """A desk whose cameras all answer, and a call as a test wants it."""

    def __init__(self, folder: Path, broker: Mosquitto | None = None, *arguments: str) -> None:
        self.rig = DeskRig(folder, broker, *arguments)
        self.state: dict[str, str] = {}
        self.hung_up: list[str] = []
        self.ended: set[str] = set()
        names = (f"look-{number}" for number in itertools.count(1))
        player = self.rig.server.player

        async def call(*_: Any) -> Playing:
            return Playing(next(names), OFFER, "webrtc")

        async def hang_up(name: str) -> bool:
            self.hung_up.append(name)
            return True

        async def state(name: str) -> dict[str, Any]:
            return {"way": "webrtc", "state": "ended" if name in self.ended else None}

        player.call, player.hang_up, player.state = call, hang_up, state  # type: ignore[method-assign,assignment]
        self.rig.server.desk.incident = self._incident  # type: ignore[method-assign]

    def _incident(self, incident_id: str) -> dict[str, Any]:
        state = self.state.get(incident_id, "received")
        status = "test" if "drill" in incident_id else "actual"
        return {"id": incident_id, "device_id": DEVICE, "status": status, "state": state, "stream": {"webrtc": "x"}}

    def closes(self, incident_id: str) -> None:
        self.state[incident_id] = "closed"
        self.rig.server.notify(Change("incident", incident_id))

    def look(self, incident_id: str, reason: str | None = None) -> Answer:
        headers = {"Origin": self.rig.origin, "Content-Type": "application/sdp"}
        headers |= {} if reason is None else {"Reason": quote(reason)}
        return self.rig.ask("POST", f"/api/incidents/{incident_id}/whep", OFFER, headers)

    def hangs_up(self, answer: Answer) -> None:
        """That look."""
        ended = self.rig.ask("DELETE", answer.headers["Location"], headers={"Origin": self.rig.origin})
        assert ended.status == 204

    def listed(self) -> list[dict[str, Any]]:
        return list(self.rig.get("/api/openings").json)

    def last(self, **wanted: Any) -> dict[str, Any]:
        """The newest opening, once it is like that."""
        return wait_for(lambda: (one := self.listed()[0]) if wanted.items() <= self.listed()[0].items() else None, "it")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("openings") / "desk")
    yield made
    made.rig.close()


def test_a_look_within_a_call_needs_no_reason_and_ends_with_it(stage: Stage) -> None:
    """Breaks without Watching.changed: whoever keeps the connection would go on listening to a place."""
    answer = stage.look("a-1-1")
    assert answer.status == 201
    opened = stage.last(ended_ms=None)
    assert (opened["incident_id"], opened["by"], opened["reason"]) == ("a-1-1", "operator", "")
    stage.rig.server.notify(Change("incident", "a-1-1"))  # the control: it changes, and is not closed
    stage.closes("a-1-1")
    assert stage.last(incident_id="a-1-1", ended=CALL_CLOSED)["ended_ms"]
    name = answer.headers["Location"].rpartition("/")[2]
    wait_for(lambda: stage.hung_up.count(name) == 1, "the end at the camera")


@pytest.mark.parametrize("incident_id", ["closed-1-1", "drill-1-1"])
def test_a_look_outside_a_call_needs_a_reason(stage: Stage, incident_id: str) -> None:
    """Breaks without `_reason`."""
    stage.state["closed-1-1"] = "closed"
    before = len(stage.listed())
    for reason in (None, "", "  x  ", "a\x00bc"):
        answer = stage.look(incident_id, reason)
        assert answer.status in (400, 403), reason
    assert stage.look(incident_id).json["code"] == "reason"
    assert stage.look(incident_id, "x" * 201).status == 400
    assert len(stage.listed()) == before, "nothing was opened"
    answer = stage.look(incident_id, REASON)
    assert answer.status == 201
    assert stage.last(incident_id=incident_id)["reason"] == REASON
    stage.rig.server.notify(Change("incident", incident_id))
    assert stage.rig.get(answer.headers["Location"]).json["state"] is None
    assert stage.last(incident_id=incident_id)["ended_ms"] is None  # the call's state does not end this one
    stage.hangs_up(answer)
    assert stage.last(incident_id=incident_id, ended="asked")


def test_a_call_that_is_closed_in_that_very_moment(stage: Stage) -> None:
    """Breaks without the second look in `_open`: the change came before the look was known."""
    states = iter(["received", "closed"])
    stage.state["race-1-1"] = "received"
    incident = stage.rig.server.desk.incident
    stage.rig.server.desk.incident = lambda incident_id: {**incident(incident_id), "state": next(states)}  # type: ignore[method-assign]
    try:
        answer = stage.look("race-1-1")
    finally:
        stage.rig.server.desk.incident = incident  # type: ignore[method-assign]
    assert (answer.status, answer.json["code"]) == (409, "call-over")
    assert stage.last(incident_id="race-1-1", ended=CALL_CLOSED)


def test_a_page_that_is_gone_ends_its_look(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Breaks without the lease: of a camera that answers by itself the desk hears no end."""
    monkeypatch.setattr(watching, "LOOK_S", 0.02)
    live, gone = stage.look("b-1-1"), stage.look("b-1-2")

    async def age() -> None:
        look = stage.rig.server.watching
        look._looks[gone.headers["Location"].rpartition("/")[2]].asked_s -= watching.LEASE_S + 1
        look._do(look._look_after_pages())

    stage.rig.run(age())
    wait_for(lambda: [one["ended"] for one in stage.listed()[:2]] == [GONE, ""], "the one that is gone, it alone")
    stage.ended.add(live.headers["Location"].rpartition("/")[2])  # the desk's own part says so
    assert stage.rig.get(live.headers["Location"]).json["state"] == "ended"
    assert [one["ended"] for one in stage.listed()[:2]] == [GONE, GONE]


def test_a_picture_ends_with_its_call_though_the_register_could_not_be_read_then(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And though another part of that look fails. Red where the change is looked at once: the officer would go on
    seeing and hearing a place whose call is over; and where an error there ends the looking for good."""
    answer, desk = stage.look("locked-1-1"), stage.rig.server.desk
    real, refused = desk.incident, list[str]()

    def incident(incident_id: str) -> dict[str, Any]:
        if incident_id == "locked-1-1" and not refused:
            refused.append(incident_id)
            raise sqlite3.OperationalError("database is locked")
        return real(incident_id)

    async def fails() -> None:
        raise RuntimeError("nobody thought of that")

    monkeypatch.setattr(desk, "incident", incident)
    stage.closes("locked-1-1")
    wait_for(lambda: refused, "that it could not be read")
    monkeypatch.setattr(watching, "LOOK_S", 0.02)
    pages = stage.rig.server.watching
    monkeypatch.setattr(pages, "_sign", fails)
    stage.rig.run(started(pages))
    assert stage.last(incident_id="locked-1-1", ended=CALL_CLOSED)
    name = answer.headers["Location"].rpartition("/")[2]
    wait_for(lambda: stage.hung_up.count(name) == 1, "the end at the camera")
    for incident_id in ("locked-2-1", "locked-3-1", "locked-4-1"):  # after such an error, and another
        assert stage.look(incident_id).status == 201
        stage.state[incident_id] = "closed"  # and nobody tells
        assert stage.last(incident_id=incident_id, ended=CALL_CLOSED)


async def started(pages: watching.Watching) -> None:
    pages._do(pages._look_after_pages())


def test_an_end_that_the_gateway_reports(stage: Stage) -> None:
    answer = stage.look("c-1-1")

    async def report() -> None:
        stage.rig.server.player.gateway.on_ended(answer.headers["Location"].rpartition("/")[2])
        await asyncio.sleep(0)

    stage.rig.run(report())
    assert stage.last(incident_id="c-1-1", ended=GONE)


def test_a_full_disk_hides_nothing_of_a_call_and_all_else(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be recorded is opened only where somebody asks for help."""

    def full(*_: Any) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(stage.rig.server.openings, "begin", full)
    assert stage.look("d-1-1").status == 201
    hung_up = len(stage.hung_up)
    answer = stage.look("drill-2-1", REASON)
    assert answer.status == 503 and len(stage.hung_up) == hung_up + 1


def test_the_column_is_told_that_it_is_heard_and_that_it_no_longer_is(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for all who hear it, again and again, and of no look outside a call. Red where the first to go ends it."""
    said: list[tuple[str, int]] = []
    monkeypatch.setattr(stage.rig.server.desk.duty, "listens", lambda *word: said.append(word))
    pages = stage.rig.server.watching

    def told() -> list[int]:
        stage.rig.run(pages._sign())
        return [seconds for incident_id, seconds in said if incident_id == "sign-1-1"]

    first, second = stage.look("sign-1-1"), stage.look("sign-1-1")
    stage.look("drill-4-1", REASON)
    assert told() == [watching.SIGN_S]
    pages._signs["sign-1-1"] -= watching.SIGN_AGAIN_S
    assert told() == [watching.SIGN_S] * 2
    for page, expected in ((first, [watching.SIGN_S] * 2), (second, [watching.SIGN_S] * 2 + [0])):
        stage.hangs_up(page)
        assert told() == expected
    assert not any(incident_id.startswith("drill") for incident_id, _ in said)


def test_a_copy_is_asked_for_where_the_desk_records_and_the_voices_go_around_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And again when it has ended, and it ends with its look. Red where a copy outlives what it is a copy of."""
    pages, names = stage.rig.server.watching, (f"copy-{number}" for number in itertools.count(1))
    recorded: set[str] = set()
    monkeypatch.setattr(pages, "_is_recorded", recorded.__contains__)

    async def copy(device_id: str, offer: bytes, _: str) -> tuple[str, bytes]:
        assert (device_id, offer) == (DEVICE, OFFER)
        return next(names), OFFER

    monkeypatch.setattr(stage.rig.server.player.gateway, "copy", copy)
    answer, outside = stage.look("copy-1-1"), stage.look("drill-5-1", REASON)

    def wanted(page: Answer = answer) -> bool:
        return bool(stage.rig.get(page.headers["Location"]).json["copy"])

    def sent(page: Answer = answer) -> int:
        headers = {"Origin": stage.rig.origin, "Content-Type": "application/sdp"}
        return stage.rig.ask("POST", page.headers["Location"] + "/copy", OFFER, headers).status

    assert not wanted() and sent() == 409
    recorded |= {"copy-1-1", "drill-5-1"}
    assert wanted() and sent() == 201
    assert not wanted() and sent() == 409, "one is enough"
    assert not wanted(outside) and sent(outside) == 409, "nothing is recorded outside a call"
    stage.rig._loop.call_soon_threadsafe(pages._on_ended, "copy-1")
    wait_for(wanted, "the desk asks for another one")
    assert sent() == 201
    stage.rig._loop.call_soon_threadsafe(stage.rig.server.player.gateway.on_failed)
    wait_for(wanted, "another one of the gateway that comes after it")
    assert sent() == 201
    stage.closes("copy-1-1")
    wait_for(lambda: "copy-3" in stage.hung_up, "the end of the copy")


def test_how_loud_officers_are_is_the_columns_affair(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page of it is told, the next call's too; the gateway where the voice goes through it. Red where it
    is that of one officer's call."""
    told: list[tuple[str, int]] = []

    async def be_loud(name: str, db: int) -> None:
        told.append((name, db))

    monkeypatch.setattr(stage.rig.server.player.gateway, "be_loud", be_loud)
    first, second = stage.look("loud-1-1"), stage.look("loud-1-1")
    where = first.headers["Location"]
    assert stage.rig.get(where).json["loudness_db"] == 0
    for wrong in (5, 18, "6", None):
        assert stage.rig.post(where + "/loudness", {"db": wrong}).status == 400
    assert stage.rig.post(where + "/loudness", {"db": 6}).json == {"loudness_db": 6}
    assert stage.rig.post("/api/whep/nobody/loudness", {"db": 6}).status == 409
    assert stage.rig.get(second.headers["Location"]).json["loudness_db"] == 6 and told == [], "the browser does it"
    stage.rig.server.watching._looks[where.rpartition("/")[2]].is_around = False  # ... by SIP
    assert stage.rig.post(second.headers["Location"] + "/loudness", {"db": -12}).status == 200
    assert told == [(where.rpartition("/")[2], -12)]
    for page in (first, second):
        stage.hangs_up(page)
    again = stage.look("loud-2-1")
    assert stage.rig.get(again.headers["Location"]).json["loudness_db"] == -12
    assert stage.rig.post(again.headers["Location"] + "/loudness", {"db": 0}).status == 200
    stage.hangs_up(again)


@pytest.mark.mosquitto
def test_of_two_desks_the_one_that_still_listens_says_so_when_the_other_stops(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red without Watching._on_unheard: until its next sign, up to 15 s later, the column says that nobody listens."""
    monkeypatch.setattr(watching, "SIGN_AGAIN_S", 3600.0)  # the next sign never comes
    desks = [Stage(tmp_path / name, mosquitto, "--name", name) for name in ("desk-a", "desk-b")]
    street = Speaker(mosquitto)
    try:
        incident = street.press("sign-02")
        wait_for(lambda: all(desk.rig.server.desk.register.incident(incident) for desk in desks), "both know the call")

        def signs() -> int:
            """The next."""
            while True:
                _, said = street.heard.get(timeout=30)
                if "listening_s" in said:
                    return int(said["listening_s"])

        first, second = (desk.look(incident) for desk in desks)
        assert [signs(), signs()] == [watching.SIGN_S] * 2
        desks[0].hangs_up(first)
        assert [signs(), signs()] == [0, watching.SIGN_S]
        desks[1].hangs_up(second)
        assert signs() == 0
        desks[0].look(incident)
        assert signs() == watching.SIGN_S, "the control: the last to go left no sign behind"
    finally:
        street.close()
        for desk in desks:
            desk.rig.close()


def test_the_list_as_files(stage: Stage) -> None:
    stage.look("drill-3-1", "=1+1; формула")
    rows = export.read_csv(stage.rig.get("/api/openings.csv").body.decode())
    assert list(rows[0]) == list(export.OPENING_FIELDS)
    assert (rows[0]["reason"], rows[0]["closed"], rows[0]["incident_id"]) == ("=1+1; формула", "", "drill-3-1")
    raw = stage.rig.get("/api/openings.csv").body.decode().removeprefix(BOM)
    cells = next(itertools.islice(csv.DictReader(io.StringIO(raw), delimiter=";"), 0, None))
    assert cells["reason"].startswith("'="), "a spreadsheet would run it"
    document = stage.rig.get(f"/api/openings.json?device_id={DEVICE}").json
    assert document["openings"][0]["reason"] == "=1+1; формула" and document["desk"] == "desk-1"
    assert stage.rig.get("/api/openings?state=open").status == 400


def test_the_list_survives_a_restart_and_the_end_of_the_desk_is_in_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "desk")
    try:
        assert stage.look("drill-1-1", REASON).status == 201
    finally:
        stage.rig.close()
    again = DeskRig(tmp_path / "desk", None)
    try:
        (row,) = again.get("/api/openings").json
        assert (row["reason"], row["ended"]) == (REASON, DESK_STOPPED) and row["ended_ms"] >= row["at_ms"]
    finally:
        again.close()
