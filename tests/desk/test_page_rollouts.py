"""The page for releases before the real desk, its real process and a broker: begin, a kill of each, stop, abort."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_probe import PHONE, DeskPage, Visitor
from desk_rig import PASSWORD, DeskRig, Speaker, add_account, wait_for
from playwright.sync_api import expect
from update_rig import made, put, put_key

from desk.web.roles import CHIEF
from sim.servers.broker import Mosquitto

pytestmark = [
    pytest.mark.chromium, pytest.mark.mosquitto, pytest.mark.xdist_group("browser"), pytest.mark.timeout(240),
]  # fmt: skip
LIVES_MS = 500  # more often would be a flood
VERSION, ID = "99.0.0", "petropavl-01"
RELEASE = made()


class Column:
    """One that says what becomes of the release."""

    def __init__(self, broker: Mosquitto) -> None:
        self.speaker = Speaker(broker)
        self.update: dict[str, Any] | None = None

    def lives(self) -> None:
        self.speaker.say("info", ID, fw="0.1.0", **({"update": self.update} if self.update else {}))
        self.speaker.say("state", ID, state="online")
        self.speaker.say("heartbeat", ID)

    def says(self, state: str, why: str | None = None) -> None:
        self.update = {"state": state, "release": RELEASE.digest[:16], "version": VERSION, "why": why}
        self.lives()


@pytest.fixture
def column(broker: Mosquitto) -> Iterator[Column]:
    column = Column(broker)
    yield column
    column.speaker.close()


@pytest.fixture
def desk(broker: Mosquitto, tmp_path: Path) -> Iterator[list[DeskRig]]:
    """The desk that runs now; a test may put another in its place."""
    add_account(tmp_path / "desk", "chief", CHIEF)
    put(tmp_path / "shelf" / "first", RELEASE)
    put_key(tmp_path / "release.pem")
    rigs = [start(tmp_path, broker)]
    yield rigs
    rigs[-1].close()


def start(folder: Path, broker: Mosquitto) -> DeskRig:
    options = ("--releases", str(folder / "shelf"), "--release-keys", str(folder / "release.pem"))
    return DeskRig(folder / "desk", broker, *options)


def pids(rig: DeskRig) -> list[int]:
    return [process.pid for process in rig.server.rollouts._steering._running.values()]


def told(page: DeskPage, rig: DeskRig, column: Column, state: str) -> None:
    """The column lives until the desk says so of it."""

    def look() -> bool:
        column.lives()
        page.page.wait_for_timeout(LIVES_MS)
        (found,) = rig.get("/api/rollouts").json["rollouts"]
        return [one["state"] for one in found["columns"]] == [state]

    page.until(look, state)


def open_page(visitor: Visitor, rig: DeskRig) -> DeskPage:
    page = DeskPage(visitor.page(rig.url, PHONE))
    page.log_in("chief", PASSWORD)
    expect(page.get("desk-state")).to_have_attribute("data-state", "connected")
    page.page.locator("body").focus()
    page.page.keyboard.press("6")
    return page


def press(page: DeskPage, name: str) -> None:
    page.get(name).focus()
    page.page.keyboard.press("Enter")


def test_a_rollout_by_keyboard_on_a_telephone(
    desk: list[DeskRig], column: Column, broker: Mosquitto, visitor: Visitor, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Red when the desk runs a rollout of its own beside the command's, or forgets one."""
    monkeypatch.setattr("desk.rollout.steering.AGAIN_S", 0.0)
    visitor.may_say, visitor.servers_go_away = re.compile("status of 401"), True
    rig = desk[-1]
    rig.log_in("chief")
    column.lives()
    page = open_page(visitor, rig)
    expect(page.get("rollout-release")).to_contain_text(f"{VERSION} (first)")
    press(page, "rollout-start")
    expect(page.get("rollout-start")).to_have_text("Start it, really?")
    press(page, "rollout-start")
    expect(page.get("rollout-state")).to_have_text("Under way")
    expect(page.get("rollout-process")).to_have_text("Its process runs.")
    told(page, rig, column, "told")
    assert column.speaker.hears("cmd", cmd="update")["release"]["digest"] == RELEASE.digest
    column.says("fetching")
    told(page, rig, column, "fetching")
    expect(page.get("rollout")).to_contain_text("fetches it")
    call = column.speaker.press(ID)
    expect(page.get("rollout")).to_contain_text("A call is open at this column: goes on when it ends.")
    assert rig.post(f"/api/incidents/{call}/close", {"outcome": "other"}).status == 200
    expect(page.get("rollout")).not_to_contain_text("A call is open at this column")

    (before,) = pids(rig)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: pids(rig) not in ([], [before]), "another process")
    rig.close()  # its process ends, the book stays
    desk.append(start(tmp_path, broker))
    rig = desk[-1]
    rig.log_in("chief")
    page = open_page(visitor, rig)
    expect(page.get("rollout-process")).to_have_text("Its process runs.")
    press(page, "rollout-pause")
    expect(page.get("rollout-state")).to_contain_text("Paused")
    press(page, "rollout-resume")
    expect(page.get("rollout-state")).to_have_text("Under way")
    column.says("returned", "no drill was answered")
    told(page, rig, column, "returned")
    expect(page.get("rollout-state")).to_contain_text(f"Stopped by itself: returned: {ID} (1, at most 0)")
    expect(page.get("rollout-process")).to_have_text("Its process does not run.")
    page.get("language").select_option("ru")
    expect(page.get("rollout-state")).to_contain_text("Остановилось само")
    expect(page.get("rollout-state")).not_to_contain_text("at most")
    for _ in range(2):
        press(page, "rollout-abort")
    expect(page.get("rollout-state")).to_contain_text("Прервано")
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing to the side"
    lines = (tmp_path / "desk" / "audit.log").read_text()
    assert f"rollout of {VERSION} started" in lines and ": abort" in lines
