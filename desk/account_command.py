"""`python -m desk account ...`: who may use the desk. It may run beside the desk; each change is in the audit log."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from common.arguments import Parser, add_language
from common.home import DESK_COMMAND, DESK_TYPED
from common.sentences import Sentences
from desk import own_folder
from desk.broker_options import SetupError
from desk.register_file import REGISTER_FILE
from desk.spoken import spoken
from desk.trouble import of_opening
from desk.web import roles
from desk.web.accounts import Accounts
from desk.web.audit import Audit

WITHOUT_FACTOR = "reset-second-factor"
USAGE = f"{DESK_TYPED} account add|remove|list|{WITHOUT_FACTOR} [NAME] --folder DIR [--role ROLE]"


def main(argv: list[str]) -> int:
    """Returns the exit status. Raises SetupError, AccountError, SecondFactorError and OSError."""
    sentences = spoken(argv)
    arguments = _parser(sentences).parse_args(argv)
    folder, action, name = arguments.folder, arguments.action, arguments.name
    own_folder.check(folder, may_be_new=action == "add")  # no other makes one: its name may be mistyped
    accounts = Accounts(folder)

    def note(text: str) -> None:
        """Beside the output, which programs read."""
        print(sentences.said(text), file=sys.stderr)

    if action == "list":
        if not accounts.all():
            note(f"no accounts in {folder} yet")
        for account in accounts.all():
            factor = "" if accounts.factors.left(account.name) is None else "\ttotp"
            print(f"{account.role}\t{account.name}{factor}")
        return 0
    if name is None:
        raise SetupError(f"whose account? {USAGE}")
    if action == "add":
        password = _new_password(sentences)
        accounts.refuse(name, password, arguments.role)
        try:
            own_folder.made(folder)  # for right input only
        except OSError as error:
            raise SetupError(of_opening(error, folder / REGISTER_FILE).text) from None
        was_known = any(one.name == name for one in accounts.all())
        accounts.add(name, password, arguments.role)
        if was_known:
            note(f"{name!r} has a new password, role: {arguments.role}")
        else:
            note(f"{name!r} can log in, role: {arguments.role}")
        if not (folder / REGISTER_FILE).exists():
            note(f"no desk has run in {folder} yet: the account counts for one that gets this --folder")
    elif action == "remove":
        accounts.remove(name)
        note(f"{name!r} is removed: it opens nothing any more")
    elif accounts.known(name) and accounts.factors.remove(name):
        note(f"{name!r} logs in with the password alone until a new second factor is set up")
    else:
        raise SetupError(f"{name!r} has no second factor")
    role = f", {arguments.role}" if action == "add" else ""
    Audit(folder).enter(f"account {action}{role}", name, f"command line, {_user()}")
    return 0


def _user() -> str:
    """Who types: behind sudo its caller."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # none of this machine's list
        return str(os.getuid())


def _new_password(sentences: Sentences) -> str:
    """Asked twice on a terminal, else the first line of the standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    try:
        password = getpass.getpass(sentences.said("password: "))
        again = getpass.getpass(sentences.said("again: "))
    except EOFError as error:
        raise SetupError("no password was typed: nothing was changed") from error
    if again != password:
        raise SetupError("the two passwords differ: nothing was changed")
    return password


def _parser(sentences: Sentences) -> Parser:
    parser = Parser(sentences, prog=f"{DESK_COMMAND} account", description="Who may use the desk.")
    add_language(parser)
    add = parser.add_argument
    add("action", choices=("add", "remove", "list", WITHOUT_FACTOR), help="add also gives a new password")
    add("name", nargs="?", metavar="NAME")
    add("--folder", type=Path, required=True, metavar="DIR", help="the desk's")
    role = "an auditor reads everything and changes nothing (default: %(default)s)"
    add("--role", choices=roles.ROLES, default=roles.OPERATOR, help=role)
    # As chiefs were called before.
    add("--admin", dest="role", action="store_const", const=roles.CHIEF, help=argparse.SUPPRESS)
    return parser
