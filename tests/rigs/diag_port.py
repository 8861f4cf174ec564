"""A column that is only its console: on a pseudo-terminal it says what was recorded, and what tests want of it."""

import contextlib
import json
import os
import pty
import select
import subprocess
import sys
import threading
import tty
from collections.abc import Callable, Iterator
from typing import Any, Self

from board_probe import Typist
from diag_answers import UNKNOWN, Recorded

from sim.real.flash_image import PROJECT

Say = Callable[[bytes], None]


class FakePort:
    """`on_line(line, say)` is told each line that comes over the port."""

    def __init__(self, on_line: Callable[[str, Say], None]) -> None:
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave
        self._on_line = on_line
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.pull()
        os.close(self._slave)

    def say(self, data: bytes) -> None:
        while data and self._master >= 0:
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._master, data) :]

    def pull(self) -> None:
        """The cable comes out."""
        master, self._master = self._master, -1
        if master >= 0:
            os.close(master)

    def _listen(self) -> None:
        rest = b""
        while not self._over.is_set() and self._master >= 0:
            if not select.select([self._master], [], [], 0.05)[0]:
                continue
            rest += os.read(self._master, 4096)
            *lines, rest = rest.split(b"\n")
            for line in lines:
                self._on_line(line.decode("ascii", "replace").strip(), self.say)


class FakeColumn(FakePort):
    """Answers with a recording; `pull_at`: the cable comes out when so many lines were said."""

    def __init__(self, recorded: Recorded, pull_at: int | None = None) -> None:
        super().__init__(self._answer)
        self._recorded = recorded
        self._left = pull_at
        self.asked: list[str] = []

    def _answer(self, word: str, say: Say) -> None:
        if not word:
            return
        self.asked.append(word)
        self._recorded.clock_goes_on()
        for line in self._recorded.lines.get(word, []):
            self._line({**line, "re": word})
        refusal = self._recorded.refusals.get(word, None if word in self._recorded.lines else UNKNOWN)
        self._line({"re": word, "ok": True} if refusal is None else {"re": word, "ok": False, "error": refusal})

    def _line(self, line: dict[str, Any]) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self.pull()
                return
        self.say(b"uplink: something else\r\nconsole: " + json.dumps(line, ensure_ascii=False).encode() + b"\r\n")


@contextlib.contextmanager
def dialogue(port: str, *arguments: str) -> Iterator[tuple[Typist, "subprocess.Popen[bytes]"]]:
    """`python -m field.diag` at a terminal of its own, and somebody who types there."""
    ours, theirs = pty.openpty()
    program = [sys.executable, "-m", "field.diag", port, *arguments]
    process = subprocess.Popen(program, cwd=PROJECT, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    typist = Typist.__new__(Typist)
    typist._file, typist.shown = ours, b""
    with typist:
        try:
            yield typist, process
        finally:
            process.kill()
            process.wait()
