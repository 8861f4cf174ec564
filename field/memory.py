"""Is there room in a board's memory for a column? A board that has too little of it loses its session one day.

MicroPython's heap grows out of the one that Wi-Fi, Ethernet, TLS and threads live in. What those take is in
hal/assumptions.toml; what the board has is measured on it.
"""

from collections.abc import Mapping
from typing import Any

from common.assumptions import load
from field.words import Trouble
from firmware import VERSION

COLUMN_BYTES = 104 * 1024  # of MicroPython's heap: the firmware from .mpy files, and what it works with
IN_PLACE_BYTES = 54 * 1024  # the same, with the code in the image
SPARE_BYTES = 8 * 1024
_AREA = 128  # of so many bytes of MicroPython's heap gc_objects_of_128 hold objects
_WITH_TLS = ("tls_context_bytes", "tls_session_bytes", "tls_handshake_bytes")
_ALWAYS = ("tcp_socket_bytes", "thread_bytes")
_LINKS = {"wifi": ("wifi_init_bytes", "wifi_join_bytes"), "ethernet": ("ethernet_bytes",)}


def needed_bytes(document: Mapping[str, Any], chip: str) -> int:
    """Of the system's heap at the worst moment, the handshake of a column with that configuration."""
    figures = load()
    link = _LINKS.get((document.get("link") or {}).get("type", "wifi"), ())
    tls = _WITH_TLS if (document.get("broker") or {}).get("tls") else ()
    return SPARE_BYTES + sum(int(figures[name].on(chip)) for name in (*link, *tls, *_ALWAYS))


def left_bytes(survey: Mapping[str, Any]) -> int:
    """What the system's heap has when MicroPython's has grown as far as a column needs it."""
    left, pool = sum(free for _, free, _, _ in survey["idf_heap"]), int(survey["gc_bytes"])
    objects = int(load()["gc_objects_of_128"].value)
    while pool < (IN_PLACE_BYTES if survey["frozen"] == VERSION else COLUMN_BYTES):
        left -= pool * _AREA // objects
        pool *= 2
    return left


def complaint(survey: Mapping[str, Any], document: Mapping[str, Any], chip: str) -> Trouble | None:
    """Why a column does not fit, and what to do; None if it does."""
    needed, left = needed_bytes(document, chip), left_bytes(survey)
    if left >= needed:
        return None
    return Trouble("flash.little-memory", left=max(0, left), needed=needed)
