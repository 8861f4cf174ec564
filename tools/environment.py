"""Makes .venv and keeps it sound: `python3 -I -S tools/environment.py SET ...` installs those sets of requirements/.

Runs on the machine's own Python before anything else is there, so the standard library has to do, and what of
common/ needs no more. What is installed stays until its file changes. A .venv that was made elsewhere, or whose
interpreter is gone or has another version, is made anew. Settings of the shell or of pip that send packages elsewhere
(PIP_USER, PIP_TARGET, PYTHONPATH, ...) do not count here.
"""

from __future__ import annotations

# ruff: noqa: E402
import sys

sys.path.insert(0, __file__.rpartition("tools/")[0] or ".")  # run as a file
from common.interrupted import end_quietly

end_quietly()  # before the rest, which takes its time

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
if sys.version_info < OLDEST:  # the rest of the project cannot even be read by some of those
    sys.exit(f"error / ошибка / қате: {sys.executable}: Python < 3.11; make PYTHON=/path/to/python3.11")

from common.arguments import Parser, add_language
from common.sentences import any_letters
from tools.spoken import spoken

STUBS = "stubs"
"""The ESP32's modules as type checkers see them. They would hide the standard library's own, so they lie beside it."""

PIP = "pip"
INCLUDED = {"live": ("run",), "dev": ("run", "live", "field")}
"""What a set's file holds of others (see `make lock`): once it is installed, so are they."""

PROBE = "import sys, pip; print(sys.prefix, '%d.%d' % sys.version_info[:2], sep='\\n')"
PROBE_TIMEOUT_S = 60
# Hashes are in the files. No bytecode beforehand: what is used gets it at its first import, most of it never is.
INSTALL = ("--quiet", "--quiet", "--disable-pip-version-check", "install", "--require-hashes", "--no-compile")

State = dict[str, Any]


class EnvironmentBroken(RuntimeError):
    """There is no sound .venv to be had; the message says what to do."""


class Environment:
    """The .venv of the checkout at `root`, with the stubs beside it in .tools. `say` is told of what takes long."""

    def __init__(self, root: Path = ROOT, say: Callable[[str], None] = print) -> None:
        self._root, self._say = root, say
        self._venv = root / ".venv"
        self._stubs = root / ".tools" / STUBS
        self._state = self._venv / ".installed.json"

    @property
    def python(self) -> Path:
        return self._venv / "bin" / "python"

    def provide(self, sets: list[str]) -> None:
        """Whatever it takes until all `sets` are installed. Raises EnvironmentBroken."""
        files = {name: self._requirements(name) for name in sets}
        (self._root / ".tools").mkdir(exist_ok=True)
        with (self._root / ".tools" / "environment.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # `make --jobs` asks several times at once
            state = self._look()
            wanted = [name for name in sets if name not in state["sets"]]
            if wanted:
                self._say(f"== .venv: pinned Python packages ({', '.join(wanted)})")
                self._install([files[name] for name in wanted if name != STUBS])
                if STUBS in wanted:
                    shutil.rmtree(self._stubs, ignore_errors=True)
                    self._pip("--no-user", "--no-deps", f"--target={self._stubs}", f"--requirement={files[STUBS]}")
                done = {*wanted, *(part for name in wanted for part in INCLUDED.get(name, ()))}
                state["sets"].update({name: _digest(self._requirements(name)) for name in done})
                self._state.write_text(json.dumps(state))

    def _requirements(self, name: str) -> Path:
        folder = self._root / "requirements"
        if not (folder / f"{name}.txt").is_file():
            there = ", ".join(sorted(path.stem for path in folder.glob("*.txt")))
            raise EnvironmentBroken(f"no set {name!r}; there are {there}")
        return folder / f"{name}.txt"

    def _look(self) -> State:
        """What is installed in a sound .venv; one that is not is made anew."""
        why = self.why_unsound()
        if why is not None:
            if self._venv.exists():
                self._say(f"== .venv: {why}; made anew")
            self._make()
        return dict(json.loads(self._state.read_text()))

    def why_unsound(self) -> str | None:
        """Why it cannot be used, or None."""
        try:
            state = json.loads(self._state.read_text())
        except (OSError, ValueError):
            return "it is not complete"
        if state["where"] != str(self._venv):
            return f"it was made in {state['where']}"
        if (found := _probe(self.python)) is None:
            return "its interpreter is gone"
        if found != [str(self._venv), state["python"]]:
            return f"its interpreter is now another one ({' '.join(found)})"
        for name, digest in state["sets"].items():
            file = self._root / "requirements" / f"{name}.txt"
            if not file.is_file() or _digest(file) != digest:
                return f"requirements/{name}.txt has changed"
        if STUBS in state["sets"] and not self._stubs.is_dir():
            return f".tools/{STUBS} is gone"
        return None

    def _make(self) -> None:
        done = subprocess.run([sys.executable, "-I", "-m", "venv", "--clear", str(self._venv)],
                              env=_environment(), check=False)  # fmt: skip
        if done.returncode:
            raise EnvironmentBroken(f"{sys.executable} cannot make a venv: install its venv package "
                                    "(Debian: python3-venv)")  # fmt: skip
        found = _probe(self.python)
        if found is None:
            raise EnvironmentBroken(f"{self.python} has been made and does not run: is {self._root} mounted noexec?")
        # A newer pip than Python brings along installs the rest in half the time, its own download included.
        pip = self._requirements(PIP)
        self._install([pip])
        state = {"where": str(self._venv), "python": found[1], "sets": {PIP: _digest(pip)}}
        self._state.write_text(json.dumps(state))

    def _install(self, files: list[Path]) -> None:
        if files:
            # Said here, it beats what a variable or a configuration file of pip's says.
            into = ("--no-user", "--target=", f"--prefix={self._venv}", "--root=/")
            self._pip(*into, *(f"--requirement={file}" for file in files))

    def _pip(self, *arguments: str) -> None:
        done = subprocess.run([str(self.python), "-I", "-m", "pip", *INSTALL, *arguments],
                              env=_environment(), stdin=subprocess.DEVNULL, check=False)  # fmt: skip
        if done.returncode:
            raise EnvironmentBroken("pip could not install the packages, see above. Can it reach its index? "
                                    "See: pip config list")  # fmt: skip


def _environment() -> dict[str, str]:
    """Without what a shell exports for other Pythons; what pip needs to reach its index stays."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _probe(python: Path) -> list[str] | None:
    """[prefix, version] of an interpreter that runs and has pip."""
    try:
        done = subprocess.run([str(python), "-I", "-c", PROBE], env=_environment(), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=PROBE_TIMEOUT_S, check=False)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines() if done.returncode == 0 else None


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def main(argv: list[str]) -> int:
    """Returns the exit status: 1 when there is no such environment to be had."""
    any_letters()
    words = spoken(argv)
    parser = Parser(words, "tools/environment.py")
    parser.add_argument("sets", nargs="*")
    add_language(parser)
    arguments = parser.parse_args(argv)
    try:
        Environment(say=lambda line: print(words.said(line), flush=True)).provide(arguments.sets)
    except PermissionError as error:
        why = f"{error.filename}: this user may not write there: give them the project's folder, or log in as its owner"
        print(words.said(f"error: {why}"), file=sys.stderr)
        return 1
    except (EnvironmentBroken, OSError) as error:
        print(words.said(f"error: {error}"), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
