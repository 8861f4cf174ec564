"""`make flash PORT=... CONFIG=...`: bring a board's firmware and configuration up to date. A pulled cable does no harm.

A board holds its firmware and configuration in one of two folders, a and b, and the file `active` names the one in
force. Everything goes into the other folder, is verified there by its hash, and then one rename of `active` puts it in
force. The board falls back on the folder before when the new one does not become healthy (see boot.py).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import BarColumn, Progress, TextColumn

from field import bundle, memory
from field.board import GRACE_MS, Board, BoardError
from firmware import VERSION
from firmware.startup import config as firmware_config
from firmware.startup.config_files import CONFIG_FILE, SECRETS_FILE

SLOTS = ("a", "b")
ACTIVE_FILE = "active"
MICROPYTHON_OLDEST = (1, 24)
CHIPS = {"ESP32S3": "esp32s3", "ESP32S2": "esp32s2", "ESP32C3": "esp32c3", "ESP32": "esp32"}
COPIES_AT_ONCE = 8  # files: a second or two of the board's time
ARMED_WITHIN_S = 60.0
ARMED = "column: armed"
SESSION_WITHIN_S = 30.0
SESSION = "uplink: session with"
RESTARTING, WATCHDOG = "main: restarting", "cause=watchdog"
EXIT_FAILED = 1

Say = Callable[[str, int, int], None]  # (what happens now, bytes done, bytes in all)


class FlashError(Exception):
    """Nothing was put in force; says why, and what to do next."""


class Plan(NamedTuple):
    """What has to happen so that `slot` holds `wanted`."""

    slot: str
    wanted: dict[str, bytes]  # name within the slot -> content
    copies: dict[str, str]  # name within the slot -> file on the board with the same content
    sends: list[str]  # names within the slot that only the host has
    roots: list[str]  # boot.py and main.py, when they differ: they are in no slot
    strays: list[str]  # files in the slot that do not belong there
    is_current: bool  # the board has it all already, in force


def read_document(path: Path) -> dict[str, Any]:
    """A configuration from one document, or from config.json beside secrets.json; not validated. Raises FlashError."""
    file = path / CONFIG_FILE if path.is_dir() else path
    try:
        document = json.loads(file.read_text("utf-8"))
        beside = file.with_name(SECRETS_FILE)
        if isinstance(document, dict) and "secrets" not in document and beside.exists():
            document["secrets"] = json.loads(beside.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FlashError(f"{file}: {error}; must be a configuration document or a folder of provisioning") from error
    return document


def documents(path: Path, chip: str) -> dict[str, bytes]:
    """The configuration's files, as a board gets them. Raises FlashError when it is none, or none for that chip."""
    document = read_document(path)
    _, errors = firmware_config.validate(document, chip)
    if errors:
        raise FlashError(f"{path} is no valid configuration for an {chip}:\n  " + "\n  ".join(errors))
    return bundle.configuration_files({"secrets": {}, **document})


def is_fleet(path: Path) -> bool:
    """A folder of columns, one folder each, and not a column's own."""
    return path.is_dir() and not (path / CONFIG_FILE).exists()


def of_fleet(path: Path, board: Board) -> Path:
    """The folder in a fleet's of the column that the board is already. Raises FlashError."""
    carried, known = board.device_id(), sorted(entry.name for entry in path.iterdir() if (entry / CONFIG_FILE).exists())
    if not known:
        raise FlashError(f"{path} holds no column; make provision writes one folder for each")
    if carried is None:
        raise FlashError(f"{board.port}: the board is no column yet; say which: make flash CONFIG={path}/{known[0]}")
    if carried not in known:
        raise FlashError(f"{board.port}: the board is column {carried!r}, and {path} holds {', '.join(known)}")
    return path / carried


def check_document(path: Path) -> None:
    """Before a column is taken off duty: a configuration that no chip could have is refused. Raises FlashError."""
    if is_fleet(path):
        return
    for chip in sorted(CHIPS.values()):
        try:
            documents(path, chip)
            return
        except FlashError as error:
            refusal = error
    raise refusal


