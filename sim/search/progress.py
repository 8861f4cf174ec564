"""One line that says where every part is: rewritten in place on a terminal, elsewhere a new one now and then."""

import sys
import threading
import time
from typing import TextIO

from sim.search.report import clock

PLAIN_EVERY_S = 30.0
TERMINAL_EVERY_S = 0.2
WIDTH = 119
CLEAR_LINE = "\r\x1b[K"


class Progress:
    """`say(part, text)` from any thread. Use it as a context: the line is gone at the end."""

    def __init__(self, budget_s: float, stream: TextIO = sys.stdout) -> None:
        self._budget_s = budget_s
        self._stream = stream
        self._terminal = stream.isatty()
        self._every_s = TERMINAL_EVERY_S if self._terminal else PLAIN_EVERY_S
        self._texts: dict[str, str] = {}
        self._began_s = self._shown_s = time.monotonic()
        self._lock = threading.Lock()

    def say(self, part: str, text: str) -> None:
        """What the part is doing now; an empty text: it has ended."""
        with self._lock:
            self._texts[part] = text
            now_s = time.monotonic()
            if now_s - self._shown_s >= self._every_s:
                self._shown_s = now_s
                self._show(now_s - self._began_s)

    def _show(self, passed_s: float) -> None:
        parts = " | ".join(f"{part}: {text}" for part, text in self._texts.items() if text)
        line = f"{clock(passed_s)} of {clock(self._budget_s)}  {parts}"
        if self._terminal:
            self._stream.write(f"{CLEAR_LINE}{line[:WIDTH]}")
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            self._stream.write(CLEAR_LINE)
            self._stream.flush()
