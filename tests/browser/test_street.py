"""A column with a camera that speaks RTSP and an intercom that speaks SIP, as a city buys them, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_probe import MARKS, Visitor, running_city
from column_probe import need
from played import both_are_in, files_of, is_played
from playwright.sync_api import expect

from sim.demo.columns import COLUMNS

if TYPE_CHECKING:
    from sim.demo.city import City

pytestmark = [*MARKS, pytest.mark.gstreamer, pytest.mark.baresip, pytest.mark.timeout(240)]
SPEAKS = 0.2  # of the meter on the pillar


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def street(films: Path) -> Iterator[City]:
    """One column with everything: baresip beside it, and GStreamer's camera; one that speaks WHEP. The desk records."""
    for tool in ("mosquitto", "gstreamer", "baresip"):
        need(tool)
    with running_city(COLUMNS[:2], street=True, desk_arguments=("--record", str(films))) as city:
        yield city


def heard(pillar: object) -> float:
    return float(pillar.get("heard").get_attribute("data-level") or 0)  # type: ignore[attr-defined]


def test_from_the_press_to_everything_closed(street: City, visitor: Visitor, films: Path) -> None:
    """The picture is the pillar's own camera by RTSP, the sound baresip's by SIP: both ways, openly and by holding.

    The page says nowhere that somebody hears the officer who does not, and after the call nothing is left open there.
    The conversation is two files, for the intercom hung up once. How they are played: test_city_whole.py.
    """
    device = COLUMNS[0].device_id
    intercom = street.devices[device].intercom
    assert intercom is not None
    pillar = visitor.pillar(street.page(device))
    desk = visitor.desk(street.desk.url)
    pillar.press()
    incident = desk.call_from(device)
    desk.open(incident)
    expect(pillar.get("call")).to_have_attribute("data-open", "false")
    expect(pillar.get("sign")).to_be_hidden()
    desk.get("play").click()
    desk.sees_and_hears()
    expect(pillar.get("call")).to_have_attribute("data-open", "true")
    expect(desk.get("media-notes")).to_be_empty()
    assert intercom.open_calls == 1
    assert heard(pillar) < SPEAKS, "the control: nobody says anything yet"

    desk.get("mic").click()
    expect(desk.get("mic")).to_contain_text("They hear you")
    pillar.until(lambda: heard(pillar) > SPEAKS, "the officer's voice at the pillar")
    desk.until(lambda: float(desk.get("own-level").get_attribute("data-level") or 0) > 0.01, "the officer's own level")
    desk.get("mic").click()
    expect(desk.get("mic")).to_contain_text("Talk")
    pillar.until(lambda: heard(pillar) < SPEAKS, "silence at the pillar")

    desk.page.keyboard.down("t")
    expect(desk.get("hold")).to_contain_text("They hear you")
    assert desk.get("video").evaluate("video => video.muted")
    pillar.until(lambda: heard(pillar) > SPEAKS, "the officer's voice at the pillar, held")
    desk.page.keyboard.up("t")
    expect(desk.get("hold")).to_contain_text("Hold to talk")
    assert not desk.get("video").evaluate("video => video.muted")
    pillar.until(lambda: heard(pillar) < SPEAKS, "silence at the pillar")

    desk.accept(incident)
    pillar.shows("help-coming")
    expect(pillar.get("sign")).to_contain_text("the centre hears this place")
    expect(pillar.get("sign")).to_be_visible()
    desk.get("mic").click()
    expect(desk.get("mic")).to_contain_text("They hear you")
    expect(desk.get("loudness")).to_be_hidden()
    desk.get("louder").click()
    expect(desk.get("loudness")).to_have_text("+6 dB there")
    desk.page.keyboard.press("Equal")
    expect(desk.get("loudness")).to_have_text("+12 dB there")
    expect(desk.get("louder")).to_be_disabled()
    for _ in range(2):
        desk.page.keyboard.press("Minus")
    expect(desk.get("loudness")).to_be_hidden()
    intercom.do("hangup")  # they do not, for a while: and the page says so
    expect(desk.get("mic")).to_contain_text("Nobody hears you yet")
    expect(desk.get("media-notes")).to_contain_text("The intercom: it has hung up")
    expect(desk.get("mic")).to_contain_text("They hear you")

    desk.close(incident, "administrative")
    pillar.shows("ready")
    expect(pillar.get("sign")).to_be_hidden()
    pillar.relay_is(closed=False)
    expect(desk.get("mic")).to_contain_text("The call is over")
    expect(desk.get("hold")).to_be_disabled()
    expect(pillar.get("call")).to_have_attribute("data-open", "false")
    intercom.wait_for_calls(0)

    def recorded() -> list[str]:
        return [Path(file).suffix for file in files_of(desk, incident, films)]

    # A film is more than one where the camera was away for a moment.
    desk.until(lambda: recorded().count(".m4a") > 1 and ".mp4" in recorded(), "its files in the register")


def test_the_voices_that_go_around_the_desk_are_heard_and_recorded(street: City, visitor: Visitor, films: Path) -> None:
    """By WHEP. The browser's pretended microphone beeps. Without the button `mic` nothing is heard: the control.

    The recording is red without the browser's copy of the officer, without the desk's own ear at the pillar, and where
    the picture is left out: the desk is a watcher of its own.
    """
    device = COLUMNS[1].device_id
    pillar = visitor.pillar(street.page(device))
    desk = visitor.desk(street.desk.url)
    pillar.press()
    incident = desk.call_from(device)
    desk.open(incident)
    expect(desk.get("recording-said")).to_have_text("This call is being recorded.")
    desk.get("play").click()
    desk.sees_and_hears()
    expect(desk.get("recording-said")).to_contain_text("What you say to the place is recorded, too.")
    assert street.pillars[device].state()["heard"] == 0, "nobody has opened the microphone"
    desk.get("mic").click()
    desk.until(lambda: street.pillars[device].state()["heard"] > 0.1, "a voice at the pillar")

    for key, db in (("Minus", "-6"), ("Equal", "0"), ("Equal", "+6")):  # here it is the browser's work
        desk.page.keyboard.press(key)
        expect(desk.get("loudness")).to_have_text(f"{db} dB there")
    desk.page.wait_for_timeout(1500)  # what was heard before has faded
    desk.until(lambda: street.pillars[device].state()["heard"] > 0.1, "a voice at the pillar, by another way")
    desk.get("mic").click()
    desk.until(lambda: street.pillars[device].state()["heard"] == 0, "silence when the microphone is closed")
    desk.accept(incident)
    desk.close(incident, "false")
    pillar.shows("ready")

    def kept(ending: str) -> list[str]:
        return [file for file in files_of(desk, incident, films) if file.endswith(ending)]

    desk.until(lambda: kept(".mp4") and kept(".m4a"), "the recordings in the register")
    both_are_in(films / max(kept(".m4a"), key=lambda file: (films / file).stat().st_size))
    desk.page.keyboard.press("2")
    desk.row(incident).get_by_test_id("row-play").click()
    is_played(desk, picture=True)
