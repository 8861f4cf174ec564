"""The files of the desk's page: words in every language, colours that can be read, nothing that the policy forbids."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from contract_examples import faults
from contrast import MARK_CONTRAST, TEXT_CONTRAST, contrast
from desk_page_probe import STATIC
from desk_words import LANGUAGES, Words, placeholders, words

from contract.validator import SCHEMA_DIR
from desk.daily_voice_proof import NO_CALL
from desk.ledger import OUTCOMES, STATES
from desk.media.trouble import STATUS
from desk.operators import COMMAND_VALID_MS, COMMANDS
from desk.sip.trouble import CODES
from desk.sip.voice_figures import BAD

ROOT = STATIC.parents[2]
LINES_MAX = 400
PLURALS = {"en": {"one", "other"}, "ru": {"one", "few", "many", "other"}, "kk": {"one", "other"}}
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
STYLES = sorted((STATIC / "css").glob("*.css"))
PAGES = sorted(STATIC.glob("*.html"))

Colours = dict[str, str]


# -- words


def differences(one: Words, other: Words, plurals: set[str]) -> Iterator[str]:
    """What `other` lacks, has too much, or says with other values than `one`."""
    yield from (f"{key}: only in one of them" for key in sorted(one.keys() ^ other.keys()))
    for key in one.keys() & other.keys():
        if isinstance(one[key], str) != isinstance(other[key], str):
            yield f"{key}: plural in one of them only"
        elif not isinstance(other[key], str) and set(other[key]) != plurals:
            yield f"{key}: needs exactly the plurals {sorted(plurals)}"
        if placeholders(one[key]) != placeholders(other[key]):
            yield f"{key}: other values"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    assert list(differences(words("en"), words(language), PLURALS[language])) == []
    assert not [key for key, text in words(language).items() if not text]


@pytest.mark.parametrize(
    ("other", "wrong"),
    [
        ({"a": "x {n}", "b": {"one": "1", "other": "{n}"}, "c": "too much"}, "c: only"),
        ({"a": "x {n}"}, "b: only"),
        ({"a": "x {m}", "b": {"one": "1", "other": "{n}"}}, "a: other"),
        ({"a": "x {n}", "b": {"other": "{n}"}}, "b: needs"),
        ({"a": "x {n}", "b": "{n}"}, "b: plural"),
    ],
)
def test_a_language_that_lags_behind_is_noticed(other: Words, wrong: str) -> None:
    one: Words = {"a": "x {n}", "b": {"one": "1", "other": "{n}"}}
    assert [line for line in differences(one, other, PLURALS["en"]) if line.startswith(wrong)]
    assert not list(differences(one, one, PLURALS["en"]))


def test_no_language_was_left_in_another() -> None:
    """Texts that are the same in two languages are those that have no words of their own."""
    en, ru, kk = (words(language) for language in LANGUAGES)
    same = {key for key in en if en[key] in (ru[key], kk[key])}
    assert same == {"title", "register.csv", "register.json"}
    cyrillic = re.compile("[а-яёәғқңөұүһі]", re.IGNORECASE)
    for key in ru.keys() - same:
        assert not cyrillic.search(json.dumps(en[key], ensure_ascii=False)), key
        assert cyrillic.search(json.dumps(ru[key], ensure_ascii=False)), key
        assert cyrillic.search(json.dumps(kk[key], ensure_ascii=False)), key
    assert not re.search("[әғқңөұүһі]", json.dumps(ru, ensure_ascii=False)), "Kazakh letters in Russian"


def named_keys() -> tuple[set[str], set[str], list[re.Pattern[str]]]:
    """The keys that the page asks for, all its literals, and the forms of those keys that it puts together."""
    source = "".join(path.read_text() for path in [*PAGES, *SCRIPTS])
    asked = set(re.findall(r'\b(?:t|has)\("([^"]+)"', source))
    asked |= set(re.findall(r'data-t(?:-label|-placeholder)?"?[=:] ?"([^"]+)"', source))
    made = re.findall(r"\b(?:t|has)\(`([^`]+)`", source) + re.findall(r'"data-t": `([^`]+)`', source)
    made += [f"{kind}.${{word}}" for kind in re.findall(r'\bterm\("([\w-]+)"', source)]
    forms = [re.compile(re.sub(r"\\\$\\\{.*?\\\}", ".+", re.escape(text))) for text in made]
    return asked, set(re.findall(r'"([\w.-]+)"', source)), forms


def test_every_word_is_used_and_every_used_word_is_there() -> None:
    asked, literals, forms = named_keys()
    known = set(words("en"))
    assert asked - known == set()
    assert {key for key in known - literals if not any(form.fullmatch(key) for form in forms)} == set()
    assert forms and all(any(form.fullmatch(key) for key in known) for form in forms), "a form that fits no key"
    assert not any(form.fullmatch("nobody.asks") for form in forms), "a form that fits everything"


# Each enum of the contract: by what words the page shows it, or why it does not.
SHOWN = {
    "ack.state": "state-short", "ack.outcome": "outcome", "common.clock": "clock", "common.reset_cause": "reset",
    "common.site": "site", "heartbeat.link": "link", "info.mode": "mode", "info.source": "source",
    "cmd.cmd": "command",
}  # fmt: skip
NOT_SHOWN = {
    "ack.what": "a step of the ladder is told as entry.step-*",
    "alarm.event_type": "drills and tests are told apart by status",
    "alarm.status": "a sentence of its own each: state.drill, kind.exercise",
    "cmd.status": "an exercise is asked for as one, and its command is told as a drill",
    "info.debouncer": "for the tests of a board",
    "info.state": "an update's: the page of the releases has the rollout's own states, rollout.column-*",
    "state.state": "online and offline are the column's status",
}


def enums(node: Any, name: str = "") -> Iterator[tuple[str, list[str]]]:
    """(the property's name, its values), anywhere in a schema."""
    if isinstance(node, dict):
        if "enum" in node:
            yield name, node["enum"]
        for key, inner in node.items():
            yield from enums(inner, key)
    elif isinstance(node, list):
        for inner in node:
            yield from enums(inner, name)


def of_the_contract() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in sorted(SCHEMA_DIR.glob("*.json")):
        for name, values in enums(json.loads(path.read_text("utf-8"))):
            found.setdefault(f"{path.stem}.{name}", set()).update(values)
    return found


def test_whatever_the_contract_lists_is_shown_in_words_or_not_at_all() -> None:
    """Red for a new enum that nobody decided about, and for a new value of one that is shown."""
    listed = of_the_contract()
    assert set(listed) == set(SHOWN) | set(NOT_SHOWN) and all(NOT_SHOWN.values())
    wanted = {f"{kind}.{value}" for enum, kind in SHOWN.items() for value in listed[enum]}
    assert wanted - set(words("en")) == set()


def test_what_the_contract_can_say_has_words() -> None:
    contract = (ROOT / "docs" / "contract.md").read_text()
    events = re.findall(r"^\| `([a-z-]+)` \|", contract.split("## `event`")[1].split("## ")[0], re.MULTILINE)
    assert len(events) > 5
    wanted = {f"fault.{fault}" for fault in faults()} | {f"outcome.{outcome}" for outcome in OUTCOMES}
    wanted |= {f"event.{event}" for event in events}
    wanted |= {f"state-short.{state}" for state in STATES} | {f"command.{cmd}" for cmd in COMMANDS}
    wanted |= {f"clock.{clock}" for clock in ("ntp", "kept", "none")} | {"site.public", "site.school"}
    wanted |= {f"way-failed.{code}" for code in STATUS} | {f"voice-failed.{code}" for code in CODES}
    wanted |= {f"fault.{verdict}" for verdict in (*BAD, NO_CALL)}
    wanted |= {f"voice.{state}" for state in ("calling", "ringing", "away", "failed")}
    assert wanted - set(words("en")) == set()


def test_no_event_of_a_column_is_shown_in_the_words_of_the_desk() -> None:
    """A column may call its events what it likes: a word for them says nothing but what it is."""
    assert [key for key in words("en") if key.startswith("event.") and placeholders(words("en")[key])] == []
    assert placeholders(words("en")["events.command"]), "the control"


def test_the_page_waits_for_an_answer_as_long_as_a_command_is_valid() -> None:
    limit = re.search(r"ANSWER_LIMIT_MS = (\d+);", (STATIC / "js" / "events.js").read_text())
    assert limit and int(limit[1]) == COMMAND_VALID_MS


# -- colours


def themes(css: str) -> dict[str, Colours]:
    blocks = re.findall(r':root\[data-theme="(\w+)"\] \{(.*?)\n\}', css, re.DOTALL)
    return {name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", body)) for name, body in blocks}


def too_faint(colours: Colours) -> list[str]:
    """Pairs that the names of the variables promise to be legible, and that are not."""
    surfaces = [name for name in colours if name.startswith("surface-")]
    pairs = [(name, name.removeprefix("on-"), TEXT_CONTRAST) for name in colours if name.startswith("on-")]
    for prefix, least in (("ink-", TEXT_CONTRAST), ("mark-", MARK_CONTRAST)):
        pairs += [(name, on, least) for name, on in product(colours, surfaces) if name.startswith(prefix)]
    return [
        f"{name} on {on}: {contrast(colours[name], colours[on]):.2f}, needs {least}"
        for name, on, least in pairs
        if contrast(colours[name], colours[on]) < least
    ]


TOKENS = themes((STATIC / "css" / "tokens.css").read_text())


@pytest.mark.parametrize("theme", ["day", "night"])
def test_everything_can_be_read(theme: str) -> None:
    assert too_faint(TOKENS[theme]) == []


def test_faint_colours_are_noticed() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    faint = TOKENS["night"] | {"ink-dim": "#5a636c", "on-alarm": "#ff9999", "mark-ready": "#1e3d2b"}
    found = {line.split(" on ")[0] for line in too_faint(faint)}
    assert found == {"ink-dim", "on-alarm", "mark-ready"}


def test_both_themes_have_the_same_colours_and_styles_use_no_others() -> None:
    assert set(TOKENS) == {"day", "night"}
    assert TOKENS["day"].keys() == TOKENS["night"].keys()
    used: set[str] = set()
    for path in STYLES:
        if path.name == "tokens.css":
            continue
        source = path.read_text()
        used |= set(re.findall(r"var\(--([\w-]+)\)", source))
        # The screen of a camera is dark by day, too; its words are checked here.
        raw = set(re.findall(r"#[0-9a-f]{3,6}\b", source)) - {"#columns"}
        assert raw <= ({"#000", "#d5dbe1", "#10151a"} if path.name == "panel.css" else set()), path.name
    assert contrast("#d5dbe1", "#10151a") > TEXT_CONTRAST
    assert used <= TOKENS["day"].keys()
    assert TOKENS["day"].keys() - used == set(), "colours that nothing uses"


# -- what the content security policy forbids, and what it cannot see

FORBIDDEN = {
    "markup from text": r"\b((inner|outer)HTML|insertAdjacentHTML|createContextual\w+|DOMParser|document\.write)\b",
    "code from text": r"\beval\b|\bnew Function\b|set(Timeout|Interval)\(\s*[\"'`]",
    "a handler in markup": r"<[^>]*\son\w+\s*=",
    "a style in markup": r"<[^>]*\sstyle\s*=|<style|[\"'`]style[\"'`]",
    "a script in markup": r"<script(?![^>]*\bsrc=)",
    "somebody else's server": r"(?<!xmlns=\")(https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9-]+\.[a-z]{2,}",
    "an address that is not looked at": r"\bwindow\.open\b|location\.(href|assign|replace)\s*[=(]",
}


def sins(source: str) -> set[str]:
    return {sin for sin, pattern in FORBIDDEN.items() if re.search(pattern, source)}


@pytest.mark.parametrize("path", [*PAGES, *SCRIPTS, *STYLES, *STATIC.glob("*.svg")], ids=lambda path: path.name)
def test_nothing_in_the_page_can_turn_data_into_code(path: Path) -> None:
    assert sins(path.read_text()) == set()
    assert len(path.read_text().splitlines()) <= LINES_MAX


@pytest.mark.parametrize(
    "source",
    [
        "node.innerHTML = text", "x.insertAdjacentHTML('beforeend', y)", "eval(text)", "new Function(text)",
        "setTimeout('go()', 1)", '<a onclick="go()">', '<p style="color:red">', "<style>p{}</style>",
        "setAttribute('style', x)", "<script>go()</script>", 'import "https://cdn.example.com/x.js"',
        '<img src="//tracker.example.com/x">', "location.href = data",
    ],
)  # fmt: skip
def test_each_such_sin_is_noticed(source: str) -> None:
    assert sins(source)


def test_the_page_names_only_files_that_are_there() -> None:
    named = set(re.findall(r'(?:href|src)="/static/([^"]+)"', "".join(page.read_text() for page in PAGES)))
    named |= set(re.findall(r'"/static/([\w./]+)"', "".join(path.read_text() for path in SCRIPTS)))
    assert {name for name in named if not (STATIC / name).is_file()} == set()
    assert {f"css/{path.name}" for path in STYLES} <= named, "a style sheet that nothing loads"


def missing_exports(scripts: dict[str, str]) -> set[str]:
    """Names that a script imports and the other one does not export; and files that are not there."""
    exports = {
        name: set(re.findall(r"^export (?:async )?(?:function|const|class|let) (\w+)", text, re.MULTILINE))
        for name, text in scripts.items()
    }
    wrong = set()
    for name, text in scripts.items():
        for names, file in re.findall(r'^import (.+?) from "\./([\w.]+)";', text, re.MULTILINE | re.DOTALL):
            wanted = set() if names.startswith("*") else set(re.findall(r"\w+", names))
            if file not in exports:
                wrong.add(f"{name}: {file}")
            wrong |= {f"{name}: {one} of {file}" for one in wanted - exports.get(file, set())}
            for one in wanted | set(re.findall(r"^\* as (\w+)", names)):
                if len(re.findall(rf"\b{one}\b", text)) < 2:
                    wrong.add(f"{name}: imports {one} for nothing")
    return wrong


def test_scripts_import_what_is_exported_and_use_it() -> None:
    assert missing_exports({path.name: path.read_text() for path in SCRIPTS}) == set()


def test_a_wrong_import_is_noticed() -> None:
    a, b = "export const one = 1;\n", 'import { one, two } from "./a.js";\nimport { x } from "./c.js";\nx(one, two);\n'
    assert missing_exports({"a.js": a, "b.js": b}) == {"b.js: two of a.js", "b.js: c.js", "b.js: x of c.js"}
    assert missing_exports({"a.js": a, "b.js": 'import { one } from "./a.js";\n'}) == {"b.js: imports one for nothing"}
