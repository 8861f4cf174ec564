"""The example fleet's column petropavl-01 from its row in the table to the recording of its call, by make's targets
alone: its servers, its board, the provisioned city's desk, and an officer at a real browser.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from browser_probe import MARKS, DeskPage, Visitor
from column_probe import need
from played import both_are_in, files_of, is_played
from playwright.sync_api import expect
from whole_rig import PATIENCE_S, PLANNED, Whole

from desk import origin

pytestmark = [
    *MARKS, pytest.mark.micropython, pytest.mark.gstreamer, pytest.mark.baresip, pytest.mark.timeout(300),
]  # fmt: skip
ORIGIN = "id => fetch(`/api/incidents/${id}`).then(found => found.json()).then(incident => incident.origin)"
COLUMN = "petropavl-01"  # its row names a camera by RTSP and an intercom by SIP


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Whole]:
    for tool in (PLANNED["RUNTIME"], "gstreamer", "baresip"):
        need(tool)
    with closing(Whole(tmp_path, COLUMN, board=PLANNED, street=True)) as running:
        yield running


def recording_is_played(desk: DeskPage, incident: str, films: Path) -> None:
    """From the register's row: the camera's film, then what was spoken, both sides of it."""
    desk.until(lambda: len(files_of(desk, incident, films)) > 1, "a film and a conversation")
    files = files_of(desk, incident, films)
    (spoken,) = (number for number, file in enumerate(files) if file.endswith(".m4a"))
    assert len(files) == 2, "one film, one conversation: " + str(files)
    desk.page.keyboard.press("2")
    desk.row(incident).get_by_test_id("row-play").click()
    is_played(desk, picture=True)
    desk.get("recording-play").nth(spoken).click()
    expect(desk.get("recording-play").nth(spoken)).to_contain_text("Conversation")
    is_played(desk, picture=False)
    both_are_in(films / files[spoken])


def test_from_the_press_to_the_recording(city: Whole, visitor: Visitor, tmp_path: Path) -> None:
    """Nothing was adapted for it: the addresses are the table's, `make servers` says where they are on this machine.

    Red without the officer's side in the recording, for a desk that does not read that file, and for a call of the
    intercom that outlives the incident. Until the officer opens the microphone nothing is heard there: the control.
    """
    city.goes_on_duty_and_passes()
    city.tell_servers("break", "centre")  # the desk is the centre now
    films = tmp_path / "films"
    desk = visitor.desk(city.desk(tmp_path / "desk", "--record", str(films)))
    board = city.board.seen

    def intercom_is(**state: bool) -> None:
        city.servers.seen.wait("intercom", PATIENCE_S, device_id=COLUMN, **state)

    city.board.say("press 120")
    incident = desk.call_from(COLUMN)
    board.wait("relay", closed=True)
    desk.open(incident)
    desk.get("play").click()
    desk.sees_and_hears()
    expect(desk.get("media-notes")).to_be_empty()
    intercom_is(call=True, hears=False)

    desk.get("mic").click()
    expect(desk.get("mic")).to_contain_text("They hear you")
    intercom_is(call=True, hears=True)
    desk.until(lambda: float(desk.get("own-level").get_attribute("data-level") or 0) > 0.01, "the officer's own level")

    desk.accept(incident)
    board.wait("lamp", state="help-coming")
    desk.close(incident, "administrative")
    board.wait("relay", closed=False)
    intercom_is(call=False)
    expect(desk.get("mic")).to_contain_text("The call is over")
    assert desk.page.evaluate(ORIGIN, incident) == origin.PROVEN, "by the column's own key"
    recording_is_played(desk, incident, films)
    visitor.servers_go_away = True
