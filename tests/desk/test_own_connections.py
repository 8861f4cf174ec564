"""A desk connects of its own accord no more often than every broker puts up with."""

from __future__ import annotations

import pytest

from desk.limits import OWN_CONNECTIONS, Flood
from desk.line import Line, Login, monotonic_ms

LOCKED_OUT_AT = 15  # within a minute, by EMQX's flapping detection
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@pytest.mark.parametrize("eager_ms", [10, 900, 3_000, 7_000])
def test_however_often_there_is_a_reason_to_no_minute_has_too_many(eager_ms: int) -> None:
    """Red with a burst of 8, or one each 5 s."""
    one, made_ms = Flood(*OWN_CONNECTIONS), []
    for now_ms in range(0, HOUR_MS, eager_ms):
        if one.admits("", now_ms):
            made_ms.append(now_ms)
    worst = max(sum(at <= each < at + MINUTE_MS for each in made_ms) for at in made_ms[:50])
    assert worst < LOCKED_OUT_AT - 1, "the broker may end some, too"
    assert len(made_ms) > HOUR_MS / 10_000, "and it goes on trying"


def test_what_is_rare_waits_for_nothing() -> None:
    one = Flood(*OWN_CONNECTIONS)
    for now_ms in range(0, HOUR_MS, 10_000):  # as a flood that lasts has the line connect again
        assert one.admits("", now_ms)


def test_a_flood_in_pulses_is_no_reason_to_connect_again_and_again() -> None:
    """Red without the look at OWN_CONNECTIONS in `_is_to_renew`. An end by the broker is none of its business."""

    def nothing(*_: object) -> None: ...

    line = Line("desk-1", Login("127.0.0.1", 1), ["sos/#"], lambda *_: True, nothing, nothing, nothing)
    line.stands, renewed = True, 0
    for _ in range(OWN_CONNECTIONS[0] + 3):
        line._flooded_ms = (monotonic_ms() - 5_000,) * 2
        line.look()
        renewed, line.renews = renewed + line.renews, False
    assert renewed == OWN_CONNECTIONS[0]
