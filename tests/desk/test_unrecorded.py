"""A register that takes nothing stops no step of the ladder: what is done then is done once, said, entered later."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from duty_rig import Street as Columns
from duty_rig import until
from full_disk import PAGE_BYTES as PAGE_BYTES_OF_DISK
from full_disk import full_disk, make_room
from ladder_rig import Street, street
from pager import Pager, paging

from desk import evidence
from desk.ledger import LedgerError
from desk.page import PAGE_BYTES, Page
from desk.register import Reading
from desk.unrecorded import LOST, MARK, Unrecorded
from desk.web.api import Desk
from sim.demo.desk_process import DeskProcess
from sim.search.answering.room import Room
from sim.servers.broker import Mosquitto
from sim.virtual.timeline import US_PER_S

OFFICERS = ["duty", "chief"]
SECOND = "petropavl-02"


class Disk:
    """Of the first room. `dies`: at which point it is killed while the disk is full, whose place is then made."""

    def __init__(self, made: Street) -> None:
        self.made, self.is_full, self.dies = made, False, ""
        made.dies = self._at

    def _at(self, room: Room, point: str) -> bool:
        if room is not self.made.rooms[0] or not self.is_full:
            return False
        if point == self.dies:
            self.is_full, self.dies = False, ""  # whoever starts it again has made room
            return True
        if point == "before-commit":
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return False


@contextlib.contextmanager
def desks(folder: Path, *names: str) -> Iterator[tuple[Street, Disk]]:
    with street(folder, *(names or ("desk-1",))) as made:
        yield made, Disk(made)


def told(made: Street, incident_id: str) -> list[str]:
    return [one.tell for one in made.told if one.key.startswith(incident_id + "/")]


def row_of(made: Street, incident_id: str, room: int = 0) -> dict[str, Any]:
    with contextlib.closing(Reading(made.rooms[room].path)) as reading:
        found = reading.incident(incident_id)
    assert found is not None
    return found


def is_whole(made: Street, room: int = 0) -> bool:
    register = made.rooms[room].register
    assert register is not None
    return evidence.check(register._db, register.path) == []


def test_a_call_that_waits_climbs_on_while_the_disk_is_full(tmp_path: Path) -> None:
    """Red when the steps wait for the register, when the column is not told, when they are not entered afterwards or
    not said to be entered later, and when anything is done twice."""
    with desks(tmp_path) as (made, disk):
        call = made.press()
        made.run_s(5)
        disk.is_full = True
        made.run_s(100)
        assert told(made, call) == OFFICERS and made.timeline_of(call) == []
        assert [30 <= made.told[0].at_s - 1 <= 34, 60 <= made.told[1].at_s - 1 <= 64] == [True, True]
        assert made.acks[-1]["unanswered_s"] == 15
        duty = made.rooms[0].duty
        register = made.rooms[0].register
        assert duty is not None and register is not None and duty.why.code == "disk-full"
        assert Desk("desk-1", register, duty).incident(call)["unanswered_s"] == 15, "its own page rings louder, too"
        disk.is_full = False
        made.run_s(5)
        assert duty.why.code == "" and duty.unanswered_s(call) == 0
        assert made.timeline_of(call) == [
            ("step-sent", "desks"), *((kind, who) for who in OFFICERS for kind in ("step-begun", "step-sent")),
        ]  # fmt: skip
        steps = [one for one in row_of(made, call)["timeline"] if one["kind"].startswith("step-")]
        assert all(one["detail"][MARK] for one in steps) and is_whole(made)
        assert row_of(made, call)["unanswered_s"] == 15
        made.accept(call)
        made.run_s(300)
        assert told(made, call) == OFFICERS and row_of(made, call)["state"] == "accepted"


def test_a_call_that_comes_while_the_disk_is_full_is_not_answered_and_not_left_alone(tmp_path: Path) -> None:
    """Red when only calls of the register climb, when a column hears of a register that does not have its call, and
    when the call is not, in the end, entered as it came."""
    with desks(tmp_path) as (made, disk):
        disk.is_full = True
        call = made.press(SECOND)
        at_ms = made.rooms[0].now_ms
        made.run_s(100)
        assert told(made, call) == OFFICERS and made.acks == []
        disk.is_full = False
        made.run_s(5)
        found = row_of(made, call)
        assert [one["kind"] for one in found["timeline"]].count("press") == 1 and is_whole(made)
        assert 0 <= found["received_ms"] - at_ms < 1000 and found["state"] == "received"
        assert made.acks[-1]["unanswered_s"] == 15
        assert [kind for kind, _ in made.timeline_of(call)].count("step-sent") == 3
        made.run_s(300)
        assert told(made, call) == OFFICERS


@pytest.mark.parametrize("early", [True, False], ids=["entered", "not-entered"])
@pytest.mark.parametrize("point", ["before-telling", "after-telling", "before-told", "before-commit"])
def test_killed_while_the_disk_is_full(point: str, early: bool, tmp_path: Path) -> None:
    """At its next start the desk knows from its page what may have left. Red when the page is not read, or written only
    behind the telling."""
    with desks(tmp_path) as (made, disk):
        call = made.press() if early else ""
        made.run_s(2)
        disk.is_full = True
        call = call or made.press()
        made.run_s(25)
        disk.dies = point
        made.run_s(200)
        assert made.rooms[0].deaths == [point] and is_whole(made)
        for officer in OFFICERS:
            times = told(made, call).count(officer)
            assert times == 1 or (times > 1 and ("step-uncertain", officer) in made.said(call)), (made.told, officer)
        assert told(made, call).count("duty") == (2 if point in ("after-telling", "before-told") else 1)


def test_of_two_desks_one_has_no_room(tmp_path: Path) -> None:
    """They still agree who takes a step, of a call from before and of one that comes meanwhile, and a call that the
    other's operator has accepted is let alone. Red when a desk without room does not hear the other any more."""
    with desks(tmp_path, "desk-1", "desk-2") as (made, disk):
        first = made.press()
        made.run_s(5)
        disk.is_full = True
        second, third = made.press(SECOND), made.press("school-07-01")
        made.run_s(8)
        made.accept(third, room=1)
        made.run_s(150)
        assert sorted(told(made, first)) == sorted(told(made, second)) == sorted(OFFICERS)
        assert told(made, third) == []
        disk.is_full = False
        made.run_s(120)
        assert len(made.told) == 4 and is_whole(made) and is_whole(made, 1)
        heard = [made.timeline_of(one).count(("step-heard", "desks")) for one in (first, second, third)]
        assert max(heard) <= 2, heard  # without room, and as it is entered; not with each connection
        assert row_of(made, third)["state"] == "accepted"


