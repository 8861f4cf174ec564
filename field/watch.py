"""`make watch PORT=...`: a column live: lamp, button, link, queue. It stays on duty; Ctrl-C ends the watching."""

from __future__ import annotations

import argparse
import collections
import json
import sys
import time
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from field.console import EXIT_FAILED, Console, ConsoleError, Refused

EVERY_S = 1.0
LOG_LINES = 8
STYLES = {
    "ready": "green",
    "calling": "yellow",
    "sent": "cyan",
    "answered": "blue",
    "help-coming": "white",
    "not-delivered": "magenta",
    "out-of-service": "red",
}


def rows(status: dict[str, Any]) -> list[tuple[str, str]]:
    """(what, how it stands), in the order in which a technician looks."""
    link, broker, button = status["link"], status["broker"], status["button"]
    journal, queue, health = status["journal"], status["queue"], status["health"]
    signal = "" if link["rssi_dbm"] is None else f", {link['rssi_dbm']} dBm"
    session = "session" if broker["session"] else f"no session ({broker['error'] or 'not tried yet'})"
    since = "never pressed" if button["since_press_s"] is None else f"last press {button['since_press_s']} s ago"
    contact = "STUCK" if button["stuck"] else "closed" if button["closed"] else "open"
    presses = f"{contact}, {button['presses']} presses, {_or(button['closures'], 'uncounted')} closures, {since}"
    return [
        ("lamp", f"[{STYLES.get(status['lamp'], 'default')}]{status['lamp']}[/]"),
        ("button", presses),
        ("link", f"{link['kind']} {'up' if link['up'] else 'DOWN'} {_or(link['address'], '')}{signal}"),
        ("broker", f"{broker['host']}:{broker['port']} {session} since {broker['since_s']} s"),
        ("queue", f"{queue['open']} open, {queue['waiting']} not at the broker, {queue['outbox']} messages"),
        ("journal", f"{journal['records']} records, {journal['damaged']} damaged, {journal['unsaved']} unsaved"),
        ("faults", ", ".join(status["faults"]) or "none"),
        ("clock", f"{status['clock']['source']} {_or(status['clock']['now'], '')}"),
        ("supply", _or(status["supply_mv"], "not measured", " mV")),
        ("free", f"heap {health['heap_free']:,} bytes, flash {health['flash_free']:,}"),
        ("up", f"{_or(status['uptime_s'], 'unknown', ' s')}, boot {status['firmware']['boot']}"),
    ]


def _or(value: Any, otherwise: str, unit: str = "") -> str:
    return otherwise if value is None else f"{value}{unit}"


def picture(port: str, status: dict[str, Any], log: collections.deque[str]) -> Group:
    table = Table.grid(padding=(0, 2))
    for what, how in rows(status):
        table.add_row(f"[bold]{what}[/]", how)
    firmware = status["firmware"]
    title = f"{port}: firmware {firmware['version']}, folder {firmware['folder'] or '/'}, {firmware['mode']} mode"
    return Group(Panel(table, title=title), Panel("\n".join(log) or " ", title="console", highlight=False))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m field.watch", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("port", help="serial port of a column on duty, such as /dev/ttyUSB0")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a picture")
    parser.add_argument("--count", type=int, metavar="N", help="end after so many looks (default: go on)")
    arguments = parser.parse_args(argv)
    log: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
    try:
        with Console(arguments.port, log.append) as console:
            _watch(console, arguments.count, arguments.json, log)
    except ConsoleError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        pass
    return 0


def _watch(console: Console, count: int | None, as_json: bool, log: collections.deque[str]) -> None:
    looks, status = 0, dict[str, Any]()
    with Live(auto_refresh=False) if not as_json else _Nothing() as live:
        while count is None or looks < count:
            began_s = time.monotonic()
            try:
                status = console.ask("status")
            except Refused as error:  # short of memory: the next look may find more
                log.append(str(error))
            looks += 1
            if not status:
                pass
            elif live is None:
                print(json.dumps(status, ensure_ascii=False), flush=True)
            else:
                live.update(picture(console.port, status, log), refresh=True)
            if looks != count:
                console.listen(max(0.0, EVERY_S - (time.monotonic() - began_s)))


class _Nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    sys.exit(main())
