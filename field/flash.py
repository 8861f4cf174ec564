"""`make flash PORT=... CONFIG=...`: bring a board's firmware and configuration up to date. A pulled cable does no harm.

A board holds its firmware and configuration in one of two folders, a and b, and the file `active` names the one in
force. Everything goes into the other folder, is verified there by its hash, and then one rename of `active` puts it in
force. The board falls back on the folder before when the new one does not become healthy (see boot.py).

One identity, one board: two boards that are to become one column are refused, a board that serves as another column
is overwritten with FORCE=1 only, and what went onto which board is written down (OUT/flashed.csv).
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from field import bundle, documents, flashed, memory
from field.board import GRACE_MS, Board, PortGone
from field.code import letting_in
from field.console import Console, ConsoleError
from field.plan import Plan, active_slot, plan
from field.telling import EXIT_FAILED, EXIT_INTERRUPTED, explained, in_words
from field.words import English, PortTrouble, Trouble, Words, asked_for, listed, tool_parser
from firmware import VERSION
from firmware.resets import ADDRESS_FILE
from firmware.startup.pins import CHIPS

MICROPYTHON_OLDEST = (1, 24)
COPIES_AT_ONCE = 8  # files: a second or two of the board's time
ARMED_WITHIN_S = 60.0
ARMED = "column: armed"
SESSION_WITHIN_S = 30.0
SESSION = "uplink: session with"
RESTARTING, WATCHDOG = "main: restarting", "cause=watchdog"
LINES_SHOWN = 10
FEED_EVERY_S = 5.0
PORT_BACK_WITHIN_S = 10.0
_ASK_AGAIN_S = 0.5
NOBODY = "-"


class Say(Protocol):
    """What happens now: the key of its text, bytes done and in all, and the file that it is about."""

    def __call__(self, key: str, done: int, total: int, name: str) -> None: ...


class FlashError(Trouble):
    """The board did not get there; says why, and what to do next."""


@dataclass
class Job:
    """A board, what it is to become, and what became known of it meanwhile."""

    port: str
    config: Path
    column: str = NOBODY  # device id
    board: str = NOBODY  # the chip's own id


class Roll:
    """Boards at several cables, of which only their own configuration tells which columns they are: nothing is sent to
    any of them before all have answered, so that two of one name are both refused."""

    def __init__(self, jobs: Sequence[Job] = ()) -> None:
        """Without jobs of that kind there is nothing to wait for."""
        self._ports: dict[str, list[str]] = {}
        self._silent = {job.port for job in jobs} if any(documents.is_fleet(job.config) for job in jobs) else set()
        self._changed = threading.Condition()
        self._is_over = False

    def answered(self, job: Job) -> None:
        """Also for a board that failed: the others wait for it no longer."""
        with self._changed:
            if job.port in self._silent and job.column != NOBODY:
                self._ports.setdefault(job.column, []).append(job.port)
            self._silent.discard(job.port)
            self._changed.notify_all()

    def is_whole(self, within_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._is_over or not self._silent, within_s)

    def stop(self) -> None:
        """Whoever typed Ctrl-C waits for none of them any longer."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def go_on(self, key: str) -> None:
        """Raises FlashError, with the text of that key, after `stop`."""
        if self._is_over:
            raise FlashError(key)

    def check(self, job: Job) -> None:
        """Raises FlashError when another board has the same name."""
        ports = self._ports.get(job.column, [])
        if len(ports) > 1:
            raise FlashError("flash.one-id", column=job.column, ports=", ".join(sorted(ports)))


def chip_of(machine: str) -> str:
    """ "esp32c3" and so on, known or not: MicroPython's machine name ends in "with ESP32C3"."""
    return machine.rpartition(" with ")[2].lower().replace("-", "")


def check_board(survey: dict[str, Any], mpy_version: int) -> str:
    """The board's chip, when the firmware runs on it. Raises FlashError."""
    chip = chip_of(str(survey["machine"]))
    if chip not in CHIPS:
        raise FlashError("flash.no-chip", machine=survey["machine"], chip=chip, chips=", ".join(CHIPS))
    version = tuple(survey["version"][:3])
    if version < MICROPYTHON_OLDEST:
        found, oldest = ".".join(map(str, version)), ".".join(map(str, MICROPYTHON_OLDEST))
        raise FlashError("flash.old", found=found, oldest=oldest)
    if survey["mpy"] & 0xFF != mpy_version:
        raise FlashError("flash.mpy", found=survey["mpy"] & 0xFF, wanted=mpy_version)
    return chip


