"""What must not be written to a board is not: esptool against a mock of the chips' boot loader; no chip was at hand."""

import hashlib
import os
import pty
import struct
from pathlib import Path

import pytest
from boot_loader import BootLoader, boot_loader

from field import image
from field.telling import EXIT_FAILED
from sim.real.flash_image import Image

pytestmark = pytest.mark.slow

Capture = pytest.CaptureFixture[str]
NUMBERS = {chip.name: number for number, chip in image.CHIPS.items()}
APP_END = 0x200000
MB = 1 << 20
# Before 1.26 the table of an image for 4 MB has the file system in it; since then that is what the flash has beyond.
OLD_TABLE = [(1, 2, 0x9000, 0x6000, b"nvs"), (0, 0, 0x10000, 0x1F0000, b"factory"), (1, 0x81, APP_END, APP_END, b"vfs")]
NEW_TABLE = OLD_TABLE[:2]
MOVED_TABLE = [OLD_TABLE[0], (0, 0, 0x10000, 0x2F0000, b"factory")]


def table(entries: list[tuple[int, int, int, int, bytes]]) -> bytes:
    return b"".join(struct.pack("<HBBII16sI", 0x50AA, *entry, 0) for entry in entries).ljust(image.TABLE_BYTES, b"\xff")


def content(chip: int, size: int = 0x12000, entries: list[tuple[int, int, int, int, bytes]] | None = None) -> bytes:
    made = bytearray(struct.pack("<B11xH", image.MAGIC, chip).ljust(size, b"\xff"))
    at = image.TABLE_AT - (image.CHIPS[chip].offset if chip in image.CHIPS else 0)
    made[at : at + image.TABLE_BYTES] = table(NEW_TABLE if entries is None else entries)
    return bytes(made)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("number", "name", "offset"),
    [(0, "esp32", "0x1000"), (2, "esp32s2", "0x1000"), (9, "esp32s3", "0x0"), (5, "esp32c3", "0x0")],
)
def test_the_chip_of_an_image_decides_where_it_goes(number: int, name: str, offset: str) -> None:
    chip = image.check(content(number), digest(content(number)).upper())
    wipe, write = image.commands(chip, "/dev/port", Path("x.bin"), erase=True)
    assert chip.name == name
    assert wipe[1:] == ["-m", "esptool", "--chip", name, "--port", "/dev/port", "erase-flash"]
    assert write[1:] == ["-m", "esptool", "--chip", name, "--port", "/dev/port", "write-flash", offset, "x.bin"]
    assert image.commands(chip, "/dev/port", Path("x.bin"), erase=False) == [write]


@pytest.mark.parametrize(
    ("data", "sha256", "text"),
    [
        (content(0), "", "must be the 64 hex digits"),
        (content(0), "0" * 64, "must be 0000"),
        (content(13), None, "id 13; a column runs on"),
        (b"PK" + content(0), None, "no image of an ESP chip"),
        (content(0)[:20], None, "no image of an ESP chip"),
        (content(0)[:4096], None, "an application without boot loader and partitions"),
        (content(0, entries=[]), None, "an application without boot loader and partitions"),
    ],
)
def test_what_is_no_image_for_a_column_is_refused(data: bytes, sha256: str | None, text: str) -> None:
    with pytest.raises(image.ImageError, match=text):
        image.check(data, digest(data) if sha256 is None else sha256)


def test_one_flipped_bit_is_refused() -> None:
    """Red without the comparison of the hashes in `check`."""
    spoilt = bytearray(content(0))
    spoilt[-1] ^= 1
    with pytest.raises(image.ImageError, match="fetch it again"):
        image.check(bytes(spoilt), digest(content(0)))


