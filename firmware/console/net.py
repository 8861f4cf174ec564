"""The console's `net`: an address for each name that the column needs, and what the network told it of itself."""

from firmware import const
from firmware.timing import Stopwatch
from firmware.uplink import is_address

_POLL_MS = const(10)
_PATIENCE_MS = const(8000)  # where nobody answers, a look-up takes up to 19 s,
_NO_PATIENCE_MS = const(1000)  # and the next name will fare no better


def run(board, column):
    patience_ms = _PATIENCE_MS
    for what, host in _hosts(board, column):
        since, address, error = Stopwatch(board), None, ""
        try:
            lookup = None if is_address(host) else board.lookup(host)
            address = host if lookup is None else lookup.result()
            while address is None:
                if since.ms() >= patience_ms:
                    patience_ms = _NO_PATIENCE_MS
                    raise OSError("no answer from the name server within %d ms" % since.ms())
                yield _POLL_MS
                address = lookup.result()
        except OSError as why:
            error = str(why)
        yield {"lookup": {"what": what, "host": host, "address": address, "error": error, "ms": since.ms()}}
    _, netmask, gateway, dns = board.link.describe()["network"] or (None, None, None, None)
    yield {"gateway": gateway, "netmask": netmask, "dns": dns}


def _hosts(board, column):
    """[(what for, name)], each name of a stream once."""
    from firmware.probe import check_room, place_of

    board.forget("firmware.probe")  # 3 KB
    check_room(board)
    uris = column.messages.uris
    hosts = [("broker", column.uplink.config["host"])]
    for kind in sorted(uris):
        host = "stream", place_of(uris[kind].partition("?")[0])[1].partition(":")[0]
        if host not in hosts:
            hosts.append(host)
    if column.clock.server is not None:
        hosts.append(("clock", column.clock.server))
    return hosts