def test_what_is_decided_of_a_call_that_cannot_be_entered_is_refused(tmp_path: Path) -> None:
    """It would be undone, and the ladder stood still meanwhile: it came back as accepted by somebody who had been told
    that nothing was done. Red without the refusal. Found by a year of the city."""
    with desks(tmp_path) as (made, disk):
        disk.is_full = True
        call = made.press()
        refused = []
        for _ in range(80):  # whenever it is tried: also before the next look begins anew from the register
            made.run_s(0.25)
            try:
                made.accept(call)
            except LedgerError as error:
                refused.append((error.code, error.values.get("why")))
        made.run_s(80)
        assert set(refused) == {("register-write", "disk-full")} and len(refused) == 80
        assert told(made, call) == OFFICERS
        disk.is_full = False
        made.run_s(5)
        assert row_of(made, call)["state"] == "received"


def test_neither_of_two_desks_has_room(tmp_path: Path) -> None:
    """A call that is in no register is nobody's answer, so neither hears that the other tells an officer of it: both
    do, and both say so when they can. One that both had already is told once. Red where a desk keeps quiet then."""
    with desks(tmp_path, "desk-1", "desk-2") as (made, _):
        first = made.press()
        made.run_s(5)
        for room in made.rooms:
            room.fill(150 * US_PER_S)
        second = made.press(SECOND)
        made.run_s(100)
        assert sorted(told(made, first)) == sorted(OFFICERS)
        assert sorted(told(made, second)) == sorted([*OFFICERS, *OFFICERS])
        assert not any(ack["id"] == second for ack in made.acks), "it is in no register"
        made.run_s(120)
        assert made.timeline_of(first).count(("step-sent", "duty")) == 1
        assert ("step-uncertain", "duty") not in made.said(first)
        for number in (0, 1):
            assert {("step-uncertain", officer) for officer in OFFICERS} <= set(made.timeline_of(second, number))
            assert is_whole(made, number) and row_of(made, second, number)["state"] == "received"


