"""`python -m sim column`: one column: commands on standard input, JSON lines on standard output."""

import contextlib
import json
import os
import re
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from common.assumptions import on_chip
from common.commands import command_lines
from common.home import COLUMN_TYPED
from common.signals import end, exit_on
from sim.chip.contact import parse_wave
from sim.real.column import RealColumn

LONGEST_MS = 86_400_000
EXIT_USAGE = 2
EXIT_FAILED = 1

Tell = Callable[[dict[str, Any]], None]

TASKS = ("button", "clock", "column", "commands", "incidents", "lamp", "link", "relay", "telemetry", "uplink")
OPTIONAL_TASKS = ("console", "drills", "looks", "update")  # which only some configurations have
_EVERY_TASK = (*TASKS, "supervisor", *OPTIONAL_TASKS)
COMMANDS = {
    "press MS": "close the button's contact for MS milliseconds",
    "hold": "close the contact and keep it closed",
    "release": "open the contact",
    "wave T_US:LEVEL ...": "move the contact: microseconds from now, ascending; level 1 = closed, 0 = open",
    "power off|on": "cut or restore the supply",
    "link down|up": "take the network away or bring it back",
    "tamper open|closed": "open or close the housing",
    "hang TASK": "the firmware's task of that name never returns; the watchdog has to find it; tasks are "
    f"{', '.join((*TASKS, 'supervisor'))}, and where the configuration has them {', '.join(OPTIONAL_TASKS)}",
    "help": "list these commands",
    "quit": "end (so does the end of the input, but with --no-input)",
}
_USAGE = {usage.split()[0]: usage for usage in COMMANDS}
EVENTS = {
    "lamp": "state: a state of the lamp (docs/contract.md), or dark (no power, or in a reset)",
    "relay": "closed: true or false",
    "boot": "boot: number, cause: power-on, watchdog, soft or hard",
    "reset": "cause: watchdog, soft or hard; culprit: the task that did not return (watchdog only)",
    "log": "text: a line of the column's console; from the simulator itself when it begins with 'simulator:'",
    "error": "text: what is wrong with a command",
    "help": "command, text",
}
HEAP_SUFFICES_KB = 104  # for an alarm too, see tests/firmware/test_memory.py
TWICE = 2  # as large are objects of 64 bits
FOR_PEOPLE = ("text", "why")  # keys of events


class CommandError(ValueError):
    """A line that is no command; the text says what would be right."""


def run(column: RealColumn, lines: Iterable[str], report: Callable[..., None], more: Iterable[str] = ()) -> None:
    """Obey the lines until `quit` or their end. `report(event, **details)` gets errors and help; `more`: commands that
    the caller obeys by itself."""
    for line in lines:
        words = line.split()
        if words == ["quit"]:
            return
        if words == ["help"]:
            for command, text in COMMANDS.items():
                report("help", command=command, text=text)
        elif words:
            try:
                if words[0] not in _HANDLERS:
                    names = ", ".join((*more, *COMMANDS))
                    raise CommandError(f"unknown command {words[0]!r}: must be one of {names}")
                _obey(column, words[0], words[1:])
            except CommandError as error:
                report("error", text=str(error))


def _obey(column: RealColumn, name: str, words: list[str]) -> None:
    wanted = len(_USAGE[name].split()) - 1
    if len(words) != wanted and not (words and _USAGE[name].endswith("...")):
        raise CommandError(f"{name}: found {len(words)} words after it, must be: {_USAGE[name]}")
    _HANDLERS[name](column, *words)


def _press(column: RealColumn, duration: str) -> None:
    if not re.fullmatch(r"\d{1,9}", duration) or not 1 <= int(duration) <= LONGEST_MS:
        raise CommandError(
            f"press: found {duration!r}, must be milliseconds from 1 to {LONGEST_MS}, such as: press 120"
        )
    column.press(int(duration))


def _wave(column: RealColumn, *words: str) -> None:
    try:
        edges = parse_wave(" ".join(words))
    except ValueError as error:
        raise CommandError(str(error)) from error
    column.wave(edges)


def _hang(column: RealColumn, task: str) -> None:
    if task not in _EVERY_TASK:
        raise CommandError(f"hang: found {task!r}, must be one of {', '.join(_EVERY_TASK)}")
    if not column.has_power:
        raise CommandError("hang: no task runs without power; before it: power on")
    column.hang(task)


def _tamper(column: RealColumn, is_open: bool) -> None:
    if not column.has_tamper:
        raise CommandError("tamper: the housing has no contact in this configuration: pins.tamper is null")
    column.tamper(is_open)


def _choice(name: str, actions: dict[str, Callable[[RealColumn], None]]) -> Callable[..., None]:
    def choose(column: RealColumn, word: str) -> None:
        if word not in actions:
            raise CommandError(f"{name}: found {word!r}, must be: {_USAGE[name]}")
        actions[word](column)

    return choose


