"""The feed: each change reaches every browser, a slow browser harms nobody, and only the desk's own page may listen."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import aiohttp
import pytest
from desk_rig import PASSWORD, DeskRig, Speaker, Watch, add_account, wait_for

from desk.attendance import Attendance
from desk.duty import Change
from desk.web import feed as feed_module
from desk.web.feed import Feed, Message
from desk.web.sessions import COOKIE
from sim.servers.broker import Mosquitto


@pytest.fixture
def desk(broker: Mosquitto, tmp_path: Path) -> Iterator[DeskRig]:
    rig = DeskRig(tmp_path / "desk", broker)
    yield rig
    rig.close()


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskRig]:
    """A desk without a broker, for what needs none, that tells the time more often."""
    monkeypatch.setattr(feed_module, "TICK_S", 0.1)
    rig = DeskRig(tmp_path / "desk", None)
    yield rig
    rig.close()


# -- what is told


@pytest.mark.mosquitto
def test_a_press_is_on_the_feed_at_once(desk: DeskRig, speaker: Speaker, capsys: pytest.CaptureFixture[str]) -> None:
    with desk.watch() as feed:
        took_ms = []
        for number in range(1, 6):
            began_s = time.monotonic()
            incident = feed.incident(speaker.press(number=number))
            took_ms.append(round((time.monotonic() - began_s) * 1000, 1))
            assert incident["press"] == 1 and incident["location"]["address"]
    with capsys.disabled():
        print(f"\npress published -> on the feed, in ms: {took_ms}")


@pytest.mark.mosquitto
def test_all_browsers_hear_what_one_operator_does(desk: DeskRig, speaker: Speaker) -> None:
    incident_id = speaker.press()
    speaker.hears("ack", id=incident_id)
    with desk.watch() as mine, desk.watch() as yours:
        desk.post(f"/api/incidents/{incident_id}/accept", {"by": "Айгүл"})
        for feed in (mine, yours):
            assert feed.incident(incident_id, state="accepted")["by"] == "Айгүл"


@pytest.mark.mosquitto
def test_a_column_and_its_alarm_are_told_together(desk: DeskRig, speaker: Speaker) -> None:
    speaker.say("info")
    speaker.say("state")
    with desk.watch() as feed:
        incident_id = speaker.press()
        column = feed.until(lambda each: each.get("column", {}).get("status") == "alarm")["column"]
        assert column["open"] == [incident_id]
        desk.post(f"/api/incidents/{incident_id}/close", {"outcome": "false"})
        feed.until(lambda each: each.get("column", {}).get("open") == [])


@pytest.mark.mosquitto
def test_the_feed_says_when_the_broker_is_gone_and_back(desk: DeskRig, broker: Mosquitto) -> None:
    with desk.watch() as feed:
        assert feed.until(lambda each: each["kind"] == "desk")["broker"] is True
        broker.stop()
        gone = feed.until(lambda each: each["kind"] == "desk" and not each["broker"])
        assert gone["trouble"] and gone["now_ms"] > 0
        broker.start()
        assert feed.until(lambda each: each["kind"] == "desk" and each["broker"])["trouble"] == ""


def test_the_time_is_told_without_anything_happening(alone: DeskRig) -> None:
    with alone.watch() as feed:
        times = [feed.until(lambda each: each["kind"] == "desk")["now_ms"] for _ in range(3)]
    assert times == sorted(times)


# -- the feed by itself


class Slow:
    """A register that can be held up, and a feed on it."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.asked: list[list[tuple[str, str]]] = []
        self.feed = Feed(self.read, lambda: {"kind": "desk"}, Attendance(lambda: 0))

    def read(self, changes: Iterable[tuple[str, str]]) -> list[Message]:
        self.asked.append(list(changes))
        assert self.held.wait(20)
        return [{"kind": kind, "id": name} for kind, name in self.asked[-1]]


def test_many_changes_of_one_thing_are_one_message() -> None:
    slow = Slow()

    async def live() -> None:
        slow.feed.start()
        slow.feed.notify(Change("incident", "first"))
        while not slow.asked:
            await asyncio.sleep(0.01)
        for _ in range(1000):
            slow.feed.notify(Change("incident", "flood"))
        slow.feed.notify(Change("column", "other"))
        await asyncio.sleep(0)
        slow.held.set()
        while len(slow.asked) < 2:
            await asyncio.sleep(0.01)
        await slow.feed.stop()

    asyncio.run(asyncio.wait_for(live(), 20))
    assert slow.asked == [[("incident", "first")], [("incident", "flood"), ("column", "other")]]


def test_a_register_that_fails_once_does_not_end_the_feed() -> None:
    told: list[Message] = []
    asked: list[int] = []

    def read(changes: Iterable[tuple[str, str]]) -> list[Message]:
        asked.append(len(list(changes)))
        if len(asked) == 1:
            raise RuntimeError("the disk is busy")
        return [{"kind": "incident"}]

    class Heard(Feed):
        def _tell(self, message: Message) -> None:
            told.append(message)

    async def live() -> None:
        feed = Heard(read, lambda: {"kind": "desk"}, Attendance(lambda: 0))
        feed.start()
        feed.notify(Change("incident", "a"))
        while not told:
            await asyncio.sleep(0.01)
        await feed.stop()

    asyncio.run(asyncio.wait_for(live(), 20))
    assert asked == [1, 1] and told == [{"kind": "incident"}]  # the same change was read again


