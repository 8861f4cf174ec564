"""Holds every message against the contract: contract/schema/*.json, which docs/contract.md explains.

The JSON Schemas are the one source of the rules for payloads, delivery.json for QoS, retain and size. This module
adds what neither can say: that a payload agrees with its topic, and that its bytes are JSON.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs

SCHEMA_DIR = Path(__file__).resolve().parent / "schema"
DELIVERY: dict[str, dict[str, Any]] = json.loads(SCHEMA_DIR.with_name("delivery.json").read_text("utf-8"))
KINDS = tuple(DELIVERY)
TOPIC_FORM = "sos/v1/<region>/<device_id>/<kind>, or .../fault/<fault id>"
MAX_SHOWN = 80  # characters of a wrong value that an error message shows

_NAME = re.compile(r"[a-z0-9-]{1,32}")
# A wrong stream URI may hold a password, and error messages end in logs.
_PASSWORD = re.compile(r"(?i)(://|sips?:)[^\s'\"]*(?=@)|((?:password|passwd|pass|pwd)=)[^\s'\"&;]+")


class ContractError(ValueError):
    """A message that breaks the contract; says the topic, the key, what was found and what would be right."""


class Topic(NamedTuple):
    """A topic taken apart; `rest` is the fault id, and empty for every other kind."""

    region: str
    device_id: str
    kind: str
    rest: str


def topic_kind(topic: str) -> Topic:
    """Take a topic apart. Raises ContractError when the contract does not have it."""
    parts = topic.split("/")
    if len(parts) < 5 or parts[:2] != ["sos", "v1"]:
        raise _error(topic, "topic", topic, TOPIC_FORM)
    region, device_id, kind, *rest = parts[2:]
    for what, name in [("region", region), ("device id", device_id), *(("fault id", name) for name in rest)]:
        if not _NAME.fullmatch(name):
            raise _error(topic, f"{what} in the topic", name, "1 to 32 of the characters a-z, 0-9 and '-'")
    if kind not in KINDS:
        raise _error(topic, "kind in the topic", kind, "one of " + ", ".join(KINDS))
    if len(rest) != (kind == "fault"):
        raise _error(topic, "topic", topic, TOPIC_FORM)
    return Topic(region, device_id, kind, rest[0] if rest else "")


def delivery(kind: str) -> tuple[int, bool]:
    """The QoS and the retain flag with which messages of this kind are published."""
    rules = DELIVERY[kind]
    return rules["qos"], rules["retain"]


def validate(topic: str, payload: bytes, *, qos: int | None = None, retain: bool | None = None) -> None:
    """Hold one message against the contract; raises ContractError when it breaks it.

    Pass `qos` and `retain` as the sender published them, or leave them out when they are not known: a
    subscriber gets the lower of two QoS, and sees the retain flag only on what the broker had in store.
    """
    parts = topic_kind(topic)
    right_qos, right_retain = delivery(parts.kind)
    if qos is not None and qos != right_qos:
        raise _error(topic, "QoS", qos, str(right_qos))
    if retain is not None and bool(retain) != right_retain:
        raise _error(topic, "retain flag", bool(retain), str(right_retain))
    if not payload and parts.kind == "fault":
        return
    document = _parse(topic, payload, DELIVERY[parts.kind]["max_bytes"])
    _check_schema(topic, parts.kind, document)
    _check_topic_agrees(topic, parts, document)


def _error(topic: str, key: str, found: object, right: str) -> ContractError:
    shown = _PASSWORD.sub(r"\1\2***", repr(found))
    if len(shown) > MAX_SHOWN:
        shown = shown[:MAX_SHOWN] + "..."
    return ContractError(f"{topic}: {key}: found {shown}, should be {right}")


def _parse(topic: str, payload: bytes, max_bytes: int | None) -> Any:
    if max_bytes is not None and len(payload) > max_bytes:
        raise _error(topic, "payload", f"{len(payload)} bytes", f"at most {max_bytes} bytes")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        here = payload[error.start : error.start + 8]
        raise _error(topic, f"payload, byte {error.start}", here, "UTF-8") from None

    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) < len(pairs):
            key, times = Counter(key for key, _ in pairs).most_common(1)[0]
            raise _error(topic, key, f"{times} times", "there once")
        return document

    def no_constant(name: str) -> None:  # Python reads NaN and Infinity, JSON has neither
        raise _error(topic, "payload", name, "a JSON number")

    try:
        return json.loads(text, object_pairs_hook=no_repeats, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        rest = text[error.pos : error.pos + 20]
        raise _error(topic, f"payload, character {error.pos}", rest, f"JSON ({error.msg})") from None
    except ContractError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise _error(topic, "payload", text, f"JSON that can be read ({error})") from None
    except RecursionError:
        raise _error(topic, "payload", text, "JSON of a sane depth") from None


def _check_schema(topic: str, kind: str, document: Any) -> None:
    validator = _validator(kind)
    if not validator.is_valid(document):
        raise ContractError("; ".join(sorted({_line(topic, kind, error) for error in validator.iter_errors(document)})))


def _line(topic: str, kind: str, error: Any) -> str:
    """What is wrong with one key, and what would be right."""
    schema: Any = _schema(kind)
    right = ""
    for step in error.schema_path[:-1]:
        schema = schema[step]
        described = schema.get("description") if isinstance(schema, dict) else None
        right = described if isinstance(described, str) else right  # an item of a list has none of its own
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)[1:]
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
        key = error.kind.property
        path = f"{where}.{key}" if where else key
        return f"{topic}: {path}: found nothing, should be {schema['properties'][key]['description']}"
    return str(_error(topic, where or "payload", error.instance, right if where else "a JSON object"))


def _check_topic_agrees(topic: str, parts: Topic, document: Mapping[str, Any]) -> None:
    """One device's ACL is its topic, so a payload must not speak for, or to, another device."""
    if parts.kind in ("alarm", "info") and document["device_id"] != parts.device_id:
        raise _error(topic, "device_id", document["device_id"], f"{parts.device_id!r}, as in the topic")
    if parts.kind in ("alarm", "ack") and document["id"].rsplit("-", 2)[0] != parts.device_id:
        raise _error(topic, "id", document["id"], f"{parts.device_id}-<boot>-<seq>, as in the topic")
    if parts.kind == "fault" and document["id"] != parts.rest:
        raise _error(topic, "id", document["id"], f"{parts.rest!r}, as in the topic")


@cache
def _schema(kind: str) -> dict[str, Any]:
    """A payload's schema with the shared parts written in: an error's path then leads to a part's description."""
    shared = json.loads((SCHEMA_DIR / "common.json").read_text("utf-8"))["$defs"]

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        own = {key: inline(value) for key, value in node.items() if key != "$ref"}
        if "$ref" not in node:
            return own
        part = inline(shared[node["$ref"].rpartition("/")[2]])
        general, special = part["description"], own.get("description", "")
        text = general if special in general else f"{special}: {general}"
        return {**part, **own, "description": text}

    schema: dict[str, Any] = inline(json.loads((SCHEMA_DIR / f"{kind}.json").read_text("utf-8")))
    return schema


def _is_time(text: str) -> bool:
    """The pattern sees to the form; this refuses the 31st of February, and leap seconds, which nobody here can read."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


@cache
def _validator(kind: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_schema(kind), validate_formats=True, formats={"date-time": _is_time})
