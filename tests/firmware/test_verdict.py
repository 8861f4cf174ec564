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


# -- what is left behind, to the last word


def asks(*topics: bytes, once: bytes = b"") -> Any:
    """A session that owes no message, but an answer to its subscriptions, or to a ping behind a heartbeat."""
    return SimpleNamespace(sent=[], subscriptions=list(topics), once=once)


def dies_at(one: Any, *sessions: Any) -> Any:
    for session in sessions:
        verdict.judge(one, session, LinkLost(CLOSED), False)
    return one


def test_the_next_session_is_careful_and_counted() -> None:
    one = uplink()
    one.careful = False
    dies(one, "event")
    assert one.careful is True and one.young == 1 and one.evidence["proofs"] == 0, "nobody watched this one"
    dies(one, "info")
    assert one.young == 2 and one.evidence["suspect"] == b"info" and one.evidence["proofs"] == 1


def test_a_conviction_begins_both_counts_anew() -> None:
    """Red when what comes after it counts from anything but none: one more death would convict the next."""
    one = dies(uplink(), "info", "info", retained=True)
    assert one.young == 1 and one.evidence["proofs"] == 0, "the death that convicted is the first one after it"
    dies(one, "info", retained=True)
    assert one.refused == {verdict.RETAINED: "retained messages"}
    dies(one, "info", retained=True)
    assert one.refused == {b"info": "info (30 bytes)"}, "it was not the flag"


def test_all_that_is_refused_is_said() -> None:
    one = dies(uplink(), "info", "info", "event", "event")
    assert one.refusal == "it ends the session at: info (30 bytes), event (30 bytes)"
    assert list(one.refused) == [b"info", b"event"]


def test_a_flag_that_is_refused_stays_so_beside_another_kind() -> None:
    one = dies(uplink(), "info", "info", retained=True)
    assert list(dies(one, "event", "event").refused) == [b"event"], "so it was not the flag either"


def test_a_kind_that_is_refused_is_not_convicted_again() -> None:
    one = dies(uplink(), "event", "event")
    one.refusal = "as it was"
    assert dies(one, "event", "event").refusal == "as it was"


def test_a_subscription_is_left_out_as_a_whole_topic() -> None:
    topic, other = b"sos/v1/nko/p-1/cmd", b"sos/v1/nko/p-1/piece"
    one = dies_at(uplink(), asks(topic, other), asks(topic, other))
    assert one.deaf == topic and one.refused == {b"cmd": "cmd (0 bytes)"}
    assert dies_at(one, asks(other), asks(other)).deaf == topic, "the first one is told"
    assert dies(uplink(), "event", "event").deaf == b""
    assert dies_at(uplink(), *[asks(once=b"sos/v1/nko/p-1/beat")] * 2).refused == {b"beat": "beat (0 bytes)"}
    assert dies_at(uplink(), *[asks(once=b"sos/v1/nko/p-1/beat")] * 2).deaf == b""


def test_a_message_that_was_sent_is_suspected_before_a_subscription_that_was_not() -> None:
    session = owes("event")
    session.subscriptions = [b"sos/v1/nko/p-1/cmd"]
    one = dies_at(uplink(), session, session)
    assert list(one.refused) == [b"event"] and one.deaf == b""


def test_the_first_of_two_messages_is_the_suspect_and_an_alarm_is_one_too() -> None:
    first, second = owes("info", retained=True).sent + owes("event").sent
    session = SimpleNamespace(sent=[first, second], subscriptions=[], once=b"")
    assert list(dies_at(uplink(), session, session).refused) == [verdict.RETAINED]
    alarm = SimpleNamespace(token=("incident", 1), packet=bytes(200))
    session = SimpleNamespace(sent=[alarm, second], subscriptions=[], once=b"")
    assert dies_at(uplink(), session, session).refused == {b"alarm": "alarm (200 bytes)"}


def test_after_calm_nothing_is_left_but_how_often_it_was_tried() -> None:
    topic = b"sos/v1/nko/p-1/cmd"
    one = dies_at(uplink(), asks(topic), asks(topic))
    one.rival = "so"
    verdict.judge(one, owes(), LinkLost(CLOSED), True)
    assert (one.refused, one.deaf, one.refusal, one.rival, one.careful) == ({}, b"", None, None, True)
    assert one.evidence["tries"] == 1
    verdict.judge(one, owes(), LinkLost(CLOSED), True)
    assert one.evidence is None and one.careful is False, "nothing was refused meanwhile"
