# mypy: allow-untyped-calls
"""A column that is updated: real boot.py and firmware over a fake flash that outlives power cuts, and a centre that has
a release. Virtual time; a cut or a fault at any flash operation and any packet."""

import hashlib
import io
import json
import sys
import types
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from column_rig import ROOT, Rig
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fake_board import ENOENT, EPOCH_MS, FakeFlash, PowerCut
from fake_net import PUBLISH, Heard, publish

from common import release
from common.release import Release
from field.release import sign
from firmware import VERSION, record, resets, rfc3339
from firmware.resets import crumb
from firmware.update import state

PROJECT = Path(__file__).resolve().parents[2]
BOOT_PY = compile((PROJECT / "boot.py").read_text(), "boot.py", "exec")
NEW = "99.0.0"
SOON_MS, PATIENCE_MS = 120_000, 1_200_000  # without trouble; what the slowest way back takes


@cache
def key(number: int) -> rsa.RSAPrivateKey:
    """Keys of this test run."""
    return rsa.generate_private_key(release.EXPONENT, release.KEY_BITS)


def mpy(text: str) -> bytes:
    return b"M\x06\0\x1f" + text.encode()


OLD_FILES = {
    "firmware/__init__.mpy": mpy("old"),
    "firmware/same.mpy": mpy("same in both"),
    "hal/esp32.mpy": mpy("old"),
    "firmware/gone.mpy": mpy("not in the new one"),
}
NEW_FILES = {
    "firmware/__init__.mpy": mpy("new"),
    "firmware/same.mpy": mpy("same in both"),
    "firmware/startup/long.mpy": mpy("long " * 220),
    "hal/esp32.mpy": mpy("new"),
    "lib/umqtt/simple.mpy": mpy("in the image of this board"),
}
OWN = {"config.json": b'{"mine": 1}', "secrets.json": b'{"secret": 2}'}
ROOT_FILES = {"boot.py": b"boot", "main.py": b"main"}


def head(**changes: Any) -> dict[str, Any]:
    roots = {name: [hashlib.sha256(data).hexdigest()[:16]] for name, data in ROOT_FILES.items()}
    return {
        "version": NEW, "floor": NEW, "mpy": 6, "micropython": "1.24", "chips": ["esp32"], "roots": roots, **changes,
    }  # fmt: skip


def made(files: Mapping[str, bytes] = NEW_FILES, signer: rsa.RSAPrivateKey | None = None, **changes: Any) -> Release:
    text = release.manifest(head(**changes), files)
    return Release(text, sign(text, signer or key(0)), dict(files))


def put(folder: Path, made: Release) -> None:
    """As it lies on a disk."""
    for name, data in made.files.items():
        (folder / release.FILES_FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / release.FILES_FOLDER / name).write_bytes(data)
    (folder / release.MANIFEST_FILE).write_bytes(made.manifest)
    (folder / release.SIGNATURE_FILE).write_bytes(made.signature)


