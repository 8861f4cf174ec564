"""The console of a board on a serial port, when the interpreter is real MicroPython: the driver of its UART.

What was received comes in the parent's `uart HEX` lines; an interrupt character (Ctrl-C) among it raises
KeyboardInterrupt where the device's code touches hardware next. On the way out 0xFF, which never occurs in the UTF-8
that `print` writes, escapes: 0xFF 0xFF is that byte, 0xFF LF a bare line feed (any other LF becomes CR LF on the line),
0xFF 0x01 ... LF a message to the parent.
"""

import io
import select as _select
import sys as _sys
from binascii import unhexlify

import micropython as _micropython

from . import host, select, wires
from .host_micropython import _libc

CTRL_C = 3
RECEIVE_BYTES = 65536  # what does not fit is lost; a real ESP32 keeps 260
_WAIT_MS = 20
_SIGINT = 2
_SIG_IGN = 1

_received = b""
_interrupt = -1
_wire = _sys.stdout.buffer
_parent = _select.poll()
_parent.register(_sys.stdin, _select.POLLIN)
_signal = _libc.func("l", "signal", "il")


def on() -> None:
    set_interrupt(-1)
    wires.uart = receive  # type: ignore[assignment]
    host.say = say


def set_interrupt(char: int) -> None:
    """`char` received raises KeyboardInterrupt from now on; -1 = it is a byte like any other."""
    global _interrupt
    try:
        _interrupt = char
        if char < 0:
            _signal(_SIGINT, _SIG_IGN)
        else:
            _micropython.kbd_intr(CTRL_C)  # the host's: the parent sends SIGINT when nothing touches hardware
    except KeyboardInterrupt:
        pass  # it came in the last moment: what it was for has ended


def receive(text: str) -> None:
    global _received
    data = unhexlify(text)
    interrupted = _interrupt >= 0 and _interrupt in data
    if interrupted:
        data = data.replace(bytes([_interrupt]), b"")
    _received = (_received + data)[:RECEIVE_BYTES]
    if interrupted:
        raise KeyboardInterrupt


def pending() -> bool:
    wires.touch()
    return bool(_received)


def take(limit: int) -> bytes:
    """1 to `limit` received bytes; waits for the first."""
    global _received
    while not pending():
        _parent.poll(_WAIT_MS)
    data, _received = _received[:limit], _received[limit:]
    return data


def put_back(data: bytes) -> None:
    """What was taken last and not used."""
    global _received
    _received = data + _received


def send(data: bytes) -> None:
    """Onto the line as it is."""
    _wire.write(data.replace(b"\xff", b"\xff\xff").replace(b"\n", b"\xff\n"))


def say(text: str) -> None:
    if text.startswith("\x01"):
        _wire.write(b"\xff" + text.encode() + b"\n")
    else:
        print(text)


class _Input(io.IOBase):
    """`sys.stdin`, or its `buffer`. Blocks for everything that is asked for, as the chip's does."""

    raw = _sys.stdin  # what select.poll waits on

    def pending(self) -> bool:
        return pending()

    def flush(self) -> None:
        pass

    def readinto(self, buffer, size=-1) -> int:
        view = memoryview(buffer)
        size = len(view) if size < 0 else min(size, len(view))
        done = 0
        while done < size:
            data = self._take(size - done)
            view[done : done + len(data)] = data
            done += len(data)
        return done

    def read(self, size: int):
        data = bytearray(size)
        self.readinto(data)
        return bytes(data)

    def _take(self, limit: int) -> bytes:
        return take(limit)


class _TextInput(_Input):
    buffer = _Input()

    def read(self, size: int) -> str:  # type: ignore[override]
        return super().read(size).decode()

    def readline(self, size=-1) -> str:
        line = b""
        while not line.endswith(b"\n") and len(line) != size:
            line += self._take(1)
        return line.decode()

    def _take(self, limit: int) -> bytes:
        return take(limit).replace(b"\r", b"\n")


class _Output(io.IOBase):
    """The `buffer` of `sys.stdout`: bytes as they are."""

    def write(self, data, size=None) -> int:
        data = bytes(data.encode() if isinstance(data, str) else data)[:size]
        self._send(data)
        return len(data)

    def _send(self, data: bytes) -> None:
        send(data)


class _TextOutput(_Output):
    """`sys.stdout`: a line feed becomes CR LF on the line."""

    buffer = _Output()

    def _send(self, data: bytes) -> None:
        _wire.write(data.replace(b"\xff", b"\xff\xff"))


class Poll(select.poll):
    """The host tells that the parent wrote something: that need not have been bytes on the line."""

    def _ready(self) -> list:
        ready = super()._ready()
        return [(obj, flags) for obj, flags in ready if not isinstance(obj, _Input) or obj.pending()]


stdin = _TextInput()
stdout = _TextOutput()
