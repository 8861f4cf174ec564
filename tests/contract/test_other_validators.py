"""The schemas load in validators that are not ours, and mean the same there."""

import copy
import json
import re
from typing import Any

import jsonschema
import pytest
from contract_examples import EXAMPLES, Message, nodes, schema
from referencing import Registry, Resource

from contract import validator
from contract.validator import KINDS, SCHEMA_DIR

CHANGES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 1.0, 1.5, 10**20, "", "none", "closed", "x" * 3000, [], ["a", "a"], {}, {"x": 1},
)  # fmt: skip
# What strict validators (ajv) know of draft 2020-12; they refuse any other word.
KEYWORDS = {
    "$schema", "$id", "$ref", "$defs", "title", "description", "examples", "type", "enum", "const", "properties",
    "required", "items", "uniqueItems", "if", "then", "else", "not", "allOf", "anyOf", "minimum", "maximum",
    "minLength", "maxLength", "minItems", "maxItems", "pattern", "format",
}  # fmt: skip


def slots(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside `node`."""
    keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
    return [(node, key) for key in keys] + [slot for key in keys for slot in slots(node[key])]


def variants(document: Any) -> list[Any]:
    """`document` with one value changed, or gone."""
    found = []
    for number in range(len(slots(document))):
        for change in (*CHANGES, KeyError):
            variant = copy.deepcopy(document)
            container, key = slots(variant)[number]
            if change is KeyError:
                del container[key]
            else:
                container[key] = change
            found.append(variant)
    return found


@pytest.fixture(scope="module")
def published() -> Registry[Any]:
    """The files as they are, found by their `$id`."""
    files = [json.loads(path.read_text("utf-8")) for path in sorted(SCHEMA_DIR.glob("*.json"))]
    return Registry().with_resources((file["$id"], Resource.from_contents(file)) for file in files)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: message[0].split("/", 4)[4])
def test_python_jsonschema_reads_the_files_as_we_do(message: Message, published: Registry[Any]) -> None:
    kind = validator.topic_kind(message[0]).kind
    ours = validator._validator(kind)
    theirs = jsonschema.Draft202012Validator(schema(kind), registry=published)
    for variant in [message[3], *variants(message[3])]:
        assert ours.is_valid(variant) == theirs.is_valid(variant), variant


@pytest.mark.parametrize("name", [*KINDS, "common"])
def test_strict_validators_know_every_keyword(name: str) -> None:
    """Red with a keyword of our own, such as the `x-qos` that ajv refused."""

    def words(node: dict[str, Any], parent: str = "") -> set[str]:
        found = set()
        for key, value in node.items():
            if parent not in ("properties", "$defs"):
                found.add(key)
            if isinstance(value, dict):
                found |= words(value, key if parent not in ("properties", "$defs") else "")
        return found

    assert words(schema(name)) - KEYWORDS == set()
    assert "x-qos" in words({**schema(name), "x-qos": 1}) - KEYWORDS


# Go's RE2 knows neither; JavaScript, with the flag that ajv sets, no escape of what needs none.
NOT_EVERYWHERE = re.compile(r"\(\?[=!<P#]|\\[1-9]|\\[^sSdDwWbB.*+?^$|()\[\]{}/\\-]")


def patterns(node: Any) -> list[str]:
    return [each["pattern"] for each in nodes(node) if isinstance(each.get("pattern"), str)]


@pytest.mark.parametrize("name", [*KINDS, "common"])
def test_every_languages_regular_expressions_know_the_patterns(name: str) -> None:
    """`geo` had a look ahead, and no validator written in Go took the schemas. Red with one, or with `\\A`."""
    assert [one for one in patterns(schema(name)) if NOT_EVERYWHERE.search(one)] == []


@pytest.mark.parametrize("pattern", [r"^a(?!b)", r"^(a)\1", r"(?<=a)b", r"\Aa", r"a\:"])
def test_a_pattern_that_some_do_not_know_is_noticed(pattern: str) -> None:
    assert NOT_EVERYWHERE.search(pattern) and len(patterns(schema("common"))) > 10


@pytest.mark.parametrize("name", [*KINDS, "common"])
def test_an_id_names_its_file_and_every_reference_has_one(name: str) -> None:
    assert schema(name)["$id"].endswith(f"/{name}.json")
    for node in nodes(schema(name)):
        if "$ref" in node:
            file = node["$ref"].partition("#")[0]
            assert (SCHEMA_DIR / (file or f"{name}.json")).is_file(), node
