"""The eye: which pin writes are a lamp state, and which are not."""

from typing import Any

import pytest

from firmware.startup import config
from sim.real.observer import SETTLE_US, WINK_US, Observer, Wiring

COLOURS = {"ready": (0, 64, 0), "calling": (255, 160, 0), "sent": (0, 160, 0), "red": (255, 0, 0)}
WIRING = Wiring(button=32, lamp_red=13, lamp_green=14, lamp_blue=4, relay=33)


class Watch:
    def __init__(self, wiring: Wiring = WIRING) -> None:
        self.events: list[dict[str, Any]] = []
        self.eye = Observer(wiring, COLOURS, self._see, {"sent"})
        self.t_us = 0

    def _see(self, event: str, t_us: int, **details: Any) -> None:
        self.events.append({"event": event, "t_us": t_us, **details})

    def colour(self, *levels: int, scale: int = 257, order: tuple[int, ...] = (0, 1, 2)) -> None:
        for i in order:
            self.t_us += 100
            self.eye.pin((13, 14, 4)[i], levels[i] * scale, self.t_us)

    @property
    def states(self) -> list[str]:
        return [e["state"] for e in self.events if e["event"] == "lamp"]


@pytest.mark.parametrize("scale", [256, 257])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_colours_between_two_states_are_not_seen(scale: int, order: tuple[int, ...]) -> None:
    watch = Watch()
    for state in ("calling", "sent", "calling", "ready"):  # (255, 0, 0) lies between some of them
        watch.colour(*COLOURS[state], scale=scale, order=order)
    assert watch.states == ["calling", "sent", "calling", "ready"]
    assert watch.events[0]["t_us"] == 300


def test_black_phases_unknown_colours_and_repeats_change_nothing() -> None:
    watch = Watch()
    for colour in (COLOURS["ready"], (0, 0, 0), COLOURS["ready"], (1, 2, 3), COLOURS["ready"]):
        watch.colour(*colour)
    assert watch.states == ["ready"]


def test_a_steady_lamp_that_winks_says_that_the_place_is_heard() -> None:
    """Until it has not winked for a while. What blinks anyway, and an idle lamp, say nothing by that."""
    watch = Watch()

    def said() -> list[bool]:
        return [event["on"] for event in watch.events if event["event"] == "listened"]

    for state in ("calling", "ready"):
        watch.colour(*COLOURS[state])
        watch.colour(0, 0, 0)
    assert said() == []
    for _ in range(3):
        watch.colour(*COLOURS["sent"])
        watch.t_us += WINK_US - 1_000_000
        watch.eye.settle(watch.t_us)
        watch.colour(0, 0, 0)
    assert said() == [True]
    watch.eye.settle(watch.t_us + WINK_US + 1)
    assert said() == [True, False]
    watch.colour(0, 0, 0)
    watch.eye.power_gone(watch.t_us)
    assert said() == [True, False, True, False]


def test_a_partly_written_colour_counts_after_a_while() -> None:
    watch = Watch()
    watch.colour(*COLOURS["calling"])
    watch.eye.pin(14, 0, 1000)
    watch.eye.settle(1000 + SETTLE_US)
    assert watch.states == ["calling"]
    watch.eye.settle(1001 + SETTLE_US)
    assert watch.states == ["calling", "red"]


def test_without_power_lamp_and_relay_fall_and_say_so_once() -> None:
    watch = Watch()
    watch.colour(*COLOURS["ready"])
    watch.eye.pin(33, 1, 500)
    watch.events.clear()
    watch.eye.power_gone(900)
    watch.eye.power_gone(950)
    assert watch.events == [
        {"event": "lamp", "t_us": 900, "state": "dark"},
        {"event": "relay", "t_us": 900, "closed": False},
    ]
    watch.colour(*COLOURS["ready"])
    assert watch.states == ["dark", "ready"]


def test_an_active_low_relay_and_foreign_pins() -> None:
    watch = Watch(Wiring(button=32, lamp_red=13, lamp_green=14, lamp_blue=4, relay=33, relay_active_high=False))
    watch.eye.pin(33, 1, 1)
    watch.eye.pin(5, 1, 2)
    assert watch.events == []
    watch.eye.pin(33, 0, 3)
    assert watch.events == [{"event": "relay", "t_us": 3, "closed": True}]


def test_the_wiring_of_a_broken_configuration_is_the_chips_default() -> None:
    wiring = Wiring.of(config.fallback("esp32c3"))
    assert (wiring.button, wiring.relay, wiring.tamper) == (3, 7, None)
