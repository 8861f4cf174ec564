"""What the models of links, clocks and TLS stand on is what hal/assumptions.toml says."""

from common import assumptions
from sim.chip import station
from sim.virtual.costs import Costs

PPM_OF_A_PERCENT = 10_000


def test_the_models_figures_are_the_files() -> None:
    figures = assumptions.load()
    assert figures["wifi_retry_ms"].value == station.RETRY_MS
    assert figures["wifi_event_ms"].value == station.EVENT_MS
    assert figures["kept_clock_error_percent"].value * PPM_OF_A_PERCENT == Costs().kept_clock_error_ppm


def test_a_belief_is_yes_or_no() -> None:
    beliefs = [figure for figure in assumptions.load().values() if figure.unit == "yes/no"]
    assert beliefs and all(figure.range == (0, 1) and figure.value in (0, 1) for figure in beliefs)
