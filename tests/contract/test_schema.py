"""The validator: each rule of the contract accepts what it should and refuses what it should."""

import contextlib
import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from contract_examples import EXAMPLES, ROOT, example, nodes, packed, schema

from contract.validator import KINDS, ContractError, Topic, delivery, topic_kind, validate


def refusal(topic: str, payload: bytes, **flags: Any) -> str:
    with pytest.raises(ContractError) as caught:
        validate(topic, payload, **flags)
    return str(caught.value)


@pytest.mark.parametrize(("topic", "qos", "retain", "document"), EXAMPLES)
def test_unknown_keys_are_accepted_everywhere(topic: str, qos: int, retain: bool, document: dict[str, Any]) -> None:
    document = copy.deepcopy(document)
    for node in nodes(document):
        node["a_key_of_next_year"] = {"x": [1]}
    if topic.endswith("/alarm"):
        assert len(packed(document)) <= 1024, "the example leaves no room for this test"
    validate(topic, packed(document))


def test_topic_is_taken_apart() -> None:
    assert topic_kind(f"{ROOT}/alarm") == Topic("nko", "petropavl-01", "alarm", "")
    assert topic_kind(f"{ROOT}/fault/tamper") == ("nko", "petropavl-01", "fault", "tamper")


def test_empty_payload_clears_a_fault_even_an_unknown_one() -> None:
    validate(f"{ROOT}/fault/of-next-year", b"", qos=1, retain=True)


def test_alarm_of_exactly_1024_bytes_is_accepted() -> None:
    topic, document = example("alarm")
    document["fw"] += "x" * (1024 - len(packed(document)))
    assert len(packed(document)) == 1024
    validate(topic, packed(document))


GOOD = [
    ("alarm.location.geo", "geo:-90,180"),
    ("alarm.location.geo", "geo:54.8753,69.1628,142.5;crs=wgs84;u=0.5"),
    ("alarm.location.geo", "geo:1,2;u=5;c;cr;cru=1;crsx;usr=a,b;x"),
    ("alarm.stream", {"ok_at": None}),
    ("alarm.stream.rtsp", "rtsps://viewer@[2001:db8::1]:322/live?channel=1"),
    ("alarm.stream.sip", "sip:+77152000000@pbx.example:5060;transport=tcp"),
    ("alarm.faults", ["of-next-year"]),
    ("event.event", "of-next-year"),
    ("result.detail", None),
    ("state.at", None),
]


def with_value(path: str, value: Any) -> tuple[str, bytes]:
    """The example of the kind that the path begins with, with another value at the path."""
    kind, *parents, key = path.split(".")
    topic, document = example(kind)
    target = document
    for parent in parents:
        target = target[parent]
    target[key] = value
    return topic, packed(document)


KINDS_OF_CALL = [("actual", "sos"), ("test", "drill"), ("exercise", "drill"), ("test", "sos")]


@pytest.mark.parametrize(("status", "event_type"), KINDS_OF_CALL)
def test_a_drill_need_not_look_like_a_call(status: str, event_type: str) -> None:
    """The last one is how firmware before 1.1 says it; an actual call that looks like a drill is refused (BAD)."""
    topic, document = example("alarm")
    document.update(status=status, event_type=event_type)
    validate(topic, packed(document))


@pytest.mark.parametrize(("path", "value"), GOOD)
def test_good_value_is_accepted(path: str, value: Any) -> None:
    validate(*with_value(path, value))


# The validator refuses

REQUIRED = [(kind, key) for kind in KINDS for key in schema(kind)["required"]]
NESTED = [("alarm", "location", key) for key in ("geo", "address", "site", "height_m")]
NESTED += [("alarm", "stream", "ok_at"), ("info", "config", "digest"), ("info", "config", "source")]
NESTED += [("info", "hw", key) for key in ("chip", "uid", "micropython")]
NESTED += [("info", "reset", key) for key in ("cause", "culprit", "traceback")]


@pytest.mark.parametrize(("kind", "key"), REQUIRED)
def test_missing_key_is_refused_by_name(kind: str, key: str) -> None:
    topic, document = example(kind)
    del document[key]
    assert f"{topic}: {key}: found nothing, should be " in refusal(topic, packed(document))


