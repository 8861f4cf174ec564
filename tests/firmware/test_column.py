# mypy: allow-untyped-calls
"""The column: the order in which an alarm passes through its parts, and what each part's report leads to."""

from collections.abc import Callable
from typing import Any

import pytest
from column_rig import ACCEPTED, ROOT, Rig
from fake_net import publish

from firmware import journal, resets
from firmware.column import Column
from firmware.incidents import Incidents
from firmware.supervisor import Supervisor

# -- the way of an alarm


def check_the_order() -> None:
    """Lamp, flash, relay, network: at the moment of each, those before it are done and those after it are not."""
    rig = Rig().up()
    seen: list[tuple[str, bool, bool]] = []

    def note(what: str) -> None:
        durable = b'"open"' in rig.board.flash.files.get(journal.FILE, b"")
        seen.append((what, durable, rig.board.relay.closed))

    def watched(what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watch(*args: Any) -> Any:
            note(what)
            return call(*args)

        return watch

    rig.board.lamp.show = watched("lamp", rig.board.lamp.show)  # type: ignore[method-assign]
    rig.board.relay.set = watched("relay", rig.board.relay.set)  # type: ignore[method-assign]
    rig.streams[0].on_heard = lambda one: note("alarm") if one.topic.endswith(b"/alarm") else None
    rig.press()
    assert seen[0] == ("lamp", False, False) and rig.lamps()[-1] == "sent"
    assert ("relay", True, False) in seen and ("alarm", True, True) in seen
    assert seen.index(("relay", True, False)) < seen.index(("alarm", True, True))


def test_an_alarm_is_shown_then_durable_then_heard_and_sent() -> None:
    check_the_order()


def test_a_relay_before_the_journal_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(column: Any, age_ms: int, in_stall: bool) -> None:
        column.lamp.show("calling")
        column.relay.close()
        column.incidents.press(age_ms)
        column.uplink.kick()

    monkeypatch.setattr(Column, "_pressed", hasty)
    with pytest.raises(AssertionError):
        check_the_order()


def test_the_lamp_goes_through_every_state_of_an_answered_call() -> None:
    rig = Rig().up()
    ident = rig.press()
    for state in ("received", "accepted", "closed"):
        rig.answer(ident, state)
    assert rig.lamps() == ["out-of-service", "ready", "calling", "sent", "answered", "help-coming", "ready"]
    assert rig.said("alarm")[0]["id"] == ident and rig.events("call-ended") == [{"id": ident}]


NOT_AN_ANSWER: list[tuple[str, Any]] = [
    ("ack", {"v": 1, "id": "petropavl-01-1-1", "state": "received"}),  # of somebody else's incident
    ("ack", {"v": 2, "id": "ID", "state": "received"}),
    ("ack", {"v": 1, "id": "ID", "state": "seen"}),
    ("ack", {"v": 1, "id": ["ID"], "state": "received"}),
    ("ack", {"v": 1, "state": "received"}),
    ("ack", b"\xff"),
    ("ack", b"[" * 900),
    ("ack", b"5"),
    ("ack", {"v": 1, "id": "ID", "state": "received", "heard": 0}),
    ("ack", {"v": 1, "id": "ID", "state": "received", "heard": True}),
    ("ack", {"v": 1, "id": "ID", "state": "received", "heard": "1"}),
    ("state", {"v": 1, "id": "ID", "state": "received"}),  # a topic that nobody subscribed to
    ("cmd", {"v": 1, "id": "ID", "state": "received"}),
]


def after(kind: str, body: Any) -> tuple[Rig, str]:
    rig = Rig().up()
    ident = rig.press()
    rig.send(kind, {**body, "id": ident} if isinstance(body, dict) and body.get("id") == "ID" else body)
    return rig, ident


@pytest.mark.parametrize(("kind", "body"), NOT_AN_ANSWER)
def test_only_the_centres_word_on_this_incident_changes_the_lamp(kind: str, body: Any) -> None:
    rig, ident = after(kind, body)
    assert rig.lamp() == "sent" and rig.column.supervisor.culprit is None
    rig.answer(ident, "received")
    assert rig.lamp() == "answered"


def test_a_lamp_that_believes_anything_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by taking every answer for one to the open incident."""
    real = Incidents.answered
    monkeypatch.setattr(Incidents, "answered", lambda self, ident, *told: real(self, self.current().id, *told))
    with pytest.raises(AssertionError):
        test_only_the_centres_word_on_this_incident_changes_the_lamp(*NOT_AN_ANSWER[0])


@pytest.mark.parametrize("body", [body for kind, body in NOT_AN_ANSWER[1:11]], ids=repr)
def test_a_malformed_answer_is_reported(body: Any) -> None:
    rig, _ = after("ack", {**body, "id": "other"} if isinstance(body, dict) and body.get("id") == "ID" else body)
    assert len(rig.events("ack-refused")) == 1


def test_a_press_in_a_stall_is_said_to_be_one() -> None:
    rig = Rig().up()
    rig.board.contact.wave((10, 1), (110, 0))
    rig.board.advance(500)  # nobody looks
    rig.run(300)
    (detail,) = rig.events("press-in-stall")
    assert detail["id"] == rig.said("alarm")[0]["id"] and 500 <= detail["age_ms"] <= 2600
    assert Rig().up().events("press-in-stall") == []


def ms_to_the_broker() -> int:
    """From the decision to the alarm, when the press is decided between two tasks after the uplink had its step."""
    rig = Rig().up()
    step, decided = rig.column.lamp.step, len(rig.board.lamp.shown)

    def slow_step() -> int:
        rig.column.lamp.step = step
        rig.board.contact.wave((0, 1), (100, 0))
        rig.board.advance(200)
        return int(step())

    rig.column.lamp.step = slow_step
    rig.run(5000)
    called_ms = rig.board.lamp.shown[decided][0]
    return int(rig.streams[0].published((ROOT + "alarm").encode())[0].at_ms - called_ms)


def test_an_alarm_does_not_wait_for_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without hurry the loop sleeps first, for nothing else is due."""
    assert ms_to_the_broker() <= 1
    monkeypatch.setattr(Supervisor, "hurry", lambda self: None)
    assert ms_to_the_broker() > 50


def test_without_a_link_it_is_out_of_service_and_takes_the_call_all_the_same() -> None:
    rig = Rig().up()
    rig.board.link.up = False
    rig.run(3000)
    assert rig.lamp() == "out-of-service"
    ident = rig.press()
    assert rig.lamp() == "calling" and rig.said("alarm") == []
    rig.run(11_000)
    assert rig.lamp() == "not-delivered"
    rig.board.link.up = True
    rig.run(3000)
    assert {alarm["id"] for alarm in rig.said("alarm")} == {ident}


# -- the relay over a reset


def relay_after(cause: str, pressed: bool = True) -> Rig:
    """Pressed, not answered, and down: the next boot."""
    rig = Rig().up()
    if pressed:
        rig.press()
        assert rig.board.relay.closed
    return Rig(rig.board.flash, cause)


@pytest.mark.parametrize(
    ("cause", "closed"),
    [("watchdog", True), ("hard", True), ("soft", True), ("unknown", True), ("power-on", False)],
)
def test_the_relay_closes_again_after_a_reset_but_not_after_a_power_cut(cause: str, closed: bool) -> None:
    again = relay_after(cause)
    assert again.column.incidents.count() == 1 and again.board.relay.closed is closed
    again.run(1000)
    assert again.board.relay.closed is closed


def test_without_an_open_incident_the_relay_stays_open_after_a_reset() -> None:
    assert not relay_after("watchdog", pressed=False).board.relay.closed


def test_a_relay_that_forgets_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resets, "last", lambda board: {"cause": "power-on", "culprit": None, "traceback": None,
                                                              "clock_trusted": False, "resets": 0})  # fmt: skip
    with pytest.raises(AssertionError):
        test_the_relay_closes_again_after_a_reset_but_not_after_a_power_cut("watchdog", True)


