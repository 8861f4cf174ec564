"""Tells officers, each in a thread of its own: a server that does not answer holds up nobody else."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from desk.escalation import FAILED, SENT, UNCERTAIN
from desk.ledger import Incident
from desk.officers import LIMIT_S, Call, NotTold, Tell, make
from desk.officers.words import subject, text
from desk.rungs import Telling

WHY_MAX = 300
TROUBLES_MAX = 100  # of the latest, which are not told again
OnTold = Callable[[Telling, str, str], None]
log = logging.getLogger(__name__)


class Tells(Protocol):
    """As the duty needs it: `on_told(telling, state, why)` is called once for each, in any thread, later."""

    def tell(self, telling: Telling, incident: Incident, desk: str, now_ms: int, on_told: OnTold) -> None: ...

    def wait(self) -> None:
        """Until all of them have ended."""


class Nobody:
    """There is nobody to tell."""

    def tell(self, telling: Telling, incident: Incident, desk: str, now_ms: int, on_told: OnTold) -> None:
        raise AssertionError(f"{telling.tell}: no such officer")

    def wait(self) -> None:
        """There is nothing to wait for."""


class Officers:
    """All officers of a plan. `folder`: of the desk. Raises OfficerError when one's settings cannot be."""

    def __init__(self, settings: Mapping[str, Mapping[str, Any]], folder: Path | None = None) -> None:
        self._ways: dict[str, tuple[Tell, str]] = {
            name: (make(name, one, folder), str(one.get("language", "en"))) for name, one in settings.items()
        }
        self._threads: list[threading.Thread] = []
        self._troubles: deque[tuple[str, str]] = deque(maxlen=TROUBLES_MAX)
        self._lock = threading.Lock()

    def tell(self, telling: Telling, incident: Incident, desk: str, now_ms: int, on_told: OnTold) -> None:
        """Begin; `on_told` tells how it ended. Raises RuntimeError where there can be no thread."""
        way, language = self._ways[telling.tell]
        call = call_of(telling, incident, desk, now_ms, language)
        thread = threading.Thread(
            target=lambda: on_told(telling, *self._try(way, call)), name=f"telling-{telling.tell}", daemon=True
        )
        thread.start()
        self._threads = [*(one for one in self._threads if one.is_alive()), thread]

    def wait(self) -> None:
        """Until all of them have ended, LIMIT_S at most: what has no end then will be uncertain."""
        until_s = time.monotonic() + LIMIT_S
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    def _try(self, way: Tell, call: Call) -> tuple[str, str]:
        """The state and why."""
        try:
            return SENT, way(call)[:WHY_MAX]
        except NotTold as error:
            if self._is_new(call.key, str(error)):
                log.error("%s: an officer was not told: %s", call.key, error)
            return FAILED, str(error)[:WHY_MAX]
        except Exception as error:  # nobody can know whether it arrived
            if self._is_new(call.key, str(error)):
                log.error("%s: an officer may not have been told: %s", call.key, error)
            return UNCERTAIN, f"{type(error).__name__}: {error}"[:WHY_MAX]

    def _is_new(self, key: str, why: str) -> bool:
        """A telling is tried again, and mostly fails alike: the log has that once."""
        with self._lock:
            is_new = (key, why) not in self._troubles
            if is_new:
                self._troubles.append((key, why))
            return is_new


def call_of(telling: Telling, incident: Incident, desk: str, now_ms: int, language: str) -> Call:
    """What is told."""
    location = incident.alarm["location"]
    fields = {
        **{"incident_id": incident.id, "device_id": incident.device_id, "region": incident.region},
        **{"address": location["address"], "geo": location["geo"], "press": incident.press, "desk": desk},
        "waited_s": 0 if incident.waiting is None else max(0, now_ms - incident.waiting.since_ms) // 1000,
    }
    received_ms = round(incident.first_s * 1000)
    return Call(
        key=telling.key, site=location["site"], received_ms=received_ms, repeated=telling.repeated,
        subject=subject(language, location["address"]),
        text=text(language, received_ms, repeated=telling.repeated, **fields), **fields,
    )  # fmt: skip
