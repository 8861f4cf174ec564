# mypy: ignore-errors
# ruff: noqa: I001, PTH102, PTH123, PTH208, SIM105, UP031
"""A life of a column, and every death that it could have died: the process forks before each flash operation, once for
each way in which the power can go; the child tears the operation, hands over the image and what was known, and is gone.
"""

import os

import vfs

from . import host
from .board import Board
from .column import boot, mount
from .nor import BLOCK_BYTES, ERASE_MODES, PROGRAM_MODES, Nor
from .witness import Witness


_FILLER = "filler.bin"
_FREE_BLOCKS = 3  # of statvfs


def _fill(left: int) -> None:
    """Leave `left` blocks of the flash free; 0: as many as a file that has not been closed yet cannot have."""
    try:
        with open(_FILLER, "wb") as file:
            while os.statvfs("/")[_FREE_BLOCKS] > left:
                file.write(bytes(BLOCK_BYTES))
                file.flush()
    except OSError:
        if left:
            raise


class Life:
    """`order`: blocks, sizes, folders, files {name: text}, boots [{cause, script, unreadable, configurations, ends,
    device, offered}], history, seed, left (blocks that stay free, or None), only ([operation, mode], or None for every
    cut) and kind (of the writes that are cut, or None for all)."""

    def __init__(self, order: dict, boot_source: str) -> None:
        self._order = order
        self._source = boot_source
        self._kind = None
        self._index = 0
        self._counts = {}
        self._refused_at = []
        self._nor = Nor(order["blocks"])
        self._witness = Witness(order["history"])

    def run(self) -> None:
        try:
            self._live(self._nor, self._order)
        except OSError:
            if not self._nor.refused:  # else it is known why LittleFS had to give up
                raise
        self._check_refused()
        numbers, contents = self._nor.image()
        head = self._head("end", numbers)
        head.update({"end": True, "counts": self._counts, "refused": self._refused_at})
        host.send(head, contents)

    def _live(self, nor, order) -> None:
        vfs.VfsLfs2.mkfs(nor, **order["sizes"])
        mount(nor, order["sizes"])
        for folder in order["folders"]:
            os.mkdir(folder)
        for name, text in order["files"].items():
            with open(name, "wb") as file:
                file.write(text.encode() if isinstance(text, str) else bytes(text))
        if order["left"] is not None:
            _fill(order["left"])
        nor.on_operation = self._operation
        for one in order["boots"]:
            self._boot(one)

    def _boot(self, one) -> None:
        mount(self._nor, self._order["sizes"])
        self._witness.configurations = one["configurations"]
        board = Board(self._witness, one["script"], one["cause"], self._tell, one["device"], one["offered"])
        board.flash.unreadable = one["unreadable"]
        came, why = boot(board, self._source)
        if why != one["ends"]:
            raise ValueError("this boot ended with %r, not %r: %s" % (why, one["ends"], board.logged[-5:]))
        self._witness = Witness(self._witness.known())

    def _tell(self, kind) -> None:
        self._kind = kind

    def _head(self, mode, numbers) -> dict:
        return {
            "operation": self._index,
            "kind": self._kind or "other",
            "mode": mode,
            "known": self._witness.known(),
            "blocks": numbers,
        }

    def _check_refused(self) -> None:
        if self._nor.refused:
            self._refused_at.append(self._index - 1)
            self._nor.refused = 0

    def _operation(self, nor, block, offset, data) -> None:
        self._check_refused()
        kind = self._kind or "other"
        self._counts[kind] = self._counts.get(kind, 0) + 1
        only = self._order["only"]
        if self._order["kind"] not in (None, kind):
            only = ()
        for number, mode in enumerate(ERASE_MODES if data is None else PROGRAM_MODES):
            if only is None or only == [self._index, mode]:
                seed = (self._order["seed"] * 1000003 + self._index) * 16 + number
                host.in_child(lambda: self._die(block, offset, data, mode, seed & 0x3FFFFFFF))  # noqa: B023
        self._index += 1

    def _die(self, block, offset, data, mode, seed) -> None:
        self._nor.tear(block, offset, data, mode, seed)
        numbers, contents = self._nor.image()
        host.send(self._head(mode, numbers), contents)
