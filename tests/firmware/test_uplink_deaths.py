# mypy: allow-untyped-calls
"""The end of a session, seen from the uplink: is it judged, what does it forget, how soon does the next one begin?"""

from fake_net import PUBLISH, FakeStream
from uplink_rig import ADDRESS, RETRY_MAX_S, Rig, gaps

from firmware import verdict

MODULE = verdict.__name__
AT_ONCE_MS, PAUSE_MS = 100, 400
TOPIC = b"sos/v1/nko/p-1/heartbeat"


class Ended(Rig):
    """The broker ends each session at the first message."""

    def dial(self, address: str, port: int, server_name: str | None) -> FakeStream:
        stream = super().dial(address, port, server_name)
        stream.ends_at = lambda one: one.kind == PUBLISH
        return stream


def died(after_ms: int) -> Rig:
    rig = Rig(ADDRESS).run(after_ms)
    assert rig.uplink.is_up()
    rig.streams[-1].peer_closed = True
    rig.run_until(lambda: not rig.uplink.is_up(), 100)
    return rig


def test_a_session_that_died_young_is_judged_and_the_judge_forgotten() -> None:
    """Red when it is not looked at, and when its code stays in memory."""
    rig = died(2000)
    assert rig.uplink.evidence is not None and rig.uplink.careful and rig.uplink.young == 1
    assert rig.board.forgotten == [MODULE]


def test_one_that_died_old_is_not() -> None:
    """A broker's restart of once a week must not make the next session a careful one."""
    rig = died(RETRY_MAX_S * 1000 + 2000)
    assert rig.uplink.evidence is None and not rig.uplink.careful and rig.uplink.young == 0
    assert rig.board.forgotten == []


def test_an_old_one_makes_up_for_young_ones() -> None:
    rig = died(2000)
    rig.run_until(rig.uplink.is_up, 5000)
    rig.run(RETRY_MAX_S * 1000 + 100)
    rig.streams[-1].peer_closed = True
    rig.run_until(lambda: not rig.uplink.is_up(), 100)
    assert rig.uplink.young == 0 and rig.uplink.evidence is None


def test_a_link_that_went_is_no_word_of_the_broker() -> None:
    rig = Rig(ADDRESS).run(2000)
    rig.board.link.up = False
    rig.run_until(lambda: not rig.uplink.is_up(), 100)
    assert rig.uplink.evidence is None and rig.uplink.young == 0


def test_only_the_first_death_is_answered_at_once_while_an_alarm_waits() -> None:
    """Red when the second is as well: a broker that ends every session would be stormed."""
    rig = Ended(ADDRESS)
    rig.incidents.add("a-1")
    rig.run(4000)
    first, second = gaps(rig)[:2]
    assert first <= AT_ONCE_MS < PAUSE_MS <= second


def test_a_press_is_calm_again_for_the_broker() -> None:
    """What came before it does not hold it up."""
    rig = Ended(ADDRESS)
    rig.incidents.add("a-1")
    rig.run(2000)
    assert rig.uplink.young > 1
    rig.uplink.kick()
    assert rig.uplink.young == 0


def test_what_the_broker_refuses_counts_as_sent() -> None:
    """A heartbeat that it would end the session at: its task must not try again in the next turn."""
    rig = Rig(ADDRESS).run(2000)
    rig.uplink.refused = {b"heartbeat": "heartbeat (30 bytes)"}
    assert rig.uplink.publish_once(TOPIC, b"beat") is True
    assert rig.streams[-1].published(TOPIC) == []
    rig.uplink.refused = {}
    assert rig.uplink.publish_once(TOPIC, b"beat") is True and len(rig.streams[-1].published(TOPIC)) == 1
