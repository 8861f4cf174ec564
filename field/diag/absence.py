"""Nobody answers: is anybody there at all, and who?"""

from __future__ import annotations

from field.console import Console
from field.diag.interview import Absence

# Ctrl-B: raw prompt -> friendly prompt, friendly prompt -> its greeting; a column on duty takes it for garbage.
GREET = b"\x02\r\n"
LISTEN_S = 3.0  # an unconfigured column speaks every 10 s, and the question before waited for 8
_PROMPT = (">>> ", "MicroPython v")
_UNCONFIGURED = "configuration: "
_ERRORS_SHOWN = 3


def find_out(console: Console, heard: list[str]) -> Absence:
    """`heard`: grows by what the port says. Raises ConsoleError."""
    console.type(GREET)
    console.listen(LISTEN_S)
    return classify(heard)


def classify(heard: list[str]) -> Absence:
    errors = [text.partition(_UNCONFIGURED)[2] for text in heard if _UNCONFIGURED in text]
    if any(sign in text for text in heard for sign in _PROMPT):
        return Absence("prompt", "")
    if errors:
        return Absence("unconfigured", "; ".join(dict.fromkeys(errors[-_ERRORS_SHOWN:])))
    return Absence("strange", heard[-1]) if heard else Absence("nobody", "")
