"""What an operator and a person at the column see when the desk, the broker or a column goes away: nothing is lost."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from browser_probe import MARKS, PATIENCE_S, Visitor
from column_probe import need
from desk_words import words
from full_disk import full_disk
from pager import Pager
from playwright.sync_api import expect

from sim.demo.columns import COLUMNS
from sim.demo.desk_process import DeskProcess
from sim.servers.broker import Mosquitto
from sim.servers.intercom import Intercom

if TYPE_CHECKING:
    from pathlib import Path

    from sim.demo.city import City

pytestmark = [*MARKS, pytest.mark.timeout(300)]

SILENT_S = 20.0
NOT_WRITTEN = re.compile("status of 503")
UNANSWERED = {"calling", "sent", "not-delivered"}


def test_the_desk_is_killed_between_press_and_accept(city: City, visitor: Visitor) -> None:
    visitor.servers_go_away = True
    pillar = visitor.pillar(city.page("petropavl-01"))
    desk = visitor.desk(city.desk.url)
    pillar.press()
    incident = desk.call_from("petropavl-01")
    pillar.shows("answered")
    city.desk.kill()
    expect(desk.get("desk-state")).to_have_attribute("data-state", "no-server")
    assert desk.strips() == [incident], "what the operator has seen stays on the page"
    city.desk.start()
    expect(desk.get("desk-state")).to_have_attribute("data-state", "connected")
    desk.open(incident)
    desk.accept(incident)
    pillar.shows("help-coming")
    desk.close(incident, "help-given")
    pillar.shows("ready")
    desk.page.keyboard.press("2")
    expect(desk.row(incident)).to_have_attribute("data-outcome", "help-given")


def test_a_press_while_there_is_no_desk_is_answered_by_the_next_one_only(city: City, visitor: Visitor) -> None:
    visitor.servers_go_away = True
    pillar = visitor.pillar(city.page("petropavl-02"))
    desk = visitor.desk(city.desk.url)
    before = len(city.lamps("petropavl-02"))
    city.desk.kill()
    pillar.press()
    pillar.shows("not-delivered")
    assert set(city.lamps("petropavl-02")[before:]) <= UNANSWERED, "nobody has the call in a register"
    assert desk.strips() == []
    city.desk.start()
    incident = desk.call_from("petropavl-02")
    pillar.shows("answered")
    desk.open(incident)
    desk.accept(incident)
    desk.close(incident, "false")
    pillar.shows("ready")


def test_the_broker_is_killed_while_a_call_is_open_and_another_one_comes(city: City, visitor: Visitor) -> None:
    first, second = visitor.pillar(city.page("petropavl-01")), visitor.pillar(city.page("school-07-01"))
    desk = visitor.desk(city.desk.url)
    first.press()
    one = desk.call_from("petropavl-01")
    assert isinstance(city.broker, Mosquitto)
    city.broker.kill()
    expect(desk.get("desk-state")).to_have_attribute("data-state", "no-broker")
    second.press()
    second.shows("not-delivered")
    desk.open(one)
    desk.accept(one)
    assert "help-coming" not in city.lamps("petropavl-01")[-1:], "the answer cannot have arrived"
    city.broker.start()
    expect(desk.get("desk-state")).to_have_attribute("data-state", "connected")
    first.shows("help-coming")
    two = desk.call_from("school-07-01")
    second.shows("answered")
    assert sorted(desk.strips()) == sorted([one, two])
    for incident in (one, two):
        desk.open(incident)
        if desk.get("accept").is_enabled():
            desk.accept(incident)
        desk.close(incident, "false")
    first.shows("ready")
    second.shows("ready")


def test_a_full_disk_is_called_so_and_loses_no_call(city: City, visitor: Visitor) -> None:
    """The kernel refuses every byte of the register. Red when SQLite's word for it ("disk I/O error") is believed, when
    the broker is told that a call is kept which is not, when the operator does not see it, or when the desk has to be
    started again."""
    first, second = visitor.pillar(city.page("petropavl-01")), visitor.pillar(city.page("petropavl-02"))
    visitor.may_say = NOT_WRITTEN
    desk = visitor.desk(city.desk.url)
    first.press()
    one = desk.call_from("petropavl-01")
    desk.open(one)
    with full_disk(city.desk.pid):
        desk.get("accept").click()
        expect(desk.get("failure")).to_contain_text(words("en")["why.disk-full"])
        expect(desk.page.locator("#banner")).to_contain_text(words("en")["why.disk-full"])
        before = len(city.lamps("petropavl-02"))
        second.press()
        second.shows("not-delivered")
        assert set(city.lamps("petropavl-02")[before:]) <= UNANSWERED, "nobody has the call in a register"
        two = desk.call_from("petropavl-02")
        assert set(desk.strips()) == {one, two} and desk.is_ringing(), "what is known is on the page"
        desk.open(two)
        expect(desk.get("failure")).to_have_text("")
        desk.get("accept").click()
        expect(desk.get("failure")).to_contain_text(words("en")["why.disk-full"])
    second.shows("answered")
    expect(desk.page.locator("#banner")).to_be_hidden()
    for incident in (one, two):
        desk.open(incident)
        desk.accept(incident)
        desk.close(incident, "false")
    first.shows("ready")
    second.shows("ready")


def test_a_column_that_falls_silent_is_an_alarm_of_its_own(city: City, visitor: Visitor) -> None:
    desk = visitor.desk(city.desk.url)
    silence = desk.get("silent-school-07-01")
    city.wait_for_lamp("school-07-01", "ready", PATIENCE_S)
    expect(desk.get("column-school-07-01")).to_have_attribute("data-status", "ready")
    expect(silence).to_have_count(0)
    city.pillars["school-07-01"].power_off()  # its process is killed
    killed_s = time.monotonic()
    expect(silence).to_be_visible()
    took_s = time.monotonic() - killed_s
    assert took_s < SILENT_S, f"silence was shown after {took_s:.0f} s"
    expect(desk.get("column-school-07-01")).to_have_attribute("data-status", re.compile("silent|offline"))
    expect(silence).to_contain_text("school-07-01")
    assert desk.get("silent-petropavl-01").count() == 0, "the others are not silent"
    city.pillars["school-07-01"].power_on()
    expect(silence).to_have_count(0)
    expect(desk.get("column-school-07-01")).to_have_attribute("data-status", "ready")


@pytest.fixture
def second_desk(city: City, tmp_path: Path) -> Iterator[DeskProcess]:
    with DeskProcess(tmp_path / "second", city.broker.host, city.broker.port, name="desk-2") as desk:
        yield desk


def test_two_desks_agree(city: City, second_desk: DeskProcess, visitor: Visitor) -> None:
    pillar = visitor.pillar(city.page("petropavl-01"))
    desks = [visitor.desk(city.desk.url), visitor.desk(second_desk.url)]
    pillar.press()
    incident = desks[0].call_from("petropavl-01")
    assert desks[1].call_from("petropavl-01") == incident
    for desk in desks:
        desk.open(incident)
    desks[1].get("accept").click()
    for desk in desks:
        desk.becomes(incident, "accepted")
        expect(desk.get("sound")).to_have_attribute("data-ringing", "false")
    pillar.shows("help-coming")
    desks[0].close(incident, "false")
    desks[1].becomes(incident, "closed")
    assert desks[1].strips() == []
    pillar.shows("ready")


LADDER = """
[officer.duty]
how = "webhook"
url = "{url}"
[officer.chief]
how = "sip"
to = "{telephone}"
[[ladder]]
steps = [{{after_s = 1, tell = "desks"}}, {{after_s = 2, tell = "duty"}}, {{after_s = 3, tell = "chief"}}]
"""


@pytest.fixture
def telephone() -> Iterator[Intercom]:
    """The chief's."""
    need("baresip")
    with Intercom("chief") as ringing:
        yield ringing
    ringing.close()


