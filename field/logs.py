"""`make logs PORT=...`: what a column has written down: why it restarted last, its faults, its journal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from field.console import EXIT_FAILED, Console, ConsoleError


def text(logs: dict[str, Any]) -> Iterator[str]:
    """The answer to `logs`, for people."""
    reset = logs["reset"]
    culprit = f", while {reset['culprit']} ran" if reset["culprit"] else ""
    yield f"boot {reset['boot']} began with a reset: {reset['cause']}{culprit}"
    yield from (f"  {line}" for line in logs.get("traceback", []))
    faults = logs.get("faults", [])
    yield f"faults: {len(faults) or 'none'}"
    yield from (f"  {one['id']}: {one['detail']} (since {one['since'] or 'unknown, no clock'})" for one in faults)
    for key, title in (("journal", "journal"), ("quarantine", "damaged records that were set aside")):
        records = logs.get(key, [])
        yield f"{title}: {len(records) or 'empty'}"
        yield from (f"  {_record(one)}" for one in records)
    if logs.get("left_out"):
        yield f"  ... and {logs['left_out']} more"


def _record(one: dict[str, Any]) -> str:
    if "damaged" in one:
        return f"damaged: {one['damaged']}"
    rest = " ".join(f"{key}={one[key]}" for key in sorted(one, key=lambda key: (key != "id", key)) if key != "k")
    return f"{one.get('k', '?')} {rest}".rstrip()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m field.logs", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("port", help="serial port of a column on duty, such as /dev/ttyUSB0")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    arguments = parser.parse_args(argv)
    try:
        with Console(arguments.port) as console:
            logs = console.ask("logs")
    except ConsoleError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    print(json.dumps(logs, ensure_ascii=False) if arguments.json else "\n".join(text(logs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
