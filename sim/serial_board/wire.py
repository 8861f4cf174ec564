"""Between a chip's process and its serial port: what `sim/chip/uart.py` puts on standard output, taken apart again."""

import contextlib
import fcntl
import os
import re
import signal
import struct
import termios
from collections.abc import Callable, Sequence
from pathlib import Path

from sim.real.process import ChipProcess

_READ_BYTES = 65536
_TOKEN = re.compile(
    rb"(?P<text>[^\xff\n]+)|(?P<end>\n)|\xff(?P<byte>[\xff\n])|\xff\x01(?P<message>[^\n]*)\n|(?P<rest>\xff(\x01[^\n]*)?\Z)"
)


class Unframer:
    """Takes output in any pieces; gives (bytes for the line, the messages and lines of text in it).

    A message is a string that begins with 0x01, as it is from a chip whose console is lines.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._text = b""

    def feed(self, data: bytes) -> tuple[bytes, list[str]]:
        line, said = bytearray(), []
        data, self._rest = self._rest + data, b""
        for token in _TOKEN.finditer(data):
            kind, value = token.lastgroup, token[token.lastgroup or 0]
            if kind == "rest":
                self._rest = value
            elif kind == "message":
                if value.startswith(b'{"console"'):
                    said += self._end_line()  # what was begun is another part's
                said.append("\x01" + value.decode())
            else:
                line += b"\r\n" if kind == "end" else value
                if value == b"\n":
                    said += self._end_line()
                else:
                    self._text += value
        return bytes(line), said

    def _end_line(self) -> list[str]:
        text, self._text = self._text.decode("utf-8", "replace").rstrip("\r"), b""
        return [text] if text else []


class UartProcess(ChipProcess):
    """A chip's process whose console is a serial port; `show(bytes)` gets what it sends."""

    def __init__(self, command: Sequence[str], folder: Path, show: Callable[[bytes], None]) -> None:
        super().__init__(command, folder)
        self._show = show
        self._unframer = Unframer()

    def read_lines(self) -> list[str] | None:
        try:
            data = os.read(self._stdout.fileno(), _READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            return None
        line, said = self._unframer.feed(data)
        self._show(line)
        return said

    def receive(self, data: bytes) -> bool:
        """Bytes that came over the line, at most 1024. False when the chip has no room for them: try again."""
        return self.send(f"uart {data.hex()}")

    def has_unread_input(self) -> bool:
        unread = fcntl.ioctl(self._stdin.fileno(), termios.FIONREAD, b"\0" * 4)
        return bool(struct.unpack("i", unread)[0])

    def interrupt(self) -> None:
        """KeyboardInterrupt for code that touches no hardware."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGINT)
