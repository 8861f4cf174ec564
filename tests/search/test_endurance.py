"""The endurance part's short share on 32-bit MicroPython, its controls, and the strictness of its broker."""

import json

import pytest
from column_probe import need

from sim.search.endurance import search
from sim.search.endurance.broker import LAST_ID, CountingBroker
from sim.search.endurance.search import PLAIN, Trial, Weight
from sim.virtual import mqtt_wire as wire

PUBLISHES = 500  # past the wrap, which a short run begins close to
BUDGET_S = 120.0


def tried(control: str | None) -> Trial:
    need("micropython32")
    trial = Trial(PLAIN, PUBLISHES, control)
    trial.perform(BUDGET_S, lambda _: None)
    return trial


@pytest.mark.micropython
def test_publishes_over_the_wrap_in_96_kib() -> None:
    trial = tried(None)
    assert trial.violations == []
    assert trial.broker.publishes >= PUBLISHES and trial.broker.wraps == 1 and trial.broker.sessions == 1
    assert len(trial.broker.alarms) >= PUBLISHES // search.PER_ALARM - 20  # a start has publishes of its own
    assert min(one.free for one in trial.weights) > 0 and min(one.largest for one in trial.weights[:-1]) > 0


@pytest.mark.micropython
def test_a_leak_is_noticed() -> None:
    assert any("heap slope" in text for text in tried("leak").violations)


@pytest.mark.micropython
def test_a_packet_id_that_never_wraps_is_noticed() -> None:
    assert any("QoS 0, after packet id 65535" in text for text in tried("wrap").violations)


# -- the heap's slope


def weighed(rise: float) -> Trial:
    trial = Trial(PLAIN, 200_000, None)
    trial.broker = CountingBroker()
    trial.broker.publishes, trial.broker.wraps = 200_000, 3
    trial.weights = [Weight(at, int(50_000 + rise * at), 9_000, 8_000) for at in range(0, 100_000, 500)]
    trial._judge()
    return trial


def test_a_flat_heap_is_no_leak_and_a_byte_in_ten_alarms_is_one() -> None:
    assert weighed(0).violations == [] and abs(weighed(0).slope) < 0.01
    assert weighed(0.1).violations and weighed(0.1).slope == pytest.approx(50, abs=1)


# -- the broker


def publish(number: int, ident: str | None = None, dup: bool = False) -> wire.Packet:
    topic = "sos/v1/nko/bench/" + ("event" if ident is None else "alarm")
    message = wire.Publish(topic, json.dumps({"id": ident}).encode(), 1, False, dup, number)
    packet = wire.take(bytearray(wire.publish(message)))
    assert packet is not None
    return packet


def test_ids_over_the_wrap_are_counted() -> None:
    broker = CountingBroker()
    for number in (LAST_ID - 1, LAST_ID, 1, 2):
        assert broker._answers(publish(number)) == [wire.with_id(wire.PUBACK, number)]
    assert broker.violations == [] and (broker.publishes, broker.wraps) == (4, 1)


def test_an_id_left_out_and_an_alarm_that_comes_twice_are_noticed() -> None:
    broker = CountingBroker()
    broker._answers(publish(1, "bench-1-1"))
    broker._answers(publish(1, "bench-1-1", dup=True))
    assert broker.violations == [] and broker.repeats == 1
    broker._answers(publish(3, "bench-1-1"))
    assert [text.split(":")[0] for text in broker.violations] == ["wire", "I3"]


def test_an_alarm_is_answered_and_closed() -> None:
    puback, *answers = CountingBroker()._answers(publish(7, "bench-1-1"))
    assert puback == wire.with_id(wire.PUBACK, 7)
    states = [json.loads(answer[answer.index(b"{") :])["state"] for answer in answers]
    assert states == ["received", "closed"]


@pytest.mark.parametrize("what", ["carrier pigeon:10", ""])
def test_a_replay_that_makes_no_sense(what: str) -> None:
    with pytest.raises(ValueError, match="a number of publishes"):
        search.replay(what, None)
