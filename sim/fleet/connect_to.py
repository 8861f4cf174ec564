"""Where the servers of a fleet are simulated: a file that `make servers` writes and a virtual board reads.

A line each, as curl's --connect-to has it: the column's HOST:PORT, and the IP:PORT on this machine that answers there.
"""

import re
from collections.abc import Mapping
from pathlib import Path

Endpoint = tuple[str, int]
_ENTRY = re.compile(r"[A-Za-z0-9._-]+:\d{1,5}:\d+\.\d+\.\d+\.\d+:\d{1,5}")


def read(file: Path | None) -> str:
    """The table as a chip takes it, '' when there is none. Raises ValueError with the line that is wrong, OSError."""
    if file is None or not file.exists():
        return ""
    entries = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if entry and not _ENTRY.fullmatch(entry):
            raise ValueError(f"{file}:{number}: found {entry!r}, must be HOST:PORT:IP:PORT")
        entries += [entry] if entry else []
    return ",".join(entries)


def write(file: Path, servers: Mapping[Endpoint, Endpoint]) -> None:
    """Replace the file in one step: who looks sees the old table or the new."""
    lines = [f"{host}:{port}:{ip}:{ip_port}\n" for (host, port), (ip, ip_port) in servers.items()]
    beside = file.with_name(file.name + ".new")
    beside.write_text("".join(lines), "utf-8")
    beside.replace(file)
