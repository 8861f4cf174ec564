"""Chips told apart by what their MicroPython says of itself; the names are those of stock images."""

import pytest

from field import flash

MPY = 6


def survey(machine: str) -> dict[str, object]:
    return {"machine": machine, "version": [1, 26, 0], "mpy": MPY}


@pytest.mark.parametrize(
    ("machine", "chip"),
    [
        ("Generic ESP32 module with ESP32", "esp32"),
        ("Generic ESP32 module with SPIRAM with ESP32", "esp32"),
        ("Olimex ESP32 POE with ESP32", "esp32"),
        ("Generic ESP32S3 module with Octal-SPIRAM with ESP32S3", "esp32s3"),
        ("ESP32C3 module with ESP32C3", "esp32c3"),
        ("Generic ESP32S2 module with ESP32-S2", "esp32s2"),
    ],
)
def test_a_known_chip(machine: str, chip: str) -> None:
    assert flash.check_board(survey(machine), MPY) == chip


@pytest.mark.parametrize("mcu", ["ESP32C2", "ESP32C5", "ESP32C6", "ESP32P4", "ESP32H2", "RP2040", "ESP32S31"])
def test_a_chip_that_nobody_knows_is_refused_by_its_name(mcu: str) -> None:
    """Red when a name that has "ESP32" in it is enough."""
    with pytest.raises(flash.FlashError, match=f"knows no pins of the {mcu.lower()}, must be one of esp32, "):
        flash.check_board(survey(f"Generic {mcu} module with {mcu}"), MPY)
