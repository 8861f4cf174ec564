"""A year of every column as one picture: a strip for each, a stroke for each day. Pure; the same in the desk's page and
in the report of a simulated year."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from html import escape

from desk.upkeep.life import CAUSES, CODES, PRESUMED, PROVEN

DAY_MINUTES = 24 * 60
WIDTH, LEFT, ROW, GAP, HEAD = 1100, 150, 22, 6, 28  # pixels
COLOURS = {
    "": "#ff00ff", PROVEN: "#2f9e62", PRESUMED: "#b9c2ca", "supply": "#e0a100", "link": "#2b6fc2", "broker": "#6a3fb5",
    "desk": "#101418", "camera": "#00a0a8", "firmware": "#c4161c", "vandalism": "#e0559a", "works": "#8a5a2b",
    "maintenance": "#5c6670", "unknown": "#ff7a1a",
}  # fmt: skip
"""None of them stands alone: the legend names them, and each stroke has a title."""


def strips(
    lives: Mapping[str, bytes], from_ms: int, words: Mapping[str, str], zone: tzinfo = UTC, title: str = ""
) -> str:
    """An SVG document. `lives`: each column's minutes (see life.minutes) from `from_ms` on; `words`: of states and
    causes."""
    days = max((len(life) for life in lives.values()), default=0) // DAY_MINUTES + 1
    height = HEAD + len(lives) * (ROW + GAP) + 3 * ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-family="sans-serif"'
        f' font-size="12"><title>{escape(title)}</title><rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    ]
    parts += _months(days, from_ms, zone, height - 3 * ROW)
    for number, (name, life) in enumerate(lives.items()):
        parts.append(_strip(name, life, HEAD + number * (ROW + GAP), days))
    parts += _legend(words, height - 2 * ROW)
    return "".join([*parts, "</svg>\n"])


def _strip(name: str, life: bytes, top: int, days: int) -> str:
    """Each day is a bar of its states, the worst below: an hour a day is seen, and a week of it too."""
    wide = (WIDTH - LEFT) / days
    drawn = [f'<text x="4" y="{top + ROW - 6}" fill="#232d37">{escape(name[:20])}</text>']
    begins = len(life) - len(life.lstrip(b"\0"))  # before it was there, nothing is drawn
    for day in range(days):
        part = life[max(begins, day * DAY_MINUTES) : (day + 1) * DAY_MINUTES]
        left, y = LEFT + day * wide, float(top)
        for code, minutes in _shares(part):
            tall = ROW * minutes / DAY_MINUTES
            colour = COLOURS[CODES[code]]
            drawn.append(
                f'<rect x="{left:.2f}" y="{y:.2f}" width="{wide + 0.05:.2f}" height="{tall:.2f}" fill="{colour}"/>'
            )
            y += tall
    return "".join(drawn)


def _shares(part: bytes) -> Sequence[tuple[int, int]]:
    """(code, minutes), the proven ones first: it is drawn from above."""
    order = [CODES.index(PROVEN), CODES.index(PRESUMED), *(CODES.index(cause) for cause in CAUSES), 0]
    return [(code, count) for code in order if (count := part.count(code))]


def _months(days: int, from_ms: int, zone: tzinfo, bottom: int) -> Iterable[str]:
    start = datetime.fromtimestamp(from_ms / 1000, zone)
    for day in range(days):
        at = start + timedelta(days=day)
        if at.day == 1 or day == 0:
            x = LEFT + (WIDTH - LEFT) * day / days
            yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEAD - 6}" y2="{bottom}" stroke="#d3d9df"/>'
            yield f'<text x="{x + 2:.1f}" y="{HEAD - 10}" fill="#515d69">{at:%m}</text>'


def _legend(words: Mapping[str, str], top: int) -> Iterable[str]:
    names = [PROVEN, PRESUMED, *CAUSES]
    for number, name in enumerate(names):
        x, y = LEFT + number % 6 * 155, top + number // 6 * ROW
        yield f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{COLOURS[name]}"/>'
        yield f'<text x="{x + 17}" y="{y}" fill="#232d37">{escape(words.get(name, name))}</text>'
