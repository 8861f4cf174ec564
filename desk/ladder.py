"""The ladder: who is told of a call that nobody accepts, and when. Read from a file that is its owner's only:

    [officer.duty]                  # a person, and how to reach them; `how` is the name of a file in desk/officers/
    how = "webhook"
    url = "https://pager.example/hook"

    [officer.chief]
    how = "email"
    ...

    [[ladder]]                      # the first that fits a call is taken
    region = "nko"                  # or a pattern; left out: any
    site = "school"                 # public or school; left out: any
    steps = [{after_s = 15, tell = "desks"}, {after_s = 30, tell = "duty"}, {after_s = 60, tell = "chief"}]

"desks" is every desk at the broker: they ring louder, and the column says that nobody has answered yet. Pure.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from desk.private_file import PrivateFileError, read_toml

DESKS = "desks"
DOCUMENTED = "docs/desk.md, Nobody accepts: the ladder"
AFTER_MAX_S = 3600
STEPS_MAX = 20
OFFICER = re.compile(r"[a-z0-9-]{1,24}")
ANY = "*"
SITES = (ANY, "public", "school")
FILES = ("recording",)  # of an officer's settings: they name a file, beside the ladder if not from the root


class LadderError(ValueError):
    """The file of the ladders cannot be used; says where, what was found and what it must be."""


class Step(NamedTuple):
    """`tell`: an officer's name, or DESKS."""

    after_s: int
    tell: str

    @property
    def name(self) -> str:
        """What two desks with the same file call it, too."""
        return f"{self.after_s}-{self.tell}"


class Ladder(NamedTuple):
    """For the calls of a region and a kind of place."""

    steps: tuple[Step, ...]
    region: str = ANY
    site: str = ANY

    def fits(self, region: str, site: str) -> bool:
        return fnmatch.fnmatchcase(region, self.region) and self.site in (ANY, site)


ONLY_DESKS = Ladder((Step(15, DESKS),))


@dataclass(frozen=True)
class Plan:
    """All ladders of a desk, and the officers' settings by name."""

    ladders: tuple[Ladder, ...] = ()
    officers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    def steps(self, region: str, site: str) -> tuple[Step, ...]:
        """Of a call from there. Where no ladder fits, all desks ring louder, and that is the end of it."""
        return next((one for one in self.ladders if one.fits(region, site)), ONLY_DESKS).steps

    @property
    def reaches_beyond_desks(self) -> bool:
        """Whether every call comes to somebody who sits at no desk."""
        whole = any(one.region == ANY and one.site == ANY for one in self.ladders)
        return whole and all(any(step.tell != DESKS for step in one.steps) for one in self.ladders)


def read(path: Path) -> Plan:
    """Raises LadderError."""
    try:
        document = read_toml(path, DOCUMENTED)
    except PrivateFileError as error:
        raise LadderError(str(error)) from None
    return _with_files(parse(document, str(path)), path.parent)


def parse(document: Mapping[str, Any], where: str = "ladder") -> Plan:
    """The plan in the file's document. Raises LadderError."""
    _known(document, ("officer", "ladder"), where)
    officers = document.get("officer", {})
    if not isinstance(officers, dict) or not all(isinstance(one, dict) for one in officers.values()):
        raise LadderError(f"{where}: officer: must be tables such as [officer.duty]")
    for name in officers:
        if name == DESKS or not OFFICER.fullmatch(name):
            form = "1 to 24 of the characters a-z, 0-9 and '-'"
            raise LadderError(f"{where}: officer: found {name!r}, must be {form}, and not {DESKS!r}")
    ladders = document.get("ladder", [])
    if not isinstance(ladders, list) or not ladders:
        raise LadderError(f"{where}: ladder: there must be one at least: [[ladder]] with steps")
    found = tuple(_ladder(one, f"{where}: ladder {n}", officers) for n, one in enumerate(ladders, 1))
    unused = set(officers) - {step.tell for one in found for step in one.steps}
    if unused:
        raise LadderError(f"{where}: officer {min(unused)!r}: no step tells them: add one, or take them out")
    return Plan(found, officers)


def _with_files(plan: Plan, folder: Path) -> Plan:
    """A service starts in another folder than a trial: a file is looked for beside the one that names it."""
    officers = {}
    for name, settings in plan.officers.items():
        named = {key: str(folder / settings[key]) for key in FILES if isinstance(settings.get(key), str)}
        officers[name] = {**settings, **named}
    return replace(plan, officers=officers)


def _ladder(given: Any, where: str, officers: Mapping[str, Any]) -> Ladder:
    if not isinstance(given, dict):
        raise LadderError(f"{where}: must be a table")
    _known(given, ("region", "site", "steps"), where)
    region, site, steps = given.get("region", ANY), given.get("site", ANY), given.get("steps")
    if not isinstance(region, str) or not region:
        raise LadderError(f"{where}: region: found {region!r}, must be a region or a pattern such as 'nko' or 'n*'")
    if site not in SITES:
        raise LadderError(f"{where}: site: found {site!r}, must be one of {', '.join(SITES)}")
    if not isinstance(steps, list) or not 1 <= len(steps) <= STEPS_MAX:
        form = "{after_s = 15, tell = 'desks'}"
        raise LadderError(f"{where}: steps: must be a list of 1 to {STEPS_MAX} such as {form}")
    found = tuple(_step(one, f"{where}: step {n}", officers) for n, one in enumerate(steps, 1))
    if list(found) != sorted(found, key=lambda step: step.after_s) or len(found) != len(set(found)):
        raise LadderError(f"{where}: steps: must be in the order of after_s, each once")
    if not any(step.tell == DESKS for step in found):
        raise LadderError(f"{where}: steps: one must tell {DESKS!r}: only that one lets the column say it too")
    return Ladder(found, region, site)


def _step(given: Any, where: str, officers: Mapping[str, Any]) -> Step:
    if not isinstance(given, dict):
        raise LadderError(f"{where}: must be a table")
    _known(given, ("after_s", "tell"), where)
    after_s, tell = given.get("after_s"), given.get("tell")
    if type(after_s) is not int or not 0 <= after_s <= AFTER_MAX_S:
        raise LadderError(f"{where}: after_s: found {after_s!r}, must be a whole number from 0 to {AFTER_MAX_S}")
    if not isinstance(tell, str) or (tell != DESKS and tell not in officers):
        known = ", ".join([DESKS, *officers])
        raise LadderError(f"{where}: tell: found {tell!r}, must be one of {known}")
    return Step(after_s, tell)


def _known(given: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in keys:
            raise LadderError(f"{where}: found the key {key!r}, must be one of {', '.join(keys)}")
