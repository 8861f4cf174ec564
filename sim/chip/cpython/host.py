"""The host side on CPython: clock, console, sockets, shared registers. The twin of `host_micropython.py`."""

import mmap
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

_STDIN = 0
_READ_BYTES = 65536


def now_us() -> int:
    """CLOCK_MONOTONIC in microseconds."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def ticks_us() -> int:
    return now_us()


def ticks_ms() -> int:
    return now_us() // 1000


def sleep_us(us: int) -> None:
    time.sleep(us / 1e6)


_stdin = select.poll()
_stdin.register(_STDIN, select.POLLIN)
_input = b""


def poll_line() -> str | None:
    """A whole line from the parent, None when there is none. Ends the process when the parent is gone."""
    global _input
    if b"\n" not in _input:
        if not _stdin.poll(0):
            return None
        data = os.read(_STDIN, _READ_BYTES)
        if not data:
            end(0)
        _input += data
        if b"\n" not in _input:
            return None
    line, _, _input = _input.partition(b"\n")
    return line.decode("ascii", "replace")


def wait_line(timeout_us: int) -> None:
    """Sleep until the parent says something, at most so long."""
    if timeout_us < 1000:
        sleep_us(timeout_us)
    else:
        _stdin.poll(timeout_us // 1000)


def say(text: str) -> None:
    print(text, flush=True)


def end(status: int) -> None:
    """The process ends here, whatever the device's code would like to do about it."""
    sys.stdout.flush()
    os._exit(status)


def map_registers(path: str, size: int) -> mmap.mmap:
    """The file's first `size` bytes as shared memory."""
    try:
        file = os.open(path, os.O_RDWR)
    except OSError as error:
        raise OSError(f"registers file {path} cannot be opened for writing; the parent must create it") from error
    return mmap.mmap(file, size)


class RawSocket:
    """A host socket that never blocks, with the calls of MicroPython's."""

    def __init__(self, kind: int) -> None:
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.setblocking(False)
        for name in ("connect", "bind", "listen", "recvfrom", "sendto", "setsockopt", "close", "fileno"):
            setattr(self, name, getattr(self._socket, name))

    def readinto(self, buffer: Any) -> int | None:
        try:
            return self._socket.recv_into(buffer)
        except BlockingIOError:
            return None

    def write(self, data: Any) -> int | None:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return None


class Poller:
    """select.poll() that takes and gives socket objects."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._objects: dict[int, Any] = {}

    def register(self, raw: Any, flags: int) -> None:
        self._objects[raw.fileno()] = raw
        self._poll.register(raw.fileno(), flags)

    def unregister(self, raw: Any) -> None:
        """Also for a socket that is closed already."""
        for fd, known in list(self._objects.items()):
            if known is raw:
                del self._objects[fd]
                self._poll.unregister(fd)

    def ipoll(self, timeout_ms: int) -> Iterator[tuple[Any, int]]:
        for fd, flags in self._poll.poll(timeout_ms):
            yield self._objects[fd], flags


def stream_socket() -> RawSocket:
    return RawSocket(socket.SOCK_STREAM)


def datagram_socket() -> RawSocket:
    return RawSocket(socket.SOCK_DGRAM)


def address(ip: str, port: int) -> tuple[str, int]:
    """What connect, bind and sendto of a host socket take, from a numeric address."""
    return ip, port


def numeric(sockaddr: tuple[str, int]) -> tuple[str, int]:
    """(ip, port) from what recvfrom gives."""
    return sockaddr


def resolve(name: str, port: int) -> str:
    """IPv4 address of a name. Raises OSError when it has none."""
    return str(socket.getaddrinfo(name, port, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
