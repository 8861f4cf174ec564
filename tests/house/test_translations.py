"""The Russian and Kazakh pages keep step with the English ones.

Prose may be said more plainly; what a person types, looks for or follows may not differ: the commands in their order,
the headings in number and level, the paragraphs that begin in bold, the rows of each table in their order, the names
in code, pictures and links.
A page that is new in docs/ru has to be in docs/kk, is to be linked from its English page and from the README.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from field import words

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LANGUAGES = words.LANGUAGES[1:]
# Sections of an English page that are for builders machines and programs, and stay in English.
ENGLISH_ONLY = {
    "desk.md": {"Try it", "For those who run it", "For integrators", "What is tested"},
    "diagnostics.md": {"For programs"},
    "flashing.md": {"Your own image"},
}
PAGES = sorted(path.name for path in (DOCS / LANGUAGES[0]).glob("*.md"))
BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```\n", re.M | re.S)
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:make|\.venv/bin/\S+|sos-\w+|mosquitto|pip|chown|cd)(?: |$)")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
KAZAKH = re.compile("[әғқңөұүһі]", re.IGNORECASE)
# Enough letters to be a sentence and not a name.
SENTENCE_LETTERS = 40


@dataclass
class Section:
    """What stands under one heading."""

    level: int
    title: str
    commands: list[str] = field(default_factory=list)
    blocks: int = 0
    leads: int = 0
    rows: list[list[str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    targets: set[Path] = field(default_factory=set)


def sections(text: str, place: Path) -> list[Section]:
    """`place` is the file that the text stands in; its links are followed from there."""
    # Blocks are taken out first: a comment in one begins as a heading does.
    found, start = [], 0
    bare = BLOCK.sub(lambda block: "\0" * len(block[0]), text)
    headings = [*re.finditer(r"^(#+) (.*)$", bare, re.M)]
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        start, end = heading.end(), following.start() if following else len(text)
        found.append(_section(len(heading[1]), heading[2], text[start:end], place))
    return found


def _section(level: int, title: str, text: str, place: Path) -> Section:
    blocks = BLOCK.findall(text)
    prose = BLOCK.sub("", text)
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in prose.splitlines() if line.startswith("|")]
    return Section(
        level, title,
        commands=[command for block in blocks for command in _commands(block)],
        blocks=len(blocks),
        leads=len(re.findall(r"^ *(?:[-\d]\.? )?\*\*", prose, re.M)),
        rows=[_names(row[0]) + sorted(_names(" ".join(row[1:]))) for row in rows],
        names=set(_names(prose)),
        targets={_english((place.parent / target).resolve()) for target in LINK.findall(prose)},
    )  # fmt: skip


def _names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _commands(block: str) -> list[str]:
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    typed = [re.split(r"\s+#|\s{3,}", line.strip())[0] for line in lines]
    return [line for line in typed if COMMAND.match(line)]


def _english(path: Path) -> Path:
    """The English page of a translated one, so that a page and its translation lead to the same places."""
    return DOCS / path.name if path.parent.parent == DOCS and path.parent.name in LANGUAGES else path


def kept(page: str) -> list[Section]:
    place = DOCS / page
    return [one for one in sections(place.read_text("utf-8"), place) if one.title not in ENGLISH_ONLY.get(page, ())]


def out_of_step(page: str, text: str, place: Path) -> list[str]:
    """Where a translation says something else than its English page, in words."""
    english, own = kept(page), sections(text, place)
    if [one.level for one in english] != [one.level for one in own]:
        return [f"headings: {[one.title for one in english]} are {[one.title for one in own]}"]
    found = []
    for there, here in zip(english, own, strict=True):
        for what in ("commands", "blocks", "leads", "rows", "names"):
            if getattr(there, what) != getattr(here, what):
                found.append(f"{here.title}: {what}: {_difference(getattr(there, what), getattr(here, what))}")
        if there.targets - {DOCS / page} != here.targets - {DOCS / page}:
            found.append(f"{here.title}: links: {_difference(there.targets, here.targets)}")
    return found


def _difference(english: object, own: object) -> str:
    if isinstance(english, set) and isinstance(own, set):
        return f"missing {sorted(map(str, english - own))}, too many {sorted(map(str, own - english))}"
    if isinstance(english, list) and isinstance(own, list):
        unequal = [(a, b) for a, b in zip(english, own, strict=False) if a != b]
        return f"{len(english)} are {len(own)}, first {unequal[:1]}"
    return f"{english} are {own}"


def untranslated(text: str, language: str) -> list[str]:
    """Sentences without a letter of the language's own alphabet."""
    letters = KAZAKH if language == "kk" else re.compile("[\u0400-\u04ff]")
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)", "", BLOCK.sub("", text))
    pieces = [piece for line in prose.splitlines() for piece in (line.split("|") if line.startswith("|") else [line])]
    return [piece for piece in pieces if len(re.findall(r"[^\W\d_]", piece)) >= SENTENCE_LETTERS
            and not letters.search(piece)]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_a_translated_page_keeps_step(page: str, language: str) -> None:
    place = DOCS / language / page
    assert out_of_step(page, place.read_text("utf-8"), place) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_a_translated_page_is_translated_and_its_links_lead_somewhere(page: str, language: str) -> None:
    place = DOCS / language / page
    text = place.read_text("utf-8")
    assert untranslated(text, language) == []
    if language == "ru":
        assert [line for line in text.splitlines() if KAZAKH.search(line.replace("Қазақша", ""))] == []
    assert [target for target in LINK.findall(text) if not (place.parent / target).resolve().exists()] == []
    past = [target for target in LINK.findall(text)
            if target.startswith("../") and target[3:] in PAGES and target[3:] != page]  # fmt: skip
    assert past == [], "there is such a page in this language"


