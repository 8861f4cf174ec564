"""What a request changes in the register: done in a worker thread, and refused in words when it cannot be."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from desk import trouble
from desk.ledger import LedgerError
from desk.web.refusal import Refusal

NOT_WRITTEN = "register-write"
T = TypeVar("T")


async def done(change: Callable[[], T], register: Path) -> T:
    """What it returns. `register`: the file that it is written to. Raises Refusal when it cannot be, or could not be
    written down."""
    try:
        return await asyncio.to_thread(change)
    except LedgerError as error:
        status = 503 if error.code == NOT_WRITTEN else 409
        raise Refusal(status, str(error), None, code=error.code, **error.values) from None
    except sqlite3.Error as error:
        why = f"nothing was done, the register could not be written: {error}"
        raise Refusal(503, why, code="register-write", why=trouble.code_of(error, register)) from None
