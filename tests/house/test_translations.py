"""The Russian and Kazakh pages keep step with the English ones.

Prose may be said more plainly; what a person types, looks for or follows may not differ: the commands in their order,
blocks of code but for their comments, the headings in number and level, the paragraphs that begin in bold, the rows of
each table in their order, the names in code, figures, pictures and links, with the heading that a link leads to.
A page that is new in docs/ru has to be in docs/kk, is to be linked from its English page and from the README. What
README's table names for technicians, operators and those who run the centre has to be in both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sentences import all_texts, docstrings

import desk.spoken
import sim.spoken
import tools.spoken
from common.sentences import texts
from desk.rollout import command as rollout
from field import words
from field.words import Words

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LANGUAGES = words.LANGUAGES[1:]
# Sections of an English page that are for builders machines and programs, and stay in English.
ENGLISH_ONLY = {
    "configuration.md": {"Every key"},
    "desk.md": {"For integrators", "What is tested"},
    "diagnostics.md": {"For programs"},
    "first-board.md": {"What is believed of the chip, and who holds it to that"},
    "flashing.md": {"Your own image"},
}
# Rows of README's table for those who build and change things; all others are for people in the street and the centre.
BUILDERS = (
    "build a control centre", "change the code, or find where something lives", "break a simulated column on purpose",
)  # fmt: skip
# In English alone, and README says why.
NOT_TRANSLATED = {"compliance.md", "SECURITY.md"}
TABLES = ("common/words", "desk/words", "desk/rollout/words", "field/words", "field/words/sentences",
          "sim/words", "tools/words", "desk/web/static/i18n")  # fmt: skip
# It tells of a section that is in English alone: "Your own image".
OF_AN_ENGLISH_SECTION = {"flash.little-memory"}
PAGES = sorted(path.name for path in (DOCS / LANGUAGES[0]).glob("*.md"))
BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```\n", re.M | re.S)
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:make|\.venv/bin/\S+|sos-\w+|mosquitto|pip|chown|cd)(?: |$)")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#([^)]*))?\)")
# A number that is no part of a name, such as GPIO18 or SHA-256.
FIGURE = re.compile(r"(?<![A-Za-z\d.])(?<![A-Za-z]-)\d+(?:\.\d+)*")
CYRILLIC = re.compile("[\u0400-\u04ff]")
KAZAKH = re.compile("[әғқңөұүһі]", re.IGNORECASE)
# Enough letters to be a sentence and not a name.
SENTENCE_LETTERS = 40


@dataclass
class Section:
    """What stands under one heading."""

    level: int
    title: str
    commands: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    leads: int = 0
    rows: list[list[str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    figures: list[str] = field(default_factory=list)
    links: set[str] = field(default_factory=set)


def headings(text: str) -> list[re.Match[str]]:
    """Blocks are taken out first: a comment in one begins as a heading does."""
    return [*re.finditer(r"^(#+) (.*)$", BLOCK.sub(lambda block: "\0" * len(block[0]), text), re.M)]


def sections(text: str, place: Path) -> list[Section]:
    """`place` is the file that the text stands in; its links are followed from there."""
    found, heads = [], headings(text)
    for heading, following in zip(heads, [*heads[1:], None], strict=True):
        end = following.start() if following else len(text)
        found.append(_section(len(heading[1]), heading[2], text[heading.end() : end], place))
    return found


def _section(level: int, title: str, text: str, place: Path) -> Section:
    blocks = BLOCK.findall(text)
    prose = BLOCK.sub("", text)
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in prose.splitlines() if line.startswith("|")]
    return Section(
        level, title,
        commands=[command for block in blocks for command in _commands(block)],
        blocks=[_code(block) for block in blocks],
        leads=len(re.findall(r"^ *(?:[-\d]\.? )?\*\*", prose, re.M)),
        rows=[_names(row[0]) + sorted(_names(" ".join(row[1:]))) + sorted({*_figures("|".join(row))}) for row in rows],
        names=set(_names(prose)),
        figures=sorted(_figures("\n".join(line for line in prose.splitlines() if not line.startswith("|")))),
        links={_place((place.parent / target).resolve(), anchor) for target, anchor in LINK.findall(prose)},
    )  # fmt: skip


def _names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _figures(text: str) -> list[str]:
    """Numbers as the three languages write them: 4,096 and 4 096, 2.2 and 2,2."""
    bare = re.sub(r"`[^`]*`|\]\([^)]*\)", "", text)
    whole = re.sub(r"(?<=\d),(?=\d{3}(?!\d))|(?<=\d)[ \u00a0](?=\d{3}(?!\d))", "", bare)
    return FIGURE.findall(re.sub(r"(?<=\d),(?=\d)", ".", whole))


def _code(block: str) -> str:
    """A block without comments and indents."""
    return "\n".join(re.split(r"\s+#|^#", line)[0].strip() for line in block.splitlines())


def _same_code(english: str, own: str) -> bool:
    """What a program says, it says in the person's language; what is typed is the same everywhere."""
    said = bool(CYRILLIC.search(own)) and not _commands(own) and own.count("\n") == english.count("\n")
    return said or english == own


