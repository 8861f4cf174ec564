"""`python -m sim city`: a year of a city's columns at a real desk, in virtual time. Ends with status 1 when a minute
has no state, too few causes are right, or a wrong receiver or address was not found at the first drill."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from common.arguments import described
from sim.search.city_year.city import COLUMNS, City
from sim.search.city_year.controls import CONTROLS, broken
from sim.search.city_year.page import page
from sim.search.city_year.verdict import Verdict, judge, summary

YEAR_DAYS = 365


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="python -m sim city", description=described(__doc__)
    )
    add = parser.add_argument
    add("--days", type=int, default=YEAR_DAYS, help="(default: %(default)s)")
    add("--seed", type=int, default=1, help="(default: %(default)s)")
    add("--columns", type=int, default=COLUMNS, help="(default: %(default)s)")
    add("--out", type=Path, default=Path("build/city"), help="where the report goes (default: %(default)s)")
    add("--control", choices=sorted(CONTROLS), help="a desk or a column that is broken on purpose: has to end red")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="sos-city-") as folder, broken(arguments.control):
        city, verdict = live(Path(folder), arguments.seed, arguments.days, arguments.columns)
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "report.html").write_text(page(city, verdict), "utf-8")
        print(json.dumps(summary(city, verdict), indent=1))
    for complaint in verdict.complaints():
        print(f"BROKEN: {complaint}", file=sys.stderr)
    print(f"report: {arguments.out / 'report.html'}")
    return 1 if verdict.complaints() else 0


def live(folder: Path, seed: int, days: int, columns: int = COLUMNS) -> tuple[City, Verdict]:
    """One city's time, and what the desk knew of it."""
    with City(folder, seed, days, columns) as city:
        city.perform()
        return city, judge(city)
