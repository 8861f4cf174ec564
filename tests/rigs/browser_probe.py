"""A real browser under test: pages of the desk and of pillars, what they show, and what they must never do."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Locator, Page, ViewportSize, expect, sync_playwright

from sim.demo.city import City
from sim.demo.columns import COLUMNS, DemoColumn
from sim.servers.broker import Mosquitto
from tools import toolbox
from tools.chromium import FLAGS

MARKS = [pytest.mark.chromium, pytest.mark.mosquitto]
PATIENCE_S = 40.0
PRESS_MS = 150
POLL_MS = 50
TABS_MAX = 80
WIDE: ViewportSize = {"width": 1280, "height": 720}
PHONE: ViewportSize = {"width": 390, "height": 844}
NOTHING = re.compile(r"(?!)")
# What a page says while its server is away: that is no mistake of the page.
AWAY = re.compile(r"net::ERR_(CONNECTION_\w+|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|SOCKET_NOT_CONNECTED)")
# Notes on every page when each strip came, and whether foreign markup ran or became an element.
WITNESS = """
window.witness = {strips: {}, ran: []};
window.pwned = (what) => window.witness.ran.push(String(what));
new MutationObserver(() => {
  for (const strip of document.querySelectorAll("[data-testid=strip]")) witness.strips[strip.dataset.id] ??= Date.now();
  for (const node of document.querySelectorAll(".pwned, [onerror], [onload], iframe, object, embed, base"))
    witness.ran.push(node.outerHTML);
}).observe(document, {subtree: true, childList: true, attributes: true});
"""
# Two pictures of the video, a moment apart: how much brightness varies within one, and how many pixels differ.
PICTURES = """async (video) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [160, 90];
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  const look = () => { pen.drawImage(video, 0, 0, 160, 90); return pen.getImageData(0, 0, 160, 90).data; };
  const one = look();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const two = look();
  let [least, most, moved] = [255, 0, 0];
  for (let i = 1; i < one.length; i += 4) {
    least = Math.min(least, one[i]);
    most = Math.max(most, one[i]);
    moved += Math.abs(one[i] - two[i]) > 24;
  }
  return {contrast: most - least, moved};
}"""

expect.set_options(timeout=PATIENCE_S * 1000)


@contextmanager
def running_city(places: Sequence[DemoColumn] = COLUMNS, **more: Any) -> Iterator[City]:
    """A city with a real broker that keeps what it has, and an empty register."""
    with (
        tempfile.TemporaryDirectory(prefix="sos-city-") as folder,
        City(Mosquitto(persistence=True), Path(folder, "desk"), places, **more) as city,
    ):
        yield city


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser itself. Only one test module at a time: its event loop keeps the thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=toolbox.require("chromium")[0], args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """Opens pages in `browser`, each as a person of their own, and notes what goes wrong on them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._pages: list[Page] = []
        self.wrong: list[str] = []
        self.servers_go_away = False
        """Set where a server is killed: a page may complain that it does not answer."""
        self.may_say = NOTHING
        """What else the pages may complain of."""

    def page(self, url: str, viewport: ViewportSize = WIDE, **context: Any) -> Page:
        found = self._browser.new_context(viewport=viewport, locale="en-GB", timezone_id="UTC", **context)
        found.set_default_timeout(PATIENCE_S * 1000)
        page = found.new_page()
        page.add_init_script(WITNESS)
        page.on("pageerror", lambda error: self.wrong.append(f"{url}: {error}"))
        page.on("console", lambda message: self._hear(url, message))
        page.on("dialog", lambda dialog: self._refuse(url, dialog))
        page.goto(url)
        self._pages.append(page)
        return page

    def desk(self, url: str, viewport: ViewportSize = WIDE, **context: Any) -> DeskPage:
        """The desk's page, when it is there and knows the broker."""
        desk = DeskPage(self.page(url, viewport, **context))
        expect(desk.get("desk-state")).to_have_attribute("data-state", "connected")
        return desk

    def pillar(self, url: str, viewport: ViewportSize = WIDE) -> PillarPage:
        """A pillar's page, when the column is ready."""
        pillar = PillarPage(self.page(url, viewport))
        pillar.shows("ready")
        return pillar

    def leave(self) -> None:
        """Close all pages; AssertionError for whatever went wrong on one of them."""
        ran = [text for page in self._pages for text in page.evaluate("witness.ran")]
        for page in self._pages:
            page.context.close()
        assert not ran, f"foreign markup was taken for the page's own: {ran}"
        assert not self.wrong, self.wrong

    def _hear(self, url: str, message: ConsoleMessage) -> None:
        text = f"{message.text} ({message.location.get('url')})"
        away = self.servers_go_away and AWAY.search(text)
        if message.type == "error" and not away and not self.may_say.search(text):
            self.wrong.append(f"{url}: {text}")

    def _refuse(self, url: str, dialog: Dialog) -> None:
        self.wrong.append(f"{url}: a dialog: {dialog.message}")
        dialog.dismiss()


