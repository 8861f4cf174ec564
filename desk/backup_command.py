"""`python -m desk backup --folder DIR --to DIR`: the desk's whole memory in a new folder, beside the running desk.

What is there afterwards is a folder that a desk can be started on, once the other has ended: register, keys of the
evidence, accounts, audit log. Not in it: who is logged in; what is under way just now (a telephone that rings, steps
that wait for room), which an old copy must not do again; and recordings, which have a folder of their own.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from common.arguments import EXIT_USAGE, Parser, add_language, described
from common.home import DESK_COMMAND
from common.sentences import Sentences
from desk import own_folder
from desk.broker_options import SetupError
from desk.evidence import HEAD_SUFFIX, KEYS_FILE
from desk.register_file import REGISTER_FILE, read_only
from desk.spoken import spoken
from desk.trouble import in_words
from desk.web import audit

FIRST = (REGISTER_FILE + HEAD_SUFFIX, audit.HEAD_FILE)
"""Of what grows meanwhile the end is noted first, so that the copy is never behind it."""
LAST = (KEYS_FILE,)
"""All that signed what is in the copy of the register."""
LEFT = ("register.sqlite*", "sessions.json*", "*.lock", "*.notes", "*.room", ".*")
PRIVATE = 0o700


BESIDE = (
    "keep beside it what is not in it: recordings (--record), provisioning's files, the certificates, the service's "
    "unit; never start the copy while the desk runs"
)


class BackupError(ValueError):
    """There is no copy; says why."""


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    sentences = spoken(argv)
    arguments = _parser(sentences).parse_args(argv)
    try:
        names = backup(arguments.folder, arguments.to)
    except (BackupError, SetupError, sqlite3.Error, OSError) as error:  # SQLite's: the register was looked at before
        print(sentences.said(f"error: {in_words(error, arguments.to)}"), file=sys.stderr)
        return EXIT_USAGE
    for line in (f"{arguments.to}: the copy is whole: {', '.join(names)}", BESIDE):
        print(sentences.said(line))
    return 0


def _parser(sentences: Sentences) -> Parser:
    parser = Parser(sentences, prog=f"{DESK_COMMAND} backup", description=described(__doc__))
    add_language(parser)
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="the desk's")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the copy's: a new one")
    return parser


def backup(folder: Path, to: Path) -> list[str]:
    """All of it or nothing: the names of what is in the copy. Raises BackupError, SetupError, sqlite3.Error and
    OSError."""
    own_folder.register_in(folder)
    if to.exists():
        raise BackupError(f"{to}: is there already: each copy has a folder of its own")
    if folder.resolve() in to.resolve().parents:
        raise BackupError(f"{to}: lies in the desk's own folder, which it is to outlive")
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        _make(folder, to)
    except OSError as error:
        raise _as_typed(error, to) from None
    return sorted(path.name for path in to.iterdir())


def _make(folder: Path, to: Path) -> None:
    made = Path(tempfile.mkdtemp(prefix=_hidden(to), dir=to.parent))  # its owner's only
    try:
        _copy(folder, made)
        made.rename(to)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _hidden(to: Path) -> str:
    return f".{to.name}-"


def _as_typed(error: OSError, to: Path) -> OSError:
    """The same of the folder that was typed: it is made under another name, which says nothing to anybody."""
    path = Path(os.fsdecode(error.filename)) if error.filename else to.parent
    inside = path.parts[len(to.parent.parts) :]
    if error.strerror and to.parent in path.parents and inside[0].startswith(_hidden(to)):
        return OSError(error.errno, error.strerror, str(to.joinpath(*inside[1:])))
    return error


def _copy(folder: Path, to: Path) -> None:
    names = [path.name for path in folder.iterdir() if not _is_left(path)]
    between = [name for name in sorted(names) if name not in (*FIRST, *LAST)]
    for name in FIRST:
        _copy_one(folder / name, to / name)
    _copy_register(folder / REGISTER_FILE, to / REGISTER_FILE)
    for name in (*between, *LAST):
        _copy_one(folder / name, to / name)
    owner = folder.stat()
    for path in (to, *to.rglob("*")):
        path.chmod(PRIVATE if path.is_dir() else PRIVATE & ~0o111)
        if os.geteuid() == 0:  # the desk could not read what is root's
            os.chown(path, owner.st_uid, owner.st_gid)


def _is_left(path: Path) -> bool:
    return any(path.match(pattern) for pattern in LEFT)


def _copy_register(path: Path, to: Path) -> None:
    source, copy = read_only(path), sqlite3.connect(to)
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()


def _copy_one(path: Path, to: Path) -> None:
    if path.is_dir():
        to.mkdir()
        for one in path.iterdir():
            if not _is_left(one):
                _copy_one(one, to / one.name)
    elif path.is_file():  # not every desk has each of them
        shutil.copyfile(path, to)
