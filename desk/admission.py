"""What a message says, if the desk may believe that somebody sends it now: the contract, and nothing out of a store."""

from __future__ import annotations

import json
from typing import Any

from contract import validator


def read(
    topic: str, payload: bytes, *, qos: int | None = None, retain: bool = False
) -> tuple[validator.Topic, dict[str, Any]]:
    """A message as its topic and its document ({} for an empty payload). `retain`: it came out of the broker's store,
    where what happens once (an alarm, an answer) never lies.

    Raises validator.ContractError.
    """
    validator.validate(topic, payload, qos=qos)
    parts = validator.topic_kind(topic)
    if retain and not validator.delivery(parts.kind)[1]:
        raise validator.ContractError(f"{topic}: retain flag: found True, should be False: nobody sent this now")
    return parts, json.loads(payload) if payload else {}
