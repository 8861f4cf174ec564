"""docs/wiring.md, in each language, lists exactly the GPIOs that the firmware accepts, and links that it takes."""

import json
import re
from pathlib import Path

import pytest
from config_document import document

from firmware.startup import config, pins

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "wiring.md").read_text("utf-8")
PAGES = [PAGE, *((DOCS / language / "wiring.md").read_text("utf-8") for language in ("ru", "kk"))]
GPIO_MAX = 63


def listed(page: str, chip: str, column: int) -> set[int]:
    row = next(line for line in page.splitlines() if line.startswith(f"| {chip} |"))
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", row.split("|")[column]):
        found.update(range(int(first), int(last or first) + 1))
    return found


@pytest.mark.parametrize("chip", ["esp32", "esp32s2", "esp32s3", "esp32c3"])
@pytest.mark.parametrize(
    ("role", "column"), [*((role, 2) for role in pins.OUTPUTS + pins.INPUTS), ("supply", 3), ("pulse", 4)]
)
def test_the_page_lists_the_pins_that_the_firmware_accepts(chip: str, role: str, column: int) -> None:
    """Red when one number of the table is changed."""
    accepted = {pin for pin in range(GPIO_MAX + 1) if pins.problem(chip, role, pin) is None}
    assert [listed(page, chip, column) for page in PAGES] == [accepted] * len(PAGES)


LINKS = re.findall(r"^\| ([^|]+) \|[^|]*\| `(\{.*?\})` \|(.*)\|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("board", "link", "remark"), LINKS, ids=[board for board, _, _ in LINKS])
def test_the_page_gives_links_that_the_firmware_takes(board: str, link: str, remark: str) -> None:
    """With the pins that the page asks for; red when a key of the page is changed to one that another pin has."""
    given = re.search(r"give `(\w+)` GPIO(\d+)", remark)
    wanted = document(link=json.loads(link), pins={given[1]: int(given[2])} if given else {})
    assert config.validate(wanted, "esp32s3" if "S3" in board else "esp32")[1] == []


def test_every_board_of_the_page_is_tried() -> None:
    assert [page.count('`{"type": ') for page in PAGES] == [len(LINKS)] * len(PAGES) and len(LINKS) >= 4
