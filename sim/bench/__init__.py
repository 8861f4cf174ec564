"""`make bench`: figures of the firmware, side by side with stock umqtt.simple, in one run and without any judgement.

Nothing here passes or fails by a time: the ratios against a named peer in the same run are what can be compared.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from common.home import COLUMN_COMMAND
from tools import toolbox

EXIT_FAILED = 1


def main(argv: list[str]) -> int:
    """`python -m sim bench [options]`; returns the exit status."""
    from sim.bench import report
    from sim.bench.rig import ColumnFailed

    arguments = _parser(report.SECTIONS).parse_args(argv)
    try:
        results = run(arguments)
    except toolbox.ToolMissing as error:
        return toolbox.missing(error)
    except (ColumnFailed, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    if arguments.json:
        print(json.dumps(results, ensure_ascii=False, indent=1))
    else:
        report.show(results)
    return 0


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All sections that were asked for, by name. Raises ToolMissing, ColumnFailed or TimeoutError."""
    from sim.bench import debounce, flood, latency, memory, proof, recovery, rig, speed

    for tool in ("umqtt", "micropython", "micropython32", "mosquitto"):
        toolbox.require(tool)
    with rig.Workbench() as workbench:
        sections: dict[str, Callable[[], Any]] = {
            "debounce": lambda: list(debounce.measure(arguments.contacts)),
            "virtual_time": lambda: speed.virtual_time(arguments.seconds),
            "sizes": speed.sizes,
            "latency": lambda: list(latency.measure(workbench, arguments.presses)),
            "recovery": lambda: list(recovery.measure(workbench, arguments.rounds, rig.robust_library())),
            "proof": proof.measure,
            "media": lambda: _media(arguments.clicks),
            "flood": lambda: list(flood.measure(workbench, arguments.flood, arguments.flood_seconds)),
            "memory": lambda: memory.measure(workbench, arguments.alarms, arguments.chip_alarms),
        }
        results: dict[str, Any] = {"machine": f"{platform.platform()}, Python {platform.python_version()}"}
        for name, measure in sections.items():
            if name in arguments.only:
                started_s = time.monotonic()
                print(f"bench: {name} ...", end="", file=sys.stderr, flush=True)
                results[name] = measure()
                print(f" {time.monotonic() - started_s:.0f} s", file=sys.stderr, flush=True)
    return results


def _media(clicks: int) -> Any:
    """Needs what only cameras at the desk need: requirements/live.in, GStreamer, baresip, and a browser."""
    for tool in ("gstreamer", "baresip", "chromium"):
        toolbox.require(tool)
    from sim.bench import media

    return media.measure(clicks)


def _parser(sections: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog=f"{COLUMN_COMMAND} bench", description=(__doc__ or "").partition(": ")[2]
    )
    add = parser.add_argument
    add("--presses", type=_count, default=100, metavar="N", help="of each latency row (default: %(default)s)")
    add("--rounds", type=_count, default=15, metavar="N", help="broker outages (default: %(default)s)")
    add(
        "--alarms",
        type=_count,
        default=10_000,
        metavar="N",
        help="over which the heap is watched (default: %(default)s)",
    )
    add("--clicks", type=_count, default=20, metavar="N", help="on a picture (default: %(default)s)")
    add("--contacts", type=_count, default=2000, metavar="N", help="for each debouncer (default: %(default)s)")
    add("--chip-alarms", type=_count, default=100, metavar="N", help="on each chip (default: %(default)s)")
    add("--flood", type=_count, default=8000, metavar="N", help="messages a second of a column (default: %(default)s)")
    add("--flood-seconds", type=float, default=4.0, metavar="S", help="of each flood (default: %(default)s)")
    add("--seconds", type=float, default=4.0, metavar="S", help="of each pace of virtual time (default: %(default)s)")
    add("--only", nargs="+", choices=sections, default=sections, metavar="SECTION", help=", ".join(sections))
    add("--json", action="store_true", help="JSON instead of tables")
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"found {text!r}, must be a number from 1 on")
    return int(text)
