"""What a desk recorded of a call: as the browser plays it, and as its files hold it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from browser_probe import DeskPage
from voices import ears

AUDIBLE = 0.02  # of full scale
# What a browser knows of a file that it plays.
PLAYED = """video => ({
  seconds: video.duration, at: video.currentTime, wide: video.videoWidth, error: video.error?.message,
  pictures: video.getVideoPlaybackQuality().totalVideoFrames, sound: video.webkitAudioDecodedByteCount})"""


def is_played(desk: DeskPage, picture: bool) -> None:
    """The browser has the file open: it has a length, goes on, and is decoded."""
    video = desk.get("recording-video")

    def now() -> dict[str, Any]:
        seen = dict(video.evaluate(PLAYED))
        assert not seen["error"], seen
        return seen

    desk.until(lambda: now()["seconds"] and now()["seconds"] > 0, "its length")
    begin_s = now()["at"]
    desk.until(lambda: now()["at"] > begin_s + 0.3, "that it goes on")
    desk.until(lambda: now()["sound"] > 0, "its sound")
    if picture:
        desk.until(lambda: now()["pictures"] > 3 and now()["wide"] > 0, "its pictures")


def files_of(desk: DeskPage, incident: str, films: Path) -> list[str]:
    """What there is of a call. The hashes are the files'."""
    path = f"/api/incidents/{incident}/recordings"
    rows = desk.page.evaluate("path => fetch(path).then(found => found.json())", path)["files"]
    for row in rows:
        assert row["sha256"] == hashlib.sha256((films / row["file"]).read_bytes()).hexdigest()
    return [row["file"] for row in rows]


def both_are_in(path: Path) -> None:
    """The place in the left ear, the officer in the right."""
    place, officer, _ = ears(path)
    assert np.abs(place).max() > AUDIBLE and np.abs(officer).max() > AUDIBLE