def put_key(file: Path, number: int = 0) -> Path:
    """The public one, in PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    file.write_bytes(key(number).public_key().public_bytes(serialization.Encoding.PEM, form))
    return file


def flashed(flash: FakeFlash, *, folder: str = "a", keys: int = 1) -> FakeFlash:
    trust = release.trusted([key(number).public_key() for number in range(keys)])
    inside = {**OLD_FILES, **OWN, state.KEYS_FILE: trust}
    flash.files |= {f"{folder}/{name}" if folder else name: data for name, data in inside.items()}
    flash.files |= ROOT_FILES
    if folder:
        flash.files["active"] = folder.encode()
    return flash


class Restart(BaseException):
    """`board.reset()`: nothing of the firmware stops it."""


def restart() -> None:
    raise Restart


class CutFlash(FakeFlash):
    """The power goes at operation number `cut_at`: before it, or after it, as `done` says; half of an append counts.
    With another `trouble` than a cut it is the flash that fails there, once."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.cut_at: int | None = None
        self.done = 0.0
        self.trouble: Exception | type[BaseException] = PowerCut
        self.log: list[str] = []

    def _operate(self, what: str, change: Callable[[], None], half: Callable[[], None] = lambda: None) -> None:
        self.operations += 1
        self.log.append(what)
        if self.operations == self.cut_at:
            if self.done == 1:
                change()
            elif self.done:
                half()
            raise self.trouble
        change()

    def append(self, name: str, data: bytes) -> None:
        old = self.files.get(name, b"")
        self._operate(
            f"append {name}", lambda: self._put(name, old + data), lambda: self._put(name, old + data[: len(data) // 2])
        )

    def replace(self, name: str, data: bytes) -> None:
        self._operate(f"replace {name}", lambda: self._put(name, data))

    def rename(self, old: str, new: str) -> None:
        if old not in self.files:
            raise OSError(ENOENT, old)
        self._operate(f"rename {old} {new}", lambda: self._put(new, self.files.pop(old)))

    def remove(self, name: str) -> None:
        if name in self.files:
            self._operate(f"remove {name}", lambda: self.files.__delitem__(name))


class UpdatedColumn:
    """Boots again whenever it restarts or is cut. `spoil`: what the wire makes of a piece, None: it is lost."""

    rig_class: type[Rig] = Rig

    def __init__(self, offered: Release | None = None, flash: FakeFlash | None = None, **changes: Any) -> None:
        self.release = offered or made()
        self.flash = flash if flash is not None else flashed(FakeFlash())
        self.answers_drills = True
        self.serves = True
        self.spoil: Callable[[dict[str, Any]], dict[str, Any] | bytes | None] = lambda piece: piece
        self.packets = 0
        self.hang_up_at: int | None = None
        self.delay_ms = 0  # until a piece comes
        self._late: list[tuple[int, Any, dict[str, Any] | bytes]] = []
        self.boots = 0
        self.alarms: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.infos: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self._commands = 0
        self._changes = {"watchdog__healthy_s": 1, "selftest__drill_s": 0, "selftest__stream_s": 0, **changes}
        self._cause = "soft"
        self.rig: Rig
        self.boot()

    # -- power

    def boot(self) -> None:
        """boot.py as it is, on this flash, then the firmware."""
        self.boots += 1
        found = self._run_boot_py()
        self.folder = found["folder"]
        self.rig = self.rig_class(
            self.flash, self._cause, found["mode"], found["number"], folder=self.folder,
            scratch=crumb("", True), micropython="1.26.0", **self._changes,
        )  # fmt: skip
        self._cause = "soft"
        self.rig.board._epoch_offset_ms = EPOCH_MS
        dial = self.rig.board.on_dial

        def listened(*where: Any) -> Any:
            stream = dial(*where)
            checked = stream.on_heard

            def heard(one: Heard) -> None:
                checked(one)
                self._heard(stream, one)

            stream.on_heard = heard
            self.rig.board.wakes.append(self._deliver)
            return stream

        self.rig.board.on_dial = listened

        def reset() -> None:
            column = self.rig.column
            assert self.rig.board.scratch.read() == crumb("", column.supervisor.clock_trusted), "nobody is to blame"
            restart()

        self.rig.board.reset = reset  # type: ignore[method-assign]

    def _run_boot_py(self) -> dict[str, Any]:
        files = self.flash.files

        class Writer(io.BytesIO):
            def __init__(self, name: str) -> None:
                super().__init__()
                self.name = name

            def close(self) -> None:
                files[self.name] = self.getvalue()
                super().close()

        def opened(name: str, mode: str = "r") -> Any:
            if "w" in mode:
                return Writer(name)
            if name not in files:
                raise OSError(ENOENT, name)
            return io.BytesIO(files[name])

        def stat(name: str) -> None:
            if not any(one == name or one.startswith(name + "/") for one in files):
                raise OSError(ENOENT, name)

        def remove(name: str) -> None:
            if files.pop(name, None) is None:
                raise OSError(ENOENT, name)

        fake = types.ModuleType("os")
        fake.rename = lambda old, new: files.update({new: files.pop(old)})  # type: ignore[attr-defined]
        fake.remove, fake.stat, fake.urandom = remove, stat, lambda n: bytes(n)  # type: ignore[attr-defined]
        real, sys.modules["os"] = sys.modules["os"], fake
        namespace: dict[str, Any] = {"open": opened, "__name__": "__main__"}
        try:
            exec(BOOT_PY, namespace)
        finally:
            sys.modules["os"] = real
        return dict(namespace["boot"])

    def run(self, ms: int) -> Self:
        """Through restarts, cuts and lost connections."""
        end_ms = self.rig.board.now_ms + ms
        while self.rig.board.now_ms < end_ms:
            try:
                self.rig.column.supervisor.turn()
            except (Restart, PowerCut) as why:
                end_ms -= self.rig.board.now_ms
                self._cause = "soft" if isinstance(why, Restart) else "power-on"
                self.boot()
        self._check()
        return self

    def until(self, is_so: Callable[[], bool], ms: int = SOON_MS, step_ms: int = 250) -> Self:
        for _ in range(ms // step_ms):
            if is_so():
                return self
            self.run(step_ms)
        raise AssertionError((self.state(), self.rig.board.logged[-12:]))

    def _check(self) -> None:
        assert not self.rig.violations, self.rig.violations
        assert self.rig.column.supervisor.culprit is None, self.rig.board.logged

    # -- the centre

    def _heard(self, stream: Any, one: Heard) -> None:
        if one.kind != PUBLISH:
            return
        self._count(stream)
        kind = one.topic.decode().removeprefix(ROOT)
        body = json.loads(one.payload) if one.payload else {}
        if kind == "want":
            self._want(stream, body)
        elif kind == "info":
            self.infos.append(body)
        elif kind == "result":
            self.results.append(body)
        elif kind == "alarm":
            self.alarms.append(body)
            if body["status"] == "actual" or self.answers_drills:
                self._say(stream, "ack", {"v": 1, "id": body["id"], "state": "received", "heard": body["press"]})

    def _want(self, stream: Any, body: dict[str, Any]) -> None:
        self.asked.append(body)
        data = self.release.piece(body["file"], body["at"], body["bytes"]) if self.serves else None
        if data is None:
            return
        piece = {key: body[key] for key in ("v", "release", "file", "at")} | {"data": b64encode(data).decode()}
        spoilt = self.spoil(piece)
        if spoilt is not None:
            self._late.append((self.rig.board.now_ms + self.delay_ms, stream, spoilt))
            if not self.delay_ms:
                self._deliver()

    def _deliver(self) -> bool:
        while self._late and self._late[0][0] <= self.rig.board.now_ms:
            _, stream, piece = self._late.pop(0)
            if stream is self.rig.streams[-1]:
                self._say(stream, "piece", piece)
        return False

    def _say(self, stream: Any, kind: str, body: dict[str, Any] | bytes) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        stream.send(publish((ROOT + kind).encode(), payload))
        self._count(stream)

    def _count(self, stream: Any) -> None:
        """The connection ends behind the packet number `hang_up_at`."""
        self.packets += 1
        if self.packets == self.hang_up_at:
            stream.peer_closed = True
            stream._incoming.clear()

    def command(self, **body: Any) -> dict[str, Any]:
        """Send a command; its result."""
        self.until(lambda: bool(self.rig.column.uplink.is_up()))
        seen = len(self.results)
        self.send(**body)
        self.until(lambda: len(self.results) > seen, 10_000)
        return self.results[-1]

    def send(self, **body: Any) -> None:
        self._commands += 1
        expires = rfc3339.text(self.rig.board.epoch_ms() + 60_000)
        ident = f"c-{self.boots}-{self._commands}"
        self._say(self.rig.streams[-1], "cmd", {"v": 1, "id": ident, "expires": expires, **body})

    def offer(self, offered: Release | None = None, **changes: Any) -> dict[str, Any]:
        self.release = offered or self.release
        wanted = {"digest": self.release.digest, "bytes": len(self.release.manifest), **changes}
        return self.command(cmd="update", release=wanted)

    def press(self) -> str:
        """The incident's id."""
        self.rig.board.contact.wave((0, 1), (150, 0))
        self.run(300)
        return str(self.alarms[-1]["id"])

    def answer(self, ident: str, how: str) -> None:
        self._say(self.rig.streams[-1], "ack", {"v": 1, "id": ident, "state": how, "heard": 1})
        self.run(100)

    # -- what there is to see

    def state(self) -> str | None:
        entry: Any = state.read(self.flash)
        return entry and str(entry["state"])

    def why(self) -> str:
        entry: Any = state.read(self.flash)
        return str(entry["why"])

    def active(self) -> str:
        return self.flash.files.get(resets.ACTIVE_FILE, b"").decode()

    def inside(self, folder: str) -> dict[str, bytes]:
        return {name[2:]: data for name, data in self.flash.files.items() if name.startswith(folder + "/")}

    def is_old(self) -> bool:
        """Nothing of the release is, or will be, in force."""
        return self.active() == "a" and self.folder == "a" and self.inside("a").items() >= OLD_FILES.items()

    def expected(self) -> dict[str, bytes]:
        files = {name: data for name, data in self.release.files.items() if not name.startswith("lib/")}
        return {**{state.KEYS_FILE: self.flash.files["a/" + state.KEYS_FILE]}, **files, **OWN}


def floored(version: str = VERSION) -> bytes:
    return record.frame(version.encode())
