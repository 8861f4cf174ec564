"""Flash images: what is on them, what a technician's visit changes, what it leaves alone."""

import json
import stat
import subprocess
from pathlib import Path

import pytest
from column_probe import CONFIG, need, runtimes

from sim.real import flash_image
from tools import toolbox

COLOURS = {"ready": (0, 255, 0), "calling": (255, 128, 0)}
MOUNT = """
import os, sys, vfs
class Device:
    def __init__(self, path):
        self.file = open(path, "r+b")
    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.readinto(buffer)
    def writeblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.write(buffer)
    def ioctl(self, op, _):
        return {4: self.file.seek(0, 2) // 4096, 5: 4096}.get(op, 0)
vfs.mount(vfs.VfsLfs2(Device(sys.argv[1])), "/flash")
sys.path.insert(0, "/flash")
from firmware.colours import READY
sys.path.insert(0, "/flash/lib")
import umqtt.simple
with open("/flash/journal.log", "a") as file:
    file.write("x" * 5000)
vfs.umount("/flash")
print(READY)
"""


def names(path: Path) -> list[str]:
    return flash_image.Image(path.read_bytes()).names()


def unsealed(raw: bytes | None) -> object:
    document = json.loads(raw or b"")
    assert len(document.pop("crc")) == 8
    return document


def edited(path: Path, name: str, data: bytes) -> None:
    image = flash_image.Image(path.read_bytes())
    image.write(name, data)
    path.write_bytes(image.content())


def test_configuration_and_secrets_lie_apart(tmp_path: Path, probe: Path) -> None:
    path = tmp_path / "image"
    flash_image.build_image(path, CONFIG, mpy=False, sources=probe)
    image = flash_image.Image(path.read_bytes())
    document = json.loads(image.read("config.json") or b"")
    assert "secrets" not in document and document["device_id"] == "probe-01"
    assert unsealed(image.read("secrets.json")) == CONFIG["secrets"]
    assert path.stat().st_size == flash_image.SIZE_BYTES


@pytest.mark.parametrize("mpy", [False, True])
def test_firmware_is_compiled_for_micropython_only(tmp_path: Path, probe: Path, mpy: bool) -> None:
    flash_image.build_image(tmp_path / "image", CONFIG, mpy=mpy, sources=probe)
    suffix = "mpy" if mpy else "py"
    assert {"boot.py", "main.py", f"firmware/colours.{suffix}", f"lib/umqtt/simple.{suffix}"} <= set(
        names(tmp_path / "image")
    )


def test_another_visit_refreshes_firmware_and_configuration_and_keeps_the_rest(tmp_path: Path, probe: Path) -> None:
    path = tmp_path / "image"
    flash_image.build_image(path, CONFIG, mpy=False, sources=probe)
    edited(path, "journal.log", b"kept")
    edited(path, "firmware/old.py", b"gone")
    (probe / "firmware" / "colours.py").write_text("READY = 1\n")
    flash_image.build_image(path, {**CONFIG, "region": "ala"}, mpy=True, sources=probe)
    image = flash_image.Image(path.read_bytes())
    assert image.read("journal.log") == b"kept"
    assert json.loads(image.read("config.json") or b"")["region"] == "ala"
    assert not [name for name in image.names() if name.startswith("firmware/") and name.endswith(".py")]


def test_a_visit_that_changes_nothing_writes_nothing(tmp_path: Path, probe: Path) -> None:
    path = tmp_path / "image"
    flash_image.build_image(path, CONFIG, mpy=False, sources=probe)
    before = path.stat()
    flash_image.build_image(path, CONFIG, mpy=False, sources=probe)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    flash_image.build_image(path, {**CONFIG, "region": "ala"}, mpy=False, sources=probe)
    assert path.stat().st_mtime_ns != before.st_mtime_ns


def test_secrets_stay_when_the_document_has_none(tmp_path: Path, probe: Path) -> None:
    path = tmp_path / "image"
    flash_image.build_image(path, CONFIG, mpy=False, sources=probe)
    without = {key: value for key, value in CONFIG.items() if key != "secrets"}
    flash_image.build_image(path, without, mpy=False, sources=probe)
    assert unsealed(flash_image.Image(path.read_bytes()).read("secrets.json")) == CONFIG["secrets"]


@pytest.mark.parametrize("broken", [b'{"v": 1,', b"[]", b"\xff\xfe", b""])
def test_a_broken_document_goes_to_the_device_as_it_is(tmp_path: Path, probe: Path, broken: bytes) -> None:
    flash_image.build_image(tmp_path / "image", broken, mpy=False, sources=probe)
    assert flash_image.Image((tmp_path / "image").read_bytes()).read("config.json") == broken


@pytest.mark.parametrize("content", [b"not an image", b"\0" * flash_image.BLOCK_BYTES])
def test_a_file_that_is_no_image_is_refused_and_left_alone(tmp_path: Path, probe: Path, content: bytes) -> None:
    path = tmp_path / "image"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="remove it"):
        flash_image.build_image(path, CONFIG, mpy=False, sources=probe)
    assert path.read_bytes() == content


def test_a_source_that_does_not_compile_is_named(tmp_path: Path, probe: Path) -> None:
    (probe / "firmware" / "bad.py").write_text("def f(:\n")
    with pytest.raises(ValueError, match=r"firmware/bad\.py"):
        flash_image.build_image(tmp_path / "image", CONFIG, mpy=True, sources=probe)


@pytest.mark.parametrize("runtime", [p for p in runtimes() if "cpython" not in p.values])
def test_micropython_mounts_imports_and_writes_it_and_the_host_reads_it_again(
    tmp_path: Path, probe: Path, runtime: str
) -> None:
    need(runtime)
    path = tmp_path / "image"
    flash_image.build_image(path, CONFIG, mpy=True, sources=probe)
    script = tmp_path / "mount.py"
    script.write_text(MOUNT)
    command = [*toolbox.require(runtime), str(script), str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("(0, 255, 0)\n", 0), run.stderr
    assert flash_image.Image(path.read_bytes()).read("journal.log") == b"x" * 5000


def test_an_image_is_for_its_owner_only(tmp_path: Path) -> None:
    """It holds a column's key. Also one that was made for everybody before."""
    image = tmp_path / "flash.img"
    image.write_bytes(b"")
    image.chmod(0o644)
    flash_image.replace(image, flash_image.Image().content())
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