def check_board(survey: dict[str, Any], mpy_version: int) -> str:
    """The board's chip, when the firmware runs on it. Raises FlashError."""
    name = str(survey["machine"]).upper().replace("-", "")
    chip = next((ours for theirs, ours in CHIPS.items() if theirs in name), None)
    if chip is None:
        raise FlashError(f"the board says it is {survey['machine']!r}, must be one of {', '.join(CHIPS)}")
    version = tuple(survey["version"][:3])
    if version < MICROPYTHON_OLDEST:
        found, oldest = ".".join(map(str, version)), ".".join(map(str, MICROPYTHON_OLDEST))
        raise FlashError(f"the board runs MicroPython {found}, must be {oldest} or newer: make image")
    if survey["mpy"] & 0xFF != mpy_version:
        raise FlashError(
            f"the board's MicroPython loads .mpy version {survey['mpy'] & 0xFF}, the bundle has {mpy_version};"
            " write a newer image (make image), or use another mpy-cross"
        )
    return chip


def plan(survey: dict[str, Any], made: bundle.Bundle, configuration: dict[str, bytes]) -> Plan:
    """Compare the board with what it shall have. Names in `survey['files']` are paths from the root."""
    on_board: dict[str, str] = survey["files"]
    active = active_slot(survey)
    wanted = dict(configuration)
    if survey["frozen"] != VERSION:  # else it lies in the board's image already, and needs no heap there
        wanted |= {name: data for name, data in made.files.items() if name not in bundle.STAYS_SOURCE}
    if not survey["umqtt"]:
        wanted |= {name.removeprefix("lib/"): data for name, data in made.libraries.items()}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in wanted.items()}
    roots = [name for name in bundle.STAYS_SOURCE if on_board.get(name) != hashlib.sha256(made.files[name]).hexdigest()]
    in_force = {name[2:]: value for name, value in on_board.items() if active and name.startswith(active + "/")}
    slot = SLOTS[0] if active != SLOTS[0] else SLOTS[1]
    there = {name[2:]: value for name, value in on_board.items() if name.startswith(slot + "/")}
    by_hash = {value: name for name, value in on_board.items() if not name.startswith(slot + "/")}
    missing = [name for name in sorted(wanted) if there.get(name) != hashes[name]]
    return Plan(
        slot=slot,
        wanted=wanted,
        copies={name: by_hash[hashes[name]] for name in missing if hashes[name] in by_hash},
        sends=[name for name in missing if hashes[name] not in by_hash],
        roots=roots,
        strays=sorted(f"{slot}/{name}" for name in there if name not in wanted),
        is_current=bool(active) and in_force == hashes and not roots,
    )


def active_slot(survey: dict[str, Any]) -> str:
    """The folder in force, or '' on a board that was flashed by hand."""
    return str(survey["active"]) if survey["active"] in SLOTS else ""


def steps(board: Board, todo: Plan, made: bundle.Bundle, say: Say) -> Iterator[None]:
    """Carry the plan out, one round trip at a time; until the last step the old firmware is in force."""
    total = sum(len(todo.wanted[name]) for name in todo.sends) + sum(len(made.files[name]) for name in todo.roots)
    done = 0
    for name in todo.strays:  # none of them is a source of a copy
        board.remove(name)
        yield
    for start in range(0, len(todo.copies), COPIES_AT_ONCE):
        batch = list(todo.copies.items())[start : start + COPIES_AT_ONCE]
        say("copying on the board what it has already", done, total)
        board.copy([(source, f"{todo.slot}/{name}") for name, source in batch])
        yield
    outgoing = [(f"{todo.slot}/{name}", todo.wanted[name]) for name in todo.sends]
    outgoing += [(f"{name}.new", made.files[name]) for name in todo.roots]
    for name, data in outgoing:
        for count in board.send(name, data):
            done += count
            say(f"sending {name}", done, total)
            yield
    say("verifying", done, total)
    _verify(board, {f"{todo.slot}/{name}": data for name, data in todo.wanted.items()})
    _verify(board, {f"{name}.new": made.files[name] for name in todo.roots})
    yield
    for name in sorted(todo.roots, reverse=True):  # main.py first: it runs behind an old boot.py as well
        board.rename(f"{name}.new", name)
        yield
    board.run(f"activate({todo.slot!r})")
    yield


def _verify(board: Board, wanted: dict[str, bytes]) -> None:
    found = board.digests(sorted(wanted))
    wrong = [name for name in sorted(wanted) if found[name] != hashlib.sha256(wanted[name]).hexdigest()]
    if wrong:
        raise FlashError(f"{', '.join(wrong)} arrived damaged; the old firmware stays in force. Flash again")


