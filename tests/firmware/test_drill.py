# mypy: allow-untyped-calls
"""Who answered a drill, and for which place: held against what the column was provisioned with; and maintenance."""

from types import SimpleNamespace
from typing import Any

import pytest
from column_rig import Rig
from fake_board import FakeBoard

from common import receiver as desks
from firmware import drill as end
from firmware.rfc3339 import text

KEY = bytes(range(32))
LOCATION = {"geo": "geo:54.8753,69.1628;u=5", "address": "Абай 1"}
MINE = desks.key_of(KEY, "petropavl-01")
WANTED = ("nko-102", MINE)
IDENT = "petropavl-01-17-9"


def said(name: str = "nko-102", key: bytes | None = MINE, ident: str = IDENT, **changes: str) -> dict[str, Any]:
    place = {"address": LOCATION["address"], "geo": LOCATION["geo"], **changes}
    found = {"name": name, **place}
    return found if key is None else {**found, "sig": desks.signature(key, ident, name, place["address"], place["geo"])}


def faults(answer: object, wanted: tuple[str | None, bytes | None] = WANTED) -> tuple[str, bool, bool]:
    verdict, wrong_receiver, wrong_address = end.judge(answer, wanted, LOCATION, IDENT)
    return verdict, wrong_receiver is not None, wrong_address is not None


def test_the_columns_signature_is_the_desks() -> None:
    assert end.sign(MINE, IDENT, "nko-102", "Абай 1", "geo:1,2") == (
        desks.signature(MINE, IDENT, "nko-102", "Абай 1", "geo:1,2")
    )


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (said(), ("right", False, False)),
        (said(geo="geo:54.8763,69.1638"), ("right", False, False)),
        (said("astana-102"), ("wrong", True, False)),
        (said(key=bytes(32)), ("wrong", True, False)),
        (said(ident="petropavl-01-17-8"), ("wrong", True, False)),
        (said(key=desks.key_of(KEY, "petropavl-02")), ("wrong", True, False)),
        (said(address="Абай 2"), ("wrong", False, True)),
        (said(geo="geo:69.1628,54.8753"), ("wrong", False, True)),
        (said(geo="geo:54.8753,69.2628"), ("wrong", False, True)),
        (said(geo="geo:64.8753,69.1628"), ("wrong", False, True)),
        (said("astana-102", address="Абай 2"), ("wrong", True, True)),
        (said(key=None), ("unproven", False, False)),
        (said("astana-102", key=None), ("wrong", True, False)),
        (said(geo="nowhere"), ("wrong", False, True)),
        (None, ("unproven", False, False)),
        ([], ("unproven", False, False)),
        ({"name": 3, "address": "Абай 1", "geo": LOCATION["geo"]}, ("unproven", False, False)),
        ({"name": "nko-102"}, ("unproven", False, False)),
    ],
)
def test_an_answer_is_held_against_what_was_provisioned(answer: object, found: tuple[str, bool, bool]) -> None:
    """Red when the signature, the name, the address or the place is not looked at: there is a row for each."""
    assert faults(answer) == found


@pytest.mark.parametrize("wanted", [(None, None), ("nko-102", None), (None, MINE)])
def test_what_was_not_provisioned_cannot_be_proven(wanted: tuple[str | None, bytes | None]) -> None:
    assert faults(said(), wanted)[0] == "unproven"
    assert faults(said(address="Абай 2"), wanted) == ("wrong", False, True), "the place is compared all the same"


def provisioned() -> Rig:
    rig = Rig(receiver={"name": "nko-102"})
    rig.column.centre = WANTED[0], MINE.hex()
    rig.column.messages.location.update(LOCATION)
    return rig.up()


def drill(rig: Rig, **changes: Any) -> dict[str, Any]:
    ident = rig.column.incidents.start_drill()
    rig.run(500)
    rig.send("ack", {"v": 1, "id": ident, "state": "received", "receiver": said(ident=ident, **changes)})
    rig.run(3000)
    event = rig.events("drill")[-1]
    assert event["id"] == ident
    return dict(event)


def test_a_drill_says_who_answered_and_raises_and_clears_the_faults() -> None:
    rig = provisioned()
    assert drill(rig) | {"id": "", "round_trip_ms": 0} == {
        "id": "", "answered": True, "receiver": "right", "flash": "ok", "round_trip_ms": 0,
    }  # fmt: skip
    assert drill(rig, name="astana-102", key=None)["receiver"] == "wrong"
    assert drill(rig, address="Абай 2")["receiver"] == "wrong"
    assert drill(rig)["receiver"] == "right"
    assert [bool(one) for one in rig.fault("wrong-receiver")] == [True, False]
    assert [bool(one) for one in rig.fault("wrong-address")] == [True, False]


def test_a_centre_that_does_not_say_who_it_is_is_unproven() -> None:
    rig = provisioned()
    ident = rig.column.incidents.start_drill()
    rig.run(500)
    rig.answer(ident, "received")
    rig.run(3000)
    assert rig.events("drill")[-1]["receiver"] == "unproven"
    assert rig.fault("wrong-receiver") == rig.fault("wrong-address") == []


