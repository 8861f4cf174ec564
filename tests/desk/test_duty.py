"""The desk on a real broker: what it enters, what it answers, what it does when the broker or the disk is away."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from column_probe import need
from contract_examples import example, packed
from duty_rig import PATIENCE_S, Street, alarm_of, row_of, until

from common.ports import HOST, free_port
from desk.batch import Batch, Change
from desk.duty import Duty
from desk.ledger import LedgerError
from desk.register import Register
from desk.silence import Silence
from sim.servers.authority import Authority
from sim.servers.broker import Mosquitto, Tls

pytestmark = pytest.mark.mosquitto
DEVICE = "petropavl-01"
HELD_MS = 50  # a commit waits for the file
TEN = [f"column-{number:02}" for number in range(10)]


@pytest.fixture
def changes() -> queue.SimpleQueue[Change]:
    return queue.SimpleQueue()


@pytest.fixture
def duty(register: Register, broker: Mosquitto, changes: queue.SimpleQueue[Change]) -> Iterator[Duty]:
    with Duty(register, broker.host, broker.port, name="desk-1", on_change=changes.put) as running:
        running.wait_connected(PATIENCE_S)
        yield running


def test_an_alarm_is_answered_with_its_latest_state_each_time(duty: Duty, register: Register, street: Street) -> None:
    incident_id = street.press()
    assert street.wait_for(incident_id, "received")["by"] == "desk-1"
    steps: list[tuple[str, Any]] = [
        ("accepted", partial(duty.accept, incident_id, "operator 4")),
        ("dispatched", partial(duty.dispatch, incident_id, "operator 4")),
        ("closed", partial(duty.close, incident_id, "criminal", "operator 5", "taken to the station")),
    ]
    for state, act in steps:
        act()
        first = street.wait_for(incident_id, state)
        street.press()
        until(partial(street.has, incident_id, state, times=2), f"{state} again")
        assert street.acks[-1] == first
    row = row_of(register, incident_id)
    assert (row["state"], row["outcome"], row["accepted_by"], row["by"]) == (
        *("closed", "criminal", "operator 4", "operator 5"),
    )
    assert (row["transmissions"], row["press"], row["note"]) == (4, 1, "taken to the station")
    assert row["received_ms"] <= row["accepted_ms"] <= row["dispatched_ms"] <= row["closed_ms"]
    assert [entry["kind"] for entry in row["timeline"]] == [
        *("press", "received", "accepted", "repeat", "dispatched", "repeat", "closed", "repeat"),
    ]


def test_the_times_of_an_alarms_way_are_kept(duty: Duty, register: Register, street: Street) -> None:
    incident_id = street.press(age_ms=61)
    street.wait_for(incident_id, "received")
    until(lambda: row_of(register, incident_id)["answered_ms"], "the time of the answer")
    row = row_of(register, incident_id)
    assert row["received_ms"] <= row["registered_ms"] <= row["answered_ms"]
    assert row["age_ms"] == 61 and not row["unanswered"]


def test_changes_are_told_when_they_are_in_the_register(register: Register, broker: Mosquitto, street: Street) -> None:
    seen: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read(change: Change) -> Any:
        return register.incident(change.id) if change.kind == "incident" else register.columns()

    with Duty(register, broker.host, broker.port, on_change=lambda change: seen.put((change, read(change)))) as duty:
        assert seen.get(timeout=PATIENCE_S)[0] == Change("status", "")
        duty.wait_connected()
        incident_id = street.press()
        told = (one for one in iter(lambda: seen.get(timeout=PATIENCE_S), None) if one[0] != Change("status", ""))
        change, row = next(told)
        assert change == Change("incident", incident_id) and row["state"] == "received"
        change, rows = next(told)
        assert change == Change("column", DEVICE) and rows[0]["heard_ms"]


def test_a_listener_that_fails_does_not_end_the_duty(register: Register, broker: Mosquitto, street: Street) -> None:
    def fail(change: Change) -> None:
        raise RuntimeError(change)

    with Duty(register, broker.host, broker.port, on_change=fail) as duty:
        duty.wait_connected()
        street.wait_for(street.press(), "received")
        duty.accept(alarm_of()["id"], "operator 4")
        street.wait_for(alarm_of()["id"], "accepted")


def test_a_fault_in_one_thread_does_not_end_it(
    duty: Duty, register: Register, street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    tripped: queue.SimpleQueue[str] = queue.SimpleQueue()

    def trip(*_: object, **__: object) -> None:
        tripped.put("tripped")
        raise RuntimeError("nobody thought of it")

    with monkeypatch.context() as patch:
        patch.setattr(Silence, "look", trip)
        tripped.get(timeout=PATIENCE_S)
    with monkeypatch.context() as patch:
        patch.setattr(Batch, "answer", trip)  # neither entered nor forgotten by the network's thread
        street.press()
        tripped.get(timeout=PATIENCE_S)
    with monkeypatch.context() as patch:
        patch.setattr(Duty, "_commit", trip)
        street.press(seq=8)
        tripped.get(timeout=PATIENCE_S)
    street.wait_for(street.press(seq=9), "received")
    until(lambda: row_of(register, alarm_of(seq=9)["id"])["answered_ms"], "a tick")


def test_a_further_press_opens_again_what_was_closed(duty: Duty, register: Register, street: Street) -> None:
    incident_id = street.press()
    street.wait_for(incident_id, "received")
    duty.accept(incident_id, "operator 4")
    duty.close(incident_id, "false", "operator 4")
    street.press(press=2)
    until(lambda: street.states(incident_id)[-1:] == ["received"] and len(street.states(incident_id)) == 4, "received")
    row = row_of(register, incident_id)
    assert (row["state"], row["reopened"], row["accepted_by"], row["closed_ms"]) == ("received", 1, None, None)
    assert "reopened" in [entry["kind"] for entry in row["timeline"]]


def test_a_drill_is_answered_and_flagged(duty: Duty, register: Register, street: Street) -> None:
    drill = street.press(seq=1, status="test")
    exercise = street.press(seq=2, status="exercise")
    actual = street.press(seq=3)
    for incident_id in (drill, exercise, actual):
        street.wait_for(incident_id, "received")
    assert [row["id"] for row in register.incidents(status="actual")] == [actual]
    assert [row["id"] for row in register.incidents(status="drill")] == [exercise, drill]
    street.press(seq=1)  # the same, now in earnest: it must ring, and go on ringing
    street.press(seq=1, status="test")
    until(lambda: street.states(drill) == ["received"] * 3, "three answers")
    assert row_of(register, drill)["status"] == "actual"


def test_ten_columns_at_once(duty: Duty, register: Register, street: Street) -> None:
    for device_id in TEN:
        street._mqtt.publish(f"sos/v1/nko/{device_id}/alarm", packed(alarm_of(device_id)), 1)
    for device_id in TEN:
        street.wait_for(alarm_of(device_id)["id"], "received")
    rows = register.incidents(state="open", status="actual")
    assert sorted(row["device_id"] for row in rows) == TEN
    for row in rows:
        duty.accept(row["id"], "operator 4")
    for row in rows:
        street.wait_for(row["id"], "accepted")


def test_commands_and_their_results(duty: Duty, register: Register, street: Street) -> None:
    with pytest.raises(LedgerError, match="not been heard"):
        duty.command(DEVICE, "report")
    street.say(DEVICE, "heartbeat", example("heartbeat")[1])
    until(register.columns, "a column")
    with pytest.raises(LedgerError, match="explode"):
        duty.command(DEVICE, "explode")
    command_id = duty.command(DEVICE, "report", "operator 4")
    street.say(DEVICE, "result", {"v": 1, "id": command_id, "ok": True, "error": None})
    found = until(lambda: [one for one in register.events(DEVICE) if one["event"] == "result"], "a result")
    assert found[0]["detail"]["id"] == command_id
    assert register.events(DEVICE)[1]["detail"] == {"id": command_id, "cmd": "report", "by": "operator 4"}


@pytest.mark.parametrize("text", ["", " ", "x" * 5000, "\ud800"])
def test_what_an_operator_cannot_write(text: str, duty: Duty, register: Register, street: Street) -> None:
    incident_id = street.press()
    street.wait_for(incident_id, "received")
    with pytest.raises(LedgerError, match="give 1 to"):
        duty.note(incident_id, "operator 4", text)
    with pytest.raises(LedgerError, match="give 1 to"):
        duty.accept(incident_id, text)
    assert row_of(register, incident_id)["state"] == "received"
    with pytest.raises(LedgerError, match="no incident"):
        duty.note("nobody-1-1", "operator 4", "text")
    duty.note(incident_id, "operator 4", " <b>seen</b> ")
    assert row_of(register, incident_id)["timeline"][-1]["detail"] == {"text": "<b>seen</b>"}


def test_without_a_broker_the_desk_says_so_and_what_is_decided_leaves_later(
    broker: Mosquitto, duty: Duty, register: Register, street: Street
) -> None:
    incident_id = street.press()
    street.wait_for(incident_id, "received")
    broker.stop()
    until(lambda: not duty.connected and duty.trouble, "a desk without a broker")

    def is_refused() -> bool:
        """Not yet, where the desk was back so soon that it met the broker that was ending."""
        try:
            duty.command(DEVICE, "report")
        except LedgerError as error:
            return "no broker" in str(error)
        return False

    until(is_refused, "command that no broker takes")
    duty.accept(incident_id, "operator 4")
    assert row_of(register, incident_id)["unanswered"]
    broker.start()
    duty.wait_connected(PATIENCE_S)
    assert duty.trouble == ""
    until(lambda: not row_of(register, incident_id)["unanswered"], "an answer that has left")
    street.press()  # the street's own session was clean: it asks again, as a column does
    street.wait_for(incident_id, "accepted")


def test_a_desk_starts_without_a_broker_and_says_why(register: Register) -> None:
    with Duty(register, HOST, free_port()) as duty:
        with pytest.raises(TimeoutError, match="cannot be reached"):
            duty.wait_connected(2.0)
        assert not duty.connected


def test_a_full_disk_is_not_answered_and_nothing_is_lost(
    duty: Duty, register: Register, street: Street, changes: queue.SimpleQueue[Change]
) -> None:
    """The message stays at the broker until it can be written: nobody sends it again here."""
    first = street.press()
    street.wait_for(first, "received")
    (pages,) = register._db.execute("PRAGMA page_count").fetchone()
    register._db.execute(f"PRAGMA max_page_count = {pages}")
    many = [street.press(seq=100 + number) for number in range(30)]
    until(lambda: "full" in duty.trouble, "trouble with the disk")
    with pytest.raises(sqlite3.Error):
        for number in range(100):
            duty.note(first, "operator 4", "x" * 3900 + str(number))
    register._db.execute(f"PRAGMA max_page_count = {pages * 1000}")
    for incident_id in many:
        street.wait_for(incident_id, "received")
    assert {row["id"] for row in register.incidents()} == {first, *many}
    until(lambda: duty.connected and duty.trouble == "", "a desk that is well again")


def test_a_register_that_another_program_holds_is_said_and_loses_nothing(
    duty: Duty, register: Register, street: Street
) -> None:
    """A backup that locks the file for longer than a commit waits for it. Red when the desk ends, answers what it has
    not written, or calls the register damaged."""
    register._db.execute(f"PRAGMA busy_timeout = {HELD_MS}")
    with contextlib.closing(sqlite3.connect(register.path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        call = street.press()
        until(lambda: duty.why.code == "disk-locked", "trouble with the lock")
        assert "another program holds the file" in duty.trouble and not street.has(call, "received", times=1)
        with pytest.raises((sqlite3.OperationalError, LedgerError)):
            duty.accept(call, "operator 4")
        holder.execute("ROLLBACK")
    street.wait_for(call, "received")
    assert [row["id"] for row in register.incidents()] == [call]
    until(lambda: duty.connected and duty.trouble == "", "a desk that is well again")


def test_over_mutual_tls(tmp_path: Path, register: Register) -> None:
    need("mosquitto")
    authority = Authority(tmp_path)
    with (
        Mosquitto(tls=Tls(authority), acl="user desk\ntopic readwrite #") as broker,
        Duty(register, broker.host, broker.port, tls=authority.client("desk")) as duty,
    ):
        duty.wait_connected(PATIENCE_S)


def test_a_password_and_the_brokers_authority_only(tmp_path: Path, register: Register) -> None:
    need("mosquitto")
    authority = Authority(tmp_path)
    with Mosquitto(tls=Tls(authority, mutual=False), users={"desk": "right"}) as broker:
        address: dict[str, Any] = {"host": broker.host, "port": broker.port, "tls": authority.ca_path, "user": "desk"}
        with (
            Duty(register, password="wrong", **address) as duty,
            pytest.raises(TimeoutError, match="refuses this desk"),
        ):
            duty.wait_connected(2.0)
        with Duty(register, password="right", **address) as duty:
            duty.wait_connected(PATIENCE_S)
