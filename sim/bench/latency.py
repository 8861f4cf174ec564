"""From the debounced press to the broker and to the subscriber, beside stock umqtt.simple and a bare socket."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sim.bench.centre import BenchCentre
from sim.bench.rig import OURS, RUNTIMES, TRANSPORTS, BenchColumn, ColumnSilent, Processors, Workbench
from sim.bench.stats import spread
from sim.real.rtc import now_us

PRESS_MS = 90
BETWEEN_S = (0.17, 0.25)  # the contact opens, and its release is debounced; random, to meet every phase of the loop
WARM_UP = 2
MISSED_S = 5.0  # a press that raised nothing until then is counted as missed
MISSED_SHARE = 0.1  # more of them end the bench
ANSWERS, ANSWER_DELAY_MS = "received,closed", 10
SETTLE_S = 1.0
PEER_PAUSE_MS = 20
SIMPLE, BARE = "umqtt.simple", "bare socket"
_PEERS = {SIMPLE: "simple", BARE: "bare"}

Stages = dict[str, list[int]]


@dataclass(frozen=True)
class Stand:
    """Where one row is measured."""

    workbench: Workbench
    port: int
    desk: BenchCentre
    processors: Processors
    runtime: str
    transport: str


def measure(workbench: Workbench, count: int) -> Iterator[dict[str, Any]]:
    """One row for each runtime, transport and contender; times from the debounced press (a peer: from the call).

    `floor_ratio`: what comes after the journal's write, over the bare socket's exchange (medians).
    `stock_ratio`: all of it, over stock umqtt.simple's publish.
    """
    processors = Processors()
    try:
        for transport in TRANSPORTS:
            with processors.of_the_broker():
                broker = workbench.broker(transport)
                broker.start()
            identity = workbench.desk_identity(transport)
            with broker, BenchCentre(broker.port, ANSWERS, identity, delay_ms=ANSWER_DELAY_MS) as desk:
                for runtime in RUNTIMES:
                    yield from _rows(Stand(workbench, broker.port, desk, processors, runtime, transport), count)
    finally:
        processors.release()


def _rows(stand: Stand, count: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    floor, stock = _peer(stand, BARE, count), _peer(stand, SIMPLE, count)
    ours, missed = _firmware(stand, count)
    for who, stages in {BARE: floor, SIMPLE: stock, OURS: ours}.items():
        figures = {stage: spread(values).as_dict() for stage, values in stages.items()}
        rows.append({"runtime": stand.runtime, "transport": stand.transport, "who": who, **figures})
    floor_ms, stock_ms = (row["puback"]["median_ms"] for row in rows[:2])
    for row in rows:
        own_ms = row["puback"]["median_ms"] - row.get("journal", {}).get("median_ms", 0)
        row["floor_ratio"], row["stock_ratio"] = own_ms / floor_ms, row["puback"]["median_ms"] / stock_ms
    rows[-1]["missed"] = missed
    return rows


def _firmware(stand: Stand, count: int) -> tuple[Stages, int]:
    """The stages, and how many presses raised nothing."""
    missed = 0
    stages: Stages = {name: [] for name in ("debounced", "journal", "publish", "puback", "subscriber")}
    config = stand.workbench.config(stand.port, stand.transport)
    with BenchColumn(config, stand.runtime, stand.workbench.stamped_sources()) as column:
        stand.processors.give(column)
        column.lamp("ready")
        time.sleep(SETTLE_S)
        for number in range(WARM_UP + count):
            closed_us = now_us()
            column.real.press(PRESS_MS)
            try:
                at = column.report("puback", MISSED_S)
            except ColumnSilent:
                missed += 1
                if missed > count * MISSED_SHARE:
                    raise
                continue
            at["subscriber"] = stand.desk.seen_us(at["id"])
            if number >= WARM_UP:
                stages["debounced"].append(at["press"] - closed_us)
                for name in list(stages)[1:]:
                    stages[name].append(at[name] - at["press"])
            time.sleep(random.uniform(*BETWEEN_S))
    return stages, missed


def _peer(stand: Stand, who: str, count: int) -> Stages:
    workbench, peer = stand.workbench, _PEERS[who]
    total = WARM_UP + count
    options = workbench.peer_options(peer, stand.port, stand.transport, count=total, pause_ms=PEER_PAUSE_MS)
    sources = workbench.peer_sources(f"{peer}-{stand.transport}", options)
    stand.desk.forget()
    stages: Stages = {"puback": [], "subscriber": []}
    with BenchColumn(workbench.config(stand.port, stand.transport), stand.runtime, sources) as column:
        stand.processors.give(column)
        for number in range(total):
            at = column.report("puback")
            if number >= WARM_UP:
                stages["puback"].append(at["puback"] - at["press"])
                stages["subscriber"].append(stand.desk.seen_us(at["id"]) - at["press"])
    return stages
