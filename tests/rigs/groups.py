"""Which tests run where, with `--dist loadgroup`.

Some files' tests run one after the other, however many workers there are. xdist's own groups go by a private name of
pytest that is no more; these go by what a file says.

Two thirds of the workers begin with what waits for processes and clocks, every third one at the other end, with what
only computes, and gives way: so neither do all of them wait at a time, nor do all of them want the processor.
"""

import functools
import os
import re
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController


@functools.cache
def group(file: Path) -> str | None:
    """The group of a file's tests. All that use a browser are in one: it needs the machine."""
    text = file.read_text("utf-8")
    if "mark.chromium" in text or "browser_probe" in text:
        return "browser"
    named = re.search(r"xdist_group\(\"(\w+)\"\)", text)
    return named[1] if named else None


COMPUTES = ("contract", "firmware", "house", "search", "virtual")  # in virtual time, or in none
PROGRAMS = {"micropython", "mosquitto", "chromium", "gstreamer", "baresip", "kamailio", "token"}
_GIVES_WAY = 5  # nice(2)


def only_computes(item: pytest.Item) -> bool:
    return item.path.parent.name in COMPUTES and item.get_closest_marker("program") is None


def begins_at_the_end(worker: str) -> bool:
    """`worker`: gw0, gw1, ..., or "" without xdist."""
    return bool(worker) and int(worker.removeprefix("gw")) % 3 == 2


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.get_closest_marker(name) for name in PROGRAMS):
            item.add_marker("program")
    # A whole way is a test of a minute and more: it begins first, and nobody waits for it in the end.
    items.sort(key=lambda item: (only_computes(item), not item.path.stem.endswith("_whole")))


def pytest_sessionstart() -> None:
    if begins_at_the_end(os.environ.get("PYTEST_XDIST_WORKER", "")):
        os.nice(_GIVES_WAY)


class Grouped(LoadGroupScheduling):
    """Gives each group to one worker."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        if begins_at_the_end(node.gateway.id):
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)  # the first is taken
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        return group(self.config.rootpath / nodeid.partition("::")[0]) or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadGroupScheduling | None:
    return Grouped(config, log) if config.getoption("dist") == "loadgroup" else None
