"""A desk as the command line makes it, in this process, and what talks to it: a browser's requests, and columns."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp
from contract_examples import example, packed
from multidict import CIMultiDictProxy
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from yarl import URL

from common.mqtt import end
from contract import validator
from desk import command
from desk.mqtt_client import no_delay
from desk.web.accounts import Accounts
from desk.web.sessions import COOKIE
from sim.servers.broker import Broker

WAIT_S = 30.0
POLL_S = 0.02
PASSWORD = "correct horse battery"
NOBODY = "127.0.0.1:9"  # no broker has ever listened there
T = TypeVar("T")


class Answer(NamedTuple):
    """To an HTTP request."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


class DeskRig:
    """`python -m desk --folder FOLDER ARGUMENTS`, and a browser that behaves as its own page does."""

    def __init__(self, folder: Path, broker: Broker | None, *arguments: str) -> None:
        where = f"{broker.host}:{broker.port}" if broker else NOBODY
        given = ["--broker", where, "--folder", str(folder), "--listen", "127.0.0.1:0", *arguments]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._open = contextlib.AsyncExitStack()
        serving = command.serving(command.parse(given))
        self.url, self.server = self.run(self._open.enter_async_context(serving))
        self._link, self.url = self.url, str(URL(self.url).origin()) + "/"
        self.origin = self.url.rstrip("/")
        self._browser = self.run(self._make_browser())
        if self._link == self.url:
            self._link = ""
        if broker:
            self.server.desk.duty.wait_connected(WAIT_S)

    @property
    def page(self) -> str:
        """What a person opens: without accounts only the link that the desk printed lets one in."""
        return self._link or self.url

    async def _enter(self) -> None:
        """As who opens what a desk without accounts has printed, unless that was done."""
        if self._link and not any(one.key == COOKIE for one in self._browser.cookie_jar):
            async with self._browser.get(self._link, allow_redirects=False) as response:
                assert response.status == 303

    def forget(self) -> None:
        """From now on be a browser that has never been here, and does not know the link."""
        self._link = ""
        self._browser.cookie_jar.clear()

    async def _make_browser(self) -> aiohttp.ClientSession:
        jar = aiohttp.CookieJar(unsafe=True)  # else it takes none from an address
        connector = aiohttp.TCPConnector(ssl=False)
        return await self._open.enter_async_context(aiohttp.ClientSession(cookie_jar=jar, connector=connector))

    def run(self, doing: Coroutine[Any, Any, T], timeout_s: float = WAIT_S) -> T:
        """In the loop of the server."""
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(timeout_s)

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        self.run(self._open.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)

    # A browser

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, document: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """As the page does: JSON, and where it comes from."""
        given = {"Content-Type": "application/json", "Origin": self.origin, **(headers or {})}
        return self.ask("POST", path, json.dumps({} if document is None else document).encode(), given)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Any request; a header that is "" is not sent."""
        return self.run(self._ask(method, path, body, headers or {}))

    async def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        await self._enter()
        where = URL(self.origin + path, encoded=True)
        sent = {name: value for name, value in headers.items() if value}
        skip = [name for name, value in headers.items() if not value]
        request = self._browser.request(
            method, where, data=body, headers=sent, skip_auto_headers=skip, allow_redirects=False
        )
        async with request as response:
            return Answer(response.status, response.headers, await response.read())

    def log_in(self, name: str, password: str = PASSWORD) -> Answer:
        return self.post("/api/login", {"name": name, "password": password})

    @contextlib.contextmanager
    def watch(self, headers: Mapping[str, str] | None = None) -> Iterator[Watch]:
        """The feed. Raises aiohttp.WSServerHandshakeError."""
        given = {"Origin": self.origin} if headers is None else headers
        self.run(self._enter())
        feed = self.run(self._browser.ws_connect(self.origin + "/api/feed", headers=given))
        try:
            yield Watch(self, feed)
        finally:
            self.run(feed.close())


class Watch:
    """What one browser is told."""

    def __init__(self, rig: DeskRig, opened: aiohttp.ClientWebSocketResponse) -> None:
        self._rig, self.socket = rig, opened
        self.heard: list[dict[str, Any]] = []

    def next(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        message = self._rig.run(self.socket.receive(WAIT_S))
        if message.type is not aiohttp.WSMsgType.TEXT:
            return None
        self.heard.append(json.loads(message.data))
        return self.heard[-1]

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message like that, from now on."""
        while message := self.next():
            if wanted(message):
                return message
        raise AssertionError(f"the feed ended; it had said {self.heard[-3:]}")

    def incident(self, incident_id: str, **wanted: Any) -> dict[str, Any]:
        """The incident as the feed tells it, as soon as it is like that."""

        def matches(message: dict[str, Any]) -> bool:
            found = message.get("incident", {})
            return found.get("id") == incident_id and wanted.items() <= found.items()

        return dict(self.until(matches)["incident"])


class Speaker:
    """Columns that speak word for word as the contract's examples do, and hear what they are answered."""

    def __init__(self, broker: Broker) -> None:
        self.heard: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        ready = threading.Event()
        self._mqtt = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._mqtt.on_connect = self._subscribe
        self._mqtt.on_subscribe = lambda *_: ready.set()
        self._mqtt.on_message = self._hear
        self._mqtt.on_socket_open = no_delay  # as a column does: else its second message waits 40 ms
        self._mqtt.connect(broker.host, broker.port)
        self._mqtt.loop_start()
        assert ready.wait(WAIT_S)

    def _subscribe(self, *_: object) -> None:
        self._mqtt.subscribe([("sos/v1/+/+/ack", 1), ("sos/v1/+/+/cmd", 1)])

    def _hear(self, client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        self.heard.put((message.topic, json.loads(message.payload)))

    def say(self, kind: str, device_id: str = "petropavl-01", **changes: Any) -> None:
        topic, document = example(kind)
        region, _, rest = topic.removeprefix("sos/v1/").split("/", 2)
        if "device_id" in document:
            document["device_id"] = device_id
        qos, retain = validator.delivery(kind)
        self.publish(f"sos/v1/{region}/{device_id}/{rest}", packed({**document, **changes}), qos, retain)

    def press(self, device_id: str = "petropavl-01", number: int = 1, **changes: Any) -> str:
        """An alarm; returns its id."""
        incident_id = f"{device_id}-17-{number}"
        self.say("alarm", device_id, id=incident_id, **changes)
        return incident_id

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        self._mqtt.publish(topic, payload, qos, retain).wait_for_publish(WAIT_S)

    def hears(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """The next answer or command of that kind that is like that."""
        deadline_s = time.monotonic() + WAIT_S
        while True:
            topic, document = self.heard.get(timeout=max(0.01, deadline_s - time.monotonic()))
            if topic.endswith("/" + kind) and wanted.items() <= document.items():
                return document

    def close(self) -> None:
        end(self._mqtt)


def wait_for(look: Callable[[], T | None], what: str) -> T:
    """`look()` as soon as it is true."""
    deadline_s = time.monotonic() + WAIT_S
    while not (found := look()):
        assert time.monotonic() < deadline_s, f"not within {WAIT_S} s: {what}"
        time.sleep(POLL_S)
    return found


def audited(folder: Path) -> list[dict[str, Any]]:
    """What the desk has written down of who came and what they did."""
    return [json.loads(line) for line in (folder / "audit.log").read_text().splitlines()]


def add_account(folder: Path, name: str, role: str = "operator", password: str = PASSWORD) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Accounts(folder).add(name, password, role)
