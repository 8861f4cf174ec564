"""Does the certificates' end draw near? Loaded when the clock was set, and forgotten."""

from firmware import const

_DAY_MS = const(86400000)
_SOON_DAYS = const(90)


def look(column) -> None:
    """Called when the clock was just set from the network: no other clock knows how long is left. The fault's detail
    has the days left, anew each day; since when it is up stays."""
    faults, what = column.faults, None
    end_ms = column.clock.latest_ms
    days = (end_ms - column.clock.now_ms()) // _DAY_MS
    if days < _SOON_DAYS and column.uplink.config["tls"]:
        what = "no session from %s on: the certificates end, in %d days" % (column.clock.text(end_ms)[:10], days)
    had = faults.raised.get("certificate")
    if had is None or what is None:
        faults.set("certificate", what)
    elif had[1] != what:
        faults.raised["certificate"] = (had[0], what)
        column.telemetry.fault("certificate", faults.raised["certificate"])
