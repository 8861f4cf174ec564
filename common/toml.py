"""Where a text is no TOML: tomllib has it in words alone, and of the text's end not even there."""

import re
import tomllib

AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def place(text: str, error: tomllib.TOMLDecodeError) -> tuple[int, int]:
    """(line, column), from 1; at the end of the text the column behind the last one."""
    found = AT.search(str(error))
    if found and found[1]:
        return int(found[1]), int(found[2])
    *above, last = text.replace("\r\n", "\n").split("\n")
    return len(above) + 1, len(last) + 1
