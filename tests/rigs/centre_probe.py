"""The end of an alarm, as the column has heard it."""

from column_probe import PATIENCE_S

from desk.ledger import Incident, Ledger
from sim.servers.centre import Centre


def ended(ledger: Ledger, device_id: str) -> list[str]:
    """Incidents that the column has heard the end of."""
    return [event["detail"]["id"] for event in ledger.columns[device_id].events if event["event"] == "call-ended"]


def end(centre: Centre, one: Incident) -> None:
    """The operator closes it. A press before the column has heard of that would be one more of the same incident."""
    centre.close(one.id)
    centre.wait_for(lambda ledger: one.id in ended(ledger, one.device_id), PATIENCE_S, f"the end of {one.id}")
