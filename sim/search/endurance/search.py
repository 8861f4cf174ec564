"""Endurance: 200,000 publishes of QoS 1 by the firmware on real 32-bit MicroPython, in the heap that it has to do with.

Every press goes the whole way: lamp, journal on LittleFS, relay, alarm, PUBACK, two answers, `call-ended`. Only the
contact is left out: a finger would take 2,000 times as long. Packet ids are read off the wire.
"""

import json
import queue
import re
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from sim.bench.rig import TRANSPORTS, ColumnFailed, Workbench
from sim.bench.stats import slope
from sim.real.column import Event, RealColumn
from sim.search.endurance.broker import CountingBroker
from sim.search.findings import Control, Findings, Violation, command_of

RUNTIME = "micropython32"
PLAIN, MUTUAL = TRANSPORTS
HEAPS = {PLAIN: 100 * 1024, MUTUAL: 104 * 1024}  # bytes, out of which the piece that presses lives as well
PUBLISHES = {PLAIN: 200_000, MUTUAL: 20_000}
PER_ALARM = 2  # publishes of QoS 1: the alarm, and the event `call-ended`
SAMPLES = 200
ALARMS_MIN = 10  # from one sample to the next
NEAR_WRAP = 65_400  # the first packet id of a run too short to come to the wrap by itself
WRAPS_BY_ITSELF = 66_000  # publishes
WARM_UP_SHARE = 0.1  # of the samples: buffers that grow once
RISE_MAX_BYTES = 1_500  # over the whole run: the collector takes old stack for references, now more and now less
PUBLISHES_MIN = 1_000
PUBLISHES_PER_S = 250  # on one core that does nothing else
SILENCE_S = 30.0  # without a sample
PLAIN_SHARE = 0.85  # of the budget
BLOCK_BYTES = 16
_LARGEST = re.compile(r"max free sz: (\d+)")
_DEATHS = ("main: restarting", "supervisor: task", "simulator: main.py ended")
_INSTALL = "import hal.bench_probe\nhal.bench_probe.install({every}, {first_id}, {control!r})\n"

CONTROLS = {
    "leak": Control("16 bytes of heap are never given back, with each alarm", "heap slope"),
    "wrap": Control("packet ids are counted up for ever, as umqtt.simple does it", "wire"),
}


class Weight(NamedTuple):
    """Bytes, after a collection."""

    alarms: int
    live: int
    free: int
    lowest: int  # free in the middle of an alarm, lowest so far
    largest: int = 0  # free block


