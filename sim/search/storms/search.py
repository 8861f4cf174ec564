"""The storms: many random lives in virtual time, in one process per core, each with a hash seed of its own.

Storm number N is `script.generate(N, mode)`; its trace is the same wherever and whenever it is performed. A share of
them is performed three times to prove just that (I9): twice in one process, and in one with another hash seed.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from sim.search.apart import all_cores
from sim.search.findings import Findings, Violation, command_of
from sim.search.storms import judge, rare
from sim.search.storms.controls import CONTROLS
from sim.search.storms.judge import Verdict
from sim.search.storms.script import KINDS, Storm, dump
from sim.search.storms.shrink import shrink

__all__ = ["CONTROLS", "replay", "run"]

INVARIANTS = tuple(f"I{number}" for number in range(1, 11))
TWIN_EVERY = 10  # of so many storms one is performed again, for I9
ENOUGH = 500  # storms, until a kind of fault that never fired is a gap in the search and not chance
SHRUNK_MAX = 3  # storms that are shrunk, one for each invariant that was broken
SHRINK_S = 60  # for each
LISTED_MAX = 20  # violations that are listed; all of them are counted
POLL_S = 0.5
TABLE_WIDTH = 118  # the command under a storm is one line, to be copied
NICENESS = 5  # what runs beside the storms has to come to an end within the budget; they have none
DAY_S = 86_400
SAVED = Path("build") / "campaign"


def run(
    budget_s: float,
    seed: int,
    control: str | None,
    say: Callable[[str], None],
    cores: Callable[[], int] = all_cores,
) -> Findings:
    """Storms from number `seed` on. `cores()`: how many may be performed at once just now; below 0 = stop."""
    with Workers(max(2, all_cores())) as workers:
        search = _Search(workers, seed, control, say, cores)
        search.go(time.monotonic() + budget_s)
        search.shrink()
    return search.conclude()


def replay(what: str, control: str | None) -> int:
    """Perform storm `SEED`, `SEED:MODE` or that of a file again, three times; print what it is and what it breaks."""
    storm = judge.read(what)
    print(dump(storm), flush=True)
    with Workers(2) as workers:
        jobs = [one.submit(judge.perform, storm, times, control) for one, times in zip(workers, (2, 1), strict=True)]
        first, second = (job.result() for job in jobs)
    violations = first.violations + judge.compare(first, second)
    print(first.tail, "", *violations or ["every promise was kept"], sep="\n")
    return 1 if violations else 0


class Workers(list[ProcessPoolExecutor]):
    """So many processes, each with another hash seed."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        super().__init__(ProcessPoolExecutor(1, context, initializer=_give_way) for _ in range(count))

    def __enter__(self) -> "Workers":
        before = os.environ.get("PYTHONHASHSEED")
        for number, worker in enumerate(self, 1):
            os.environ["PYTHONHASHSEED"] = str(number)
            worker.submit(os.getpid)  # starts the process
        del os.environ["PYTHONHASHSEED"]
        if before is not None:
            os.environ["PYTHONHASHSEED"] = before
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self:
            worker.shutdown(cancel_futures=True)


def _give_way() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the campaign, which then stops its workers
    os.nice(NICENESS)


class _Job(NamedTuple):
    name: str
    twin: Verdict | None = None  # it was performed already, by another worker
    not_by: ProcessPoolExecutor | None = None


