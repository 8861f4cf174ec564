"""The feed of a pillar's page: a real column, a real broker; and input that is no order."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from column_probe import CONFIG, need
from pillar_rig import DEVICE, PATIENCE_S, IdleColumn, TestTown, run, wait_until, watching
from runs import SEED

from sim.demo.columns import COLUMNS, configuration
from sim.pillar import Pillar, PillarServer
from sim.pillar.feed import MESSAGE_BYTES_MAX, BadOrder, order
from sim.servers.broker import Mosquitto
from sim.servers.centre import Centre


class Page:
    """What a page knows; it grows as the feed tells."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.about: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.lamps: list[str] = []
        self.lines: list[str] = []
        self.errors: list[str] = []

    async def do(self, what: str, **details: Any) -> None:
        await self._socket.send_json({"do": what, **details})

    async def say(self, text: str) -> None:
        await self._socket.send_str(text)

    async def until(self, what: Callable[[], object], text: str) -> None:
        """Read the feed until `what` is true."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while not what():
                    self._take(json.loads(await self._socket.receive_str()))
            except TimeoutError:
                raise AssertionError(f"not within {PATIENCE_S:.0f} s: {text}; {self.state}, {self.lines}") from None

    async def closed(self) -> int | None:
        """Read on until the server closes; its code."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._socket.closed:
                await self._socket.receive()
        return self._socket.close_code

    def _take(self, message: dict[str, Any]) -> None:
        if "about" in message:
            self.about = message["about"]
        elif "state" in message:
            self.state = message["state"]
            self.lamps.append(message["state"]["lamp"])
        elif "log" in message:
            self.lines.append(message["log"])
        else:
            self.errors.append(message["error"])


@asynccontextmanager
async def page(server: PillarServer, device_id: str = DEVICE, **headers: str) -> AsyncIterator[Page]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.page(device_id)}feed", headers=headers) as socket,
    ):
        yield Page(socket)


@pytest.mark.mosquitto
def test_a_real_column_from_the_press_to_the_end(mosquitto: Mosquitto) -> None:
    """The way of an alarm as the page shows it: hold, answered, the call's tone, help coming, closed, relay open."""
    place = COLUMNS[0]
    with Centre(mosquitto.host, mosquitto.port) as centre, PillarServer() as server:
        config = server.configured(configuration(place, mosquitto.host, mosquitto.port))
        with server.add(Pillar(config)) as pillar:
            pillar.power_on()
            run(_from_press_to_end(server, pillar, centre))
        (incident,) = centre.ledger().of(place.device_id)
        assert incident.alarm["stream"]["webrtc"] == server.stream(place.device_id)["webrtc"]


async def _from_press_to_end(server: PillarServer, pillar: Pillar, centre: Centre) -> None:
    async with page(server, pillar.device_id) as seen:
        await seen.until(lambda: seen.state.get("lamp") == "ready", "ready")
        assert seen.about["device_id"] == pillar.device_id and seen.state["power"] and not seen.state["relay"]
        async with watching(server.stream(pillar.device_id)["webrtc"]) as watcher:
            await seen.do("hold")
            await seen.until(lambda: seen.state["lamp"] == "answered", "answered")
            assert seen.state["held"] and seen.state["relay"]
            await seen.until(lambda: watcher.sound and watcher.sound[-1].any(), "the tone of the call")
            await seen.do("release")
            await seen.until(lambda: not seen.state["held"], "released")
        (incident,) = centre.ledger().of(pillar.device_id)
        await asyncio.to_thread(centre.accept, incident.id)
        await seen.until(lambda: seen.state["lamp"] == "help-coming", "help coming")
        await asyncio.to_thread(centre.close, incident.id)
        await seen.until(lambda: seen.state["lamp"] == "ready" and not seen.state["relay"], "ready, relay open")


@pytest.mark.mosquitto
def test_the_technicians_hatch_on_a_real_column(mosquitto: Mosquitto) -> None:
    with PillarServer() as server:
        config = server.configured(configuration(COLUMNS[0], mosquitto.host, mosquitto.port))
        with server.add(Pillar(config)) as pillar:
            pillar.power_on()
            run(_open_the_hatch(server, pillar.device_id))


async def _open_the_hatch(server: PillarServer, device_id: str) -> None:
    async with page(server, device_id) as seen:
        await seen.until(lambda: seen.state.get("lamp") == "ready", "ready")
        boot = seen.state["boot"]
        await seen.do("reset")
        await seen.until(lambda: seen.state["boot"] == boot + 1, "the next start")
        assert "reset: hard" in seen.lines
        await seen.until(lambda: seen.state["lamp"] == "ready", "ready after the reset")
        await seen.do("link", on=False)
        await seen.until(lambda: seen.state["lamp"] == "out-of-service", "no network")
        assert not seen.state["link"]
        await seen.do("link", on=True)
        await seen.until(lambda: seen.state["lamp"] == "ready", "the network is back")
        await seen.do("power", on=False)
        await seen.until(lambda: seen.state["lamp"] == "dark" and not seen.state["power"], "dark")
        await seen.do("power", on=True)
        await seen.until(lambda: seen.state["boot"] == boot + 2, "the start after that")


def test_a_real_contact_that_chatters_raises_no_alarm_and_a_press_does(mosquitto: Mosquitto) -> None:
    need("mosquitto")
    with Centre(mosquitto.host, mosquitto.port) as centre, PillarServer() as server:
        config = server.configured(configuration(COLUMNS[0], mosquitto.host, mosquitto.port))
        with server.add(Pillar(config)) as pillar:
            pillar.power_on()
            run(_chatter(server, pillar, centre))


