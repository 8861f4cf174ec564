"""The labels on paper: two columns of them on A4, and a QR code that a telephone reads."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from column_probe import need
from PIL import Image

from field import fleet, labels
from tools import toolbox
from tools.chromium import FLAGS

EXAMPLE = Path(__file__).parents[2] / "examples" / "petropavl"
CSS_DPI, DPI = 96, 110  # of a cheap printer or an old scanner
MM_PER_INCH = 25.4
QR_MM = 20  # what the codes' readers' makers ask for at arm's length
A4_PX = (794, 1123)
PUBLIC = "https://sos.petropavl-oblys.gov.example/desk/public/{name}?key={key}"


def chromium(*arguments: str) -> None:
    program = [toolbox.require("chromium")[0], *FLAGS, *arguments]
    subprocess.run(program, capture_output=True, timeout=90, check=True)


@pytest.fixture(scope="module")
def columns() -> dict[str, dict[str, Any]]:
    return fleet.read(EXAMPLE / "fleet.csv").columns


def printed(page: str, folder: Path) -> Image.Image:
    """As it would come out of a printer of 110 dpi."""
    file, made = folder / "labels.html", folder / "labels.png"
    file.write_text(page, "utf-8")
    size = f"--window-size={A4_PX[0]},{A4_PX[1] * 4}"
    chromium(size, f"--force-device-scale-factor={DPI / CSS_DPI}", f"--screenshot={made}", file.as_uri())
    return Image.open(made).convert("L")


def codes(picture: Image.Image) -> dict[str, float]:
    """What each code says -> the length of its side in mm, without the quiet zone."""
    found = {}
    for code in zxingcpp.read_barcodes(picture):
        corners = code.position
        side_px = corners.top_right.x - corners.top_left.x
        found[code.text] = side_px / DPI * MM_PER_INCH
    return found


@pytest.mark.chromium
def test_every_labels_code_is_read_at_110_dpi(tmp_path: Path, columns: dict[str, dict[str, Any]]) -> None:
    """A column's topic, and the long address of its public status: more modules in the same box."""
    need("chromium")
    public = {name: PUBLIC.format(name=name, key="0123456789abcdef") for name in list(columns)[::2]}
    found = codes(printed(labels.page(columns, public), tmp_path))
    topics = {name: f"sos/v1/{document['region']}/{name}" for name, document in columns.items()}
    assert set(found) == set({**topics, **public}.values())
    assert min(found.values()) >= QR_MM, found


@pytest.mark.chromium
def test_a_code_of_seven_millimetres_is_noticed(tmp_path: Path, columns: dict[str, dict[str, Any]]) -> None:
    """As it was: a drawing with a size of its own in a box of 30 mm."""
    need("chromium")
    small = re.sub(r"\.qr svg \{[^}]*\}", ".qr svg { width: 8mm; height: 8mm }", labels.page(columns))
    assert min(codes(printed(small, tmp_path)).values(), default=0.0) < QR_MM


@pytest.mark.chromium
def test_eight_labels_are_one_page_of_a4(tmp_path: Path, columns: dict[str, dict[str, Any]]) -> None:
    need("chromium")

    def pages(count: int) -> int:
        file, made = tmp_path / "labels.html", tmp_path / "labels.pdf"
        file.write_text(labels.page(dict(list(columns.items())[:count])), "utf-8")
        chromium("--no-pdf-header-footer", f"--print-to-pdf={made}", file.as_uri())
        assert re.search(rb"/MediaBox\s*\[0 0 59[45]\.?\d* 84[12]", made.read_bytes()), "A4 in points"
        return len(re.findall(rb"/Type\s*/Page\b", made.read_bytes()))

    assert (pages(8), pages(9)) == (1, 2)