@pytest.mark.parametrize("lasts_s", [30, 200])
def test_begun_while_the_disk_is_full(lasts_s: int, tmp_path: Path) -> None:
    """It takes the steps of the calls that it has, and of those that come; what it had begun before it was killed is
    uncertain. Red where a start waits for room, where what the process before had begun is not looked at then, and
    where a column counts as heard for as long as nothing could be written."""
    with desks(tmp_path) as (made, disk):
        first = made.press()
        made.run_s(25)
        room = made.rooms[0]
        assert room.register is not None
        room.register.put_presence("petropavl-09", "up", room.now_ms)
        down_ms = room.now_ms + 20_000
        room._down_us = lambda: 20 * US_PER_S
        made.dies = lambda room, at: at == "after-telling" and not room.deaths
        made.run_s(10)
        assert room.deaths == ["after-telling"] and told(made, first) == ["duty"]
        room.fill(lasts_s * US_PER_S)
        second = made.press(SECOND)
        made.run_s(240)
        assert told(made, first) == ["duty", "duty", "chief"] and ("step-uncertain", "duty") in made.said(first)
        assert told(made, second) == OFFICERS and row_of(made, second)["state"] == "received"
        assert room.duty is not None and room.duty.why.code == "" and is_whole(made)
        (up,) = room.register.presence("petropavl-09")
        assert up["to_ms"] is not None and up["to_ms"] < down_ms


# -- negative controls: what breaks the promises above is noticed


@pytest.mark.parametrize(
    ("what", "how", "which"),
    [
        ("take", lambda self, *_: [], "waits"),
        ("all_steps", lambda self: [], "killed"),
        ("_note", lambda self: None, "killed"),
        ("debts", lambda self, *_: type(_[-1])(), "waits"),
    ],
    ids=["silent", "page-not-read", "page-not-written", "never-entered"],
)
def test_a_broken_one_is_noticed(
    what: str, how: Any, which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unrecorded, what, how)
    with pytest.raises(AssertionError):
        if which == "waits":
            test_a_call_that_waits_climbs_on_while_the_disk_is_full(tmp_path)
        else:
            test_killed_while_the_disk_is_full("after-telling", True, tmp_path)


# -- the page


