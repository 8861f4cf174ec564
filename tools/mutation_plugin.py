"""A pytest plugin that makes each of mutmut's runs short: `make mutation` has some three thousand of them.

mutmut puts every function behind one that asks, at each call, which version of it is meant. Within a run that never
changes, so methods are replaced by the version that is meant. What noticed other changes of the function goes first,
then the quick tests: the first failure ends the run. What needs no run has none. A test that takes
ENDLESS_S more of the CPU than it took before is endless; a clock would call it so on a busy machine, too.
"""

import functools
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mutmut.mutation import trampoline
from mutmut.state import state

from tools import mutation

NOTICED = Path("noticed.txt")  # in the folder that mutmut runs pytest in: a line for each change, function and test
ENDLESS_S = 5
NOTICED_WEIGHT = 20
_dispatchers: dict[tuple[type, str], Callable[..., Any]] = {}  # what mutmut had put there


def mutant_under_test() -> str:
    return os.environ["MUTANT_UNDER_TEST"]


def function_under_test() -> str:
    """Empty: nothing is changed in this run."""
    return mutant_under_test().rpartition("__mutmut_")[0]


@functools.cache
def without_run() -> dict[str, int]:
    """Found in mutmut's first run, which the others are forked from."""
    known = mutation.listed(Path(os.environ[mutation.LEFT])) if mutation.LEFT in os.environ else None
    found: dict[str, int] = {}
    for meta in Path("firmware").rglob("*.py.meta"):
        found |= mutation.without_run(meta, known)
    return found


def took_s(item: pytest.Item) -> float:
    """In mutmut's first run, which is five times slower than the others."""
    return state().duration_by_test.get(item.nodeid, 0.0)


def pytest_cmdline_main() -> int | None:
    return without_run().get(mutant_under_test())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lines = NOTICED.read_text().splitlines() if NOTICED.exists() else []
    noticed = Counter(line.partition(" ")[2] for line in lines if line.partition(" ")[0] == function_under_test())
    items.sort(key=lambda item: took_s(item) / (1 + NOTICED_WEIGHT * noticed[item.nodeid]))
    mutant = mutant_under_test()
    trampoline.get_mutant_under_test = lambda: mutant
    for module in [module for name, module in sys.modules.items() if name.startswith("firmware.")]:
        settle(module, mutant)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if function_under_test():
        ends_s = int(time.process_time() + ENDLESS_S + took_s(item)) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (ends_s, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed and function_under_test():
        with NOTICED.open("a") as file:
            file.write(f"{function_under_test()} {report.nodeid}\n")


def settle(module: ModuleType, mutant: str) -> None:
    """Replace the module's methods; the dictionary `mutants_xǁClassǁmethod__mutmut` has the versions of one."""
    for key, versions in list(vars(module).items()):
        if key.startswith("mutants_xǁ"):
            mangled = key.removeprefix("mutants_").removesuffix("__mutmut")
            _, owner, method = mangled.split("ǁ")
            made: type = getattr(module, owner)
            dispatcher = _dispatchers.setdefault((made, method), vars(made)[method])
            setattr(made, method, _meant(f"{module.__name__}.{mangled}", versions, mutant) or dispatcher)


def _meant(name: str, versions: dict[str, Callable[..., Any]], mutant: str) -> Callable[..., Any] | None:
    """The version to run, None for mutmut's own function."""
    original = versions["_mutmut_orig"]
    if mutant == "fail":  # mutmut's proof that the tests run what it changed
        return None
    if mutant == "stats":  # which tests call it?
        return _recorded(name, original)
    return versions[mutant.rpartition(".")[2]] if mutant.rpartition("__mutmut_")[0] == name else original


def _recorded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    called = state()._stats

    def recorded(*args: Any, **more: Any) -> Any:
        called.add(name)
        return function(*args, **more)

    return recorded
