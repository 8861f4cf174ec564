"""A pillar on a server of its own, whose column does nothing."""

from collections.abc import Iterator

import pytest
from pillar_rig import IdleColumn, idle_pillar

from sim.pillar import Pillar, PillarServer


@pytest.fixture
def town() -> Iterator[tuple[PillarServer, Pillar, IdleColumn]]:
    with idle_pillar() as made:
        yield made
