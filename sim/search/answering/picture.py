"""The report of a year as a page with pictures: how soon somebody accepted, how far a call climbed, each month."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sim.search.answering.city import DAY_S, City
from sim.search.answering.promises import Judge
from sim.virtual.timeline import US_PER_S

WITHIN_S = (5, 10, 15, 30, 60, 120, 300, 900, 3600)
TARGET_S, TARGET_SHARE = 15, 0.9
MONTH_S = 30 * DAY_S
BAR_PX, WIDTH_PX = 22, 420
STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "svg{display:block;margin:.5rem 0 1.5rem}td,th{padding:.1rem .8rem .1rem 0;text-align:left}"
)


def write(path: Path, cities: list[City], judges: list[Judge]) -> None:
    """Put the page there."""
    calls = [call for city in cities for call in city.calls.values()]
    waits = [None if one.accepted_us is None else (one.accepted_us - one.at_us) / US_PER_S for one in calls]
    known = [wait for wait in waits if wait is not None]
    good = sum(wait <= TARGET_S for wait in known) / len(calls) if calls else 0.0
    steps = Counter(step for one in calls for step, told in one.told.items() if told)
    steps["nobody beyond the desks"] = sum(not any(one.told.values()) for one in calls)
    months = Counter(int(one.at_us / US_PER_S // MONTH_S) + 1 for one in calls)
    late = Counter(
        int(one.at_us / US_PER_S // MONTH_S) + 1
        for one, wait in zip(calls, waits, strict=True)
        if wait is None or wait > TARGET_S
    )
    violations = [line for judge in judges for line in judge.violations]
    fired = sum((Counter(city.fired) for city in cities), Counter[str]())
    parts = [
        f"<h1>Who answers: {len(calls)} calls in {sum(city.days for city in cities)} days</h1>",
        f"<p>Seeds {', '.join(str(city.seed) for city in cities)}. Accepted within {TARGET_S} s: {good:.1%} "
        f"(target {TARGET_SHARE:.0%}; the operators of this city are made to fail). "
        f"Calls that walked the whole ladder: {sum(judge.walked for judge in judges)}. "
        f"Broken promises: {len(violations)}.</p>",
        *(f"<p><b>{html.escape(line)}</b></p>" for line in violations),
        "<h2>Accepted within</h2>",
        _bars(_within(known)),
        "<h2>Who was told</h2>",
        _bars(sorted(steps.items())),
        f"<h2>Calls of each month, and those that waited for longer than {TARGET_S} s</h2>",
        _bars(
            [(f"month {month}", months[month]) for month in sorted(months)], late=[late[one] for one in sorted(months)]
        ),
        "<h2>What happened</h2><table>",
        *(f"<tr><td>{html.escape(kind)}</td><td>{count}</td></tr>" for kind, count in sorted(fired.items())),
        "</table>",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Who answers</title><style>{STYLE}</style>'
    path.write_text(head + "\n".join(parts) + "</html>\n", "utf-8")


def _within(waits: list[float]) -> list[tuple[str, int]]:
    edges = (0, *WITHIN_S)
    found = [
        (f"{low} to {high} s", sum(low < wait <= high for wait in waits))
        for low, high in zip(edges, edges[1:], strict=False)
    ]
    return [*found, (f"later than {WITHIN_S[-1]} s", sum(wait > WITHIN_S[-1] for wait in waits))]


def _bars(rows: Iterable[tuple[str, int]], late: list[int] | None = None) -> str:
    """A picture: a bar for each row; `late`: the part of each that is marked."""
    rows = list(rows)
    most = max((count for _, count in rows), default=0) or 1
    lines = []
    for number, (name, count) in enumerate(rows):
        y = number * BAR_PX
        marked = late[number] if late is not None else 0
        lines.append(
            f'<text x="0" y="{y + 15}">{html.escape(name)}</text>'
            f'<rect x="190" y="{y + 3}" width="{count / most * WIDTH_PX:.1f}" height="15" fill="#2f7fbf"/>'
            f'<rect x="190" y="{y + 3}" width="{marked / most * WIDTH_PX:.1f}" height="15" fill="#c4161c"/>'
            f'<text x="{195 + count / most * WIDTH_PX:.1f}" y="{y + 15}">{count}</text>'
        )
    height = len(rows) * BAR_PX
    return f'<svg width="{190 + WIDTH_PX + 60}" height="{height}" font-size="13" role="img">{"".join(lines)}</svg>'
