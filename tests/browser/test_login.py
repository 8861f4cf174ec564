"""A desk with accounts, over https, as for one that others can reach: nothing is shown before somebody logs in."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_probe import MARKS, DeskPage, Visitor, running_city
from column_probe import need
from playwright.sync_api import expect

from sim.demo.columns import COLUMNS
from sim.real.flash_image import PROJECT
from sim.servers.authority import Authority

if TYPE_CHECKING:
    from sim.demo.city import City

pytestmark = [*MARKS, pytest.mark.timeout(240)]

DEVICE = COLUMNS[0].device_id
NAME, PASSWORD = "А. Иванова", "correct horse battery"
REFUSED = re.compile(r"status of 401")


def make_account(folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "sim", "desk", "account", "add", NAME, "--folder", str(folder)],
        cwd=PROJECT,
        input=f"{PASSWORD}\n",
        text=True,
        check=True,
    )


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    need("mosquitto")
    identity = Authority(tmp_path_factory.mktemp("authority")).server()
    with running_city(
        COLUMNS[:1], desk_arguments=["--tls-cert", str(identity.cert), "--tls-key", str(identity.key)]
    ) as city:
        make_account(city.desk.folder)
        yield city


def test_who_logs_in_is_who_answers(city: City, visitor: Visitor) -> None:
    visitor.may_say = REFUSED
    pillar = visitor.pillar(city.page(DEVICE))
    desk = DeskPage(visitor.page(city.desk.url, ignore_https_errors=True))
    pillar.press()
    pillar.shows("answered")
    expect(desk.get("login")).to_be_visible()
    assert desk.strips() == [] and desk.get(f"column-{DEVICE}").count() == 0

    desk.log_in(NAME, "not the password")
    expect(desk.get("login").get_by_role("alert")).not_to_be_empty()
    assert desk.strips() == [], "a wrong password shows nothing"
    desk.log_in(NAME, PASSWORD)
    incident = desk.call_from(DEVICE)
    desk.open(incident)
    desk.get("play").click()
    desk.sees_and_hears()
    desk.get("mic").click()
    desk.until(lambda: city.pillars[DEVICE].state()["heard"] > 0.1, "a voice: https allows a microphone")
    desk.accept(incident)
    expect(desk.get("timeline")).to_contain_text(NAME)
    pillar.shows("help-coming")
    desk.close(incident, "false")

    desk.get("logout").click()
    expect(desk.get("login")).to_be_visible()
    expect(desk.get("strip")).to_have_count(0)
