"""The contract's JSON Schemas as plain functions: whether a message is right, ten times as fast as jsonschema says it.

Most messages are right, and a simulated year has a million of them. What is wrong, jsonschema explains. Only the
keywords that the contract uses are known; `checker` raises KeyError for any other.
"""

import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]
Keyword = Callable[[Any, Callable[[Any], Check]], Check]

ANNOTATIONS = ("title", "description", "examples", "$id", "x-qos", "x-retain", "x-max-bytes", "then", "else")
_TYPES: dict[str, Check] = {
    "null": lambda value: value is None,
    "boolean": lambda value: value is True or value is False,
    "string": lambda value: type(value) is str,
    "object": lambda value: type(value) is dict,
    "array": lambda value: type(value) is list,
    "number": lambda value: _is_number(value),
    "integer": lambda value: type(value) is int,  # a float without a fraction is left to jsonschema
}


def checker(schema: dict[str, Any], compiled: Callable[[str], re.Pattern[str]], is_format: Check) -> Check:
    """A function that is True only for what `schema` accepts (False: ask jsonschema)."""

    def pattern(part: Any, build: Callable[[Any], Check]) -> Check:
        search = compiled(part["pattern"]).search
        return lambda value: type(value) is not str or search(value) is not None

    keywords: dict[str, Keyword] = {**KEYWORDS, "pattern": pattern, "format": lambda part, build: is_format}

    def build(part: Any) -> Check:
        if isinstance(part, bool):
            return lambda value: part
        checks = [keywords[word](part, build) for word in part if word not in ANNOTATIONS]
        if len(checks) == 1:
            return checks[0]

        def check(value: Any) -> bool:
            for one in checks:  # noqa: SIM110 - `all` with a generator takes three times as long
                if not one(value):
                    return False
            return True

        return check

    return build(schema)


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _type(part: Any, build: Callable[[Any], Check]) -> Check:
    names = part["type"]
    if isinstance(names, str):
        return _TYPES[names]
    tests = [_TYPES[name] for name in names]
    return lambda value: any(test(value) for test in tests)


def _same(value: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1. Only scalars are known to be the same."""
    return type(value) is type(other) and type(value) not in (list, dict) and value == other


def _enum(part: Any, build: Callable[[Any], Check]) -> Check:
    return lambda value: any(_same(value, other) for other in part["enum"])


def _const(part: Any, build: Callable[[Any], Check]) -> Check:
    return lambda value: _same(value, part["const"])


def _properties(part: Any, build: Callable[[Any], Check]) -> Check:
    checks = [(name, build(sub)) for name, sub in part["properties"].items()]

    def check(value: Any) -> bool:
        if type(value) is dict:
            for name, one in checks:
                if name in value and not one(value[name]):
                    return False
        return True

    return check


def _required(part: Any, build: Callable[[Any], Check]) -> Check:
    names = frozenset(part["required"])
    return lambda value: type(value) is not dict or names <= value.keys()


def _items(part: Any, build: Callable[[Any], Check]) -> Check:
    one = build(part["items"])
    return lambda value: type(value) is not list or all(map(one, value))


def _unique(part: Any, build: Callable[[Any], Check]) -> Check:
    """Short lists of strings only; any other is left to jsonschema."""
    return lambda value: (
        type(value) is not list or (all(type(item) is str for item in value) and len(set(value)) == len(value))
    )


def _conditional(part: Any, build: Callable[[Any], Check]) -> Check:
    when, then, otherwise = (build(part.get(word, True)) for word in ("if", "then", "else"))
    return lambda value: then(value) if when(value) else otherwise(value)


def _not(part: Any, build: Callable[[Any], Check]) -> Check:
    one = build(part["not"])
    return lambda value: not one(value)


def _all_of(part: Any, build: Callable[[Any], Check]) -> Check:
    checks = [build(sub) for sub in part["allOf"]]
    return lambda value: all(one(value) for one in checks)


def _bound(holds: Callable[[Any, Any], bool], word: str) -> Keyword:
    return lambda part, build: lambda value: not _is_number(value) or holds(value, part[word])


def _length(holds: Callable[[int, Any], bool], word: str) -> Keyword:
    return lambda part, build: lambda value: type(value) is not str or holds(len(value), part[word])


KEYWORDS: dict[str, Keyword] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "properties": _properties,
    "required": _required,
    "items": _items,
    "uniqueItems": _unique,
    "if": _conditional,
    "not": _not,
    "allOf": _all_of,
    "minimum": _bound(lambda value, bound: value >= bound, "minimum"),
    "maximum": _bound(lambda value, bound: value <= bound, "maximum"),
    "minLength": _length(lambda value, bound: value >= bound, "minLength"),
    "maxLength": _length(lambda value, bound: value <= bound, "maxLength"),
}
