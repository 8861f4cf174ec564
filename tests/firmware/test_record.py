"""Framing: whatever happens to the bytes, a record is read back whole or not at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware import record

payloads = st.lists(st.binary(min_size=1, max_size=60).map(lambda b: b.replace(b"\n", b" ")), max_size=8)


@settings(deadline=None, derandomize=True)
@given(payloads)
def test_round_trip(records: list[bytes]) -> None:
    assert record.split(b"".join(map(record.frame, records))) == (records, [])


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_noise_is_never_a_record(noise: bytes) -> None:
    good, _ = record.split(noise)
    assert all(record.frame(payload).strip(b"\n") in noise for payload in good)


@settings(deadline=None, derandomize=True)
@given(payloads, st.binary(max_size=40), payloads)
def test_noise_between_records_costs_none(before: list[bytes], noise: bytes, after: list[bytes]) -> None:
    data = b"".join(map(record.frame, before)) + noise + b"".join(map(record.frame, after))
    good, _ = record.split(data)
    assert good == before + after


def test_a_line_feed_is_refused() -> None:
    with pytest.raises(ValueError, match="line feed"):
        record.frame(b"a\nb")


def test_a_damaged_line_is_given_back_whole() -> None:
    """Also the first one, when what should stand before it is gone."""
    assert record.split(b"torn" + record.frame(b"sound") + b"last") == ([b"sound"], [b"torn", b"last"])
