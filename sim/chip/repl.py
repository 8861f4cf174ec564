"""A board on a serial port: MicroPython's start and its prompt (friendly, raw and raw paste), byte for byte.

The code that comes over the line is executed by the real interpreter, in the namespace that boot.py and main.py had.
Written after MicroPython's shared/runtime/pyexec.c and ports/esp32/main.c. Not there: history, editing within a line
and completion at the friendly prompt. In raw paste mode a syntax error is told at the end of the source, not within it.
"""

import gc
import io
import json
import sys as _host_sys
from binascii import hexlify

import micropython as _micropython
import vfs as _vfs

from . import board_micropython as board
from . import host, machine, select, uart
from . import os as _os
from . import sys as _sys
from .readline import Line

CTRL_A, CTRL_B, CTRL_C, CTRL_D, CTRL_E = 1, 2, 3, 4, 5
WINDOW = 128  # raw paste: bytes that may be on their way; MicroPython's own choice
_FROZEN_NAME = ".frozen"
_FROZEN = "/" + _FROZEN_NAME
_HERE = 'File "sim/chip/'

settings: dict = {}
_host_ilistdir = _os.ilistdir
_namespace: dict = {}


def prepare(path: str) -> None:
    """Read the board's settings while the host's files are there.

    {"repl": "raw" or "friendly", "frozen": folder of what the image has frozen or null, "release": [1, 20, 0] or null,
    "mpy": its `sys.implementation._mpy` or null}
    """
    with open(path) as file:
        settings.update(json.load(file))
    if settings["release"]:
        _sys.RELEASE = "%d.%d.%d" % tuple(settings["release"])
        _sys.version = "3.4.0; MicroPython v" + _sys.RELEASE
        _sys.implementation.version = tuple(settings["release"]) + ("",)
    if settings["mpy"]:
        _sys.implementation._mpy = settings["mpy"]
    uart.on()


def run(modules: dict) -> None:
    """From the start of MicroPython to the soft reset, which ends the process."""
    global _namespace
    select.poll = uart.Poll  # type: ignore[misc]
    _sys.stdin, _sys.stdout = uart.stdin, uart.stdout  # type: ignore[assignment]
    _os.mount, _os.umount = _vfs.mount, _vfs.umount  # type: ignore[attr-defined]
    _os.ilistdir, _os.listdir = _ilistdir, _listdir  # type: ignore[assignment]
    modules["micropython"] = _copy(_micropython, kbd_intr=uart.set_interrupt)
    modules["vfs"] = _copy(_vfs, mount=_mount)
    _namespace = board.install(modules)
    if settings["frozen"]:
        frozen = _vfs.VfsPosix(settings["frozen"])  # type: ignore[attr-defined]
        _vfs.mount(frozen, _FROZEN, readonly=True)
        _host_sys.path[1] = _FROZEN
    gc.collect()
    if _file("boot.py") and settings["repl"] == "friendly":
        _file("main.py")
    prompts = {"friendly": _friendly, "raw": _raw}
    mode = settings["repl"]
    while mode:
        _tell(mode)
        mode = prompts[mode]()
    _soft_reboot()


def _copy(module, **changes):
    """A builtin module cannot be changed."""

    class Module:
        pass

    copy = Module()
    for name in dir(module):
        if not name.startswith("__"):
            setattr(copy, name, getattr(module, name))
    for name, value in changes.items():
        setattr(copy, name, value)
    return copy


def _mount(*arguments, **options):
    """`vfs.mount`: what an image has frozen is no mount."""
    mounts = _vfs.mount(*arguments, **options)
    return mounts and [mount for mount in mounts if mount[1] != _FROZEN]


def _ilistdir(*path):
    for entry in _host_ilistdir(*path):
        if entry[0] != _FROZEN_NAME:
            yield entry


def _listdir(*path) -> list[str]:
    return [entry[0] for entry in _ilistdir(*path)]


def _tell(console: str) -> None:
    host.say('\x01{"console":"%s"}' % console)


