"""A rollout that need not believe its broker: what the broker says in a column's name, or says again, moves nothing,
and what it keeps to itself stops the rollout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from contract_examples import example
from duty_rig import topic_of
from paho.mqtt import client as mqtt
from update_rig import made

from contract import authentic
from contract.authentic import Number
from desk.column_keys import ColumnKeys
from desk.line import Login
from desk.rollout import plan as rules
from desk.rollout.book import Book
from desk.rollout.offer import OneRelease
from desk.rollout.plan import Column, Limits, Plan
from desk.rollout.service import Service

KEY, OTHER = bytes(range(32)), b"x" * 32
ME = "petropavl-01"
BOOT = 17
RELEASE = made()
MINUTE_MS = 60_000


class Rollout:
    """The real service without its network; what it would send is kept."""

    def __init__(self, folder: Path, *names: str) -> None:
        file = self.file = folder / "keys.json"
        keys = {"v": 1, "columns": dict.fromkeys(names or (ME,), KEY.hex()), "revoked": ["petropavl-07"]}
        file.write_text(json.dumps(keys))
        file.chmod(0o600)
        self.now_ms, self.said, self.sent, self.count = 1_800_000_000_000, [""], [b""], 0
        self.plan, offer = Plan(RELEASE.digest, RELEASE.version, Limits(watch_s=0)), OneRelease(RELEASE)
        self.plan.offer, login = offer, Login("127.0.0.1", 1)
        book = Book(folder / "rollout")
        self.service = Service(self.plan, offer, book, login, self.said.append, ColumnKeys(file), lambda: self.now_ms)
        self.is_connected = True
        self.service._client.is_connected = lambda: self.is_connected  # type: ignore[method-assign]
        self.service._client.publish = self._publish  # type: ignore

    def _publish(self, topic: str, payload: bytes, qos: int) -> mqtt.MQTTMessageInfo:
        self.sent.append(payload)
        return mqtt.MQTTMessageInfo(len(self.sent))

    # What the column says

    def seal(self, kind: str, in_boot: int = BOOT, key: bytes = KEY, **more: Any) -> bytes:
        self.count += 1
        document = {**example(kind.partition("/")[0])[1], **more}
        return authentic.seal(key, topic_of(ME, kind), document, Number(in_boot, self.count))

    def info(self, state: str = "", why: str | None = None, boot: int = BOOT, **more: Any) -> bytes:
        update = {"state": state, "release": RELEASE.digest[:16], "version": RELEASE.version, "why": why}
        said: dict[str, Any] = {"fw": "1.0.0", "boot": boot, **({"update": update} if state else {}), **more}
        return self.seal("info", boot, **said)

    def lives(self, *faults: str) -> None:
        self.hear("state", self.seal("state", state="online", boot=BOOT))
        self.hear("heartbeat", self.seal("heartbeat", faults=sorted(faults)))

    # What the broker delivers

    def hear(self, kind: str, payload: bytes | dict[str, Any], *, kept: bool = False, name: str = ME) -> None:
        message = mqtt.MQTTMessage(1, topic_of(name, kind).encode())
        message.payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        message.retain = kept
        self.service._heard.put(message)
        self.look()

    def look(self, after_ms: int = 1000) -> None:
        self.now_ms += after_ms
        while not self.service._heard.empty():
            self.service.turn(0.001)
        self.service.turn(0)

    @property
    def column(self) -> Column:
        return self.plan.columns[ME]

    def begin(self) -> None:
        """The column is told of the release."""
        self.look()
        self.hear("info", self.info())
        self.lives()
        assert self.column.state == rules.TOLD


@pytest.fixture
def rollout(tmp_path: Path) -> Rollout:
    return Rollout(tmp_path)


def unproven(payload: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(payload)
    return {key: value for key, value in document.items() if key not in ("n", "mac")}


def test_a_broker_cannot_say_that_a_column_has_it(rollout: Rollout) -> None:
    """Without a proof, and with another key's. Red when `Proof.counts` says yes."""
    rollout.begin()
    rollout.hear("info", unproven(rollout.info(rules.KEPT)))
    rollout.hear("info", rollout.seal("info", key=OTHER, **unproven(rollout.info(rules.KEPT))))
    rollout.hear("info", rollout.info(rules.KEPT).replace(b'"kept"', b'"trial"'))
    assert rollout.column.state == rules.TOLD
    for state in (rules.FETCHING, rules.TRIAL, rules.KEPT):
        rollout.hear("info", rollout.info(state))
    assert rollout.column.state == rules.KEPT and rollout.plan.state == rules.DONE


def test_what_a_column_has_said_once_is_not_said_again(rollout: Rollout, tmp_path: Path) -> None:
    """Red without the numbers: the rollout would begin with this column anew, or take a dead one for alive; and without
    the look at the boot, for what it has not heard yet."""
    rollout.begin()
    trial = rollout.info(rules.TRIAL)
    beat = rollout.seal("heartbeat", faults=[])
    rollout.hear("heartbeat", beat)
    rollout.hear("info", trial)
    rollout.hear("info", rollout.info(rules.KEPT))
    rollout.hear("info", trial)
    heard_ms = rollout.column.heard_ms
    rollout.hear("heartbeat", beat)
    rollout.hear("heartbeat", rollout.seal("heartbeat", BOOT - 1))
    assert (rollout.column.state, rollout.column.heard_ms) == (rules.KEPT, heard_ms)
    (tmp_path / "later").mkdir()
    later = Rollout(tmp_path / "later")
    later.hear("info", later.info(boot=BOOT + 1), kept=True)
    later.hear("heartbeat", beat)
    assert later.column.heard_ms is None


