"""Leads the lives, cuts them at every flash operation, and has each distinct remains checked."""

import hashlib
import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sim.real.changed import Change
from sim.search.power_cuts import lives, tree
from tools import toolbox

BLOCK_BYTES = 4096
_DIGITS = 8  # of a message's length
_COMPLAINT_LINES = 3


class Wrong(NamedTuple):
    """A cut after which something was not as it must be. `name`: LIFE/GEOMETRY/OPERATION/MODE by number."""

    name: str
    kind: str
    text: str


class Tally:
    """Of one kind of write on one geometry."""

    def __init__(self) -> None:
        self.operations = self.cuts = self.images = self.checks = self.wrong = 0


class Hunt:
    """What was found so far."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Tally] = {}  # (kind of write, geometry) -> figures
        self.modes: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()  # kind of write -> operations, as the device counted them
        self.wrong: list[Wrong] = []
        self.remains = 0  # programs over what a cut had left, which LittleFS had to notice by itself
        self.simulated_s = 0.0
        self._checked: dict[bytes, list[str]] = {}
        self._images: dict[tuple[str, str], set[bytes]] = {}

    def row(self, kind: str, geometry: str) -> Tally:
        return self.rows.setdefault((kind, geometry), Tally())

    def total(self, field: str) -> int:
        return sum(getattr(tally, field) for tally in self.rows.values())

    @property
    def distinct_images(self) -> int:
        return len(set().union(*self._images.values())) if self._images else 0

    def image(self, kind: str, geometry: str, digest: bytes) -> None:
        seen = self._images.setdefault((kind, geometry), set())
        if digest not in seen:
            seen.add(digest)
            self.row(kind, geometry).images += 1

    def known(self, key: bytes) -> list[str] | None:
        return self._checked.get(key)

    def learned(self, key: bytes, wrong: list[str]) -> None:
        self._checked[key] = wrong


class Died(RuntimeError):
    """MicroPython, or one of its children, ended in another way than with an answer."""


class Device:
    """A MicroPython process that carries out orders, each in a child of its own."""

    def __init__(self, folder: Path, bits: int) -> None:
        argv = toolbox.require("micropython" if bits == 64 else "micropython32")
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            [*argv, str(folder / tree.ENTRY), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, bufsize=0,
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout

    def order(self, order: dict[str, Any], body: bytes = b"") -> Iterator[tuple[dict[str, Any], bytes]]:
        """(answer, its blocks), one after the other. Raises Died; after a child's death it takes further orders."""
        text = json.dumps(order).encode()
        try:
            self._in.write(b"%08x" % len(text) + text + body)
        except BrokenPipeError as error:
            raise Died(self._complaint()) from error
        while True:
            head = json.loads(self._read(int(self._read(_DIGITS), 16)))
            if "done" in head:
                if head["done"]:
                    raise Died(f"wait status {head['done']}: {self._complaint()}")
                return
            yield head, self._read(len(head.get("blocks", ())) * BLOCK_BYTES)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for file in (self._in, self._out, self._complaints):
            file.close()

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._out.read(size - len(data))
            if not piece:
                raise Died(self._complaint())
            data += piece
        return bytes(data)

    def _complaint(self) -> str:
        """The end of what it wrote to its standard error."""
        self._complaints.seek(0)
        return " | ".join(self._complaints.read().decode(errors="replace").splitlines()[-_COMPLAINT_LINES:])


@contextmanager
def devices(folder: Path, bits: int) -> Iterator[tuple[Device, Device]]:
    """One that lives and dies, one that comes after."""
    one, other = Device(folder, bits), Device(folder, bits)
    try:
        yield one, other
    finally:
        one.close()
        other.close()


def search(
    plan: Iterable[tuple[int, int]],
    seed: int,
    breaks: tuple[Change, ...],
    say: Callable[[str], None],
    enough: Callable[[Hunt], bool],
    bits: int = 64,
    only: tuple[int, str] | None = None,
    kind: str | None = None,
) -> tuple[Hunt, bool]:
    """Lead the lives of `plan`, pairs of indexes into LIVES and GEOMETRIES, and cut each at every operation (or `only`
    at one, in one way; or at those of one `kind` of write). The second value is False when `enough` ended it early.

    Raises toolbox.ToolMissing without MicroPython.
    """
    found = Hunt()
    with tree.staged(breaks) as folder:
        for life, geometry in plan:
            where = f"{lives.LIVES[life].name} on {lives.GEOMETRIES[geometry].name}"
            try:
                with devices(folder, bits) as (living, next_one):
                    for head, body in living.order(_order(life, geometry, seed, only, kind)):
                        _judge(found, head, body, life, geometry, next_one)
                        cuts, checks = found.total("cuts"), found.total("checks")
                        say(f"cuts: {where}: {cuts} cuts, {checks} checks, {len(found.wrong)} wrong")
                        if enough(found):
                            return found, False
            except Died as error:
                found.wrong.append(Wrong(f"{life}/{geometry}", where, f"life: not as its script says: {error}"))
    return found, True


