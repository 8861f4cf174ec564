"""`python -m desk.rollout`: a signed release for a fleet, or new certificates, column by column.

    start    begin, or go on after a kill: --folder remembers
    status   how far it is
    pause    tell nobody else; who is under way goes on
    resume   go on, also after it stopped by itself
    abort    the end: who only fetches gives up

It needs the release with its signature and the public keys that columns trust, or the file that `make renew` wrote; it
holds no key that signs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from common import release as releases
from common.arguments import EXIT_USAGE, Parser, add_language
from common.release import Release, ReleaseError
from common.sentences import Sentences
from desk import broker_options, own_folder
from desk.broker_options import SetupError
from desk.column_keys import ColumnKeys
from desk.private_file import PrivateFileError
from desk.rollout import plan as rules
from desk.rollout.alone import alone
from desk.rollout.book import FILE, Book
from desk.rollout.offer import Offer, OneRelease, Renewals
from desk.rollout.plan import Limits, Plan
from desk.rollout.service import Service, wall_ms
from desk.spoken import LOG_WORDS, begin_log, spoken
from desk.trouble import in_words

EXIT_STOPPED = 1
WISHES = ("pause", "resume", "abort")
WORDS = Path(__file__).with_name("words")
Said = Callable[[str], str]  # in the language of whoever typed the command


def main(argv: list[str]) -> int:
    """Exit status of `start`: 0 all columns have it, 1 it stopped or was aborted, 2 it could not begin."""
    begin_log(argv)
    sentences = spoken(argv, WORDS, LOG_WORDS)
    arguments = _parser(sentences).parse_args(argv)
    try:
        if arguments.what == "start":
            return _start(arguments, sentences.said)
        if not (arguments.folder / FILE).exists():
            raise SetupError(f"{arguments.folder}: there is no rollout")
        return _status(arguments, sentences.said) if arguments.what == "status" else _wish(arguments, sentences.said)
    except (SetupError, ReleaseError, PrivateFileError, sqlite3.Error, OSError) as error:
        print(sentences.said(f"error: {in_words(error)}"), file=sys.stderr)
        return EXIT_USAGE


def _start(arguments: argparse.Namespace, said: Said) -> int:
    if arguments.broker is None or (arguments.renewals is None) == (arguments.release is None):
        raise SetupError("start needs --broker, and --release with --keys, or --renewals")
    broker_options.check(arguments)
    login = broker_options.login(arguments)
    offer: Offer = Renewals(arguments.renewals) if arguments.renewals else OneRelease(_release(arguments))
    own_folder.made(arguments.folder)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(alone(arguments.folder))
        except BlockingIOError as error:
            raise SetupError(f"{arguments.folder}: a rollout runs there already") from error
        book = Book(arguments.folder)
        plan = _plan(arguments, offer, book, said)
        keys = ColumnKeys(arguments.column_keys, arguments.folder)
        service = Service(plan, offer, book, login, lambda text: _say(said(text)), keys)
        state = service.run(over.is_set)
        book.close()
    return 0 if state == rules.DONE or over.is_set() else EXIT_STOPPED


def _release(arguments: argparse.Namespace) -> Release:
    if not arguments.keys:
        raise SetupError("--release needs --keys: whom columns trust")
    return releases.load_signed(arguments.release, releases.load_public_keys(arguments.keys))


def _plan(arguments: argparse.Namespace, release: Offer, book: Book, said: Said) -> Plan:
    limits = Limits(**{name: getattr(arguments, name) for name in Limits._fields})
    if book.release() not in (None, release.digest):
        raise SetupError(f"{arguments.folder} is about another release, or another file: one folder for each")
    plan = book.restore(limits)
    if plan is None:
        plan = Plan(release.digest, release.version, limits, arguments.first)
        book.keep(plan, wall_ms(), [f"release {release.digest}, version {release.version}"])
    elif plan.state in (rules.STOPPED, rules.ABORTED) and book.wished() != "resume":
        print(said(f"it had ended: {plan.state}: {plan.why}; `resume` before `start` lets it go on"), flush=True)
    plan.offer = release
    return plan


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _wish(arguments: argparse.Namespace, said: Said) -> int:
    book = Book(arguments.folder)
    if not book.wish(arguments.what):
        raise SetupError(f"{arguments.folder}: there is no rollout")
    print(said(f"{arguments.what}: noted; the rollout that runs takes it at once, another one when it starts"))
    return 0


def _status(arguments: argparse.Namespace, said: Said) -> int:
    book = Book(arguments.folder)
    plan = book.restore(Limits())
    if plan is None:
        raise SetupError(f"{arguments.folder}: there is no rollout")
    if arguments.json:
        columns = {one.device_id: {"state": one.state, "why": one.why} for one in plan.columns.values()}
        document = {"release": plan.digest, "version": plan.version, "state": plan.state, "why": plan.why}
        print(json.dumps({**document, "stage": plan.stage + 1, "columns": columns}, ensure_ascii=False))
        return 0
    head = f"{said(plan.version)} ({plan.digest[:16]}): {plan.state}, stage {plan.stage + 1}"
    print(said(head + (f": {plan.why}" * bool(plan.why))))
    for state, count in sorted(Counter(one.state for one in plan.columns.values()).items()):
        print(f"  {count:5} {said(state)}")
    for one in plan.columns.values():
        if one.state != rules.KEPT:  # who is left
            print(said(f"  {one.device_id} {one.state}" + f": {one.why}" * bool(one.why)))
    return 0


def _parser(sentences: Sentences) -> Parser:
    parser = Parser(sentences, prog="python -m desk.rollout", description=__doc__)
    parser.formatter_class = argparse.RawTextHelpFormatter
    add_language(parser)
    add = parser.add_argument
    add("what", choices=("start", "status", *WISHES))
    add("--folder", type=Path, required=True, metavar="DIR", help="where it keeps how far it is: one for each release")
    add("--json", action="store_true", help="status as JSON")
    add("--release", type=Path, metavar="DIR", help="made by `make release`, and signed")
    add("--renewals", type=Path, metavar="FILE", help="made by `make renew`, instead of a release")
    add("--keys", type=Path, nargs="+", default=[], metavar="PEM", help="public keys that columns trust")
    broker_options.add(parser, required=False)
    add("--first", default="", metavar="ID", help="the column that gets it first")
    for name, value in Limits()._asdict().items():
        kind = type(value)
        add(f"--{name.replace('_', '-')}", type=kind, default=value, metavar=kind.__name__.upper(), help=_HELP[name])
    return parser


_HELP = {
    "returned": "columns that went back to the old firmware (default: %(default)s)",
    "refused": "columns that refused it (default: %(default)s)",
    "lost": "columns that did not get there in time (default: %(default)s)",
    "silent": "updated columns without a sign of life (default: %(default)s)",
    "unanswered": "updated columns whose drill nobody answers (default: %(default)s)",
    "silent_s": "... for so long (default: %(default)s)",
    "watch_s": "pause between the stages (default: %(default)s)",
    "column_s": "time for one column (default: %(default)s)",
    "apart_m": "columns that stand closer are never under way at once (default: %(default)s)",
    "at_once": "how many at a time (default: %(default)s)",
}