@pytest.mark.parametrize(("kind", "part", "key"), NESTED)
def test_missing_nested_key_is_refused_by_name(kind: str, part: str, key: str) -> None:
    topic, document = example(kind)
    del document[part][key]
    assert f"{topic}: {part}.{key}: found nothing, should be " in refusal(topic, packed(document))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [0, 2, "1", True, None])
def test_other_version_is_refused(kind: str, version: Any) -> None:
    assert f": v: found {version!r}, should be 1" in refusal(*with_value(f"{kind}.v", version))


BAD_TIMES = [
    "2026-11-22T09:41:07Z",
    "2026-11-22T09:41:07.25Z",
    "2026-11-22T09:41:07.250+06:00",
    1_795_340_467,
]
BAD_TIMES += ["2026-11-22 09:41:07.250Z", "2026-02-30T09:41:07.250Z", "2026-11-22T24:41:07.250Z", ""]
BAD_TIMES += ["2026-11-22T09:41:07.250Z\n", "٢٠٢٦-11-22T09:41:07.250Z"]
TIMES = [
    "alarm.raised_at",
    "alarm.stream.ok_at",
    "info.stream.ok_at",
    "ack.at",
    "state.at",
    "info.at",
    "heartbeat.at",
]
TIMES += ["fault.since", "event.at", "cmd.expires"]
BAD_COUNTS = [-1, 1.5, "1", True, None]
COUNTS = ["alarm.press", "alarm.age_ms", "state.boot", "info.boot", "heartbeat.boot", "heartbeat.seq"]
COUNTS += ["heartbeat.uptime_s", "heartbeat.heap_free", "heartbeat.heap_min", "heartbeat.queue"]
COUNTS += ["heartbeat.open_incidents", "heartbeat.dropped"]
BAD_GEOS: list[Any] = [
    "54.8753,69.1628",
    "geo:54.8753",
    "geo:91,0",
    "geo:90.1,0",
    "geo:0,181",
    "geo:0,180.5",
    "geo: 1,2",
]
BAD_GEOS += ["geo:54,8753,69,1628", "geo:1,2;u=-5", "geo:1,2;crs=nad27", "geo:1,2\n", "", 5]
BAD_GEOS += ["geo:1,2;x=1;u=5", "geo:1,2;u=5;crs=wgs84", "geo:1,2;u=5;u=6", "geo:1,2;u", "geo:1,2;crs"]
PASSWORDS = [
    ("rtsp", "rtsp://admin:s3cret@camera.example/1"),
    ("rtsp", "rtsp://admin:s3c/ret@camera.example/1"),
    ("rtsp", "rtsp://camera.example/1?user=admin&password=s3cret"),
    ("webrtc", "https://admin:s3cret@camera.example/whep"),
    ("sip", "sip:column:s3cret@pbx.example"),
    ("sip", "sip:column@pbx.example;password=s3cret"),
    ("http", "http://:s3cret@camera.example/"),
    ("http", "http://camera.example/?Pwd=s3cret"),
]
BAD: dict[str, list[Any]] = {
    "alarm.event_type": ["SOS", "drill", None],
    "alarm.id": ["petropavl-01-17", "petropavl-02-17-3", "petropavl-01-17-3\n", 3],
    "alarm.device_id": ["petropavl-02", "Petropavl-01", ""],
    "alarm.status": ["Actual", None],
    "alarm.press": [0],
    "alarm.raised_at": [None],
    "alarm.clock": ["gps", None],
    "alarm.late": [0, "false"],
    "alarm.location": [None, "geo:1,2"],
    "alarm.location.geo": BAD_GEOS,
    "alarm.location.address": ["", None],
    "alarm.location.site": ["park"],
    "alarm.location.height_m": ["1 m", -1, 101],
    "alarm.stream": ["rtsp://camera.example/1", None],
    "alarm.stream.rtsp": ["http://camera.example/1", "rtsp://", None, 554],
    "alarm.stream.webrtc": ["camera.example", 443],
    "alarm.stream.sip": ["petropavl-01@pbx.example", 5060],
    "alarm.stream.http": ["ftp://camera.example/", "http://camera.example/ x"],
    "alarm.faults": [None, ["tamper", "tamper"]],
    "alarm.faults[0]": [["Tamper"], [""], [1]],
    "alarm.fw": ["", 1],
    "ack.id": ["petropavl-02-17-3", 17],
    "ack.state": ["answered"],
    "ack.by": ["", None],
    "ack.outcome": ["false"],  # the example's state is received
    "state.state": ["on"],
    "info.device_id": ["petropavl-02"],
    "info.fw": [None],
    "info.hw": ["esp32"],
    "info.hw.chip": [None],
    "info.location.geo": ["geo:91,0"],
    "info.stream.rtsp": ["rtsp://admin:s3cret@camera.example/1"],
    "info.capabilities": ["relay", ["relay", "relay"]],
    "info.capabilities[0]": [["Edge counter"]],
    "info.config": ["current"],
    "info.config.digest": ["9f86d08", "9F86D081884C7D65", "0" * 65, 9086081884765000],
    "info.config.source": ["old"],
    "info.mode": ["service"],
    "info.reset": ["soft"],
    "info.reset.cause": ["brown-out"],
    "info.reset.culprit": [3],
    "info.reset.traceback": [[]],
    "heartbeat.rssi_dbm": [1, -129, "-61", -61.5],
    "heartbeat.link": ["lte"],
    "heartbeat.clock": [None],
    "heartbeat.reset": ["brown-out"],
    "heartbeat.supply_mv": [-1, 12.1],
    "heartbeat.faults[0]": [[""]],
    "heartbeat.at": [None],
    "fault.id": ["tamper", "Stream down"],  # the topic says stream-down
    "fault.detail": [None],
    "event.event": ["Boot", "boot2", "", 1],
    "event.detail": [None, ["x"]],
    "cmd.id": ["", "x" * 65, 7],
    "cmd.cmd": ["open-door"],
    "cmd.expires": [None],
    "result.id": ["", "x" * 65],
    "result.ok": [1],
    "result.error": ["but ok is true"],
}
REFUSED = [(path, value) for path, values in BAD.items() for value in values]
REFUSED += [(path, value) for path in TIMES for value in BAD_TIMES]
REFUSED += [(path, value) for path in COUNTS for value in BAD_COUNTS]


