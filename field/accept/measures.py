"""What is measured of a board, by the name of the figure in hal/assumptions.toml that it is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from common import assumptions
from field.accept.bench import BITE_MS, Bench

BLOCKS = 24
RENAMES = 16
_PULLS = 2
_BITE_NEAR_MS = 500
EDGES_S = 60
EDGES_MAX_S = 3600
_PSRAM_LEAST_BYTES = 1 << 20
_SLICE_MS = 5000  # within which the agent's watchdog wants to be fed

Value = float | None  # None: this board or this inspection cannot tell


@dataclass(frozen=True)
class Wish:
    """What the technician asked for."""

    edges_s: float = EDGES_S
    server: tuple[str, int] | None = None
    wifi: tuple[str, str] = ("", "")
    jumper: tuple[int, int] | None = None  # a lead from one pin to another


@dataclass(frozen=True)
class Measure:
    """`take` gives some figures' values; `near`: by how much each may differ from the model's and still be the same."""

    near: dict[str, float]
    take: Callable[[Bench, Wish], dict[str, Value]]


def _one(name: str, near: float, call: str) -> Measure:
    return Measure({name: near}, lambda bench, wish: {name: bench.ask(call)})


def _heaps(bench: Bench, wish: Wish) -> dict[str, Value]:
    """ESP-IDF's heap as it was at the start: a second area of MicroPython's, as large as the first, came out of it."""
    gc_bytes, regions = bench.ask("heaps()")
    if any(largest >= _PSRAM_LEAST_BYTES for _, largest in regions):
        return {"psram_bytes": max(free for free, _ in regions)}
    first = assumptions.load()["gc_first_bytes"].on(bench.chip)
    largest = max(block for _, block in regions)
    second = first if gc_bytes > 1.5 * first else 0
    other = sum(free for free, _ in regions) - largest
    return {"idf_boot_largest_bytes": largest + second, "idf_boot_other_bytes": other}


def _counter_pulls_up(bench: Bench, wish: Wish) -> dict[str, Value]:
    pin = bench.spare("button")
    return {"counter_pulls_up": bench.ask(f"counter_pulls_up({pin})") if _held(bench, pin) == _PULLS else None}


def _pulls(bench: Bench, wish: Wish) -> dict[str, Value]:
    return {"pulls": _held(bench, bench.spare("button"))}


def _held(bench: Bench, pin: int) -> int:
    """How many of its pull resistors move a pin; fewer than _PULLS: something else does."""
    return (bench.ask(f"pull({pin}, True)") == 1) + (bench.ask(f"pull({pin}, False)") == 0)


def _integrator(bench: Bench, wish: Wish) -> dict[str, Value]:
    """The firmware's own, at a contact that a pull resistor closes: the reference is the chip's clock."""
    pin = bench.spare("button")
    if _held(bench, pin) < _PULLS:
        return {}
    pulse = bench.pins.get("pulse")
    found = bench.integrator(pin, bench.spare("pulse", pin) if pulse is None else pulse)
    latched_ms, pulse_hz = found or (None, None)
    return {"integrator_ms": latched_ms, "pulse_hz": pulse_hz}


def _jumper(bench: Bench, wish: Wish) -> dict[str, Value]:
    """What takes an edge from outside. Raises BoardError where there is no such lead."""
    if wish.jumper is None:
        return {}
    pair = bench.led(*wish.jumper)
    return {"wake_us": bench.ask(f"edge_wakes{pair}"), "counter_filter_us": bench.ask(f"counter_filter{pair}")}


def _adc(bench: Bench, wish: Wish) -> dict[str, Value]:
    pin = bench.spare("supply")
    return {"adc_low_mv": bench.ask(f"adc({pin}, False)"), "adc_high_mv": bench.ask(f"adc({pin}, True)")}


def _lamp_pins(bench: Bench, wish: Wish) -> dict[str, Value]:
    lamp = [bench.pins[f"lamp_{colour}"] for colour in ("red", "green", "blue")]
    return {"lamp_pins": bench.ask(f"outputs({lamp!r})")}


def _flash(bench: Bench, wish: Wish) -> dict[str, Value]:
    program_us, erase_us, worst_us = bench.ask(f"flash({BLOCKS})")
    return {"erase_us": erase_us, "program_us": program_us, "flash_tail_ms": worst_us / 1000}


def _renames(bench: Bench, wish: Wish) -> dict[str, Value]:
    mostly_us, worst_us = bench.ask(f"renames({RENAMES})")
    return {"rename_ms": mostly_us / 1000, "rename_tail_ms": worst_us / 1000}


def _false_edges(bench: Bench, wish: Wish) -> dict[str, Value]:
    found, left_ms = 0, round(wish.edges_s * 1000)
    while left_ms > 0:
        for_ms = min(left_ms, _SLICE_MS)
        found += bench.ask(f"edges({bench.pins['button']}, {bench.active_low}, {for_ms})")
        left_ms -= for_ms
    return {"false_edges": found * 60 / wish.edges_s}


def _tls(bench: Bench, wish: Wish) -> dict[str, Value]:
    if wish.server is None:
        return {}
    (host, port), (ssid, password) = wish.server, wish.wifi
    found = bench.ask(f"handshake({ssid!r}, {password!r}, {host!r}, {port})")
    return dict(zip(_OF_A_SESSION, found, strict=True))


def _soft_reset(bench: Bench, wish: Wish) -> dict[str, Value]:
    with bench.pattern() as is_kept:
        bench.soft_reset()
        return {"rtc_kept_soft": is_kept(), "cause_soft": bench.ask("cause()")}


def _hard_reset(bench: Bench, wish: Wish) -> dict[str, Value]:
    with bench.pattern() as is_kept:
        bench.restart()
        return {"rtc_kept_hard": is_kept(), "cause_hard": bench.ask("cause()")}


def _watchdog(bench: Bench, wish: Wish) -> dict[str, Value]:
    """A laptop that is busy counts too long, never too short: of two counts the shorter is the board's."""
    with bench.pattern() as is_kept:
        bite_ms = bench.starve()
        if bite_ms > BITE_MS + _BITE_NEAR_MS:
            bite_ms = min(bite_ms, bench.starve())
        return {"watchdog_2s_ms": bite_ms, "rtc_kept_watchdog": is_kept(), "cause_watchdog": bench.ask("cause()")}


