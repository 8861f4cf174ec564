"""The examples of docs/contract.md, which tests take from the document itself so that it cannot drift."""

import copy
import json
import re
from pathlib import Path
from typing import Any

from contract.validator import SCHEMA_DIR, topic_kind

DOCS = Path(__file__).resolve().parents[2] / "docs"
CONTRACT = (DOCS / "contract.md").read_text("utf-8")
ROOT = "sos/v1/nko/petropavl-01"
HEAD = r"^`(sos/v1/\S+)` \(QoS ([01]), (not retained|retained)\):\n\n"
EXAMPLE = re.compile(HEAD + r"```json\n(.*?)^```$", re.M | re.S)
Message = tuple[str, int, bool, dict[str, Any]]
EXAMPLES: list[Message] = [
    (topic, int(qos), retained == "retained", json.loads(text))
    for topic, qos, retained, text in EXAMPLE.findall(CONTRACT)
]


def packed(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def example(kind: str) -> tuple[str, dict[str, Any]]:
    """The document's first example of a kind, free to change."""
    topic, document = next((each[0], each[3]) for each in EXAMPLES if topic_kind(each[0]).kind == kind)
    return topic, copy.deepcopy(document)


def faults() -> set[str]:
    """The ids that the contract's table has."""
    found = re.findall(r"^\| `([a-z-]+)` \|", CONTRACT.split("## `fault/<id>`")[1].split("## ")[0], re.MULTILINE)
    assert len(found) > 10, "the table is not understood any more"
    return set(found)


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SCHEMA_DIR / f"{name}.json").read_text("utf-8"))
    return loaded


def nodes(tree: Any) -> list[dict[str, Any]]:
    """Every object inside a JSON tree, the tree itself included."""
    if isinstance(tree, list):
        return [node for item in tree for node in nodes(item)]
    if isinstance(tree, dict):
        return [tree, *nodes(list(tree.values()))]
    return []
