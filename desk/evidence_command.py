"""`python -m desk evidence ...`: the evidence of one call as a file, and the register held against its chain.

It may run beside the desk.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from pathlib import Path

from common.home import DESK_COMMAND
from contract.evidence import fingerprint
from desk import evidence
from desk.evidence import DESK, HEAD_SUFFIX, Signers

REGISTER_FILE = "register.sqlite"
EXIT_WRONG = 1
EXIT_USAGE = 2


def main(argv: list[str]) -> int:
    arguments = _parser().parse_args(argv)
    path = arguments.folder / REGISTER_FILE
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        with db:
            return _run(arguments, db, path)
    except (sqlite3.Error, OSError, ValueError) as error:
        print(f"error: {path}: {error}", file=sys.stderr)
        return EXIT_USAGE


def _run(arguments: argparse.Namespace, db: sqlite3.Connection, path: Path) -> int:
    if arguments.action == "key":
        print(fingerprint(Signers(path.parent).public(DESK)))
    elif arguments.action == "head":
        print(path.with_name(path.name + HEAD_SUFFIX).read_text("ascii").strip())
    elif arguments.action == "check":
        wrong = evidence.check(db, path, head=arguments.head)
        (count,) = db.execute("SELECT count(*) FROM link").fetchone()
        print(*(f"WRONG {line}" for line in wrong), sep="\n") if wrong else print(f"whole: {count} links")
        return EXIT_WRONG if wrong else 0
    else:
        found = evidence.export(db, path.parent, arguments.incident or "", time.time_ns() // 1_000_000)
        if found is None:
            print(f"error: there is no evidence of {arguments.incident!r}: give an incident's id", file=sys.stderr)
            return EXIT_USAGE
        print(json.dumps(found, ensure_ascii=False, indent=1))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{DESK_COMMAND} evidence", description=__doc__)
    add = parser.add_argument
    add("action", choices=("export", "check", "key", "head"), help="key: the desk's fingerprint; head: N:HASH to note")
    add("incident", nargs="?", metavar="INCIDENT", help="for export")
    add("--folder", type=Path, required=True, metavar="DIR", help="the desk's")
    add("--head", metavar="N:HASH", help="for check: a head that was noted earlier")
    return parser
