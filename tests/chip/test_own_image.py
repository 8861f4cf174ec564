"""An image of one's own (manifest.py): its _boot.py mounts the flash, or starts the column without it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from column_probe import CONFIG, PATIENCE_S, Recorder, need

from firmware.startup.config import fallback
from sim.real.column import RealColumn
from sim.real.flash_image import Image

BLOCK_BYTES = 4096
BROKEN = "boot: the file system cannot be mounted"
pytestmark = pytest.mark.micropython
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def interpreter() -> None:
    need("micropython32")


@pytest.fixture
def seen() -> Iterator[Recorder]:
    yield Recorder()


def column(flash: Path, seen: Recorder, config: Any = None, **options: Any) -> RealColumn:
    options = {"in_place": True, "wired_for": fallback("esp32"), **options}
    return RealColumn(config, runtime="micropython32", flash_path=flash, on_event=seen, **options)


def spoiled(flash: Path) -> bytes:
    """Both copies of LittleFS's superblock are gone."""
    content = bytearray(flash.read_bytes())
    content[: 2 * BLOCK_BYTES] = bytes([0x5A]) * (2 * BLOCK_BYTES)
    flash.write_bytes(bytes(content))
    return bytes(content)


@pytest.fixture
def flash(tmp_path: Path) -> Path:
    """With a configuration on it."""
    file = tmp_path / "flash.img"
    with column(file, Recorder(), CONFIG):
        pass
    return file


def test_the_code_lies_in_the_image_and_the_column_runs(flash: Path, seen: Recorder) -> None:
    assert not [name for name in Image(flash.read_bytes()).names() if name.endswith(("py", "mpy"))]
    with column(flash, seen) as one:
        one.power_on()
        seen.wait_for(lambda event: "column: armed" in event.get("text", ""), PATIENCE_S, "the column to be armed")
    assert not [event for event in seen.events if BROKEN in event.get("text", "")]


def test_a_broken_file_system_still_has_a_column_that_says_so(flash: Path, seen: Recorder) -> None:
    """A watchdog is armed, the lamp is red, the console has the reason, and the flash is as it was."""
    before = spoiled(flash)
    with column(flash, seen) as one:
        one.power_on()
        seen.wait("lamp", state="out-of-service")
        seen.wait_for(
            lambda event: "configuration: the file system cannot be mounted" in event.get("text", ""), 10, "why"
        )
        assert one.turned_us, "somebody feeds a watchdog"
    assert any(BROKEN in event.get("text", "") for event in seen.events)
    assert flash.read_bytes() == before


def test_a_stock_image_has_no_column_then(flash: Path, seen: Recorder) -> None:
    """The control: without one's own _boot.py nobody reaches main.py."""
    spoiled(flash)
    with column(flash, seen, in_place=False) as one:
        one.power_on()
        seen.wait_for(
            lambda event: "appears to be corrupted" in event.get("text", ""), PATIENCE_S, "the stock image's cry"
        )
    assert not [event for event in seen.events if event["event"] in ("lamp", "boot")]


def test_an_erased_flash_gets_a_file_system(tmp_path: Path, seen: Recorder) -> None:
    file = tmp_path / "flash.img"
    file.write_bytes(b"\xff" * 256 * BLOCK_BYTES)
    with column(file, seen) as one:
        one.power_on()
        seen.wait_for(lambda event: event["event"] == "boot", PATIENCE_S, "the start")
    assert "boot.rec" in list(Image(file.read_bytes()).names())
    assert not [event for event in seen.events if BROKEN in event.get("text", "")]


def test_the_manifest_names_what_there_is() -> None:
    """No image was built here: that each name leads somewhere is what can be held."""
    named: list[tuple[str, ...]] = []

    def note(*arguments: str, **_: str) -> None:
        named.append(arguments)

    exec((ROOT / "manifest.py").read_text(), dict.fromkeys(("freeze", "require", "package", "module"), note))
    own = [Path(*arguments) for arguments in named if "$" not in arguments[0] and arguments[0] != "umqtt.simple"]
    assert {path.as_posix() for path in own} == {"image/_boot.py", "firmware", "hal", "boot.py", "main.py"}
    assert all((ROOT / path).exists() for path in own)
    assert ("$(PORT_DIR)/modules", "flashbdev.py") in named, "and not its _boot.py and inisetup.py, which loop"
