# mypy: ignore-errors
# ruff: noqa: I001, PTH102, PTH123, PTH208, SIM105, UP031
"""One boot of the real firmware on the mounted flash: boot.py, then `firmware.startup.start.run`, until the board says
`End`."""

import os

import vfs

import firmware.column
from firmware.startup.start import run

from .board import End
from .nor import Nor

SERVICE = "service"


class Came:
    """How the column came up, before its loop began."""

    def __init__(self, column, config, origin) -> None:
        self.restored = [(one.id, one.press, one.state) for one in column.incidents._list]
        self.presses = {ident: press for ident, press, _ in self.restored}
        self.number = column.number
        self.quarantined = column.journal.quarantined
        self.mark = column.messages.location["address"]
        self.source = origin["source"]
        self.certificates = (config["broker"]["tls"] or {}).get("digest")  # the fingerprint of those in use


def load_all(folder: str) -> None:
    """Import the whole firmware: once a flash is mounted, the host's files are gone."""
    for package in ("firmware", "firmware/startup", "firmware/console", "firmware/update"):
        for name in os.listdir(folder + "/" + package):
            __import__(package.replace("/", ".") + "." + name.split(".")[0])


def unmount() -> None:
    """Everything of the host's, or of the last boot's, is gone."""
    try:
        os.umount("/")
    except OSError:
        pass  # nothing there


def mount(nor: Nor, sizes: dict) -> None:
    """`sizes`: readsize, progsize, lookahead. Raises OSError when there is no file system."""
    unmount()
    vfs.mount(vfs.VfsLfs2(nor, **sizes), "/")


def boot(board, source: str):
    """(Came or None for a boot without a column, why it ended). `source`: boot.py's text."""
    made = firmware.column.Column

    def make(*arguments):
        column = made(*arguments)
        board.came = Came(column, *arguments[2:4])
        board.witness.numbers.append(column.number)
        return column

    firmware.column.Column = make
    try:
        namespace = {"__name__": "__main__", "print": board.log}
        board.tell("boot.py's own")
        exec(source, namespace)
        board.tell(None)
        if namespace["boot"]["mode"] == SERVICE:
            return None, SERVICE
        run(board, namespace["boot"])
    except End as end:
        return board.came, str(end)
    finally:
        firmware.column.Column = made