def _slug(title: str) -> str:
    """The name under which a page's heading is linked to."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _place(target: Path, anchor: str) -> str:
    """Where a link leads to, alike for a page and its translations: the English file, and which of its headings."""
    english = _english(target)
    if not anchor:
        return str(english)
    left = ENGLISH_ONLY.get(target.name, set()) if target == english else set()
    slugs = [_slug(one[2]) for one in headings(target.read_text("utf-8")) if one[2] not in left]
    return f"{english}#{slugs.index(anchor) if anchor in slugs else anchor}"


def _commands(block: str) -> list[str]:
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    typed = [re.split(r"\s+#|\s{3,}", line.strip())[0] for line in lines]
    return [line for line in typed if COMMAND.match(line)]


def _english(path: Path) -> Path:
    """The English page or drawing of a translated one: a page and its translation lead to the same places."""
    drawing = re.fullmatch(rf"(.+)\.(?:{'|'.join(LANGUAGES)})\.svg", path.name)
    if drawing:
        return path.with_name(f"{drawing[1]}.svg")
    return DOCS / path.name if path.parent.parent == DOCS and path.parent.name in LANGUAGES else path


def kept(page: str, left: set[str]) -> list[Section]:
    """`left`: the headings that the translation may do without."""
    place = DOCS / page
    return [one for one in sections(place.read_text("utf-8"), place) if one.title not in left]


def out_of_step(page: str, text: str, place: Path) -> list[str]:
    """Where a translation says something else than its English page, in words."""
    english, own = kept(page, ENGLISH_ONLY.get(page, set())), sections(text, place)
    if [one.level for one in english] != [one.level for one in own]:
        return [f"headings: {[one.title for one in english]} are {[one.title for one in own]}"]
    found = []
    for there, here in zip(english, own, strict=True):
        for what in ("commands", "leads", "rows", "names", "figures"):
            if getattr(there, what) != getattr(here, what):
                found.append(f"{here.title}: {what}: {_difference(getattr(there, what), getattr(here, what))}")
        if len(there.blocks) != len(here.blocks) or not all(map(_same_code, there.blocks, here.blocks)):
            found.append(f"{here.title}: blocks: {_difference(there.blocks, here.blocks)}")
        if there.links - {str(DOCS / page)} != here.links - {str(DOCS / page)}:
            found.append(f"{here.title}: links: {_difference(there.links, here.links)}")
    return found


def lead_away(text: str, place: Path) -> list[str]:
    """Links to a page in another language than the text's, although there is one in its own; a section that is in
    English alone is no such place."""
    paths = [(place.parent / target).resolve() for target, anchor in LINK.findall(text)
             if anchor not in map(_slug, ENGLISH_ONLY.get(Path(target).name, ()))]  # fmt: skip
    return [path.relative_to(DOCS).as_posix() for path in paths if _english(path).parent == DOCS
            and path.parent != place.parent and path.name in {*PAGES} - {place.name}]  # fmt: skip


def named_in_english(table: Mapping[str, str]) -> dict[str, list[str]]:
    """Where a program names the English page to somebody in whose language there is one."""
    named = {key: re.findall(r"docs/([\w-]+\.md)", str(text)) for key, text in table.items()}
    return {key: pages for key, pages in named.items() if key not in OF_AN_ENGLISH_SECTION and {*pages} & {*PAGES}}


def not_translated(readme: str) -> set[str]:
    """Pages that the table names for somebody who builds nothing, and that have no translation."""
    rows = [line.split("|") for line in readme.partition("| you | read |")[2].partition("\n\n")[0].splitlines()[2:]]
    named = {target for row in rows if row[1].strip() not in BUILDERS for target, _ in LINK.findall(row[2])}
    return {Path(target).name for target in named if target.endswith(".md")} - set(PAGES)


def _difference(english: object, own: object) -> str:
    if isinstance(english, set) and isinstance(own, set):
        return f"missing {sorted(map(str, english - own))}, too many {sorted(map(str, own - english))}"
    if isinstance(english, list) and isinstance(own, list):
        unequal = [(a, b) for a, b in zip(english, own, strict=False) if a != b]
        return f"{len(english)} are {len(own)}, first {unequal[:1]}"
    return f"{english} are {own}"


def untranslated(text: str, language: str) -> list[str]:
    """Sentences without a letter of the language's own alphabet."""
    letters = KAZAKH if language == "kk" else CYRILLIC
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)", "", BLOCK.sub("", text))
    pieces = [piece for line in prose.splitlines() for piece in (line.split("|") if line.startswith("|") else [line])]
    return [piece for piece in pieces if len(re.findall(r"[^\W\d_]", piece)) >= SENTENCE_LETTERS
            and not letters.search(piece)]  # fmt: skip


