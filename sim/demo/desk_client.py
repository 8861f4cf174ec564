"""The desk's API as the script uses it: what a page in the browser asks and does."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from desk.ledger import STATES

TIMEOUT_S = 10.0
MANY = 500


@dataclass(frozen=True)
class Incident:
    """An incident as the desk's register has it."""

    id: str
    device_id: str
    state: str
    press: int
    late: bool
    location: dict[str, Any]
    stream: dict[str, Any]

    @property
    def is_open(self) -> bool:
        return self.state != STATES[-1]


class DeskClient:
    """Of the desk that printed the link `url`. Its methods raise OSError when the desk does not answer, or refuses."""

    def __init__(self, url: str) -> None:
        self._link = url
        self._url = urljoin(url, "/").rstrip("/")
        self._browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        self._has_entered = False

    def incidents(self, device_id: str | None = None) -> list[Incident]:
        """Of one column or of all, drills excepted; oldest first."""
        of = f"&device_id={device_id}" if device_id else ""
        rows = self._ask(f"/api/incidents?state=all&status=actual&limit={MANY}{of}")
        keys = Incident.__dataclass_fields__
        return [Incident(**{key: row[key] for key in keys}) for row in reversed(rows)]

    def column(self, device_id: str) -> dict[str, Any]:
        """What the desk knows of a column; empty for one that it never heard."""
        return next((one for one in self._ask("/api/columns") if one["device_id"] == device_id), {})

    def hears(self) -> bool:
        """Whether the desk has its broker."""
        return bool(self._ask("/api/config")["broker"])

    def accept(self, incident_id: str) -> None:
        self._ask(f"/api/incidents/{incident_id}/accept", {})

    def close(self, incident_id: str, outcome: str) -> None:
        self._ask(f"/api/incidents/{incident_id}/close", {"outcome": outcome})

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Origin": self._url, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers)
        if not self._has_entered:  # the link sets a cookie
            self._browser.open(self._link, timeout=TIMEOUT_S).close()
            self._has_entered = True
        with self._browser.open(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)