def steps(board: Board, todo: Plan, made: bundle.Bundle, say: Say) -> Iterator[None]:
    """Carry the plan out, one round trip at a time; until the last step the old firmware is in force."""
    total = sum(len(todo.wanted[name]) for name in todo.sends) + sum(len(made.files[name]) for name in todo.roots)
    done = 0
    for name in todo.strays:  # none of them is a source of a copy
        board.remove(name)
        yield
    for start in range(0, len(todo.copies), COPIES_AT_ONCE):
        batch = list(todo.copies.items())[start : start + COPIES_AT_ONCE]
        say("flash.copying", done, total, "")
        board.copy([(source, f"{todo.slot}/{name}") for name, source in batch])
        yield
    outgoing = [(f"{todo.slot}/{name}", todo.wanted[name]) for name in todo.sends]
    outgoing += [(f"{name}.new", made.files[name]) for name in todo.roots]
    for name, data in outgoing:
        for count in board.send(name, data):
            done += count
            say("flash.sending", done, total, name)
            yield
    say("flash.verifying", done, total, "")
    _verify(board, {f"{todo.slot}/{name}": data for name, data in todo.wanted.items()})
    _verify(board, {f"{name}.new": made.files[name] for name in todo.roots})
    yield
    for name in sorted(todo.roots, reverse=True):  # main.py first: it runs behind an old boot.py as well
        board.rename(f"{name}.new", name)
        yield
    board.run(f"activate({todo.slot!r})")


def _verify(board: Board, wanted: dict[str, bytes]) -> None:
    found = board.digests(sorted(wanted))
    wrong = [name for name in sorted(wanted) if found[name] != hashlib.sha256(wanted[name]).hexdigest()]
    if wrong:
        raise FlashError("flash.damaged", names=", ".join(wrong))


def flash(
    job: Job,
    say: Say,
    *,
    made: bundle.Bundle | None = None,
    grace_ms: int = GRACE_MS,
    session_within_s: float = SESSION_WITHIN_S,
    force: bool = False,
    roll: Roll | None = None,
) -> Trouble:
    """Do it all; returns the verdict. `job.config`: a document, a column's folder, or a fleet's for boards that are
    columns already. `force`: a board that serves as another column is overwritten, and one that is no column yet may
    have too little memory for one.

    Raises a Trouble: then the old firmware is in force, unless its text says another thing.
    """
    made, roll = made or bundle.make(), roll or Roll()
    if not documents.is_fleet(job.config):
        job.column = documents.device_id(job.config)
    with Board(job.port, grace_ms, _letting_in(job, roll)) as board:
        survey = board.survey()
        job.board, carried = str(survey["uid"]), survey["device_id"]
        config = job.config
        if documents.is_fleet(config):
            job.column = carried or NOBODY
            config = documents.of_fleet(config, carried)
        roll.answered(job)
        while not roll.is_whole(FEED_EVERY_S):
            board.feed()
        roll.go_on("flash.interrupted")
        roll.check(job)
        if carried not in (None, job.column) and not force:
            raise FlashError("flash.serves", carried=carried, wanted=job.column)
        chip = check_board(survey, made.mpy_version)
        wanted = documents.files(config, chip)
        document = documents.read_document(config)
        too_small = memory.complaint(survey, document, chip)
        if too_small and carried is not None:  # of what it measured the column itself has had its part already
            board.clear()
            too_small = memory.complaint({**survey, **board.room()}, document, chip)
        if too_small and not force and not active_slot(survey):
            raise FlashError(too_small.key, **too_small.values)
        todo = plan(survey, made, wanted)
        if not todo.is_current:
            room = survey["free_bytes"] - sum(len(data) for data in todo.wanted.values())
            if room < 0:
                raise FlashError("flash.no-room", bytes=-room)
            for _ in steps(board, todo, made, say):
                roll.go_on("flash.interrupted")
        board.restart()
        started = watch_start(board, session_within_s, roll, had_session=ADDRESS_FILE in survey["files"])
    what = Trouble("flash.current") if todo.is_current else Trouble("flash.in-force", slot=todo.slot)
    verdict = Trouble("flash.verdict", what=what, started=started)
    return Trouble("flash.warned", verdict=verdict, warning=too_small) if too_small else verdict