def test_a_silence_and_a_drill_that_nobody_answers_cannot_be_hidden(tmp_path: Path) -> None:
    """The broker passes on what it likes and adds what it likes. Red when unproven heartbeats count, or when the fault
    alone tells it."""
    rollout = Rollout(tmp_path)
    rollout.plan.limits = Limits(watch_s=1e9)
    rollout.begin()
    rollout.hear("info", rollout.info(rules.TRIAL))
    for _ in range(4):
        rollout.hear("heartbeat", unproven(rollout.seal("heartbeat", faults=[])))
        rollout.hear("state", {**example("state")[1], "state": "online"})
        rollout.look(MINUTE_MS)
    assert rollout.plan.state == rules.STOPPED and rollout.plan.why.startswith("silent: ")
    (tmp_path / "other").mkdir()
    other = Rollout(tmp_path / "other")
    other.begin()
    other.hear("info", other.info(rules.TRIAL))
    other.hear("fault/drill-unanswered", b"")
    other.lives("drill-unanswered")
    assert other.plan.state == rules.STOPPED and other.plan.why.startswith("unanswered: ")


def test_a_refusal_is_the_columns_own(rollout: Rollout) -> None:
    """Else anybody with the broker's password stops every rollout."""
    rollout.begin()
    ident = json.loads(rollout.sent[-1])["id"]
    no = {"id": ident, "ok": False, "error": "refused: too little memory is free", "detail": None}
    rollout.hear("result", {**example("result")[1], **no})
    assert rollout.column.state == rules.TOLD
    rollout.hear("result", rollout.seal("result", **no))
    assert rollout.column.state == rules.REFUSED


def test_a_command_is_for_the_newest_boot_that_is_proven(rollout: Rollout) -> None:
    """Also while the birth of that boot has not come yet. Red when the birth alone tells it."""
    rollout.look()
    rollout.hear("info", rollout.info(boot=BOOT), kept=True)
    rollout.hear("state", rollout.seal("state", BOOT + 1, state="online", boot=BOOT + 1))
    rollout.hear("heartbeat", rollout.seal("heartbeat", BOOT + 1, faults=[]))
    told = authentic.number(json.loads(rollout.sent[-1]))
    assert told is not None and told.boot == BOOT + 1
    rollout.hear("state", {**example("state")[1], "state": "offline"})
    assert not rollout.column.is_online, "a last will is the broker's to say"


def test_who_proves_nothing_is_left_out_and_named(tmp_path: Path) -> None:
    """A column that was flashed before it had a key; and one that the desk has no key of is believed, as ever."""
    rollout = Rollout(tmp_path)
    rollout.look()
    rollout.hear("info", unproven(rollout.info()))
    rollout.hear("info", unproven(rollout.info(device_id="petropavl-07")), name="petropavl-07")
    assert rollout.plan.columns == {}
    assert rollout.said[1:] == ["running, stage 1", f"{ME} is left out: its birth is not proven"]
    rollout.hear("info", unproven(rollout.info(device_id="petropavl-02")), name="petropavl-02")
    assert list(rollout.plan.columns) == ["petropavl-02"]
    rollout.hear("info", rollout.info())
    assert set(rollout.plan.columns) == {ME, "petropavl-02"}


def test_a_column_that_is_stolen_meanwhile_counts_no_more(tmp_path: Path) -> None:
    """A rollout takes days. Red while its list of keys was the one with which it began."""
    rollout = Rollout(tmp_path)
    rollout.hear("info", rollout.info())
    heard_ms = rollout.plan.columns[ME].heard_ms
    rollout.file.write_text(json.dumps({"v": 1, "columns": {}, "revoked": [ME]}))
    rollout.look()
    rollout.hear("info", rollout.info(boot=BOOT + 1))
    assert rollout.plan.columns[ME].heard_ms == heard_ms is not None


def test_an_abort_without_a_broker_is_sent_when_there_is_one(rollout: Rollout) -> None:
    """It ended at once, and its command was in no broker: the column asked for pieces ever after. Red where `is_over`
    looks at the state alone, or where the command is given to paho and forgotten."""
    rollout.begin()
    rollout.hear("info", rollout.info(rules.FETCHING))
    rollout.is_connected, before = False, len(rollout.sent)
    rollout.service._book.wish("abort")
    rollout.look()
    assert rollout.said[-2:] == [f"{ME} waiting: {rules.GIVES_UP}", "aborted, stage 1: aborted by hand"]
    assert not rollout.plan.is_over and len(rollout.sent) == before
    rollout.is_connected = True
    rollout.look()
    rollout.look()
    told = json.loads(rollout.sent[-1])
    assert len(rollout.sent) == before + 1 and (told["cmd"], told["release"]) == ("update", None)
    assert not rollout.plan.is_over
    rollout.service._client.on_publish(rollout.service._client, None, len(rollout.sent))  # type: ignore
    rollout.look()
    assert rollout.plan.is_over and rollout.said[-1] == f"{ME} waiting: {rules.GIVEN_UP}"
