"""The control centre: hears every column, keeps a ledger of incidents, and answers."""

from sim.centre.client import Centre
from sim.centre.ledger import OUTCOMES, Column, Incident, Ledger, LedgerError, Violation

__all__ = ["OUTCOMES", "Centre", "Column", "Incident", "Ledger", "LedgerError", "Violation"]
