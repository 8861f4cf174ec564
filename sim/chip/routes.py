"""A network whose servers are stand-ins on this machine, as with curl's --connect-to. Loaded only with such a table.

A name of the table gets an address of its own in the chip's network (192.0.2.x of RFC 5737). What the
chip sends there, over TCP or UDP, goes to where the table says, and comes from there as far as the chip can tell. A
port that the table does not have refuses. Everything else is left as it is.
"""

from . import host

_NETWORK = "192.0.2."
_REFUSES = ("127.0.0.1", 1)

_addresses: dict = {}  # name -> its address in the chip's network
_targets: dict = {}  # (address, port) -> (ip, port) on this machine
_sources: dict = {}  # the other way round
_resolve, _address, _numeric = host.resolve, host.address, host.numeric


def follow(table: str) -> None:
    """From now on. `table`: a file with HOST:PORT:IP:PORT on each line; HOST is a name or an IPv4 address."""
    with open(table) as file:
        for line in file:
            name, port, ip, ip_port = line.strip().split(":")
            if name not in _addresses:
                is_name = any(not part.isdigit() for part in name.split("."))
                _addresses[name] = "%s%d" % (_NETWORK, len(_addresses) + 1) if is_name else name
            _targets[_addresses[name], int(port)] = ip, int(ip_port)
            _sources[ip, int(ip_port)] = _addresses[name], int(port)
    host.resolve, host.address, host.numeric = resolve, address, numeric


def resolve(name: str, port: int) -> str:
    return _addresses.get(name) or _resolve(name, port)


def address(ip: str, port: int):
    target = _targets.get((ip, port))
    if target is None:
        target = _REFUSES if ip in _addresses.values() else (ip, port)
    return _address(*target)


def numeric(sockaddr) -> tuple[str, int]:
    found = _numeric(sockaddr)
    return _sources.get(found, found)
