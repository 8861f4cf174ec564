"""How a person who sits at no desk is told of a call that nobody accepts. Each file in this folder is one way, and has

    KEYS = {"url": True, "timeout_s": False}     # its settings, and whether each must be there

    def make(settings: Mapping[str, Any], notes: Path | None) -> Tell: ...   # raises ValueError for a bad setting

A `Tell` waits until the other side has taken the call, LIMIT_S at most, and returns what that side said. It raises
NotTold when the other side certainly has not taken it, and anything else when nobody can know: then the desk says
that it is uncertain, and repeats it once under the same `key`. `notes` is a file for what a kill of the desk must not
make forgotten (desk/page.py): a way that leaves something behind, such as a telephone that rings, ends it at its next
`make`. None: nothing can be kept.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from desk.officers.words import LANGUAGES

LIMIT_S = 40.0
COMMON_KEYS = {"how": True, "language": False}


class NotTold(Exception):
    """It certainly did not arrive; says why."""


class Call(NamedTuple):
    """What an officer has to know. `subject`, `text`: in the officer's language, one line and all of it."""

    key: str
    incident_id: str
    device_id: str
    region: str
    site: str
    address: str
    geo: str
    press: int
    received_ms: int
    waited_s: int
    desk: str
    repeated: bool
    subject: str
    text: str


Tell = Callable[[Call], str]


class OfficerError(ValueError):
    """An officer's settings cannot be; says which, what was found and what it must be."""


def ways() -> list[str]:
    """The files of this folder that are a way."""
    return sorted(one.name for one in pkgutil.iter_modules(__path__) if one.name != "words")


def make(name: str, settings: Mapping[str, Any], folder: Path | None = None) -> Tell:
    """The way to an officer. `folder`: of the desk, for notes. Raises OfficerError."""
    where, how = f"officer {name}", settings.get("how")
    if how not in ways():
        raise OfficerError(f"{where}: how: found {how!r}, must be one of {', '.join(ways())}")
    way = importlib.import_module(f"{__name__}.{how}")
    keys: dict[str, bool] = {**COMMON_KEYS, **way.KEYS}
    for key in settings:
        if key not in keys:
            raise OfficerError(f"{where}: found the key {key!r}, {how} has {', '.join(keys)}")
    for key, needed in keys.items():
        if needed and key not in settings:
            raise OfficerError(f"{where}: {key}: is missing, and {how} needs it")
    if settings.get("language", "en") not in LANGUAGES:
        raise OfficerError(f"{where}: language: must be one of {', '.join(LANGUAGES)}")
    try:
        notes = None if folder is None else folder / f"officer-{name}.notes"
        made: Tell = way.make({key: value for key, value in settings.items() if key not in COMMON_KEYS}, notes)
    except (ValueError, TypeError) as error:
        raise OfficerError(f"{where}: {error}") from None
    return made