def test_a_change_after_the_end_is_nobodys() -> None:
    feed = Feed(lambda changes: [], lambda: {}, Attendance(lambda: 0))
    feed.notify(Change("incident", "before the start"))

    async def live() -> None:
        feed.start()
        await feed.stop()

    asyncio.run(live())
    feed.notify(Change("incident", "after the end"))


# -- browsers that misbehave


def flood(desk: DeskRig, number: int) -> None:
    text = "x" * 100_000  # the sockets' buffers are full after some of them

    async def tell() -> None:
        for _ in range(number):
            desk.server.feed._tell({"kind": "desk", "text": text})
            await asyncio.sleep(0)

    desk.run(tell())


def test_a_browser_that_does_not_read_is_cut_off_and_the_others_are_not(alone: DeskRig) -> None:
    with alone.watch() as good, alone.watch() as deaf:
        assert good.next() and deaf.next()
        assert len(alone.server.feed._browsers) == 2
        protocol = deaf.socket._reader._protocol
        protocol.pause_reading()
        for _ in range(10):
            flood(alone, 60)
            for _ in range(60):
                good.until(lambda each: "text" in each)
        wait_for(lambda: len(alone.server.feed._browsers) == 1, "the one that does not read is gone")
        flood(alone, 1)
        assert good.until(lambda each: "text" in each)
        protocol.resume_reading()  # so that it can end


def test_a_browser_that_talks_too_much_is_cut_off(alone: DeskRig) -> None:
    with alone.watch() as feed:
        alone.run(feed.socket.send_str("hello"))
        assert feed.next()
        alone.run(feed.socket.send_str("x" * 2000))
        ends(feed)


def test_there_is_an_end_to_the_number_of_browsers(alone: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "BROWSERS_MAX", 2)
    with alone.watch(), alone.watch():
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused, alone.watch():
            pass
        assert refused.value.status == 503
    wait_for(lambda: not alone.server.feed._browsers, "they are gone")
    with alone.watch() as again:
        assert again.next()


def ends(feed: Watch) -> None:
    while feed.next():
        pass


# -- who may listen


def listens(desk: DeskRig, headers: dict[str, str]) -> int:
    """101, or the status of the refusal."""
    try:
        with desk.watch(headers) as feed:
            assert feed.next()
            return 101
    except aiohttp.WSServerHandshakeError as refused:
        return refused.status


FOREIGN = ("http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1.evil.example", "null", "http://[", "")


def hold_origin(desk: DeskRig) -> None:
    assert listens(desk, {"Origin": desk.origin}) == 101
    assert listens(desk, {"Origin": desk.origin, "Sec-Fetch-Site": "same-origin"}) == 101
    for origin in FOREIGN:
        assert listens(desk, {"Origin": origin} if origin else {}) == 403, origin
    assert listens(desk, {"Origin": desk.origin, "Sec-Fetch-Site": "cross-site"}) == 403


def test_only_the_desks_own_page_may_listen(alone: DeskRig) -> None:
    hold_origin(alone)


def test_a_feed_for_any_page_is_noticed(alone: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.web.guard.Guard._check_origin", lambda self, request: None)
    with pytest.raises(AssertionError):
        hold_origin(alone)


def test_the_end_of_a_session_is_the_end_of_its_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "TICK_S", 0.05)
    folder = tmp_path / "desk"
    add_account(folder, "Ерлан")
    desk = DeskRig(folder, None)
    try:
        assert listens(desk, {"Origin": desk.origin}) == 401
        desk.log_in("Ерлан")
        with desk.watch() as feed:
            assert feed.next()
            desk.post("/api/logout")
            ends(feed)
        assert listens(desk, {"Origin": desk.origin}) == 401
        desk.log_in("Ерлан")
        with desk.watch() as feed:
            assert feed.next()
            add_account(folder, "Ерлан", password=PASSWORD + " new")  # whoever knows the old one is out
            ends(feed)
        assert listens(desk, {"Origin": desk.origin, "Cookie": f"{COOKIE}=made-up"}) == 401
    finally:
        desk.close()


def test_one_bad_look_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where an accounts file that cannot be looked at ends all ticks: pages would connect over and over."""
    monkeypatch.setattr(feed_module, "TICK_S", 0.0)
    looks: list[int] = []

    def allowed() -> bool:
        looks.append(len(looks))
        if len(looks) == 1:
            raise PermissionError(13, "accounts.toml")
        return True

    async def tell() -> str:
        feed = Feed(lambda changes: [], lambda: {"what": "status"}, Attendance(lambda: 0))
        queue: asyncio.Queue[str] = asyncio.Queue()
        feed._browsers[queue] = allowed
        feed.start()
        try:
            return await asyncio.wait_for(queue.get(), 10)
        finally:
            feed._browsers.clear()
            await feed.stop()

    assert "status" in asyncio.run(tell()) and len(looks) > 1
