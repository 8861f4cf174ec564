"""A desk's parts under test, by one name each: `street` = columns that speak to a broker, `register` = an open one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from duty_rig import Street

from desk.register import Register
from sim.servers.broker import Mosquitto


@pytest.fixture
def street(broker: Mosquitto) -> Iterator[Street]:
    with Street(broker) as running:
        yield running


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with Register(tmp_path / "register.db") as opened:
        yield opened
