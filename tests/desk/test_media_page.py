"""What the duty officer sees of a camera that speaks RTSP, in a real browser: the picture, and what is not so."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from browser_probe import MARKS, Visitor
from column_probe import need
from desk_rig import DeskRig, Speaker
from playwright.sync_api import expect
from rtsp_camera import STREAMS

from sim.servers.broker import Mosquitto
from sim.servers.rtsp import RtspCamera

pytestmark = [*MARKS, pytest.mark.gstreamer, pytest.mark.timeout(240)]
FRAMES = "video => video.getVideoPlaybackQuality().totalVideoFrames"


def test_the_picture_of_a_camera_that_speaks_rtsp(visitor: Visitor, tmp_path: Path) -> None:
    need("mosquitto")
    need("gstreamer")
    with Mosquitto() as broker, RtspCamera({"/h264": STREAMS["/h264"]}) as camera:
        rig, street = DeskRig(tmp_path / "desk", broker), Speaker(broker)
        try:
            ways = {"webrtc": "http://127.0.0.1:9/whep", "rtsp": camera.address("/h264"), "ok_at": None}
            incident = street.press(stream=ways)
            street.hears("ack", id=incident)
            desk = visitor.desk(rig.page)
            desk.open(incident)
            desk.get("mic").click()  # before anybody knows that nobody there can hear
            desk.sees_and_hears()
            expect(desk.get("media-notes")).to_contain_text("WebRTC: the camera refuses the connection")
            expect(desk.get("media-notes")).to_contain_text("The place cannot hear you")
            expect(desk.get("media-notes")).not_to_contain_text("converts")  # Chromium takes the H.264 as it is
            expect(desk.get("mic")).to_have_attribute("aria-pressed", "false")
            expect(desk.get("mic")).not_to_contain_text("They hear you")

            camera.stop()
            expect(desk.get("media-state")).to_have_text(re.compile("No picture now: the camera refuses"))
            camera.start()
            expect(desk.get("media-state")).to_be_empty()
            shown = desk.get("video").evaluate(FRAMES)
            desk.until(lambda: desk.get("video").evaluate(FRAMES) > shown + 15, "the picture goes on")

            desk.get("play").click()
            expect(desk.get("media-state")).to_have_text("Picture and sound are off")
            desk.get("play").click()
            desk.sees_and_hears()
            process = rig.server.player.gateway._process
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)
            expect(desk.get("media-state")).to_have_text("The picture broke off: start it again")
            desk.get("play").click()
            desk.sees_and_hears()
        finally:
            visitor.servers_go_away = True
            street.close()
            rig.close()


def test_each_way_that_failed_is_said_with_its_reason(visitor: Visitor, tmp_path: Path) -> None:
    need("mosquitto")
    visitor.may_say = re.compile("Failed to load resource")
    with Mosquitto() as broker:
        rig, street = DeskRig(tmp_path / "desk", broker), Speaker(broker)
        try:
            ways = {"webrtc": "http://127.0.0.1:9/whep", "rtsp": "rtsp://no-such-host.invalid/x", "ok_at": None}
            incident = street.press(stream=ways)
            street.hears("ack", id=incident)
            desk = visitor.desk(rig.page)
            desk.open(incident)
            desk.get("play").click()
            said = "No picture: WebRTC: the camera refuses the connection; RTSP: there is no way to the camera"
            expect(desk.get("media-state")).to_have_text(said)
        finally:
            visitor.servers_go_away = True
            street.close()
            rig.close()
