"""A virtual column in real time: supply, watchdog, flash image, contact, link and lamp around one chip process.

The chip runs the unmodified boot.py and main.py from a LittleFS image (see sim/chip/run.py); the column does
what the world around it does: cuts and restores power, bites when the watchdog starves, moves the contact.
"""

import contextlib
import json
import queue
import re
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, Self

from common.beside import Held, Hold, within
from firmware.lamp import COLOURS, RHYTHMS
from sim.chip.options import CHIPS, KEYS
from sim.real import flash_image, heaps, rom_image, runtimes
from sim.real.inputs import Inputs
from sim.real.observer import Observer, Wiring
from sim.real.process import ChipProcess
from sim.real.rtc import Registers, now_us
from sim.real.runtimes import RUNTIMES as RUNTIMES

POLL_S = 0.05
CRASH_PAUSE_S = 1.0  # before a crashed chip starts again: a crash loop shall not eat the machine
EDGES_PER_LINE = 64  # keeps a line below PIPE_BUF, so that it is written whole or not at all
_BOOT_LINE = re.compile(r"boot: number=(\d+) cause=(\S+)")
_MESSAGE = "\x01"

Event = dict[str, Any]
Readable = ChipProcess | socket.socket | int


class RealColumn:
    """One column in real time. All methods may be called from any thread, and from `on_event`.

    `on_event` gets a dict per event, in the column's own thread: "t_ms" (since the column was made), "event"
    (lamp, relay, boot, reset, log) and that event's details; `python -m sim --help` lists them.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | bytes | None,
        *,
        runtime: str = "cpython",
        flash_path: Path | None = None,
        heap_bytes: int | None = None,
        psram: bool = True,
        in_place: bool = False,
        seed: int = 0,
        chip: str = "esp32",
        wired_for: Mapping[str, Any] | None = None,
        figures: Mapping[str, float] | None = None,
        on_event: Callable[[Event], None],
        on_death: Callable[[Exception], None] | None = None,
        sources: Path = flash_image.PROJECT,
    ) -> None:
        """`config`: see `flash.build_image`; None = the flash as it is, empty if it is new. `flash_path`: made if
        missing, kept; None = a throw-away one.
        `heap_bytes`: what the firmware has of MicroPython's heap; what the simulated modules take is added. None = a
        module with `psram`, or a stock image's heap on one without.
        `in_place`: the code lies in the chip's image (MicroPython only).
        `figures`: by name, as in hal/assumptions.toml or measured on a board; None = a chip that is quicker than any.
        `on_death` hears, in the column's thread, what has ended that thread before `close`; None = Python prints it.
        `wired_for`: the validated configuration that tells which pin leads where; None = the one on the flash.

        Raises ValueError for unusable arguments, and for an image that another one runs from; toolbox.ToolMissing when
        the runtime cannot be had.
        """
        if chip not in CHIPS:
            raise ValueError(f"chip is {chip!r}, must be one of {', '.join(CHIPS)}")
        self._scratch = tempfile.TemporaryDirectory(prefix="sos-column-")
        self._heaps = self._told_of_heaps(runtime, chip, heap_bytes, psram, in_place, figures)
        grows_to = heaps.most_bytes(self._heaps) if self._heaps["first"] else heap_bytes
        self._command = runtimes.command(runtime, grows_to, Path(self._scratch.name, "chip"), self._more_heap_bytes())
        self._heaps_file = Path(self._scratch.name, "heaps.json")
        self._figures_file = Path(self._scratch.name, "figures.json")
        told = {name: round(value) for name, value in (figures or {}).items() if name in KEYS}
        with within(self._heaps_file.parent):
            self._heaps_file.write_text(json.dumps(self._heaps))
            self._figures_file.write_text(json.dumps(told))
        self.memory: dict[str, int] = {}  # what the chip says of its heaps at the worst moment so far
        self.flash_path = flash_path or Path(self._scratch.name, "flash.img")
        self._hold = held(self.flash_path)
        if config is not None:
            flash_image.build_image(
                self.flash_path, config, mpy=runtime != "cpython", sources=sources, in_place=in_place
            )
        elif not self.flash_path.exists():
            size_bytes = int((figures or {}).get("fs_bytes", flash_image.SIZE_BYTES))
            flash_image.replace(self.flash_path, flash_image.Image(size_bytes=size_bytes).content())
        self._rom = Path(self._scratch.name, "rom.img") if in_place else None
        if self._rom is not None:
            made = flash_image.firmware_files(mpy=True, sources=sources)
            own = {"_boot.py": (flash_image.PROJECT / "image/_boot.py").read_bytes()}
            with within(self._rom.parent):
                self._rom.write_bytes(rom_image.content(made | own))
        self._chip_name, self._seed = chip, seed
        self._wiring = Wiring.of(wired_for or flash_image.configuration_in_force(self.flash_path, chip))
        self._registers = Registers(Path(self._scratch.name, "registers"))
        self._inputs = Inputs()
        self._observer = Observer(self._wiring, COLOURS, self._emit, COLOURS.keys() - RHYTHMS.keys() - {"ready"})
        self._on_event, self._on_death = on_event, on_death
        self._start_us = now_us()

        self._power = False
        self._chip: ChipProcess | None = None
        self._cause = "power-on"
        self._next_start = 0.0  # time.monotonic() before which a crashed chip is not started again
        self._reset_asked: str | None = None
        self._closing = False
        self._tasks: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]] = queue.SimpleQueue()
        self._wake_read, self._wake_write = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="column", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what a person or a fault does to the column

    def power_on(self) -> None:
        self._do(self._power_on)

    def power_off(self) -> None:
        """At once, in the middle of anything; returns when the column is dark."""
        self._do(self._power_off)

    def reset(self) -> None:
        """The reset button on the board: the RTC's memory stays. Nothing happens without power."""
        self._do(self._reset_button)

    def press(self, duration_ms: float) -> None:
        """Close the contact now, open it after `duration_ms`."""
        self.wave([(0, 1), (round(duration_ms * 1000), 0)])

    def hold(self) -> None:
        self.wave([(0, 1)])

    def release(self) -> None:
        self.wave([(0, 0)])

    def wave(self, edges: Sequence[tuple[int, int]]) -> None:
        """Move the contact: (us from now, 1 = closed) in ascending order. Raises ValueError otherwise."""
        times = [t_us for t_us, _ in edges]
        if not edges or times[0] < 0 or any(a > b for a, b in zip(times, times[1:], strict=False)):
            raise ValueError("the times of a wave must be 0 or more and not go back")
        start_us = now_us()
        moved = [(start_us + t_us, level) for t_us, level in edges]

        def move() -> None:
            self._inputs.contact.move(moved)
            self._send_edges(moved)

        self._do(move)

    def link(self, up: bool) -> None:
        """The network's link: Wi-Fi in reach, cable plugged in."""

        def set_link() -> None:
            self._inputs.link_up = up
            self._send(f"link {up:d}")

        self._do(set_link)

    def tamper(self, is_open: bool) -> None:
        """The housing's contact; without effect when the configuration has none."""

        def set_tamper() -> None:
            self._inputs.tamper_open = is_open
            self._send(f"tamper {is_open:d}")

        self._do(set_tamper)

    def hang(self, task: str) -> None:
        """The firmware's task of that name never returns from its next step."""
        self._do(lambda: self._send(f"hang {task}"))

    @property
    def has_power(self) -> bool:
        return self._power

    @property
    def has_tamper(self) -> bool:
        """Whether the housing has a contact."""
        return self._wiring.tamper is not None

    @property
    def chip_pid(self) -> int | None:
        """The chip's process, None while it has none."""
        return self._chip.pid if self._chip is not None else None

    @property
    def turned_us(self) -> int:
        """CLOCK_MONOTONIC of the last turn of the firmware's loop (it fed the watchdog); 0 = none since the reset."""
        return self._registers.fed_us()

    def now_ms(self) -> int:
        """Since the column was made."""
        return (now_us() - self._start_us) // 1000

    def close(self) -> None:
        """Ends the chip process; the flash image stays if it was named. Harmless when closed already."""
        self._closing = True
        if threading.current_thread() is not self._thread:
            self._wake()
            self._thread.join()

    # -- the column's own thread

    def _do(self, action: Callable[[], None]) -> None:
        """Run `action` in the column's thread and wait for it. Raises RuntimeError when the column is closed."""
        if threading.current_thread() is self._thread:
            action()
            return
        done: Future[None] = Future()
        self._tasks.put((action, done))
        self._wake()
        while not wait([done], POLL_S).done:
            if not self._thread.is_alive():
                raise RuntimeError("the column is closed: make a new one")
        done.result()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # closed already
            self._wake_write.send(b"!")

    def _run(self) -> None:
        try:
            while not self._closing:
                self._step()
        except Exception as error:
            if self._on_death is None:
                raise
            self._on_death(error)
        finally:
            if self._chip is not None:
                self._chip.kill()
                self._chip.close()
            self._registers.close()
            self._hold.release()
            self._scratch.cleanup()
            self._wake_read.close()
            self._wake_write.close()

    def _step(self) -> None:
        if self._power and self._chip is None and time.monotonic() >= self._next_start:
            self._start()
        ready, _, _ = select.select(self._sources(), [], [], POLL_S)
        if self._wake_read in ready:
            self._wake_read.recv(4096)
        if self._chip in ready:
            self._read()
        self._observer.settle(now_us())
        if self._chip is not None and self._registers.is_overdue():
            self._watchdog_bites()
        while not self._tasks.empty():
            _perform(*self._tasks.get())

    def _sources(self) -> list[Readable]:
        """What the column's thread waits for."""
        return [self._wake_read] if self._chip is None else [self._wake_read, self._chip]

    def _start(self) -> None:
        level, coming = self._inputs.contact.at(now_us())
        wiring = self._wiring
        settings: dict[str, object] = {
            "flash": self._flash_link(),
            "registers": self._registers.path,
            "cause": self._cause,
            "chip": self._chip_name,
            "seed": self._seed,
            "rom": self._rom or "",
            "heaps": self._heaps_file,
            "button": wiring.button,
            "button_active_low": int(wiring.button_active_low),
            "tamper_pin": "" if wiring.tamper is None else wiring.tamper,
            "contact": level,
            "link": int(self._inputs.link_up),
            "tamper": int(self._inputs.tamper_open),
            "figures": self._figures_file,
        }
        self._reset_asked = None
        self._chip = self._process(settings)
        if coming:
            self._send_edges(coming)

    def _flash_link(self) -> Path:
        """Of the same length wherever the flash lies: the name is in the chip's heap, and a long one would be taken
        from the firmware's."""
        link = Path(self._scratch.name, "flash")
        link.unlink(missing_ok=True)
        link.symlink_to(self.flash_path.resolve())
        return link

    def _told_of_heaps(
        self,
        runtime: str,
        chip: str,
        heap_bytes: int | None,
        psram: bool,
        in_place: bool,
        figures: Mapping[str, float] | None,
    ) -> dict[str, Any]:
        simulators = runtimes.simulators_bytes(runtime, self._more_heap_bytes())
        return heaps.figures_of(
            chip,
            psram=psram and heap_bytes is None,
            heap_bytes=heap_bytes,
            simulators_bytes=simulators,
            in_place=in_place,
            figures=figures,
        )

    def _more_heap_bytes(self) -> int:
        """Of the 32-bit build, for what only some kinds of column have."""
        return 0

    def _process(self, settings: Mapping[str, object]) -> ChipProcess:
        arguments = [f"{key}={value}" for key, value in settings.items()]
        return ChipProcess([*self._command, *arguments], flash_image.PROJECT)

    def _power_on(self) -> None:
        if not self._power:
            self._power, self._cause, self._next_start = True, "power-on", 0.0

    def _power_off(self) -> None:
        self._power = False
        if self._chip is not None:
            self._kill()
        self._registers.power_cut()

    def _reset_button(self) -> None:
        if self._chip is not None:
            self._kill()
            self._reset("hard")

    def _kill(self) -> None:
        """End the chip's process, after reporting what it showed until now."""
        assert self._chip is not None
        self._chip.kill()
        while (lines := self._chip.read_lines()) is not None:
            self._take(lines)
        self._chip.close()
        self._chip = None
        self._observer.power_gone(now_us())

    def _watchdog_bites(self) -> None:
        culprit = self._registers.breadcrumb()
        self._kill()
        self._reset("watchdog", culprit=culprit)

    def _read(self) -> None:
        assert self._chip is not None
        lines = self._chip.read_lines()
        if lines is not None:
            self._take(lines)
            return
        status = self._chip.close()
        self._chip = None
        self._observer.power_gone(now_us())
        if self._reset_asked is None:  # nobody asked for this end: a panic
            self._log(f"simulator: the chip's process ended by itself with status {status}")
            self._next_start = time.monotonic() + CRASH_PAUSE_S
        self._reset(self._reset_asked or "hard")

    def _reset(self, cause: str, **details: str) -> None:
        self._cause = cause
        if cause != "soft":  # the watchdog runs on through a soft reset
            self._registers.reset()
        self._emit("reset", now_us(), cause=cause, **details)

    def _take(self, lines: list[str]) -> None:
        for line in lines:
            if line.startswith(_MESSAGE):
                self._message(line[len(_MESSAGE) :])
            elif line:
                self._console(line)

    def _message(self, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            self._log(f"simulator: the chip's message was cut short: {text}")
            return
        if "pin" in message:
            self._observer.pin(message["pin"], message.get("duty", message.get("value")), message["t_us"])
        elif "idf_lowest" in message:
            self.memory = message
        elif "reset" in message:
            self._reset_asked = message["reset"]
        elif "repl" in message and not self._registers.is_armed():
            self._log("simulator: main.py ended and no watchdog is armed: dead until power off and on")

    def _console(self, line: str) -> None:
        if found := _BOOT_LINE.search(line):
            self._emit("boot", now_us(), boot=int(found[1]), cause=found[2])
        self._log(line)

    def _log(self, text: str) -> None:
        self._emit("log", now_us(), text=text)

    def _emit(self, event: str, t_us: int, **details: Any) -> None:
        self._on_event({"t_ms": (t_us - self._start_us) // 1000, "event": event, **details})

    def _send_edges(self, edges: Sequence[tuple[int, int]]) -> None:
        for i in range(0, len(edges), EDGES_PER_LINE):
            self._send("edges " + " ".join(f"{t_us}:{level}" for t_us, level in edges[i : i + EDGES_PER_LINE]))

    def _send(self, line: str) -> None:
        if self._chip is not None and not self._chip.send(line):
            self._log(f"simulator: the chip does not read its inputs; lost: {line}")


def held(image: Path) -> Hold:
    """Whatever its name: two chips on one flash would spoil it. Raises ValueError when another one has it."""
    try:
        return Hold(image.resolve())
    except Held as other:
        raise ValueError(
            f"{image}: another board or column (process {other.process}) runs from this image: "
            "give each one its own with --flash"
        ) from None


def _perform(action: Callable[[], None], done: "Future[None]") -> None:
    try:
        action()
    except Exception as error:  # the caller's to handle: it is waiting for it
        done.set_exception(error)
    else:
        done.set_result(None)
