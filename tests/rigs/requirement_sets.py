"""What requirements/ pins."""

import re

from common.home import ROOT


def pins(name: str) -> dict[str, str]:
    """Package -> version, of one set."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    found = dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))
    assert found, name
    return found
