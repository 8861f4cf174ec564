# mypy: allow-untyped-calls
"""The uplink at its limits: how long an attempt and a pause last, what goes first, and when it wants its next step."""

import pytest
from fake_board import FakeLookup, FlashMode
from fake_net import CONNECT, PUBLISH, SUBSCRIBE, TOPICS, publish, suback
from uplink_rig import ADDRESS, HOST, RETRY_MAX_S, STEP_MS, TIMEOUT_S, FakeIncidents, Rig, gaps

from firmware.record import frame
from firmware.resets import ADDRESS_FILE

TIMEOUT_MS = TIMEOUT_S * 1000
URGENT_MS = 3000
NUMERIC = "10.0.0.2"


class Dice:
    """Throws always the same share of what is possible."""

    def __init__(self, rig: Rig, highest: bool) -> None:
        self._highest = highest
        rig.board.random = self.throw  # type: ignore[method-assign]

    def throw(self, below: int) -> int:
        assert isinstance(below, int), "a board has only whole dice"
        return below - 1 if self._highest else 0


def attempt_ms(rig: Rig) -> int:
    """How long the first attempt lasts when nobody answers."""
    rig.opened = False
    return rig.run_until(lambda: rig.uplink.last_error, 2 * TIMEOUT_MS)


def found(rig: Rig) -> None:
    """The look-up that is under way has an answer from now on."""
    assert rig.uplink._lookup is not None
    rig.uplink._lookup.address = ADDRESS


# -- how long an attempt lasts


def test_an_attempt_has_all_its_time_and_one_for_an_alarm_3_s() -> None:
    assert attempt_ms(Rig(NUMERIC)) == pytest.approx(TIMEOUT_MS, abs=2 * STEP_MS - 1)
    rig = Rig(NUMERIC)
    rig.incidents.add("a-1")
    assert attempt_ms(rig) == pytest.approx(URGENT_MS, abs=2 * STEP_MS)


def test_attempts_for_an_alarm_double_up_to_all_their_time() -> None:
    rig = Rig(NUMERIC)
    rig.incidents.add("a-1")
    Dice(rig, highest=False)
    rig.opened = False
    rig.run(90_000)
    pause_ms = 400
    assert gaps(rig)[:4] == [pytest.approx(ms + pause_ms, abs=30) for ms in (URGENT_MS, 6000, 12_000, TIMEOUT_MS)]


def test_a_kick_begins_anew_with_an_attempt_of_3_s() -> None:
    rig = Rig(NUMERIC)
    rig.opened = OSError(111, "refused")
    rig.run(300_000)
    rig.run_until(lambda: rig.streams[-1].closed, 100)
    rig.opened = False
    rig.incidents.add("a-1")
    rig.uplink.kick()
    started, start_ms = len(rig.dialled), rig.board.now_ms
    for _ in range(3):
        rig.uplink.step()
    assert len(rig.dialled) == started + 1 and rig.board.now_ms == start_ms, "without a pause"
    rig.run_until(lambda: rig.streams[-1].closed, TIMEOUT_MS)
    assert rig.board.now_ms - start_ms == pytest.approx(URGENT_MS, abs=2 * STEP_MS)


# -- how long a pause lasts


@pytest.mark.parametrize(("highest", "share"), [(True, 1.0), (False, 0.5)])
def test_pauses_double_from_half_a_second_and_half_of_each_is_random(highest: bool, share: float) -> None:
    rig = Rig(NUMERIC)
    Dice(rig, highest)
    rig.opened = OSError(111, "refused")
    rig.run(400_000)
    wanted = [min(500 << doublings, RETRY_MAX_S * 1000) * share for doublings in range(9)]
    assert gaps(rig)[:9] == [pytest.approx(ms, abs=2 * STEP_MS) for ms in wanted]


@pytest.mark.parametrize(("highest", "pause_ms"), [(True, 800), (False, 400)])
def test_pauses_while_an_alarm_waits(highest: bool, pause_ms: int) -> None:
    """Short, but not none: a broker that refuses everybody at once is not stormed."""
    rig = Rig(NUMERIC)
    Dice(rig, highest)
    rig.opened = OSError(111, "refused")
    rig.incidents.add("a-1")
    rig.run(20_000)
    assert gaps(rig) == [pytest.approx(pause_ms, abs=2 * STEP_MS)] * len(gaps(rig))


