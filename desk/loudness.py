"""How loud the officers' voices are wanted at each column: its loudspeaker and its street stay as they are, so what
somebody has chosen is kept for the next call, in `loudness.json` in the desk's folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from desk.web import files
from desk.web.refusal import Refusal

LEAST_DB, MOST_DB, STEP_DB = -12, 12, 6
COLUMNS_MAX = 2000
FILE = "loudness.json"
log = logging.getLogger("desk")


class Loudnesses:
    """By column, in dB; 0 where nobody has chosen."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._chosen = self._read()

    def of(self, device_id: str) -> int:
        return self._chosen.get(device_id, 0)

    def choose(self, device_id: str, db: int) -> None:
        """A disk that is full forgets it at the next start, and hinders nobody."""
        self._chosen.pop(device_id, None)
        if db:
            self._chosen[device_id] = db
        while len(self._chosen) > COLUMNS_MAX:
            del self._chosen[next(iter(self._chosen))]
        try:
            files.replace(self._path, json.dumps(self._chosen))
        except OSError as error:
            log.warning("how loud voices are wanted is not kept: %s", error)

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
            return {str(name): wanted({"db": db}) for name, db in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError, AttributeError, Refusal) as error:
            log.warning("%s cannot be read, voices are as loud as they come: %s", self._path, error)
            return {}


def wanted(document: Mapping[str, Any]) -> int:
    """`db`: a step from LEAST_DB to MOST_DB. Raises Refusal."""
    db = document.get("db")
    if not isinstance(db, int) or isinstance(db, bool) or not LEAST_DB <= db <= MOST_DB or db % STEP_DB:
        raise Refusal(400, f"db: must be a multiple of {STEP_DB} from {LEAST_DB} to {MOST_DB}")
    return db
