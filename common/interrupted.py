"""Ctrl-C while a command still imports what it needs, or where it has nothing to say about it.

Each package with commands calls `end_quietly` before anything else is imported: that takes half a second and more, in
which Python would print, in English, where it was. So this imports next to nothing itself.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

STATUS = 130  # as a shell says it: 128 and the number of SIGINT


def end_quietly() -> None:
    """From now on a Ctrl-C that nobody catches ends the program without a traceback, with STATUS."""
    sys.excepthook = _say_nothing


def _say_nothing(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.exit(STATUS)
    sys.__excepthook__(kind, error, traceback)
