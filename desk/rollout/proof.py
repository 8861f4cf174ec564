"""Which words of a column count for a rollout: those that it has proven, where its key is here.

Else a broker could say `kept` for columns that never got the release, and keep from us that one went back, or that
nobody answers its drills. What it drops makes a column late or silent, and that stops the rollout.
"""

from __future__ import annotations

from typing import Any

from contract import authentic
from contract.authentic import Number
from contract.validator import Topic
from desk.column_keys import ColumnKeys

UNPROVEN = ("want",)
"""A column that asks for a piece gets it: there is nothing secret in it, and it decides nothing here."""


class Proof:
    """Judges each message once, in the order of arrival."""

    def __init__(self, keys: ColumnKeys) -> None:
        self._keys = keys
        self._newest: dict[tuple[str, str], Number] = {}
        self._boots: dict[str, int] = {}
        self.unproven: set[str] = set()
        """Columns whose births were heard, and none with a proof: nobody here knows what they run."""

    def counts(self, parts: Topic, topic: str, payload: bytes, document: dict[str, Any]) -> bool:
        """Whether it is the column's own, and was not said before. That one is offline is the broker's to say."""
        key, name = self._keys.of(parts.device_id), parts.device_id
        if name in self._keys.revoked:
            return False
        if key is None or parts.kind in UNPROVEN or document.get("state") == "offline":
            return True
        number = authentic.number(document)
        if number is None or not authentic.is_sealed(key, topic, payload):
            if parts.kind == "info" and (name, "info") not in self._newest:
                self.unproven.add(name)
            return False
        return self._is_new(name, parts.kind, number)

    def boot(self, device_id: str) -> int:
        """The newest that it has proven; 0: none."""
        return self._boots.get(device_id, 0)

    def _is_new(self, name: str, kind: str, number: Number) -> bool:
        """Boots rise, and within one the numbers do. A birth that the broker had in store may be of the boot before:
        what it says of a release was true then, and is told again by the next one."""
        is_old = number <= self._newest.get((name, kind), Number(-1, 0))
        if is_old or (kind != "info" and number.boot < self.boot(name)):
            return False
        self._newest[name, kind], self._boots[name] = number, max(number.boot, self.boot(name))
        if kind == "info":
            self.unproven.discard(name)
        return True
