"""Servers that are elsewhere than their addresses say, as curl's --connect-to has it.

A line each: the HOST:PORT that is asked for, and the IP:PORT that answers there. `make servers` writes such a file,
virtual boards and the desk read it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from common.beside import named

Endpoint = tuple[str, int]
_ENTRY = re.compile(r"([A-Za-z0-9._-]+):(\d{1,5}):(\d+\.\d+\.\d+\.\d+):(\d{1,5})")


def read(file: Path | None) -> dict[Endpoint, Endpoint]:
    """The table; {} when there is no file. Raises ValueError with the line that is wrong, OSError."""
    table: dict[Endpoint, Endpoint] = {}
    if file is None or not file.exists():
        return table
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        if (found := _ENTRY.fullmatch(entry)) is None:
            raise ValueError(f"{file}:{number}: found {entry!r}, must be HOST:PORT:IP:PORT")
        host, port, ip, ip_port = found.groups()
        table[host.lower(), int(port)] = ip, int(ip_port)
    return table


def write(file: Path, table: Mapping[Endpoint, Endpoint]) -> None:
    """Replace the file in one step: who looks sees the old table or the new."""
    beside = file.with_name(file.name + ".new")
    with named(file):
        lines = [f"{host}:{port}:{ip}:{ip_port}\n" for (host, port), (ip, ip_port) in table.items()]
        beside.write_text("".join(lines), "utf-8")
        beside.replace(file)
