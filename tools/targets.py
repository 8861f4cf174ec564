"""What make itself says, in the language of whoever typed it. Needs nothing but Python itself.

    python tools/targets.py MAKEFILE [--lang en|ru|kk]                                        `make help`: the targets
    python tools/targets.py MAKEFILE [--lang en|ru|kk] missing TARGET "ITS VARIABLES" "THOSE THAT ARE MISSING"
    python tools/targets.py MAKEFILE [--lang en|ru|kk] unknown NAME ...     of these variables, those that it has not

The English of the targets stands in the Makefile, behind each; targets.ru.json and targets.kk.json turn it.
"""

# ruff: noqa: E402

import sys

sys.path.insert(0, __file__.rpartition("tools/")[0] or ".")  # run as a file
from common.interrupted import end_quietly

end_quietly()  # before the rest, which takes its time

import difflib
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent

from common.sentences import LANGUAGES, any_letters, language_of
from tools.spoken import spoken

TARGET = re.compile(r"^([a-z-]+):.*?## (.*)$", re.M)
# A variable of the Makefile: where it is set, used, told in a target's help, or let through to the programs below.
SET, USED, TOLD = r"^(?:export )?(\w+) *[:?+]?=", r"\$\(([A-Za-z]\w*)[):]", r"##.*"
THROUGH = r"^THROUGH := (.*)$"
NAMED = r"\b([A-Z][A-Z0-9_]*)="
WIDTH = 9
EXIT_USAGE = 2
# What a target may lack (of several, any will do): what it is, and words that give it.
VARIABLES = {
    "PORT": ("the serial port that the board is at; Linux: ls /dev/tty[UA]*, macOS: ls /dev/cu.*", "PORT=/dev/ttyUSB0"),
    "CONFIG": (
        "the folder of one column, as make provision FLEET=... makes it",
        "CONFIG=provisioned/columns/petropavl-01",
    ),
    "BOARDS|PORTS": (
        "each board's port and its column's folder; or the ports alone of boards that are columns already",
        'BOARDS="/dev/ttyUSB0=provisioned/columns/petropavl-01 /dev/ttyUSB1=provisioned/columns/petropavl-02"',
        'PORTS="/dev/ttyUSB0 /dev/ttyUSB1"',
    ),
    "PORT|DEVICE": (
        "the port of the column; or, away from it, its name, and the CHALLENGE that its console shows behind `code`",
        "PORT=/dev/ttyUSB0",
        "DEVICE=petropavl-07 CHALLENGE=16777300-1",
    ),
    "CHALLENGE": ("what the column's console shows when `code` is typed there", "CHALLENGE=16777300-1"),
    "DEVICE": ("the name of a column, which is that of its folder", "DEVICE=petropavl-07"),
    "FLEET": ("the table of the columns, with fleet.toml beside it", "FLEET=examples/petropavl/fleet.csv"),
    "DO": ("add first, switch later, drop last: docs/provisioning.md, Another authority", "DO=add"),
    "IMAGE": ("MicroPython's .bin file for this board, of 1.24 or newer", "IMAGE=ESP32_GENERIC.bin"),
    "SHA256": ("of that file, as its publisher gives it, or as sha256sum counts it", "SHA256=..."),
    "BROKER": ("where the columns' broker listens", "BROKER=127.0.0.1:1883"),
    "FOLDER": ("of the desk's register; made if there is none", "FOLDER=register"),
}


def targets(makefile: str) -> dict[str, str]:
    return dict(TARGET.findall(makefile))


def table(language: str) -> dict[str, str]:
    """English text -> the same in that language."""
    if language == LANGUAGES[0]:
        return {}
    return dict(json.loads((HERE / f"targets.{language}.json").read_text("utf-8")))


def lines(makefile: str, language: str) -> list[str]:
    turned = table(language)
    return [f"  make {name:{WIDTH}} {turned.get(text, text)}" for name, text in targets(makefile).items()]


def lacking(target: str, wants: str, missing: str, given: Mapping[str, str]) -> list[str]:
    """In English: which of its variables a target lacks, what they are, and the command with what was `given`."""
    names = [" or ".join(name.split("|")) for name in missing.split()]
    told = [f"error: make {target}: missing: {', '.join(names)}"]
    told += [f"  {name}: {VARIABLES[of][0]}" for name, of in zip(names, missing.split(), strict=True)]
    commands = [f"make {target}"]
    for name in wants.split():
        words = [f"{name}={shlex.quote(given[name])}"] if given.get(name) else VARIABLES[name][1:]
        commands = [f"{command} {word}" for command in commands for word in words]
    return [*told, *(f"for example: {command}" for command in commands)]


def variables(makefile: str) -> list[str]:
    """The names that it knows: first those that a target's help tells, which a person types most."""
    told = [name for text in re.findall(TOLD, makefile) for name in re.findall(NAMED, text)]
    through = [name for text in re.findall(THROUGH, makefile, re.M) for name in text.split()]
    return list(dict.fromkeys([*told, *re.findall(SET, makefile, re.M), *re.findall(USED, makefile), *through]))


def strangers(makefile: str, typed: Sequence[str]) -> dict[str, str | None]:
    """Of the names that were typed those that the Makefile does not know, with the nearest one that it knows."""
    known = variables(makefile)
    upper = [name for name in known if name.isupper()]
    near = {name: difflib.get_close_matches(name.upper(), upper, n=1) for name in typed if name not in known}
    return {name: next(iter(found), None) for name, found in near.items()}


def _unknown(makefile: str, typed: Sequence[str], language: str) -> int:
    """Says on standard output, for make, which ones; nothing when there is none."""
    said = spoken(["--lang", language]).said
    for name, nearest in strangers(makefile, typed).items():
        text = f"error: make has no variable {name}; did you mean {nearest}?" if nearest else (
            f"error: make has no variable {name}; see: make help")  # fmt: skip
        print(said(text), file=sys.stderr)
        print(f"{name}=")
    return 0


def _missing(argv: Sequence[str], language: str) -> int:
    target, wants, missing = argv
    said = spoken(["--lang", language]).said
    print(*map(said, lacking(target, wants, missing, os.environ)), sep="\n", file=sys.stderr)
    return EXIT_USAGE


def main(argv: list[str]) -> int:
    any_letters()
    language = language_of(argv[1:], os.environ)
    if "unknown" in argv[1:]:
        typed = argv[argv.index("unknown", 1) + 1 :]
        return _unknown(Path(argv[0]).read_text("utf-8"), typed, language)
    if "missing" in argv[1:]:
        return _missing(argv[argv.index("missing", 1) + 1 :], language)
    try:
        print(*lines(Path(argv[0]).read_text("utf-8"), language), sep="\n", flush=True)
    except BrokenPipeError:  # whoever read it, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
