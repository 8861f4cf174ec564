"""Self-test on schedule: what has failed silently is found, and nobody who presses ever notices the search."""

import itertools

from rig import ANSWER_S, TELLING_MS, Alarm, Rig
from rig_virtual import VirtualRig

OFF = {"stream_s": 0, "drill_s": 0}
LOOKS = {"stream_s": 2, "drill_s": 0}  # a look every 1 to 2 s
DRILLS = {"stream_s": 0, "drill_s": 2}
QUIET_MS = 5_000  # in which several looks and drills would have come
PROTOCOLS = (b" RTSP/1.0\r\n", b" HTTP/1.1\r\n", b" SIP/2.0\r\n")


def start(rig: Rig, selftest: dict[str, int], **sections: dict[str, object]) -> None:
    """Ready, with a clock, and with a camera that answers."""
    rig.start(selftest=selftest, stream=rig.camera(), **sections)
    rig.wait_heard("heartbeat", clock="ntp")


def press(rig: Rig) -> Alarm:
    """The alarm, once the centre has answered."""
    known = set(rig.alarms())
    rig.press()
    rig.wait_lamp("calling", 500)
    rig.wait_lamp("answered")
    [new] = [one for one in rig.alarms().values() if one.id not in known and one.body["status"] == "actual"]
    return new


def test_an_alarm_says_when_the_stream_was_reached(rig: Rig) -> None:
    """Red when `stream_ok_at` is not set, or a request of one of the protocols is not one (the camera is strict)."""
    start(rig, LOOKS)
    rig.until(lambda: all(any(p in one for one in rig.asked()) for p in PROTOCOLS), 10_000, "a look with each protocol")
    rig.pass_time(500)
    body = press(rig).body
    assert body["stream"]["ok_at"] is not None and body["faults"] == []


def test_switched_off_it_does_nothing(rig: Rig) -> None:
    """The other side of the first test, and of that with drills. Red when 0 is taken for "always"."""
    start(rig, OFF)
    rig.pass_time(QUIET_MS)
    assert rig.asked() == [] and rig.alarms() == {}
    assert press(rig).body["stream"]["ok_at"] is None


def test_a_stream_that_is_away_is_a_fault_until_it_is_back(rig: Rig) -> None:
    """Red when a failed look is forgotten, or the fault is never cleared."""
    start(rig, LOOKS)
    rig.camera(up=False)
    fault = rig.wait_heard("fault/stream-down", 30_000)
    assert "http://" in fault["detail"], "by its URI"
    alarm = press(rig)
    assert alarm.body["faults"] == ["stream-down"]
    rig.pass_time(200)  # no operator is faster than the lamp
    rig.answer(alarm.id, "closed")
    rig.camera()
    rig.until(lambda: rig.heard("fault/stream-down") is None, 30_000, "the fault cleared")


def test_a_stream_that_is_not_known_there_is_a_fault(rig: Rig) -> None:
    """Red when any answer is good enough."""
    start(rig, LOOKS)
    rig.camera(status=404)
    assert rig.wait_heard("fault/stream-down", 30_000)["detail"].endswith("answers 404")
    rig.camera(status=401)
    rig.until(lambda: rig.heard("fault/stream-down") is None, 30_000, "one that asks who we are is there")


def test_a_drill_is_seen_by_nobody(rig: Rig) -> None:
    """Red when a drill shows on the lamp, closes the relay or is noted as a press."""
    start(rig, DRILLS)
    mark = rig.mark()
    drills = rig.wait_alarms(2, 30_000)
    assert {one.body["status"] for one in drills} == {"test"}
    assert rig.lamps(mark) == [] and rig.noted() == {}
    assert not [event for event in rig.events if event["event"] == "relay" and event["closed"]]
    assert rig.heard("fault/drill-unanswered") is None


def test_a_drill_that_nobody_answers_is_a_fault_until_one_is(rig: Rig) -> None:
    """Red when only drills by command raise it, or none follows one that failed."""
    start(rig, DRILLS)
    mark = rig.mark()
    rig.silence_centre()
    assert "no answer to" in rig.wait_heard("fault/drill-unanswered", 30_000)["detail"]
    rig.centre_answers()
    rig.until(lambda: rig.heard("fault/drill-unanswered") is None, 30_000, "the fault cleared")
    assert rig.lamps(mark) == [], "not even one that failed is shown"