@pytest.fixture
def night_desk(city: City, pager: Pager, telephone: Intercom, tmp_path: Path) -> Iterator[DeskProcess]:
    """Another machine's, with a ladder of its own: the first desk has none beyond desks."""
    path = tmp_path / "ladder.toml"
    path.write_text(LADDER.format(url=pager.url, telephone=telephone.address))
    path.chmod(0o600)
    arguments = ["--ladder", str(path)]
    with DeskProcess(
        tmp_path / "night", city.broker.host, city.broker.port, name="desk-2", arguments=arguments
    ) as desk:
        yield desk


@pytest.mark.baresip
def test_nobody_accepts_up_to_the_telephone_and_then_an_exercise(
    city: City, night_desk: DeskProcess, pager: Pager, telephone: Intercom, visitor: Visitor
) -> None:
    """Red when any step is not taken, not told the other desk or the column, or not in the timeline; and when what was
    read back, or that it was an exercise, is lost."""
    device_id = "petropavl-01"
    pillar = visitor.pillar(city.page(device_id))
    desks = [visitor.desk(city.desk.url), visitor.desk(night_desk.url)]
    pillar.press()
    call = desks[0].call_from(device_id)
    for desk in desks:
        desk.open(call)
    for desk in desks:
        expect(desk.get("sound")).to_have_attribute("data-louder", "true")
    pillar.shows("unanswered")
    telephone.wait_for_calls(1, PATIENCE_S)
    telephone.do("sndcode", "1")
    timelines = [desk.get("incident", id=call).get_by_test_id("timeline") for desk in desks]
    for told in ("duty: told that nobody has accepted for 2 s", "chief: told that nobody has accepted for 3 s"):
        for timeline in timelines:
            expect(timeline).to_contain_text(told)
    expect(timelines[0]).to_contain_text("Another desk says that nobody has accepted for 1 s")
    assert [(path, body["incident_id"]) for path, _, body in pager.posts] == [("/hook?a=1", call)]
    desks[0].accept(call)
    for desk in desks:
        expect(desk.get("sound")).to_have_attribute("data-louder", "false")
    pillar.shows("help-coming")
    desks[0].close(call, "help-given")
    pillar.shows("ready")

    chief, address = desks[0], next(one.address for one in COLUMNS if one.device_id == device_id)
    chief.page.keyboard.press("Escape")
    chief.get(f"column-{device_id}").get_by_role("button").click()
    chief.get("command-exercise").click()
    exercise = chief.until(lambda: next((one for one in chief.strips() if one != call), None), "a call like any other")
    panel = chief.open(exercise)
    expect(panel).not_to_contain_text(words("en")["kind.exercise"])
    chief.accept(exercise)
    expect(panel).to_contain_text(words("en")["kind.exercise"])
    expect(chief.get("dispatch")).to_be_hidden()
    chief.get("readback").fill(address)
    chief.get("readback-save").click()
    expect(panel.get_by_test_id("timeline")).to_contain_text(f"operator named the place rightly: {address}")
    chief.close(exercise, "other")
    chief.page.keyboard.press("3")
    row = chief.get("exercises").locator("tbody tr").first
    last = row.locator("td:nth-last-child(-n+3)")
    expect(last).to_have_text(["1", "0", "0"])  # rightly, wrongly, missed
