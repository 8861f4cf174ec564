"""The host side on real MicroPython (unix port, 64 or 32 bit): clock, console, sockets, shared registers."""

import os as _os
import select as _select
import socket as _socket
import struct as _struct
import sys as _sys
import time as _time

import ffi as _ffi  # type: ignore[import-not-found]
import uctypes as _uctypes

_CLOCK_MONOTONIC = 1
_O_RDONLY = 0
_O_RDWR = 2
_PROT_READ = 1
_PROT_READ_WRITE = 3
_MAP_SHARED = 1

_libc = _ffi.open(None)
_exit = _libc.func("v", "_exit", "i")

ticks_ms = _time.ticks_ms
ticks_us = _time.ticks_us


def _monotonic_us() -> int:
    timespec = bytearray(16)
    _libc.func("i", "clock_gettime", "ip")(_CLOCK_MONOTONIC, timespec)
    seconds, nanoseconds = _struct.unpack("ll", timespec)
    return seconds * 1000000 + nanoseconds // 1000


_anchor_us = _monotonic_us()
_anchor_ticks = _time.ticks_us()


def now_us() -> int:
    """CLOCK_MONOTONIC in microseconds. On 32 bits it must be asked at least every 8 minutes: ticks_us() wraps."""
    global _anchor_us, _anchor_ticks
    ticks = _time.ticks_us()
    _anchor_us += _time.ticks_diff(ticks, _anchor_ticks)
    _anchor_ticks = ticks
    return _anchor_us


def sleep_us(us: int) -> None:
    _time.sleep_us(us)


_stdin = _select.poll()
_stdin.register(_sys.stdin, _select.POLLIN)


def poll_line() -> str | None:
    """A whole line from the parent, None when there is none. Ends the process when the parent is gone."""
    for _ in _stdin.ipoll(0):
        line = _sys.stdin.readline()
        if not line:
            end(0)
        return line
    return None


def wait_line(timeout_us: int) -> None:
    """Sleep until the parent says something, at most so long."""
    if timeout_us < 1000:
        sleep_us(timeout_us)
        return
    for _ in _stdin.ipoll(timeout_us // 1000):
        return


def say(text: str) -> None:
    print(text)


def end(status: int) -> None:
    """The process ends here, whatever the device's code would like to do about it."""
    _exit(status)


def map_registers(path: str, size: int) -> bytearray:
    """The file's first `size` bytes as shared memory."""
    fd = _libc.func("i", "open", "si")(path, _O_RDWR)
    if fd < 0:
        raise OSError("registers file %s cannot be opened for writing; the parent must create it" % path)
    mmap = _libc.func("L", "mmap", "LLiiil")
    address = mmap(0, size, _PROT_READ_WRITE, _MAP_SHARED, fd, 0)
    return _uctypes.bytearray_at(address, size)


def map_rom(path: str) -> bytearray:
    """The file as memory that is no heap."""
    fd = _libc.func("i", "open", "si")(path, _O_RDONLY)
    size = _os.stat(path)[6]
    address = _libc.func("L", "mmap", "LLiiil")(0, size, _PROT_READ, _MAP_SHARED, fd, 0)
    return _uctypes.bytearray_at(address, size)


Poller = _select.poll


def stream_socket():
    raw = _socket.socket()
    raw.setblocking(False)
    return raw


def datagram_socket():
    raw = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    raw.setblocking(False)
    return raw


def address(ip: str, port: int):
    """What connect, bind and sendto of a host socket take, from a numeric address."""
    return _socket.getaddrinfo(ip, port, _socket.AF_INET, _socket.SOCK_STREAM)[0][-1]


def numeric(sockaddr: object) -> tuple[str, int]:
    """(ip, port) from what recvfrom gives."""
    parts = _socket.sockaddr(sockaddr)  # type: ignore[attr-defined]
    return ".".join(str(byte) for byte in parts[1]), parts[2]


def resolve(name: str, port: int) -> str:
    """IPv4 address of a name. Raises OSError when it has none."""
    return numeric(address(name, port))[0]
