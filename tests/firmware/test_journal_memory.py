"""A full journal is restored in little memory: on 32-bit MicroPython, whose objects have the size of the chip's."""

import subprocess
from pathlib import Path

import pytest
from column_probe import need

from firmware.journal import COMPACT_ABOVE_BYTES
from tools import toolbox

ROOT = Path(__file__).resolve().parents[2]
HEAP = "96k"
ROOM_BYTES = COMPACT_ABOVE_BYTES + 6 * 1024  # the file itself, a record at a time, and garbage in between
PROBE = """
import gc, json, sys, time
sys.path.insert(0, {root!r})
from firmware import journal, record

class Board:
    ticks_ms, ticks_diff = time.ticks_ms, time.ticks_diff
    def __init__(self):
        self.flash = self
    def read(self, name):
        return bytes(full)

def fault(ident, detail):
    print("fault", ident, detail)

full, count = bytearray(), 0
while len(full) < {bytes}:
    full += record.frame(json.dumps({{"k": "press", "id": "petropavl-01-16777216-%d" % count, "n": count}}).encode())
    count += 1
one = journal.Journal(Board(), fault)
import firmware.startup.restoring
gc.collect()
ballast = []
while gc.mem_free() > {room}:
    ballast.append(bytearray(256))
restored = 0
for entry in {restore}:
    restored += entry["n"] == restored
print("restored", restored, "of", count)
"""


def restored(restore: str) -> subprocess.CompletedProcess[str]:
    need("micropython32")
    probe = PROBE.format(root=str(ROOT), bytes=COMPACT_ABOVE_BYTES, room=ROOM_BYTES, restore=restore)
    command = [*toolbox.require("micropython32"), "-X", f"heapsize={HEAP}", "-c", probe]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.micropython
def test_a_full_journal_is_restored_record_by_record() -> None:
    run = restored("one.restore()")
    words = run.stdout.split()
    assert words[:1] == ["restored"] and words[1] == words[3] and int(words[1]) > 40, run.stdout + run.stderr


@pytest.mark.micropython
def test_all_records_at_once_do_not_fit() -> None:
    """Negative control."""
    run = restored("list(one.restore())")
    assert run.returncode != 0 and "MemoryError" in run.stdout + run.stderr
