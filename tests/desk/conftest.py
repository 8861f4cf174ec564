"""A desk's parts under test, by one name each.

`street`: columns that speak to a broker; `register`: an open one; `server`: a desk's server with nothing behind it;
`intercom`: baresip beside a column. Of the latter two a module says by PARK which columns there are, and by INTERCOM_HZ
the tone of its microphone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from column_probe import need
from desk_page_probe import FakeDesk, column
from duty_rig import Street

from desk.register import Register
from sim.servers.broker import Mosquitto
from sim.servers.intercom import Intercom


@pytest.fixture
def street(broker: Mosquitto) -> Iterator[Street]:
    with Street(broker) as running:
        yield running


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
