"""A technician's laptop has the field tools' packages and no others: each set has what its entry points import."""

import subprocess
import sys

import pytest
from requirement_sets import pins

from common.home import ROOT

ENTRIES = {
    "run": """desk.command desk.web.server tools.toolbox sim.__main__ sim.demo.script sim.demo.town sim.real.command
        sim.real.configuration sim.fleet.surroundings sim.bench.report sim.bench.rig sim.bench.centre sim.search.command
        sim.search.storms sim.search.year sim.search.power_cuts sim.search.brokers sim.search.endurance""",
    "live": "sim.demo.live sim.pillar.command desk.media.process",
    "field": """field.bundle field.provision field.image field.flash field.diag.command field.logs field.watch
        field.shell""",
}
BOTH = ["sim.serial_board.command", "sim.fleet.command"]  # `make board`, `make servers`
# Refuses the packages of every distribution that the set does not pin, as if they were not there.
PROBE = """
import importlib, re, sys
from importlib.metadata import packages_distributions
def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()
pinned = {plain(name) for name in sys.argv[1].split()}
owners = {module: {plain(name) for name in names} for module, names in packages_distributions().items()}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in owners and not owners[top] & pinned:
            raise ModuleNotFoundError(f"{name} is of {owners[top]}, which the set lacks", name=name)
sys.meta_path.insert(0, Refuse())
for entry in sys.argv[2:]:
    importlib.import_module(entry)
"""


def imported(sets: list[str], entries: list[str]) -> "subprocess.CompletedProcess[str]":
    pinned = " ".join(name for each in sets for name in pins(each))
    return subprocess.run([sys.executable, "-c", PROBE, pinned, *entries], cwd=ROOT, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_a_set_has_what_its_entry_points_import(name: str) -> None:
    done = imported([name], ENTRIES[name].split())
    assert done.returncode == 0, done.stderr


def test_a_board_and_its_servers_need_two_sets() -> None:
    done = imported(["run", "field"], BOTH)
    assert done.returncode == 0, done.stderr


def test_a_package_that_a_set_lacks_is_noticed() -> None:
    done = imported(["field"], ["desk.web.server"])
    assert done.returncode == 1 and "aiohttp is of {'aiohttp'}, which the set lacks" in done.stderr