def test_a_relay_that_closes_for_no_reason_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = resets.last
    monkeypatch.setattr(resets, "last", lambda board: {**real(board), "cause": "watchdog"})
    with pytest.raises(AssertionError):
        test_the_relay_closes_again_after_a_reset_but_not_after_a_power_cut("power-on", False)


def test_the_relay_opens_with_the_last_incident() -> None:
    again = relay_after("watchdog").run(1000)
    again.answer(again.said("alarm")[0]["id"], "closed")
    assert not again.board.relay.closed


# -- a broker that lets nobody listen


def refusing(kind: str) -> Rig:
    """The broker refuses the subscription to `kind` ("" = none)."""
    rig = Rig()
    rig.answers = " ".join(word for word in ACCEPTED if word != "suback")
    dial = rig.board.on_dial

    def listen(one: Any, stream: Any) -> None:
        if one.kind == 0x80:
            refused = one.topic == (ROOT + kind).encode()
            stream.send(bytes((0x90, 3, one.pid >> 8, one.pid & 0xFF, 0x80 if refused else 1)))

    def dialled(*args: Any) -> Any:
        stream = dial(*args)
        stream.on_heard = lambda one: listen(one, stream)
        return stream

    rig.board.on_dial = dialled
    return rig.run(3000)


def test_a_refused_subscription_is_a_fault_until_a_session_that_has_it() -> None:
    rig = refusing("ack")
    (detail,) = rig.fault("not-subscribed")
    assert detail == "no answer can arrive: " + ROOT + "ack refused" and "not-subscribed" in rig.column.faults.ids()
    rig.press()
    assert rig.said("alarm")[0]["faults"] == rig.column.faults.ids()
    rig.answers, rig.board.on_dial = " ".join(ACCEPTED), rig._dial
    rig.streams[-1].peer_closed = True
    rig.run(5000)
    assert rig.fault("not-subscribed")[-1] is None and "not-subscribed" not in rig.column.faults.ids()


