"""What a simulated chip is told of its two heaps, from hal/assumptions.toml."""

from collections.abc import Mapping
from typing import Any

from common.assumptions import load

# What sim/chip asks for: figure, and the figure of the largest block in it (None: small ones).
_PRICES = {
    "wifi_init": None,
    "wifi_join": None,
    "ethernet": None,
    "tls_context": None,
    "tls_session": "tls_block_bytes",
    "tls_handshake": None,
    "tcp_socket": None,
    "udp_socket": None,
    "thread": "thread_bytes",
}


def figures_of(
    chip: str,
    *,
    psram: bool,
    heap_bytes: int | None,
    simulators_bytes: int | None,
    in_place: bool = False,
    figures: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """What sim/chip/heaps.py takes.

    `psram`: MicroPython's heap lies there. `heap_bytes`: it has that size, as in an image of one's own; None = without
    PSRAM it grows like a stock image's. `simulators_bytes`: of the interpreter's heap, see sim/chip/build.py; None =
    its objects are not the chip's, so the heap counts as grown once, and grows no further. `in_place`: the image is
    one of our own, with a first area of its size.
    `figures`: by name, instead of those in hal/assumptions.toml.
    """
    values = {name: figure.on(chip) for name, figure in load().items()} | dict(figures or {})

    def of(name: str) -> int:
        return int(values[name])

    first, biggest, rest, fragment = (
        of(f"{name}_bytes") for name in ("gc_first", "idf_boot_largest", "idf_boot_other", "idf_fragment")
    )
    if in_place:
        biggest += first - of("gc_first_own_bytes")
        first = of("gc_first_own_bytes")
    regions = [fragment] * (rest // fragment) + ([rest % fragment] if rest % fragment else [])
    grows = not psram and heap_bytes is None and simulators_bytes is not None
    if psram:
        biggest += first
    elif heap_bytes is not None:
        biggest += first - heap_bytes
    elif not grows:
        biggest -= first
    regions = sorted([*regions, max(0, biggest)]) + ([of("psram_bytes")] if psram else [])
    return {
        "regions": regions,
        "prices": {what: [of(f"{what}_bytes"), of(block or "wifi_buffer_bytes")] for what, block in _PRICES.items()},
        "first": first if grows else 0,
        "simulators": simulators_bytes or 0,
    }


def most_bytes(told: Mapping[str, Any]) -> int:
    """All that a heap that grows could ever take."""
    return int(told["first"]) + int(sum(told["regions"]))
