"""A pseudo-terminal that stands for the USB serial converter: it is there while the cable is in."""

import os
import pty
import select
import tempfile
import time
import tty
from pathlib import Path

from common.beside import Held, Hold, named

READ_BYTES = 1024
STALL_S = 1.0  # a program that holds the port open and reads nothing loses output after this


class Port:
    """Not thread-safe. What is written while no program has the port open, or while the cable is out, is lost."""

    def __init__(self, link: Path | None) -> None:
        """`link`: a symbolic link to the terminal that is kept over `close` and `open`; an older link is replaced.

        Raises ValueError when something else is there, or when the link is another board's; OSError.
        """
        if link is not None and link.exists() and not link.is_symlink():
            raise ValueError(f"{link} is there already and no symbolic link: give another path")
        self._link = link
        self._hold = None if link is None else _held(link)
        self._master: int | None = None
        self._name = ""
        self._out = b""
        self._progress_s = 0.0
        self.open()

    @property
    def path(self) -> str:
        """What to give to `mpremote connect`: the link, if there is one."""
        return str(self._link) if self._link is not None else self._name

    @property
    def name(self) -> str:
        """The terminal itself."""
        return self._name

    @property
    def is_open(self) -> bool:
        return self._master is not None

    @property
    def is_backed_up(self) -> bool:
        """True while the program at the port has not read what was written last."""
        return bool(self._out)

    def open(self) -> None:
        """Plug the cable in."""
        if self._master is not None:
            return
        self._master, slave = pty.openpty()
        self._name = os.ttyname(slave)
        tty.setraw(slave)
        os.close(slave)  # from now on a hang-up tells that no program has the port open
        os.set_blocking(self._master, False)
        if self._link is not None:
            with named(self._link):
                beside = Path(tempfile.mkdtemp(dir=self._link.parent), "link")
                beside.symlink_to(self._name)
                beside.replace(self._link)
                beside.parent.rmdir()

    def close(self) -> None:
        """Pull the cable out."""
        if self._master is None:
            return
        if self._link is not None and self._link.is_symlink() and str(self._link.readlink()) == self._name:
            self._link.unlink()  # unless somebody has put another one there
        os.close(self._master)
        self._master, self._out = None, b""

    def give_up(self) -> None:
        """Pull the cable out for good: the link is free for another board."""
        self.close()
        if self._hold is not None:
            self._hold.release()

    def has_listener(self) -> bool:
        """True while a program has the port open."""
        return self._master is not None and not self._events() & select.POLLHUP

    def readable(self) -> int | None:
        """For select; None while there is nothing that it could wait for."""
        return self._master if self.has_listener() else None

    def read(self) -> bytes:
        """What a program wrote, at most READ_BYTES; also when it has closed the port since."""
        if self._master is None or not self._events() & select.POLLIN:
            return b""
        try:
            return os.read(self._master, READ_BYTES)
        except OSError:  # closed at the other end
            return b""

    def write(self, data: bytes) -> None:
        """Send; what the program does not read yet is kept until `flush`, or lost when it reads nothing for STALL_S."""
        if self._master is None:
            return  # the cable is out
        if not self._out:
            self._progress_s = time.monotonic()
        self._out += data
        self.flush()

    def flush(self) -> None:
        if self._master is None or not self._out:
            return
        if not self.has_listener():
            self._out = b""
            return
        try:
            written = os.write(self._master, self._out)
        except OSError:  # full, or closed in this moment
            written = 0
        if written:
            self._progress_s = time.monotonic()
            self._out = self._out[written:]
        elif time.monotonic() - self._progress_s > STALL_S:
            self._out = b""

    def _events(self) -> int:
        assert self._master is not None
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        return sum(events for _, events in poll.poll(0))


def _held(link: Path) -> Hold:
    try:
        return Hold(link)
    except Held as other:
        raise ValueError(
            f"{link}: another board (process {other.process}) has this link: give each board its own with --link"
        ) from None
