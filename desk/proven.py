"""What of the proofs outlives the desk's process: which columns have ever proven something, and how far the count has
come of what is said to them.

Without the one, whoever waits for a desk's restart could speak for a column that he has no key of. Without the other, a
clock that was fast and is set right would make columns refuse commands as repeated, until it has caught up.
"""

from __future__ import annotations

from collections.abc import Mapping

from desk.column_keys import ColumnKeys
from desk.origin import Origins
from desk.register import Reading, Register
from desk.upkeep.store import Statement

COUNT = "said"
AHEAD = 10_000  # that is more than what is said between two notes


def restored(keys: ColumnKeys | None, register: Reading) -> Origins:
    """As the process before left it."""
    rows = register.ask("SELECT device_id, key FROM voice")
    marks: Mapping[str, str] = {row["device_id"]: row["key"] for row in rows}
    return Origins(keys, marks, register.number(COUNT) or 0)


def noted(one: tuple[str, str]) -> Statement:
    """A column has proven something, with the key of that mark."""
    return "INSERT OR REPLACE INTO voice VALUES (?, ?)", one


def note_count(register: Register, origins: Origins) -> None:
    """Now and then."""
    if origins.count:
        register.put_number(COUNT, origins.count + AHEAD)
