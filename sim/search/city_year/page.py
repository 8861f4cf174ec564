"""The report of a year as one page, with a picture: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from desk.upkeep import picture
from desk.upkeep.life import CAUSES
from sim.search.city_year.city import BEGIN_MS, City
from sim.search.city_year.failures import KINDS
from sim.search.city_year.verdict import RIGHT_MIN, Verdict

STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 1140px; margin: 1.5rem auto; padding: 0 1rem; color: #232d37 }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #d3d9df; text-align: left }
td.n { text-align: right; font-variant-numeric: tabular-nums }
.good { color: #19603a } .bad { color: #a11318 }
svg { width: 100%; height: auto }
"""


def page(city: City, verdict: Verdict) -> str:
    """The whole document."""
    wrong = verdict.complaints()
    said = "".join(f'<li class="bad">{escape(one)}</li>' for one in wrong) or '<li class="good">all promises kept</li>'
    minutes = verdict.minutes
    total = sum(minutes[name] for name in ("proven", "presumed", "down", "none"))
    figures = [
        ("minutes without a state", f"{minutes['none']}"),
        ("availability: proven minutes", _percent(minutes["proven"], total)),
        ("presumed to work", _percent(minutes["presumed"], total)),
        ("out of order", _percent(minutes["down"], total)),
        ("causes right", f"{100 * verdict.share:.1f} % of {len(verdict.found)} (wanted: {100 * RIGHT_MIN:.0f} %)"),
        ("work orders closed, still open", f"{verdict.orders[0]}, {verdict.orders[1]}"),
        ("causes revised by later evidence", f"{verdict.corrections}"),
        ("heartbeats heard, lost while the desk listened", f"{verdict.heard.heartbeats}, {verdict.heard.lost}"),
        ("restarts, and known to the desk", f"{verdict.restarts}, {verdict.heard.restarts}"),
    ]
    strips = picture.strips(verdict.lives, BEGIN_MS, {}, title="a strip for each column, a stroke for each day")
    return "\n".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>A year of a city</title>',
            f"<style>{STYLE}</style><h1>{len(city.columns)} columns, {city.days} days, seed {city.seed}</h1>",
            f"<ul>{said}</ul>",
            _table(("", ""), figures),
            "<h2>How the columns lived</h2>",
            strips,
            "<h2>What was injected, and what the desk made of it</h2>",
            _kinds(verdict),
            "<h2>Mean time to repair</h2>",
            _table(("cause", "hours", "orders"), [
                (cause, f"{one['mean_ms'] / 3_600_000:.1f}", f"{one['n']}") for cause in CAUSES
                if (one := verdict.repair.get(cause))
            ]),
            "<p>The desk is the real one: its duty, rules and register, in virtual time. The columns are models of what"
            " the firmware says; who answered a drill is judged by the firmware's own code. A heartbeat comes every 15"
            " minutes here, not every 30 seconds. No two failures of one column overlap.</p></html>",
        ]
    )  # fmt: skip


def _kinds(verdict: Verdict) -> str:
    rows = []
    for kind, (count, right, others) in verdict.by_kind().items():
        thought = ", ".join(f"{cause}: {number}" for cause, number in others.most_common())
        rows.append((kind, KINDS[kind].cause, str(count), str(right), thought))
    return _table(("happened", "cause", "times", "right", "otherwise"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>{''.join(f'<td class=n>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"
