"""The documentation names only files that exist, and leads to headings that are there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "lib" / "README.md",
]
FOLDERS = ("boot.py", "main.py", "manifest.py", "Makefile", "firmware", "hal", "contract", "common", "desk", "field",
           "sim", "tools", "lib", "tests", "docs")  # fmt: skip
PATH = re.compile(r"(?<![\w./-])(?:[\w-]+/)*[\w*-]+\.(?:py|md|json|yaml|toml)\b|(?<![\w./-])(?:[\w-]+/)+(?![\w*])")

HEADING_LINK = re.compile(r"\]\(([^)#:\s]*\.md|)#([^)]+)\)")


def named(text: str) -> set[str]:
    """What looks like a file or folder of this repository: its first part is one of `FOLDERS`."""
    return {name for name in PATH.findall(text) if name.split("/")[0] in FOLDERS}


def lost(text: str) -> list[str]:
    return sorted(name for name in named(text) if not list(ROOT.glob(name.rstrip("/"))))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_a_document_names_exist(document: Path) -> None:
    assert lost(document.read_text()) == []


def lost_headings(text: str, place: Path) -> list[str]:
    """Links to a heading that the page has not; `place` is the file that the text stands in."""
    found = []
    for target, anchor in HEADING_LINK.findall(text):
        page = (place.parent / target).resolve() if target else place
        titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
        if anchor not in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}:
            found.append(f"{target}#{anchor}")
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_headings_that_a_document_leads_to_exist(document: Path) -> None:
    assert lost_headings(document.read_text("utf-8"), document) == []


def test_a_heading_that_is_gone_is_noticed() -> None:
    """As a browser reads it: letters of any language, small, with hyphens for blanks and no other signs."""
    text = "[a](provisioning.md#брокер), [b](../wiring.md#boards), [c](../wiring.md#no-such), [d](desk.md#gone)"
    assert lost_headings(text, ROOT / "docs" / "ru" / "desk.md") == ["../wiring.md#no-such", "desk.md#gone"]


def test_the_architecture_names_the_files_of_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert {"boot.py", "main.py", "hal/esp32_contact.py", "firmware/session.py", "desk/duty.py"} <= named(text)


def test_a_file_that_is_gone_is_noticed() -> None:
    assert lost("see `firmware/gone.py`, `hal/nowhere/` and `hal/esp32*.py`; http://x.example/firmware/no.py") == [
        "firmware/gone.py", "hal/nowhere/"]  # fmt: skip


def lost_in_rooms(text: str) -> list[str]:
    """In its room's row of the table a file goes by its last name."""
    rows = [line.split("`", 2)[1:] for line in text.splitlines() if line.startswith("| `")]
    return [room + name for room, rest in rows for name in re.findall(r"`([\w*]+\.py)`", rest)
            if not list((ROOT / room).glob(name))]  # fmt: skip


def test_files_of_a_room_exist_in_it() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert lost_in_rooms(text) == []
    assert lost_in_rooms(text.replace("`interface.py`", "`gone.py`")) == ["hal/gone.py"]


def test_every_checkout_has_line_feeds() -> None:
    """With CRLF boot.py would be another file, on the board and in the bundle's manifest."""
    asked = ["boot.py", "firmware/lamp.py", "Makefile", "docs/contract.md"]
    told = subprocess.run(["git", "check-attr", "eol", *asked], cwd=ROOT, check=True, capture_output=True, text=True)
    assert told.stdout.splitlines() == [f"{name}: eol: lf" for name in asked]
    assert [name for name in asked if b"\r" in (ROOT / name).read_bytes()] == []
