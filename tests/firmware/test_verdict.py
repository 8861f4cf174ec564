"""What the end of a session proves: two in a row at the same kind of packet, and nothing less."""

from types import SimpleNamespace
from typing import Any

import pytest

from firmware import verdict
from firmware.session import CLOSED, LinkLost

YOUNG_MS = 60_000


def uplink() -> Any:
    """A careful one, of which nothing is known."""
    return SimpleNamespace(evidence=None, careful=True, refused={}, refusal=None, rival=None, deaf=b"", young=0,
                           young_ms=YOUNG_MS)  # fmt: skip


def owes(kind: str = "", retained: bool = False) -> Any:
    """A session that has sent such a message and waits for its PUBACK, or owes nothing."""
    topic = b"sos/v1/nko/p-1/" + kind.encode()
    sent = [SimpleNamespace(token=(topic, b"", retained), packet=bytes(30))] if kind else []
    return SimpleNamespace(sent=sent, subscriptions=[], once=b"")


def dies(one: Any, *kinds: str, why: Exception | None = None, retained: bool = False) -> Any:
    for kind in kinds:
        verdict.judge(one, owes(kind, retained), why or LinkLost(CLOSED), False)
    return one


def test_two_sessions_in_a_row_convict_what_both_ended_at() -> None:
    assert dies(uplink(), "event").refused == {}
    assert dies(uplink(), "event", "event").refused == {b"event": "event (30 bytes)"}
    assert dies(uplink(), "event", "event").refusal == "it ends the session at: event (30 bytes)"


def test_two_that_ended_at_different_packets_prove_nothing() -> None:
    """Red when any two suspicions are taken for two of the same."""
    assert dies(uplink(), "event", "info", "event", "info").refused == {}


def test_retained_is_suspected_first_where_the_broker_closed() -> None:
    assert dies(uplink(), "info", "info", retained=True).refused == {verdict.RETAINED: "retained messages"}
    silent = dies(uplink(), "info", "info", retained=True, why=LinkLost("no PUBACK for 2000 ms, twice"))
    assert list(silent.refused) == [b"info"]


@pytest.mark.parametrize(
    ("kinds", "rival"), [(["", "", ""], True), (["", ""], False), (["", "", "event", "", ""], False)]
)
def test_three_that_were_ended_for_nothing_in_a_row_tell_of_a_rival(kinds: list[str], rival: bool) -> None:
    """Red when a session that owed something does not begin the count anew."""
    said = "the broker ends its sessions for nothing: a second device with this id?"
    assert dies(uplink(), *kinds).rival == (said if rival else None)


def test_a_rival_closes_and_a_bad_link_does_not() -> None:
    assert dies(uplink(), "", "", "", why=LinkLost("no answer to a ping")).rival is None
    assert dies(uplink(), "", "", "", why=OSError(104, "reset")).rival


def test_what_is_refused_is_tried_again_ever_later() -> None:
    """After 2, 4, ... 64 times of what counts as young. Red when a try in vain is not counted."""
    one, found = uplink(), []
    for _ in range(8):
        dies(one, "event", "event")
        found.append(one.evidence["again_ms"] // YOUNG_MS)
        verdict.judge(one, owes(), LinkLost("tried again"), True)
        assert one.refused == {} and one.refusal is None and one.careful
    assert found == [2, 4, 8, 16, 32, 64, 64, 64]