@pytest.mark.parametrize(("path", "value"), REFUSED)
def test_bad_value_is_refused_with_topic_key_found_and_right(path: str, value: Any) -> None:
    topic, payload = with_value(path.removesuffix("[0]"), value)
    key = path.partition(".")[2]
    assert re.search(rf"{re.escape(topic)}: {re.escape(key)}: found .+, should be .{{3}}", refusal(topic, payload))


WRONG: tuple[Any, ...] = (None, True, -1, 1.5, 10**30, "x", "", [], ["x", 1], [1, -1], [[1]], {}, {"x": 1})
Path = tuple[str | int, ...]


def places(node: Any, path: Path = ()) -> Iterator[Path]:
    """Of all values in a document."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_stands_in_a_place_is_valid_or_refused_in_words(kind: str) -> None:
    """Anybody at the broker may write it. Red while `"n": ["x", 1]` ended in a KeyError, and with it a rollout: an item
    of a list has no description of its own."""
    topic, document = example(kind)
    document |= {"n": [17, 4], "mac": "0" * 32}
    for path in places(document):
        for value in WRONG:
            changed = copy.deepcopy(document)
            node = changed
            for step in path[:-1]:
                node = node[step]  # type: ignore[index]
            node[path[-1]] = value  # type: ignore[index]
            with contextlib.suppress(ContractError):
                validate(topic, packed(changed))
            del node[path[-1]]  # type: ignore[arg-type]
            with contextlib.suppress(ContractError):
                validate(topic, packed(changed))


@pytest.mark.parametrize(
    ("change", "found"), [({}, "nothing"), ({"outcome": "solved"}, "'solved'"), ({"outcome": None}, "None")]
)
def test_closed_needs_a_known_outcome(change: dict[str, Any], found: str) -> None:
    topic, document = example("ack")
    document |= {"state": "closed", **change}
    assert f": outcome: found {found}, should be administrative, " in refusal(topic, packed(document))


def test_only_a_false_call_has_a_kind_of_misuse() -> None:
    topic, document = example("ack")
    for state, outcome, word in (("closed", "other", "prank"), ("received", "", "prank"), ("closed", "false", "Prank")):
        told = {**document, "state": state, "misuse": word, **({"outcome": outcome} if outcome else {})}
        assert ": misuse: found " in refusal(topic, packed(told))
    validate(topic, packed({**document, "state": "closed", "outcome": "false", "misuse": "word-of-tomorrow"}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("payload", [b"[]", b"null", b'"sos"', b"1"])
def test_payload_that_is_no_object_is_refused(kind: str, payload: bytes) -> None:
    assert ": payload: found " in (message := refusal(example(kind)[0], payload))
    assert message.endswith("should be a JSON object")


@pytest.mark.parametrize(("kind", "key"), [("alarm", "raised_at"), ("heartbeat", "at")])
@pytest.mark.parametrize(("clock", "time"), [("none", "2026-11-22T09:41:07.250Z"), ("kept", None), ("ntp", None)])
def test_clock_and_time_must_agree(kind: str, key: str, clock: str, time: str | None) -> None:
    topic, document = example(kind)
    document |= {"clock": clock, key: time}
    assert f": {key}: found {time!r}, should be " in refusal(topic, packed(document))


@pytest.mark.parametrize("error", [None, "", 5])
def test_result_without_success_needs_an_error_in_words(error: Any) -> None:
    topic, document = example("result")
    document |= {"ok": False, "error": error}
    assert f": error: found {error!r}, should be " in refusal(topic, packed(document))


@pytest.mark.parametrize(("key", "uri"), PASSWORDS)
def test_error_message_does_not_repeat_the_password(key: str, uri: str) -> None:
    message = refusal(*with_value(f"alarm.stream.{key}", uri))
    assert "password" in message
    assert "s3c" not in message


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_qos_or_retain_is_refused(kind: str) -> None:
    topic, document = example(kind)
    qos, retain = delivery(kind)
    for wrong in {0, 1, 2} - {qos}:
        assert f": QoS: found {wrong}, should be {qos}" in refusal(topic, packed(document), qos=wrong)
    found = refusal(topic, packed(document), retain=not retain)
    assert f": retain flag: found {not retain}, should be {retain}" in found


def test_wrong_retain_is_refused_for_a_cleared_fault() -> None:
    assert "retain flag" in refusal(f"{ROOT}/fault/tamper", b"", retain=False)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "fault"])
def test_empty_payload_is_refused_but_for_faults(kind: str) -> None:
    assert "payload" in refusal(f"{ROOT}/{kind}", b"")


BAD_BYTES = [
    (b"\xff\xfe", "should be UTF-8"),
    ("Петропавл".encode("cp1251"), "should be UTF-8"),
    (b"not json", "should be JSON"),
    (b'{"v":1', "should be JSON"),
    (b'{"v":1}{"v":1}', "should be JSON"),
    (b'{"v":NaN}', "should be a JSON number"),
    (b'{"v":1,"v":1}', "v: found '2 times', should be there once"),
    (b"[" * 200_000, "sane depth"),
    (b"1" * 5_000, "payload"),
]


@pytest.mark.parametrize(("payload", "said"), BAD_BYTES, ids=map(str, range(len(BAD_BYTES))))
def test_payload_that_is_no_json_is_refused(payload: bytes, said: str) -> None:
    message = refusal(f"{ROOT}/event", payload)
    assert said in message and message.startswith(f"{ROOT}/event: ") and len(message) < 400


def test_alarm_of_1025_bytes_is_refused() -> None:
    topic, document = example("alarm")
    document["fw"] += "x" * (1025 - len(packed(document)))
    assert "found '1025 bytes', should be at most 1024 bytes" in refusal(topic, packed(document))


BAD_TOPICS = [
    "",
    "sos",
    "sos/v1/nko/petropavl-01",
    f"{ROOT}/",
    f"{ROOT}/alarms",
    f"{ROOT}/alarm/1",
    f"{ROOT}/fault",
    f"{ROOT}/fault/",
    f"{ROOT}/fault/a/b",
    f"{ROOT}/fault/Tamper",
    f"/{ROOT}/alarm",
    f"{ROOT}/alarm\n",
    "sos/v2/nko/petropavl-01/alarm",
    "sos/v1/NKO/petropavl-01/alarm",
    "sos/v1//petropavl-01/alarm",
    "sos/v1/nko/petropavl_01/alarm",
    "sos/v1/nko/" + "x" * 33 + "/alarm",
    "sos/v1/+/petropavl-01/alarm",
]


@pytest.mark.parametrize("topic", BAD_TOPICS)
def test_bad_topic_is_refused(topic: str) -> None:
    with pytest.raises(ContractError, match="topic.*found .*should be"):
        topic_kind(topic)
    assert "should be" in refusal(topic, packed(example("alarm")[1]))
