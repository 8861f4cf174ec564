"""Picture and sound on the desk's page are the present, and end with the call. With real columns and cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser_probe import MARKS, Visitor
from playwright.sync_api import expect

if TYPE_CHECKING:
    from sim.demo.city import City

pytestmark = [*MARKS, pytest.mark.timeout(240)]

PLAYS = "video => video.srcObject !== null"
# Keeps the page's connections in sight.
WATCH = """() => {
  window.peers = [];
  const Peer = RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer { constructor(...more) { super(...more); peers.push(this); } };
}"""


def test_a_picture_that_stands_still_does_not_pass_for_the_present(city: City, visitor: Visitor) -> None:
    pillar = visitor.pillar(city.page("petropavl-01"))
    desk = visitor.desk(city.desk.url)
    pillar.press()
    incident = desk.call_from("petropavl-01")
    desk.open(incident)
    desk.get("play").click()
    desk.sees_and_hears()
    expect(desk.get("media-state")).to_be_empty()  # the control
    desk.get("video").evaluate("video => video.pause()")
    expect(desk.get("media-state")).to_have_text("The picture stands still")
    desk.get("video").evaluate("video => video.play()")
    expect(desk.get("media-state")).to_be_empty()
    desk.accept(incident)
    desk.close(incident, "false")


def test_picture_and_microphone_end_with_the_call(city: City, visitor: Visitor) -> None:
    pillar = visitor.pillar(city.page("petropavl-02"))
    desk = visitor.desk(city.desk.url)
    pillar.press()
    incident = desk.call_from("petropavl-02")
    desk.open(incident)
    desk.get("mic").click()  # brings the picture with it
    desk.sees_and_hears()
    expect(desk.get("mic")).to_have_attribute("aria-pressed", "true")
    desk.accept(incident)
    assert desk.get("video").evaluate(PLAYS)  # the control: another step ends nothing
    desk.close(incident, "false")
    desk.until(lambda: not desk.get("video").evaluate(PLAYS), "the end of the picture")
    expect(desk.get("mic")).to_have_attribute("aria-pressed", "false")


def test_another_call_on_the_screen_ends_picture_and_microphone(city: City, visitor: Visitor) -> None:
    """What is said must not reach a place that is not looked at."""
    desk = visitor.desk(city.desk.url)
    calls = []
    for device_id in ("petropavl-01", "school-07-01"):
        visitor.pillar(city.page(device_id)).press()
        calls.append(desk.call_from(device_id))
    desk.open(calls[0])
    desk.page.evaluate(WATCH)
    desk.get("mic").click()
    desk.sees_and_hears()
    desk.until(lambda: city.pillars["petropavl-01"].state()["heard"] > 0.1, "a voice at the first pillar")
    assert desk.page.evaluate("peers.map((peer) => peer.signalingState)") == ["stable"]
    desk.open(calls[1])
    assert desk.page.evaluate("peers.map((peer) => peer.signalingState)") == ["closed"]
    assert not desk.get("video").evaluate(PLAYS)
    for incident in calls:
        desk.open(incident)
        desk.accept(incident)
        desk.close(incident, "false")