_HANDLERS: dict[str, Callable[..., None]] = {
    "press": _press,
    "hold": lambda column: column.hold(),
    "release": lambda column: column.release(),
    "wave": _wave,
    "power": _choice("power", {"off": RealColumn.power_off, "on": RealColumn.power_on}),
    "link": _choice("link", {"down": lambda column: column.link(False), "up": lambda column: column.link(True)}),
    "tamper": _choice(
        "tamper", {"open": lambda column: _tamper(column, True), "closed": lambda column: _tamper(column, False)}
    ),
    "hang": _hang,
}


def unreadable(error: OSError) -> str:
    """What is told of a configuration that cannot be read, and what to do next: only what is missing can be made."""
    path = error.filename
    match error:
        case FileNotFoundError() | NotADirectoryError():
            arguments = "--device-id test-01 --region nko --broker 127.0.0.1:1883"
            command = f"{COLUMN_TYPED} config {arguments} > {shlex.quote(str(path))}"
            why = f"there is no such file; this makes one: {command}"
        case PermissionError():
            why = "you may not read it: its owner may, or whoever has chmod +r done to it"
        case IsADirectoryError():
            why = "it is a folder: name the file in it"
        case _:
            why = str(error.strerror)
    return f"error: --config: {path}: {why}"


def main(
    config: bytes,
    *,
    runtime: str,
    flash_path: Path | None,
    heap_bytes: int | None,
    psram: bool,
    in_place: bool,
    seed: int,
    chip: str,
    no_input: bool,
    card: Path | None = None,
    said: Callable[[str], str] = str,
) -> int:
    """Run one column until `quit`; returns the exit status. `said` turns a text into the person's language."""
    exit_on(signal.SIGTERM, signal.SIGINT)
    tell = printer(said)
    if heap_bytes is not None:
        tell = telling_of_a_small_heap(tell, runtime, heap_bytes)
    try:
        figures = None if card is None else on_chip(chip, card)
        with RealColumn(
            config,
            runtime=runtime,
            flash_path=flash_path,
            heap_bytes=heap_bytes,
            psram=psram,
            in_place=in_place,
            seed=seed,
            chip=chip,
            figures=figures,
            on_event=tell,
            on_death=ending(said),
        ) as column:
            column.power_on()
            run(
                column,
                command_lines(no_input=no_input),
                lambda event, **more: tell({"t_ms": column.now_ms(), "event": event, **more}),
            )
    except (ValueError, OSError) as error:
        print(said(f"error: {error}"), file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def printer(said: Callable[[str], str]) -> Tell:
    """Tells of events, one JSON line each on standard output; what is meant for a person is turned by `said`, and a
    column's own lines stay as they are. From any thread; where nothing can be told any more the program ends."""

    def print_turned(event: dict[str, Any]) -> None:
        is_columns = event["event"] == "log" and not event["text"].startswith("simulator: ")
        keys = () if is_columns else FOR_PEOPLE
        turned = {key: said(value) if key in keys else value for key, value in event.items()}
        try:
            sys.stdout.write(json.dumps(turned, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        except OSError as error:
            end(unheard(error, said))

    return print_turned


def telling_of_a_small_heap(tell: Tell, runtime: str, heap_bytes: int) -> Tell:
    """Says once, behind the column's first MemoryError, what it means: of the traceback nobody learns it, and the
    column starts again and again."""
    is_told, enough_kb = False, HEAP_SUFFICES_KB if runtime.startswith("micropython32") else TWICE * HEAP_SUFFICES_KB

    def tell_too(event: dict[str, Any]) -> None:
        nonlocal is_told
        tell(event)
        if (
            not is_told
            and heap_bytes < enough_kb * 1024
            and event["event"] == "log"
            and event["text"].startswith("MemoryError")
        ):
            is_told = True
            why = f"--heap: {heap_bytes} bytes are too few for the firmware: {enough_kb}k suffice"
            tell({"t_ms": event["t_ms"], "event": "log", "text": f"simulator: {why}"})

    return tell_too


def ending(said: Callable[[str], str]) -> Callable[[Exception], None]:
    """For a column's `on_death`: without its column the program would wait for ever."""

    def end_told(error: Exception) -> None:
        if isinstance(error, OSError):  # such as a scratch folder without room
            print(said(f"error: {error}"), file=sys.stderr)
        else:
            traceback.print_exception(error)
        end(EXIT_FAILED)

    return end_told


def unheard(error: OSError, said: Callable[[str], str]) -> int:
    """The exit status where standard output took nothing: the disk is full, or nobody reads any more, `head` perhaps,
    who has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still told, and for Python's own end
    if not isinstance(error, BrokenPipeError):
        with contextlib.suppress(OSError):  # which may be the same file
            print(said(f"error: standard output takes nothing more: {error.strerror}"), file=sys.stderr)
    return EXIT_FAILED
