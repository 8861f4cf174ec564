"""What a person in front of the column sees: pin levels become lamp states and the relay's position."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

DARK = "dark"
CHANNELS = ("lamp_red", "lamp_green", "lamp_blue")
SETTLE_US = 200_000  # a colour of which only one or two channels were written counts after this: the chip's process
# may lose the processor between two writes
WINK_US = 4_000_000  # a lamp that shone steadily and goes dark for a moment: it will again within that time
_DUTY_PER_STEP = 256  # duty_u16 has 16 bits, a colour 8


@dataclass(frozen=True)
class Wiring:
    """GPIO numbers, and which level closes."""

    button: int
    lamp_red: int
    lamp_green: int
    lamp_blue: int
    relay: int
    tamper: int | None = None
    button_active_low: bool = True
    relay_active_high: bool = True

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Wiring":
        """From a validated configuration, or from `firmware.startup.config.fallback()`."""
        pins = {role: pin for role, pin in config["pins"].items() if role in cls.__dataclass_fields__}
        low, high = config["button"]["active_low"], config["relay"]["active_high"]
        return cls(**pins, button_active_low=low, relay_active_high=high)


class Observer:
    """Decodes pin messages; `see(event, t_us, **details)` is called for each change that shows. `steady`: states in
    which the lamp goes dark for nothing but to say that the centre hears the place."""

    def __init__(
        self,
        wiring: Wiring,
        colours: Mapping[str, tuple[int, int, int]],
        see: Callable[..., None],
        steady: Container[str] = (),
    ) -> None:
        self._wiring, self._steady = wiring, steady
        self._wink_us: int | None = None
        self._names = {tuple(colour): name for name, colour in colours.items()}
        self._see = see
        self._channels = {getattr(wiring, channel): channel for channel in CHANNELS}
        self._levels = dict.fromkeys(CHANNELS, 0)
        self._written: set[str] = set()
        self._written_us = 0
        self.lamp = DARK
        self.relay_closed = False

    def pin(self, number: int, level: int, t_us: int) -> None:
        """One write to an output: `level` is a 16-bit duty for the lamp, 0 or 1 for the relay."""
        if number == self._wiring.relay:
            self._relay(bool(level) == self._wiring.relay_active_high, t_us)
        elif number in self._channels:
            self._channel(self._channels[number], level, t_us)

    def settle(self, now_us: int) -> None:
        """Call now and then: a colour that was written in part becomes valid after `SETTLE_US`."""
        if self._written and now_us - self._written_us > SETTLE_US:
            self._decode()
        if self._wink_us is not None and now_us - self._wink_us > WINK_US:
            self._wink(None, now_us)

    def power_gone(self, t_us: int) -> None:
        """Cut or reset: the pins float, so the lamp is dark and the relay drops."""
        self._levels = dict.fromkeys(CHANNELS, 0)
        self._written.clear()
        self._wink(None, t_us)
        self._lamp(DARK, t_us)
        self._relay(False, t_us)

    def _channel(self, channel: str, level: int, t_us: int) -> None:
        """A colour is whole when each of its channels was written: what lies between is no colour."""
        if channel in self._written:
            self._decode()
        self._levels[channel] = level
        self._written.add(channel)
        self._written_us = t_us
        if len(self._written) == len(CHANNELS):
            self._decode()

    def _decode(self) -> None:
        """A known colour is a state; black phases and other colours of a pattern leave the state as it is."""
        self._written.clear()
        colour = tuple(self._levels[channel] // _DUTY_PER_STEP for channel in CHANNELS)
        if colour in self._names and any(colour):
            self._lamp(self._names[colour], self._written_us)
        elif not any(colour) and self.lamp in self._steady:
            self._wink(self._written_us, self._written_us)

    def _wink(self, at_us: int | None, t_us: int) -> None:
        was, self._wink_us = self._wink_us is not None, at_us
        if was != (at_us is not None):
            self._see("listened", t_us, on=at_us is not None)

    def _lamp(self, state: str, t_us: int) -> None:
        if state != self.lamp:
            self.lamp = state
            self._see("lamp", t_us, state=state)

    def _relay(self, closed: bool, t_us: int) -> None:
        if closed != self.relay_closed:
            self.relay_closed = closed
            self._see("relay", t_us, closed=closed)
