"""A desk's parts under test, by one name each.

`street`: columns that speak to a broker; `speaker`: ... word for word as the contract's examples do; `register`: an
open one; `server`: a desk's server with nothing behind it; `intercom`: baresip beside a column. Of the latter two a
module says by PARK which columns there are, and by INTERCOM_HZ the tone of its microphone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from column_probe import need
from desk_page_probe import FakeDesk, column
from desk_rig import Speaker
from duty_rig import Street

from desk.register import Register
from sim.servers.broker import Mosquitto
from sim.servers.intercom import Intercom


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one takes 100 ms and 64 MiB, which is its point."""
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr("desk.web.accounts.PasswordHasher", lambda: cheap)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The desk's, which it makes itself."""
    return tmp_path / "desk"


@pytest.fixture
def street(broker: Mosquitto) -> Iterator[Street]:
    with Street(broker) as running:
        yield running


@pytest.fixture
def speaker(broker: Mosquitto) -> Iterator[Speaker]:
    speaker = Speaker(broker)
    yield speaker
    speaker.close()


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with Register(tmp_path / "register.db") as opened:
        yield opened


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[FakeDesk]:
    with FakeDesk() as server:
        server.columns = {name: column(name) for name in getattr(request.module, "PARK", ())}
        yield server


@pytest.fixture(scope="module")
def intercom(request: pytest.FixtureRequest) -> Iterator[Intercom]:
    need("baresip")
    running = Intercom("petropavl-01", hertz=request.module.INTERCOM_HZ)
    with running:
        yield running
    running.close()


@pytest.fixture(autouse=True)
def stands(request: pytest.FixtureRequest) -> None:
    """One that has crashed in the test before is there again."""
    if "intercom" in request.fixturenames:
        request.getfixturevalue("intercom").revive()