def flash(
    port: str,
    config: Path,
    say: Say,
    *,
    made: bundle.Bundle | None = None,
    grace_ms: int = GRACE_MS,
    session_within_s: float = SESSION_WITHIN_S,
    force: bool = False,
) -> str:
    """Do it all; returns the verdict. `config`: a document, a column's folder, or a fleet's for boards that are columns
    already. `force`: a board that is no column yet may have too little memory for one.
    Raises FlashError or BoardError: then the old firmware is in force."""
    made = made or bundle.make()
    check_document(config)
    with Board(port, grace_ms) as board:
        survey = board.survey()
        chip = check_board(survey, made.mpy_version)
        config = of_fleet(config, board) if is_fleet(config) else config
        too_small = memory.complaint(survey, read_document(config), chip)
        if too_small and not force and not active_slot(survey):
            raise FlashError(f"{port}: {too_small}")
        todo = plan(survey, made, documents(config, chip))
        if not todo.is_current:
            room = survey["free_bytes"] - sum(len(data) for data in todo.wanted.values())
            if room < 0:
                raise FlashError(f"the flash has {-room} bytes too little; remove what is not the column's from it")
            for _ in steps(board, todo, made, say):
                pass
        board.restart()
        started = watch_start(board, session_within_s)
    what = "nothing to do, everything is up to date" if todo.is_current else f"folder {todo.slot} is in force"
    return f"{port}: {what}; {started}" + (f"; WARNING: {too_small}" if too_small else "")


def watch_start(board: Board, session_within_s: float) -> str:
    """What the column says of itself after the reset, in words. Raises FlashError when it does not become armed."""
    start_s, said, armed = time.monotonic(), list[str](), ""
    for line in board.lines(ARMED_WITHIN_S):
        said += [line] if line else []
        passed_s = time.monotonic() - start_s
        if RESTARTING in line or WATCHDOG in line:
            raise FlashError(
                f"{board.port}: the new firmware does not start; the board goes back to the one before by itself."
                " What it said:\n  " + "\n  ".join(said[-10:])
            )
        if ARMED in line:
            armed = f"armed after {passed_s:.1f} s"
        elif armed and SESSION in line:
            return f"{armed}, connected to {line.partition(SESSION)[2].strip()} after {passed_s:.1f} s"
        if armed and passed_s > session_within_s:
            return f"{armed}; NOT CONNECTED to the broker within {session_within_s:.0f} s, look into it: make diag"
    raise FlashError(
        f"{board.port}: the column did not report itself armed within {ARMED_WITHIN_S:.0f} s. The last it said:\n  "
        + "\n  ".join(said[-10:])
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m field.flash", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    help_text = "serial port and configuration: a document, a column's folder as provisioned, or the folder of them all"
    help_text += " for a board that is one of these columns already; several are done at once"
    parser.add_argument("--force", action="store_true", help="also a board that has too little memory for a column")
    parser.add_argument("boards", nargs="+", metavar="PORT=CONFIG", help=help_text)
    arguments = parser.parse_args(argv)
    boards = [text.partition("=") for text in arguments.boards]
    for port, _, config in boards:
        if not port or not config:
            parser.error(f"found {port!r}, must be PORT=CONFIG such as /dev/ttyUSB0=provisioned/columns/petropavl-01")
    columns = TextColumn("{task.fields[port]}"), BarColumn(), TextColumn("{task.description}")
    with Progress(*columns) as progress, ThreadPoolExecutor(len(boards)) as pool:
        verdicts = list(pool.map(lambda board: _one(board[0], Path(board[2]), progress, arguments.force), boards))
    for is_good, text in verdicts:
        print(text, file=sys.stdout if is_good else sys.stderr)
    return 0 if all(is_good for is_good, _ in verdicts) else EXIT_FAILED


def _one(port: str, config: Path, progress: Progress, force: bool) -> tuple[bool, str]:
    task = progress.add_task("connecting", port=port, total=None)

    def say(what: str, done: int, total: int) -> None:
        progress.update(task, description=what, completed=done, total=total)

    try:
        verdict = flash(port, config, say, force=force)
    except (FlashError, BoardError, bundle.BuildError) as error:
        progress.update(task, description="failed")
        return False, f"error: {error}"
    progress.update(task, description="armed", completed=1, total=1)
    return True, verdict


if __name__ == "__main__":
    sys.exit(main())
