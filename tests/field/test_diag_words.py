"""The check-up's words: the same keys in every language, none forgotten, none too many, each with its placeholders."""

import ast
import itertools
import re
import string
from pathlib import Path

import pytest

import field.diag
from field.diag import interview, words
from field.diag.by_hand import AGAIN, NO, YES
from field.diag.finding import ANY, EVERYWHERE, LINES, Verdict
from firmware.console.lamp import COLOURS

FOLDER = Path(field.diag.__file__).parent
MAKERS = {"passes": False, "untested": False, "warns": True, "fails": True}  # name -> has it cause and next step?
# What is the same in all languages: figures and names.
SAME = {"chip.ok", "configuration.ok", "verdict.-"}
CYRILLIC, KAZAKH = re.compile("[\u0400-\u04ff]"), re.compile("[әғқңөұүһі]", re.IGNORECASE)


def texts(language: str) -> dict[str, str]:
    return dict(words.load(language))


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def findings() -> set[str]:
    """Keys of all that the checks can find, with those of their advice, from their source."""
    found = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
                for line, says in itertools.product(*map(_literals, node.args[:2])):
                    key = f"{line}.{says}"
                    found |= {key} | ({f"{key}.cause", f"{key}.next"} if MAKERS[node.func.id] else set())
    return found


def _literals(node: ast.AST) -> list[str]:
    """Of "a", and of "a" if x else "b"; what is computed has none."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    return _literals(node.body) + _literals(node.orelse) if isinstance(node, ast.IfExp) else []


def computed() -> set[str]:
    """Those whose second half is computed: where the way ends, whose certificate ended."""
    from field.diag.network_checks import _ENDS

    ends = {f"{end.line}.{end.says}" for _, end in _ENDS} | {"broker.untried", "tls.broker-old"}
    ends |= {f"tls.{whose}-expired" for whose in ("own", "broker", "ca")}
    return ends | {f"{key}.{what}" for key in ends for what in ("cause", "next")}


def spoken() -> set[str]:
    """Keys that the code asks for by name: words("title"), words(f"asking.{word}")."""
    found = {f"asking.{word}" for word in (interview.STATUS, "logs", *interview.QUESTIONS)}
    found |= {f"line.{line}" for line in LINES} | {f"verdict.{verdict}" for verdict in Verdict}
    found |= {f"colour.{name}" for name, _ in COLOURS} | {f"{ANY}.{says}" for says in EVERYWHERE}
    found |= {
        "advice.cause",
        "advice.next",
        *(f"{kind}.{one}" for kind in ("answer", "choice") for one in (YES, NO, AGAIN)),
    }
    for path in FOLDER.glob("*.py"):
        found |= set(re.findall(r'words\("([\w.-]+)"', path.read_text("utf-8")))
    return found


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_language_has_exactly_what_can_be_said(language: str) -> None:
    wanted = findings() | computed() | spoken()
    assert len(findings()) > 100, "the source is not understood any more"
    assert sorted(wanted - set(texts(language))) == [], "missing"
    assert sorted(set(texts(language)) - wanted) == [], "nobody says these any more"


@pytest.mark.parametrize("language", words.LANGUAGES[1:])
def test_a_translation_fills_in_what_the_english_text_does(language: str) -> None:
    english, other = texts("en"), texts(language)
    assert [key for key in english if fields(english[key]) != fields(other[key])] == []


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_no_text_is_its_key_or_empty(language: str) -> None:
    assert [key for key, text in texts(language).items() if text in (key, "")] == []


def test_translations_are_translated() -> None:
    english, russian, kazakh = (texts(language) for language in words.LANGUAGES)
    same = {"supply.ok", "line.journal", "line.chip", "line.broker", "line.tamper", "line.clock"}
    for key in set(english) - SAME:
        assert english[key] != russian[key] and CYRILLIC.search(russian[key]) or _is_bare(russian[key]), key
        assert english[key] != kazakh[key] and CYRILLIC.search(kazakh[key]) or _is_bare(kazakh[key]), key
        assert not CYRILLIC.search(english[key]), key
        assert not KAZAKH.search(russian[key]), f"{key}: Kazakh letters in the Russian text"
        assert kazakh[key] != russian[key] or key in same or _is_bare(kazakh[key]), key
    assert sum(bool(KAZAKH.search(text)) for text in kazakh.values()) > len(kazakh) * 0.8


def _is_bare(text: str) -> bool:
    """Names and figures with nothing to translate."""
    return not re.sub(r"\{\w+\}|make|flash|PORT=...|CONFIG=provisioned/columns/ID|[^\w]", "", text)


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_person_can_answer_with_one_letter(language: str) -> None:
    said = words.Words(language)
    letters = [said(f"answer.{choice}") for choice in (YES, NO, AGAIN)]
    assert len(set(letters)) == 3 and all(len(letter) == 1 for letter in letters)


@pytest.mark.parametrize(
    ("asked", "environment", "language"),
    [
        (None, {}, "en"),
        ("kk", {"LANG": "ru_RU.UTF-8"}, "kk"),
        (None, {"LANG": "ru"}, "ru"),
        (None, {"LANG": "ru_RU.UTF-8"}, "ru"),
        (None, {"LANG": "ru_RU.UTF-8", "LC_ALL": "kk_KZ.UTF-8"}, "kk"),
        (None, {"LANG": "de_DE.UTF-8"}, "en"),
        (None, {"LANG": "C.UTF-8"}, "en"),
        (None, {"LANG": "", "LC_ALL": ""}, "en"),
    ],
)
def test_the_language_is_what_was_asked_for_or_the_systems(
    asked: str | None, environment: dict[str, str], language: str
) -> None:
    assert words.choose(asked, environment) == language