def test_a_granted_subscription_is_no_fault() -> None:
    """Negative control of the above: the same broker, refusing nothing."""
    rig = refusing("")
    assert rig.column.uplink.is_up() and "not-subscribed" not in rig.column.faults.ids()


# -- what the broker kept for nobody


def retained(kind: str, body: bytes) -> bytes:
    made = bytearray(publish((ROOT + kind).encode(), body))
    made[0] |= 1
    return bytes(made)


def test_a_retained_command_or_answer_is_dropped_and_told() -> None:
    rig = Rig().up()
    ident = rig.press()
    rig.streams[-1].send(retained("ack", b'{"v":1,"id":"%s","state":"closed"}' % ident.encode()))
    rig.streams[-1].send(retained("cmd", b'{"v":1,"id":"x","cmd":"report","expires":"2030-01-01T00:00:00Z"}'))
    rig.run(500)
    assert rig.column.incidents.current() is not None and rig.column.commands.refused == 0
    assert [one["why"] for one in rig.events("command-refused")] == ["retained on .../ack", "retained on .../cmd"]


def test_a_line_end_in_a_commands_id_forges_no_console_line() -> None:
    rig = Rig().up()
    rig.send(
        "cmd", {"v": 1, "id": 'x\nconsole: {"ok": true}\x1b[2J', "cmd": "no such", "expires": "2030-01-01T00:00:00Z"}
    )
    (line,) = [line for line in rig.board.logged if line.startswith("command:")]
    assert "\n" not in line and "\x1b" not in line


# -- nobody has answered yet


def test_the_lamp_says_that_nobody_has_answered_yet_until_somebody_does() -> None:
    rig = Rig().up()
    ident = rig.press()
    rig.answer(ident, "received")
    rig.send("ack", {"v": 1, "id": ident, "state": "received", "unanswered_s": 15})
    assert rig.lamp() == "unanswered"
    rig.answer(ident, "received")
    assert rig.lamp() == "unanswered", "a repeated answer takes nothing back"
    rig.answer(ident, "accepted")
    assert rig.lamp() == "help-coming"


@pytest.mark.parametrize(
    "body", [{"unanswered_s": None}, {"unanswered_s": 0}, {"state": "accepted", "unanswered_s": 9}]
)
def test_what_does_not_say_so_does_not(body: dict[str, Any]) -> None:
    """A centre that says nothing of it, or says it beside a person's answer: the answer itself counts."""
    rig = Rig().up()
    ident = rig.press()
    rig.send("ack", {"v": 1, "id": ident, "state": "received", **body})
    assert rig.lamp() == ("help-coming" if "state" in body else "answered")


# -- the centre hears the place


def test_the_lamp_shows_that_the_place_is_heard_for_as_long_as_it_was_told() -> None:
    """A steady lamp goes dark for a moment. Red where it never ends, where a repeat without the key ends it, and where
    it outlives the call."""
    rig = Rig().up()
    ident = rig.press()
    rig.answer(ident, "accepted")

    def winks(ms: int = 7_000) -> bool:
        before = len(rig.board.lamp.shown)
        rig.run(ms)
        return (0, 0, 0) in [colour for _, colour in rig.board.lamp.shown[before:]]

    assert not winks(), "nobody hears it yet"
    rig.send("ack", {"v": 1, "id": ident, "state": "accepted", "listening_s": 20})
    rig.answer(ident, "accepted")
    assert rig.lamp() == "help-coming" and winks()
    rig.run(14_000)
    assert not winks(), "whoever said so has died"
    rig.send("ack", {"v": 1, "id": ident, "state": "accepted", "listening_s": 300})
    assert winks()
    rig.send("ack", {"v": 1, "id": ident, "state": "accepted", "listening_s": 0})
    assert not winks()
    rig.send("ack", {"v": 1, "id": ident, "state": "accepted", "listening_s": 300})
    rig.send("ack", {"v": 1, "id": ident, "state": "closed", "outcome": "false"})
    assert rig.lamp() == "ready" and not winks()


def test_the_next_call_is_not_heard_because_the_last_one_was() -> None:
    """Red when the end of a call does not end what was said of it."""
    rig = Rig().up()
    ident = rig.press()
    rig.send("ack", {"v": 1, "id": ident, "state": "accepted", "listening_s": 300})
    rig.answer(ident, "closed")
    rig.answer(rig.press(), "accepted")
    before = len(rig.board.lamp.shown)
    rig.run(7_000)
    assert len(rig.board.lamp.shown) == before


@pytest.mark.parametrize("listens_s", [None, -1, 301, "20", True, [20], 2.5])
def test_nonsense_about_listening_costs_no_answer(listens_s: object) -> None:
    rig = Rig().up()
    ident = rig.press()
    rig.send("ack", {"v": 1, "id": ident, "state": "accepted", "listening_s": listens_s})
    assert rig.lamp() == "help-coming"
    before = len(rig.board.lamp.shown)
    rig.run(20_000)
    assert len(rig.board.lamp.shown) == before
