"""What the halves of desk.duty.Duty have of each other."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from desk.ledger import Ledger
from desk.line import Line


class DutyPart:
    """Mixed into Duty, whose lock and register it shares, and which has these."""

    _ledger: Ledger
    _lock: threading.Condition
    _calls: Line
    _now_ms: Callable[[], int]

    def _changing(self) -> contextlib.AbstractContextManager[None]:
        raise NotImplementedError

    def _commit(self) -> None:
        raise NotImplementedError

    def _publish(
        self, region: str, device_id: str, kind: str, document: dict[str, Any], boot: int | None = None
    ) -> int:
        raise NotImplementedError

    def _command(self, region: str, device_id: str, cmd: str, by: str, more: dict[str, Any]) -> str:
        raise NotImplementedError
