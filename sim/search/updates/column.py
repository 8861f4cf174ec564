# mypy: allow-untyped-calls
"""The column's side of an update (firmware/update/) on a flash in memory, with a centre that may say anything: no loop,
no network and no clock, so that a million of them are done in minutes."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from common import release as releases
from common.release import Release
from firmware.update import state
from firmware.update.fetch import work

STEPS_MAX = 4000
Spoil = Callable[[str, int, bytes], bytes]


class Flash:
    """The part of hal.interface.Flash that an update uses."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def read_at(self, name: str, start: int, limit: int) -> bytes:
        return self.files.get(name, b"")[start : start + limit]

    def size(self, name: str) -> int:
        return len(self.files.get(name, b""))

    def append(self, name: str, data: bytes) -> None:
        self.files[name] = self.files.get(name, b"") + bytes(data)

    def replace(self, name: str, data: bytes) -> None:
        self.files[name] = bytes(data)

    def rename(self, old: str, new: str) -> None:
        self.files[new] = self.files.pop(old)

    def remove(self, name: str) -> None:
        self.files.pop(name, None)

    def make_folder(self, name: str) -> None:
        pass

    def entries(self, folder: str) -> Any:
        below = [name.removeprefix(folder + "/") for name in self.files if name.startswith(folder + "/")]
        if not below:
            raise OSError(2, folder)
        for name in dict.fromkeys(name.partition("/")[0] for name in below):
            yield name, 0x8000 if name in below else 0x4000, 0

    def free_bytes(self) -> int:
        return 1 << 20


class Session:
    subscriptions: list[bytes] = []  # noqa: RUF012 - never changed: everything is granted at once
    unheard = b""


class Column:
    """Board, column, uplink and task in one: what firmware/update/fetch.py asks of them."""

    chip, micropython, folder = "esp32", "1.26.0", "a"

    def __init__(self, flash: Flash, offered: Release, spoil: Spoil) -> None:
        self.flash, self._release, self._spoil = flash, offered, spoil
        self.column = self.uplink = self.messages = self.actions = self.restart = self
        self.refused: dict[bytes, str] = {}
        self.deaf = b""
        self.session = Session()
        self.piece: bytes | None = None
        self.entry: dict[str, Any] = {
            "state": state.FETCHING, "digest": offered.digest, "bytes": len(offered.manifest), "version": "", "to": "",
            "why": None,
        }  # fmt: skip
        self._now_ms = 0

    def topic(self, kind: str) -> bytes:
        return kind.encode()

    def ticks_ms(self) -> int:
        return self._now_ms

    def ticks_diff(self, later: int, earlier: int) -> int:
        return later - earlier

    def start(self, ms: int) -> None:
        """The restart is due."""

    def log(self, text: str) -> None:
        pass

    def publish_once(self, topic: bytes, payload: bytes) -> bool:
        """A column asks; the centre has its say at once."""
        want = json.loads(bytes(payload))
        self._now_ms += 1
        data = self._release.piece(want["file"], want["at"], want["bytes"]) or b"?" * want["bytes"]
        data = self._spoil(want["file"], want["at"], data)
        answer = {key: want[key] for key in ("v", "release", "file", "at")} | {"data": b64encode(data).decode()}
        self.piece = json.dumps(answer).encode()
        return True

    def update(self) -> str:
        """Why it was refused; empty: the other folder is in force."""
        try:
            for step, wait_ms in enumerate(work(self, self)):
                self._now_ms += wait_ms
                if step > STEPS_MAX:
                    return "no end"
            return ""
        except (ValueError, KeyError, OSError, TypeError, IndexError) as error:
            return str(error) or repr(error)


def flashed(old: Mapping[str, bytes], trusted: bytes, roots: Mapping[str, bytes]) -> Flash:
    inside = {**old, releases.KEYS_FILE: trusted, "config.json": b"{}", "secrets.json": b"{}"}
    return Flash({**{f"a/{name}": data for name, data in inside.items()}, **roots, "active": b"a"})