def test_a_number_on_a_page_has_the_languages_point() -> None:
    """ "82.8 %" stood beside "3,1 s" in Russian. Red when a page writes a number with `toFixed`, which knows the
    English point only; what is drawn or set as an attribute is no text."""
    drawn = {"i18n.js", "map.js", "media.js"}
    scripts = [path for path in sorted((ROOT / "desk/web/static/js").glob("*.js")) if path.name not in drawn]
    assert len(scripts) > 10 and [path.name for path in scripts if ".toFixed(" in path.read_text("utf-8")] == []


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
    assert [target for target, _ in LINK.findall(text) if not (place.parent / target).resolve().exists()] == []
    assert lead_away(text, place) == [], "there is such a page in this language"


ENGLISH_PAGE = re.compile(r"\[(?!English\])[^\]]+\]\((?:\.\./)+(?!ru/|kk/)[^)#]+\.md[^)]*\)(.{0,15})")
ANNOUNCED = {"ru": (" (англ.)", " (на англ"), "kk": (" (ағылш.)", " (ағылшынша")}


def unannounced(text: str, language: str) -> list[str]:
    """Links to an English page that do not say so."""
    return [link[0] for link in ENGLISH_PAGE.finditer(text) if not link[1].startswith(ANNOUNCED[language])]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_a_link_to_an_english_page_says_so(page: str, language: str) -> None:
    """Who reads no English follows it in vain."""
    assert unannounced((DOCS / language / page).read_text("utf-8"), language) == []


def test_a_link_that_does_not_say_so_is_noticed() -> None:
    assert unannounced("[договор](../contract.md#a), [English](../desk.md), [б](wiring.md)", "ru") != []
    assert unannounced("[договор](../contract.md#a) (англ.), [English](../desk.md), [б](wiring.md)", "ru") == []


def drawn(svg: str) -> tuple[str, list[str]]:
    """The drawing without its words, and the words."""
    return re.sub(r">[^<>]+(?=</text>)|(?<=aria-label=)\"[^\"]*\"", "", svg), re.findall(r">([^<>]+)</text>", svg)


def drawn_otherwise(english: str, own: str) -> list[str]:
    """Where a translated drawing is another one, in words."""
    (lines, words_there), (own_lines, own_words) = drawn(english), drawn(own)
    found = ["lines"] if own_lines != lines else []
    found += [word for there, word in zip(words_there, own_words, strict=True) if _figures(there) != _figures(word)]
    # In brackets, and with a point, are names of roles and keys.
    return found + [word for word in own_words if re.search("[a-z]{4}", re.sub(r"\(\w+|\w+\.\w+", "", word))]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_drawing_is_the_same_in_each_language(language: str) -> None:
    """Red when a line is moved in one of them, when it has another figure, and for a word that was left in English."""
    english = (DOCS / "img" / "wiring.svg").read_text("utf-8")
    own = (DOCS / "img" / f"wiring.{language}.svg").read_text("utf-8")
    assert drawn_otherwise(english, own) == []
    assert drawn_otherwise(english, own.replace("M68 100 L110 100", "M68 100 L110 101")) == ["lines"]
    assert drawn_otherwise(english, own.replace(">2,2 ", ">2,7 ")) == ["2,7 к"]
    assert "cable, twisted pair" in drawn_otherwise(english, english)


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
        ("](configuration.md)", "](../contract.md)", "links"),
        ("](provisioning.md)", "](provisioning.md#брокер)", "links"),
        ("**Одно имя — одна плата.**", "Одно имя.", "leads"),
        ("```\n   make flash ", "make flash ", "blocks"),
        ("не дольше 30 минут", "не дольше 20 минут", "figures"),
        ("| macOS |", "| macOS 14 |", "rows"),
    ],
)
def test_a_page_that_fell_behind_is_noticed(old: str, new: str, told: str) -> None:
    """Each line is one thing that a person would type, follow or look for, changed in one language only."""
    place = DOCS / "ru" / "flashing.md"
    text = place.read_text("utf-8")
    assert old in text
    assert any(told in trouble for trouble in out_of_step("flashing.md", text.replace(old, new), place))


