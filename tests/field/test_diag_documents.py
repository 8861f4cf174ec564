"""What technicians are given on paper: every line of the check-up is explained, and the pocket card is one page."""

import colorsys
import html
import re
import subprocess
from pathlib import Path

import pytest
from column_probe import need

from field.diag.finding import LINES, Verdict
from field.diag.words import Words
from field.words import LANGUAGES
from firmware import lamp
from tools import toolbox
from tools.chromium import FLAGS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "diagnostics.md"
CARD = ROOT / "docs" / "pocket-card.html"
CARDS_COMMANDS = {"diag", "logs", "watch", "flash", "shell"}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def explained(document: str) -> dict[str, str]:
    """Each line's key in JSON -> its name, from the table of lines."""
    rows = [cells(line) for line in document.splitlines() if line.startswith("| ")]
    return {row[1].strip("`"): row[0] for row in rows if len(row) == 4 and row[1].strip("`") in LINES}


def test_every_line_of_the_check_up_is_explained_in_its_order() -> None:
    english = Words("en")
    assert explained(DOCUMENT.read_text("utf-8")) == {line: english.line(line) for line in LINES}
    assert tuple(explained(DOCUMENT.read_text("utf-8"))) == LINES


def test_a_line_that_is_not_explained_is_noticed() -> None:
    text = re.sub(r"(?m)^\| clock \|.*$", "", DOCUMENT.read_text("utf-8"))
    assert set(LINES) - set(explained(text)) == {"clock"}


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_a_translated_page_says_what_the_check_up_says(language: str) -> None:
    """What the page calls by another name than screen and card is not found there."""
    text, words = (DOCUMENT.parent / language / DOCUMENT.name).read_text("utf-8"), Words(language)
    assert explained(text) == {line: words.line(line) for line in LINES}
    assert [verdict for verdict in Verdict if words(f"verdict.{verdict}") not in text] == []
    column = LANGUAGES.index(language)
    assert lamp_of_page(text) == {state: said[column] for state, said in lamp_of_document().items()}


def lamp_of_page(text: str) -> dict[str, str]:
    """State -> what it says, on a page in one language."""
    rows = [cells(line) for line in text.splitlines() if line.startswith("| ")]
    states = {"dark" if row[1] == "-" else row[1].strip("`"): row[2] for row in rows if len(row) == 3}
    return {state: said for state, said in states.items() if state in {*lamp.COLOURS, "dark"}}


def test_a_page_that_calls_a_line_or_a_lamp_otherwise_is_noticed() -> None:
    text = (DOCUMENT.parent / "ru" / DOCUMENT.name).read_text("utf-8")
    assert explained(text.replace("| вход |", "| логин |"))["login"] == "логин"
    assert lamp_of_page(text.replace("Вызов передаётся.", "Вызов отправлен."))["sent"] == "Вызов отправлен."


SYSTEMS = {"Linux": ("/dev/serial/by-id", "usermod -aG dialout"), "macOS": ("/dev/cu.",), "Windows": ("COM3", "usbipd")}


@pytest.mark.parametrize("language", ["", *LANGUAGES[1:]])
def test_the_page_on_flashing_names_each_systems_ports(language: str) -> None:
    """Whoever has no permission, or a `COM3`, reads what to do. Red with a row or a language that lacks it."""
    text = (DOCUMENT.parent / language / "flashing.md").read_text("utf-8")
    rows = {cells(line)[0]: line for line in text.splitlines() if line.startswith("| ") and len(cells(line)) == 3}
    lacking = [name for name, words in SYSTEMS.items() if not all(word in rows.get(name, "") for word in words)]
    assert lacking == []


def lamp_of_document() -> dict[str, list[str]]:
    """State -> what it says in the three languages."""
    rows = [cells(line) for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("| ")]
    states = {*lamp.COLOURS, "-"}
    return {row[1].strip("`").replace("-", "dark") if row[1] == "-" else row[1].strip("`"): row[2:]
            for row in rows if len(row) == 5 and row[1].strip("`") in states}  # fmt: skip


def lamp_of_card(card: str) -> dict[str, tuple[str, list[str]]]:
    """State -> (its colour on the lamp, what it says)."""
    found = {}
    for state, row in re.findall(r'<tr data-state="([\w-]+)">(.*?)</tr>', card):
        lamps = re.search(r'data-lamp="([^"]+)"', row)
        assert lamps, state
        found[state] = lamps[1], [html.unescape(text) for text in re.findall(r"<br>(.*?)</td>", row)]
    return found


def test_the_cards_lamp_is_the_firmwares_in_the_documents_words() -> None:
    card = lamp_of_card(CARD.read_text("utf-8"))
    assert {state: said for state, (_, said) in card.items()} == lamp_of_document()
    assert set(card) == {*lamp.COLOURS, "dark"}
    for state, colour in lamp.COLOURS.items():
        assert "#{:02x}{:02x}{:02x}".format(*colour) in card[state][0], state


HUES = {"yellow": (48, 66), "green": (100, 140), "cyan": (170, 190), "blue": (230, 250), "magenta": (290, 310)}


def hue(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return colorsys.rgb_to_hsv(red, green, blue)[0] * 360


def test_a_colour_on_paper_is_the_one_that_its_word_says() -> None:
    """What an LED needs to look yellow is orange on paper."""
    card = CARD.read_text("utf-8")
    painted = dict(re.findall(r'background: (#[0-9a-f]{6})"></td><td lang="en"><b>(\w+)', card))
    names = {name: colour for colour, name in painted.items()}
    for name, (low, high) in HUES.items():
        assert low <= hue(names[name]) <= high, name
    assert not HUES["yellow"][0] <= hue("#{:02x}{:02x}{:02x}".format(*lamp.COLOURS["calling"])) <= HUES["yellow"][1]


def test_the_card_has_a_line_for_the_centres_telephone() -> None:
    line = re.search(r'class="telephone">(.*?)</p>', CARD.read_text("utf-8"))
    assert line and all(word in line[1] for word in ("telephone", "Телефон центра", "Орталық телефоны"))


def test_the_cards_commands_and_verdicts_are_the_projects() -> None:
    card = html.unescape(CARD.read_text("utf-8"))
    commands = set(re.findall(r'"command">make (\w+)', card))
    targets = set(re.findall(r"(?m)^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8")))
    assert commands == CARDS_COMMANDS and commands <= targets
    for language in LANGUAGES:
        said = Words(language)
        for verdict in (Verdict.PASS, Verdict.WARN, Verdict.FAIL):
            assert said.verdict(verdict) in card


def pages(source: Path, folder: Path) -> int:
    """As a browser prints it."""
    made = folder / "card.pdf"
    program = [
        toolbox.require("chromium")[0],
        *FLAGS,
        "--no-pdf-header-footer",
        f"--print-to-pdf={made}",
        source.as_uri(),
    ]
    subprocess.run(program, capture_output=True, timeout=90, check=True)
    return len(re.findall(rb"/Type\s*/Page\b", made.read_bytes()))


@pytest.mark.chromium
def test_the_card_is_one_page(tmp_path: Path) -> None:
    need("chromium")
    assert pages(CARD, tmp_path) == 1
    longer = tmp_path / "longer.html"
    longer.write_text(CARD.read_text("utf-8") + "<p>one more line" * 12)
    assert pages(longer, tmp_path) == 2
