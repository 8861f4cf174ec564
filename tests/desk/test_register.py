"""The register: durable, one desk's only, bounded, and the ledger comes back out of it as it was."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract_examples import example, packed
from duty_rig import ROOT, PureDesk, alarm_of, topic_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.ports import HOST, free_port
from desk import register as module
from desk.batch import Batch
from desk.duty import Duty
from desk.ledger import OUTCOMES, STATES, Ledger, LedgerError
from desk.register import Register, RegisterError

DEVICE = "petropavl-01"
INCIDENT = alarm_of()["id"]


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with Register(tmp_path / "desk" / "register.db") as opened:
        yield opened


def enter(register: Register, desk: PureDesk, kind: str, document: dict[str, Any], now_ms: int) -> None:
    """One message, the way the duty enters it."""
    batch = Batch()
    topic = topic_of(document.get("device_id", DEVICE), kind) + (f"/{document['id']}" if kind == "fault" else "")
    desk.intake.take(batch, topic, packed(document), retain=False, now_ms=now_ms)
    assert not batch.violations
    batch.write(register, desk.ledger, desk.silence, now_ms)


# The file


def test_every_commit_is_on_the_disk(register: Register) -> None:
    assert register._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert register._db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert register.path.stat().st_mode & 0o077 == 0 and register.path.parent.stat().st_mode & 0o077 == 0


def test_two_desks_do_not_share_a_register(register: Register) -> None:
    with pytest.raises(RegisterError, match=f"process {os.getpid()}.*folder of its own"):
        Register(register.path)
    code = f"from pathlib import Path; from desk.register import Register; Register(Path({str(register.path)!r}))"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "another desk" in other.stderr
    register.close()
    register.close()
    with Register(register.path) as again:  # the control: it is free now
        assert again.desk_id()


def test_a_desk_has_one_name_for_ever(register: Register, tmp_path: Path) -> None:
    name = register.desk_id()
    register.close()
    with Register(register.path) as again, Register(tmp_path / "other.db") as other:
        assert again.desk_id() == name != other.desk_id()


@pytest.mark.parametrize("content", [b"this is no database, and it is longer than a header of one" * 20, None])
def test_a_damaged_register_is_not_used(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "register.db"
    if content is None:  # a real one, with a page of it gone
        with Register(path) as register:
            for number in range(300):
                register.put_violation(number, "topic", "x" * 400)
        whole = path.read_bytes()
        content = whole[:8192] + os.urandom(8192) + whole[16384:]
    path.write_bytes(content)
    with pytest.raises(RegisterError, match="damaged or not one: put a backup"):
        Register(path)
    assert path.read_bytes() == content
    path.unlink()
    Register(path).close()  # the lock has gone with the attempt


def test_a_newer_register_is_not_used(register: Register) -> None:
    register._db.execute("PRAGMA user_version = 99")
    register.close()
    with pytest.raises(RegisterError, match="newer version.*update this one"):
        Register(register.path)


def test_an_older_register_is_brought_up_to_date(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    register.put_violation(1, "topic", "why")
    register.close()
    steps = (*module_steps(), "ALTER TABLE violation ADD COLUMN more TEXT NOT NULL DEFAULT 'x'")
    monkeypatch.setattr("desk.register_file.STEPS", steps)
    for _ in range(2):  # the second time there is nothing to do
        with Register(register.path) as newer:
            assert newer.ask("SELECT more FROM violation") == [{"more": "x"}]
            assert newer._db.execute("PRAGMA user_version").fetchone()[0] == len(steps)


def test_at_which_press_a_call_was_first_heard_is_kept(register: Register) -> None:
    """Also of a call of before, from its timeline, and over a restart. Red where a later press takes its place, where
    the ledger forgets it, and without the step that fills it in."""
    desk = PureDesk("desk-1")
    for press in (2, 3):
        enter(register, desk, "alarm", {**alarm_of(), "press": press}, 1000 * press)
    one = "SELECT first_press, press FROM incident"
    assert register.ask(one) == [{"first_press": 2, "press": 3}]
    assert register.restore().incidents[INCIDENT].first_press == 2
    register.change("ALTER TABLE incident DROP COLUMN first_press")
    before = next(n for n, step in enumerate(module_steps()) if "COLUMN first_press" in step)
    register._db.execute(f"PRAGMA user_version = {before}")
    register.close()
    with Register(register.path) as newer:
        assert newer.ask(one) == [{"first_press": 2, "press": 3}]


def test_a_step_that_fails_leaves_the_register_as_it_was(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    register.close()
    bad = "CREATE TABLE more (n INTEGER); CREATE TABLE more (n INTEGER)"
    monkeypatch.setattr("desk.register_file.STEPS", (*module_steps(), bad))
    with pytest.raises(RegisterError, match="already exists"):
        Register(register.path)
    monkeypatch.undo()
    with Register(register.path) as same:
        assert not same.ask("SELECT name FROM sqlite_master WHERE name = 'more'")


def test_kinds_of_false_calls_of_before_stay(register: Register) -> None:
    """They stood with the incident alone. Red without the step that puts them to the closings: the next repeat of the
    alarm would write over them."""
    desk = PureDesk("desk-1")
    desk.take(topic_of("petropavl-01", "alarm"), alarm_of(), 1)
    ident = alarm_of()["id"]
    desk.decide(ident, "closed", "anna", "false", 2, "prank")
    register.put_incident(desk.ledger.incidents[ident], registered_ms=2, unanswered=False)
    (step,) = (each for each in module_steps() if "ALTER TABLE decision ADD COLUMN misuse" in each)
    register._db.executescript(f"ALTER TABLE decision DROP COLUMN misuse; {step}")
    found = register.restore().incidents[ident]
    register.put_incident(found, registered_ms=3, unanswered=False)
    assert register.incidents()[0]["misuse"] == "prank"


def module_steps() -> tuple[str, ...]:
    from desk.tables import STEPS

    return STEPS


def test_a_transaction_is_there_whole_or_not_at_all(register: Register) -> None:
    with pytest.raises(KeyError), register.transaction():
        register.put_violation(1, "topic", "why")
        with register.transaction():
            register.put_violation(2, "topic", "why")
        raise KeyError
    assert register.violations() == []
    with register.transaction():
        register.put_violation(1, "topic", "why")
        assert register.violations() == []  # nobody sees what is not committed
    assert len(register.violations()) == 1


def test_a_failed_commit_leaves_nothing_behind(register: Register) -> None:
    (pages,) = register._db.execute("PRAGMA page_count").fetchone()
    register._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        for number in range(100):
            register.put_event(DEVICE, number, "boot", "x" * 4000)
    register._db.execute(f"PRAGMA max_page_count = {pages * 100}")
    register.put_violation(1, "topic", "why")
    assert len(register.violations()) == 1


def test_reading_does_not_wait_for_writing(register: Register) -> None:
    read = threading.Event()
    with register.transaction():
        register.put_violation(1, "topic", "why")
        reader = threading.Thread(target=lambda: read.set() if register.incidents() == [] else None)
        reader.start()
        assert read.wait(60)
    reader.join()


def test_any_thread_may_use_it(register: Register) -> None:
    def work(number: int) -> None:
        for each in range(20):
            register.put_event(f"c-{number}", each, "boot", {})
            register.events(f"c-{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(register.events(f"c-{number}")) for number in range(4)] == [20] * 4


# What is in it


def test_an_incident_and_its_filters(register: Register) -> None:
    desk = PureDesk("desk")
    school: dict[str, Any] = {"location": {**alarm_of()["location"], "site": "school"}}
    enter(register, desk, "alarm", alarm_of(), 1_000)
    enter(register, desk, "alarm", alarm_of("abay-02", **school), 2_000)
    enter(register, desk, "alarm", alarm_of("abay-02", seq=9, status="test", **school), 3_000)
    enter(register, desk, "ack", {"v": 1, "id": INCIDENT, "state": "closed", "outcome": "false", "press": 1}, 4_000)

    def ids(**filters: Any) -> list[str]:
        return [row["id"] for row in register.incidents(**filters)]

    first, second, drill = INCIDENT, alarm_of("abay-02")["id"], "abay-02-17-9"
    assert ids() == [drill, second, first]
    assert (
        ids(state="open") == [drill, second]
        and ids(state="closed") == [first]
        and ids(state="received") == ids(state="open")
    )
    assert ids(status="actual") == [second, first] and ids(status="drill") == [drill]
    assert (
        ids(device_id=DEVICE) == [first] and ids(site="school") == [drill, second] and ids(outcome="false") == [first]
    )
    assert ids(from_ms=2_000, to_ms=3_000) == [second] and ids(limit=1) == [drill]
    row = register.incident(first)
    assert row is not None and register.incident("nobody-1-1") is None
    assert row["alarm"] == alarm_of() and row["late"] is False and row["raised_ms"] == 1795340467250
    assert [entry["kind"] for entry in row["timeline"]] == ["press", "received", "closed"]


def test_the_first_transmission_keeps_its_times(register: Register) -> None:
    """The next one is older, and says nothing of how long the first took."""
    desk = PureDesk("desk")
    enter(register, desk, "alarm", alarm_of(age_ms=61), 1_000)
    register.put_answered(INCIDENT, 1_005, 1_010)
    enter(register, desk, "alarm", alarm_of(age_ms=9_000, press=2, late=True), 9_000)
    register.put_answered(INCIDENT, 9_005, 9_010)
    row = register.incident(INCIDENT)
    assert row is not None
    names = ("age_ms", "received_ms", "registered_ms", "answered_ms", "last_ms", "late", "press")
    assert [row[name] for name in names] == [61, 1_000, 1_005, 1_010, 9_000, True, 2]


def test_an_answer_is_owed_until_the_broker_has_it(register: Register) -> None:
    desk = PureDesk("desk")
    enter(register, desk, "alarm", alarm_of(), 1_000)
    assert register.unanswered() == [INCIDENT]
    enter(register, desk, "ack", {"v": 1, "id": INCIDENT, "state": "accepted", "press": 1}, 2_000)
    assert register.unanswered() == [INCIDENT]  # what another desk says does not settle it
    register.put_answered(INCIDENT, None, 3_000)
    assert register.unanswered() == []


def test_a_column_and_its_faults(register: Register) -> None:
    desk = PureDesk("desk")
    for kind in ("state", "info", "heartbeat", "fault", "event", "result"):
        enter(register, desk, kind, example(kind)[1], 1_000)
    (column,) = register.columns()
    assert column["online"] is True and column["boot"] == 17 and column["heard_ms"] == 1_000
    assert column["info"] == example("info")[1] and column["heartbeat"] == example("heartbeat")[1]
    assert column["faults"] == {"stream-down": example("fault")[1]}
    assert [one["event"] for one in register.events(DEVICE)] == ["result", "boot"]


def test_presence_has_no_rows_for_when_nobody_was_there(register: Register) -> None:
    register.put_presence(DEVICE, "up", 1_000)
    register.put_presence(DEVICE, "silent", 5_000)
    register.put_alive(6_000)
    Duty(register, HOST, free_port())  # the next desk, after a kill
    assert register.presence(DEVICE) == [
        {"from_ms": 1_000, "to_ms": 5_000, "kind": "up"},
        {"from_ms": 5_000, "to_ms": 6_000, "kind": "silent"},
    ]
    register.put_presence(DEVICE, "up", 9_000)
    assert register.presence(DEVICE, 6_000) == [{"from_ms": 9_000, "to_ms": None, "kind": "up"}]


# Bounds


@pytest.mark.parametrize(
    ("limit", "write", "count"),
    [
        ("EVENTS_MAX", lambda r, n: r.put_event(DEVICE, n, "boot", n), lambda r: len(r.events(DEVICE, 10**6))),
        ("PRESENCES_MAX", lambda r, n: r.put_presence(DEVICE, "up", n), lambda r: len(r.presence(DEVICE))),
        ("VIOLATIONS_MAX", lambda r, n: r.put_violation(n, "t", "w"), lambda r: len(r.violations(10**6))),
        ("ENTRIES_MAX", lambda r, n: r.put_entry("i-1-1", n, "repeat", "", {}), lambda r: entries(r)),
    ],
)
def test_what_may_come_without_end_is_bounded(
    limit: str, write: Any, count: Any, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, limit, 30)
    register.put_event("other", 0, "boot", {})
    for number in range(50):
        write(register, number)
    assert count(register) == 30
    assert len(register.events("other")) == 1  # nobody's history goes for another's
    monkeypatch.setattr(module, limit, 1000)  # the control: without the limit they stay
    for number in range(50, 100):
        write(register, number)
    assert count(register) == 80


def entries(register: Register) -> int:
    return len(register.ask("SELECT n FROM entry"))


def test_decisions_are_in_the_timeline_however_long_it_is(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENTRIES_MAX", 3)
    for number in range(9):
        register.put_entry("i-1-1", number, "repeat", DEVICE, {})
    register.put_entry("i-1-1", 10, "accepted", "operator 4", {})
    register.put_entry("i-1-1", 10, "accepted", "operator 4", {})  # another desk repeats it
    kinds = [row["kind"] for row in register.ask("SELECT kind FROM entry ORDER BY n")]
    assert kinds == ["repeat"] * 3 + ["accepted"]


def test_the_oldest_drills_go_and_calls_never(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRILLS_MAX", 3)
    desk = PureDesk("desk")
    for number in range(6):
        enter(register, desk, "alarm", alarm_of(seq=number, status="test"), 1_000 * number)
        enter(register, desk, "alarm", alarm_of(seq=100 + number), 1_000 * number)
    assert [row["id"] for row in register.incidents(status="drill")] == [f"{DEVICE}-17-{n}" for n in (5, 4, 3)]
    assert len(register.incidents(status="actual")) == 6
    assert desk.ledger.incidents.keys() == {row["id"] for row in register.incidents()}
    assert {row["incident_id"] for row in register.ask("SELECT * FROM decision")} == desk.ledger.incidents.keys()


# What comes back


def state_of(ledger: Ledger) -> dict[str, Any]:
    """All that decides how a desk goes on."""
    names = ("state", "by", "outcome", "press", "transmissions", "reopened", "late", "actual", "alarm", "decisions")
    incidents = {
        each.id: ({name: getattr(each, name) for name in names}, each.region, each.device_id, each.first_s, each.last_s)
        for each in ledger.incidents.values()
    }
    columns = {
        each.device_id: (each.region, each.heard_s, each.online, each.boot, each.info, each.heartbeat, each.faults)
        for each in ledger.columns.values()
    }
    return {"incidents": incidents, "columns": columns, "early": ledger.early, "order": list(ledger.incidents)}


STEP = st.one_of(
    st.tuples(st.just("alarm"), st.integers(1, 3), st.integers(1, 3), st.sampled_from(["actual", "test"])),
    st.tuples(st.just("decide"), st.integers(1, 3), st.sampled_from(STATES[2:]), st.sampled_from(OUTCOMES)),
    st.tuples(st.just("ack"), st.integers(1, 4), st.integers(1, 4), st.sampled_from(STATES[1:])),
    st.tuples(st.sampled_from(["state", "info", "heartbeat", "fault"]), st.just(0), st.just(0), st.just("")),
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP, max_size=25))
def test_the_ledger_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    with Register(tmp_path_factory.mktemp("restore") / "register.db") as register:
        register._db.execute("PRAGMA synchronous = OFF")
        desk = PureDesk("desk")
        for number, (kind, which, press, word) in enumerate(steps):
            go(register, desk, kind, which, press, word, 1_000 + 200 * number)
            assert state_of(register.restore()) == state_of(desk.ledger)


def go(register: Register, desk: PureDesk, kind: str, which: int, press: Any, word: str, now_ms: int) -> None:
    if kind == "alarm":
        enter(register, desk, kind, alarm_of(seq=which, press=press, status=word), now_ms)
    elif kind == "ack":
        closing = {"outcome": "other"} if word == "closed" else {}
        enter(
            register,
            desk,
            kind,
            {"v": 1, "id": f"{DEVICE}-17-{which}", "state": word, "press": press} | closing,
            now_ms,
        )
    elif kind != "decide":
        enter(register, desk, kind, example(kind)[1], now_ms)
    else:
        incident_id, state, batch = f"{DEVICE}-17-{which}", press, Batch()
        try:
            desk.decide(incident_id, state, "operator", word if state == "closed" else "", now_ms)
        except LedgerError:
            return
        batch.answer(incident_id)
        batch.write(register, desk.ledger, desk.silence, now_ms)


def test_a_register_that_forgets_is_noticed(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the one above."""
    monkeypatch.setattr(Register, "put_decisions", lambda *_: None)
    desk = PureDesk("desk")
    enter(register, desk, "alarm", alarm_of(), 1_000)
    assert state_of(register.restore()) != state_of(desk.ledger)