def _letting_in(job: Job, roll: Roll) -> Callable[[str], None]:
    """Whoever typed Ctrl-C at a board that does not answer waits for one attempt, and is asked for no code."""
    let_in = letting_in(job.config)

    def unless_stopped(port: str) -> None:
        roll.go_on("flash.interrupted")
        let_in(port)

    return unless_stopped


def watch_start(board: Board, session_within_s: float, roll: Roll, *, had_session: bool = False) -> Trouble:
    """What the column says of itself after the reset. Raises FlashError when it does not become armed, or has no
    session where it had one before."""
    start_s = time.monotonic()
    try:
        return _listen(board, start_s, session_within_s, roll, had_session)
    except PortGone:
        board.close()
        if not _is_back(board.port):
            raise
        return _ask(board.port, start_s, session_within_s, roll, had_session)


def _is_back(port: str) -> bool:
    """Native USB goes away with the chip, for some seconds."""
    deadline_s = time.monotonic() + PORT_BACK_WITHIN_S
    while not Path(port).exists():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_ASK_AGAIN_S)
    return True


def _listen(board: Board, start_s: float, session_within_s: float, roll: Roll, had_session: bool) -> Trouble:
    said, armed_s = list[str](), 0.0
    for line in board.lines(ARMED_WITHIN_S):
        roll.go_on("flash.unwatched")
        said += [line] if line else []
        passed_s = time.monotonic() - start_s
        if RESTARTING in line or WATCHDOG in line:
            raise FlashError("flash.not-starting", said=_last(said))
        if ARMED in line:
            armed_s = passed_s
        elif armed_s and SESSION in line:
            return _connected(armed_s, line.partition(SESSION)[2].strip(), passed_s)
        if armed_s and passed_s > session_within_s:
            return _unconnected(armed_s, session_within_s, had_session)
    raise FlashError("flash.not-armed", seconds=round(ARMED_WITHIN_S), said=_last(said))


def _ask(port: str, start_s: float, session_within_s: float, roll: Roll, had_session: bool) -> Trouble:
    """What a column says before its port is back is lost: so it is asked."""
    armed_s, trouble = 0.0, None
    while (passed_s := time.monotonic() - start_s) < ARMED_WITHIN_S:
        roll.go_on("flash.unwatched")
        try:
            with Console(port) as console:
                status = console.ask("status")
            broker = status.get("broker")
            if broker is None:
                errors = listed(status.get("errors") or ["-"])
                raise FlashError("flash.unconfigured", errors=English(errors))
            armed_s = armed_s or passed_s
            if broker.get("session"):
                return _connected(armed_s, f"{broker['host']}:{broker['port']}", passed_s)
            if passed_s > session_within_s:
                return _unconnected(armed_s, session_within_s, had_session)
        except ConsoleError as error:
            trouble = error
        time.sleep(_ASK_AGAIN_S)
    raise FlashError("flash.not-answering", seconds=round(ARMED_WITHIN_S), why=trouble)


def _connected(armed_s: float, where: str, after_s: float) -> Trouble:
    return Trouble("flash.connected", armed=f"{armed_s:.1f}", where=where, seconds=f"{after_s:.1f}")


def _unconnected(armed_s: float, session_within_s: float, had_session: bool) -> Trouble:
    """Raises FlashError where there was a session before."""
    if had_session and session_within_s:
        raise FlashError("flash.lost-session", seconds=round(session_within_s))
    return Trouble("flash.not-connected", armed=f"{armed_s:.1f}", seconds=round(session_within_s))


def _last(said: list[str]) -> str:
    return listed(said[-LINES_SHOWN:]) or "-"


def jobs_of(texts: Sequence[str]) -> list[Job]:
    """From PORT=CONFIG. Raises FlashError for what no board has to be asked about: a port or a column named twice."""
    jobs = []
    for text in texts:
        port, _, config = text.partition("=")
        if not port or not config:
            raise FlashError("flash.argument", found=text)
        jobs.append(Job(port, Path(config)))
    for job in jobs:
        same = [one.port for one in jobs if Path(one.port).resolve() == Path(job.port).resolve()]
        if len(same) > 1:
            raise FlashError("flash.one-port", ports=", ".join(same))
    columns: dict[str, list[str]] = {}
    for job in jobs:
        if documents.is_fleet(job.config):
            documents.columns_of(job.config)
        else:
            columns.setdefault(str(documents.read_document(job.config).get("device_id")), []).append(job.port)
    for column, ports in columns.items():
        if len(ports) > 1:
            raise FlashError("flash.one-id", column=column, ports=", ".join(ports))
    return jobs