def test_a_name_server_gets_twice_the_time_with_each_failure_up_to_half_an_attempt() -> None:
    """Then the kept address is tried, and here it refuses."""
    rig = Rig()
    Dice(rig, highest=False)
    rig.board.flash.files[ADDRESS_FILE] = frame(b"%s 10.0.0.7" % HOST.encode())
    began: list[int] = []

    def lookup(_: str) -> FakeLookup:
        began.append(rig.board.now_ms)
        return FakeLookup(None)

    rig.board.lookup = lookup  # type: ignore[method-assign, assignment]
    rig.opened = OSError(111, "refused")
    rig.run(120_000)
    took_ms = [dialled[0] - start_ms for dialled, start_ms in zip(rig.dialled, began, strict=False)]
    assert took_ms[:6] == [pytest.approx(ms, abs=2 * STEP_MS) for ms in (1000, 2000, 4000, 8000, 10_000, 10_000)]


def test_a_session_ends_the_growth_of_pauses() -> None:
    rig = Rig(NUMERIC)
    Dice(rig, highest=True)
    rig.opened = OSError(111, "refused")
    rig.run(100_000)
    rig.opened = True
    rig.run_until(rig.uplink.is_up, 2 * RETRY_MAX_S * 1000)
    assert rig.uplink.last_error == ""
    rig.streams[-1].peer_closed = True
    rig.opened = OSError(111, "refused")
    rig.run_until(lambda: not rig.uplink.is_up(), 100)
    start_ms = rig.board.now_ms
    rig.run(3000)
    assert rig.dialled[-2][0] - start_ms == pytest.approx(500, abs=2 * STEP_MS)
    assert gaps(rig)[-1] == pytest.approx(1000, abs=2 * STEP_MS)


# -- what it sends


def test_an_alarm_is_never_kept_by_the_broker_and_goes_before_telemetry_that_waits() -> None:
    """A press that was kept would be a phantom alarm after every reconnection of the centre."""
    rig = Rig().run(300)
    rig.streams[0].capacity = 0
    rig.outbox.add(b"event", b"begun")
    rig.outbox.add(b"event", b"boot")
    rig.run(50)
    rig.incidents.add("a-1")
    rig.run(50)
    rig.streams[0].capacity = None
    rig.run(100)
    sent = [one for one in rig.streams[0].heard if one.kind == PUBLISH]
    event, alarm = (b"event", 1, False), (TOPICS["alarm"], 1, False)
    assert [(one.topic, one.qos, one.retain) for one in sent] == [event, alarm, event]


def test_a_long_message_is_put_together_when_its_turn_has_come_and_again_after_a_loss() -> None:
    rig = Rig(answers="connack suback pingresp")
    made: list[bytes] = []

    def info() -> bytes:
        made.append(b"info %d" % len(made))
        return made[-1]

    rig.outbox.retain(b"info", info)
    assert made == []
    rig.run(300)
    rig.streams[0].peer_closed = True
    rig.run(2000)
    assert [[one.payload for one in stream.published(b"info")] for stream in rig.streams] == [[b"info 0"], [b"info 1"]]


def test_several_alarms_that_wait_go_out_at_once() -> None:
    rig = Rig(answers="connack suback pingresp")
    for number in range(4):
        rig.incidents.add(f"a-{number}")
    rig.run_until(rig.delivered, 1000)
    assert rig.delivered() == ["a-0", "a-1", "a-2", "a-3"]


def test_what_the_broker_sends_is_handed_on() -> None:
    rig = Rig().run(300)
    rig.streams[0].send(publish(TOPICS["subscribe"][0], b"answer"))
    rig.run(20)
    assert rig.messages == [(TOPICS["subscribe"][0], b"answer")]


