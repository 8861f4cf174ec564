"""A module's tables in MicroPython's heap: what lies behind them is another's, and not kept with the module."""

from pathlib import Path

import pytest
from chip_net_rig import Make, chips
from column_probe import need

from common import compiler

MODULES = 8
BODY_BYTES = 2000  # of code that runs once, when the module is loaded; it comes to lie behind the tables
NAMES = range(1, 9)  # eight in a row: of these, two fill whole blocks of a 32-bit heap

pytestmark = pytest.mark.micropython

PROBE = """
import gc
gc.collect()
before = gc.mem_alloc()
for at in range(%d):
    __import__("m%%d" %% at)
    gc.collect()
print("each", (gc.mem_alloc() - before) // %d)
"""


def source(names: int, at: int) -> bytes:
    """A module without constants. Its file's name is one of its names, too."""
    words = [f"name_{name}_of_{at}" for name in range(names - 1)] or ["_"]
    return (" = ".join(words) + " = 0\n" + f"{words[0]} = 0\n" * (BODY_BYTES // 4)).encode()


def each(chip: Make, names: int) -> int:
    """Bytes that each of `MODULES` modules keeps."""
    files: dict[str, str | bytes] = {
        f"m{at}.mpy": compiler.compiled(f"m{at}.py", source(names, at)) for at in range(MODULES)
    }
    return int(chip(PROBE % (MODULES, MODULES), files).start().wait(r"^each (-?\d+)")[1])


@pytest.mark.parametrize("is_as_built", [True, False], ids=["as we build it", "as mpy-cross makes it"])
def test_a_module_keeps_nothing_but_itself(is_as_built: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what mpy-cross makes keeps its body in two cases of eight. A column lost its console to that, and
    not always: to what came to lie behind the tables of firmware/hmac.py."""
    if not is_as_built:
        monkeypatch.setattr(compiler, "_with_an_end", lambda code: code)
    with chips(tmp_path, need("micropython32")) as chip:
        kept = [each(chip, names) for names in NAMES]
    assert sum(size > BODY_BYTES // 4 for size in kept) == (0 if is_as_built else 2), kept
