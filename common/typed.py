"""What a person types for a tool's option: behind make `JSON=1`, where the tool's own word is `--json`.

The Makefile says by SOS_TARGET for which of its targets a tool runs. Texts name the options, as the tools know them;
`as_typed` turns those that the target has a variable for. A command that is shown whole keeps its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

TARGET = os.environ.get("SOS_TARGET", "")
_EACH = {"--lang": "LANG"}  # of every target that speaks
_OUT, _JSON, _FORCE = {"--out": "OUT"}, {"--json": "JSON=1"}, {"--force": "FORCE=1"}
# Of each target that a person's own words go through; tests/house/test_make_words.py holds it against the Makefile.
VARIABLES: Mapping[str, Mapping[str, str]] = {
    "run": {"--ui": "UI", "--runtime": "RUNTIME", "--folder": "FOLDER"},
    "desk": {"--broker": "BROKER", "--folder": "FOLDER"},
    "release": {**_OUT, "--keys": "KEYS", "--floor": "FLOOR", "--key": "KEY"},
    "provision": _OUT,
    "revoke": _OUT,
    "authority": {**_OUT, **_FORCE, "--name": "NAME", "--rollout": "ROLLOUT"},
    "renew": _OUT,
    "servers": {"--state": "SERVERS", "--break": "BREAK", "--stand-ins": "STAND_INS=1"},
    "board": {
        "--wired-for": "CONFIG",
        "--servers": "SERVERS",
        "--flash": "LINK",
        "--link": "LINK",
        "--runtime": "RUNTIME",
        "--heap": "HEAP",
        "--no-psram": "NO_PSRAM=1",
        "--fault": "FAULT",
        "--card": "CARD",
    },
    "image": {"--sha256": "SHA256", "--erase": "ERASE=1"},
    "flash": {**_FORCE, "--log": "OUT"},
    "flash-all": {**_FORCE, "--log": "OUT"},
    "diag": {**_OUT, **_JSON},
    "logs": _JSON,
    "watch": _JSON,
    "accept": {
        **_OUT,
        **_JSON,
        "--seconds": "SECONDS",
        "--server": "SERVER",
        "--wifi": "WIFI",
        "--jumper": "JUMPER",
    },
    "shell": {**_OUT, "--minutes": "MINUTES"},
    "code": {**_OUT, "--port": "PORT", "--code": "CODE"},
}
_WORDS = re.compile(r"python -m [^;`\"»\n]*|sos-\w+ [^;`\"»\n]*|(?<![\w-])--[a-z][a-z0-9-]*")


def as_typed(text: str) -> str:
    """With the names that whoever reads it has typed."""
    if not TARGET:
        return text
    names = {**_EACH, **VARIABLES.get(TARGET, {})}
    return _WORDS.sub(lambda found: names.get(found[0], found[0]), text)