def remains(life: int, geometry: int, operation: int, mode: str, seed: int, bits: int = 64) -> bytes:
    """The whole flash after that one cut. Raises Died, toolbox.ToolMissing."""
    chip = lives.GEOMETRIES[geometry]
    content = bytearray(chip.blocks * BLOCK_BYTES)
    with tree.staged() as folder, devices(folder, bits) as (living, _):
        head, body = next(living.order(_order(life, geometry, seed, (operation, mode), None)))
    for position, block in enumerate(head["blocks"]):
        piece = body[position * BLOCK_BYTES : (position + 1) * BLOCK_BYTES]
        content[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES] = piece
    return bytes(content)


def _order(life: int, geometry: int, seed: int, only: tuple[int, str] | None, kind: str | None) -> dict[str, Any]:
    one, chip = lives.LIVES[life], lives.GEOMETRIES[geometry]
    boots = [
        {"cause": boot.cause, "script": _script(boot), "unreadable": boot.unreadable, "ends": boot.ends,
         "configurations": boot.marks, "device": lives.document(), "offered": one.offered()}
        for boot in one.boots
    ]  # fmt: skip
    files: dict[str, Any] = {**lives.configuration(), **one.files, **one.more_files()}
    folders = sorted({name.rpartition("/")[0] for name in files} - {""})
    return {
        "do": "live", "blocks": chip.blocks, "sizes": chip.sizes, "boots": boots,
        "left": 0 if one.full else chip.left, "files": files, "folders": folders, "history": one.history, "seed": seed,
        "only": only, "kind": kind,
    }  # fmt: skip


def _script(boot: lives.Boot) -> lives.Script:
    """What is only known when the life begins is a function."""
    return [[at_ms, what, it() if callable(it) else it] for at_ms, what, it in boot.script]


def _judge(found: Hunt, head: dict[str, Any], body: bytes, life: int, geometry: int, device: Device) -> None:
    """One cut, or the end of the life: have what is left checked, unless the same was checked before."""
    chip = lives.GEOMETRIES[geometry].name
    if head.get("end"):
        found.counted.update(head["counts"])
        for operation in head["refused"]:
            found.wrong.append(Wrong(f"{life}/{geometry}/{operation}/after", head["kind"], _REFUSED))
    name, kind = f"{life}/{geometry}/{head['operation']}/{head['mode']}", head["kind"]
    row = found.row(kind, chip)
    if not head.get("end"):
        row.cuts += 1
        row.operations += head["mode"] == "before"
        found.modes[head["mode"]] += 1
    image = hashlib.blake2b(json.dumps(head["blocks"]).encode() + body, digest_size=16).digest()
    found.image(kind, chip, image)
    key = image + hashlib.blake2b(json.dumps(head["known"], sort_keys=True).encode(), digest_size=16).digest()
    wrong = found.known(key)
    if wrong is None:
        row.checks += 1
        wrong = _check(head, body, life, geometry, device, found)
        found.learned(key, wrong)
    for text in wrong:
        row.wrong += 1
        found.wrong.append(Wrong(name, kind, text))


_REFUSED = "flash: a program had to set a bit, in a life that nothing had cut: LittleFS or the device is broken"


def _check(head: dict[str, Any], body: bytes, life: int, geometry: int, device: Device, found: Hunt) -> list[str]:
    chip = lives.GEOMETRIES[geometry]
    order = {
        "do": "check", "blocks": chip.blocks, "sizes": chip.sizes, "image": head["blocks"], "known": head["known"],
        "damaged": lives.LIVES[life].damaged, "full": lives.LIVES[life].full, "device": lives.document(),
        "offered": lives.LIVES[life].offered(),
    }  # fmt: skip
    try:
        ((answer, _),) = device.order(order, body)
    except Died as error:
        return [f"boots: {error}"]
    found.simulated_s += answer["simulated_s"]
    found.remains += answer["remains"]
    return list(answer["wrong"])
