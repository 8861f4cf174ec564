"""The virtual board: `hal.interface.Board` over the virtual world, one object for each life between resets."""

import random
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from hal import interface
from sim.chip.contact import Contact
from sim.chip.options import CHIPS
from sim.virtual import link
from sim.virtual.clocks import BoardClock, Ticks
from sim.virtual.connection import Payer, VirtualStream
from sim.virtual.costs import Costs
from sim.virtual.endings import ChipReset, Pause
from sim.virtual.figures import of
from sim.virtual.flash import FlashStore, VirtualFlash
from sim.virtual.heaps import Heaps
from sim.virtual.network import Network, VirtualDatagram, VirtualLookup
from sim.virtual.peripherals import VirtualContact, VirtualLamp, VirtualRelay, VirtualScratch, VirtualWatchdog
from sim.virtual.task_faults import Sabotage
from sim.virtual.timeline import US_PER_MS, Timeline, WorldEvent
from sim.virtual.trace import Trace

CHIPS_WITHOUT_COUNTER = [chip for chip in CHIPS if not of("counter_units", chip)]
LATE_US = 6 * US_PER_MS  # of a look: whoever watches over the contact is told


class Hardware:
    """What is soldered together and survives resets, and most of it power cuts."""

    def __init__(
        self, timeline: Timeline, trace: Trace, network: Network, flash: FlashStore, costs: Costs, dice: random.Random
    ) -> None:
        self.timeline = timeline
        self.trace = trace
        self.network = network
        self.flash = flash
        self.costs = costs
        self.dice = dice
        self.contact = Contact()
        self.contact_version = 0  # counts the changes of what the contact is going to do
        self.clock = BoardClock(timeline, dice, costs)
        self.scratch = b""
        self.tamper_open: bool | None = False
        self.supply_mv: int | None = 12_000
        self.hang: str | None = None  # the task that hangs as soon as its name is written to scratch memory
        self.sabotage = Sabotage(timeline, trace)
        self.start_faults = link.StartFaults()
        self.start_faults.on_failure = trace.took_effect
        self.pause_us: int | None = None