@pytest.mark.parametrize("page", PAGES)
def test_a_translated_page_is_found(page: str) -> None:
    """From its English page, from its sister, and from the README's table."""
    readme = (ROOT / "README.md").read_text("utf-8")
    for language, sister in zip(LANGUAGES, reversed(LANGUAGES), strict=True):
        assert f"](docs/{language}/{page})" in readme
        assert f"]({language}/{page})" in (DOCS / page).read_text("utf-8")
        assert f"](../{language}/{page})" in (DOCS / sister / page).read_text("utf-8")
        assert f"](../{page})" in (DOCS / language / page).read_text("utf-8")


def test_the_languages_have_the_same_pages() -> None:
    assert PAGES
    assert [sorted(path.name for path in (DOCS / language).glob("*.md")) for language in LANGUAGES] == [PAGES, PAGES]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("make flash PORT=/dev/ttyUSB0 CONFIG=", "make flash PORT=/dev/ttyUSB9 CONFIG=", "commands"),
        ("\n## ", "\n### ", "headings"),
        ("| macOS |", "macOS", "rows"),
        ("`FORCE=1`", "FORCE=1", "names"),
        ("](../configuration.md)", "](../wiring.md)", "links"),
        ("**Одно имя — одна плата.**", "Одно имя.", "leads"),
        ("```\n   make flash ", "make flash ", "blocks"),
    ],
)
def test_a_page_that_fell_behind_is_noticed(old: str, new: str, told: str) -> None:
    """Each line is one thing that a person would type, follow or look for, changed in one language only."""
    place = DOCS / "ru" / "flashing.md"
    text = place.read_text("utf-8")
    assert old in text
    assert any(told in trouble for trouble in out_of_step("flashing.md", text.replace(old, new), place))


def test_english_that_was_left_is_noticed() -> None:
    left = "A cable that is pulled, at whatever step, leaves the old firmware in force."
    assert untranslated(left, "ru") == [left]
    assert untranslated("Если выдернуть кабель, действуют старая прошивка и старые настройки", "kk")
