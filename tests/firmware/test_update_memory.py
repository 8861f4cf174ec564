"""What the check of a signature costs on 32-bit MicroPython, whose objects are as large as the ESP32's."""

import subprocess
from pathlib import Path

import pytest
from column_probe import need
from update_rig import key, made

from common import release
from firmware.update import state
from sim.real import flash_image
from tools import toolbox

SCRIPT = """
import gc, sys
sys.path[:] = [{folder!r}, ".frozen"]
from firmware.update import signature
files = {files!r}
class Flash:
    def read_at(self, name, start, limit):
        return files[name][start : start + limit]
flash = Flash()
modulus = signature._modulus(flash, "a", 0)
number = int.from_bytes(files["update.signature"], "big")
gc.collect(); gc.disable()
before = gc.mem_alloc()
pow(number, 65537, modulus)
power = gc.mem_alloc() - before
before = gc.mem_alloc()
good = signature.is_good(flash, "a", {digest!r})
print(good, power, gc.mem_alloc() - before)
"""
POWER_MAX_BYTES = 1024
WHOLE_MAX_BYTES = 6144  # beside it: the key and the signature as bytes and as numbers, and the padded block


@pytest.mark.micropython
def test_a_signature_costs_less_than_a_kilobyte_for_the_power(tmp_path: Path) -> None:
    """Everything that is allocated, nothing of it collected: so it is the most that it can take at once. Red with a
    power that keeps what it squares."""
    need("micropython32")
    for name, data in flash_image.firmware_files(mpy=True).items():
        target = tmp_path / name.removeprefix("lib/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    offered = made()
    files = {state.SIGNATURE_FILE: offered.signature, f"a/{state.KEYS_FILE}": release.trusted([key(0).public_key()])}
    script = tmp_path / "measure.py"
    script.write_text(SCRIPT.format(folder=str(tmp_path), files=files, digest=offered.digest))
    argv = [*toolbox.require("micropython32"), str(script)]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    print("bytes:", said)
    assert said[0] == "True"
    power, whole = int(said[1]), int(said[2])
    assert 0 < power <= POWER_MAX_BYTES and whole <= WHOLE_MAX_BYTES, said
