"""The heaps on 32-bit MicroPython, whose objects are as large as the ESP32's; over mutual TLS.

Three ways: code loaded from LittleFS into the heap (a stock image), code in place (an image of one's own, here from
ROMFS), and what is left of IDF's heap on each chip without PSRAM.
"""

import time
from typing import Any

from sim.bench.centre import BenchCentre
from sim.bench.rig import TRANSPORTS, BenchColumn, ColumnFailed, Workbench
from sim.bench.stats import slope
from sim.chip.options import CHIPS
from sim.document import RMII

RUNTIME = "micropython32"
TRANSPORT = TRANSPORTS[-1]
HEAP_BYTES = 102 * 1024
STEP_BYTES = 2 * 1024
SEARCH_BYTES = (32 * 1024, 112 * 1024)  # where it is looked for: beyond that IDF has no room for TLS
TRIAL_PRESSES = 3
TRIAL_LIMIT_S = 8.0
PRESS_MS = 80
PROVISIONED = {"auth_key": "5a" * 32, "answer_key": "a5" * 32}  # provisioning gives each column these
SAMPLES = 20
WARM_UP_SHARE = 0.1  # of the alarms: buffers that grow once
SAMPLE_LIMIT_S = 60.0
ALARMS_LIMIT_S = 150.0  # then it reports how far it came
WAYS = {"LittleFS": False, "in place": True}
LINKS: dict[str, dict[str, Any]] = {"Wi-Fi": {"type": "wifi"}, "Ethernet": RMII}
BOARDS = [(chip, "Wi-Fi", way) for chip in CHIPS for way in WAYS] + [("esp32", "Ethernet", "LittleFS")]
CHIP_ALARMS = 100  # on each of them
_INSTALL = "import gc\ngc.collect()\n_b = gc.mem_alloc()\nimport hal.bench_probe as _p\n_p.say_own_bytes(_b)\n"


def measure(workbench: Workbench, alarms: int, chip_alarms: int = CHIP_ALARMS) -> dict[str, Any]:
    """Bytes. `idle` and `highest` are the firmware's own: the probe is subtracted."""
    identity = workbench.desk_identity(TRANSPORT)
    with workbench.broker(TRANSPORT) as broker, BenchCentre(broker.port, "received,closed", identity) as desk:
        config = workbench.config(broker.port, TRANSPORT)
        config["secrets"] |= PROVISIONED
        result: dict[str, Any] = _alarms(workbench, config, alarms)
        result["in_place"] = _alarms(workbench, config, chip_alarms, in_place=True)
        result["chips"] = [_on_chip(workbench, config, chip_alarms, *board) for board in BOARDS]
        desk.forget()
        result |= _smallest_heap(config)
    return result


def _on_chip(
    workbench: Workbench, config: dict[str, Any], count: int, chip: str, link: str, way: str
) -> dict[str, Any]:
    """One row; without figures when no session comes about: what the chip has is not enough."""
    try:
        linked = {**config, "link": LINKS[link]}
        found = _alarms(workbench, linked, count, chip=chip, psram=False, in_place=WAYS[way])
    except ColumnFailed:
        found = {}
    return {"chip": f"{chip}, {link}", "way": way, **found}


def _alarms(workbench: Workbench, config: dict[str, Any], count: int, **board: Any) -> dict[str, Any]:
    """Raise alarms as fast as the centre closes them, and weigh the live heap in between."""
    install = f"{_INSTALL}_p.install({count}, {SAMPLES})\n"
    points: list[tuple[float, float]] = []
    with BenchColumn(config, RUNTIME, workbench.sources(f"heap-{count}", "heap.py", install), **board) as column:
        own = column.report("own")["own"]
        at_rest = column.report("idle")
        started_s = time.monotonic()
        while not points or (points[-1][0] < count and time.monotonic() - started_s < ALARMS_LIMIT_S):
            at = column.report("alarms", SAMPLE_LIMIT_S)
            points.append((at["alarms"], at["live"] - own))
        elapsed_s = time.monotonic() - started_s
        worst = column.real.memory
    settled = [point for point in points if point[0] >= count * WARM_UP_SHARE]
    return {
        "probe_bytes": own,
        "idle_bytes": at_rest["idle"] - own,
        "areas": worst["gc_areas"],
        "idf_in_session_bytes": at_rest["idf"],
        "idf_lowest_bytes": worst["idf_lowest"],
        "highest_bytes": at["highest"] - own,
        "alarms": points[-1][0],
        "live_by_alarms": points,
        "slope_bytes_per_1000": slope(settled) * 1000,
        "ms_per_alarm": elapsed_s * 1000 / points[-1][0],
    }


def _smallest_heap(config: dict[str, Any]) -> dict[str, Any]:
    """The unmodified firmware in `HEAP_BYTES`, and the smallest heap in which it answers `TRIAL_PRESSES` presses."""
    asked = {"asked_heap_bytes": HEAP_BYTES, "runs_in_asked_heap": _works(config, HEAP_BYTES)}
    fails, works = (SEARCH_BYTES[0], HEAP_BYTES) if asked["runs_in_asked_heap"] else (HEAP_BYTES, SEARCH_BYTES[1])
    if works != HEAP_BYTES and not _works(config, works):
        return {**asked, "smallest_heap_bytes": None}
    while works - fails > STEP_BYTES:
        middle = (works + fails) // 2 // STEP_BYTES * STEP_BYTES
        if _works(config, middle):
            works = middle
        else:
            fails = middle
    return {**asked, "smallest_heap_bytes": works}


def _works(config: dict[str, Any], heap_bytes: int) -> bool:
    try:
        with BenchColumn(config, RUNTIME, heap_bytes=heap_bytes) as column:
            column.lamp("ready", TRIAL_LIMIT_S)
            for _ in range(TRIAL_PRESSES):
                column.real.press(PRESS_MS)
                column.lamp("calling", TRIAL_LIMIT_S)
                column.lamp("ready", TRIAL_LIMIT_S)  # the centre closed it
                time.sleep(2 * PRESS_MS / 1000)
    except ColumnFailed:
        return False
    return True
