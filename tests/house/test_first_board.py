"""The table of docs/first-board.md: each line of the reading of MicroPython's source has a model, a test that exists,
and either a mended firmware or a sentence why it is harmless."""

import re
from pathlib import Path

import pytest

from common import assumptions
from sim.chip.options import KEYS

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs/first-board.md").read_text("utf-8")
LINES = {match[1]: [cell.strip() for cell in match[2].split("|")]
         for match in re.finditer(r"^\| (C\d+) \|(.*)\|$", PAGE, re.MULTILINE)}  # fmt: skip
READ = [f"C{number}" for number in range(1, 20)]
NAMES = re.compile(r"`([^`]+)`")
FUNCTIONS = {
    name
    for file in (PROJECT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
}
FIGURES = assumptions.load()
CONTROLS = re.findall(r'@_control\("([\w-]+)"', (PROJECT / "sim/search/storms/controls.py").read_text("utf-8"))


def wanting(cells: list[str]) -> list[str]:
    """What a line lacks, or names and is not there."""
    if len(cells) != 4 or not all(cells):
        return ["a belief, its model, its test, and what the firmware does or why it is harmless"]
    _, model, test, cure = cells
    lacks = []
    if not any(_is_there(name) for name in NAMES.findall(model)):
        lacks.append("a model that is there")
    if not any(name.startswith(("test", "make bench")) for name in NAMES.findall(test)):
        lacks.append("a test")
    if not (NAMES.search(cure) or re.match("Harmless.{40}", cure)):
        lacks.append("the firmware's place, or why it is harmless")
    return lacks + [name for name in NAMES.findall(test) if not _is_test(name)]


def _is_there(name: str) -> bool:
    return (PROJECT / name).exists() or name in FIGURES or name.startswith("sim board")


def _is_test(name: str) -> bool:
    """A file of tests, one of its functions, functions of a C number, a target of make, or a control of the storms."""
    file, _, function = name.partition("::")
    if function:
        path = PROJECT / file
        return path.is_file() and f"\ndef {function}(" in path.read_text("utf-8")
    if file.endswith(".py"):
        found = list((PROJECT / "tests").rglob(Path(file).name))
        return any(path.as_posix().endswith(file) and "\ndef test_" in path.read_text("utf-8") for path in found)
    if file.startswith("test_"):
        return any(one.startswith(file.rstrip("*")) for one in FUNCTIONS)
    return file in CONTROLS or file == "make bench"


def test_every_line_of_the_reading_is_in_the_table_once() -> None:
    """C20 came later, from the debouncer."""
    assert list(LINES) == [*READ, "C20"] and PAGE.count("\n| C") == len(LINES)


@pytest.mark.parametrize("line", LINES)
def test_each_line_has_model_test_and_cure(line: str) -> None:
    """Red when one of its tests is renamed, or a cell emptied."""
    assert wanting(LINES[line]) == []


@pytest.mark.parametrize("line", LINES)
def test_a_figure_that_a_line_names_is_in_the_file(line: str) -> None:
    named = re.findall(r"`([a-z]+_[a-z_0-9]+)`", " ".join(LINES[line][:2]))
    assert [name for name in named if name not in FIGURES and name not in KEYS] == []


@pytest.mark.parametrize(
    ("cell", "text", "lacks"),
    [
        (1, "a sentence", ["a model that is there"]),
        (2, "nobody looked", ["a test"]),
        (2, "`tests/chip/test_gone.py`", ["tests/chip/test_gone.py"]),
        (2, "`test_c99_*`", ["test_c99_*"]),
        (2, "`tests/firmware/test_memory.py::test_gone`", ["tests/firmware/test_memory.py::test_gone"]),
        (2, "`test_c2_*`, control `no-such-control`", ["no-such-control"]),
        (3, "Harmless", ["the firmware's place, or why it is harmless"]),
        (3, "", ["a belief, its model, its test, and what the firmware does or why it is harmless"]),
    ],
)
def test_what_a_line_lacks_is_noticed(cell: int, text: str, lacks: list[str]) -> None:
    cells = list(LINES["C2"])
    cells[cell] = text
    assert wanting(cells) == lacks
