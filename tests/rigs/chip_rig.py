"""One chip's process under test, without a column: a probe main.py on a LittleFS image, its console, its registers."""

import json
import os
import re
import select
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

from littlefs import LittleFS
from littlefs.context import UserContext

from sim.chip import build
from sim.real.process import die_with_parent
from sim.real.runtimes import CPYTHON
from tools import toolbox

BUTTON = 4
PATIENCE_S = 20.0
BLOCK_BYTES = 4096
IMAGE_BYTES = 256 * BLOCK_BYTES
HEAP_32 = 96 * 1024
_PROJECT = Path(__file__).resolve().parents[2]
_REGISTERS_BYTES = 4096


def now_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def _file_system(content: bytes | None) -> tuple[LittleFS, UserContext]:
    context = UserContext(buffer=bytearray(content)) if content else UserContext(buffsize=IMAGE_BYTES)
    geometry: dict[str, Any] = {"read_size": 32, "prog_size": 32, "cache_size": 128, "lookahead_size": 32}
    blocks = IMAGE_BYTES // BLOCK_BYTES
    fs = LittleFS(context, block_size=BLOCK_BYTES, block_count=blocks, mount=False, **geometry)
    if content is None:
        fs.format()
    fs.mount()
    return fs, context


def make_image(path: Path, files: dict[str, str | bytes]) -> Path:
    fs, context = _file_system(None)
    for name, content in files.items():
        if "/" in name:
            fs.makedirs(name.rsplit("/", 1)[0], exist_ok=True)
        with fs.open(name, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    path.write_bytes(bytes(context.buffer))
    return path


def rewrite(path: Path, name: str, content: bytes) -> None:
    fs, context = _file_system(path.read_bytes())
    with fs.open(name, "wb") as file:
        file.write(content)
    path.write_bytes(bytes(context.buffer))


def read_image(path: Path, name: str) -> bytes:
    fs, _ = _file_system(path.read_bytes())
    with fs.open(name, "rb") as file:
        return bytes(file.read())


class Chip:
    """A chip that runs `main` (and `files`) on `runtime`; `start` begins a life, `kill` ends it."""

    def __init__(self, folder: Path, runtime: str, main: str, files: dict[str, str | bytes] | None = None) -> None:
        self.folder, self.runtime = folder, runtime
        self.image, self._registers = folder / "flash.img", folder / "registers"
        make_image(self.image, {"main.py": main, **(files or {})})
        self.lines: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def start(self, cause: str = "power-on", **settings: object) -> "Chip":
        self.kill()
        if cause == "power-on":
            self._registers.write_bytes(bytes(_REGISTERS_BYTES))
        arguments = {"flash": self.image, "registers": self._registers, "cause": cause, "button": BUTTON} | settings
        command = [*_interpreter(self.runtime), str(_entry(self.runtime, self.folder))]
        command += [f"{key}={value}" for key, value in arguments.items()]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        return self

    def __enter__(self) -> "Chip":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def send(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def edges(self, *edges: tuple[int, int]) -> None:
        """(us from now, level), at once on their way."""
        start_us = now_us()
        self.send("edges " + " ".join(f"{start_us + t_us}:{level}" for t_us, level in edges))

    def wait(self, pattern: str, timeout_s: float = PATIENCE_S) -> re.Match[str]:
        """The next console line that contains `pattern`; its match."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            line = self._line(left_s)
            if line is None:
                break
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{self.runtime}: no line with {pattern!r}; there were: {self.lines[-30:]}")

    def ended(self) -> int:
        """The exit status; reads the output to its end."""
        assert self._process is not None
        while self._line(PATIENCE_S) is not None:
            pass
        return self._process.wait(PATIENCE_S)

    def close_input(self) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process, self._rest = None, b""

    def watchdog(self) -> tuple[int, int]:
        """(last feed, time-out), us."""
        fed, timeout = struct.unpack_from("<QQ", self._registers.read_bytes())
        return fed, timeout

    def rtc_memory(self) -> bytes:
        content = self._registers.read_bytes()
        return content[28 : 28 + int(struct.unpack_from("<I", content, 24)[0])]

    def _line(self, timeout_s: float) -> str | None:
        """The next console line; messages are put aside. None at the end or when nothing comes."""
        assert self._process is not None and self._process.stdout is not None
        while True:
            while b"\n" not in self._rest:
                if not select.select([self._process.stdout], [], [], timeout_s)[0]:
                    return None
                data = os.read(self._process.stdout.fileno(), 65536)
                if not data:
                    return None
                self._rest += data
            line, _, self._rest = self._rest.partition(b"\n")
            text = line.decode("utf-8", "replace").rstrip("\r")
            if not text.startswith("\x01"):
                self.lines.append(text)
                return text
            self.messages.append(json.loads(text[1:]))


def _interpreter(runtime: str) -> list[str]:
    if runtime == "cpython":
        return list(CPYTHON)
    heap = ["-X", f"heapsize={HEAP_32 + build.heap_bytes_32()}"] if runtime == "micropython32" else []
    return [*toolbox.require(runtime), *heap]


_compiled: dict[str, Path] = {}


def _entry(runtime: str, folder: Path) -> Path:
    """CPython takes the sources, MicroPython what `build.precompile` made of them (once a test session)."""
    if runtime == "cpython":
        return _PROJECT / "sim" / "chip" / "run.py"
    if "" not in _compiled:
        _compiled[""] = build.precompile(folder.parent / "chip-mpy")
    return _compiled[""]
