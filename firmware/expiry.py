"""The certificates' end draws near: loaded for a fault or its end, and forgotten."""

from firmware import const

_DAY_MS = const(86400000)


def look(column, left_ms: int, soon_ms: int) -> None:
    """Called when the clock was just set from the network: no other clock knows how long is left. The fault's detail
    has the days left, anew each day; since when it is up stays."""
    faults, what = column.faults, None
    if left_ms < soon_ms:
        day = column.clock.text(column.clock.latest_ms)[:10]
        what = "no session from %s on: the certificates end, in %d days" % (day, left_ms // _DAY_MS)
    had = faults.raised.get("certificate")
    if had is None or what is None:
        faults.set("certificate", what)
    elif had[1] != what:
        faults.raised["certificate"] = (had[0], what)
        column.telemetry.fault("certificate", faults.raised["certificate"])
