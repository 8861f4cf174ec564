# mypy: allow-untyped-calls
"""Every message of the contract, held against its schema; and JSON as it goes out."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from config_document import document
from fake_board import FakeBoard
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import validator
from firmware import birth, encoding, rfc3339
from firmware.messages import ALARM_MAX_BYTES, Messages
from firmware.startup.config import validate

NOW_MS = 1_800_000_000_123


class FakeClock:
    source = "ntp"

    def text(self, epoch_ms: int | None) -> str | None:
        return None if epoch_ms is None else rfc3339.text(epoch_ms)

    def now_text(self) -> str | None:
        return None if self.source == "none" else rfc3339.text(NOW_MS)


def messages(source: str = "ntp") -> Any:
    clock = FakeClock()
    clock.source = source
    return Messages(validate(document(), "esp32")[0], clock, 7)


def checked(one: Any, kind: str, payload: bytes) -> dict[str, Any]:
    validator.validate(one.topic(kind).decode(), payload)
    return dict(json.loads(payload))


def incident(**changes: Any) -> Any:
    made = {"id": "petropavl-01-7-1", "status": "actual", "press": 1, "late": False, "clock": "ntp",
            "raised_at": NOW_MS, "age": SimpleNamespace(ms=lambda: 42)}  # fmt: skip
    return SimpleNamespace(**{**made, **changes})


def test_an_alarm() -> None:
    one = messages()
    body = checked(one, "alarm", one.alarm(incident(), ["tamper"]))
    assert (body["raised_at"], body["age_ms"], body["faults"]) == ("2027-01-15T08:00:00.123Z", 42, ["tamper"])
    assert body["location"]["address"] == "Петропавл, Конституция көшесі 1" and body["stream"]["ok_at"] is None


def test_an_alarm_of_a_column_without_a_clock() -> None:
    one = messages("none")
    body = checked(one, "alarm", one.alarm(incident(raised_at=None, clock="none", late=True), []))
    assert body["raised_at"] is None and body["age_ms"] == 42


def test_a_drill_is_no_call_for_those_who_read_only_the_event_type() -> None:
    one = messages()
    assert checked(one, "alarm", one.alarm(incident(), []))["event_type"] == "sos"
    assert checked(one, "alarm", one.alarm(incident(status="test"), []))["event_type"] == "drill"


def test_faults_give_way_when_an_alarm_gets_too_long() -> None:
    one = messages()
    body = checked(one, "alarm", one.alarm(incident(), [f"fault-{i}" for i in range(200)]))
    assert 0 < len(body["faults"]) < 200 and len(encoding.encode(body)) <= ALARM_MAX_BYTES


def test_the_rest_of_the_contract() -> None:
    for source in ("ntp", "kept", "none"):
        one = messages(source)
        assert checked(one, "state", one.state(True))["at"] == FakeClock.now_text(one.clock)
        assert checked(one, "state", one.state(False))["at"] is None, "a will has no time"
        checked(one, "fault/tamper", one.fault("tamper", NOW_MS, "open"))
        checked(one, "event", one.event("boot", {"number": 1}))
        checked(one, "result", one.result("c-1", None, {"a": 1}))
        checked(one, "result", one.result("c-1", "expired", None))
        reset = {"cause": "watchdog", "culprit": "uplink", "traceback": "x" * 5000}
        origin = {"digest": "0" * 16, "source": "current"}
        info = birth.info(one, FakeBoard(), origin, reset, "normal", ["relay"], "counter")
        assert len(checked(one, "info", bytes(info))["reset"]["traceback"]) == birth.TRACEBACK_MAX_CHARS


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_what_goes_out_reads_back_as_it_was(value: Any) -> None:
    assert json.loads(encoding.encode(value)) == value


def test_cyrillic_and_kazakh_take_two_bytes_a_letter() -> None:
    assert encoding.encode("Ә") == b'"\xd3\x98"' and len(json.dumps("Ә")) == 8


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON: object"):
        encoding.encode([object()])
