"""`make watch PORT=...`: a column live: lamp, button, link, queue. It stays on duty; Ctrl-C ends the watching."""

from __future__ import annotations

import collections
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from field.console import Console, Refused
from field.telling import in_words
from field.words import Trouble, Words, asked_for, tool_parser

EVERY_S = 1.0
KB = 1024
LOG_LINES = 8
STYLES = {
    "ready": "green",
    "calling": "yellow",
    "sent": "cyan",
    "answered": "blue",
    "unanswered": "purple",
    "help-coming": "white",
    "not-delivered": "magenta",
    "out-of-service": "red",
}


def rows(status: dict[str, Any], words: Words) -> list[tuple[str, str]]:
    """(what, how it stands), in the order in which a technician looks; the lamp first."""
    journal, queue, health = status["journal"], status["queue"], status["health"]
    clock, supply_mv, uptime_s = status["clock"], status["supply_mv"], status["uptime_s"]
    shown = {
        "lamp": words(f"watch.lamp.{status['lamp']}"),
        "button": _button(status["button"], words),
        "link": _link(status["link"], words),
        "broker": _broker(status["broker"], words),
        "queue": words("watch.queue.is", **{key: queue[key] for key in ("open", "waiting", "outbox")}),
        "journal": words("watch.journal.is", **{key: journal[key] for key in ("records", "damaged", "unsaved")}),
        "faults": ", ".join(map(words.fault, status["faults"])) or words("watch.none"),
        "clock": f"{words.said(clock['source'])} {_or(clock['now'], '')}",
        "supply": words("watch.unmeasured") if supply_mv is None else words("watch.millivolts", supply_mv=supply_mv),
        "free": words("watch.free.is", heap=health["heap_free"] // KB, flash=health["flash_free"] // KB),
        "up": words("watch.up.is", seconds=uptime_s, boot=status["firmware"]["boot"]),
    }
    return [(words(f"watch.{what}"), how) for what, how in shown.items()]


def _button(button: dict[str, Any], words: Words) -> str:
    contact = "stuck" if button["stuck"] else "closed" if button["closed"] else "open"
    since_s, closures = button["since_press_s"], button["closures"]
    return words(
        "watch.button.is",
        contact=words(f"watch.contact.{contact}"),
        presses=button["presses"],
        closures=words("watch.uncounted") if closures is None else closures,
        since=words("watch.never-pressed") if since_s is None else words("watch.pressed", seconds=since_s),
    )


def _link(link: dict[str, Any], words: Words) -> str:
    signal = "" if link["rssi_dbm"] is None else f", {words('watch.signal', dbm=link['rssi_dbm'])}"
    state = words("watch.link.up" if link["up"] else "watch.link.down")
    return f"{words.said(link['kind'])} {state} {_or(link['address'], '')}{signal}"


def _broker(broker: dict[str, Any], words: Words) -> str:
    where = f"{broker['host']}:{broker['port']}"
    if broker["session"]:
        return words("watch.session", where=where, seconds=broker["since_s"])
    why = words.said(broker["error"]) if broker["error"] else words("watch.untried")
    return words("watch.sessionless", where=where, seconds=broker["since_s"], why=why)


def _or(value: Any, otherwise: str) -> str:
    return otherwise if value is None else str(value)


def picture(port: str, status: dict[str, Any], log: collections.deque[str], words: Words) -> Group:
    """All that the column says is text: what it has in brackets is no order to the terminal."""
    table = Table.grid(padding=(0, 2))
    style = STYLES.get(status["lamp"], "default")
    try:
        for what, how in rows(status, words):
            table.add_row(Text(what, "bold"), Text(how, style))
            style = "default"
    except KeyError as missing:
        raise Trouble("column.older", what=missing) from missing
    firmware = status["firmware"]
    mode, folder = words.said(firmware["mode"]), firmware["folder"] or "/"
    title = words("watch.title", port=port, version=firmware["version"], folder=folder, mode=mode)
    said = Panel(Text("\n".join(log) or " "), title=words("watch.console"), highlight=False)
    return Group(Panel(table, title=Text(title)), said)


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.watch", __doc__)
    parser.add_argument("port", help="serial port of a column on duty, such as /dev/ttyUSB0")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a picture")
    parser.add_argument("--count", type=int, metavar="N", help="end after so many looks (default: go on)")
    arguments = parser.parse_args(argv)
    log: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
    try:
        with Console(arguments.port, log.append) as console:
            _watch(console, arguments.count, arguments.json, log, words)
    except KeyboardInterrupt:
        pass  # that is how watching ends
    return 0


def _watch(console: Console, count: int | None, as_json: bool, log: collections.deque[str], words: Words) -> None:
    looks, status = 0, dict[str, Any]()
    with Live(auto_refresh=False) if not as_json else _Nothing() as live:
        while count is None or looks < count:
            began_s = time.monotonic()
            try:
                status = console.ask("status")
            except Refused as refusal:  # short of memory: the next look may find more
                log.append(refusal.told(words))
            if status.get("configured") is False:
                raise Trouble("column.unconfigured")
            looks += 1
            if not status:
                pass
            elif live is None:
                print(json.dumps(status, ensure_ascii=False), flush=True)
            else:
                live.update(picture(console.port, status, log, words), refresh=True)
            if looks != count:
                console.listen(max(0.0, EVERY_S - (time.monotonic() - began_s)))


class _Nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    sys.exit(main())