def until(page: Page, look: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """Wait until `look()` is true and return its value. The page goes on meanwhile."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        page.wait_for_timeout(POLL_MS)
    return found


class Probe:
    """A page and its parts by their data-testid."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def get(self, name: str, **data: str) -> Locator:
        """The parts of that name, with these data attributes."""
        wanted = "".join(f'[data-{key}="{value}"]' for key, value in data.items())
        return self.page.locator(f'[data-testid="{name}"]{wanted}')

    def until(self, look: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
        """Wait until `look()` is true and return its value."""
        return until(self.page, look, what, timeout_s)


class DeskPage(Probe):
    """The desk as its operator sees it."""

    def tab_to(self, name: str) -> None:
        """With the Tab key alone."""
        for _ in range(TABS_MAX):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("document.activeElement?.dataset.testid") == name:
                return
        raise AssertionError(f"{name} cannot be reached with the Tab key")

    def strips(self) -> list[str]:
        """The incidents that have a strip, top down."""
        return [strip.get_attribute("data-id") or "" for strip in self.get("strip").all()]

    def call_from(self, device_id: str) -> str:
        """The incident of a column's strip, when there is one."""
        pattern = re.compile(rf"{re.escape(device_id)}-\d+-\d+")
        return str(
            self.until(
                lambda: next((id for id in self.strips() if pattern.fullmatch(id)), None), f"a strip of {device_id}"
            )
        )

    def open(self, incident: str) -> Locator:
        """The panel of that incident, opened by its strip unless it is open."""
        panel = self.get("incident", id=incident)
        if not panel.is_visible():
            self.get("strip", id=incident).locator("[data-testid=strip-open]").click()
        expect(panel).to_be_visible()
        return panel

    def becomes(self, incident: str, state: str) -> None:
        expect(self.get("incident", id=incident)).to_have_attribute("data-state", state)

    def accept(self, incident: str) -> None:
        """With the mouse, in the panel that is open."""
        self.get("accept").click()
        self.becomes(incident, "accepted")

    def close(self, incident: str, outcome: str) -> None:
        """With the mouse, in the panel of that incident."""
        self.get("close").click()
        self.get(f"outcome-{outcome}").check()
        self.get("close-confirm").click()
        self.becomes(incident, "closed")

    def log_in(self, name: str, password: str) -> None:
        """With the keyboard."""
        self.get("login-name").fill(name)
        self.get("login-password").fill(password)
        self.page.keyboard.press("Enter")

    def finish(self, incident: str) -> None:
        """Opened, accepted, and closed as a false call."""
        self.open(incident)
        self.accept(incident)
        self.close(incident, "false")

    def is_ringing(self) -> bool:
        return self.get("sound").get_attribute("data-ringing") == "true"

    def row(self, incident: str) -> Locator:
        """Its row in the register."""
        return self.page.locator(f'[data-testid="register"] tr[data-id="{incident}"]')

    def frames(self) -> int:
        """How many pictures the video has shown."""
        return int(self.get("video").evaluate("video => video.getVideoPlaybackQuality().totalVideoFrames"))

    def level(self) -> float:
        """How loud the place is, 0 to 1, as heard by the page."""
        return float(self.get("level").get_attribute("data-level") or 0)

    def sees_and_hears(self) -> None:
        """The video advances, with pictures that show something and move, and there is sound."""
        begin = self.until(self.frames, "a first picture")
        self.until(lambda: self.frames() > begin + 10, "ten more pictures")
        self.until(lambda: self.level() > 0.01, "sound")
        seen = self.get("video").evaluate(PICTURES)
        assert seen["contrast"] > 100 and seen["moved"] > 5, f"the video shows nothing that lives: {seen}"

    def strip_shown_ms(self, incident: str) -> int:
        """When its strip was first in the page, ms since the epoch."""
        return int(self.page.evaluate("id => witness.strips[id]", incident))


class PillarPage(Probe):
    """A pillar as a person in front of it sees it."""

    def press(self, duration_ms: float = PRESS_MS) -> None:
        """With the mouse."""
        self.get("button").click(delay=duration_ms)

    def shows(self, lamp: str) -> None:
        expect(self.get("lamp")).to_have_attribute("data-state", lamp)

    def relay_is(self, *, closed: bool) -> None:
        expect(self.get("relay")).to_have_attribute("data-closed", str(closed).lower())
