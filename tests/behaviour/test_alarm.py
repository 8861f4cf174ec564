"""The way of an alarm, from the finger to the centre and back, on every runtime."""

import json

from rig import ANSWER_S, Rig

from contract import validator

PRESS_MS = 40  # button.press_ms: the debouncer's decision ...
PULSE_MS = 1  # ... of which the pulse counter may see the last pulse so much earlier
CALLING_MS = 50  # the contract's limit from there
SAMPLING_MS = 10  # looks at the contact, and their jitter
RELEASED_MS = 500  # after these a short press is over for the debouncer too


def test_a_press_goes_all_the_way(rig: Rig) -> None:
    rig.start()
    rig.silence_centre()
    mark, pressed_ms = rig.mark(), rig.now_ms()
    rig.press(120)
    calling_ms = rig.wait_lamp("calling")
    assert PRESS_MS - PULSE_MS <= calling_ms - pressed_ms <= PRESS_MS + CALLING_MS + SAMPLING_MS + rig.slack_ms
    rig.wait_event("relay", closed=True)
    rig.wait_lamp("sent")
    [alarm] = rig.wait_alarms()
    assert rig.lamps(mark) == ["calling", "sent"], "nobody has answered yet"
    rig.centre_answers()
    rig.wait_lamp("answered")
    rig.answer(alarm.id, "accepted")
    rig.wait_lamp("help-coming")
    assert not any(event.get("closed") is False for event in rig.events[mark:]), "the relay stays closed"
    rig.answer(alarm.id, "closed")
    rig.wait_lamp("ready")
    rig.wait_event("relay", closed=False)
    told = [state for state in rig.lamps(mark) if state != "not-delivered"]
    assert told == ["calling", "sent", "answered", "help-coming", "ready"]
    rig.wait_happened("call-ended")
    rig.check_all_arrived_once()


def test_the_alarm_says_who_where_and_what_to_see(rig: Rig) -> None:
    document = rig.document()
    rig.start()
    rig.wait_heard("heartbeat", clock="ntp")
    rig.press()
    [alarm] = rig.wait_alarms()
    validator.validate(rig.root + "alarm", json.dumps(alarm.body, ensure_ascii=False).encode())
    assert alarm.body["device_id"] == rig.device_id
    assert alarm.body["location"] == document["location"]
    assert alarm.body["stream"]["rtsp"] == document["stream"]["rtsp"]
    assert (alarm.body["status"], alarm.body["press"], alarm.body["late"]) == ("actual", 1, False)
    assert alarm.body["clock"] == "ntp" and alarm.body["raised_at"]
    assert alarm.body["age_ms"] <= 120 + 1000 + rig.slack_ms


def test_a_silent_centre_never_makes_the_lamp_say_answered(rig: Rig) -> None:
    rig.start()
    rig.silence_centre()
    mark = rig.mark()
    rig.press()
    calling_ms = rig.wait_lamp("calling")
    told_ms = rig.wait_lamp("not-delivered") - calling_ms
    assert abs(told_ms - ANSWER_S * 1000) <= 200 + rig.slack_ms
    [alarm] = rig.until(lambda: [a for a in rig.alarms().values() if a.copies >= 3], 10_000, "repeats of the alarm")
    assert alarm.press == 1
    assert rig.lamps(mark) == ["calling", "sent", "not-delivered"]
    rig.centre_answers()
    rig.wait_lamp("answered")
    rig.check_all_arrived_once()


def test_an_answer_to_another_alarm_changes_nothing(rig: Rig) -> None:
    rig.start()
    rig.silence_centre()
    mark = rig.mark()
    rig.press()
    [alarm] = rig.wait_alarms()
    for state in ("received", "accepted", "dispatched", "closed"):
        rig.send("ack", id=alarm.id + "1", state=state, by="somebody", outcome="false")
    rig.publish("ack", b"\xff{")
    rig.wait_happened("ack-refused")  # so those before it were read too
    rig.wait_lamp("not-delivered")
    assert rig.lamps(mark) == ["calling", "sent", "not-delivered"]
    rig.answer(alarm.id, "dispatched")  # the right id does: the guard is no wall
    rig.wait_lamp("help-coming")


def test_a_panic_burst_is_one_incident(rig: Rig) -> None:
    rig.start()
    rig.wave(
        [edge for start_ms in range(0, 1500, 300) for edge in ((start_ms * 1000, 1), (start_ms * 1000 + 100_000, 0))]
    )
    [alarm] = rig.until(lambda: [a for a in rig.alarms().values() if a.press == 5], 10_000, "five presses")
    rig.check_all_arrived_once()
    assert rig.noted() == {alarm.id: 5}


def test_a_press_after_closing_is_a_new_incident(rig: Rig) -> None:
    rig.start()
    rig.press(60)
    [first] = rig.wait_alarms()
    rig.wait_lamp("answered")
    rig.pass_time(RELEASED_MS)
    rig.answer(first.id, "closed")
    rig.wait_lamp("ready")
    rig.press()
    alarms = rig.wait_alarms(2)
    assert [alarm.press for alarm in alarms] == [1, 1] and len({alarm.id for alarm in alarms}) == 2
    rig.wait_lamp("answered")
    rig.check_all_arrived_once()
