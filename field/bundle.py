"""`make build`: what a board gets, as one bundle: .mpy files, boot.py and main.py, and a manifest with their hashes.

Reproducible: the same sources and the same mpy-cross give the same bytes, whenever and wherever.
"""

import functools
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from common import compiler
from common.beside import within
from common.home import LIB, LOCK
from field.telling import in_words
from field.words import Trouble, asked_for, tool_parser
from firmware import VERSION
from firmware.startup.config_files import CONFIG_FILE, SECRETS_FILE, sealed

PROJECT = Path(__file__).resolve().parent.parent
MANIFEST_FILE = "manifest.json"
PACKAGES = ("firmware", "hal")
STAYS_SOURCE = ("boot.py", "main.py")  # MicroPython runs these two by name
HOST_ONLY = ("hal/interface.py",)  # documentation for mypy: imports `typing`
LIBRARY = "lib"  # third-party: copied only to boards whose MicroPython has it not frozen
# A stock image loads .mpy files into its heap, though not all of them stay there: firmware/startup/, firmware/console/,
# firmware/update/, probe.py, verdict.py and orders.py are in it only while they run, and one debouncer is, of two. What
# must fit is held by tests/firmware/test_memory.py, which runs the column in 104 KB. This limit is meant to be noticed:
# whoever reaches it looks at that test's figures.
BUDGET_BYTES = 144 * 1024
MPY_VERSION_BYTE = 1  # of a .mpy file's header


class BuildError(Trouble, ValueError):
    """A source does not compile, a library was altered, or the bundle is too big: says which, and what to do."""


class Bundle(NamedTuple):
    """`files`: name on the board -> content, without third-party libraries; those are in `libraries`."""

    files: dict[str, bytes]
    libraries: dict[str, bytes]

    @property
    def mpy_version(self) -> int:
        """Such as 6: the low byte of sys.implementation._mpy of a board that can run it (there is no native code in
        it, so the sub-version does not matter)."""
        return self.files["firmware/__init__.mpy"][MPY_VERSION_BYTE]

    def manifest(self) -> dict[str, Any]:
        everything = {**self.files, **self.libraries}
        return {
            "v": 1,
            "version": VERSION,
            "mpy": self.mpy_version,
            "bytes": sum(len(data) for data in everything.values()),
            "files": {
                name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
                for name, data in sorted(everything.items())
            },
        }


def make(sources: Path = PROJECT, libraries: Path = LIB, *, mpy: bool = True) -> Bundle:
    """The bundle of a source tree and of the folder where the third-party libraries are unpacked.

    `mpy=False`: everything as Python source. Raises BuildError.
    """
    files = {name: sources / name for name in STAYS_SOURCE}
    for package in PACKAGES:
        files |= {path.relative_to(sources).as_posix(): path for path in sorted((sources / package).rglob("*.py"))}
    _check_libraries(libraries)
    unpacked = {f"{LIBRARY}/{path.relative_to(libraries).as_posix()}": path for path in sorted(libraries.rglob("*.py"))}
    return Bundle(_contents(files, mpy), _contents(unpacked, mpy))


def _check_libraries(folder: Path) -> None:
    """Each file is the one that its lock names, and there is none beside them: what is in `folder` goes to boards that
    hold keys. Raises BuildError."""
    lock = LOCK if folder == LIB else folder / LOCK.name
    if not lock.exists():
        return  # a test's own
    wanted = {name: digest for entry in json.loads(lock.read_text("utf-8")) for name, digest in entry["files"].items()}
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        if hashlib.sha256(path.read_bytes()).hexdigest() != wanted.get(name):
            raise BuildError("bundle.altered" if name in wanted else "bundle.stranger", name=path)


def configuration_files(document: Mapping[str, Any]) -> dict[str, bytes]:
    """The document as the device's two files, sealed; without "secrets" in it, those on the device stay."""
    files = {CONFIG_FILE: sealed(_json({key: value for key, value in document.items() if key != "secrets"}))}
    if "secrets" in document:
        files[SECRETS_FILE] = sealed(_json(document["secrets"]))
    return files


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _contents(files: Mapping[str, Path], mpy: bool) -> dict[str, bytes]:
    result = {}
    for name, path in files.items():
        if name in HOST_ONLY:
            continue
        if mpy and name not in STAYS_SOURCE:
            result[name.removesuffix(".py") + ".mpy"] = compiled(name, path.read_bytes())
        else:
            result[name] = path.read_bytes()
    return result


@functools.cache
def compiled(name: str, source: bytes) -> bytes:
    """One file through mpy-cross, see common/compiler.py. Raises BuildError."""
    try:
        return compiler.compiled(name, source)
    except ValueError as error:
        raise BuildError("bundle.refused", name=name, error=error) from None


def write(bundle: Bundle, out: Path, budget_bytes: int = BUDGET_BYTES) -> dict[str, Any]:
    """Write the bundle and its manifest into `out`, and take away what is not part of it. Returns the manifest.

    Raises BuildError, with nothing written, when the bundle is larger than the budget or there is no umqtt in it.
    """
    manifest = bundle.manifest()
    if manifest["bytes"] > budget_bytes:
        largest = sorted(manifest["files"], key=lambda name: -int(manifest["files"][name]["bytes"]))[:5]
        sizes = ", ".join(f"{name} {manifest['files'][name]['bytes']}" for name in largest)
        over = manifest["bytes"] - budget_bytes
        raise BuildError("bundle.big", bytes=manifest["bytes"], over=over, budget=budget_bytes, largest=sizes)
    if not bundle.libraries:
        raise BuildError("bundle.no-library")
    wanted = {**bundle.files, **bundle.libraries, MANIFEST_FILE: (json.dumps(manifest, indent=1) + "\n").encode()}
    with within(out):
        for name, data in wanted.items():
            file = out / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    for file in sorted(out.rglob("*")):
        if file.is_file() and file.relative_to(out).as_posix() not in wanted:
            file.unlink()
    return manifest


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.bundle", __doc__)
    parser.add_argument("--out", type=Path, default=PROJECT / "build" / "bundle", help="(default: build/bundle)")
    parser.add_argument("--budget", type=int, default=BUDGET_BYTES, metavar="BYTES", help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    manifest = write(make(), arguments.out, arguments.budget)
    count = len(manifest["files"])
    said = {"version": manifest["version"], "mpy": manifest["mpy"], "bytes": manifest["bytes"]}
    print(words("bundle.made", count=count, budget=arguments.budget, **said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
