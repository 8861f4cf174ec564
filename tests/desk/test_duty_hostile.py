"""A hostile column at the desk: whatever it sends is refused or kept as plain data, in bounds; the others are heard."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from contract_examples import EXAMPLES, example, packed
from duty_rig import PATIENCE_S, PureDesk, Street, alarm_of, topic_of, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract import validator
from desk import limits
from desk.batch import Batch
from desk.duty import Duty
from desk.intake import Intake
from desk.register import TOPIC_MAX, VIOLATIONS_MAX, WHY_MAX, Register
from sim.servers.broker import Mosquitto

HOSTILE, OTHER = "hostile-01", "petropavl-01"
MARKUP = "<img src=x onerror=\"fetch('/api/incidents')\">'; DROP TABLE incident; --\u202e\x00"
MIB = 1 << 20
LONG = "9" * 400


def event(detail: str) -> bytes:
    """An event whose detail is this JSON."""
    return b'{"v":1,"event":"boot","at":null,"detail":%s}' % detail.encode()


UNSTORABLE = {
    "deep": (event('{"a":' * 50 + "1" + "}" * 50), "DEPTH_MAX", 1000),
    "huge integer": (event('{"n":' + LONG + "}"), "INTEGER_MAX", 10**500),
    "long": (event('"' + "x" * (limits.PAYLOAD_MAX + 1) + '"'), "PAYLOAD_MAX", MIB),
}
ALWAYS_UNSTORABLE = {
    "infinite": event('{"n":1e999}'),
    "half a surrogate pair": event('"\\ud800"'),
    "half a pair in a key": event('{"\\udfff":1}'),
}


@pytest.mark.parametrize("name", UNSTORABLE)
def test_what_is_too_much_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    payload, limit, more = UNSTORABLE[name]
    desk = PureDesk("desk")
    desk.take(topic_of(HOSTILE, "event"), payload, 1)
    assert len(desk.refused) == 1 and not desk.ledger.columns
    monkeypatch.setattr(limits, limit, more)  # the control: without the limit it gets in
    desk.take(topic_of(HOSTILE, "event"), payload, 2)
    assert len(desk.refused) == 1 and desk.ledger.columns


@pytest.mark.parametrize("name", ALWAYS_UNSTORABLE)
def test_what_no_browser_and_no_register_takes_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = PureDesk("desk")
    desk.take(topic_of(HOSTILE, "event"), ALWAYS_UNSTORABLE[name], 1)
    assert len(desk.refused) == 1 and not desk.ledger.columns
    monkeypatch.setattr(limits, "unstorable", lambda document: None)
    desk.take(topic_of(HOSTILE, "event"), ALWAYS_UNSTORABLE[name], 2)
    assert len(desk.refused) == 1 and desk.ledger.columns


OF_OTHERS = {
    "alarm in its own topic": (topic_of(HOSTILE, "alarm"), alarm_of(OTHER)),
    "own name, other's id": (topic_of(HOSTILE, "alarm"), alarm_of(HOSTILE) | {"id": alarm_of(OTHER)["id"]}),
    "other's name, own id": (topic_of(OTHER, "alarm"), alarm_of(OTHER) | {"id": alarm_of(HOSTILE)["id"]}),
    "birth": (topic_of(HOSTILE, "info"), example("info")[1]),
    "answer": (topic_of(HOSTILE, "ack"), example("ack")[1]),
    "its alarm from another region": (topic_of(OTHER, "alarm", "evil"), alarm_of(OTHER, press=2)),
    "its state from another region": (topic_of(OTHER, "state", "evil"), {**example("state")[1], "state": "offline"}),
}


@pytest.mark.parametrize("what", OF_OTHERS)
def test_ids_of_others_are_refused(what: str) -> None:
    desk = PureDesk("desk")
    desk.take(topic_of(OTHER, "alarm"), alarm_of(OTHER), 1)
    desk.take(topic_of(OTHER, "heartbeat"), example("heartbeat")[1], 2)
    desk.silence.listen(1)
    desk.silence.look(list(desk.ledger.columns.values()), 3)
    before = repr((desk.ledger.incidents, desk.ledger.columns))
    topic, document = OF_OTHERS[what]
    assert desk.take(topic, document, 4) == [] and len(desk.refused) == 1
    assert repr((desk.ledger.incidents, desk.ledger.columns)) == before
    assert desk.take(topic_of(OTHER, "alarm"), alarm_of(OTHER, press=2), 5)  # the control: what is its own changes it
    assert repr((desk.ledger.incidents, desk.ledger.columns)) != before


def test_a_column_that_is_not_up_may_move_to_another_region() -> None:
    desk = PureDesk("desk")
    desk.take(topic_of(OTHER, "heartbeat"), example("heartbeat")[1], 1)
    desk.take(topic_of(OTHER, "heartbeat", "almaty"), example("heartbeat")[1], 2)
    assert desk.ledger.columns[OTHER].region == "almaty" and not desk.refused


def test_a_flood_is_not_read_and_others_are() -> None:
    desk = PureDesk("desk")
    batch = Batch()
    for number in range(5000):
        desk.intake.take(batch, topic_of(HOSTILE, "event"), event(f'"{number}"'), retain=False, now_ms=number)
    allowed = limits.BURST + 5 * limits.PER_SECOND
    assert allowed - 1 <= len(batch.events) <= allowed + 1
    assert len(batch.violations) == 1 and "messages a second" in batch.violations[0][2]
    assert desk.take(topic_of(OTHER, "alarm"), alarm_of(OTHER), 5000)
    # Its flood does not keep the desks from agreeing on its incidents.
    assert not desk.refused
    desk.take(topic_of(HOSTILE, "ack"), {"v": 1, "id": f"{HOSTILE}-1-1", "state": "received"}, 5000)
    assert desk.ledger.early


def test_after_a_flood_of_repeats_a_new_call_gets_in() -> None:
    """The desk was away for a weekend, and all that the broker has kept comes within a second."""
    desk, topic = PureDesk("desk"), topic_of(OTHER, "alarm")
    answers = [desk.take(topic, alarm_of(OTHER), 1) for _ in range(1000)]
    assert sum(map(len, answers)) == limits.BURST
    assert desk.take(topic, alarm_of(OTHER, press=2), 1) == []  # it is open already, and the column says it again
    assert desk.take(topic, alarm_of(OTHER, seq=8, status="test"), 1) == []
    assert desk.take(topic, alarm_of(OTHER, seq=9), 1)[0]["state"] == "received"
    assert desk.take(topic, b"x" * MIB, 1) == [] and desk.take(topic, b"x", 1) == []
    desk.decide(alarm_of(OTHER)["id"], "closed", "operator", "false", 1)
    assert desk.take(topic, alarm_of(OTHER), 1) == []
    assert desk.take(topic, alarm_of(OTHER, press=2), 1)[0]["state"] == "received"


def test_a_flood_of_names_is_bounded() -> None:
    flood = limits.Flood()
    for number in range(limits.BUCKETS_MAX + 100):
        flood.admits(f"{number}", 0)
    assert len(flood._left) == limits.BUCKETS_MAX


def many(desk: PureDesk, messages: Iterator[tuple[str, Any]]) -> None:
    """Slow enough to be no flood."""
    for number, (topic, document) in enumerate(messages):
        desk.take(topic, document, 200 * number)


BOUNDS = {
    "COLUMNS_MAX": ((topic_of(f"c-{n}", "event"), event('"x"')) for n in range(60)),
    "FAULTS_MAX": (
        (topic_of(HOSTILE, f"fault/f-{n}"), {"v": 1, "id": f"f-{n}", "since": None, "detail": ""}) for n in range(60)
    ),
    "OPEN_MAX": ((topic_of(HOSTILE, "alarm"), alarm_of(HOSTILE, seq=n)) for n in range(60)),
}


@pytest.mark.parametrize("limit", BOUNDS)
def test_what_is_kept_is_bounded(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, limit, 50)
    monkeypatch.setattr(limits, "OPEN_MORE", (0, 0.0))
    desk = PureDesk("desk")
    many(desk, iter(BOUNDS[limit]))
    assert len(desk.refused) == 10
    kept = {
        "COLUMNS_MAX": len(desk.ledger.columns),
        "FAULTS_MAX": max(len(column.faults) for column in desk.ledger.columns.values()),
        "OPEN_MAX": len(desk.ledger.open_incidents()),
    }
    assert kept[limit] == 50


def test_results_do_not_pile_up() -> None:
    desk = PureDesk("desk")
    many(desk, ((topic_of(HOSTILE, "result"), {"v": 1, "id": f"{n}", "ok": True, "error": None}) for n in range(300)))
    assert len(desk.ledger.columns[HOSTILE].results) == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
KINDS = st.sampled_from([topic.split("/", 4)[4] for topic, *_ in EXAMPLES])


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(KINDS, st.booleans(), st.dictionaries(st.text(max_size=6), JSON, max_size=3)), max_size=8))
def test_whatever_gets_in_can_be_written_and_shown(
    tmp_path_factory: pytest.TempPathFactory, messages: list[tuple[str, bool, dict[str, Any]]]
) -> None:
    """Right messages with strange additions, on a real register: nothing raises, and all of it is strict JSON."""
    with Register(tmp_path_factory.mktemp("hostile") / "register.db") as register:
        register._db.execute("PRAGMA synchronous = OFF")
        desk, batch = PureDesk("desk"), Batch()
        intake = Intake(desk.ledger, desk.silence, "desk")
        for number, (kind, retain, more) in enumerate(messages):
            topic, document = next((topic, each) for topic, _, _, each in EXAMPLES if topic.endswith(f"/{kind}"))
            payload = json.dumps({**more, **document, **{k: v for k, v in more.items() if k == "detail"}}).encode()
            intake.take(batch, topic, payload, retain=retain, now_ms=number)
        batch.write(register, desk.ledger, desk.silence, 1)
        shown: list[Any] = [register.columns(), register.events(OTHER), register.violations()]
        shown += [register.incident(row["id"]) for row in register.incidents()]
        json.dumps(shown, allow_nan=False, ensure_ascii=False).encode("utf-8")
        assert register.restore().columns.keys() == desk.ledger.columns.keys()


# On a real broker


@pytest.fixture
def duty(register: Register, broker: Mosquitto) -> Iterator[Duty]:
    with Duty(register, broker.host, broker.port) as running:
        running.wait_connected(PATIENCE_S)
        yield running


def marked(value: Any) -> Any:
    """The same document with markup wherever text may stand."""
    if isinstance(value, dict):
        free = ("address", "detail", "fw", "uid", "chip", "micropython", "culprit", "traceback", "error")
        return {key: MARKUP if key in free else marked(part) for key, part in value.items()}
    return value


@pytest.mark.mosquitto
def test_markup_stays_the_text_that_it_is(duty: Duty, register: Register, street: Street) -> None:
    for kind in ("info", "fault", "event", "heartbeat"):
        document = {**marked(example(kind)[1]), **({"device_id": HOSTILE} if kind == "info" else {})}
        street.say(HOSTILE, kind, document)
    street.press(HOSTILE, **{key: marked(part) for key, part in alarm_of(HOSTILE).items() if key == "location"})
    street.wait_for(alarm_of(HOSTILE)["id"], "received")
    (column,) = register.columns()
    assert column["info"]["location"]["address"] == MARKUP and column["info"]["hw"]["uid"] == MARKUP
    assert [fault["detail"] for fault in column["faults"].values()] == [MARKUP]
    assert register.incidents()[0]["alarm"]["location"]["address"] == MARKUP
    assert not register.violations()


def do_all_that_is_bad(street: Street) -> None:
    long = b'"' + b"x" * MIB + b'"'
    for kind in validator.KINDS:
        topic = topic_of(HOSTILE, "fault/f" if kind == "fault" else kind)
        retain = validator.delivery(kind)[1]
        for payload in (b"x" * MIB, b"[" * MIB, b'{"v":' + long + b"}", event(long.decode()), b"\xff\xfe", b"", b"{}"):
            street.publish(topic, payload, 1, retain)
    for topic in (
        f"sos/v1/nko/{HOSTILE}/" + "x/" * 150 + "x",
        "sos/v1/nko/UPPER/alarm",
        f"sos/v1/nko/{'x' * 60000}/alarm",
    ):
        street.publish(topic, b"{}", 1)
    for number in range(2000):
        street._mqtt.publish(topic_of(HOSTILE, "alarm"), packed(alarm_of(HOSTILE, seq=number)), 1)


def heard(street: Street) -> bool:
    """The broker drops what a desk's queue has no room for: the column says it again, as every column does."""
    incident_id = street.press(OTHER)
    with contextlib.suppress(AssertionError):
        street.wait_for(incident_id, "received", timeout_s=1.0)
    return "received" in street.states(incident_id)


