"""`python -m desk evidence ...`: a call's evidence as a file; register and audit log held against their chains.

It may run beside the desk.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from common.arguments import EXIT_USAGE, Parser, add_language, described
from common.home import DESK_COMMAND
from common.sentences import Sentences
from contract.evidence import fingerprint
from desk import evidence, own_folder
from desk.broker_options import SetupError
from desk.evidence import DESK, HEAD_SUFFIX, NotWhole, Signers
from desk.register_file import REGISTER_FILE, read_only
from desk.spoken import spoken
from desk.trouble import in_words
from desk.web import audit

EXIT_WRONG = 1
_HEAD = re.compile(r"[0-9]{1,18}:[0-9a-f]{64}")


def main(argv: list[str]) -> int:
    sentences = spoken(argv)
    arguments = _parser(sentences).parse_args(argv)
    try:
        path = own_folder.register_in(arguments.folder)
        db = read_only(path)
        with db:
            return _run(arguments, db, path, sentences.said)
    except NotWhole as error:
        print(sentences.said(f"WRONG {error}"), file=sys.stderr)
        return EXIT_WRONG
    except (SetupError, sqlite3.Error, OSError) as error:
        print(sentences.said(f"error: {in_words(error, arguments.folder / REGISTER_FILE)}"), file=sys.stderr)
        return EXIT_USAGE
    except ValueError as error:
        print(sentences.said(f"error: {path}: {error}"), file=sys.stderr)
        return EXIT_USAGE


def _run(arguments: argparse.Namespace, db: sqlite3.Connection, path: Path, said: Callable[[str], str]) -> int:
    if arguments.action == "key":
        print(fingerprint(Signers(path.parent).public(DESK)))
    elif arguments.action == "head":
        head = path.with_name(path.name + HEAD_SUFFIX)
        if not head.exists():
            why = "is missing: this desk has signed nothing yet, or the file was taken away"
            print(said(f"error: {head}: {why}"), file=sys.stderr)
            return EXIT_USAGE
        print(head.read_text("ascii").strip())
    elif arguments.action == "check":
        wrong = evidence.check(db, path, head=arguments.head) + audit.check(path.parent)
        (count,) = db.execute("SELECT count(*) FROM link").fetchone()
        print(*(said(f"WRONG {line}") for line in wrong or ()), sep="\n") if wrong else print(
            said(f"whole: {count} links")
        )
        return EXIT_WRONG if wrong else 0
    else:
        found = evidence.export(db, path, arguments.incident or "", time.time_ns() // 1_000_000)
        if found is None:
            print(said(f"error: {_why_none(db, arguments.incident or '')}"), file=sys.stderr)
            return EXIT_USAGE
        print(json.dumps(found, ensure_ascii=False, indent=1))
    return 0


def _why_none(db: sqlite3.Connection, incident: str) -> str:
    """Why there is no link of it."""
    row = db.execute("SELECT status FROM incident WHERE id = ?", (incident,)).fetchone()
    if row is None:
        return f"there is no evidence of {incident!r}: give an incident's id"
    if row[0] == "actual":
        return (
            f"there is no evidence of {incident!r}: the call is older than the chain, or its links are gone: see check"
        )
    return f"there is no evidence of {incident!r}: that is a test or an exercise, and only calls have any"


def _parser(sentences: Sentences) -> Parser:
    parser = Parser(sentences, prog=f"{DESK_COMMAND} evidence", description=described(__doc__))
    add_language(parser)
    add = parser.add_argument
    add("action", choices=("export", "check", "key", "head"), help="key: the desk's fingerprint; head: N:HASH to note")
    add("incident", nargs="?", metavar="INCIDENT", help="for export")
    add("--folder", type=Path, required=True, metavar="DIR", help="the desk's")
    add("--head", type=_head, metavar="N:HASH", help="for check: a head that was noted earlier")
    return parser


def _head(text: str) -> str:
    """For argparse: a mistyped head must not look like a register that was put back."""
    if not _HEAD.fullmatch(text):
        raise argparse.ArgumentTypeError(f"found {text!r}, must be N:HASH, as `evidence head` prints it")
    return text
