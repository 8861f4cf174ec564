"""The debouncers beside each other: the firmware's button on a virtual board, before thousands of contacts.

Who decides: the pulse counter; looks that interrupts wake (a chip without a counter); looks when poll comes back.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from firmware.button import Button
from sim.bench.contacts import CLASSES, Wave, net_reached_ms, shifted
from sim.bench.stats import spread
from sim.virtual.board import Hardware, VirtualBoard
from sim.virtual.costs import Costs
from sim.virtual.flash import FlashStore
from sim.virtual.network import Network
from sim.virtual.timeline import US_PER_MS, Timeline
from sim.virtual.trace import Trace

CONFIG = {"press_ms": 40, "release_ms": 60, "stall_ms": 40, "stuck_s": 60}  # the configuration's defaults
WAYS = ("counter", "interrupts", "poll only")
TICKS_MS = (3, 10)
SEED = 20261129
QUIET_US = 1_500_000  # between two contacts: noise is forgotten
STALL_SHARE = 0.4
STALLS_MS = ((10, 40), (40, 100), (300, 1000))  # a record on its way to flash, an erase, a stretch of TLS handshake
MUST_NET_MS = 40


@dataclass
class Judged:
    """What became of the contacts of one way."""

    contacts: int = 0
    missed: int = 0
    missed_outside_stalls: int = 0
    false: int = 0
    doubled: int = 0
    delays_us: list[float] = field(default_factory=list)  # from the beginning of a net closure to the decision


def measure(contacts: int) -> Iterator[dict[str, Any]]:
    """One row for each way, tick, and without and with stalls of the loop."""
    shown = corpus(SEED, contacts)
    for way in WAYS:
        for tick_ms in TICKS_MS:
            for stalls in (False, True):
                found = judge(shown, way, tick_ms, stalls, SEED)
                yield {
                    "way": way,
                    "tick_ms": tick_ms,
                    "stalls": stalls,
                    "contacts": found.contacts,
                    "missed": found.missed,
                    "false": found.false,
                    "doubled": found.doubled,
                    "decided": spread(found.delays_us).as_dict(),
                }


def corpus(seed: int, size: int) -> list[tuple[Wave, int]]:
    """(waveform, how many presses it is) of every class in turn."""
    dice = random.Random(seed)
    return [CLASSES[index % len(CLASSES)](dice) for index in range(size)]


def judge(contacts: Iterable[tuple[Wave, int]], way: str, tick_ms: int, stalls: bool, seed: int) -> Judged:
    bench = _Bench(way, tick_ms, seed)
    for wave, presses in contacts:
        bench.show(wave, presses, stalls)
    return bench.judged


class _Bench:
    def __init__(self, way: str, tick_ms: int, seed: int) -> None:
        self._dice = random.Random(seed)
        self._timeline = timeline = Timeline()
        trace = Trace(timeline)
        costs = Costs(tick_us=tick_ms * US_PER_MS)
        network, flash = Network(timeline, trace, self._dice), FlashStore(trace, self._dice)
        self._hardware = Hardware(timeline, trace, network, flash, costs, self._dice)
        self._board = VirtualBoard(self._hardware, "power-on", "esp32c3" if way == "interrupts" else "esp32")
        self._board.interrupts = way != "poll only"
        self._board.configure({"link": {"type": "none"}, "secrets": {}})
        self._told_us: list[int] = []
        make: Any = Button
        self._button = make(self._board, CONFIG, self._pressed, *[lambda *_: None] * 3, False)
        self.judged = Judged()

    def _pressed(self, *_: object) -> None:
        self._told_us.append(self._timeline.now_us)

    def show(self, wave: Wave, presses: int, stalls: bool) -> None:
        began_us = self._timeline.now_us + 100 * US_PER_MS + self._dice.randrange(20 * US_PER_MS)
        wave = shifted(wave, began_us)
        self._hardware.contact.replace_from(self._timeline.now_us, wave)
        self._hardware.contact_version += 1
        self._told_us.clear()
        stall = None
        if stalls and self._dice.random() < STALL_SHARE:
            low, high = self._dice.choice(STALLS_MS)
            from_us = self._dice.randrange(began_us - high * US_PER_MS, wave[-1][0])
            from_us = max(from_us, self._timeline.now_us)
            stall = (from_us, from_us + self._dice.randint(low, high) * US_PER_MS)
        self._turn_until(wave[-1][0] + QUIET_US, stall)
        self._judge(wave, presses, stall)

    def _turn_until(self, end_us: int, stall: tuple[int, int] | None) -> None:
        timeline = self._timeline
        while timeline.now_us < end_us:
            if stall and timeline.now_us >= stall[0]:
                self._board.spend(max(0, stall[1] - timeline.now_us))
                self._button.look(-1)
                stall = None
            next_us = stall[0] if stall else end_us
            left_ms = (next_us - timeline.now_us) // US_PER_MS + 1
            self._button.look(self._board.wait(min(self._button.step(), left_ms)))

    def _judge(self, wave: Wave, presses: int, stall: tuple[int, int] | None) -> None:
        judged, told = self.judged, len(self._told_us)
        judged.contacts += 1
        if not presses:
            judged.false += told
            return
        wanted = presses
        release_us = CONFIG["release_ms"] * US_PER_MS
        if presses > 1 and stall and stall[0] <= wave[1][0] + release_us and stall[1] >= wave[2][0] - release_us:
            wanted = 1  # nobody saw the release between them: one call
        judged.missed += max(0, wanted - told)
        judged.missed_outside_stalls += max(0, wanted - told) * (stall is None)
        judged.doubled += max(0, told - presses)
        if told:
            began_ms = net_reached_ms(wave, MUST_NET_MS) - MUST_NET_MS
            judged.delays_us.append(self._told_us[0] - began_ms * US_PER_MS)
