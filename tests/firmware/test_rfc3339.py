"""Times as text, against the host's own calendar."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware import rfc3339
from firmware.rfc3339_parse import parse

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
times = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31))


def epoch_ms(when: datetime) -> int:
    return (when - EPOCH) // timedelta(milliseconds=1)


@settings(deadline=None, derandomize=True)
@given(times)
def test_text_is_what_the_host_says(when: datetime) -> None:
    when = when.replace(tzinfo=UTC)
    expected = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert rfc3339.text(epoch_ms(when)) == expected


@settings(deadline=None, derandomize=True)
@given(times, st.integers(-14 * 60, 14 * 60))
def test_parse_takes_every_zone(when: datetime, offset_min: int) -> None:
    local = when.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
    assert parse(local.isoformat(timespec="microseconds")) == epoch_ms(local)


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 7_258_118_400_000))
def test_round_trip(moment_ms: int) -> None:
    assert parse(rfc3339.text(moment_ms)) == moment_ms


@pytest.mark.parametrize(
    ("text", "moment_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T12:00:00.5Z", 951_825_600_500),
        ("2026-11-22T18:34:56.789+05:00", 1_795_354_496_789),
        ("2026-11-22t13:34:56z", 1_795_354_496_000),
    ],
)
def test_known_times(text: str, moment_ms: int) -> None:
    assert parse(text) == moment_ms


@pytest.mark.parametrize(
    "text",
    ["", "soon", None, 7, [], "2026-11-22", "2026-11-22 12:00:00Z", "2026-11-22T12:00:00", "2026-13-01T00:00:00Z"]
    + ["2026-00-01T00:00:00Z", "2026-11-32T00:00:00Z", "2026-11-22T12:00:00+5", "2026-11-22T12:00:00.Zjunk", "x" * 30],
)
def test_no_time_is_a_value_error(text: object) -> None:
    with pytest.raises(ValueError):
        parse(text)  # type: ignore[arg-type]


@settings(deadline=None, derandomize=True)
@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(parse(text), int)