class _Search:
    """Performs storm after storm and gathers what they say."""

    def __init__(
        self,
        workers: Workers,
        seed: int,
        control: str | None,
        say: Callable[[str], None],
        cores: Callable[[], int],
    ) -> None:
        self._findings = Findings("storms in virtual time", invariants=INVARIANTS)
        self._workers = workers
        self._first = self._next = seed
        self._control = control
        self._rare_taken = False
        self._say = say
        self._cores = cores
        self._twins: list[_Job] = []
        self._twins_done = 0
        self._broken: dict[str, str] = {}  # invariant -> the first storm that broke it
        self._broken_count = 0
        self._began_s = time.monotonic()

    # -- perform

    def go(self, until_s: float) -> None:
        busy: dict[Future[Verdict], tuple[ProcessPoolExecutor, _Job]] = {}
        while True:
            ends = time.monotonic() >= until_s or self._cores() < 0 or self._is_caught()
            if not ends:
                taken = [worker for worker, _ in busy.values()]
                free = [worker for worker in self._workers if worker not in taken]
                free.sort(key=lambda worker: self._twin_for(worker) is None)
                for worker in free[: max(0, self._cores() - len(busy))]:
                    job = self._take_job(worker)
                    busy[worker.submit(judge.perform, job.name, self._times(job), self._control)] = worker, job
            elif not busy:
                return
            if not busy:  # other parts have all the cores
                time.sleep(POLL_S)
            done, _ = wait(busy, POLL_S, FIRST_COMPLETED)
            for future in done:
                self._judge(future.result(), *busy.pop(future))

    def _is_caught(self) -> bool:
        return self._control is not None and CONTROLS[self._control].caught_by in self._broken

    def _take_job(self, worker: ProcessPoolExecutor) -> _Job:
        if job := self._twin_for(worker):
            self._twins.remove(job)
            return job
        if self._control in rare.STORMS and not self._rare_taken:
            self._rare_taken = True
            return _Job(f"{judge.RARE}:{self._control}")
        self._next += 1
        return _Job(judge.name_of(self._next - 1))

    def _twin_for(self, worker: ProcessPoolExecutor) -> _Job | None:
        return next((job for job in self._twins if job.not_by is not worker), None)

    def _times(self, job: _Job) -> int:
        return 2 if self._has_twin(job) else 1

    def _has_twin(self, job: _Job) -> bool:
        seed = job.name.partition(":")[0]
        return job.twin is None and seed.isdigit() and int(seed) % TWIN_EVERY == self._first % TWIN_EVERY

    def _judge(self, verdict: Verdict, worker: ProcessPoolExecutor, job: _Job) -> None:
        findings = self._findings
        findings.simulated_s += verdict.simulated_s
        if job.twin is not None:
            findings.checks["I9"] += 1
            self._twins_done += 1
            self._complain(verdict.name, judge.compare(job.twin, verdict))
        else:
            findings.runs += 1
            findings.fired += verdict.fired
            findings.checks += verdict.checks
            self._complain(verdict.name, verdict.violations)
        if self._has_twin(job):
            self._twins.append(_Job(job.name, verdict, worker))
        days = findings.simulated_s / DAY_S
        self._say(f"{findings.runs:,} storms, {days:,.1f} days, {self._broken_count} of them broke a promise")

    def _complain(self, name: str, violations: list[str]) -> None:
        if not violations:
            return
        self._broken_count += 1
        for text in violations:
            self._broken.setdefault(judge.broken(text), name)
        if len(self._findings.violations) < LISTED_MAX:
            more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
            self._findings.violations.append(Violation(violations[0] + more, self._replay(name)))

    def _replay(self, what: str) -> str:
        return command_of("storms", what, self._control)

    # -- shrink

    def shrink(self) -> None:
        """One storm for each invariant that was broken, to a file and a table."""
        wanted = self._broken if self._control is None else self._broken.keys() & {CONTROLS[self._control].caught_by}
        for invariant in sorted(wanted)[:SHRUNK_MAX]:
            if self._cores() >= 0:
                self._shrink(invariant, self._broken[invariant])

    def _shrink(self, invariant: str, name: str) -> None:
        until_s = time.monotonic() + SHRINK_S
        tries = 0

        def fails(storm: Storm) -> bool:
            nonlocal tries
            if time.monotonic() >= until_s or self._cores() < 0:
                return False
            tries += 1
            self._say(f"{name} breaks {invariant}: shrunk to {len(storm.script)} happenings, try {tries}")
            return self._breaks(storm, invariant)

        whole = judge.read(name)
        small = shrink(whole, fails)
        SAVED.mkdir(parents=True, exist_ok=True)
        path = SAVED / f"{invariant}-{name.replace(':', '-')}{f'-{self._control}' if self._control else ''}.storm"
        path.write_text(dump(small))
        title = f"{invariant}: storm {name} shrunk from {len(whole.script)} to {len(small.script)} happenings"
        table = Table(title=title, title_justify="left", show_header=False, min_width=TABLE_WIDTH)
        table.caption = self._replay(str(path))
        table.add_row(dump(small))
        self._findings.tables.append(table)

    def _breaks(self, storm: Storm, invariant: str) -> bool:
        if invariant == "I9":
            jobs = [worker.submit(judge.perform, storm, 2, self._control) for worker in self._workers[:2]]
            first, second = (job.result() for job in jobs)
            violations = first.violations + judge.compare(first, second)
        else:
            violations = self._workers[0].submit(judge.perform, storm, 1, self._control).result().violations
        return invariant in map(judge.broken, violations)

    # -- conclude

    def conclude(self) -> Findings:
        findings = self._findings
        findings.wall_s = time.monotonic() - self._began_s
        findings.figures["seeds"] = f"{self._first} to {self._next - 1}, every third with faults that never heal"
        findings.figures["performed again"] = f"{self._twins_done} with another hash seed"
        if self._broken_count:
            findings.figures["broke a promise"] = f"{self._broken_count} of {findings.runs} storms"
        unfired = sorted(kind for kind in KINDS if not findings.fired[kind])
        if findings.runs >= ENOUGH and self._control is None:
            findings.kinds = KINDS
        elif unfired:
            findings.figures["not fired"] = f"{', '.join(unfired)} (not judged below {ENOUGH} storms)"
        return findings
