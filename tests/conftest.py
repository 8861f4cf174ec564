"""Fixtures that several test files share. STRICT=1 makes a missing runtime or broker a failure."""

import contextlib
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from column_probe import need, runtimes
from groups import pytest_collection_modifyitems as pytest_collection_modifyitems
from groups import pytest_sessionstart as pytest_sessionstart
from groups import pytest_xdist_make_scheduler as pytest_xdist_make_scheduler
from pager import Pager, paging
from rig import RUNTIMES, Rig
from rig_real import RealRig
from rig_virtual import VirtualRig
from runs import SEED, runtime_parameters
from whole_rig import Whole, Wholes

from sim.servers.broker import Mosquitto
from sim.servers.centre import Centre
from sim.servers.stand_ins import TimeServer
from tools import toolbox

if TYPE_CHECKING:
    from browser_probe import Visitor
    from playwright.sync_api import Browser

    from sim.demo.city import City

_numbers = itertools.count(1)
# What a shell happens to export must not make a test pass that fails elsewhere.
for _name in [name for name in os.environ if name.startswith(("PYTHON", "LC_", "LANG", "SOS_TARGET"))]:
    del os.environ[_name]
os.environ["LANG"] = "C.UTF-8"  # every command speaks English, unless a test asks for another language
# A shell's background job ignores SIGINT, and so would every process that the tests start and then interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    missing = "a failure (STRICT=1)" if toolbox.STRICT else "skipped (STRICT=1 makes it a failure)"
    return [f"seed: {SEED} (again with SEED={SEED})", f"a missing runtime or broker is {missing}"]


@pytest.fixture(scope="session")
def mosquitto() -> Iterator[Mosquitto]:
    """One plain mosquitto for all rigs of this process."""
    need("mosquitto")
    with Mosquitto() as broker:
        yield broker


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    """A mosquitto of the test's own, which remembers its sessions: it may be stopped and killed."""
    need("mosquitto")
    with Mosquitto(persistence=True) as running:
        yield running


@pytest.fixture
def pager() -> Iterator[Pager]:
    with paging() as made:
        yield made


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", type=Path, metavar="FOLDER", help="the pages' pictures are written here, too")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A headless Chromium. Of the tests in its group only one runs at a time."""
    need("chromium")
    from browser_probe import chromium  # Playwright takes its time

    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def city() -> Iterator["City"]:
    """Three columns, a broker and a desk, for all tests of a module."""
    need("mosquitto")
    from browser_probe import running_city

    with running_city() as city:
        yield city


@pytest.fixture
def visitor(browser: "Browser") -> Iterator["Visitor"]:
    """Opens pages; whatever goes wrong on one of them fails the test."""
    from browser_probe import Visitor

    visitor = Visitor(browser)
    yield visitor
    visitor.leave()


@pytest.fixture(scope="session")
def time_server() -> Iterator[TimeServer]:
    with TimeServer() as server:
        yield server


@pytest.fixture
def centre(mosquitto: Mosquitto) -> Iterator[Centre]:
    """A control centre with an empty ledger, for all rigs of one test."""
    with Centre(mosquitto.host, mosquitto.port, check_qos=True) as centre:
        yield centre


@pytest.fixture(params=runtimes())
def runtime(request: pytest.FixtureRequest) -> str:
    """Each that a chip's process runs on."""
    return need(request.param)


@pytest.fixture(params=runtime_parameters(*RUNTIMES))
def rig_runtime(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name.startswith("micropython"):
        need(name)
    return name


@pytest.fixture
def make_rig(rig_runtime: str, request: pytest.FixtureRequest) -> Iterator[Callable[[], Rig]]:
    """Makes columns that are not installed yet; afterwards what must always be true is checked on each."""
    rigs: list[Rig] = []

    def make() -> Rig:
        rigs.append(_rig(rig_runtime, request))
        return rigs[-1]

    with contextlib.ExitStack() as stack:
        yield make
        for rig in rigs:
            stack.callback(rig.close)
        for rig in rigs:
            rig.check()


def _rig(runtime: str, request: pytest.FixtureRequest) -> Rig:
    if runtime == "virtual":
        return VirtualRig(SEED)
    broker, centre = request.getfixturevalue("mosquitto"), request.getfixturevalue("centre")
    ntp_port = request.getfixturevalue("time_server").port
    return RealRig(runtime, f"rig-{next(_numbers)}", SEED, broker, centre, ntp_port)


@pytest.fixture
def rig(make_rig: Callable[[], Rig]) -> Rig:
    """One column, on every runtime."""
    return make_rig()


@pytest.fixture
def virtual_rig() -> Iterator[VirtualRig]:
    """For what only virtual time can do."""
    with contextlib.closing(VirtualRig(SEED)) as made:
        yield made
        made.check()


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wholes]:
    with contextlib.closing(Wholes(tmp_path_factory.mktemp("wholes"))) as made:
        yield made


@pytest.fixture
def whole(wholes: Wholes) -> Iterator[Whole]:
    """A provisioned and flashed column on duty, at its site; see Wholes."""
    column = wholes.column()
    yield column
    if not column.is_sound:
        wholes.close()