class VirtualBoard(Ticks):
    """One life of the board. After it ended, everything that was taken from it raises what ended it."""

    interrupts = True  # an edge of the contact wakes whoever waits

    def __init__(self, hardware: Hardware, cause: str, chip: str) -> None:
        super().__init__(hardware.timeline, hardware.dice)
        self.hardware = hardware
        self.chip = chip
        self.uid = "a0b1c2d3e4f5"
        self.micropython = "cpython"
        self.ended: WorldEvent | None = None
        self.watchdog_us: int | None = None  # when it bites
        self.watchdog_timeout_us = 0
        self.last_look_us = hardware.timeline.now_us  # when the contact was last looked at
        hardware.start_faults.life_begins()
        self._cause = cause
        self._waiting = False
        self._has_looked = False
        self.on_duty = False  # a column runs on it, with a configuration
        self.on_first_look: Callable[[], None] = lambda: None
        self._has_counter = chip not in CHIPS_WITHOUT_COUNTER
        self.heaps = Heaps(hardware.costs.room)
        self.flash: interface.Flash = VirtualFlash(hardware.flash, self.spend, hardware.costs, self.heaps.want)
        self._streams: list[VirtualStream] = []
        self.scratch: interface.Scratch = VirtualScratch(self)
        self.on_stall: Callable[[int, int], None] | None = None  # (from_us, to_us) without a look at the contact

    # -- time

    def spend(self, duration_us: int) -> None:
        """Every operation passes through here: time goes on, and what happens meanwhile happens."""
        if self.ended is not None:
            raise self.ended
        self.hardware.sabotage.board_used()
        if not duration_us:
            return
        timeline = self._timeline
        end_us = timeline.now_us + duration_us
        if (self.watchdog_us is None or self.watchdog_us >= end_us) and timeline.skip_to(end_us):
            return
        try:
            while self.watchdog_us is not None and self.watchdog_us < end_us:
                bite_us = self.watchdog_us
                timeline.advance_to(bite_us)
                if self.watchdog_us == bite_us:  # nobody fed it meanwhile
                    raise ChipReset("watchdog")
            timeline.advance_to(end_us)
        except WorldEvent as event:
            self.ended = event
            raise

    def unseen_us(self) -> int:
        """How long the contact has not been sampled."""
        return 0 if self._waiting else self.hardware.timeline.now_us - self.last_look_us

    def looked(self) -> None:
        now_us = self.hardware.timeline.now_us
        if self.on_stall is not None and now_us - self.last_look_us > LATE_US:
            self.on_stall(self.last_look_us, now_us)
        self.last_look_us = now_us

    def sampled(self) -> None:
        """The firmware read the contact: from its first look on it is there for a press."""
        self.looked()
        if self.on_duty and not self._has_looked:
            self._has_looked = True
            self.on_first_look()

    def wait(self, timeout_ms: int) -> int:
        hardware, timeline, seen_us = self.hardware, self.hardware.timeline, self.last_look_us
        if self.ended is None and hardware.pause_us is not None and timeline.now_us >= hardware.pause_us:
            raise Pause
        self.spend(hardware.costs.turn_us)
        if timeout_ms > 0 and hardware.network.input_waiting():
            self.spend(hardware.costs.busy_turn_us)  # nobody has read it: the loop turns as fast as a chip can
        self.looked()
        began_us = timeline.now_us
        deadline_us = timeline.now_us + max(0, timeout_ms) * US_PER_MS
        if not self._sleeps_exactly(timeout_ms):
            deadline_us = self._tick_at(deadline_us)
        if hardware.pause_us is not None:
            deadline_us = min(deadline_us, max(hardware.pause_us, timeline.now_us))
        self._waiting = True
        try:
            self._wait_until(deadline_us)
        except WorldEvent as event:
            self.ended = event
            raise
        finally:
            self._waiting = False
        self.last_look_us = timeline.now_us
        if timeline.now_us == began_us:
            return (began_us - seen_us) // US_PER_MS
        return 0 if self.interrupts else min(timeline.now_us - began_us, hardware.costs.tick_us) // US_PER_MS

    def _sleeps_exactly(self, timeout_ms: int) -> bool:
        """`time.sleep_ms` does, for less than a tick; a poll waits for one."""
        return timeout_ms <= 0 or self.interrupts and timeout_ms * US_PER_MS < self.hardware.costs.tick_us

    def _tick_at(self, t_us: int) -> int:
        """The first tick at that moment or after it."""
        tick_us = self.hardware.costs.tick_us
        return -(-t_us // tick_us) * tick_us

    def _wait_until(self, deadline_us: int) -> None:
        hardware, timeline, network = self.hardware, self.hardware.timeline, self.hardware.network
        last_level = self._contact.last_level
        if hardware.contact.level_at(timeline.now_us) != last_level or network.input_waiting():
            return
        has_input = False
        while timeline.now_us < deadline_us:
            if not has_input and network.input_waiting():  # it wakes nobody: the next tick finds it
                has_input = True
                deadline_us = min(deadline_us, self._tick_at(timeline.now_us))
                continue
            version = hardware.contact_version
            look_us = self._next_look(last_level, deadline_us)
            until_us = deadline_us if look_us is None else look_us
            bite_us = self.watchdog_us
            if bite_us is not None and bite_us < until_us:
                until_us = bite_us
            if timeline.advance_to(until_us, partial(self._disturbed, version, has_input)):
                continue
            if until_us == look_us:
                return
            if until_us == bite_us == self.watchdog_us and until_us < deadline_us:  # nobody fed it meanwhile
                raise ChipReset("watchdog")

    def _disturbed(self, version: int, has_input: bool) -> bool:
        return self.hardware.contact_version != version or not has_input and self.hardware.network.input_waiting()

    def _next_look(self, last_level: bool, before_us: int) -> int | None:
        """When the chip first finds the contact at another level: it looks when an edge has woken it, or at a tick."""
        contact, costs, dice = self.hardware.contact, self.hardware.costs, self.hardware.dice
        look_us = self.hardware.timeline.now_us
        differs = contact.level_at(look_us) != last_level
        edge_us = look_us + 1 if differs else contact.next_edge_after(look_us)
        while edge_us is not None and edge_us < before_us:
            look_us = edge_us + dice.randrange(costs.wake_us) if self.interrupts else self._tick_at(edge_us)
            if look_us >= before_us:
                return None
            if contact.level_at(look_us) != last_level:
                return look_us
            edge_us = contact.next_edge_after(look_us)
        return None

    def epoch_ms(self) -> int:
        return self.hardware.clock.epoch_ms()

    def set_epoch_ms(self, epoch_ms: int) -> None:
        self.spend(self.hardware.costs.turn_us)
        self.hardware.clock.set_epoch_ms(epoch_ms)

    # -- the chip

    def reset_cause(self) -> str:
        return self._cause

    def random(self, below: int) -> int:
        return self.hardware.dice.randrange(below)

    def heap(self) -> int:
        return self.heaps.free_bytes()

    def system_heap(self) -> int:
        return self.heaps.system_bytes()

    def collect(self) -> None:
        self.spend(self.hardware.costs.collect_us)

    def describe_error(self, error: BaseException) -> str:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f"  File {Path(frame.filename).name}, line {frame.lineno}, in {frame.name}" for frame in frames]
        return "\n".join(["Traceback:", *lines, f"{type(error).__name__}: {error}"])

    def forget(self, *modules: str) -> None:
        """Nothing to give back: modules are shared with the host."""

    discard = forget

    def log(self, text: str) -> None:
        self.spend(self.hardware.costs.log_us)
        self.hardware.trace.add("log", text)

    def typed(self, limit: int) -> bytes | None:
        return None  # nobody sits at this console

    def heed_interrupt(self, is_heeded: bool) -> None:
        """Nor interrupts it."""

    def watchdog(self, timeout_ms: int) -> interface.Watchdog:
        return VirtualWatchdog(self, timeout_ms * US_PER_MS)

    def reset(self) -> NoReturn:
        self.spend(0)
        self.ended = ChipReset("soft")
        raise self.ended

    # -- configured

    def configure(self, config: dict[str, Any]) -> None:
        self.spend(self.hardware.costs.turn_us)
        self._contact = VirtualContact(self, self._has_counter)
        self.contact: interface.Contact = self._contact
        self.lamp: interface.Lamp = VirtualLamp(self)
        self.relay: interface.Relay = VirtualRelay(self)
        hardware = self.hardware
        self.link: interface.Link = link.make(
            config, hardware.network, hardware.start_faults, self, self.spend, hardware.costs, self.log
        )

    def tamper_open(self) -> bool | None:
        return self.hardware.tamper_open

    def supply_mv(self) -> int | None:
        return self.hardware.supply_mv

    def lookup(self, name: str) -> interface.Lookup:
        self.spend(self.hardware.costs.lookup_us)
        return VirtualLookup(self.hardware.network, name, self.spend, self.hardware.costs)

    def dial(self, address: str, port: int, server_name: str | None) -> interface.Stream:
        self.spend(self.hardware.costs.dial_us)
        payer = Payer(self.spend, self.hardware.costs)
        self._streams = [stream for stream in self._streams if stream.is_alive()]
        give_back = self.heaps.beside() if self._streams else None
        connection = self.hardware.network.connect(address, port, payer, server_name is not None)
        self._streams.append(VirtualStream(connection, give_back, self.heaps.want))
        return self._streams[-1]

    def datagram(self, address: str, port: int) -> interface.Datagram:
        self.spend(self.hardware.costs.stream_us)
        return VirtualDatagram(self.hardware.network, address, port, self.spend, self.hardware.costs)
