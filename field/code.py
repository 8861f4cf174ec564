"""`make code DEVICE=ID CHALLENGE=...`: a technician's one-time code for the console of a column that asks for one.

Or with PORT=...: the console of the column at that cable opens, with the key in the provisioned folder, or with a CODE
that somebody else made (the desk). CODE=end: it closes at once; else it does so by itself after 30 minutes. The column
stays on duty all the while.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from common import console_code
from field import documents
from field.console import Console, ConsoleError, Refused
from field.keeping import PROVISIONED, read_secrets
from field.telling import in_words
from field.words import English, Trouble, Words, asked_for, tool_parser
from firmware.startup.config_files import CONFIG_FILE, SECRETS_FILE

END = "end"
_COLUMNS = "columns"
_MINUTE_S = 60
_CLOSE_TRIES, _CLOSE_PAUSE_S = 3, 1.0
_WRONG = "a wrong code"  # firmware/console/code.py


class CodeError(Trouble):
    """There is no code for that column here; says where there is one."""


def key_of(device_id: str, places: Sequence[Path]) -> bytes | None:
    """That column's own key. `places`: what provisioning wrote, its columns, a column's folder or document. Raises a
    Trouble for a file that cannot be read."""
    for place in places:
        for folder in (place / _COLUMNS, place, place.parent):
            file = folder / device_id / SECRETS_FILE
            if file.exists() and (key := read_secrets(file).get("auth_key")):
                return bytes.fromhex(key)
        if place.is_file() or (place / CONFIG_FILE).exists():
            document = documents.read_document(place)
            key = document.get("secrets", {}).get("auth_key")
            if document.get("device_id") == device_id and key:
                return bytes.fromhex(key)
    return None


def open_console(console: Console, places: Sequence[Path]) -> bool:
    """Whether it had to be opened, and is. Raises CodeError when the key is in none of these places, ConsoleError."""
    status = console.ask("status")
    if not status.get("locked"):
        return False
    device_id, challenge = str(status["names"]["device_id"]), str(console.ask("code")["challenge"])
    key = key_of(device_id, places)
    if key is None:
        raise CodeError("code.elsewhere", port=console.port, device=device_id, challenge=challenge)
    out = next((place for place in places if (place / _COLUMNS).is_dir()), PROVISIONED)
    try:
        console.ask(f"code {console_code.code(key, challenge)}")
    except Refused as refused:
        if refused.why.startswith(_WRONG):  # and not: after one, the next has to wait
            raise CodeError("code.other-key", port=console.port, device=device_id, out=out) from refused
        raise
    return True


def close_console(console: Console) -> None:
    """One that is short of memory is asked again: its work gives some back. Raises CodeError where that did not help,
    ConsoleError."""
    for left in reversed(range(_CLOSE_TRIES)):
        try:
            console.ask(f"code {END}")
            return
        except Refused as refused:
            if not refused.lacks_memory:
                raise
            if not left:
                raise CodeError("code.unclosed", port=console.port) from refused
            console.listen(_CLOSE_PAUSE_S)


def letting_in(*places: Path) -> Callable[[str], None]:
    """For `Board`: what to do at a port whose board gives no prompt. It may be a column that is locked; whoever does
    not answer there is none."""

    def let_in(port: str) -> None:
        try:
            with Console(port) as console:
                open_console(console, places)
        except Refused:
            raise
        except ConsoleError:
            pass

    return let_in


def add_out(parser: argparse.ArgumentParser) -> None:
    """--out, of a tool that may meet a locked column."""
    out_help = "what provisioning wrote, for a column that asks for codes (default: %(default)s)"
    parser.add_argument("--out", type=Path, default=PROVISIONED, help=out_help)


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.code", __doc__)
    parser.add_argument("device", nargs="?", help="which column the code is for")
    parser.add_argument("challenge", nargs="?", help="what that column shows when `code` is typed on its console")
    parser.add_argument("--port", help="the column's serial port: open its console instead")
    parser.add_argument("--code", metavar="CODE|end", help="with --port: the code that somebody else made")
    parser.add_argument("--out", type=Path, default=PROVISIONED, help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.port is None:
        if not arguments.device or not arguments.challenge or arguments.code:
            parser.error("the following arguments are required: device, challenge, or --port")
        print(_code(arguments.out, arguments.device, arguments.challenge))
        return 0
    with Console(arguments.port) as console:
        if (arguments.code or "").lower() == END:
            close_console(console)
            print(words("code.closed"))
        else:
            print(_opened(console, arguments.code, arguments.out, words))
    return 0


def _opened(console: Console, typed: str | None, out: Path, words: Words) -> str:
    was_open = console.ask("status").get("locked") is False
    if typed:
        console.ask(f"code {typed}")
    else:
        open_console(console, [out])
    if not isinstance(console.ask("status").get("locked"), bool):
        return words("code.unasked")
    open_s = console.ask("code")["open_s"]
    opened = "code.still-open" if was_open else "code.open"  # an open one takes no further code
    return words(opened, minutes=-(-open_s // _MINUTE_S)) if open_s else words("code.closed")


def _code(out: Path, device_id: str, challenge: str) -> str:
    key = key_of(device_id, [out]) if (out / _COLUMNS).is_dir() else None
    if key is None:
        raise CodeError("code.no-key", device=device_id, out=out)
    try:
        return console_code.code(key, challenge)
    except ValueError as error:
        raise CodeError("code.challenge", error=English(error)) from error


if __name__ == "__main__":
    sys.exit(main())