@pytest.mark.parametrize(
    ("page", "old", "new"),
    [
        ("updates.md", '"release-2.pem"]', '"release-3.pem"]'),
        ("diagnostics.md", "\n...\n", "\n"),
        ("desk.md", 'host = "pbx.example"', 'host = "pbx.elsewhere"'),
    ],
)
def test_a_block_that_nobody_types_is_held_too(page: str, old: str, new: str) -> None:
    """A line of a file that is written, and the number of lines that a program says in the language."""
    place = DOCS / "ru" / page
    text = place.read_text("utf-8")
    assert text.count(old) == 1
    (told,) = out_of_step(page, text.replace(old, new), place)
    assert ": blocks: " in told


def test_english_that_was_left_is_noticed() -> None:
    left = "A cable that is pulled, at whatever step, leaves the old firmware in force."
    assert untranslated(left, "ru") == [left]
    assert untranslated("Если выдернуть кабель, действуют старая прошивка и старые настройки", "kk")


def test_figures_are_read_in_each_language() -> None:
    """4,096 in one language and 4 096 in the other are one figure; what is part of a name is none."""
    english = "RSA-3072 on GPIO16 of an S3: 2.2 V, 10,000 columns, 19, 21, 1.26 and -75; `8884`"
    assert _figures(english) == ["2.2", "10000", "19", "21", "1.26", "75"]
    assert _figures("RSA-3072, GPIO16, S3: 2,2 В, 10 000 колонн, 19, 21, 1.26 и -75") == _figures(english)


def test_a_link_into_another_language_is_noticed() -> None:
    """To the English page, or to the sister's, of a page that is there in one's own language."""
    place = DOCS / "ru" / "desk.md"
    assert lead_away("[a](wiring.md), [b](../contract.md), [English](../desk.md), [c](../kk/desk.md)", place) == []
    assert lead_away("[a](../flashing.md#your-own-image)", place) == []
    assert lead_away("[a](../wiring.md), [b](../kk/wiring.md)", place) == ["wiring.md", "kk/wiring.md"]
    assert lead_away("[a](../flashing.md#by-hand)", place) == ["flashing.md"]


def test_what_the_readme_names_for_people_who_build_nothing_is_translated() -> None:
    """Red with a new page for a technician in README's table and no translation."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert all(f"| {row} |" in readme for row in BUILDERS), "a row has another name now"
    assert not_translated(readme) == NOT_TRANSLATED
    for row, told in (("answer calls, or run the desk", {"reliability.md"}), (BUILDERS[0], set())):
        behind = readme.replace(f"| {row} | ", f"| {row} | [a page](docs/reliability.md), ")
        assert behind != readme and not_translated(behind) == NOT_TRANSLATED | told


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("folder", TABLES)
def test_a_program_names_the_page_in_the_persons_language(folder: str, language: str) -> None:
    """Red with docs/updates.md in a Russian text, for there is docs/ru/updates.md."""
    assert named_in_english(texts(ROOT / folder, language)) == {}
    assert named_in_english(json.loads((ROOT / f"tools/targets.{language}.json").read_text("utf-8"))) == {}
    assert named_in_english({"x": "см. docs/updates.md", "y": "docs/ru/updates.md, docs/contract.md"}) == {
        "x": ["updates.md"]}  # fmt: skip


SAID: dict[str, Callable[[str], Callable[[str], str]]] = {
    "common": lambda language: Words(language).said,
    "field": lambda language: Words(language).said,
    "firmware/startup": lambda language: Words(language).said,
    "desk": lambda language: desk.spoken.spoken(["--lang", language], rollout.WORDS).said,
    "sim": lambda language: sim.spoken.spoken(["--lang", language]).said,
    "tools": lambda language: tools.spoken.spoken(["--lang", language]).said,
}


def pages_said(room: Path) -> set[str]:
    """Texts of a room's programs that name a page, or a part of one: also those that fill a hole of another text."""
    files = [path for path in room.rglob("*.py") if "docs/" in path.read_text("utf-8")]
    found = set[str]().union(*(all_texts(path) - docstrings(path) for path in files))
    named = {text for text in found if re.search(r"docs/[\w-]+\.md", text)}
    return {text for text in named if not any(text != other and text in other for other in named)}  # no mere pieces


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("room", SAID)
def test_a_page_that_fills_a_hole_is_named_in_the_persons_language(room: str, language: str) -> None:
    """`is no TOML; see {page}` named the English page, which no table showed. Red with a page that no table turns."""
    said, texts_of = SAID[room](language), pages_said(ROOT / room)
    assert texts_of, "the source is not understood any more"
    assert named_in_english({text: said(text) for text in texts_of}) == {}
    assert named_in_english({"": said("error: x: is no TOML; see docs/desk.md, Nobody knows")}) != {}