def test_a_press_during_a_drill_comes_first(rig: Rig) -> None:
    """Red when the drill has to end first: unanswered, it takes `answer_s`."""
    start(rig, DRILLS)
    rig.silence_centre()
    known = set(rig.alarms())
    rig.until(lambda: set(rig.alarms()) - known, 10_000, "an unanswered drill")
    pressed_ms = rig.now_ms()
    rig.press()
    rig.wait_lamp("calling", 500)
    assert rig.wait_lamp("sent") - pressed_ms < ANSWER_S * 1000 / 2 + rig.slack_ms
    rig.centre_answers()
    rig.wait_lamp("answered")
    rig.until(lambda: rig.actual() == rig.noted(), TELLING_MS, "agreement of the centre with the column")


def test_a_press_does_not_wait_for_a_camera_that_says_nothing(rig: Rig) -> None:
    """Red when a look blocks the loop: it may last 20 s."""
    rig.start(selftest=LOOKS, stream=rig.camera(status=None))
    rig.until(rig.asked, 10_000, "a look")
    pressed_ms = rig.now_ms()
    press(rig)
    assert rig.now_ms() - pressed_ms < 2_000 + rig.slack_ms


def test_nothing_is_tried_while_an_incident_is_open(rig: Rig) -> None:
    """Red when the column looks or drills although somebody waits for help."""
    start(rig, {"stream_s": 2, "drill_s": 2})
    rig.until(rig.asked, 10_000, "a look")
    alarm = press(rig)
    rig.pass_time(ANSWER_S * 1000 + 1000)  # a drill that was under way ends
    looks, known = len(rig.asked()), len(rig.alarms())
    rig.pass_time(QUIET_MS)
    assert len(rig.asked()) == looks and len(rig.alarms()) == known
    rig.answer(alarm.id, "closed")
    rig.until(lambda: len(rig.asked()) > looks and len(rig.alarms()) > known, 15_000, "it goes on afterwards")


def test_columns_that_start_together_do_not_drill_together() -> None:
    """Virtual time. Red without the random part: all of them at the same millisecond."""
    firsts = []
    for seed in range(5):
        rig = VirtualRig(seed)
        rig.start(selftest={"stream_s": 0, "drill_s": 1000}, telemetry={"heartbeat_s": 300})
        rig.world.run(1_010_000)
        firsts.append(min(case.first_us for case in rig.world.centre.ledger.values()) // 1_000_000)
        rig.close()
    assert min(firsts) >= 500 and max(firsts) <= 1010
    assert all(b - a >= 1 for a, b in itertools.pairwise(sorted(firsts))), firsts


def test_a_low_supply_is_a_fault_with_hysteresis(virtual_rig: VirtualRig) -> None:
    """Virtual time. Red without hysteresis: a supply at its limit would flap."""
    rig = virtual_rig
    rig.start(supply={"low_mv": 11_000})
    for supply_mv, is_fault in ((11_000, False), (10_999, True), (11_200, True), (11_342, True), (11_343, False)):
        rig.world.hardware.supply_mv = supply_mv
        rig.pass_time(3_000)
        assert (rig.heard("fault/supply") is not None) is is_fault, supply_mv


TAMPER_WITHIN_MS = 1000


def test_an_opened_housing_is_told_within_a_second(virtual_rig: VirtualRig) -> None:
    """Virtual time; also while a call waits for its answer. Red when a look around, or a fault's message, may wait for
    the next heartbeat."""
    rig = virtual_rig
    rig.start()
    for is_open in (True, False, True):
        rig.world.tamper(is_open)
        rig.pass_time(TAMPER_WITHIN_MS)
        assert (rig.heard("fault/tamper") is not None) is is_open
    rig.world.tamper(False)
    rig.pass_time(TAMPER_WITHIN_MS)
    press(rig)
    rig.world.tamper(True)
    rig.pass_time(TAMPER_WITHIN_MS)
    assert rig.heard("fault/tamper") is not None
