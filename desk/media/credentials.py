"""What the desk says to a camera or an intercom that asks who is there: one file on its machine, its owner's only.

    [[camera]]
    host = "cameras.example"        # or a pattern: "10.20.*"
    device = "petropavl-*"          # may be left out: any column
    user = "desk"
    password = "..."
    speaks = true                   # may be left out: it has a loudspeaker, by ONVIF's back channel; of cameras only

    [[intercom]]                    # the same fields
    ...

Of each kind the first that fits is taken. `host` must be there: the address comes from a column, and a password that
went wherever a column says would be anybody's.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from desk.private_file import PrivateFileError, read_toml

FIELDS = {"host": True, "device": False, "user": True, "password": True}  # whether it must be there
SPEAKS = "speaks"
KINDS = ("camera", "intercom")


class CredentialsError(ValueError):
    """The file cannot be used; says what to change, and nothing that stands in it."""


@dataclass(frozen=True)
class Credential:
    """For some cameras or intercoms. The password is never printed."""

    host: str
    user: str
    password: str = field(repr=False)
    device: str = "*"
    speaks: bool = False

    def fits(self, device_id: str, host: str) -> bool:
        return fnmatch.fnmatchcase(device_id, self.device) and fnmatch.fnmatchcase(host.lower(), self.host.lower())


class Credentials:
    """All that the desk knows."""

    def __init__(self, cameras: Sequence[Credential] = (), intercoms: Sequence[Credential] = ()) -> None:
        self._cameras, self._intercoms = tuple(cameras), tuple(intercoms)

    def of(self, device_id: str, host: str) -> Credential | None:
        """For the camera at `host` of that column."""
        return next((one for one in self._cameras if one.fits(device_id, host)), None)

    def of_intercom(self, device_id: str, host: str) -> Credential | None:
        """For the intercom at `host`, or the exchange there."""
        return next((one for one in self._intercoms if one.fits(device_id, host)), None)


def read(path: Path) -> Credentials:
    """Raises CredentialsError: not there, not its owner's only, not as above."""
    try:
        document = read_toml(path, "docs/desk.md, Passwords of cameras and intercoms")
    except PrivateFileError as error:
        raise CredentialsError(str(error)) from None
    found = {kind: document.pop(kind, []) for kind in KINDS}
    if document or not all(isinstance(entries, list) for entries in found.values()):
        raise CredentialsError(f"{path}: must have [[camera]], [[intercom]] and nothing else")
    return Credentials(*(_credentials(path, kind, entries) for kind, entries in found.items()))


def _credentials(path: Path, kind: str, entries: Sequence[object]) -> list[Credential]:
    return [_credential(f"{path}: {kind} {number}", kind, one) for number, one in enumerate(entries, 1)]


def _credential(where: str, kind: str, given: object) -> Credential:
    known = (*FIELDS, SPEAKS) if kind == "camera" else tuple(FIELDS)
    if not isinstance(given, dict) or set(given) - set(known):
        raise CredentialsError(f"{where}: knows only {', '.join(known)}")
    if not isinstance(speaks := given.pop(SPEAKS, False), bool):
        raise CredentialsError(f"{where}: {SPEAKS} must be true or false")
    for name, needed in FIELDS.items():
        value = given.get(name)
        if not (isinstance(value, str) and value) if needed or name in given else False:
            raise CredentialsError(f"{where}: {name} must be a text, not empty")
    if any(not character.isprintable() for value in given.values() for character in value) or ":" in given["user"]:
        raise CredentialsError(f"{where}: has control characters, or a colon in user")
    if not given["host"].strip("*?"):
        raise CredentialsError(f"{where}: host fits every host; name their network at least, such as 10.20.*")
    return Credential(**given, speaks=speaks)