# What a server and a Wi-Fi are needed for, in the order in which the board tells it.
_OF_A_SESSION: dict[str, float] = {
    "tls_fits": 0,
    "tls_ms": 300,
    "wifi_join_bytes": 1024,
    "tcp_socket_bytes": 1536,
    "tls_session_bytes": 1024,
    "tls_handshake_bytes": 3072,
}

# The longest write is the worst of a few dozens: one that is twice as long is the same, as far as that can tell.
# In this order: the clock is watched from the start of the bench to the first reset, the longer the better.
MEASURES: tuple[Measure, ...] = (
    Measure({"wake_us": 2000, "counter_filter_us": 2}, _jumper),
    Measure({"idf_boot_largest_bytes": 8192, "idf_boot_other_bytes": 8192, "psram_bytes": 262_144}, _heaps),
    _one("tick_ms", 1.5, "tick()"),
    _one("sleep_floor_ms", 2, "short_sleep()"),
    _one("timer_late_ms", 4, "timer_late()"),
    Measure({"pulls": 0}, _pulls),
    Measure({"counter_pulls_up": 0}, _counter_pulls_up),
    Measure({"integrator_ms": 4, "pulse_hz": 25}, _integrator),
    Measure({"adc_low_mv": 100, "adc_high_mv": 100}, _adc),
    Measure({"lamp_pins": 0}, _lamp_pins),
    _one("fs_bytes", 0, "fs_bytes()"),
    Measure({"erase_us": 15000, "program_us": 600, "flash_tail_ms": 400}, _flash),
    Measure({"rename_ms": 10, "rename_tail_ms": 400}, _renames),
    _one("rtc_bytes", 0, "rtc_capacity()"),
    Measure({"false_edges": 0}, _false_edges),
    Measure({"drift_ppm": 200}, lambda bench, wish: {"drift_ppm": bench.drift_ppm()}),
    _one("wifi_init_bytes", 2048, "wifi()"),
    Measure(_OF_A_SESSION, _tls),
    Measure({"rtc_kept_soft": 0, "cause_soft": 0}, _soft_reset),
    Measure({"rtc_kept_hard": 0, "cause_hard": 0}, _hard_reset),
    Measure({"watchdog_2s_ms": _BITE_NEAR_MS, "rtc_kept_watchdog": 0, "cause_watchdog": 0}, _watchdog),
)
NEAR = {name: near for measure in MEASURES for name, near in measure.near.items()}


def inspect(bench: Bench, wish: Wish, known: set[str]) -> Iterator[dict[str, Value]]:
    """Measure by measure, what each found; one whose figures nobody knows is left out."""
    for measure in MEASURES:
        if known & set(measure.near):
            yield {name: value for name, value in measure.take(bench, wish).items() if name in known}
