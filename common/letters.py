"""Letters as people write them."""

import re

_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
_CUT = re.compile(r"\\(u[0-9a-f]{0,3})?\.\.\.$")


def in_letters(text: str) -> str:
    """What json.dumps of this computer made of letters outside ASCII, as letters again; the chip's leaves them."""
    return _ESCAPED.sub(lambda found: _letter(found[0], chr(int(found[1], 16))), _CUT.sub("...", text))


def _letter(escaped: str, letter: str) -> str:
    return letter if letter.isprintable() else escaped
