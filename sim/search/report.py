"""What the campaign found, as tables for a reader and as a document for a machine."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from sim.search.findings import Control, Findings

WIDTH = 120
DAY_S = 86_400
YEAR_DAYS = 365
FAULT_COLUMNS = 3  # kinds of faults beside each other


class Campaign(NamedTuple):
    """`failed`: part -> why it has no findings. `controls`: those of all parts that could be asked."""

    seed: int
    control: str | None
    wall_s: float
    findings: dict[str, Findings]
    failed: dict[str, str]
    controls: dict[str, dict[str, Control]]
    interrupted: bool

    @property
    def violations(self) -> int:
        return sum(len(one.violations) for one in self.findings.values())

    @property
    def unfired(self) -> list[str]:
        return [] if self.control else [kind for one in self.findings.values() for kind in one.unfired]

    @property
    def is_red(self) -> bool:
        return bool(self.violations or self.unfired or self.failed)


def show(campaign: Campaign) -> None:
    """Print the tables, the violations and the verdict."""
    console = Console(width=WIDTH, highlight=False)
    for table in _tables(campaign):
        console.print(table)
        console.print()
    for part, why in campaign.failed.items():
        console.print(f"[bold red]{part} did not come to its end:[/] ", end="")
        console.print(why, markup=False)
    for one in campaign.findings.values():
        for violation in one.violations:
            console.print(f"[bold red]violation:[/] {one.title}: ", end="")
            console.print(f"{violation.text}\n  {violation.replay}", markup=False, soft_wrap=True)
    console.print(verdict(campaign), markup=False)


def verdict(campaign: Campaign) -> str:
    """The last line."""
    interrupted = "Interrupted: the report so far. " if campaign.interrupted else ""
    if campaign.control is not None:
        if campaign.violations:
            return f"{interrupted}The control {campaign.control} was caught, as it has to be: exit status 1."
        return (
            f"{interrupted}The control {campaign.control} was NOT caught: exit status 0, and the search is blind to it."
        )
    if not campaign.is_red:
        return f"{interrupted}Every promise was kept."
    wrong = [f"{campaign.violations} violation(s)"] if campaign.violations else []
    if campaign.unfired:
        wrong.append(f"faults that never fired: {', '.join(campaign.unfired)}")
    if campaign.failed:
        wrong.append(f"parts without a result: {', '.join(campaign.failed)}")
    return f"{interrupted}{'; '.join(wrong)}."


def document(campaign: Campaign) -> dict[str, Any]:
    """The same for `--json`."""
    return {
        "seed": campaign.seed,
        "control": campaign.control,
        "wall_s": round(campaign.wall_s, 1),
        "interrupted": campaign.interrupted,
        "verdict": verdict(campaign),
        "parts": {part: _part(one) for part, one in campaign.findings.items()},
        "failed": campaign.failed,
        "controls": {
            part: {name: control._asdict() for name, control in controls.items()}
            for part, controls in campaign.controls.items()
        },
    }


def save(campaign: Campaign, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(campaign), indent=2, ensure_ascii=False) + "\n")


def _part(one: Findings) -> dict[str, Any]:
    return {
        "title": one.title,
        "runs": one.runs,
        "simulated_s": round(one.simulated_s, 3),
        "wall_s": round(one.wall_s, 3),
        "invariants": list(one.invariants),
        "checks": dict(sorted(one.checks.items())),
        "fired": dict(sorted(one.fired.items())),
        "unfired": one.unfired,
        "figures": one.figures,
        "violations": [violation._asdict() for violation in one.violations],
    }


# -- tables


def _tables(campaign: Campaign) -> Iterator[Table]:
    yield _summary(campaign)
    for one in campaign.findings.values():
        if one.figures:
            yield _pairs(one.title, one.figures)
    if fired := _fired(campaign):
        yield fired
    yield _invariants(campaign)
    for one in campaign.findings.values():
        yield from one.tables
    if campaign.control is None:
        yield _controls(campaign.controls)


def _table(title: str, *columns: str, figures: tuple[str, ...] = ()) -> Table:
    """Words to the left, figures to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in figures else "left")
    return table


def _summary(campaign: Campaign) -> Table:
    figures = ("runs", "simulated", "wall", "x real time", "faults fired", "checks", "violations")
    table = _table(f"Campaign, seed {campaign.seed}", "part", *figures, figures=figures)
    parts = list(campaign.findings.values())
    for one in parts:
        checks = f"{sum(one.checks.values()):,}" if one.checks else "-"
        cells = (_duration(one.simulated_s), clock(one.wall_s), _speed(one.simulated_s, one.wall_s))
        fired, violations = f"{sum(one.fired.values()):,}", str(len(one.violations))
        table.add_row(one.title, f"{one.runs:,}", *cells, fired, checks, violations)
    if len(parts) > 1:
        simulated_s = sum(one.simulated_s for one in parts)
        cells = (_duration(simulated_s), clock(campaign.wall_s), _speed(simulated_s, campaign.wall_s))
        fired = f"{sum(one.fired.total() for one in parts):,}"
        checks = f"{sum(one.checks.total() for one in parts):,}"
        runs = f"{sum(one.runs for one in parts):,}"
        table.add_row("all", runs, *cells, fired, checks, str(campaign.violations), style="bold")
    return table


def _pairs(title: str, pairs: Mapping[str, str]) -> Table:
    table = _table(title, "", "")
    table.show_header = False
    for name, text in pairs.items():
        table.add_row(name, text)
    return table


def _fired(campaign: Campaign) -> Table | None:
    """Every kind with how often it fired; a kind that had to and did not has a 0."""
    counts: dict[str, int] = {}
    for one in campaign.findings.values():
        for kind in one.kinds.union(+one.fired):
            counts[kind] = counts.get(kind, 0) + one.fired[kind]
    if not counts:
        return None
    titles = [title for _ in range(FAULT_COLUMNS) for title in ("fault", "fired")]
    table = _table(f"Faults that took effect: {len(counts)} kinds", *titles, figures=("fired",))
    rows = sorted(counts.items())
    height = -(-len(rows) // FAULT_COLUMNS)
    for row in range(height):
        table.add_row(
            *(cell for kind, count in rows[row::height] for cell in (kind, f"{count:,}" if count else "[red]0[/]"))
        )
    return table


def _invariants(campaign: Campaign) -> Table:
    table = _table("What was checked", "part", "invariant", "checks", "violations", figures=("checks", "violations"))
    for one in campaign.findings.values():
        broken = [violation.text for violation in one.violations]
        for name in one.invariants:
            count = one.checks[name]
            wrong = sum(text.startswith(name) for text in broken)
            table.add_row(one.title, name, f"{count:,}" if count else "-", str(wrong))
    return table


def _controls(parts: Mapping[str, Mapping[str, Control]]) -> Table:
    title = "Negative controls: each makes `make campaign CONTROL=name` red"
    table = _table(title, "part", "name", "what it breaks", "caught by")
    for part, controls in parts.items():
        for name, control in controls.items():
            table.add_row(part, name, control.breaks, control.caught_by)
    return table


# -- figures


def _duration(seconds: float) -> str:
    days = seconds / DAY_S
    if days >= YEAR_DAYS:
        return f"{days / YEAR_DAYS:,.2f} years"
    return f"{days:,.1f} days" if days >= 1 else f"{seconds:,.0f} s"


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _speed(simulated_s: float, wall_s: float) -> str:
    return f"{simulated_s / wall_s:,.0f}" if wall_s > 0 and simulated_s else "-"
