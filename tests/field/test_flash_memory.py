"""Which boards have the room for a column, by what is measured on them: the modelled chips, as their survey says it."""

from dataclasses import replace
from typing import Any

import pytest

from common.assumptions import load
from field import bundle, memory, plan
from firmware import VERSION
from sim.real.heaps import figures_of

WIFI = {"link": {"type": "wifi"}, "broker": {"tls": {"ca": "PEM"}}}
WIRED = {"link": {"type": "ethernet"}, "broker": {"tls": {"ca": "PEM"}}}
PLAIN = {"link": {"type": "wifi"}, "broker": {"tls": None}}


def survey(chip: str, psram: bool = False, frozen: str | None = None, figures: Any = None) -> dict[str, Any]:
    told = figures_of(chip, psram=psram, heap_bytes=None, simulators_bytes=0, figures=figures)
    first = told["first"] or 65_536
    return {
        "idf_heap": [[size, size, size, size] for size in told["regions"]],
        "gc_bytes": first * 125 // 128,
        "frozen": frozen,
    }


@pytest.mark.parametrize(
    ("chip", "psram", "document", "frozen", "fits"),
    [
        ("esp32", False, WIFI, None, False),
        ("esp32", False, WIRED, None, True),
        ("esp32", False, WIFI, VERSION, True),
        ("esp32", True, WIFI, None, True),
        ("esp32", False, PLAIN, None, True),
        ("esp32c3", False, WIFI, None, False),
        ("esp32c3", False, WIRED, None, True),
        ("esp32c3", False, WIFI, VERSION, True),
        ("esp32s2", False, WIFI, None, False),
        ("esp32s2", True, WIFI, None, True),
        ("esp32s3", False, WIFI, None, True),
        ("esp32s3", True, WIRED, None, True),
    ],
)
def test_which_boards_have_the_room(
    chip: str, psram: bool, document: dict[str, Any], frozen: str | None, fits: bool
) -> None:
    """docs/wiring.md says the same."""
    complaint = memory.complaint(survey(chip, psram, frozen), document, chip)
    assert (complaint is None) is fits, complaint
    if complaint:
        assert "docs/wiring.md" in str(complaint) and "FORCE=1" in str(complaint)


TAKES = [name for name in load() if name.startswith(("wifi", "tls", "tcp", "thread"))]


@pytest.mark.parametrize("name", ["idf_boot_largest_bytes", "idf_boot_other_bytes", *TAKES])
def test_frozen_code_has_room_whichever_figure_is_at_its_worst(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the ESP32 without PSRAM, over Wi-Fi and mutual TLS. A promise that holds only at one figure is none."""
    figures = load()
    one = figures[name]
    worst = one.range[0] if name.startswith("idf") else one.range[1]
    monkeypatch.setattr(memory, "load", lambda: {**figures, name: replace(one, value=worst, chips={})})
    board = survey("esp32", frozen=VERSION, figures={name: worst})
    assert memory.complaint(board, WIFI, "esp32") is None


def test_code_that_the_image_has_frozen_is_not_sent() -> None:
    made = bundle.Bundle({"boot.py": b"1", "main.py": b"2", "firmware/__init__.mpy": b"M\x06"}, {})
    board = {"files": {}, "active": "", "umqtt": True}
    configuration = {"config.json": b"{}"}
    assert plan.plan({**board, "frozen": VERSION}, made, configuration).sends == ["config.json"]
    for other in (None, "0.0.1"):
        todo = plan.plan({**board, "frozen": other}, made, configuration)
        assert todo.sends == ["config.json", "firmware/__init__.mpy"], "another version's code is not this one's"