class Bench:
    """Flashes several boards at once; each verdict names its port and its column, and goes into the log."""

    def __init__(self, jobs: list[Job], log: Path, words: Words, progress: Progress, *, force: bool) -> None:
        self._jobs, self._log, self._words, self._progress = jobs, log, words, progress
        self._force = force
        self._roll = Roll(jobs)
        self.is_interrupted = False

    def flash(self) -> list[tuple[bool, str]]:
        """(is it on duty, its lines) of each board; after Ctrl-C, how far each one got."""
        with ThreadPoolExecutor(len(self._jobs)) as pool:
            each = list[Future[tuple[bool, str]]]()
            try:
                each += [pool.submit(self._one, job) for job in self._jobs]
                wait(each)
            except KeyboardInterrupt:
                self.is_interrupted = True
                self._roll.stop()
            return [one.result() for one in each]

    def _one(self, job: Job) -> tuple[bool, str]:
        task = self._progress.add_task(self._words("flash.connecting"), port=job.port, total=None)

        def say(key: str, done: int, total: int, name: str) -> None:
            self._progress.update(task, description=self._words(key, name=name), completed=done, total=total)

        try:
            verdict: Trouble = flash(job, say, session_within_s=SESSION_WITHIN_S, force=self._force, roll=self._roll)
            is_good = True
        except Trouble as trouble:
            verdict, is_good = trouble, False
        except OSError as error:
            verdict, is_good = explained(error), False
        except Exception as error:  # one board's surprise must not take the others' verdicts away
            verdict, is_good = Trouble("flash.surprise", kind=type(error).__name__, error=error), False
        finally:
            self._roll.answered(job)
        self._over(task, is_good)
        what = verdict.what(self._words) if isinstance(verdict, PortTrouble) else verdict.told(self._words)
        line = f"{job.port}: {what}"
        if job.column != NOBODY:
            line = self._words("flash.line", port=job.port, column=job.column, what=what)
        lines = [line if is_good else self._words("error", why=line), *self._noted(job, what, is_good)]
        return is_good, "\n".join(lines)

    def _over(self, task: TaskID, is_good: bool) -> None:
        self._progress.update(task, description=self._words("flash.armed" if is_good else "flash.failed"))
        if is_good:
            self._progress.update(task, completed=1, total=1)

    def _noted(self, job: Job, what: str, is_good: bool) -> list[str]:
        """Write it down, and `what` went wrong; returns what the log knows of that column on another board, and why it
        cannot be written."""
        if job.board == NOBODY:
            return []
        result = flashed.OK if is_good else what.partition("\n")[0]
        warnings = []
        try:
            before = flashed.elsewhere(self._log, job.board, job.column) if is_good else None
            if before is not None:
                warnings = [self._words("flash.was-elsewhere", column=job.column, board=before.board, at=before.at)]
            flashed.note(self._log, flashed.Entry(flashed.now(), job.board, job.column, VERSION, job.port, result))
        except OSError as error:
            warnings.append(self._words("flash.not-noted", why=explained(error)))
        return warnings


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.flash", __doc__)
    help_text = (
        "serial port and configuration: a document, a column's folder as provisioned, or the folder of them all for a"
        " board that is one of these columns already; several are done at once"
    )
    parser.add_argument("boards", nargs="+", metavar="PORT=CONFIG", help=help_text)
    parser.add_argument(
        "--force", action="store_true", help="also a board that serves as another column, or has too little memory"
    )
    log_help = "where to write down what went onto which board (default: %(default)s)"
    parser.add_argument("--log", type=Path, default=Path("provisioned/flashed.csv"), help=log_help)
    arguments = parser.parse_args(argv)
    jobs = jobs_of(arguments.boards)
    texts = [TextColumn(f"{{task.{what}}}", markup=False) for what in ("fields[port]", "description")]
    columns = texts[0], BarColumn(), texts[1]
    with Progress(*columns) as progress:
        bench = Bench(jobs, arguments.log, words, progress, force=arguments.force)
        verdicts = bench.flash()
    for is_good, text in verdicts:
        print(text, file=sys.stdout if is_good else sys.stderr)
    if all(is_good for is_good, _ in verdicts):
        return 0
    return EXIT_INTERRUPTED if bench.is_interrupted else EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
