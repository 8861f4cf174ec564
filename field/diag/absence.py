"""Nobody answers: is anybody there at all, and who?"""

from __future__ import annotations

import re

from field.console import Console
from field.diag.interview import Absence
from field.words import listed

# The first CR ends what was typed at a prompt before; then Ctrl-B brings the greeting of the friendly prompt, from the
# raw one too. A column on duty takes all of it for an empty line and garbage.
GREET = b"\r\x02\r\n"
LISTEN_S = 3.0  # an unconfigured column speaks every 10 s, and the question before waited for 8
STARTING_S = 10.0  # from the first line of a start to being armed
ARMED = "armed"  # it has just started: ask again
_STARTED, _ARMED = "boot: number=", "column: armed"
_PROMPT = (">>> ", "MicroPython v")
_UNCONFIGURED = "configuration: "
# What a column says of its own accord (docs/diagnostics.md, "What the console says by itself").
_COLUMN = re.compile(r"(?:fault|uplink|link|clock|press|update|column|supervisor): ")
ERRORS_SHOWN = 3


def find_out(console: Console, heard: list[str]) -> Absence:
    """`heard`: grows by what the port says. Raises ConsoleError."""
    console.type(GREET)
    console.listen(LISTEN_S)
    if any(_STARTED in text for text in heard) and not any(_ARMED in text for text in heard):
        console.listen(STARTING_S)
    return classify(heard)


def classify(heard: list[str]) -> Absence:
    """Later lines tell more than earlier ones: a board that was at its prompt may be on duty by now."""
    errors = dict.fromkeys(text.partition(_UNCONFIGURED)[2] for text in heard if _UNCONFIGURED in text)
    for text in reversed(heard):
        if _ARMED in text:
            return Absence(ARMED, text)
        if any(sign in text for sign in _PROMPT):
            return Absence("prompt", "")
        if _UNCONFIGURED in text:
            return Absence("unconfigured", listed(list(errors)[:ERRORS_SHOWN]))
    if not any(_STARTED in text for text in heard):  # one that starts and does not get further is no column on duty
        for text in reversed(heard):
            if _COLUMN.match(text):
                return Absence("mute", text)
    return Absence("strange", heard[-1]) if heard else Absence("nobody", "")
