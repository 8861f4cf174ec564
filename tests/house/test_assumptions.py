"""What the simulator believes of the hardware is what hal/assumptions.toml says, and stands nowhere else.

A figure with a unit in its name that is typed in the simulator is found. What reads the file is derived; what runs
inside the chip's process cannot read it and has to say the same; the rest is no belief about hardware, with the reason.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import assumptions
from sim.chip import heaps
from sim.chip.counters import UNITS
from sim.chip.options import CHIPS, KEYS
from sim.chip.pins import ADC
from sim.virtual.costs import Costs
from sim.virtual.peripherals import PROOF_US

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sim/virtual", "sim/chip", "sim/real")
FLASH = "sim/search/power_cuts/device/nor.py"
COSTS = "sim/virtual/costs.py"  # of hardware and nothing else: not one number
UNIT = re.compile(r"_(us|ms|s|bytes|ppm|hz|mv|uv|dbm|percent|share|chance|max|min)$", re.IGNORECASE)
PPM_OF_A_PERCENT = 10_000

# (module, constant): (figure, what it is multiplied with): the chip's process cannot read the file.
SAYS_THE_SAME = {
    ("sim/chip/board_micropython.py", "_BLOCK_BYTES"): ("block_bytes", 1),
    ("sim/chip/board_micropython.py", "_PAGE_BYTES"): ("page_bytes", 1),
    ("sim/chip/cpython/files.py", "BLOCK_BYTES"): ("block_bytes", 1),
    ("sim/chip/cpython/files.py", "_PAGE_BYTES"): ("page_bytes", 1),
    ("sim/chip/counters.py", "_LIMIT_MAX"): ("counter_max", 1),
    ("sim/chip/heaps.py", "_SPARE_BYTES"): ("gc_spare_bytes", 1),
    ("sim/chip/rtc.py", "RTC_MEMORY_BYTES"): ("rtc_bytes", 1),
    ("sim/chip/socket.py", "_SEND_BUFFER_BYTES"): ("tcp_send_bytes", 1),
    ("sim/chip/station.py", "EVENT_MS"): ("wifi_event_ms", 1),
    ("sim/chip/station.py", "RETRY_MS"): ("wifi_retry_ms", 1),
    (FLASH, "BLOCK_BYTES"): ("block_bytes", 1),
    (FLASH, "_EDGE_BYTES"): ("torn_program_bytes", 1),
}
NO_BELIEF = {
    "how the simulation is built, watches or waits": """
        sim/chip/contact.py:HISTORY_US sim/chip/cpython/host.py:_READ_BYTES sim/chip/cpython/tls_engine.py:_READ_BYTES
        sim/chip/heaps.py:_BOUNDLESS_BYTES sim/chip/machine.py:_FEED_GRAIN_US sim/chip/pins.py:_NEVER_US
        sim/chip/rtc.py:FILE_BYTES sim/chip/slow_os.py:QUICKEST_RENAME_MS sim/chip/socket.py:_CHUNK_MS
        sim/chip/uart.py:RECEIVE_BYTES sim/chip/uart.py:_WAIT_MS sim/real/column.py:POLL_S
        sim/real/column.py:CRASH_PAUSE_S sim/real/command.py:LONGEST_MS sim/real/observer.py:SETTLE_US
        sim/real/observer.py:WINK_US sim/real/process.py:_READ_BYTES sim/real/process.py:_EXIT_TIMEOUT_S
        sim/virtual/board.py:LATE_US sim/virtual/clocks.py:BEFORE_WRAP_MS sim/virtual/flash.py:CAPACITY_BYTES
        sim/virtual/peripherals.py:HANG_GRACE_US sim/virtual/world.py:SETTLE_MS
        sim/virtual/world.py:TRUE_EPOCH_MS""",
    "what a promise allows the firmware": """
        sim/virtual/checks/flash_watch.py:WELL_AGAIN_US sim/virtual/checks/invariants.py:BITE_GRACE_US
        sim/virtual/checks/invariants.py:CONNECTIONS_MAX sim/virtual/checks/invariants.py:MINUTE_US
        sim/virtual/checks/invariants.py:AHEAD_US sim/virtual/checks/invariants.py:BEFORE_US
        sim/virtual/checks/invariants.py:AFTER_US sim/virtual/checks/oracle.py:MUST_US
        sim/virtual/checks/oracle.py:MAY_US sim/virtual/checks/oracle.py:RELEASE_US
        sim/virtual/checks/oracle.py:STALL_US sim/virtual/checks/oracle.py:GAP_US
        sim/virtual/checks/oracle.py:BOUNCE_US sim/virtual/checks/oracle.py:NOISE_US
        sim/virtual/checks/oracle.py:JOINED_US sim/virtual/checks/oracle.py:MEMORY_US
        sim/virtual/presses.py:CALLING_US sim/virtual/presses.py:DURABLE_US sim/virtual/presses.py:LATEST_US
        sim/virtual/presses.py:BEFORE_DECISION_US sim/virtual/presses.py:IN_STALL_US
        sim/virtual/task_faults.py:IDLE_MS sim/virtual/task_faults.py:SLEEP_MS""",
    "MicroPython's interface, the same on every chip": """
        sim/chip/counters.py:_FILTER_MAX sim/chip/counters.py:IRQ_MIN sim/chip/counters.py:IRQ_MAX
        sim/chip/cpython/files.py:_CACHE_BYTES sim/chip/cpython/files.py:_NAME_MAX
        sim/chip/cpython/tls_engine.py:_EPOCH_2000_S sim/chip/machine.py:_FREQUENCIES_HZ
        sim/chip/network.py:_HOSTNAME_MAX sim/chip/pins.py:_LEVEL_MAX sim/chip/pins.py:_DEFAULT_PWM_HZ
        sim/chip/pins.py:_TRUE_HZ sim/chip/pins.py:_MAX_PWM_HZ
        sim/chip/pulses.py:AT_MAX sim/chip/pulses.py:AT_MIN""",
    "the world around the board: air, network, hands, protocols": """
        sim/chip/network.py:_RSSI_DBM sim/chip/pins.py:_DEFAULT_ADC_UV sim/chip/station.py:_PASSWORD_MIN
        sim/virtual/broker.py:BAN_US sim/virtual/broker.py:MINUTE_US sim/virtual/desk.py:SECOND_MS
        sim/virtual/link.py:RSSI_DBM sim/virtual/malformed.py:BIG_BYTES sim/virtual/mqtt_wire.py:MAX_LENGTH_BYTES
        sim/virtual/network.py:LATENCY_US sim/virtual/network.py:LOOKUP_US sim/virtual/servers.py:NTP_BYTES
        sim/virtual/servers.py:NTP_TO_UNIX_S sim/virtual/timeline.py:US_PER_MS sim/virtual/timeline.py:US_PER_S
        sim/virtual/world.py:BOUNCE_US sim/virtual/world.py:SERVICE_MS sim/virtual/world.py:TAP_MS""",
    "held against its origin below": """
        sim/chip/pins.py:_FULL_SCALE_UV sim/virtual/peripherals.py:PROOF_US""",
}


def typed(source: str) -> Iterator[str]:
    """Names of a module's and its classes' constants that have a unit, and are numbers and nothing else."""
    tree = ast.parse(source)
    bodies = [tree.body, *(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    for body in bodies:
        for statement in body:
            match statement:
                case ast.Assign(targets=[to], value=value) | ast.AnnAssign(target=to, value=ast.expr() as value):
                    pairs = _pairs(to, value)
                    yield from (name for name, figure in pairs if UNIT.search(name) and _is_number(figure))


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match target, value:
        case ast.Name(id=name), _:
            yield name, value
        case ast.Tuple(elts=names), ast.Tuple(elts=values):
            for one, figure in zip(names, values, strict=True):
                yield from _pairs(one, figure)


def _is_number(value: ast.expr) -> bool:
    """Made of numbers and names; 0 is where something begins to count."""
    nodes = list(ast.walk(value))
    allowed = (ast.Constant, ast.Name, ast.Tuple, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)
    numbers = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return all(isinstance(node, allowed) for node in nodes) and any(type(n) in (int, float) and n for n in numbers)


def modules() -> list[str]:
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [*(path.relative_to(ROOT).as_posix() for path in paths), FLASH]


def test_no_belief_is_typed() -> None:
    """Red for each figure that somebody types in the simulator, and for an entry above that is typed no more."""
    found = {f"{module}:{name}" for module in modules() for name in typed((ROOT / module).read_text("utf-8"))}
    excused = {entry for entries in NO_BELIEF.values() for entry in entries.split()}
    assert found == excused | {":".join(where) for where in SAYS_THE_SAME}


@pytest.mark.parametrize(
    "source",
    ["FLASH_US = 300", "A_MS: int = 3 * 1_000", "class Costs:\n    tls_us: tuple[int, int] = (300, 1_000)",
     "RETRY_MS, BAN_MS = 500, span('x')", "_BROKEN_SHARE = 0.25"],
)  # fmt: skip
def test_a_typed_figure_is_noticed(source: str) -> None:
    assert len(list(typed(source))) == 1


@pytest.mark.parametrize("source", ["A_US = us('x')", "B_MS = 0", "C_BYTES = of('page_bytes') * 2", "DARK = (1, 2)"])
def test_what_reads_the_file_is_none(source: str) -> None:
    assert not list(typed(source))


def test_the_costs_have_no_number_at_all() -> None:
    tree = ast.parse((ROOT / COSTS).read_text("utf-8"))
    numbers = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value not in (0, 1)
    ]
    assert [ast.unparse(node) for node in numbers] == []


@pytest.mark.parametrize("where", SAYS_THE_SAME, ids=":".join)
def test_the_chips_process_says_the_same(where: tuple[str, str]) -> None:
    module, name = where
    figure, factor = SAYS_THE_SAME[where]
    tree = ast.parse((ROOT / module).read_text("utf-8"))
    values = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets)
    ]
    assert values == [assumptions.load()[figure].value * factor]


def test_an_options_default_is_the_files_figure_or_quicker_than_any_chip() -> None:
    figures = assumptions.load()
    differing = {
        name: default
        for name, (default, _) in KEYS.items()
        if name in figures and default not in (0, figures[name].value)
    }
    assert differing == {}


def test_each_chip_has_its_counters() -> None:
    units = assumptions.load()["counter_units"]
    assert {chip: units.on(chip) for chip in CHIPS} == UNITS


def test_the_heaps_tables_take_what_the_file_says() -> None:
    assert assumptions.load()["gc_objects_of_128"].value * heaps._AREA == heaps._POOL * 128


def test_what_has_another_origin_agrees_with_it() -> None:
    proof_ms = re.search(r"^_PROOF_MS = (\d+)$", (ROOT / "hal/esp32_integrate.py").read_text("utf-8"), re.MULTILINE)
    assert proof_ms is not None and int(proof_ms[1]) * 1000 == PROOF_US
    assert ADC._FULL_SCALE_UV[-1] == assumptions.load()["adc_high_mv"].value * 1000


def test_the_first_area_of_an_own_image_is_what_its_board_says() -> None:
    said = (ROOT / "image/SOS_COLUMN_ESP32/mpconfigboard.cmake").read_text("utf-8")
    assert re.findall(r"^ +MICROPY_GC_INITIAL_HEAP_SIZE=(\d+)$", said, re.MULTILINE) == [
        str(assumptions.load()["gc_first_own_bytes"].on("esp32"))
    ]


def test_the_models_figures_are_the_files() -> None:
    figures = assumptions.load()
    assert figures["kept_clock_error_percent"].value * PPM_OF_A_PERCENT == Costs().kept_clock_error_ppm
    largest, first = (figures[f"{name}_bytes"].on("esp32") for name in ("idf_boot_largest", "gc_first"))
    assert largest - first == Costs().room.growth_bytes


def test_a_belief_is_yes_or_no() -> None:
    beliefs = [figure for figure in assumptions.load().values() if figure.unit == "yes/no"]
    assert beliefs and all(figure.range == (0, 1) and figure.value in (0, 1) for figure in beliefs)