def test_it_names_what_the_broker_does_not_let_it_hear() -> None:
    rig = Rig(answers="connack puback pingresp")
    assert rig.uplink.unheard() == b""
    rig.run(100)
    rig.streams[0].send(suback(rig.streams[0].heard[-1].pid, 0x80))
    rig.run(20)
    assert rig.uplink.unheard() == TOPICS["subscribe"][0]
    rig.streams[0].peer_closed = True
    rig.run(20)
    assert rig.uplink.unheard() == b"", "nobody knows what the next broker says"


def test_a_session_says_hello_subscribes_and_sends_what_waits_in_this_order() -> None:
    rig = Rig()
    rig.outbox.add(b"event", b"boot")
    rig.run(300)
    assert [one.kind for one in rig.streams[0].heard[:4]] == [CONNECT, SUBSCRIBE, PUBLISH, SUBSCRIBE]


# -- when it wants its next step


class Repeats(FakeIncidents):
    """The next one is due after `ms`."""

    ms = 60_000

    def due_in_ms(self, otherwise: int) -> int:
        return min(self.ms, otherwise)


def test_it_asks_for_its_next_step_when_the_first_thing_is_due() -> None:
    rig = Rig().run(300)
    repeats = rig.incidents = rig.uplink._incidents = Repeats()
    assert rig.uplink.step() == 2000, "nothing for a while"
    repeats.ms = 700
    assert rig.uplink.step() == 700
    repeats.ms = 60_000
    rig.run(4500)
    assert rig.uplink.step() == pytest.approx(6000 - 4800, abs=100), "a ping"


def test_it_asks_to_be_stepped_often_while_it_connects_and_seldom_while_it_waits() -> None:
    rig = Rig()
    rig.board.link.up = False
    assert rig.uplink.step() == 100
    rig.board.link.up, rig.opened, rig.board.names[HOST] = True, False, None
    assert [rig.uplink.step() for _ in range(2)] == [0, 10], "looking up"
    found(rig)
    assert [rig.uplink.step() for _ in range(2)] == [0, 10], "dialling"
    rig.streams[0].opened, rig.streams[0].answers = True, []
    assert [rig.uplink.step() for _ in range(2)] == [0, 10], "no session yet"
    rig.streams[0].peer_closed = True
    Dice(rig, highest=True)
    assert [rig.uplink.step() for _ in range(2)] == [0, 500], "a pause"
    rig = Rig(NUMERIC)
    rig.opened = False
    assert [rig.uplink.step() for _ in range(3)] == [0, 0, 10], "nothing to look up"
    rig = Rig(NUMERIC, hold_off=lambda: True)
    assert [rig.uplink.step() for _ in range(2)] == [0, 1], "a press is being decided"


def test_a_long_pause_is_cut_into_steps_of_2_s() -> None:
    rig = Rig(NUMERIC)
    rig.opened = OSError(111, "refused")
    rig.run(100_000)
    assert rig.uplink.step() == 2000


# -- what it says


def test_what_goes_wrong_with_names_is_logged() -> None:
    rig = Rig()
    assert rig.uplink.last_error == ""
    rig.board.names[HOST] = OSError(-2, "no such name")
    rig.run(200)
    assert any(HOST in line and "no such name" in line for line in rig.board.logged)


def test_an_address_that_cannot_be_kept_is_logged() -> None:
    rig = Rig()
    rig.board.flash.mode = FlashMode.FULL
    rig.run(300)
    assert rig.uplink.is_up() and any("not kept" in line for line in rig.board.logged)


@pytest.mark.parametrize("lookup_ms", [900, 1100])
def test_a_name_server_has_a_second_before_the_kept_address_is_tried(lookup_ms: int) -> None:
    rig = Rig()
    rig.board.flash.files[ADDRESS_FILE] = frame(b"%s 10.0.0.7" % HOST.encode())
    rig.board.names[HOST] = None
    rig.run(lookup_ms)
    found(rig)
    rig.run(100)
    assert rig.dialled[0][1] == (ADDRESS if lookup_ms < 1000 else "10.0.0.7")
    assert any("takes too long" in line for line in rig.board.logged) is (lookup_ms > 1000)
