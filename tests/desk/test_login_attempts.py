"""How often somebody may try to log in, and how many are counted."""

from __future__ import annotations

import pytest

from desk.web.sessions import ADDRESS_TRIES, DELAY_S, TRIES, TRY_WINDOW_S, WAIT_MAX_S, Attempts


def test_tries_are_counted_by_name_and_place() -> None:
    now_s = [0.0]
    attempts = Attempts(lambda: now_s[0])
    assert [attempts.begin("a", "192.0.2.1") for _ in range(TRIES)] == [0.0] * TRIES
    assert attempts.begin("a", "192.0.2.1") == DELAY_S
    assert attempts.begin("a", "192.0.2.1") == 2 * DELAY_S  # one after the other, however many come at once
    assert attempts.begin("a", "192.0.2.2") == 0.0  # nobody holds up somebody elsewhere
    now_s[0] = TRY_WINDOW_S
    assert attempts.begin("a", "192.0.2.1") == 0.0


def test_a_line_has_an_end_and_moves_on() -> None:
    now_s = [0.0]
    attempts = Attempts(lambda: now_s[0])
    waits = [attempts.begin("a", "192.0.2.1") for _ in range(1000)]
    made = [wait for wait in waits if wait <= WAIT_MAX_S]
    assert len(made) == TRIES + WAIT_MAX_S // DELAY_S
    now_s[0] = DELAY_S
    assert attempts.begin("a", "192.0.2.1") <= WAIT_MAX_S


def test_many_names_from_one_place() -> None:
    attempts = Attempts(lambda: 0.0)
    waits = [attempts.begin(f"name {number}", "2001:db8::1") for number in range(ADDRESS_TRIES)]
    assert waits == [0.0] * ADDRESS_TRIES
    assert attempts.begin("one more", "2001:db8::ffff") == DELAY_S  # its owner has the whole network
    assert attempts.begin("one more", "2001:db8:0:1::1") == 0.0


def test_who_gets_in_begins_anew() -> None:
    attempts = Attempts(lambda: 0.0)
    for _ in range(10 * ADDRESS_TRIES):
        assert attempts.begin("a", "192.0.2.1") == 0.0
        attempts.succeeded("a", "192.0.2.1")


def test_what_is_counted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.web.sessions.PLACES_MAX", 10)
    attempts = Attempts(lambda: 0.0)
    for number in range(100):
        attempts.begin("a", f"192.0.2.{number}")
    assert len(attempts._tried) <= 10
