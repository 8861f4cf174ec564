"""A picture of what a contact did, of block characters: one row for all of it, one for its first closing, enlarged."""

from __future__ import annotations

from collections.abc import Sequence

OPEN, CLOSED, BOTH = "▁", "█", "▒"
WIDTH = 60
ZOOM_MS = 60
BEFORE_MS = 5  # of the enlarged picture, before the contact closes

Sample = Sequence[int]  # [ms, closed, closing edges since the sample before]


def picture(samples: Sequence[Sample], lasts_ms: int) -> list[tuple[int, int, str]]:
    """(from ms, to ms, row) for all of it and, if the contact ever closed, for its first closing."""
    if not samples:
        return []
    rows = [(0, lasts_ms, row(samples, 0, lasts_ms))]
    first = next((at for at, closed, edges in samples[1:] if closed or edges), None)
    if first is not None:
        start = max(0, min(first - BEFORE_MS, lasts_ms - ZOOM_MS))
        rows.append((start, start + ZOOM_MS, row(samples, start, start + ZOOM_MS)))
    return rows


def row(samples: Sequence[Sample], from_ms: int, to_ms: int, width: int = WIDTH) -> str:
    """One character for each share of the time: open, closed, or both within it."""
    cells = []
    for number in range(width):
        start = from_ms + (to_ms - from_ms) * number // width
        end = from_ms + (to_ms - from_ms) * (number + 1) // width
        cells.append(_cell(samples, start, end))
    return "".join(cells)


def _cell(samples: Sequence[Sample], start_ms: int, end_ms: int) -> str:
    seen = {bool(samples[0][1])}
    for at, closed, edges in samples:
        if at >= end_ms:
            break
        if at <= start_ms:
            seen = set()  # what was before is over
        seen.add(bool(closed))
        if at >= start_ms and edges > closed:  # closed and open again between two looks
            seen |= {True, False}
    return BOTH if len(seen) == 2 else CLOSED if True in seen else OPEN
