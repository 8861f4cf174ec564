"""From the broker's return to the acknowledgement of an alarm that waited for it, beside umqtt.robust."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sim.bench.centre import BenchCentre
from sim.bench.rig import OURS, TRANSPORTS, BenchColumn, Workbench
from sim.bench.stats import spread
from sim.real.rtc import now_us
from sim.servers.broker import Mosquitto

RUNTIME = "micropython"
PRESS_MS = 80
DOWN_BEFORE_PRESS_S = (0.3, 1.5)  # random, to meet every phase of the pauses between attempts
DOWN_AFTER_PRESS_S = (0.5, 2.5)
SETTLE_S = 0.5
LIMIT_S = 25.0  # beyond the column's own repeat of an unanswered alarm
ROBUST = "umqtt.robust"


def measure(workbench: Workbench, rounds: int, library: Path | None) -> Iterator[dict[str, Any]]:
    """One row for each contender; times from the start of mosquitto's process, so its own start is within.

    They run beside each other, each with a broker of its own: they mostly wait.
    """
    with ThreadPoolExecutor() as pool:
        rows = [pool.submit(_firmware, workbench, transport, rounds) for transport in TRANSPORTS]
        if library is not None:
            rows.insert(0, pool.submit(_robust, workbench, rounds, library))
        for row in rows:
            yield row.result()


def _firmware(workbench: Workbench, transport: str, rounds: int) -> dict[str, Any]:
    times: dict[str, list[int]] = {"broker_up": [], "puback": [], "answered": []}
    with (
        workbench.broker(transport, persistence=True) as broker,
        BenchCentre(broker.port, "received", workbench.desk_identity(transport)) as desk,
        BenchColumn(workbench.config(broker.port, transport), RUNTIME, workbench.stamped_sources()) as column,
    ):
        column.lamp("ready")
        for _ in range(rounds):
            time.sleep(SETTLE_S)
            back_us, up_us = _outage(column, broker)
            back_ms = column.real.now_ms() - (now_us() - back_us) / 1000
            at = column.report("puback", LIMIT_S)
            answered_ms = column.lamp("answered", LIMIT_S)
            times["broker_up"].append(up_us)
            times["puback"].append(at["puback"] - back_us)
            times["answered"].append(round((answered_ms - back_ms) * 1000))
            desk.close(at["id"])
            column.lamp("ready")
    return _row(transport, OURS, times)


def _robust(workbench: Workbench, rounds: int, library: Path) -> dict[str, Any]:
    times: dict[str, list[int]] = {"broker_up": [], "puback": []}
    with workbench.broker("plain", persistence=True) as broker:
        sources = workbench.peer_sources("robust", workbench.peer_options("robust", broker.port, "plain"), library)
        with BenchColumn(workbench.config(broker.port, "plain"), RUNTIME, sources) as column:
            column.report("ready")
            for _ in range(rounds):
                time.sleep(SETTLE_S)
                back_us, up_us = _outage(column, broker)
                times["broker_up"].append(up_us)
                times["puback"].append(column.report("puback", LIMIT_S)["puback"] - back_us)
    return _row("plain", ROBUST, times)


def _outage(column: BenchColumn, broker: Mosquitto) -> tuple[int, int]:
    """Kill the broker, press, bring it back: (when it was started, us until it had answered a probe)."""
    broker.kill()
    time.sleep(random.uniform(*DOWN_BEFORE_PRESS_S))
    column.real.press(PRESS_MS)
    time.sleep(random.uniform(*DOWN_AFTER_PRESS_S))
    back_us = now_us()
    broker.start()
    return back_us, now_us() - back_us


def _row(transport: str, who: str, times: dict[str, list[int]]) -> dict[str, Any]:
    figures = {name: spread(values).as_dict() for name, values in times.items()}
    return {"runtime": RUNTIME, "transport": transport, "who": who, **figures}