async def _chatter(server: PillarServer, pillar: Pillar, centre: Centre) -> None:
    async with page(server, pillar.device_id) as seen:
        await seen.until(lambda: seen.state.get("lamp") == "ready", "ready")
        await seen.do("chatter", on=True)
        await seen.until(lambda: seen.state["chatter"], "it chatters")
        await asyncio.sleep(2)  # some fifty bounces
        assert centre.ledger().of(pillar.device_id) == [] and seen.state["lamp"] == "ready"
        await seen.do("hold")
        await seen.until(lambda: seen.state["lamp"] == "answered", "a finger is felt through the chatter")
        await seen.do("release")
        await seen.do("chatter", on=False)
        await seen.until(lambda: not seen.state["chatter"], "it is still")


def test_a_page_that_goes_away_takes_its_finger_with_it(town: TestTown) -> None:
    server, pillar, column = town

    async def hold_and_go() -> None:
        async with page(server) as seen:
            await seen.do("hold")
            await seen.until(lambda: seen.state.get("held"), "held")

    run(hold_and_go())
    wait_until(lambda: not pillar.state()["held"], "let go")
    assert column.moves == [[(0, 1)], [(0, 0)]]


def test_two_pages_have_a_finger_each_and_see_the_same(town: TestTown) -> None:
    server, _, _ = town

    async def both() -> None:
        async with page(server) as one, page(server) as other:
            await one.do("hold")
            await other.do("hold")
            await other.until(lambda: other.state.get("held"), "held")
            await one.do("release")
            await one.do("stuck", on=True)
            await other.until(lambda: other.state["stuck"], "the other page sees it")
            assert other.state["held"], "one page took the other's finger off"
            await other.do("release")
            await one.until(lambda: one.state.get("stuck") and not one.state["held"], "no finger")

    run(both())


def test_orders_reach_the_column_in_their_order(town: TestTown) -> None:
    server, _, column = town

    async def work() -> None:
        async with page(server) as seen:
            await seen.do("press", ms=120)
            await seen.do("tamper", on=True)
            await seen.do("reset")
            await seen.do("power", on=True)
            await seen.until(lambda: seen.state.get("power"), "the last of them")

    run(work())
    assert column.moves == [[(0, 1), (120_000, 0)]]
    assert column.done == [("tamper", True), ("reset",), ("power_on",)]


# -- hostile input

WRONG = [
    "",
    "hold",
    "[]",
    "null",
    "{}",
    '{"do": 1}',
    '{"do": ["hold"]}',
    '{"do": "explode"}',
    '{"do": "close"}',
    '{"do": "press"}',
    '{"do": "press", "ms": "100"}',
    '{"do": "press", "ms": true}',
    '{"do": "press", "ms": 0}',
    '{"do": "press", "ms": 60001}',
    '{"do": "press", "ms": 1e999}',
    '{"do": "press", "ms": NaN}',
    '{"do": "power"}',
    '{"do": "power", "on": 1}',
    '{"do": "link", "on": "down"}',
    "[" * 1000,
    '{"do": "hold"',
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_order_is_refused_and_says_why(text: str) -> None:
    with Pillar(CONFIG, make_column=IdleColumn) as pillar:  # type: ignore[arg-type]
        column: Any = pillar.real
        with pytest.raises(BadOrder, match=r"\w"):
            order(pillar, text, "a finger")()
        assert column.moves == [] and column.done == []


def test_garbage_is_answered_and_the_feed_goes_on(town: TestTown) -> None:
    server, _, column = town
    chance = random.Random(SEED)
    garbage = [*WRONG, *("".join(chance.choices('{}[]":,ehold01\x00ж', k=40)) for _ in range(100))]

    async def attack() -> None:
        async with page(server) as seen:
            for text in garbage:
                await seen.say(text)
            await seen.until(lambda: len(seen.errors) == len(garbage), f"an error for each (seed {SEED})")
            await seen.do("hold")
            await seen.until(lambda: seen.state.get("held"), "it still obeys")

    run(attack())
    assert column.done == []


def test_an_oversized_message_closes_that_feed_only(town: TestTown) -> None:
    server, _, _ = town

    async def attack() -> None:
        async with page(server) as bystander, page(server) as attacker:
            await attacker.say('{"do": "hold", "x": "' + "x" * MESSAGE_BYTES_MAX + '"}')
            assert await attacker.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
            await bystander.do("hold")
            await bystander.until(lambda: bystander.state.get("held"), "the other page's feed goes on")

    run(attack())


def test_another_sites_page_may_not_connect(town: TestTown) -> None:
    server, _, _ = town

    async def attack(origin: str) -> None:
        async with page(server, Origin=origin):
            pass

    run(attack(server.url))
    for origin in ("http://evil.example", "null", f"http://evil.example:{server.port}"):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            run(attack(origin))


def test_a_name_that_was_bent_to_loopback_is_not_answered(town: TestTown) -> None:
    server, _, _ = town

    async def attack(host: str) -> None:
        async with page(server, Host=host):
            pass

    run(attack(f"localhost:{server.port}"))
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        run(attack(f"evil.example:{server.port}"))


def test_pages_are_counted(town: TestTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.pillar.web.PAGES_MAX", 2)
    server, _, _ = town

    async def crowd() -> None:
        async with page(server) as one, page(server) as other:
            await one.until(lambda: one.state, "one")
            await other.until(lambda: other.state, "two")
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                async with page(server):
                    pass

    run(crowd())
