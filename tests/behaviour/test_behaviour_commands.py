"""Commands from the centre: obeyed, or refused in words; never in an alarm's way."""

from typing import Any

from rig import ANSWER_S, Rig


def start(rig: Rig) -> None:
    """Ready, with a clock: without one, most commands are refused."""
    rig.start()
    rig.wait_heard("heartbeat", clock="ntp")


def test_report_sends_birth_and_heartbeat(rig: Rig) -> None:
    rig.start(telemetry={"heartbeat_s": 3600})
    first = rig.wait_heard("heartbeat")["seq"]
    assert rig.wait_result(rig.command("report"))["ok"] is True
    rig.wait_heard("heartbeat", seq=first + 1)


def test_identify_shows_a_pattern_that_is_no_state(rig: Rig) -> None:
    start(rig)
    assert rig.wait_result(rig.command("identify"))["ok"] is True
    rig.wait_lamp("identify")
    rig.press()
    rig.wait_lamp("calling")  # an alarm comes first
    rig.wait_lamp("answered")
    rig.check_all_arrived_once()


def test_selftest_tells_figures(rig: Rig) -> None:
    start(rig)
    result = rig.wait_result(rig.command("selftest"))
    assert result["ok"] is True and result["detail"]["flash"] == "ok"
    assert result["detail"]["heap_free"] > 0 or rig.runtime == "cpython", "CPython's heap has no end"


def test_a_drill_goes_to_the_centre_and_back_unseen(rig: Rig) -> None:
    start(rig)
    mark = rig.mark()
    result = rig.wait_result(rig.command("drill"))
    assert result["ok"] is True and result["detail"]["round_trip_ms"] >= 0
    [alarm] = rig.wait_alarms()
    assert alarm.body["status"] == "test"
    assert rig.lamps(mark) == [] and not rig.noted(), "nobody called"
    rig.silence_centre()
    failed = rig.wait_result(rig.command("drill"), ANSWER_S * 1000 + 5000)
    assert failed["ok"] is False and "did not answer" in failed["error"]
    rig.wait_heard("fault/drill-unanswered")


def test_restart_restarts_but_not_while_somebody_calls(rig: Rig) -> None:
    start(rig)
    rig.press(60)
    [alarm] = rig.wait_alarms()
    refused = rig.wait_result(rig.command("restart"))
    assert refused["ok"] is False and "incident" in refused["error"]
    rig.wait_lamp("answered")
    rig.answer(alarm.id, "closed")
    rig.wait_lamp("ready")
    boot = rig.boots()[-1]["boot"]
    assert rig.wait_result(rig.command("restart"))["ok"] is True
    assert rig.wait_event("reset")["cause"] in ("soft", "hard")  # a chip calls its own reset a hard one
    assert rig.wait_heard("info", boot=boot + 1)["reset"]["culprit"] is None, "nobody is to blame"
    rig.wait_lamp("ready")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"cmd": "dance"}, "unknown command"),
    "not-a-word": ({"cmd": ["selftest"]}, "unknown command"),
    "too-late": ({"cmd": "selftest", "expires": "2026-01-02T00:00:00Z"}, "expired"),
}


def test_what_is_wrong_is_refused_in_words(rig: Rig) -> None:
    start(rig)
    for ident, (body, why) in WRONG.items():
        rig.send("cmd", **{"id": ident, "expires": "2035-01-01T00:00:00Z", **body})
        result = rig.wait_result(ident)
        assert result["ok"] is False and why in result["error"]
    rig.send("cmd", id="no-date", cmd="selftest", expires="tomorrow")
    rig.until(lambda: any("malformed" in e["detail"]["why"] for e in refusals(rig)), 5000, "a malformed one refused")
    assert len(refusals(rig)) == len(WRONG) + 1
    assert rig.wait_result(rig.command("selftest"))["ok"] is True, "the next good one is obeyed"


def refusals(rig: Rig) -> list[dict[str, Any]]:
    return [event for event in rig.happened() if event["event"] == "command-refused"]


def test_a_repeated_command_is_refused(rig: Rig) -> None:
    start(rig)
    rig.command("report", ident="once")
    assert rig.wait_result("once")["ok"] is True
    rig.command("report", ident="once")
    assert "repeated" in rig.wait_happened("command-refused")["detail"]["why"]


def test_a_flood_of_rubbish_delays_no_alarm(rig: Rig) -> None:
    rig.start()
    for i in range(30):
        rig.publish("cmd", b"\xff\x00{[" * i)
    rig.press()
    rig.wait_lamp("calling", 500)
    rig.wait_lamp("answered", 2000)
    rig.check_all_arrived_once()