def test_the_page_is_whole_or_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Red when half of one write beside half of another is read, or when the file grows."""
    page = Page(tmp_path / "page", LOST)
    assert page.read() == [] and page.path.stat().st_size == PAGE_BYTES and page.path.stat().st_mode & 0o777 == 0o600
    rows = [{"n": n, "text": "x" * 50} for n in range(PAGE_BYTES // 20)]
    page.write(rows)
    found = page.read()
    assert found and found == rows[-len(found) :] and page.path.stat().st_size == PAGE_BYTES
    page.write(rows[:2])
    assert Page(page.path, LOST).read() == rows[:2]
    torn = bytearray(page.path.read_bytes())
    torn[10] ^= 1
    page.path.write_bytes(torn)
    assert page.read() == [] and "damaged" in caplog.text
    page.path.unlink()
    page.path.mkdir()
    page.write(rows)
    page.write(rows)
    assert caplog.text.count("told again without notice") == 1, "said once"


# -- as it really is: a process, the kernel's refusal, a pager, kill -9

LADDER = """
[officer.duty]
how = "webhook"
url = "{url}"
[[ladder]]
steps = [{{after_s = 1, tell = "desks"}}, {{after_s = 2, tell = "duty"}}]
"""


@pytest.fixture
def pager() -> Iterator[Pager]:
    with paging() as made:
        yield made


def hears(url: str) -> bool:
    """Whether calls reach that desk."""
    with contextlib.suppress(OSError), urllib.request.urlopen(urljoin(url, "/healthz")) as answer:
        return bool(answer.status == 200)
    return False


@pytest.mark.mosquitto
def test_a_real_desk_without_room_pages_and_knows_it_after_a_kill(
    broker: Mosquitto, street: Columns, pager: Pager, tmp_path: Path
) -> None:
    path = tmp_path / "ladder.toml"
    path.write_text(LADDER.format(url=pager.url))
    path.chmod(0o600)
    desk = DeskProcess(tmp_path / "desk", broker.host, broker.port, arguments=["--ladder", str(path)])
    with desk:
        until(lambda: hears(desk.url), "connection to the broker")
        before = street.press()
        street.wait_for(before, "received")
        with full_disk(desk.pid):
            call = street.press(SECOND)
            until(lambda: len(pager.posts) == 2, "pages")
            assert street.states(call) == [], "it is in no register"
            desk.kill()
        desk.start()
        street.wait_for(call, "received")
        file = tmp_path / "desk" / "register.sqlite"

        def entered() -> bool:
            with contextlib.closing(Reading(file)) as reading:
                found = [reading.incident(one) or {"timeline": []} for one in (before, call)]
            return all(any(each["kind"] == "step-sent" for each in one["timeline"]) for one in found)

        until(entered, "steps in the register")
    assert {body["incident_id"] for _, _, body in pager.posts} == {before, call}
    assert all(body["repeated"] for _, _, body in pager.posts[2:]), "once more only where nobody could know"


def state_of(url: str) -> tuple[int, str]:
    """What whoever watches over the process is told."""
    try:
        with urllib.request.urlopen(urljoin(url, "/healthz")) as answer:
            return answer.status, json.load(answer)["why"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["why"]


def open_calls(url: str) -> list[str]:
    """As the page gets them, by the printed link."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    browser.open(url).close()
    with browser.open(urljoin(url, "/api/incidents?state=open")) as answer:
        return [one["id"] for one in json.load(answer)]


@pytest.mark.mosquitto
def test_a_real_desk_that_is_started_without_room_answers_for_the_calls(
    broker: Mosquitto, street: Columns, pager: Pager, tmp_path: Path
) -> None:
    """With what a kill leaves beside the register; after an orderly end: test_trouble.py. Red where a start needs a
    write, where SQLite shares its index in a file, and where the desk does not come back to itself as soon as there is
    room: it writes, and others may read."""
    path = tmp_path / "ladder.toml"
    path.write_text(LADDER.format(url=pager.url))
    path.chmod(0o600)
    desk = DeskProcess(tmp_path / "desk", broker.host, broker.port, arguments=["--ladder", str(path)])
    file = tmp_path / "desk" / "register.sqlite"
    with desk:
        until(lambda: hears(desk.url), "connection to the broker")
        before = street.press()
        street.wait_for(before, "received")
        desk.kill()
        file.with_name(file.name + ".unrecorded").unlink()  # the page is missing, too
        assert file.with_name(file.name + "-wal").exists()
        desk.longest_file = PAGE_BYTES_OF_DISK
        desk.start()
        until(lambda: state_of(desk.url) == (503, "disk-full"), "word of the full disk")
        call = street.press(SECOND)
        until(lambda: {body["incident_id"] for _, _, body in pager.posts} == {before, call}, "pages")
        assert street.states(call) == [], "it is in no register"
        until(lambda: set(open_calls(desk.url)) == {before, call}, "both calls on the page")
        make_room(desk.pid)
        street.wait_for(call, "received")
        until(lambda: state_of(desk.url) == (200, ""), "word of room")

        def is_shared() -> bool:
            with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(Reading(file)) as reading:
                return reading.incident(call) is not None
            return False

        until(is_shared, "a register that others may read")
    assert [body["incident_id"] for _, _, body in pager.posts].count(call) == 1