@pytest.mark.mosquitto
def test_a_hostile_column_is_bounded_and_the_others_are_heard(
    duty: Duty, register: Register, broker: Mosquitto
) -> None:
    with Street(broker, hears=OTHER) as street:
        do_all_that_is_bad(street)
        until(lambda: heard(street), "an answer to the other column")
    assert len(register.incidents(device_id=HOSTILE, state="open")) <= limits.OPEN_MAX + 30
    violations = register.violations(limit=10 * VIOLATIONS_MAX)
    assert 50 <= len(violations) <= VIOLATIONS_MAX
    assert all(len(one["why"]) <= WHY_MAX and len(one["topic"]) <= TOPIC_MAX for one in violations)
    assert any("messages a second" in one["why"] for one in violations)
    assert sum(file.stat().st_size for file in register.path.parent.iterdir()) < 8 * MIB
    assert {column["device_id"] for column in register.columns()} == {HOSTILE, OTHER}
    assert register.incidents(device_id=OTHER)[0]["state"] == "received"


@pytest.mark.mosquitto
def test_a_message_that_trips_the_desk_does_not_come_again_for_ever(
    duty: Duty, register: Register, street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the intake nor in the register: what nobody thought of is refused, and the next one is heard."""
    enter, put = Intake.enter, Register.put_event

    def trip(self: Intake, batch: Batch, topic: str, payload: bytes, **rest: Any) -> None:
        if b"stumble" in payload:
            raise RuntimeError("nobody thought of it")
        enter(self, batch, topic, payload, **rest)

    def overflow(self: Register, device_id: str, at_ms: int, name: str, detail: Any) -> None:
        put(self, device_id, 1 << 70 if detail == "overflow" else at_ms, name, detail)

    monkeypatch.setattr(Intake, "enter", trip)
    monkeypatch.setattr(Register, "put_event", overflow)
    for detail in ("stumble", "overflow"):
        street.publish(topic_of(HOSTILE, "event"), event(f'"{detail}"'))
        until(lambda detail=detail: detail in str(said(register)) or None, f"a violation for {detail}")  # type: ignore[misc]
    street.wait_for(street.press(OTHER), "received")
    assert duty.connected


def said(register: Register) -> list[str]:
    """The violations, with what tripped them."""
    words = {"nobody thought of it": "stumble", "too large": "overflow"}
    return [word for one in register.violations() for text, word in words.items() if text in one["why"]]
