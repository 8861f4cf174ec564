"""Three places in Petropavlovsk (North Kazakhstan) with a column each, and the columns' configurations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from firmware.startup import config as firmware_config
from firmware.startup import pins
from sim.document import document

CHIP = "esp32"
# Shorter than in the street, so that a demonstration of outages does not take minutes.
ANSWER_S = 2
WATCHDOG_S = 3
REPEAT_S = 2
RETRY_MAX_S = 2
HEARTBEAT_S = 5
KEEPALIVE_S = 6


@dataclass(frozen=True)
class DemoColumn:
    """Where a column stands. `name` is for the screen: short."""

    device_id: str
    name: str
    geo: str
    address: str
    site: str
    equipment: tuple[str, ...] = ("webrtc",)  # what stands beside it: webrtc, or rtsp and sip

    @property
    def rtsp(self) -> str:
        """The camera beside the column."""
        return f"rtsp://cameras.example/{self.device_id}"


COLUMNS = (
    DemoColumn(
        "petropavl-01",
        "Конституция көшесі",
        "geo:54.8667,69.1500;u=5",
        "Петропавл, Қазақстан Конституциясы көшесі, 23",
        "public",
        ("rtsp", "sip"),
    ),
    DemoColumn(
        "petropavl-02",
        "Привокзальная пл.",
        "geo:54.8482,69.1315;u=5",
        "Петропавловск, Привокзальная площадь, 1",
        "public",
    ),
    DemoColumn(
        "school-07-01",
        "Школа № 7",
        "geo:54.8741,69.1413;u=5",
        "Петропавловск, школа № 7, главный вход",
        "school",
        ("rtsp",),
    ),
)


def configuration(place: DemoColumn, host: str, port: int) -> dict[str, Any]:
    """A column's whole document, for a broker without TLS. Raises ValueError if the firmware would refuse
    it."""
    made = document(
        place.device_id,
        host,
        port,
        location={"geo": place.geo, "address": place.address, "site": place.site},
        broker={"keepalive_s": KEEPALIVE_S, "retry_max_s": RETRY_MAX_S},
        pins=pins.defaults(CHIP),
        incident={"answer_s": ANSWER_S, "repeat_s": REPEAT_S, "repeat_max_s": REPEAT_S},
        telemetry={"heartbeat_s": HEARTBEAT_S},
        watchdog={"timeout_s": WATCHDOG_S},
    )
    _, errors = firmware_config.validate(made, CHIP)
    if errors:
        raise ValueError("the demonstration's own configuration is wrong: " + "; ".join(errors))
    return made
