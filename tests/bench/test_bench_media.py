"""Picture and sound of the bench: that there is a figure of each, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from column_probe import need

from sim import bench
from sim.bench import report

TOOLS = ("umqtt", "micropython", "micropython32", "mosquitto", "gstreamer", "baresip", "chromium")
MISREAD_MS = 60_000
pytestmark = [
    pytest.mark.micropython, pytest.mark.mosquitto, pytest.mark.gstreamer, pytest.mark.baresip, pytest.mark.chromium,
    pytest.mark.timeout(300),
]  # fmt: skip


def figures(row: dict[str, Any], *names: str) -> list[float]:
    return [row[name][figure] for name in names for figure in ("median_ms", "p95_ms")]


def test_picture_and_sound_have_their_figures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for tool in TOOLS:
        need(tool)
    from sim.bench import delays, media

    for name, value in {"AT_ONCE": 2, "CAMERAS": 1, "ALARMS": 3, "WATCH_S": 0.5, "STREAM": media.SMALL}.items():
        monkeypatch.setattr(media, name, value)
    for name, value in {"SETTLE_S": 1.0, "WATCH_S": 2.0, "CLICK_EVERY_S": 2.0}.items():
        monkeypatch.setattr(delays, name, value)
    assert bench.main(["--json", "--only", "media", "--clicks", "1"]) == 0
    found = json.loads(capsys.readouterr().out)["media"]
    assert all(value > 0 for value in figures(found, "picture", "sound", "sip_picture", "sip_sound"))
    ways = figures(found["delays"], "glass", "straight", "place", "there_and_back")
    assert all(0 < value < MISREAD_MS for value in ways), "a clock that is misread is off by hours"
    assert found["cpu_percent"] >= 0
    ten = found["ten"]
    assert (ten["calls"], ten["alarms"], ten["in_register"], ten["shown"]["count"]) == (2, 3, 3, 3)
    assert ten["slowest_per_s"] > 0
    report.show({"media": found})
    assert "click to the first picture" in capsys.readouterr().out
