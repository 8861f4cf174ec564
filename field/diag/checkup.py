"""One visit to one column: the interview, who is there if nobody answers, and what this laptop can see by itself."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from field import bundle, code
from field.console import Console, ConsoleError, Refused
from field.diag import dates
from field.diag.absence import ARMED, find_out
from field.diag.finding import Finding, Untold
from field.diag.interview import STATUS, Build, Column, interview
from field.diag.judge import judge
from field.diag.network_checks import way_end
from field.keeping import PROVISIONED
from field.words import Trouble
from firmware import VERSION

_ALONE = ("nobody", "mute", "strange", ARMED)  # kinds of absence: no column


class Checkup:
    """One visit to one column. `trouble`: what ended it early, or None; `out`: where its key is, if it wants codes."""

    def __init__(self, port: str, build: Future[Build], out: Path = PROVISIONED) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.column = Column(port, Build("", {}, {}), now)
        self.trouble: ConsoleError | None = None
        self._build = build
        self._out = out
        self._has_opened = False
        self.left_open: Trouble | None = None
        """Why it would not be closed again, and what ends that."""

    def ask(
        self,
        say: Callable[[str], None],
        then: Callable[[Console], None],
        begins: Callable[[], None] = lambda: None,
    ) -> None:
        """All questions, and `then` what a person is asked, on the same connection; `begins` once there is one."""
        heard: list[str] = []
        try:
            with Console(self.column.port, heard.append) as console:
                begins()
                if not self._interviewed(console, say, heard):
                    return
                self._look_at_broker()
                then(console)
                if self._has_opened:
                    self._close(console)
        except ConsoleError as error:
            self.trouble = error

    def _close(self, console: Console) -> None:
        """Nobody is to find it open."""
        try:
            code.close_console(console)
        except code.CodeError as short:
            self.left_open = short
        except Refused as refused:
            self.left_open = Trouble("code.left-open", why=refused, port=console.port)

    def _interviewed(self, console: Console, say: Callable[[str], None], heard: list[str]) -> bool:
        for is_last in (False, True):
            try:
                interview(console, self.column, say, lambda: self._open(console))
                return True
            except ConsoleError:
                if STATUS in self.column.answers:
                    raise
                absence = find_out(console, heard)
            if is_last or absence.kind != ARMED:
                self.column.absence = absence
                return False
            heard.clear()
        raise AssertionError("unreachable")

    def _open(self, console: Console) -> None:
        """What it will not do without a code that nobody here can make, it says itself."""
        with contextlib.suppress(code.CodeError, Refused):
            self._has_opened = code.open_console(console, [self._out])

    @property
    def found_nobody(self) -> bool:
        """Nobody answers, or not to the end."""
        absence = self.column.absence
        return self.trouble is not None or absence is not None and absence.kind in _ALONE

    def findings(self) -> list[Finding]:
        self.column.build = self._build.result()
        return judge(self.column)

    def _look_at_broker(self) -> None:
        """The column refuses the broker's certificate: this laptop may see its dates."""
        try:
            end, broker = way_end(self.column), self.column.status["broker"]
        except (Untold, KeyError):
            return
        if end is not None and end.line == "tls" and end.says != "column-refused" and broker["address"]:
            seen = dates.broker_seen_from_here(broker["address"], broker["port"], broker["host"])
            self.column.seen_broker = seen


def our_build() -> Build:
    """What this laptop would flash. Raises bundle.BuildError."""
    made = bundle.make()
    files = {name: hashlib.sha256(data).hexdigest() for name, data in made.files.items()}
    libraries = {name.partition("/")[2]: hashlib.sha256(data).hexdigest() for name, data in made.libraries.items()}
    return Build(VERSION, files, libraries)
