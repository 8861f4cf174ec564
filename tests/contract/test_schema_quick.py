"""The quick check accepts nothing that jsonschema refuses, and all that the contract's examples say."""

import copy
from typing import Any

import pytest
from contract_examples import EXAMPLES, Message

from contract import quick, validator

CHANGES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 1.0, 1.5, 10**20, "", "none", "closed", "x" * 3000, [], ["a", "a"], {}, {"x": 1},
)  # fmt: skip


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


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: message[0].split("/", 4)[4])
def test_agrees_with_jsonschema(message: Message) -> None:
    kind = validator.topic_kind(message[0]).kind
    quick, thorough = validator._quick(kind), validator._validator(kind)
    assert quick(message[3])
    accepted = 0
    for variant in variants(message[3]):
        is_right = thorough.is_valid(variant)
        assert is_right or not quick(variant), variant
        accepted += quick(variant) == is_right
    assert accepted >= 0.95 * len(variants(message[3])), "too much is left to jsonschema"


def test_no_keyword_is_passed_over() -> None:
    """A schema that uses a word that nobody taught the quick check must not be checked without it."""
    with pytest.raises(KeyError):
        quick.checker({"multipleOf": 2}, validator._compiled, validator._is_date)
