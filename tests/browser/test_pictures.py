"""The pictures in the README are of these pages; `make pictures` writes them anew. No pixels are compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_probe import MARKS, PATIENCE_S, PRESS_MS, DeskPage, Visitor
from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect

if TYPE_CHECKING:
    from sim.demo.city import City

pytestmark = [*MARKS, pytest.mark.timeout(240)]

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "img"
COLOURS_MIN = 200
SETTLED_MS = 1500  # no more animations, and a camera's picture of now
SIZES: dict[str, ViewportSize] = {"desk": {"width": 1280, "height": 800}, "pillar": {"width": 900, "height": 700}}


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    chosen = request.config.getoption("--pictures")
    return Path(chosen) if chosen else tmp_path


def take(page: Page, path: Path) -> None:
    page.screenshot(path=path, animations="disabled", caret="hide")
    assert lives(path), f"{path.name} shows next to nothing"


def lives(path: Path) -> bool:
    """Whether the picture has more than a few colours: a page that failed has not."""
    with Image.open(path) as image:
        return len(image.convert("RGB").getcolors(1 << 24) or ()) >= COLOURS_MIN


def test_the_desk_with_a_call_and_a_silent_column(city: City, visitor: Visitor, folder: Path) -> None:
    for device_id in city.pillars:
        city.wait_for_lamp(device_id, "ready", PATIENCE_S)
    desk = visitor.desk(city.desk.url, SIZES["desk"])
    past(city, desk)
    city.pillars["petropavl-02"].power_off()
    expect(desk.get("silent-petropavl-02")).to_be_visible()
    city.pillars["petropavl-01"].press(PRESS_MS)
    incident = desk.call_from("petropavl-01")
    desk.open(incident)
    desk.get("play").click()
    desk.sees_and_hears()
    city.pillars["petropavl-01"].press(PRESS_MS)
    expect(desk.get("strip", id=incident)).to_have_attribute("data-press", "2")
    desk.page.wait_for_timeout(SETTLED_MS)
    take(desk.page, folder / "desk.png")
    city.pillars["petropavl-02"].power_on()
    desk.accept(incident)
    desk.close(incident, "help-given")


def past(city: City, desk: DeskPage) -> None:
    """A call that is over already."""
    city.pillars["school-07-01"].press(PRESS_MS)
    incident = desk.call_from("school-07-01")
    desk.open(incident)
    desk.accept(incident)
    desk.close(incident, "false")


def test_a_pillar_whose_call_was_taken(city: City, visitor: Visitor, folder: Path) -> None:
    pillar = visitor.pillar(city.page("petropavl-01"), SIZES["pillar"])
    desk = visitor.desk(city.desk.url)
    pillar.press()
    incident = desk.call_from("petropavl-01")
    desk.open(incident)
    desk.get("accept").click()
    pillar.shows("help-coming")
    pillar.page.wait_for_timeout(SETTLED_MS)
    take(pillar.page, folder / "pillar.png")
    desk.close(incident, "help-given")


@pytest.mark.parametrize("name", sorted(SIZES))
def test_the_readme_shows_it(name: str) -> None:
    path = IMAGES / f"{name}.png"
    assert f"docs/img/{name}.png" in (IMAGES.parent.parent / "README.md").read_text("utf-8")
    assert lives(path)
    with Image.open(path) as image:
        assert image.size == (SIZES[name]["width"], SIZES[name]["height"])


def test_an_empty_page_is_no_picture(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page("data:text/html,<h1>500</h1>")
    page.screenshot(path=tmp_path / "empty.png")
    assert not lives(tmp_path / "empty.png")
