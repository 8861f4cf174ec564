"""A signed update on virtual boards with real mosquitto, the real desk and `python -m desk.rollout`, killed once."""

from pathlib import Path

import pytest
from column_probe import need

from sim.demo import rollout


@pytest.mark.slow
@pytest.mark.micropython
@pytest.mark.mosquitto
@pytest.mark.timeout(900)  # within it each wait has its own limit
def test_a_bad_release_stops_and_a_good_one_goes_through(tmp_path: Path) -> None:
    """Two columns; all 19 of the example: `python -m sim rollout`. Red when a press is lost, the bad release is kept
    or goes further than one column, or a kill of the rollout makes it forget."""
    need("micropython")
    need("mosquitto")
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        print(text)

    figures = rollout.perform(tmp_path, 2, "micropython", say)
    assert figures.columns == 2 and figures.presses >= 1 and figures.bytes_each > 0, said
    assert any("back by itself" in text for text in said), said
