"""What docs/compliance.md claims: no line of the standards is left out, and the evidence that it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "compliance.md"
TEXT = PAGE.read_text("utf-8")
STATES = ("yes", "partly", "no", "n.a.")
ETSI = {f"5.{number}" for number in range(1, 14)}
# OWASP ISVS, the numbers of levels 1 and 2 by chapter and section, without Linux, kernel modules and Bluetooth.
ISVS = {
    f"{section}.{number}"
    for section, numbers in {
        "1.1": range(1, 7), "1.2": range(1, 9), "1.3": range(1, 16), "1.4": range(1, 8),
        "2.1": range(1, 8), "2.2": range(1, 6), "2.3": range(1, 5), "2.4": range(1, 7),
        "3.1": range(1, 9), "3.2": range(1, 8), "3.4": range(1, 12), "3.5": range(1, 5),
        "4.1": (1, 2, 3, 4, 6), "4.2": (1, 2, 3, 7), "4.4": range(1, 5), "5.1": range(1, 10),
    }.items()
    for number in numbers
}  # fmt: skip
TEST = re.compile(r"`tests/([\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\(([^)#]+)(?:#([\w-]+))?\)")


def rows(title: str, text: str = TEXT) -> list[list[str]]:
    part = text.partition(f"## {title}")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if "| " in line]
    return [[cell.strip() for cell in line.strip("| \n").split(" | ")] for line in lines][1:]


def lacking(evidence: str) -> list[str]:
    """What is named in a cell and is not there."""
    wrong = []
    for file, name in TEST.findall(evidence):
        path = ROOT / "tests" / file
        if not path.is_file() or f"def {name}(" not in path.read_text("utf-8"):
            wrong.append(f"{file}::{name}")
    for target, anchor in LINK.findall(evidence):
        path = (PAGE.parent / target).resolve()
        heads = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.M) if path.is_file() else []
        anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        if not heads or (anchor and anchor not in anchors):
            wrong.append(f"{target}#{anchor}")
    return wrong


ROWS = [row for title in ("ETSI EN 303 645", "OWASP ISVS, levels 1 and 2") for row in rows(title) if row[0] != "---"]


def test_every_provision_has_its_line() -> None:
    assert [row[0] for row in rows("ETSI EN 303 645") if row[0] in ETSI] == sorted(ETSI, key=lambda no: int(no[2:]))
    found = [row[0] for row in rows("OWASP ISVS, levels 1 and 2") if row[0][0].isdigit()]
    assert set(found) == ISVS and len(found) == len(ISVS)


@pytest.mark.parametrize("row", [row for row in ROWS if row[0][0].isdigit()], ids=lambda row: row[0])
def test_each_line_has_a_state_and_evidence_that_exists(row: list[str]) -> None:
    """Red with a test that was renamed, a page or a heading that is gone, or a *yes* without evidence."""
    state, evidence = row[-2:]
    assert state in STATES and evidence, row
    assert lacking(evidence) == []
    assert state != "yes" or TEST.search(evidence) or LINK.search(evidence) or row[0].startswith("5.1."), row


def test_evidence_that_is_gone_is_noticed() -> None:
    assert lacking("`tests/house/test_papers.py::test_nothing`") == ["house/test_papers.py::test_nothing"]
    assert lacking("[x](nowhere.md), [y](contract.md#no-such)") == ["nowhere.md#", "contract.md#no-such"]
    assert lacking("`tests/house/test_papers.py::test_evidence_that_is_gone_is_noticed`, [z](contract.md#topics)") == []
    assert rows("A", "## A\n| no. | b |\n|---|---|\n| 1 | yes |\n")[-1] == ["1", "yes"]
