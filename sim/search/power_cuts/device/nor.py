# mypy: ignore-errors
# ruff: noqa: I001, PTH102, PTH123, PTH208, SIM105, UP031
"""A NOR flash: a program only clears bits, an erase sets a whole block, and the power may go within either.

Offered to `vfs.VfsLfs2` as a block device of the extended kind, as `esp32.Partition` is: 4096-byte blocks, programs at
any offset, erases on their own (ioctl 6).
"""

import random

from .host import memory

BLOCK_BYTES = 4096
_ERASED = b"\xff" * BLOCK_BYTES
_USED = b"\x5a" * BLOCK_BYTES  # what lies in a block that nobody has erased yet: this chip was used before
_BLOCK_COUNT, _BLOCK_SIZE, _ERASE = 4, 5, 6  # ioctl requests
_EDGE_BYTES = 32  # what one page program takes at a time, and may leave undone in any order

# A mode's second draw of the dice is called "torn 2".
PROGRAM_MODES = ("before", "half", "torn", "torn 2", "thin", "edge", "edge 2", "after")
ERASE_MODES = ("before", "half", "torn", "torn 2", "mixed", "mixed 2", "zero", "after")


class Nor:
    """`on_operation(nor, block, offset, data)` is called before each program, and before each erase (data: None)."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self._bytes = memory(blocks * BLOCK_BYTES)
        for block in range(blocks):
            self._bytes[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES] = _USED
        self.touched: set[int] = set()
        self.on_operation = None
        self.refused = 0  # programs that had to set a bit, which only an erase can

    # -- the block device

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        start = block * BLOCK_BYTES + offset
        buffer[:] = self._bytes[start : start + len(buffer)]

    def writeblocks(self, block: int, buffer: bytearray, offset: int = -1) -> None:
        if offset < 0:  # the simple kind of block device erases by itself
            self._operate(block, 0, None)
            offset = 0
        self._operate(block, offset, bytes(buffer))

    def ioctl(self, request: int, argument: int) -> int:
        if request == _BLOCK_COUNT:
            return self.blocks
        if request == _BLOCK_SIZE:
            return BLOCK_BYTES
        if request == _ERASE:
            self._operate(argument, 0, None)
        return 0

    # -- its content

    def image(self) -> tuple:
        """(numbers, contents) of the blocks that are not as they were at first."""
        numbers = sorted(self.touched)
        return numbers, (self._bytes[at * BLOCK_BYTES : (at + 1) * BLOCK_BYTES] for at in numbers)

    def put(self, block: int, content: bytes) -> None:
        self._bytes[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES] = content
        self.touched.add(block)

    # -- what changes it

    def _operate(self, block: int, offset: int, data) -> None:
        if self.on_operation is not None:
            self.on_operation(self, block, offset, data)
        self.touched.add(block)
        if data is None:
            self._erase(block)
        else:
            self._program(block * BLOCK_BYTES + offset, data)

    def _erase(self, block: int) -> None:
        start = block * BLOCK_BYTES
        self._bytes[start : start + BLOCK_BYTES] = _ERASED

    def _program(self, start: int, data: bytes) -> None:
        old = bytes(self._bytes[start : start + len(data)])
        if old.count(b"\xff") == len(old):
            self._bytes[start : start + len(data)] = data
            return
        self.refused += any(new & ~was for was, new in zip(old, data))  # noqa: B905
        self._bytes[start : start + len(data)] = bytes(was & new for was, new in zip(old, data))  # noqa: B905

    def tear(self, block: int, offset: int, data, mode: str, seed: int) -> None:
        """The power goes within this operation: leave what `mode` says of it."""
        mode = mode.split(" ")[0]
        self.touched.add(block)
        random.seed(seed)
        start = block * BLOCK_BYTES + offset
        if data is None:
            old = bytes(self._bytes[start : start + BLOCK_BYTES])
            self._bytes[start : start + BLOCK_BYTES] = _torn_erase(old, mode)
        else:
            old = bytes(self._bytes[start : start + len(data)])
            self._bytes[start : start + len(data)] = _torn_program(old, data, mode)


def _torn_program(old: bytes, data: bytes, mode: str) -> bytes:
    """`before`: nothing; `half`: the first half of the bytes; `torn`: each bit or not; `thin`: one bit in sixteen;
    `edge`: up to some byte all, then `_EDGE_BYTES` torn, the rest not; `after`: all of it."""
    size = len(data)
    done = {"before": 0, "half": size // 2, "after": size}.get(mode, 0)
    torn_to = size
    if mode == "edge":
        done = random.getrandbits(20) % size
        torn_to = min(size, done + _EDGE_BYTES)
    result = bytearray(old)
    for i in range(size):
        if i < done:
            result[i] = old[i] & data[i]
        elif mode in ("torn", "thin", "edge") and i < torn_to:
            result[i] = old[i] & (data[i] | _kept_bits(mode))
    return bytes(result)


def _kept_bits(mode: str) -> int:
    kept = random.getrandbits(8)
    if mode == "thin":
        kept |= random.getrandbits(8) | random.getrandbits(8) | random.getrandbits(8)
    return kept


def _torn_erase(old: bytes, mode: str) -> bytes:
    """`before`: nothing; `half`: the first half is erased; `torn`: each bit was set or not yet; `mixed`: erased up to
    some byte, garbage from there; `zero`: only programmed to zeros, as a chip does before it erases; `after`."""
    size = len(old)
    if mode == "before":
        return old
    if mode == "after":
        return _ERASED
    if mode == "zero":
        return bytes(size)
    if mode == "half":
        return _ERASED[: size // 2] + old[size // 2 :]
    if mode == "torn":
        return bytes(byte | random.getrandbits(8) for byte in old)
    edge = random.getrandbits(20) % size
    return _ERASED[:edge] + bytes(random.getrandbits(8) for _ in range(size - edge))