def test_what_an_earlier_answer_said_does_not_count_for_a_later_drill() -> None:
    """Red when the answer is kept: the next one, which says nothing, would be right."""
    rig = provisioned()
    drill(rig)
    ident = rig.column.incidents.start_drill()
    rig.run(500)
    rig.answer(ident, "received")
    rig.run(3000)
    assert rig.events("drill")[-1]["receiver"] == "unproven"


def test_a_drill_that_nobody_answers_says_so() -> None:
    rig = provisioned()
    rig.answers = " ".join(("connack", "suback", "puback", "pingresp"))
    rig.column.incidents.start_drill()
    rig.run(20_000)
    assert rig.events("drill")[-1]["answered"] is False and "receiver" not in rig.events("drill")[-1]


def test_without_memory_to_judge_the_command_is_answered_and_the_next_one_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Red where the answer to the command is part of what needs the memory: every later drill is "under way"."""

    def starved(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(end, "ended", starved)
    rig = provisioned()
    rig.column.clock.source = "ntp"
    for number in (1, 2):
        command(rig, number, cmd="drill")
        rig.answer(rig.column.incidents.drill.id, "received")
        rig.run(3000)
        assert [(one["id"], one["ok"]) for one in rig.said("result")][-1] == (f"m-{number}", True)


def command(rig: Rig, number: int, **more: Any) -> None:
    expires = text(rig.column.clock.now_ms() + 60_000) if rig.column.clock.source != "none" else text(1_900_000_000_000)
    rig.send("cmd", {"v": 1, "id": f"m-{number}", "cmd": "maintain", "expires": expires} | more)
    rig.run(3000)


def test_in_maintenance_the_lamp_sends_people_elsewhere_and_a_press_is_sent_all_the_same() -> None:
    rig = provisioned()
    rig.column.clock.source = "ntp"
    command(rig, 1, for_s=600)
    assert rig.lamp() == "out-of-service"
    ident = rig.press()
    rig.run(1000)
    assert [alarm["id"] for alarm in rig.said("alarm")][-1] == ident
    rig.answer(ident, "received")
    assert rig.lamp() == "out-of-service", "nobody at the desk hears it ring: the lamp must not say so"
    rig.answer(ident, "closed")
    command(rig, 2, for_s=0)
    assert rig.lamp() == "ready"


def test_maintenance_ends_by_itself() -> None:
    rig = provisioned()
    rig.column.clock.source = "ntp"
    command(rig, 1, for_s=10)
    assert rig.lamp() == "out-of-service"
    rig.run(10_000)
    assert rig.lamp() == "ready"


@pytest.mark.parametrize("for_s", [None, -1, 43_201, "600", True, 1.5])
def test_maintenance_without_a_proper_time_is_refused(for_s: object) -> None:
    rig = provisioned()
    rig.column.clock.source = "ntp"
    command(rig, 1, **({} if for_s is None else {"for_s": for_s}))
    assert rig.lamp() == "ready" and not rig.said("result")[-1]["ok"]


def ended(answer: object) -> tuple[Any, dict[str, Any], list[Any], FakeBoard]:
    """(why it failed, the faults, the events, the board) of a drill that was answered so."""
    board = FakeBoard()
    faults: dict[str, Any] = {}
    events: list[Any] = []
    column = SimpleNamespace(
        centre=(WANTED[0], MINE.hex()),
        said=answer,
        messages=SimpleNamespace(location=LOCATION, authentic=None),
        faults=SimpleNamespace(set=faults.__setitem__),
        telemetry=SimpleNamespace(event=lambda *event: events.append(event)),
    )
    why = end.ended(board, column, SimpleNamespace(id=IDENT), True, {"ms": 5})
    return why, faults, events, board


def test_what_the_end_of_a_drill_tells() -> None:
    """Word for word: operators read it. Its code is forgotten."""
    why, faults, events, board = ended(said())
    assert why is None and faults == {"wrong-receiver": None, "wrong-address": None}
    flash = end.flash(FakeBoard())
    told = {"ms": 5, "receiver": "right", "flash": flash, "id": IDENT, "answered": True}
    assert events == [("drill", told)] and board.forgotten == ["firmware.hmac", "firmware.selftest"]
    why, faults, events, _ = ended(said("astana-102", address="Абай 2"))
    assert why == "the test alarm was answered by the wrong centre, or for another place"
    assert faults["wrong-receiver"] == "answered by astana-102, not by nko-102"
    assert faults["wrong-address"] == f"it shows Абай 2, {LOCATION['geo']}"
    assert events == [("drill", {**told, "receiver": "wrong"})]
    forged = ended(said(key=bytes(32)))[1]
    assert forged["wrong-receiver"] == "answered in the name of nko-102, with a wrong signature"


def test_what_an_answer_says_is_cut() -> None:
    """It is hostile as it may be, and a fault has to fit into a message."""
    long = said("n" * 90, address="a" * 90, geo="geo:" + "1" * 90)
    _, faults, _, _ = ended(long)
    assert faults["wrong-receiver"] == f"answered by {'n' * 40}, not by nko-102"
    assert faults["wrong-address"] == f"it shows {'a' * 60}, geo:{'1' * 36}"
    forged = end.judge({**long, "sig": "00"}, ("n" * 90, MINE), LOCATION, IDENT)
    assert forged[1] == f"answered in the name of {'n' * 40}, with a wrong signature"
