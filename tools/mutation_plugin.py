"""A pytest plugin in which `make mutation` runs the tests: collected once, run once as they are, to see which functions
each of them calls and how long it takes; then, for each change, in a process forked for it, those that call the changed
function. What noticed other changes of that function goes first, then the quick ones; the first failure ends it.

mutmut puts every function behind one that asks, at each call, which version of it is meant. Within a process that never
changes, so methods are replaced by the version that is meant. A test that takes ENDLESS_S more of the CPU than it took
before is endless; a clock would call it so on a busy machine, too.
"""

import gc
import json
import os
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from _pytest.runner import runtestprotocol
from mutmut.mutation import trampoline
from mutmut.state import state

from tools import mutation

TESTS = Path("tests.json")  # in the folder of the changed tree: test -> (seconds, functions that it calls)
ENDLESS_S = 5
WAITS_S = 300  # by the clock, for what waits for ever
NOTICED_WEIGHT = 20
_NAME_MAX = 4096
AS_IT_IS = "stats"  # mutmut's word for a run that records the calls of functions that are as they were


class Known(NamedTuple):
    """Of a test, from its run on what was not changed."""

    took_s: float
    calls: frozenset[str]


class Running(NamedTuple):
    """A forked process: which change it is about, and where it says which test noticed it."""

    name: str
    said: int


def function_of(change: str) -> str:
    return change.rpartition("__mutmut_")[0]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    wanted, processes = json.loads(os.environ[mutation.WANTED]), int(os.environ[mutation.PROCESSES])
    known = as_they_are(session, {function_of(name) for name in wanted})
    if not session.testsfailed:
        Changes(session, known).run(wanted, processes)
    return True


# -- as they are


def as_they_are(session: pytest.Session, functions: set[str]) -> dict[str, Known]:
    """Runs what is not known yet, and what calls one of the functions: it has to pass, and what it makes once (such as
    keys) is there in the forked processes, too."""
    found = read_tests()
    items = [item for item in session.items if item.nodeid not in found or found[item.nodeid].calls & functions]
    mean(AS_IT_IS)
    for number, item in enumerate(items):
        state()._stats.clear()
        began_s = time.process_time()
        following = items[number + 1] if number + 1 < len(items) else None
        if any(report.failed for report in runtestprotocol(item, nextitem=following)):
            session.testsfailed += 1
            return found
        found[item.nodeid] = Known(time.process_time() - began_s, frozenset(state()._stats))
    TESTS.write_text(json.dumps({name: (one.took_s, sorted(one.calls)) for name, one in found.items()}))
    return found


def read_tests() -> dict[str, Known]:
    noted = json.loads(TESTS.read_text()) if TESTS.exists() else {}
    return {name: Known(took_s, frozenset(calls)) for name, (took_s, calls) in noted.items()}


# -- changed


class Changes:
    def __init__(self, session: pytest.Session, known: dict[str, Known]) -> None:
        self._known = known
        self._calling: dict[str, list[pytest.Item]] = defaultdict(list)
        for item in session.items:
            for function in known[item.nodeid].calls:
                self._calling[function].append(item)
        self._noticed: Counter[tuple[str, str]] = Counter()  # (function, test)
        self._running: dict[int, Running] = {}

    def run(self, names: Iterable[str], processes: int) -> None:
        """Those that have the quickest tests first."""
        gc.collect()
        gc.freeze()  # shared with the forked processes
        for name in sorted(names, key=self._took_s):
            while len(self._running) >= processes:
                self._end_one()
            if self._calling[function_of(name)]:
                self._begin(name, sorted(self._calling[function_of(name)], key=partial(self._cost, name)))
            else:
                mutation.note(Path(), name, mutation.NO_TEST)
        while self._running:
            self._end_one()

    def _took_s(self, name: str) -> float:
        return sum(self._known[one.nodeid].took_s for one in self._calling[function_of(name)])

    def _cost(self, name: str, item: pytest.Item) -> float:
        return self._known[item.nodeid].took_s / (1 + NOTICED_WEIGHT * self._noticed[function_of(name), item.nodeid])

    def _begin(self, name: str, tests: list[pytest.Item]) -> None:
        said, saying = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = mutation.NOTICED
            try:
                mean(name)
                noticed_by = first_red(tests, self._known)
                status = mutation.SURVIVED if noticed_by is None else mutation.NOTICED
                os.write(saying, (noticed_by or "").encode())
            finally:  # whatever ended the run, such as an exception that pytest does not catch, was noticed
                os._exit(status)
        os.close(saying)
        self._running[pid] = Running(name, said)

    def _end_one(self) -> None:
        pid, status = os.wait()
        name, said = self._running.pop(pid)
        if test := os.read(said, _NAME_MAX).decode():
            self._noticed[function_of(name), test] += 1
        os.close(said)
        mutation.note(Path(), name, os.waitstatus_to_exitcode(status))


def first_red(tests: list[pytest.Item], known: dict[str, Known]) -> str | None:
    """In the forked process: the test that fails; None: all pass."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    for number, item in enumerate(tests):
        ends_s = int(time.process_time() + ENDLESS_S + known[item.nodeid].took_s) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (ends_s, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        signal.alarm(WAITS_S)
        following = tests[number + 1] if number + 1 < len(tests) else None
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return item.nodeid
    return None


# -- which version of each function is meant


def mean(change: str) -> None:
    trampoline.get_mutant_under_test = lambda: change
    for module in [module for name, module in sys.modules.items() if name.startswith("firmware.")]:
        settle(module, change)


def settle(module: ModuleType, change: str) -> None:
    """Replace the module's methods; the dictionary `mutants_xǁClassǁmethod__mutmut` has the versions of one."""
    for key, versions in list(vars(module).items()):
        if key.startswith("mutants_xǁ"):
            mangled = key.removeprefix("mutants_").removesuffix("__mutmut")
            _, owner, method = mangled.split("ǁ")
            made: type = getattr(module, owner)
            setattr(made, method, _meant(f"{module.__name__}.{mangled}", versions, change))


def _meant(name: str, versions: dict[str, Callable[..., Any]], change: str) -> Callable[..., Any]:
    """The version to run."""
    original = versions["_mutmut_orig"]
    if change == AS_IT_IS:
        return _recorded(name, original)
    return versions[change.rpartition(".")[2]] if function_of(change) == name else original


def _recorded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    called = state()._stats

    def recorded(*args: Any, **more: Any) -> Any:
        called.add(name)
        return function(*args, **more)

    return recorded
