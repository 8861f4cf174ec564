"""Which tests run one after the other, however many workers there are: `--dist loadgroup`.

xdist's own groups go by a private name of pytest that is no more; these go by what a file says.
"""

import functools
import re
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling


@functools.cache
def group(file: Path) -> str | None:
    """The group of a file's tests. All that use a browser are in one: it needs the machine."""
    text = file.read_text("utf-8")
    if "mark.chromium" in text or "browser_probe" in text:
        return "browser"
    named = re.search(r"xdist_group\(\"(\w+)\"\)", text)
    return named[1] if named else None


class Grouped(LoadGroupScheduling):
    """Gives each group to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return group(self.config.rootpath / nodeid.partition("::")[0]) or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadGroupScheduling | None:
    return Grouped(config, log) if config.getoption("dist") == "loadgroup" else None
