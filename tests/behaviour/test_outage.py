"""Broker, link or centre away: presses are kept, the lamp says so, and each arrives exactly once."""

import pytest
from rig import ANSWER_S, OUTAGES, PATIENCE_MS, Rig

HANDSHAKE_MS = 1_000  # a stretch of TLS arithmetic, in which the loop stands still
NOT_DELIVERED_MS = ANSWER_S * 1000 + 200 + HANDSHAKE_MS
OFFLINE_MS = 10_000  # 1.5 keepalives and a look-up
GAP_MS = 400  # between two presses of one incident


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_press_survives_an_outage_of_the_broker(rig: Rig, outage: str) -> None:
    rig.start()
    rig.break_broker(outage)
    mark = rig.mark()
    rig.press()
    calling_ms = rig.wait_lamp("calling")
    assert rig.wait_lamp("not-delivered") - calling_ms <= NOT_DELIVERED_MS + rig.slack_ms
    assert "sent" not in rig.lamps(mark), "no broker has it"
    rig.press()
    rig.until(lambda: 2 in rig.noted().values(), 2000, "a second press")
    assert not rig.alarms()
    rig.mend_broker()
    rig.wait_lamp("answered")
    rig.until(lambda: rig.alarms() and max(a.press for a in rig.alarms().values()) == 2, PATIENCE_MS, "both presses")
    rig.check_all_arrived_once()
    assert not rig.resets(), "an outage is not a fault of the column"


@pytest.mark.parametrize("outage", ["stop", "black-hole"])
def test_a_column_that_boots_without_a_broker_keeps_presses(rig: Rig, outage: str) -> None:
    rig.break_broker(outage)
    rig.install(rig.document())
    rig.power_on()
    rig.wait_lamp("out-of-service")
    rig.wait_log("column: armed")  # from then on it looks at its button
    rig.press()
    rig.wait_lamp("calling")
    rig.wait_lamp("not-delivered")
    rig.mend_broker()
    rig.wait_lamp("answered")
    [alarm] = rig.wait_alarms()
    assert not alarm.late and alarm.body["age_ms"] >= ANSWER_S * 1000
    rig.check_all_arrived_once()


def test_a_lost_link_keeps_presses(rig: Rig) -> None:
    rig.start()
    mark = rig.mark()
    rig.link(False)
    rig.wait_lamp("out-of-service")
    rig.press()
    rig.wait_lamp("calling")
    rig.wait_lamp("not-delivered")
    assert not {"sent", "ready"} & set(rig.lamps(mark))
    rig.link(True)
    rig.wait_lamp("answered")
    rig.check_all_arrived_once()


def test_the_last_will_says_offline(rig: Rig) -> None:
    rig.start()
    online = rig.wait_heard("state", state="online")
    boot = rig.boots()[-1]["boot"]
    assert online["boot"] == boot
    rig.power_off()
    rig.wait_heard("state", OFFLINE_MS, state="offline", boot=boot)
    rig.power_on()
    rig.wait_heard("state", state="online", boot=boot + 1)


def test_a_broker_that_comes_back_empty_is_told_everything(rig: Rig) -> None:
    rig.start()
    rig.wait_heard("info")
    rig.break_broker("kill")
    rig.wait_lamp("out-of-service")
    rig.mend_broker()
    rig.wait_lamp("ready")
    rig.wait_heard("state", state="online")
    rig.until(lambda: rig.retained("info"), PATIENCE_MS, "the birth message, retained")
    state = rig.retained("state")
    assert state is not None and state["state"] == "online"