def _soft_reboot() -> None:
    uart.send(b"MPY: soft reboot\r\n")
    if uart.pending():
        host.say('\x01{"unread":"%s"}' % hexlify(uart.take(uart.RECEIVE_BYTES)).decode())
    machine.soft_reset()


# -- running code


def _file(name: str) -> bool:
    """False when an exception left it."""
    if not board.has(name):
        return True
    _tell(name)
    return _execute(lambda: board.execute(name, _namespace), b"")


def _source(source, kind: str, eof: bytes, prompt: str) -> None:
    _tell("exec")
    _execute(lambda: exec(compile(source, "<stdin>", kind), _namespace), eof)
    _tell(prompt)


def _execute(code, eof: bytes) -> bool:
    """`eof` follows the output, and again the exception, if any. A SystemExit is a soft reset."""
    failure = None
    try:
        uart.set_interrupt(CTRL_C)
        code()
        uart.set_interrupt(-1)
    except BaseException as error:  # whatever it was: the board shows it and goes on to its prompt
        uart.set_interrupt(-1)
        failure = error
    uart.send(eof)
    if isinstance(failure, SystemExit):
        uart.send(eof)
        _soft_reboot()
    if failure is not None:
        _show(failure)
    uart.send(eof)
    return failure is None


def _show(error: BaseException) -> None:
    """Without the lines of the simulation, which on a board is no Python."""
    text = io.StringIO()
    _host_sys.print_exception(error, text)  # type: ignore[arg-type]
    lines = [line for line in text.getvalue().split("\n") if _HERE not in line]
    print("\n".join(lines), end="")


# -- raw prompt


def _raw() -> str | None:
    """The prompt that follows; None = soft reset."""
    uart.send(b"raw REPL; CTRL-B to exit\r\n>")
    source = bytearray()
    while True:
        char = uart.take(1)[0]
        if char == CTRL_A:
            if len(source) != 2 or source[0] != CTRL_E:
                return "raw"
            _raw_paste(source[1])
        elif char == CTRL_B:
            uart.send(b"\r\n")
            return "friendly"
        elif char == CTRL_D:
            uart.send(b"OK")
            if not source:
                uart.send(b"\r\n")
                return None
            _source(bytes(source), "exec", b"\x04", "raw")
        elif char != CTRL_C:
            source.append(char)
            continue
        source = bytearray()
        if char != CTRL_C:
            uart.send(b">")


def _raw_paste(command: int) -> None:
    if command != ord("A"):
        uart.send(b"R\x00")
        return
    uart.send(b"R\x01" + WINDOW.to_bytes(2, "little") + b"\x01")
    source, room = bytearray(), WINDOW
    while True:
        data = uart.take(room)
        ends = [at for at in (data.find(b"\x03"), data.find(b"\x04")) if at >= 0]
        if ends:
            break
        source += data
        room -= len(data)
        if room == 0:
            uart.send(b"\x01")
            room = WINDOW
    at = min(ends)
    uart.put_back(data[at + 1 :])
    uart.send(b"\x04")
    if data[at] == CTRL_C:
        _execute(_interrupted, b"\x04")
    else:
        source += data[:at]
        _source(bytes(source), "exec", b"\x04", "raw")


def _interrupted() -> None:
    raise KeyboardInterrupt


# -- friendly prompt


def _friendly() -> str | None:
    """The prompt that follows; None = soft reset."""
    print("MicroPython v%s; %s" % (_sys.RELEASE, _sys.implementation._machine))
    print('Type "help()" for more information.')
    line = Line(uart.take, uart.send)
    while True:
        end = line.read()
        uart.send(b"\r\n")
        if end == CTRL_A:
            return "raw"
        if end == CTRL_B:
            return "friendly"
        if end == CTRL_D:
            return None
        if end == CTRL_E:
            end = line.paste()
            if end == CTRL_D:
                _source(line.text, "exec", b"", "friendly")
        elif end != CTRL_C and line.text:
            _source(line.text, "single", b"", "friendly")
