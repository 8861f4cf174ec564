"""The broker part of the campaign: a short share of it, its controls, and each of its checks made to complain."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from column_probe import need
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from common.mqtt import end
from desk.ledger import Incident, Ledger
from sim.real.changed import Change, changed_copy
from sim.search.brokers import search
from sim.search.brokers.broker_side import DENY_ALARMS, Book, BrokerSide
from sim.search.brokers.column import PressedColumn
from sim.search.brokers.faults import BROKER_KINDS, LANE_KINDS, Saw, plan
from sim.search.brokers.run import MUTUAL, PLAIN, Spec
from sim.servers.proxy import DOWN, UP, Proxy

NAME, BOOT = "column", 77
SHORT_S = 11.0


def quiet(text: str) -> None:
    """Progress that nobody reads."""


# -- the whole, for a short time


@pytest.mark.mosquitto
@pytest.mark.micropython
def test_a_short_share_finds_nothing() -> None:
    need("mosquitto")
    specs = (Spec("saw", "cpython", PLAIN, saws=True), Spec("tls", need("micropython32"), MUTUAL))
    found = search.campaign(specs, SHORT_S, seed=1, control=None, say=quiet)
    assert [one.text for one in found.violations] == []
    assert found.fired["cut-up"] + found.fired["cut-down"] > 2 and found.checks  # connections are bounded
    for runtime in ("CPython", "MicroPython"):  # how many depends on the machine's pace
        assert int(found.figures[f"presses on {runtime}"]) > 1
    assert found.figures["presses in the receiver's ledger"] == str(
        sum(int(found.figures[f"presses on {runtime}"]) for runtime in ("CPython", "MicroPython"))
    )


@pytest.mark.mosquitto
@pytest.mark.parametrize(("control", "caught"), [("incident-per-press", "two incidents"), ("ghost-alarm", "invented")])
def test_a_control_is_red(control: str, caught: str) -> None:
    """Two of them; the campaign itself runs the others on demand. Without one the test above is green."""
    need("mosquitto")
    found = search.campaign((Spec("one", "cpython", PLAIN),), 8.0, seed=2, control=control, say=quiet)
    texts = [one.text for one in found.violations]
    assert any(caught in text for text in texts), texts
    assert found.violations[0].replay.endswith(f"--replay brokers:2:8 --control {control}")


def test_every_break_fits_its_file(tmp_path: Path) -> None:
    for name, one in search.BREAKS.items():
        tree = changed_copy(tmp_path / name, one)
        compile((tree / one.file).read_text(), one.file, "exec")
    assert set(search.BREAKS) < set(search.CONTROLS)
    with pytest.raises(ValueError, match="must be exactly one"):
        changed_copy(tmp_path / "odd", Change("firmware/incident.py", "no such text", ""))


def test_an_unknown_control_is_refused() -> None:
    with pytest.raises(KeyError):
        search.run(1.0, 1, "no-such-control", quiet)


# -- the plan


@pytest.mark.parametrize("kinds", [LANE_KINDS, BROKER_KINDS])
def test_a_plan_is_its_seed_and_leaves_no_kind_out(kinds: tuple[str, ...]) -> None:
    def first(seed: int, name: str) -> list[Any]:
        return list(itertools.islice(plan(seed, name, kinds), 2 * len(kinds)))

    assert first(5, "a") == first(5, "a") != first(5, "b")
    assert first(5, "a") != first(6, "a")
    assert {fault.kind for fault in first(5, "a")[: len(kinds)]} == set(kinds)
    assert all(fault.after_s > 0 and fault.lasts_s > 0 for fault in first(5, "a"))


def test_a_saw_cuts_every_place_once_and_comes_back_to_what_it_missed() -> None:
    saw = Saw({UP: 2, DOWN: 1})
    places = [saw.take() for _ in range(5)]
    assert places == [(UP, 0), (UP, 1), (UP, 2), (DOWN, 0), (DOWN, 1)] and saw.take() is None
    for place in places:
        assert place is not None
        saw.done(place, place != (UP, 1))
    assert saw.take() == (UP, 1) and (saw.cut, saw.total) == (4, 5)


@pytest.mark.mosquitto
def test_a_denied_alarm_gets_its_puback_and_does_not_arrive() -> None:
    need("mosquitto")
    heard: list[str] = []
    with BrokerSide(PLAIN, None, lambda device, ident, press: heard.append(ident)) as place:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        for acl, arrives in ((None, True), (DENY_ALARMS, False)):
            place.broker.stop()
            place.broker.acl = acl
            place.start_broker()
            place.centre.wait_connected()
            client.connect(place.broker.host, place.broker.port)
            client.loop_start()
            heard.clear()
            sent = client.publish(f"sos/v1/nko/{NAME}/alarm", b'{"id":"x","press":1}', qos=1)
            sent.wait_for_publish(5)  # PUBACK
            assert sent.is_published()
            client.publish(f"sos/v1/nko/{NAME}/event", b"{}", qos=1).wait_for_publish(5)
            messages = place.centre.look(lambda ledger: ledger.messages)
            place.centre.wait_for(lambda ledger, before=messages: ledger.messages >= before, 5)  # type: ignore[misc]
            time.sleep(0.2)
            assert heard == (["x"] if arrives else [])
            end(client)


# -- the checks, each of which has to complain


class FakeCentre:
    def __init__(self) -> None:
        self.ledger = Ledger()

    def look(self, at: Any) -> Any:
        return at(self.ledger)


class FakePlace:
    def __init__(self) -> None:
        self.centre = FakeCentre()

    def document(self, device_id: str, port: int) -> dict[str, Any]:
        return BrokerSide.document(BrokerSide(PLAIN, None, lambda *_: None), device_id, port)


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def column(tmp_path: Path, book: Book) -> Iterator[PressedColumn]:
    """A column without power that has booted, as far as its events tell."""
    place: Any = FakePlace()
    made = PressedColumn(NAME, "cpython", place, Proxy(1), book, tmp_path, 1)
    made._event({"event": "boot", "boot": BOOT, "cause": "power-on", "t_ms": 0})
    yield made
    made.real.close()


def ident(seq: int) -> str:
    return f"{NAME}-{BOOT}-{seq}"


def press(column: PressedColumn, seq: int, number: int, *, heard: bool = True) -> None:
    """Made, taken by the column, and heard by the centre."""
    column.begun += 1
    column._event({"event": "log", "text": f"press: incident {ident(seq)} press {number}", "t_ms": 1})
    if heard:
        column.alarm(ident(seq), number)


def lamp(column: PressedColumn, state: str) -> None:
    column._event({"event": "lamp", "state": state, "t_ms": 1000})


def close(column: PressedColumn, seq: int) -> None:
    column._closed.add(ident(seq))


def test_the_usual_way_is_not_complained_about(column: PressedColumn, book: Book) -> None:
    lamp(column, "ready")
    for number in (1, 2):
        press(column, 1, number)
    column.alarm(ident(1), 1)  # a repeat
    close(column, 1)
    lamp(column, "ready")
    press(column, 2, 1)
    assert column.settled()
    column.finish()
    assert book.wrong == [] and column.alarms[ident(1), 1] == 2


def test_a_missing_press(column: PressedColumn, book: Book) -> None:
    press(column, 1, 1)
    press(column, 1, 2, heard=False)
    assert not column.settled()
    column.finish()
    assert "missing: 2 presses were made and 1 arrived" in book.wrong[0]


def test_an_invented_press(column: PressedColumn, book: Book) -> None:
    press(column, 1, 1)
    column.alarm(ident(1), 2)
    assert "invented" in book.wrong[0]


def test_an_incident_of_somebody_else(column: PressedColumn, book: Book) -> None:
    column.begun += 1
    column.alarm(f"{NAME}-{BOOT + 1}-1", 1)
    assert "is no id of boot" in book.wrong[0]


def test_a_second_incident_while_the_first_is_open(column: PressedColumn, book: Book) -> None:
    press(column, 1, 1)
    press(column, 2, 1)
    assert "two incidents" in book.wrong[0]


def test_a_gap_in_the_ids(column: PressedColumn, book: Book) -> None:
    press(column, 1, 1)
    close(column, 2)
    press(column, 3, 1)
    column.finish()
    assert any("without a gap" in text for text in book.wrong)


@pytest.mark.parametrize("state", ["answered", "help-coming"])
def test_a_lamp_that_answers_by_itself(column: PressedColumn, book: Book, state: str) -> None:
    press(column, 1, 1)
    incidents = column.place.centre.ledger.incidents  # type: ignore[attr-defined]
    incidents[ident(1)] = Incident(ident(1), "nko", NAME, 0, 0, {}, state="new")
    lamp(column, state)
    assert "the centre said new" in book.wrong[0]
    incidents[ident(1)].state = "accepted"
    lamp(column, state)
    assert len(book.wrong) == 1


def test_a_lamp_that_says_sent_before_anything_came(column: PressedColumn, book: Book) -> None:
    column._closures_ms.append(500)
    press(column, 1, 1)
    lamp(column, "sent")
    assert "nothing had come" in book.wrong[0]


@pytest.mark.parametrize("state", ["ready", "out-of-service"])
def test_a_call_that_is_left(column: PressedColumn, book: Book, state: str) -> None:
    press(column, 1, 1)
    lamp(column, state)
    assert "nobody has closed" in book.wrong[0]
    close(column, 1)
    press(column, 2, 1, heard=False)
    lamp(column, state)
    assert "knows 1 presses of 2" in book.wrong[1]


def test_a_restart_and_a_death(column: PressedColumn, book: Book) -> None:
    column._event({"event": "boot", "boot": BOOT + 1, "cause": "watchdog", "t_ms": 1})
    column._event({"event": "log", "text": "supervisor: task lamp died", "t_ms": 1})
    assert "restarted by itself, cause watchdog" in book.wrong[0] and "died" in book.wrong[1]
