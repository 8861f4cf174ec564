"""The conditions of the network, by name."""

from enum import StrEnum

from sim.virtual.figures import of

LOOKUP_GIVES_UP_MS = of("lookup_gives_up_ms")  # how long getaddrinfo keeps trying on the chip


class Net(StrEnum):
    """Conditions; each is on between `Network.start(name)` and `Network.stop(name)`. (n) = takes a value."""

    REFUSED = "refused"  # nobody listens
    BLACK_HOLE = "black-hole"  # packets vanish both ways; TCP keeps trying
    HALF_OPEN = "half-open"  # the servers forget the connections that exist when it starts, and tell nobody
    RESET = "reset"  # connections that exist are reset when it starts, later ones at their first data
    LINK_DOWN = "link-down"  # no radio, no carrier
    LINK_REFUSED = (
        "link-refused"  # (reason) the access point throws the column out and refuses it, see sim/chip/station.py
    )
    LINK_STUCK = "link-stuck"  # the driver is wedged until the chip is reset
    LINK_WEDGED = "link-wedged"  # the interface stays down until it is restarted
    LOOKUP_STALL = "lookup-stall"  # (ms) a look-up takes that long
    LOOKUP_FAIL = "lookup-fail"  # no such name
    TLS_EXPIRED = "tls-expired"  # the server's certificate has run out
    TLS_SILENT = "tls-silent"  # the server says nothing inside the handshake
    LATENCY = "latency"  # (ms) one way
    DRIP = "drip"  # (ms) the servers' bytes arrive one by one, so far apart
    SHORT_WRITE = "short-write"  # (bytes) a write takes no more than that, 0 = nothing
    NTP_SILENT = "ntp-silent"
    NTP_GARBAGE = "ntp-garbage"
    NTP_KISS = "ntp-kiss"  # "kiss of death": stratum 0
    NTP_AHEAD = "ntp-ahead"  # (s) the server's clock is wrong
    NTP_BEHIND = "ntp-behind"  # (s)


DEFAULTS = {
    Net.LINK_REFUSED: 204,
    Net.LOOKUP_STALL: LOOKUP_GIVES_UP_MS,
    Net.LATENCY: 2_000,
    Net.DRIP: 50,
    Net.SHORT_WRITE: 7,
    Net.NTP_AHEAD: 7_200,
    Net.NTP_BEHIND: 7_200,
}
