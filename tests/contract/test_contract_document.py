"""The contract's document, its schemas and its AsyncAPI description say the same."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from contract_examples import CONTRACT, EXAMPLES, nodes, packed, schema
from jsonschema import Draft202012Validator

from contract.validator import KINDS, SCHEMA_DIR, delivery, topic_kind, validate

DETAIL = re.compile(r"""\bevent\("([a-z-]+)", \{([^}]*)\}""")


@pytest.mark.parametrize(("topic", "qos", "retain", "document"), EXAMPLES)
def test_example_in_the_document_is_valid(topic: str, qos: int, retain: bool, document: dict[str, Any]) -> None:
    validate(topic, packed(document), qos=qos, retain=retain)


def test_every_json_block_of_the_document_is_an_example_and_every_kind_has_one() -> None:
    assert len(EXAMPLES) == CONTRACT.count("```json")
    assert {topic_kind(topic).kind for topic, *_ in EXAMPLES} == set(KINDS)


def test_documents_table_of_topics_is_what_the_schemas_say() -> None:
    rows = re.findall(r"^\| `([a-z]+)(?:/<id>)?` \| [^|]+ \| ([01]) \| ([^|]+) \|", CONTRACT, re.M)
    assert {kind: (int(qos), retained.strip() == "yes") for kind, qos, retained in rows} == {
        kind: delivery(kind) for kind in KINDS
    }


@pytest.mark.parametrize("name", [*KINDS, "common"])
def test_document_names_every_key_and_every_word_of_the_schemas(name: str) -> None:
    words = set()
    for node in nodes(schema(name)):
        words |= {*node.get("properties", {}), *node.get("enum", []), *node.get("examples", [])}
    said = set(re.findall(r"`\"?([a-z0-9_-]+)\"?`", CONTRACT))
    assert words - said == set()


@pytest.mark.parametrize("name", [*KINDS, "common"])
def test_schema_is_draft_2020_12(name: str) -> None:
    assert schema(name)["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_has_a_description_for_the_error_messages(kind: str) -> None:
    rules = schema(kind)
    for node in nodes(rules):
        node.pop("if", None)  # a condition refuses nothing
    for node in nodes([rules, schema("common")["$defs"]]):
        assert [key for key, part in node.get("properties", {}).items() if "description" not in part] == []


def test_asyncapi_has_every_kind_with_its_schema_qos_and_retain() -> None:
    document = yaml.safe_load((SCHEMA_DIR.parent / "asyncapi.yaml").read_text("utf-8"))
    assert document["asyncapi"].startswith("3.0.")
    assert set(document["channels"]) == set(KINDS)
    bindings = {}
    for operation in document["operations"].values():
        kind = operation["channel"]["$ref"].rpartition("/")[2]
        mqtt = operation["bindings"]["mqtt"]
        bindings[kind] = (mqtt["qos"], mqtt["retain"])
        assert operation["action"] == ("receive" if kind in ("ack", "cmd", "piece") else "send")
    assert bindings == {kind: delivery(kind) for kind in KINDS}
    for kind in KINDS:
        address = document["channels"][kind]["address"]
        assert topic_kind(address.format(region="r", device_id="d", fault_id="f")).kind == kind
        assert document["components"]["messages"][kind]["payload"]["$ref"] == f"schema/{kind}.json"
    will = document["servers"]["broker"]["bindings"]["mqtt"]["lastWill"]
    topic = will["topic"].format(region="r", device_id="d")
    validate(topic, will["message"].encode(), qos=will["qos"], retain=will["retain"])


def test_every_reference_leads_somewhere() -> None:
    document = yaml.safe_load((SCHEMA_DIR.parent / "asyncapi.yaml").read_text("utf-8"))
    places = [(document, SCHEMA_DIR.parent)] + [(schema(name), SCHEMA_DIR) for name in (*KINDS, "common")]
    for tree, folder in places:
        for reference in [node["$ref"] for node in nodes(tree) if isinstance(node.get("$ref"), str)]:
            file, _, pointer = reference.partition("#")
            found = json.loads((folder / file).read_text("utf-8")) if file else tree
            for step in pointer.split("/")[1:]:
                found = found[step]
            assert found, reference


def test_every_event_that_the_firmware_sends_is_in_the_table() -> None:
    """Red with an event in firmware/ that no row explains, as `button-test` was, and with a key of its detail that no
    row names, or an example that has others: `boot` was shown with `boot`, and columns send `number`."""
    table = CONTRACT.partition("## `event`")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", table, re.M))
    firmware = Path(__file__).resolve().parents[2] / "firmware"
    sources = "".join(path.read_text() for path in firmware.rglob("*.py"))
    sent = set(re.findall(r"\bevent\(\s*\"([a-z-]+)\"", sources))
    assert sent and sent <= explained
    said = {name: set(re.findall(r'"(\w+)":', detail)) for name, detail in DETAIL.findall(sources)}
    assert len(said) > 5, "the source is not understood any more"
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", table, re.M))
    unexplained = {name: [key for key in keys if f"{key}`" not in rows[name]] for name, keys in said.items()}
    assert [f"{name}: {key}" for name, keys in unexplained.items() for key in keys] == []
    shown = {each[3]["event"]: each[3]["detail"] for each in EXAMPLES if topic_kind(each[0]).kind == "event"}
    assert len(shown) > 1 and {name: set(detail) for name, detail in shown.items()} == {
        name: said[name] for name in shown
    }
