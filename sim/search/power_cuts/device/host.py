# mypy: ignore-errors
# ruff: noqa: I001, PTH102, PTH123, PTH208, SIM105, UP031
"""What MicroPython's unix port lacks and its C library has: fork, memory outside the heap, framed pipes."""

import json
import struct
import sys

import ffi
import uctypes

_libc = ffi.open(None)
_fork = _libc.func("i", "fork", "")
_waitpid = _libc.func("i", "waitpid", "ipi")
_exit = _libc.func("v", "_exit", "i")
_setrlimit = _libc.func("i", "setrlimit", "ip")
_mmap = _libc.func("P", "mmap", "PLiiil")
_PROT_READ_WRITE = 3
_MAP_PRIVATE_ANONYMOUS = 0x22
_LENGTH_DIGITS = 8
_RLIMIT_CPU = 0
CHILD_LIMIT_S = 60  # of CPU: a child that spins is killed, and the status says so; one that waits for the host is not


def memory(size: int) -> bytearray:
    """`size` bytes outside the heap: the collector does not walk them, and a fork shares what is not written."""
    return uctypes.bytearray_at(_mmap(0, size, _PROT_READ_WRITE, _MAP_PRIVATE_ANONYMOUS, -1, 0), size)


def in_child(work) -> int:
    """Run `work()` in a process of its own, which ends there without finalising anything. Returns its wait status."""
    pid = _fork()
    if pid < 0:
        raise OSError("fork failed: too many processes or too little memory")
    if pid == 0:
        _setrlimit(_RLIMIT_CPU, struct.pack("LL", CHILD_LIMIT_S, CHILD_LIMIT_S))
        try:
            work()
        except BaseException as error:
            sys.print_exception(error, sys.stderr)
            _exit(1)
        _exit(0)
    status = bytearray(4)
    _waitpid(pid, status, 0)
    return int.from_bytes(status, "little")


def send(head: dict, body=()) -> None:
    """To the host: a JSON object and the blocks that belong to it."""
    text = json.dumps(head).encode()
    out = sys.stdout.buffer
    out.write(b"%08x" % len(text))
    out.write(text)
    for block in body:
        out.write(block)


def receive():
    """The host's next JSON object, or None at the end of the input."""
    digits = sys.stdin.buffer.read(_LENGTH_DIGITS)
    if not digits:
        return None
    return json.loads(sys.stdin.buffer.read(int(digits, 16)))


def receive_body(size: int) -> bytes:
    return sys.stdin.buffer.read(size)