@pytest.mark.slow
def test_a_port_without_a_chip(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The real esptool, at a terminal that says nothing."""
    file = tmp_path / "x.bin"
    file.write_bytes(content(0))
    master, slave = pty.openpty()
    try:
        assert image.main([os.ttyname(slave), str(file), "--sha256", digest(content(0))]) == EXIT_FAILED
    finally:
        os.close(master)
        os.close(slave)
    assert "esptool failed, nothing was written; if it found no chip, hold BOOT" in capfd.readouterr().err


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert image.main(["/dev/port", str(tmp_path / "none.bin"), "--sha256", "0" * 64]) == EXIT_FAILED
    assert "none.bin" in capsys.readouterr().err


# -- against a boot loader


def write(board: BootLoader, folder: Path, data: bytes, *more: str) -> int:
    file = folder / "firmware.bin"
    file.write_bytes(data)
    return image.main([board.port, str(file), "--sha256", digest(data), *more])


def column(board: BootLoader, entries: list[tuple[int, int, int, int, bytes]], start: int, size_bytes: int) -> None:
    """MicroPython with a file system is on it."""
    board.flash[image.TABLE_AT : image.TABLE_AT + image.TABLE_BYTES] = table(entries)
    one = Image(size_bytes=size_bytes)
    one.write("config.json", b"{}")
    board.flash[start : start + size_bytes] = one.content()


@pytest.mark.parametrize("name", NUMBERS)
def test_an_image_goes_onto_an_empty_board(tmp_path: Path, name: str) -> None:
    data = content(NUMBERS[name])
    with boot_loader(name, 4 * MB) as board:
        assert write(board, tmp_path, data) == 0
        offset = image.CHIPS[NUMBERS[name]].offset
        assert board.flash[offset : offset + len(data)] == data


@pytest.mark.parametrize(
    ("entries", "flash_mb", "made"),
    [(OLD_TABLE, 4, OLD_TABLE), (OLD_TABLE, 8, OLD_TABLE), (NEW_TABLE, 4, OLD_TABLE), (NEW_TABLE, 8, NEW_TABLE)],
    ids=["same", "same-on-8", "newer-on-4", "same-newer-on-8"],
)
def test_a_column_keeps_its_file_system(
    tmp_path: Path,
    entries: list[tuple[int, int, int, int, bytes]],
    flash_mb: int,
    made: list[tuple[int, int, int, int, bytes]],
) -> None:
    """Where the new image finds it again: an older and a newer one agree on a module of 4 MB."""
    with boot_loader("esp32", flash_mb * MB) as board:
        size_bytes = APP_END if made is OLD_TABLE else flash_mb * MB - APP_END
        column(board, made, APP_END, size_bytes)
        kept = bytes(board.flash[APP_END:])
        assert write(board, tmp_path, content(0, entries=entries)) == 0
        assert board.flash[APP_END:] == kept


REFUSED = {
    "app-bin": ("esp32", 4, content(0, entries=[]), "an application without boot loader"),
    "another chip": ("esp32s3", 4, content(0), "esptool failed, nothing was written"),
    "too small": ("esp32", 2, content(0, entries=OLD_TABLE), "flash has 2 MB, the image is for 4 MB"),
    "no room for files": ("esp32", 2, content(0), "flash has 2 MB, the image is for 2 MB"),
    "would not mount": ("esp32", 8, content(0), "it would be 6291456: the board could not mount it"),
    "elsewhere": ("esp32", 4, content(0, entries=MOVED_TABLE), "begins at 0x200000, the image would look for it at"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_would_leave_a_dead_board_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], why: str
) -> None:
    """On a board with the older image, whose file system takes 2 MB."""
    name, flash_mb, data, words = REFUSED[why]
    with boot_loader(name, flash_mb * MB) as board:
        if flash_mb > 2:
            column(board, OLD_TABLE, APP_END, APP_END)
        before = bytes(board.flash)
        assert write(board, tmp_path, data) == EXIT_FAILED
        assert words in capsys.readouterr().err
        assert board.flash == before


def test_an_empty_board_is_what_erase_makes_of_it(tmp_path: Path) -> None:
    """Then nothing is left that could not be mounted."""
    with boot_loader("esp32", 8 * MB) as board:
        column(board, OLD_TABLE, APP_END, APP_END)
        assert write(board, tmp_path, content(0), "--erase") == 0
        assert board.flash[APP_END:] == b"\xff" * (6 * MB)


def test_a_bricked_board_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Broken by writing without a look at what the board has."""
    monkeypatch.setattr(image, "check_file_system", lambda *_: None)
    with pytest.raises(AssertionError):
        test_what_would_leave_a_dead_board_is_refused_and_nothing_is_written(tmp_path, capsys, "would not mount")


def test_the_file_that_is_no_image_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when only what is wrong is told; a wrong SHA256 is no fault of the file."""
    (file := tmp_path / "x.zip").write_bytes(data := b"PK")
    assert image.main(["/dev/port", str(file), "--sha256", digest(data)]) == EXIT_FAILED
    assert f"{file}: no image of an ESP chip" in capsys.readouterr().err
    assert image.main(["/dev/port", str(file), "--sha256", "x"]) == EXIT_FAILED
    assert str(file) not in capsys.readouterr().err
