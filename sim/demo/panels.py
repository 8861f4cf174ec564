"""What the terminal's panels say: the town's state as rich text. Nothing here acts or waits."""

from __future__ import annotations

import time

from rich.text import Text

from desk.ledger import NEVER_S, Incident, Ledger
from firmware.lamp import COLOURS
from sim.demo.town import News, Post, Town

INCIDENT_ROWS = 5
LAMP_WIDTH = 24  # a third of 80 columns, without the frame
DARK = (70, 70, 70)
BRIGHT = 140  # luminance above which text on a colour must be black
STATE_STYLES = {"new": "bold magenta", "received": "bold yellow", "accepted": "cyan", "dispatched": "cyan"}
BAD, GOOD, QUIET = "bold red", "green", "dim"


def status(town: Town, ledger: Ledger, verb: str) -> Text:
    """The line at the top; while a key waits for a digit, what it waits for."""
    text = Text(" SOS columns in Petropavlovsk  ", "bold")
    text.append("broker ").append(*_flag(town.broker.running, "up", "AWAY"))
    text.append("  centre ").append(*_flag(town.centre.connected, "connected", "CUT OFF"))
    text.append(f"  alarms {len(ledger.incidents)}")
    if verb != "press":
        text.append(f"  {verb}: which column?", "bold reverse")
    elif town.false_answers or town.breaches or ledger.violations:
        text.append("  UNTRUE OR AGAINST THE CONTRACT", BAD)
    return text


def post(post: Post, ledger: Ledger) -> Text:
    """One column: its lamp as a person sees it, then what the centre knows of it."""
    column = ledger.columns.get(post.device_id)
    text = Text(no_wrap=True)
    text.append(f"{post.lamp.upper():^{LAMP_WIDTH}}", lamp_style(post.lamp)).append("\n")
    text.append(f"{post.device_id}  ").append(f"{post.place.site}\n", QUIET)
    text.append("power ").append(*_flag(post.powered, "on", "OFF"))
    text.append("  link ").append(*_flag(post.link_up, "up", "DOWN")).append("\n")
    online = column.online if column else None
    text.append(*_flag(bool(online), "online", "OFFLINE" if column else "unknown"))
    text.append(f"  boot {post.boots}\n")
    queue = column.heartbeat.get("queue", "?") if column and online else "?"
    heard = f"{time.monotonic() - column.heard_s:.0f} s ago" if column and column.heard_s > NEVER_S else "never"
    text.append(f"queue {queue}  heard {heard}\n")
    text.append(f"relay {'closed' if post.relay_closed else 'open'}{'  HELD' if post.held else ''}\n")
    text.append("last alarm ").append(_last_alarm(post, ledger))
    return text


def ranked(ledger: Ledger) -> list[Incident]:
    """Open incidents, oldest first, then closed ones, latest first."""
    closed = [incident for incident in ledger.incidents.values() if not incident.is_open]
    return ledger.open_incidents() + closed[::-1]


def incidents(rows: list[Incident], selected: str | None) -> Text:
    """A page of incidents that has the selected one in it."""
    if not rows:
        return Text("none yet: press 1, 2 or 3", QUIET)
    index = next((number for number, row in enumerate(rows) if row.id == selected), 0)
    first = max(0, index - INCIDENT_ROWS + 1)
    lines = [_incident(row, row.id == selected) for row in rows[first : first + INCIDENT_ROWS]]
    return Text("\n", no_wrap=True).join(lines)


def news(item: News) -> Text:
    """One line of the event log."""
    style = BAD if item.text.startswith("RESET") or item.who in ("contract", "refused") else ""
    return Text.assemble((f"{item.at_s:7.1f} ", QUIET), (f"{item.who:<13} ", "bold"), (item.text, style))


def lamp_style(state: str) -> str:
    """The lamp's own colour as background, with text that can be read on it."""
    red, green, blue = COLOURS.get(state, DARK)
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    return f"bold {'black' if luminance > BRIGHT else 'white'} on rgb({red},{green},{blue})"


def _incident(row: Incident, selected: bool) -> Text:
    marks = f"press {row.press}" + (f"  ×{row.transmissions}" if row.transmissions > 1 else "")
    marks += "  LATE" if row.late else ""
    line = Text.assemble(
        "▶ " if selected else "  ",
        (f"{row.id:<24} ", "bold" if row.is_open else QUIET),
        (f"{row.state:<11}", STATE_STYLES.get(row.state, QUIET)),
        (f"{row.outcome or row.by:<13}", QUIET),
        marks,
    )
    return line


def _last_alarm(post: Post, ledger: Ledger) -> Text:
    known = ledger.of(post.device_id)
    if not known:
        return Text("-", QUIET)
    last = known[-1]
    number = last.id.rpartition("-")[2]
    return Text.assemble(f"{number} ", (last.state, STATE_STYLES.get(last.state, QUIET)))


def _flag(good: bool, yes: str, no: str) -> tuple[str, str]:
    return (yes, GOOD) if good else (no, BAD)
