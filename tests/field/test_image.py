"""What must not be written to a board is not; no chip was at hand, so esptool itself is only seen to find none."""

import hashlib
import os
import pty
import struct
from pathlib import Path

import pytest

from field import image
from field.telling import EXIT_FAILED


def content(chip: int, size: int = 4096) -> bytes:
    return struct.pack("<B11xH", image.MAGIC, chip).ljust(size, b"\xff")


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
    assert "esptool failed, see above; if it found no chip, hold BOOT" in capfd.readouterr().err


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert image.main(["/dev/port", str(tmp_path / "none.bin"), "--sha256", "0" * 64]) == EXIT_FAILED
    assert "none.bin" in capsys.readouterr().err
