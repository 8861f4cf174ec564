"""The integrator in the virtual board's pulse counter: what hal/esp32_integrator.py makes of the chip's."""

from collections.abc import Callable

from sim.chip.contact import Contact
from sim.chip.pulses import AT_MAX, Count, Train
from sim.virtual.figures import of
from sim.virtual.timeline import US_PER_S

PERIOD_US = US_PER_S // of("pulse_hz")
COUNT_MAX = of("counter_max")


class VirtualIntegrator:
    """`hal.interface.Integrator`, from the contact's waveform and the time. `is_broken`: its pulses have ceased."""

    def __init__(self, contact: Contact, now_us: Callable[[], int], press_ms: int) -> None:
        self._contact = contact
        self._now_us = now_us
        self._train = Train(now_us(), PERIOD_US, PERIOD_US // 2)
        self._settled_us = now_us()
        self._press = Count(low=-1, high=press_ms)
        self._release = Count(low=-1, high=COUNT_MAX)
        self._armed = self._latched = False
        self.is_broken = False

    def arm(self) -> None:
        self._settle()
        self._press.value = 0
        self._armed, self._latched = True, False

    def disarm(self) -> None:
        self._settle()
        self._release.value = 0
        self._armed = self._latched = False

    def is_latched(self) -> bool:
        self._settle()
        return self._latched

    def open_ms(self) -> int:
        self._settle()
        return self._release.value

    def _settle(self) -> None:
        until_us, contact = self._now_us(), self._contact
        while self._settled_us < until_us:
            closed = contact.level_at(self._settled_us)
            edge_us = contact.next_edge_after(self._settled_us)
            end_us = until_us if edge_us is None else min(edge_us, until_us)
            if not self.is_broken:
                first, last = self._train.edges_until(self._settled_us), self._train.edges_until(end_us)
                for unit, is_up in ((self._press, closed), (self._release, not closed)):
                    unit.run(first, last, *((1, 0) if is_up else (-1, -1)))
            self._settled_us = end_us
        self._latched = self._latched or bool(self._armed and self._press.take_events() & AT_MAX)
        self._press.events = 0
