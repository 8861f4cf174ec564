"""Which column is silent, since when, and what is nobody's silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from contract_examples import example
from duty_rig import PATIENCE_S, PureDesk, Street, topic_of, until

from desk.duty import Duty
from desk.ledger import NEVER_S
from desk.register import Register
from desk.silence import BEAT_MAX_MS, Limits, Presence, Silence
from sim.servers.broker import Mosquitto

DEVICE = "petropavl-01"
START_MS = 1_800_000_000_000
TICK_MS = 100


class Watch:
    """A pure desk with a clock that a test turns."""

    def __init__(self) -> None:
        self.desk, self.now_ms = PureDesk("desk"), START_MS
        self.silence = self.desk.silence
        self.silence.listen(self.now_ms)
        self.changes: list[tuple[int, Presence | None]] = []

    def say(self, kind: str, retain: bool = False, **changes: Any) -> None:
        self.desk.take(topic_of(DEVICE, kind), {**example(kind)[1], **changes}, self.now_ms, retain=retain)

    def beat(self, seq: int, every_s: int, link: str = "ethernet") -> None:
        self.say("heartbeat", seq=seq, uptime_s=seq * every_s, link=link)

    def wait(self, ms: int) -> None:
        for _ in range(0, ms, TICK_MS):
            self.now_ms += TICK_MS
            for column in self.silence.look(list(self.desk.ledger.columns.values()), self.now_ms):
                self.changes.append((self.now_ms - START_MS, self.silence.presence(column.device_id)))

    @property
    def kind(self) -> str | None:
        presence = self.silence.presence(DEVICE)
        return presence.kind if presence else None


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.mark.parametrize(("link", "limit_ms"), [("ethernet", 20_000), ("wifi", 20_000), ("other", 90_000)])
def test_nothing_heard_for_as_long_as_the_link_allows(watch: Watch, link: str, limit_ms: int) -> None:
    for seq in (1, 2):
        watch.beat(seq, every_s=5, link=link)
        watch.wait(5_000)
    heard_ms = START_MS + 5_000
    assert watch.kind == "up"
    watch.wait(limit_ms - 5_000 - TICK_MS)
    assert watch.kind == "up"
    watch.wait(TICK_MS)
    assert watch.changes[-1] == (5_000 + limit_ms, Presence("silent", heard_ms))
    watch.beat(3, every_s=5, link=link)
    watch.wait(TICK_MS)
    assert watch.kind == "up"


def test_a_slower_heartbeat_is_waited_for(watch: Watch) -> None:
    """Else every column would be silent between two of its heartbeats."""
    for seq in range(1, 4):
        watch.beat(seq, every_s=30)
        watch.wait(30_000)
    assert [presence.kind for _, presence in watch.changes if presence] == ["up"]
    assert watch.silence.limit_ms(watch.desk.ledger.columns[DEVICE]) == 75_000
    watch.wait(45_000)
    assert watch.kind == "silent"


def test_lost_heartbeats_do_not_make_them_rarer(watch: Watch) -> None:
    watch.beat(1, every_s=5)
    watch.beat(21, every_s=5)
    assert watch.silence.limit_ms(watch.desk.ledger.columns[DEVICE]) == 20_000


def test_a_column_cannot_talk_itself_out_of_being_watched(watch: Watch) -> None:
    watch.beat(1, every_s=0)
    watch.say("heartbeat", seq=2, uptime_s=10**9)
    limit_ms = watch.silence.limit_ms(watch.desk.ledger.columns[DEVICE])
    assert limit_ms == Limits().beats * BEAT_MAX_MS
    watch.wait(round(limit_ms) + TICK_MS)
    assert watch.kind == "silent"


def test_a_last_will_is_told_after_a_short_grace(watch: Watch) -> None:
    watch.say("state", state="online")
    watch.wait(1_000)
    offline_ms = watch.now_ms
    watch.say("state", state="offline", at=None)
    watch.wait(Limits().offline_ms - TICK_MS)
    assert watch.kind == "up"
    watch.wait(TICK_MS)
    assert watch.silence.presence(DEVICE) == Presence("offline", offline_ms)
    watch.say("state", state="online")
    watch.wait(TICK_MS)
    assert watch.kind == "up"


def test_a_column_that_only_connects_again_is_not_offline(watch: Watch) -> None:
    watch.say("state", state="online")
    watch.wait(1_000)
    for _ in range(3):
        watch.say("state", state="offline", at=None)
        watch.wait(Limits().offline_ms - TICK_MS)
        watch.say("state", state="online")
        watch.wait(1_000)
    assert [presence.kind for _, presence in watch.changes if presence] == ["up"]


def test_silence_that_turns_out_to_be_a_death_began_when_it_began(watch: Watch) -> None:
    watch.beat(1, every_s=5)
    watch.beat(2, every_s=5)
    watch.wait(25_000)
    assert watch.kind == "silent"
    watch.say("state", state="offline", at=None)
    watch.wait(1_000)
    presence = watch.silence.presence(DEVICE)
    assert presence is not None and presence.kind == "offline" and presence.since_ms < START_MS + 25_000


def test_what_the_broker_had_in_store_is_no_sign_of_life(watch: Watch) -> None:
    watch.say("state", retain=True, state="online")
    watch.say("info", retain=True)
    watch.wait(1_000)
    assert watch.kind is None
    watch.wait(75_000)
    assert watch.kind == "silent"


def test_a_stored_last_will_counts(watch: Watch) -> None:
    watch.say("state", retain=True, state="offline", at=None)
    watch.wait(1_000)
    assert watch.kind == "offline"
    assert watch.desk.ledger.columns[DEVICE].heard_s == NEVER_S, "by this the page knows that the time is not known"


def test_without_a_broker_nobody_is_silent(watch: Watch) -> None:
    watch.beat(1, every_s=5)
    watch.beat(2, every_s=5)
    watch.wait(10_000)
    watch.silence.listen(None)
    watch.wait(3_600_000)
    assert watch.kind is None  # nobody can tell
    watch.silence.listen(watch.now_ms)
    watch.wait(19_000)
    assert watch.kind is None and len(watch.changes) == 1
    watch.wait(1_000)
    assert watch.kind == "silent"


def test_who_was_silent_before_still_is_until_it_speaks(watch: Watch) -> None:
    watch.say("state", state="offline", at=None)
    watch.wait(1_000)
    watch.silence.listen(None)
    watch.silence.listen(watch.now_ms)
    watch.wait(1_000)
    assert watch.kind == "offline" and len(watch.changes) == 1


@pytest.mark.parametrize("jump_ms", [3_600_000, -3_600_000])
def test_a_clock_that_is_set_or_a_process_that_stood_still_is_nobodys_silence(watch: Watch, jump_ms: int) -> None:
    watch.beat(1, every_s=5)
    watch.beat(2, every_s=5)
    watch.wait(10_000)
    watch.now_ms += jump_ms
    watch.wait(19_000)
    assert watch.kind == "up"
    watch.wait(2_000)
    assert watch.kind == "silent"


def test_a_register_that_remembers(watch: Watch) -> None:
    silence = Silence()
    silence.recall(DEVICE, Presence("silent", 5))
    assert silence.presence(DEVICE) == Presence("silent", 5)
    assert silence.look([], 10) == []  # it does not listen yet


# On a real broker


def presence_of(register: Register) -> str | None:
    (column,) = register.columns()
    kind: str | None = column["presence"]
    assert (column["silent_since_ms"] is None) == (kind in ("up", None))
    return kind


@pytest.mark.mosquitto
def test_silence_is_in_the_register_and_a_dead_desk_counts_for_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    with Register(tmp_path / "register.db") as register, Street(broker) as street:
        with Duty(register, broker.host, broker.port) as duty:
            duty.wait_connected(PATIENCE_S)
            street.say(DEVICE, "state", example("state")[1])
            until(lambda: register.columns() and presence_of(register) == "up", "a column that is up")
            street.say(DEVICE, "state", {**example("state")[1], "state": "offline", "at": None})
            until(lambda: presence_of(register) == "offline", "a column that is offline")
            broker.stop()
            until(lambda: not duty.connected, "a desk without a broker")
        assert all(row["to_ms"] for row in register.presence(DEVICE))
        assert [row["kind"] for row in register.presence(DEVICE)] == ["up", "offline"]
        broker.start()
        with Duty(register, broker.host, broker.port) as duty:
            duty.wait_connected(PATIENCE_S)
            assert presence_of(register) == "offline"  # it still is
            until(lambda: len(register.presence(DEVICE)) == 3, "the present")
            street.say(DEVICE, "state", example("state")[1])
            until(lambda: presence_of(register) == "up", "a column that is back")
        kinds = [row["kind"] for row in register.presence(DEVICE)]
        assert kinds == ["up", "offline", "offline", "up"]


@pytest.mark.mosquitto
def test_limits_are_the_desks_to_choose(tmp_path: Path, broker: Mosquitto) -> None:
    limits = Limits(wire_ms=300, beats=0)
    with Register(tmp_path / "register.db") as register, Street(broker) as street:
        with Duty(register, broker.host, broker.port, limits=limits) as duty:
            duty.wait_connected(PATIENCE_S)
            street.say(DEVICE, "heartbeat", example("heartbeat")[1])
            until(lambda: register.columns() and presence_of(register) == "silent", "a silent column")
        (row,) = register.columns()
        assert row["silent_since_ms"] == row["heard_ms"]
