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
# What the contract uses of draft 2020-12: strict validators (ajv) refuse any other word.
KEYWORDS = {
    "$schema", "$id", "$ref", "$defs", "title", "description", "examples", "type", "enum", "const", "properties",
    "required", "items", "uniqueItems", "if", "then", "else", "not", "allOf", "anyOf", "minimum", "maximum",
    "minLength", "maxLength", "minItems", "maxItems", "pattern", "format",
}  # fmt: skip
NAMED, ONE, LISTED = {"properties", "$defs"}, {"items", "if", "then", "else", "not"}, {"allOf", "anyOf"}
# The formats of the draft's vocabulary; ajv-formats knows these, and refuses another.
FORMATS = {
    "date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uri",
    "uri-reference", "iri", "iri-reference", "uuid", "uri-template", "json-pointer", "relative-json-pointer", "regex",
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


def schemas(node: Any) -> list[dict[str, Any]]:
    """A schema and all schemas in it; what `properties` names is no keyword."""
    found = [node] if isinstance(node, dict) else []
    for key, value in node.items() if found else ():
        inner = value.values() if key in NAMED else value if key in LISTED else [value] if key in ONE else ()
        found += [each for one in inner for each in schemas(one)]
    return found


def unknown_words(document: dict[str, Any]) -> set[str]:
    """Keywords and formats that a strict validator does not know."""
    everywhere = schemas(document)
    formats = {each["format"] for each in everywhere if "format" in each}
    return {key for each in everywhere for key in each} - KEYWORDS | formats - FORMATS


@pytest.mark.parametrize("name", [*KINDS, "common"])
def test_strict_validators_know_every_word(name: str) -> None:
    """Red with a keyword of our own, such as the `x-qos` that ajv refused, also behind `allOf`; and with a format of
    our own, such as "sos-text"."""
    assert unknown_words(schema(name)) == set()
    deep = {"properties": {"x-name": {"allOf": [{"x-qos": 1, "format": "sos-text"}]}}}
    assert unknown_words({**schema(name), "$defs": {"a": deep}}) == {"x-qos", "sos-text"}


# What Go's RE2, JavaScript with the flag "u" (which ajv sets) and Python all know, and nothing else. RE2 has no look
# around and counts to a thousand, groups in groups together; with "u" only what needs an escape has one, and no bracket
# stands alone. Nor `\s`, `\d` or `\w`, which mean ASCII alone to some: a no-break space was one in JavaScript only.
ESCAPED = r"\\[.*+?^$|()\[\]{}/\\]"
IN_SET = rf"(?:[^\\\[\]^-]|{ESCAPED})"
SET = rf"\[\^?(?:{IN_SET}(?:-{IN_SET})?)+-?\]"
NUMBER = r"(?:\d{1,2}|[1-9]\d{2}|1000)"
SINGLE = rf"(?:[^\\\[\](){{}}*+?^$|]|{ESCAPED}|{SET})"
TIMES = rf"(?:(?:[*+?]|\{{{NUMBER}(?:,{NUMBER}?)?\}})\??)?"
EVERYWHERE = re.compile(rf"(?:\^|\$|\||\((?:\?:)?|\)(?:[*+?]\??)?|{SINGLE}{TIMES})*")


def patterns(node: Any) -> list[str]:
    return [each["pattern"] for each in nodes(node) if isinstance(each.get("pattern"), str)]


def is_known_everywhere(pattern: str) -> bool:
    if not EVERYWHERE.fullmatch(pattern):
        return False
    try:
        return bool(re.compile(pattern))  # brackets in pairs, ranges and repetitions the right way round
    except re.error:
        return False


@pytest.mark.parametrize("name", [*KINDS, "common"])
def test_every_languages_regular_expressions_know_the_patterns(name: str) -> None:
    """`geo` had a look ahead, and no validator written in Go took the schemas. Red with one, or with `\\A`.
    JavaScript's own word on them: browser/test_browser_hostile.py."""
    assert [one for one in patterns(schema(name)) if not is_known_everywhere(one)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"^a(?!b)", r"(?=a)b", r"(?<=a)b", r"(?<!a)b", r"^(a)\1", r"(?P<n>a)", r"(?P<n>a)(?P=n)", r"(?<n>a)"),
        *(r"(?i)a", r"(?i:a)", r"(?#a)b", r"(?>a)", r"a++", r"a*+", r"a{2}+", r"\Aa", r"a\Z", r"a\z", r"\Qa", r"a\:"),
        *(r"a\sb", r"\S*", r"[^\s]", r"\d", r"[\D]", r"\w+", r"\W"),
        *(r"a\-b", r"\a", r"\0", r"\x41", r"\u0041", r"\pL", r"\p{L}", r"\ba", r"\B", r"\h", r"\G"),
        *(r"a{1001}", r"a{1,1001}", r"(a{100}){11}", r"a{,3}", r"a{", r"}", r"]"),
        *(r"a**", r"^*", r"a|*", r"(*a)", r"(a", r"a)"),
        *(r"[[:alpha:]]", r"[a[b]", r"[a-\d]", r"[\d-z]", r"[z-a]", r"[]a]", r"[^]", r"[a", r"[\b]", r"[\:]"),
    ],
)
def test_a_pattern_that_some_do_not_know_is_noticed(pattern: str) -> None:
    assert not is_known_everywhere(pattern) and len(patterns(schema("common"))) > 10


@pytest.mark.parametrize("blank", "\0\t\n\v\f\r\x1c\x1f \x7f\x85\xa0\u1680\u2003\u2028\u202f\u3000\ufeffй")
def test_a_uri_is_visible_ascii(blank: str) -> None:
    """As firmware/startup/config.py has it. Red with `\\S`, which some languages refuse the more for, some the less."""
    stream = {"rtsp": "rtsp://camera/1", "sip": "sip:a@camera", "http": "https://camera/1", "webrtc": "https://camera/w"}
    ours = validator._validator("alarm")
    alarm = next(message[3] for message in EXAMPLES if message[0].endswith("/alarm"))
    assert ours.is_valid({**alarm, "stream": {**stream, "ok_at": None}})
    for kind, uri in stream.items():
        for at in range(len(uri.partition(":")[0]) + 1, len(uri) + 1):
            wrong = {**stream, "ok_at": None, kind: uri[:at] + blank + uri[at:]}
            assert not ours.is_valid({**alarm, "stream": wrong}), wrong


@pytest.mark.parametrize("name", [*KINDS, "common"])
def test_an_id_names_its_file_and_every_reference_has_one(name: str) -> None:
    assert schema(name)["$id"].endswith(f"/{name}.json")
    for node in nodes(schema(name)):
        if "$ref" in node:
            file = node["$ref"].partition("#")[0]
            assert (SCHEMA_DIR / (file or f"{name}.json")).is_file(), node
