"""What a rollout brings to columns: a signed release, the same for all, or to each its own new certificates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from common.release import Release, ReleaseError, piece_of

FILE = "renewal"  # as columns ask for a package


class Offer(Protocol):
    """`digest`, `version`: of the whole, as the book keeps them."""

    @property
    def digest(self) -> str: ...

    @property
    def version(self) -> str: ...

    def is_for(self, device_id: str) -> bool: ...

    def digest_of(self, device_id: str) -> str:
        """What the column calls it by, and says of it in `info`."""

    def is_there(self, device_id: str, info: Mapping[str, Any]) -> bool:
        """Whether the column has it, however it came by it."""

    def command(self, device_id: str, *, is_wanted: bool) -> dict[str, Any]:
        """With which a column is told; without `is_wanted`, that it gives up."""

    def piece(self, device_id: str, file: str, at: int, size: int) -> bytes | None: ...


class OneRelease:
    def __init__(self, release: Release) -> None:
        self._release = release
        self.digest, self.version = release.digest, release.version

    def is_for(self, device_id: str) -> bool:
        return True

    def digest_of(self, device_id: str) -> str:
        return self.digest

    def is_there(self, device_id: str, info: Mapping[str, Any]) -> bool:
        return bool(info["fw"] == self.version)

    def command(self, device_id: str, *, is_wanted: bool) -> dict[str, Any]:
        wanted = {"digest": self.digest, "bytes": len(self._release.manifest)}
        return {"cmd": "update", "release": wanted if is_wanted else None}

    def piece(self, device_id: str, file: str, at: int, size: int) -> bytes | None:
        return self._release.piece(file, at, size)


class Package(NamedTuple):
    """`certificates`: the digest that a column with them says in `info`."""

    certificates: str
    text: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text).hexdigest()


class Renewals:
    """From the file that `make renew` wrote. Nothing in it is secret, and nothing can be changed in it unnoticed: each
    package is sealed for its column, with a key that the desk does not have. Raises ReleaseError."""

    version = "certificates"

    def __init__(self, file: Path) -> None:
        try:
            raw = file.read_bytes()
            document = json.loads(raw)
            if document["v"] != 1:
                raise ValueError("of another version")
            self._packages = {
                str(name): Package(str(one["certificates"]), str(one["package"]).encode())
                for name, one in document["columns"].items()
            }
        except OSError as error:
            raise ReleaseError(f"{file}: {error.strerror}; make renew writes it") from error
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise ReleaseError(f"{file}: it is not what make renew writes: renewals.json") from error
        self.digest = hashlib.sha256(raw).hexdigest()

    def is_for(self, device_id: str) -> bool:
        return device_id in self._packages

    def digest_of(self, device_id: str) -> str:
        return self._packages[device_id].digest

    def is_there(self, device_id: str, info: Mapping[str, Any]) -> bool:
        return bool(info.get("certificates") == self._packages[device_id].certificates)

    def command(self, device_id: str, *, is_wanted: bool) -> dict[str, Any]:
        package = self._packages[device_id]
        wanted = {"digest": package.digest, "bytes": len(package.text)}
        return {"cmd": "renew", "renewal": wanted if is_wanted else None}

    def piece(self, device_id: str, file: str, at: int, size: int) -> bytes | None:
        text = self._packages[device_id].text
        return piece_of(text, at, size) if file == FILE else None
