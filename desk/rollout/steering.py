"""The rollouts of a desk: each is a folder with a book, and `python -m desk.rollout start` runs it in a process of its
own, as on a command line. Here is only who starts that process, and when again; what it does is its own.

What was asked for is on the disk before it is done: `start.json` says how to start, the book how far it is and what was
wished. So a rollout goes on after a kill of either process, and one that was started by hand in this folder is shown
and steered like any other.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa

from common import release as releases
from common.home import ROOT
from common.release import ReleaseError
from desk import own_folder
from desk.ledger import LedgerError
from desk.rollout import plan as rules
from desk.rollout.alone import is_running
from desk.rollout.book import FILE, Book
from desk.rollout.plan import STAGES, Limits, Plan
from desk.web.files import replace

FOLDER, START_FILE, OUTPUT_FILE = "rollouts", "start.json", "output.log"
DIGITS = 8  # of a release's digest, in its folder's name
AGAIN_S = 30.0  # after a process that could not begin
END_S = 5.0
LOG_SHOWN, OUTPUT_SHOWN = 50, 400
Document = dict[str, Any]
Stamps = tuple[tuple[str, int, int, int], ...]
"""(file, size, times) of some files."""


class Offered(NamedTuple):
    """A folder that may be sent out. `trouble`: why not, else ""."""

    name: str
    trouble: str
    version: str = ""
    digest: str = ""


class Start(NamedTuple):
    """How a rollout was started. `first`: the column that gets it first, "" for any; `watch_s`: between the stages."""

    release: str
    first: str
    watch_s: float


class Steering:
    """`folder`: of the rollouts. `shelf`: a folder with releases, each in a folder of its own; `keys`: files with
    public keys that columns trust; `broker`: options about it, as for the command. Not for two threads at once."""

    def __init__(
        self,
        folder: Path,
        shelf: Path | None = None,
        keys: Sequence[Path] = (),
        broker: Sequence[str] = (),
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._shelf, self._keys, self._broker, self._now_s = folder, shelf, keys, broker, now_s
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._failed_s: dict[str, float] = {}
        self._looked_at: dict[Path, tuple[Stamps, Offered]] = {}
        """What was found on the shelf, as it was then."""
        self._rests: dict[str, Stamps] = {}
        """The books of those that need no process, as they were then: they lie there for years."""

    @property
    def is_able(self) -> bool:
        """Whether it may start something."""
        return self._shelf is not None

    # -- what there is

    def offered(self) -> list[Offered]:
        """The releases on the shelf."""
        if self._shelf is None or not self._shelf.is_dir():
            return []
        keys = releases.load_public_keys(self._keys)
        found = sorted(path for path in self._shelf.iterdir() if (path / releases.MANIFEST_FILE).is_file())
        before, self._looked_at = self._looked_at, {}
        for path in found:  # the page asks every few seconds, and a release is some hundred files to be hashed
            stamps = _stamps([*self._keys, *sorted(path.rglob("*"))])
            was, offer = before.get(path, ((), None))
            self._looked_at[path] = stamps, offer if offer and was == stamps else _offer(path, keys)
        return [offer for _, offer in self._looked_at.values()]

    def shown(self) -> list[Document]:
        """All rollouts, the newest first."""
        return [self._shown(path) for path in sorted(self._folders(), key=_began_ms, reverse=True)]

    def _shown(self, path: Path) -> Document:
        start = _start_of(path)
        found = {
            "name": path.name, "runs": is_running(path), "able": start is not None and self.is_able,
            "first": start.first if start else "", "watch_s": start.watch_s if start else None,
            "state": rules.WAITING, "why": "", "version": "", "digest": "", "stage": 0, "stages": [], "columns": [],
            "log": [], "wish": "", "trouble": self._trouble(path),
        }  # fmt: skip
        plan, log, wish = _read(path)
        if plan is None:
            return found
        columns = [{"device_id": one.device_id, "state": one.state, "why": one.why} for one in plan.columns.values()]
        return {
            **found, "state": plan.state, "why": plan.why, "version": plan.version, "digest": plan.digest, "wish": wish,
            "stage": plan.stage + 1, "stages": [plan.target(stage) for stage in range(len(STAGES))],
            "columns": sorted(columns, key=lambda one: str(one["device_id"])),
            "log": [{"at_ms": at_ms, "text": text} for at_ms, text in log[-LOG_SHOWN:]],
        }  # fmt: skip

    def _trouble(self, path: Path) -> str:
        """Why its process could not begin, in its own words."""
        if path.name not in self._failed_s:
            return ""
        lines = (path / OUTPUT_FILE).read_text("utf-8", errors="replace").strip().splitlines()
        return (lines[-1] if lines else "")[:OUTPUT_SHOWN]

    def _folders(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return [path for path in self._folder.iterdir() if (path / FILE).is_file() or (path / START_FILE).is_file()]

    # -- what a chief does

    def start(self, name: str, first: str, watch_s: float) -> Offered:
        """Begin with the release of that name on the shelf. Raises LedgerError."""
        self._looked_at.clear()  # whatever the files' times say
        offer = next((one for one in self.offered() if one.name == name), None)
        if offer is None or offer.trouble or self._shelf is None:
            raise LedgerError("that release is not to be had", code="no-release")
        self._refuse_second("")
        path = self._folder / f"{offer.version}-{offer.digest[:DIGITS]}"
        if (path / START_FILE).exists() or (path / FILE).exists():  # a folder alone is one that could not be begun
            raise LedgerError("there is a rollout of that release already", code="rollout-there")
        own_folder.made(path)
        replace(path / START_FILE, json.dumps(Start(name, first, watch_s)._asdict()))
        self.look()
        return offer

    def wish(self, name: str, what: str) -> None:
        """`pause`, `resume` or `abort`; the process takes it, now or when it runs again. Raises LedgerError."""
        path = next((path for path in self._folders() if path.name == name), None)
        if path is None or not (path / FILE).is_file():
            raise LedgerError("there is no such rollout", code="no-rollout")
        plan, _, _ = _read(path)
        if plan is None or plan.state in (rules.DONE, rules.ABORTED):
            raise LedgerError("that rollout is over", code="rollout-over")
        if what == "resume":
            self._refuse_second(name)
        book = Book(path)
        try:
            book.wish(what)
        finally:
            book.close()
        self._failed_s.pop(name, None)
        self.look()

    def _refuse_second(self, name: str) -> None:
        """Two at once would take each other's columns."""
        for path in self._folders():
            plan, _, wish = _read(path)
            goes_on = plan is None or not plan.is_over or (plan.state == rules.STOPPED and wish == "resume")
            if path.name != name and goes_on:
                raise LedgerError("another rollout is under way", code="rollout-runs")

    # -- processes

    def look(self) -> None:
        """Start what should run and does not. Call it every second or so."""
        for name, process in list(self._running.items()):
            if (code := process.poll()) is not None:
                del self._running[name]
                if code not in (0, 1):  # it could not begin, or was killed
                    self._failed_s[name] = self._now_s()
        for path in self._folders():
            rests = self._rests.get(path.name)
            if path.name in self._running or (rests is not None and rests == _version(path)):
                continue
            if not is_running(path) and self._should_run(path):
                self._run(path)

    def _should_run(self, path: Path) -> bool:
        failed_s = self._failed_s.get(path.name)
        if not self.is_able or _start_of(path) is None or (failed_s is not None and self._now_s() - failed_s < AGAIN_S):
            return False
        plan, _, wish = _read(path)
        if plan is None or not plan.is_over or (plan.state == rules.STOPPED and wish in ("resume", "abort")):
            return True
        self._rests[path.name] = _version(path)
        return False

    def _run(self, path: Path) -> None:
        start = _start_of(path)
        assert start is not None and self._shelf is not None
        command = [
            *(sys.executable, "-m", "desk.rollout", "start", "--lang", "en", "--folder", str(path.resolve())),
            *self._broker,
            *("--release", str((self._shelf / start.release).resolve()), "--first", start.first),
            *("--watch-s", str(start.watch_s), "--keys", *(str(file.resolve()) for file in self._keys)),
        ]
        inherited = os.environ.get("PYTHONPATH")
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{inherited}" if inherited else str(ROOT)}
        with (path / OUTPUT_FILE).open("ab") as output:
            self._running[path.name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )

    def stop(self) -> None:
        """End the processes; their books stay, and the next start of the desk goes on."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


def _offer(path: Path, keys: Sequence[rsa.RSAPublicKey]) -> Offered:
    try:
        release = releases.load_signed(path, keys)
    except ReleaseError as error:
        return Offered(path.name, str(error))
    return Offered(path.name, "", release.version, release.digest)


def _began_ms(path: Path) -> float:
    return path.stat().st_ctime if not (path / START_FILE).exists() else (path / START_FILE).stat().st_mtime


def _start_of(path: Path) -> Start | None:
    """None: it was started by hand."""
    try:
        return Start(**json.loads((path / START_FILE).read_bytes()))
    except (OSError, ValueError, RecursionError, TypeError):
        return None


def _read(path: Path) -> tuple[Plan | None, list[tuple[int, str]], str]:
    """What the book says; no plan: nothing has begun there."""
    if not (path / FILE).is_file():
        return None, [], ""
    book = Book(path)
    try:
        return book.restore(Limits()), book.log(), book.wished()
    finally:
        book.close()


def _stamps(files: Iterable[Path]) -> Stamps:
    """Change when one of the files does."""
    known = ((file, file.stat()) for file in files if file.exists())
    return tuple((str(file), seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns) for file, seen in known)


def _version(path: Path) -> Stamps:
    """Changes when the book is written."""
    return _stamps((path / FILE, path / f"{FILE}-wal"))
