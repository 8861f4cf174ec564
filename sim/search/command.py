"""`make campaign`: hunts for a press that is lost, invented or lied about, until the budget is used up.

The other parts run beside the storms, each on a core of its own: a year has to come to its end. The storms take every
core that is free, so they begin in earnest when the power cuts are through.
"""

import argparse
import importlib
import importlib.util
import random
import signal
import sys
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from threading import Event
from types import ModuleType

from common.arguments import described, number
from common.home import COLUMN_COMMAND
from common.signals import exit_on
from sim.search import report
from sim.search.apart import PartFailed, all_cores, run_apart
from sim.search.findings import Control, Findings
from sim.search.progress import Progress
from tools.toolbox import ToolMissing, missing

PARTS = ("storms", "year", "power_cuts", "updates", "renewals", "lying", "answering", "brokers", "endurance")
DEFAULT_PARTS = ("storms", "year", "power_cuts", "updates", "renewals", "lying")
BUDGET_MIN = 15.0
SHARES = {"power_cuts": 0.5, "updates": 0.5, "renewals": 0.4, "lying": 0.2}
EXIT_RED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
POLL_S = 0.5
MINUTES = number("minutes above 0, such as 15 or 0.5", lambda minutes: minutes > 0)


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 every promise was kept, 1 not so, 3 a tool is missing, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    exit_on(signal.SIGTERM)
    try:
        if arguments.replay is not None:
            part, _, what = arguments.replay.partition(":")
            return int(_module(part).replay(what, arguments.control))
        parts = arguments.parts.split() if arguments.control is None else _owner(arguments.control)
        seed = random.SystemRandom().randrange(1, 1_000_000) * 1_000 if arguments.seed is None else arguments.seed
        for part in parts:
            _module(part)
    except ToolMissing as error:
        return missing(error)
    except (UnknownPart, UnknownControl, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    return Conductor(parts, arguments.budget * 60, seed, arguments.control).perform(arguments.json)


class UnknownPart(Exception):
    pass


class UnknownControl(Exception):
    pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog=f"{COLUMN_COMMAND} campaign", description=described(__doc__)
    )
    add = parser.add_argument
    add("--budget", type=MINUTES, default=BUDGET_MIN, metavar="MINUTES", help="(default: %(default)g)")
    add("--parts", default=" ".join(DEFAULT_PARTS), help=f"of {', '.join(PARTS)} (default: %(default)s)")
    add("--control", metavar="NAME", help="break the column on purpose: has to end red; the report lists the names")
    add(
        "--seed", type=int, metavar="N", help="number of the first storm, and seed of the other parts (default: random)"
    )
    add("--json", type=Path, metavar="FILE", help="the report as a document as well")
    add("--replay", metavar="PART:WHAT", help="one run again, as the report names it, such as storms:17:heal")
    return parser


def _module(part: str) -> ModuleType:
    """Raises UnknownPart."""
    if part not in PARTS:
        raise UnknownPart(f"no part {part!r}; the parts are: {', '.join(PARTS)}")
    name = f"sim.search.{part}.search"
    if importlib.util.find_spec(name) is None:
        raise UnknownPart(f"part {part} is not in this copy of the project: {name} is missing")
    return importlib.import_module(name)


def _controls() -> dict[str, dict[str, Control]]:
    """Of all parts that are there."""
    there = [part for part in PARTS if importlib.util.find_spec(f"sim.search.{part}.search")]
    return {part: module.CONTROLS for part in there if (module := _module(part)).CONTROLS}


def _owner(control: str) -> list[str]:
    """The part that has the control, whatever parts were asked for. Raises UnknownControl."""
    known = {name: part for part, controls in _controls().items() for name in controls}
    if control not in known:
        raise UnknownControl(f"no control {control!r}; the controls are: {', '.join(known)}")
    return [known[control]]


