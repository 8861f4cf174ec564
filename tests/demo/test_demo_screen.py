"""The terminal view: what the keys do to a town, what the panels say, and that both fit 80 columns and 24
lines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from contract_examples import example, packed
from textual.pilot import Pilot
from textual.widgets import RichLog, Static

from sim.demo import panels
from sim.demo.columns import COLUMNS
from sim.demo.screen import PRESS_MS, TownApp
from sim.demo.town import Event, Lamp, Post, Town
from sim.document import REGION
from sim.servers.broker import EmbeddedBroker

SIZE = (80, 24)
WAIT_S = 15.0


class NotedPole:
    """Writes down what is done to it."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self.done.append((name, *arguments))


class NotedBroker(EmbeddedBroker):
    """Never opens a port."""

    up = True

    @property
    def running(self) -> bool:
        return self.up

    def start(self) -> None:
        self.up = True

    def stop(self) -> None:
        self.up = False


class FakeTown(Town):
    """Three columns on paper: nothing runs."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = NotedBroker()
        self.columns = [NotedPole() for _ in COLUMNS]
        self.posts = [
            Post(place, column, powered=True)  # type: ignore[arg-type]
            for place, column in zip(COLUMNS, self.columns, strict=True)
        ]

    def alarm(self, number: int, alarm_number: int, **changes: Any) -> str:
        """Enter an alarm of that column into the ledger."""
        device_id = COLUMNS[number].device_id
        document = {**example("alarm")[1], "device_id": device_id, "id": f"{device_id}-1-{alarm_number}", **changes}
        topic = f"sos/v1/{REGION}/{device_id}/alarm"
        assert self.centre.look(lambda ledger: ledger.take(topic, packed(document), 0.0))
        return str(document["id"])

    def state(self, incident_id: str) -> str:
        return self.centre.look(lambda ledger: ledger.incidents[incident_id].state)


def play(town: Town, keys: Sequence[str], check: Callable[[Pilot[None]], None] = lambda pilot: None) -> None:
    """Open the screen, press keys, wait until their effects are done, check."""

    async def run() -> None:
        app = TownApp(town)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.press(*keys)
            await asyncio.wrap_future(app._hands.submit(lambda: None))
            app.show_town()
            await pilot.pause()
            check(pilot)

    asyncio.run(run())


def shown(pilot: Pilot[None], name: str) -> str:
    return str(pilot.app.query_one(f"#{name}", Static).content)


@pytest.fixture
def town() -> FakeTown:
    return FakeTown()


@pytest.mark.parametrize(
    ("keys", "number", "done"),
    [
        ("1", 0, [("press", PRESS_MS)]),
        ("3", 2, [("press", PRESS_MS)]),
        ("h2", 1, [("hold",)]),
        ("h2h2", 1, [("hold",), ("release",)]),
        ("p1", 0, [("power_off",)]),
        ("p1p1", 0, [("power_off",), ("power_on",)]),
        ("l3l3", 2, [("link", False), ("link", True)]),
        ("p\x1b1", 0, [("press", PRESS_MS)]),
        ("pp1", 0, [("press", PRESS_MS)]),
        ("pl1", 0, [("link", False)]),
    ],
)
def test_keys_act_on_the_column_of_the_digit(
    town: FakeTown, keys: str, number: int, done: list[tuple[Any, ...]]
) -> None:
    play(town, ["escape" if key == "\x1b" else key for key in keys])
    assert [column.done for column in town.columns] == [done if i == number else [] for i in range(3)]


def test_a_waiting_key_says_what_it_waits_for(town: FakeTown) -> None:
    play(town, ["p"], lambda pilot: _has(shown(pilot, "status"), "power: which column?"))
    play(town, ["p", "1"], lambda pilot: _has_not(shown(pilot, "status"), "which column?"))


def test_the_broker_goes_and_comes(town: FakeTown) -> None:
    play(town, ["b"], lambda pilot: _has(shown(pilot, "status"), "AWAY"))
    assert not town.broker.running
    play(town, ["b"], lambda pilot: _has(shown(pilot, "status"), "broker up"))
    assert town.broker.running


def test_the_operator_answers_the_oldest_open_incident(town: FakeTown) -> None:
    first, second = town.alarm(0, 1), town.alarm(1, 1)
    play(town, ["a"])
    assert (town.state(first), town.state(second)) == ("accepted", "new")
    play(town, ["d", "c"])
    assert (town.state(first), town.state(second)) == ("closed", "new")
    play(town, ["c"])
    assert town.state(second) == "closed"


def test_the_arrows_choose_another_incident(town: FakeTown) -> None:
    first, second = town.alarm(0, 1), town.alarm(1, 1)
    play(town, ["down", "down", "a"])
    assert (town.state(first), town.state(second)) == ("new", "accepted")
    play(town, ["down", "up", "a"])
    assert town.state(first) == "accepted"


def test_what_cannot_be_is_said_and_not_fatal(town: FakeTown) -> None:
    play(town, ["a"])
    town.alarm(0, 1)
    play(town, ["a", "a"])
    texts = [item.text for item in town.news(0)[0]]
    assert any("no incident" in text for text in texts)
    assert any("cannot become 'accepted'" in text for text in texts)


def test_everything_is_on_one_screen_of_80_by_24(town: FakeTown) -> None:
    for number in range(3):
        for alarm_number in range(4):
            town.alarm(number, alarm_number, late=True, press=2)
        town.posts[number].lamp = "not-delivered"
    for number in range(50):
        town.tell("petropavl-01", f"event {number}")

    def check(pilot: Pilot[None]) -> None:
        text = _screen(pilot)
        lines = text.splitlines()
        assert len(lines) <= SIZE[1]
        for wanted in ("1 Конституция көшесі", "2 Привокзальная пл.", "3 Школа № 7", "Incidents", "event 49"):
            assert wanted in text
        for key in (
            "1-3 press",
            "h hold",
            "p power",
            "l link",
            "b broker",
            "a accept",
            "d dispatch",
            "c close",
            "q quit",
        ):
            assert key in lines[-1]
        assert text.count("NOT-DELIVERED") == 3 and text.count("petropavl-02-1-") == 1
        assert "power on  link up" in text and "last alarm 3 new" in text

    play(town, [], check)


def test_more_incidents_than_lines_keep_the_chosen_one_in_sight(town: FakeTown) -> None:
    ids = [town.alarm(0, number) for number in range(9)]

    def check(pilot: Pilot[None]) -> None:
        rows = shown(pilot, "incidents").splitlines()
        assert len(rows) == panels.INCIDENT_ROWS and rows[-1].startswith(f"▶ {ids[7]}")

    play(town, ["down"] * 7, check)


def test_each_state_of_the_lamp_has_its_own_look() -> None:
    states = ["ready", "calling", "sent", "answered", "help-coming", "not-delivered", "out-of-service", "dark"]
    assert len({panels.lamp_style(state) for state in states}) == len(states)


def test_the_lamp_is_in_its_colour(town: FakeTown) -> None:
    town.posts[0].lamp = "answered"
    text = panels.post(town.posts[0], town.centre.ledger())
    (span,) = [span for span in text.spans if text.plain[span.start : span.end].strip() == "ANSWERED"]
    assert str(span.style) == "bold white on rgb(0,0,255)"


def test_news_reach_the_log_once(town: FakeTown) -> None:
    town.tell("petropavl-01", "something")

    async def run() -> None:
        app = TownApp(town)
        async with app.run_test(size=SIZE) as pilot:
            for _ in range(3):
                app.show_town()
                await pilot.pause()
            lines = [str(line.text) for line in app.query_one("#log", RichLog).lines]
            assert [line.split()[1:] for line in lines] == [["petropavl-01", "something"]]

    asyncio.run(run())


def test_only_what_changed_is_drawn(town: FakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str | None] = []
    update = Static.update

    def note(self: Static, content: Any, *, layout: bool) -> None:
        drawn.append(self.id)
        update(self, content, layout=layout)

    monkeypatch.setattr(Static, "update", note)

    async def run() -> None:
        app = TownApp(town)
        async with app.run_test(size=SIZE):
            drawn.clear()
            town.posts[1].lamp = "calling"
            app.show_town()
            app.show_town()

    asyncio.run(run())
    assert drawn == ["post-2"]


def test_a_lie_is_shown(town: FakeTown) -> None:
    play(town, [], lambda pilot: _has_not(shown(pilot, "status"), "UNTRUE"))
    town._on_lamp(town.posts[0], Lamp(1, "answered"))
    assert len(town.false_answers) == 1
    play(town, [], lambda pilot: _has(shown(pilot, "status"), "UNTRUE"))


def test_the_truth_is_no_lie(town: FakeTown) -> None:
    incident = town.alarm(0, 1)
    town.centre.look(lambda ledger: ledger.advance(incident, "received", "centre"))
    town._on_lamp(town.posts[0], Lamp(1, "answered"))
    assert not town.false_answers
    town._on_lamp(town.posts[0], Lamp(2, "help-coming"))
    town._on_lamp(town.posts[1], Lamp(3, "answered"))
    assert [text.split()[0] for text in town.false_answers] == ["petropavl-01", "petropavl-02"]


def test_events_of_a_column_reach_its_post(town: FakeTown) -> None:
    events: list[Event] = [
        {"t_ms": 1, "event": "boot", "boot": 3, "cause": "power-on"},
        {"t_ms": 2, "event": "lamp", "state": "ready"},
        {"t_ms": 3, "event": "relay", "closed": True},
        {"t_ms": 4, "event": "log", "text": "no news"},
        {"t_ms": 5, "event": "reset", "cause": "watchdog", "culprit": "uplink"},
    ]
    for event in events:
        town._on_event(town.posts[0], event)
    post = town.posts[0]
    assert (post.boots, post.lamp, post.relay_closed, post.resets) == (3, "ready", True, [events[-1]])
    assert town.posts[1].lamps == []


def test_a_real_town_from_press_to_closed() -> None:
    quitting = threading.Event()

    async def run(town: Town) -> None:
        app = TownApp(town)
        async with app.run_test(size=SIZE) as pilot:

            async def until(state: str) -> None:
                await asyncio.to_thread(town.wait_for, lambda: town.posts[1].lamp == state, WAIT_S, state)
                app.show_town()
                await pilot.pause()
                assert state.upper() in shown(pilot, "post-2")

            await until("ready")
            for keys, state in [
                ("2", "answered"),
                ("a", "help-coming"),
                ("c", "ready"),
                ("p2", "dark"),
                ("p2", "ready"),
            ]:
                await pilot.press(*keys)
                await until(state)
            await pilot.press("q")
        quitting.set()

    with Town() as town:
        asyncio.run(run(town))
        (incident,) = town.incidents(town.posts[1])
        assert incident.state == "closed" and not town.false_answers and not town.breaches
        assert quitting.is_set()


def _screen(pilot: Pilot[None]) -> str:
    lines = pilot.app.screen._compositor.render_strips(pilot.app.size)
    return "\n".join(line.text.rstrip() for line in lines)


def _has(text: str, wanted: str) -> None:
    assert wanted in text


def _has_not(text: str, unwanted: str) -> None:
    assert unwanted not in text
