"""One flash image, several interpreters: each reads what another wrote, and a kill loses nothing that was closed."""

from pathlib import Path

import pytest
from chip_rig import Chip, read_image, rewrite
from column_probe import need, runtimes

WRITE = """
import os
with open("note.txt", "w") as file:
    file.write("Петропавл, Ақпан")
with open("log", "ab") as file:
    file.write(b"one ")
with open("log", "ab") as file:
    file.write(b"two ")
with open("long", "wb") as file:
    file.write(bytes(range(256)) * 40)
try:
    os.mkdir("folder")
except OSError:
    pass
with open("folder/new", "w") as file:
    file.write("moved")
os.rename("folder/new", "folder/old")
unclosed = open("unclosed", "wb")
unclosed.write(b"x" * 50)
print("written")
while True:
    pass
"""
READ = """
import os
print("note", open("note.txt").read())
print("log", open("log", "rb").read(), os.stat("log")[6])
with open("long", "rb") as file:
    file.seek(256 * 39)
    print("long", file.read() == bytes(range(256)), os.stat("long")[6])
print("folder", os.listdir("folder"), sorted(e[:2] for e in os.ilistdir("/") if e[0] in ("folder", "log")))
with open("note.txt", "r+b") as file:
    file.seek(3)
    file.write(b"!")
def code(what, *args):
    try:
        what(*args)
    except OSError as error:
        return error.args[0]
print("errors", code(open, "missing"), code(os.stat, "missing"), code(os.remove, "missing"), code(os.mkdir, "folder"))
block, _, blocks, free = os.statvfs("/")[:4]
print("space", block, blocks, 0 < free < blocks)
try:
    with open("full", "wb") as file:
        for _ in range(blocks):
            file.write(bytes(4096))
except OSError as error:
    print("full", error.args[0])
os.remove("full")
print("left", code(os.stat, "full"), code(os.rmdir, "folder"))
"""
ALL = [p.values[0] for p in runtimes()]


def _pairs() -> list[object]:
    return [pytest.param(a, b, marks=pytest.mark.micropython) for a in ALL for b in ALL if a != b]


@pytest.mark.parametrize(("writer", "reader"), _pairs())
def test_one_reads_what_the_other_wrote(writer: str, reader: str, tmp_path: Path) -> None:
    with Chip(tmp_path, need(writer), WRITE) as one:
        one.start().wait("written")  # ... and killed: a power cut
    assert read_image(one.image, "log") == b"one two "  # littlefs-python reads it as well
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other = Chip(other_folder, need(reader), READ)
    other.image.write_bytes(one.image.read_bytes())
    rewrite(other.image, "main.py", READ.encode())
    with other:
        other.start()
        assert other.wait("note (.*)")[1] == "Петропавл, Ақпан"
        assert other.wait("log (.*)")[1] == "b'one two ' 8"
        assert other.wait("long (.*)")[1] == "True 10240"
        assert other.wait("folder (.*)")[1] == "['old'] [('folder', 16384), ('log', 32768)]"
        assert other.wait("errors (.*)")[1] == "2 2 2 17"
        assert other.wait("space (.*)")[1] == "4096 256 True"
        assert other.wait("full (.*)")[1] == "28"
        assert other.wait("left (.*)")[1] == "2 39"


@pytest.mark.parametrize("runtime", runtimes())
def test_a_slow_flash_stalls_the_chip_and_the_counter_goes_on(runtime: str, tmp_path: Path) -> None:
    main = """
import time, machine
pin = machine.Pin(4, machine.Pin.IN, machine.Pin.PULL_UP)
counter = machine.Counter(0, pin, edge=machine.Counter.FALLING)
print("ready")
while pin.value():
    time.sleep_ms(2)
seen = counter.value(0)
start = time.ticks_ms()
with open("big", "wb") as file:
    file.write(bytes(12000))
took = time.ticks_diff(time.ticks_ms(), start)
print("took", took >= 240, seen, counter.value())
"""
    with Chip(tmp_path, need(runtime), main) as one:
        one.start(erase_us=120_000).wait("ready")
        one.edges((0, 1), (60_000, 0), (120_000, 1), (180_000, 0))
        assert one.wait("took (.*)")[1] == "True 1 1"