class Conductor:
    """Performs the parts: the storms in this process, the others apart, and reports."""

    def __init__(self, parts: list[str], budget_s: float, seed: int, control: str | None) -> None:
        self._parts = parts
        self._budget_s = budget_s
        self._seed = seed
        self._control = control
        self._others = [part for part in parts if part != "storms"]
        self._storming = "storms" in parts
        self._findings: dict[str, Findings] = {}
        self._failed: dict[str, str] = {}
        self._tools_missing: list[str] = []
        self._busy = 0  # parts that run apart just now
        self._waiting = len(self._others)
        self._interrupted = Event()
        self._began_s = time.monotonic()

    def perform(self, json_path: Path | None) -> int:
        """Returns the exit status."""
        print(
            f"seed {self._seed}, {self._budget_s / 60:g} minutes, {all_cores()} core(s): {' '.join(self._parts)}",
            flush=True,
        )
        before = signal.signal(signal.SIGINT, self._interrupt)
        try:
            with Progress(self._budget_s) as progress:
                self._perform(progress)
        finally:
            signal.signal(signal.SIGINT, before)
        campaign = self._campaign()
        report.show(campaign)
        if json_path is not None:
            report.save(campaign, json_path)
        return self._status(campaign)

    def _perform(self, progress: Progress) -> None:
        with ThreadPoolExecutor(all_cores()) as pool:
            others = [pool.submit(self._apart, part, progress) for part in self._others]
            try:
                if self._storming:
                    self._storm(progress)
                _wait_for(others)
            except BaseException:
                self._interrupted.set()  # the threads end their processes
                raise

    def _storm(self, progress: Progress) -> None:
        from sim.search.storms import search

        try:
            self._findings["storms"] = search.run(
                self._budget_s, self._seed, self._control, partial(progress.say, "storms"), self._free_cores
            )
        except Exception:
            self._failed["storms"] = traceback.format_exc()
        progress.say("storms", "")

    def _free_cores(self) -> int:
        """For the storms: what the others leave; below 0 = stop. A lone core is shared."""
        if self._interrupted.is_set():
            return -1
        return max(0 if all_cores() > 1 else 1, all_cores() - self._busy)

    def _apart(self, part: str, progress: Progress) -> None:
        if self._interrupted.is_set():
            self._failed[part] = "not begun"
            return
        self._busy += 1
        try:
            self._findings[part] = run_apart(
                f"sim.search.{part}.search",
                self._share_s(part),
                self._seed,
                self._control,
                partial(progress.say, part),
                self._interrupted.is_set,
            )
        except ToolMissing as error:
            self._tools_missing.append(str(error))
            self._failed[part] = str(error)
        except PartFailed as error:
            self._failed[part] = str(error)
        finally:
            self._busy -= 1
            self._waiting -= 1

    def _share_s(self, part: str) -> float:
        """Seconds for a part: what is left of the budget, or its share when there are more parts than cores; the power
        cuts leave half of it to the storms, which wait for their core."""
        left_s = self._budget_s - (time.monotonic() - self._began_s)
        share = SHARES.get(part, 1.0) if self._storming else 1.0
        return max(0.0, left_s) * min(share, all_cores() / max(1, self._waiting))

    def _interrupt(self, *_: object) -> None:
        if self._interrupted.is_set():  # a second Ctrl-C does not wait for the report
            raise KeyboardInterrupt
        self._interrupted.set()

    def _campaign(self) -> report.Campaign:
        wall_s = time.monotonic() - self._began_s
        findings = {part: self._findings[part] for part in self._parts if part in self._findings}
        interrupted = self._interrupted.is_set()
        return report.Campaign(self._seed, self._control, wall_s, findings, self._failed, _controls(), interrupted)

    def _status(self, campaign: report.Campaign) -> int:
        if self._interrupted.is_set():
            return EXIT_INTERRUPTED
        if self._tools_missing and not campaign.violations:
            return missing(self._tools_missing[0])
        return EXIT_RED if campaign.is_red else 0


def _wait_for(jobs: list[Future[None]]) -> None:
    """In steps, so that Ctrl-C is heard."""
    while wait(jobs, POLL_S).not_done:
        pass
    for job in jobs:
        job.result()
