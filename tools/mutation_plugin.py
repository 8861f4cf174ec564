"""A pytest plugin that makes each of mutmut's runs short: `make mutation` has some two thousand of them.

mutmut puts every function behind one that asks, at each call, which version of it is meant. Within a run that never
changes, so methods are replaced by the version that is meant. And the quick tests go first: the first failure ends
the run.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mutmut.mutation import trampoline
from mutmut.state import state

STATS = Path("mutmut-stats.json")  # in the folder that mutmut runs pytest in, after its first run
_dispatchers: dict[tuple[type, str], Callable[..., Any]] = {}  # what mutmut had put there


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    took_s = json.loads(STATS.read_text())["duration_by_test"] if STATS.exists() else {}
    items.sort(key=lambda item: took_s.get(item.nodeid, 0.0))
    mutant = os.environ["MUTANT_UNDER_TEST"]
    trampoline.get_mutant_under_test = lambda: mutant
    for module in [module for name, module in sys.modules.items() if name.startswith("firmware.")]:
        settle(module, mutant)


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