class Trial:
    """One column, one transport. `publishes`: how many are asked for."""

    def __init__(self, transport: str, publishes: int, control: str | None) -> None:
        self.transport = transport
        self.publishes = publishes
        self.control = control
        self.weights: list[Weight] = []
        self.violations: list[str] = []
        self.elapsed_s = 0.0
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._last_words: list[str] = []

    def perform(self, budget_s: float, say: Callable[[str], None]) -> None:
        """Until all publishes were made, something broke or the budget is used up."""
        began_s = time.monotonic()
        with Workbench() as workbench:
            tls = None if self.transport == PLAIN else _context(workbench)
            with CountingBroker(tls) as self.broker:
                config = workbench.config(self.broker.port, self.transport)
                with RealColumn(
                    config, runtime=RUNTIME, sources=self._sources(workbench), heap_bytes=HEAPS[self.transport],
                    on_event=self._events.put,
                ) as column:  # fmt: skip
                    column.power_on()
                    try:
                        self._follow(began_s + budget_s, say)
                    except ColumnFailed as error:
                        self.violations.append(str(error))
        self.elapsed_s = time.monotonic() - began_s
        self.violations += self.broker.violations
        self._judge()

    def _sources(self, workbench: Workbench) -> Path:
        first_id = 0 if self.publishes > WRAPS_BY_ITSELF else NEAR_WRAP
        every = max(ALARMS_MIN, self.publishes // PER_ALARM // SAMPLES)
        install = _INSTALL.format(every=every, first_id=first_id, control=self.control or "")
        return workbench.sources("endurance", "endurance.py", install)

    def _follow(self, until_s: float, say: Callable[[str], None]) -> None:
        broker, heard_s = self.broker, time.monotonic()
        while broker.publishes < self.publishes and time.monotonic() < until_s and not broker.violations:
            try:
                event = self._events.get(timeout=1.0)
            except queue.Empty:
                if time.monotonic() - heard_s > SILENCE_S:
                    raise ColumnFailed(self._failed("it fell silent")) from None
                continue
            text = str(event.get("text", ""))
            if event["event"] == "log":
                self._last_words = [*self._last_words[-12:], text]
            if event["event"] == "reset" or text.startswith(_DEATHS):
                raise ColumnFailed(self._failed("it was reset or died"))
            if text.startswith("bench "):
                heard_s = time.monotonic()
                self.weights.append(Weight(**json.loads(text.removeprefix("bench "))))
                say(f"endurance, {self.transport}: {broker.publishes:,} of {self.publishes:,} publishes")
            elif (found := _LARGEST.search(text)) and self.weights:
                self.weights[-1] = self.weights[-1]._replace(largest=int(found[1]) * BLOCK_BYTES)

    def _failed(self, why: str) -> str:
        return "\n  ".join([f"no reset: {why} after {self.broker.publishes:,} publishes", *self._last_words])

    def _judge(self) -> None:
        if self.rise_bytes > RISE_MAX_BYTES:
            self.violations.append(
                f"heap slope: {self.slope:+.1f} bytes per 1,000 publishes, {self.rise_bytes:.0f} bytes in "
                f"{self.broker.publishes:,} publishes over {self.transport}"
            )
        if not self.broker.wraps:
            self.violations.append("wire: no packet id 65,535 was followed by 1")

    @property
    def slope(self) -> float:
        """Bytes per 1,000 publishes, the linear fit of what is live after a collection."""
        settled = self.weights[int(len(self.weights) * WARM_UP_SHARE) :]
        points = [(float(one.alarms * PER_ALARM), float(one.live)) for one in settled]
        return slope(points) * 1000 if len(points) > 2 else 0.0

    @property
    def rise_bytes(self) -> float:
        return self.slope * self.broker.publishes / 1000

    def figures(self) -> dict[str, str]:
        """For the summary; the transport stands in front of each."""
        last = self.weights[-1] if self.weights else Weight(0, 0, 0, 0)
        largest = [one.largest for one in self.weights if one.largest]  # the last one may not have been told
        found = {
            "heap of the firmware": f"{HEAPS[self.transport] // 1024} KiB",
            "QoS 1 publishes": f"{self.broker.publishes:,} of {self.publishes:,}, {self.broker.repeats} repeated",
            "alarms, each id once": f"{len(self.broker.alarms):,}",
            "packet-id wraps": str(self.broker.wraps),
            "sessions": str(self.broker.sessions),
            "heap slope": f"{self.slope:+.2f} bytes per 1,000 publishes",
            "free at rest, lowest": f"{min((one.free for one in self.weights), default=0):,} bytes",
            "free within an alarm, lowest": f"{last.lowest:,} bytes",
            "largest free block, smallest": f"{min(largest, default=0):,} bytes",
            "an alarm": f"{self.elapsed_s * 1000 / max(1, len(self.broker.alarms)):.1f} ms",
        }
        return {f"{self.transport}: {name}": text for name, text in found.items()}

    def table(self) -> Table:
        table = Table("alarms", "live", "free", "lowest free", "largest block", title=f"heap, {self.transport}")
        for one in self.weights[:: max(1, len(self.weights) // 8)]:
            table.add_row(*(f"{number:,}" for number in one))
        return table


def run(budget_s: float, seed: int, control: str | None, say: Callable[[str], None]) -> Findings:
    """`seed` changes nothing: there is no chance in it. A share of the budget goes to each transport."""
    findings = Findings("endurance", invariants=("heap slope", "wire", "no reset", "I3"))
    findings.kinds = frozenset({"packet-id wrap"})
    began_s = time.monotonic()
    shares = {PLAIN: budget_s * PLAIN_SHARE, MUTUAL: budget_s * (1 - PLAIN_SHARE)}
    for transport in TRANSPORTS if control is None else (PLAIN,):
        trial = Trial(transport, _affordable(transport, budget_s), control)
        trial.perform(shares[transport], say)
        _add(findings, trial)
    findings.wall_s = time.monotonic() - began_s
    return findings


def _affordable(transport: str, budget_s: float) -> int:
    """Publishes: all of them, or as many as a short budget is likely to have room for, and the wrap among them."""
    return min(PUBLISHES[transport], max(PUBLISHES_MIN, int(budget_s * PUBLISHES_PER_S)))


def replay(what: str, control: str | None) -> int:
    """`plain:PUBLISHES` or `mutual TLS:PUBLISHES`."""
    transport, _, publishes = what.partition(":")
    if transport not in TRANSPORTS:
        raise ValueError(f"found {what!r}, must be one of {' or '.join(TRANSPORTS)}, a colon and a number of publishes")
    trial = Trial(transport, int(publishes or PUBLISHES[transport]), control)
    trial.perform(float("inf"), lambda text: print(text, end="\r", flush=True))
    print("", *(f"{name}: {text}" for name, text in trial.figures().items()), sep="\n")
    print(*trial.violations or ["every promise was kept"], sep="\n")
    return 1 if trial.violations else 0


def _add(findings: Findings, trial: Trial) -> None:
    findings.runs += 1
    findings.fired["packet-id wrap"] += trial.broker.wraps
    findings.figures |= trial.figures()
    findings.tables.append(trial.table())
    command = command_of("endurance", f"'{trial.transport}:{trial.publishes}'", trial.control)
    findings.violations += [Violation(text, command) for text in trial.violations]


def _context(workbench: Workbench) -> ssl.SSLContext:
    identity = workbench.server_identity()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(identity.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(str(identity.cert), str(identity.key))
    return context
