"""A virtual board: the chip of a `RealColumn`, reached through a serial port as a technician reaches it."""

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common import connect_to
from common.beside import within
from sim.chip import build
from sim.real import flash_image
from sim.real.column import Event, Readable, RealColumn
from sim.real.process import ChipProcess
from sim.real.rtc import now_us
from sim.serial_board.faults import Faults
from sim.serial_board.port import Port
from sim.serial_board.wire import UartProcess
from tools import toolbox

CTRL_C = b"\x03"
INTERRUPT_AFTER_S = 0.15  # code that has touched no hardware for so long is interrupted by a signal
RUNNING = ("boot.py", "main.py", "exec")
OFF = "off"
_NOISE_BYTES = 32
_OLD_RELEASE, _OLD_MPY = (1, 20, 0), 6 | 1 << 8
# What the chip's ROM sends first. To the ROM a bite of the IDF's watchdog is a reset by software.
_ROM = "ets Jul 29 2019 12:21:46\r\n\r\nrst:%s,boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
_ROM_CAUSES = {"power-on": "0x1 (POWERON_RESET)"}
_ROM_RESET = "0xc (SW_CPU_RESET)"


class SerialBoard(RealColumn):
    """All that a `RealColumn` is (power_on, power_off, press, link, ..., events), plus a serial port.

    More events: "port" (path, or null while the cable is out), "console" (state: as `console`, but for exec).
    """

    def __init__(
        self,
        config: Mapping[str, Any] | bytes | None = None,
        *,
        runtime: str = "micropython",
        flash_path: Path | None = None,
        heap_bytes: int | None = None,
        psram: bool = True,
        seed: int = 0,
        chip: str = "esp32",
        wired_for: Mapping[str, Any] | None = None,
        servers: Path | None = None,
        link: Path | None = None,
        figures: Mapping[str, float] | None = None,
        faults: Sequence[str] = (),
        usb_powered: bool = False,
        on_event: Callable[[Event], None] = lambda _: None,
        on_death: Callable[[Exception], None] | None = None,
    ) -> None:
        """The board is off until `power_on()`; its port is there at once.

        `config`, `flash_path`, `heap_bytes`, `psram`, `seed`, `chip`, `wired_for`, `figures`, `on_death`: as for a
        `RealColumn`; without a configuration on the flash or in `wired_for`, the button, lamp and relay are wired to
        the chip's default pins, and they stay wired as they are at the start.
        `servers`: see common/connect_to.py; read at each start of the chip, there is no harm if it is not there. What
        its lines take of a heap is added for those that it has now.
        `runtime`: micropython or micropython32. `link`: symbolic link to the port, kept over `unplug` and `plug`.
        `faults`: see FAULTS. `usb_powered`: the cable is the supply.

        Raises ValueError for unusable arguments, toolbox.ToolMissing when the runtime cannot be had.
        """
        if runtime == "cpython":
            raise ValueError(
                "runtime is 'cpython', must be micropython or micropython32: a board's prompt is MicroPython's"
            )
        self._faults = Faults.parse(faults)
        self._usb_powered = usb_powered
        self._frozen = None if "no-umqtt" in self._faults else toolbox.device_libraries()
        self._servers = servers
        connect_to.read(servers)
        self._chance = random.Random(seed)
        self._port = Port(link)
        self._had_listener = False
        self._waiting = b""  # from the port, for which the chip had no room
        self._unread = b""  # what a chip had not read when it ended for a soft reset, which loses nothing
        self._interrupt_at = 0.0
        self._received = 0
        self._executions = 0
        self._unplug_at_bytes = self._faults.number("unplugged")
        self._unplug_at_execution = self._faults.number("unplugged-at")
        self._state = self._told = OFF
        self._enumerated_at = 0.0  # when a chip with native USB is on the bus again
        self._prompt = "friendly"
        try:
            super().__init__(
                config,
                runtime=runtime,
                flash_path=flash_path,
                heap_bytes=heap_bytes,
                psram=psram,
                seed=seed,
                chip=chip,
                wired_for=wired_for,
                figures=figures,
                on_event=on_event,
                on_death=on_death,
            )
            self._faults.spoil(self.flash_path)
        except BaseException:
            self._port.give_up()
            raise

    # -- the cable

    @property
    def port(self) -> str:
        """For `mpremote connect`: the link, if there is one."""
        return self._port.path

    @property
    def terminal(self) -> str:
        """The terminal itself, /dev/pts/N: mpremote is faster over it, but waits for ever on a board that is silent."""
        return self._port.name

    @property
    def is_plugged(self) -> bool:
        return self._port.is_open

    def unplug(self) -> None:
        """Pull the cable out, now: the terminal goes away. A board with `usb_powered` is dark at once."""
        self._do(self._unplug)

    def plug(self) -> None:
        """Put the cable back in: a new terminal, the same link."""
        self._do(self._plug)

    def unplug_after(self, *, received: int | None = None, executions: int | None = None) -> None:
        """The cable comes out when so many more bytes have come over the line (the rest is lost), or when so many more
        pieces of code have begun to run (each one that mpremote sends counts). None = not for that reason."""

        def arm() -> None:
            self._unplug_at_bytes = None if received is None else self._received + received
            self._unplug_at_execution = None if executions is None else self._executions + executions

        self._do(arm)

    @property
    def received_bytes(self) -> int:
        """Over the line, since the board was made."""
        return self._received

    @property
    def executions(self) -> int:
        """Pieces of code that came over the line and ran, since the board was made."""
        return self._executions

    @property
    def console(self) -> str:
        """off, start, boot.py, main.py, friendly or raw (at that prompt), exec (code from the line runs)."""
        return self._state

    def close(self) -> None:
        super().close()
        self._port.give_up()

    # -- the column's thread

    def _step(self) -> None:
        super()._step()
        if 0 < self._enumerated_at < time.monotonic():
            self._enumerated_at = 0.0
            self._plug()
        self._port.flush()
        self._listen()
        if self._waiting and isinstance(self._chip, UartProcess) and self._chip.receive(self._waiting):
            self._waiting = b""
        if 0 < self._interrupt_at < time.monotonic() and self._state in RUNNING:
            self._interrupt_at = 0
            if isinstance(self._chip, UartProcess) and self._chip.has_unread_input():
                self._chip.interrupt()

    def _sources(self) -> list[Readable]:
        sources = super()._sources()
        if self._port.is_backed_up and self._chip in sources:
            sources.remove(self._chip)
        terminal = self._port.readable()
        if terminal is not None and not self._waiting:
            sources.append(terminal)
        return sources

    def _look_for_listener(self) -> None:
        listener = self._port.has_listener()
        if listener and not self._had_listener and "noise" in self._faults:
            self._noise()
        self._had_listener = listener

    def _listen(self) -> None:
        self._look_for_listener()
        while not self._waiting and (data := self._port.read()):
            self._take_in(data)

    def _take_in(self, data: bytes) -> None:
        end = self._unplug_at_bytes
        cut = end is not None and self._received + len(data) >= end
        if cut and end is not None:
            data = data[: end - self._received]
        self._received += len(data)
        if data and "deaf" not in self._faults:
            if isinstance(self._chip, UartProcess):
                if not self._chip.receive(data):
                    self._waiting = data
            elif self._power and self._cause == "soft":  # which takes nothing from the port's buffer
                self._waiting = data
            if CTRL_C in data:
                self._interrupt_at = time.monotonic() + INTERRUPT_AFTER_S
        if cut:
            self._unplug_at_bytes = None
            self._unplug()

    def _unplug(self) -> None:
        if not self._port.is_open:
            return
        self._port.close()
        self._waiting = b""
        self._emit("port", now_us(), path=None)
        if self._usb_powered:
            self._power_off()

    def _plug(self) -> None:
        if self._port.is_open:
            return
        self._port.open()
        self._emit("port", now_us(), path=self._port.path)
        if self._usb_powered:
            self._power_on()

    def _more_heap_bytes(self) -> int:
        if self._servers is None:
            return build.BOARD_BYTES_32
        lines = len(connect_to.read(self._servers))
        return build.BOARD_BYTES_32 + build.ROUTES_BYTES_32 + lines * build.ROUTE_BYTES_32

    def _process(self, settings: Mapping[str, object]) -> ChipProcess:
        old = "old-micropython" in self._faults
        board = {
            "repl": "raw" if self._cause == "soft" and self._prompt == "raw" else "friendly",
            "frozen": None if self._frozen is None else str(self._frozen),
            "release": _OLD_RELEASE if old else None,
            "mpy": _OLD_MPY if old else None,
        }
        path = Path(self._scratch.name, "board.json")
        with within(path.parent):
            path.write_text(json.dumps(board))
        if self._cause == "soft":
            self._waiting = self._unread + self._waiting
        else:
            self._show((_ROM % _ROM_CAUSES.get(self._cause, _ROM_RESET)).encode())
            if "noise" in self._faults:
                self._noise()
        self._unread = b""
        self._set_state("start")
        settings = {**settings, "board": path, "connect_to": self._table()}
        arguments = [f"{key}={value}" for key, value in settings.items()]
        return UartProcess([*self._command, *arguments], flash_image.PROJECT, self._show)

    def _table(self) -> Path | str:
        """A copy of the servers' table for the chip, as it is now."""
        try:
            table = connect_to.read(self._servers)
        except (OSError, ValueError) as error:
            self._log(f"simulator: {error}")
            return ""
        copy = Path(self._scratch.name, "connect-to")
        connect_to.write(copy, table)
        return copy if table else ""

    def _reset(self, cause: str, **details: str) -> None:
        super()._reset(cause, **details)
        away_ms = self._faults.number("native-usb")
        if cause != "soft" and away_ms is not None and self._port.is_open:
            self._unplug()
            self._enumerated_at = time.monotonic() + away_ms / 1000

    def _kill(self) -> None:
        super()._kill()
        self._waiting = b""
        self._set_state(OFF)

    def _message(self, text: str) -> None:
        if self._chip is None:
            return  # the cable was its supply, and it came out while the last words were read
        if text.startswith('{"console"'):
            self._set_state(json.loads(text)["console"])
            if self._state == "exec":
                self._executions += 1
                if self._executions == self._unplug_at_execution:
                    self._unplug()
        elif text.startswith('{"unread"'):
            self._unread = bytes.fromhex(json.loads(text)["unread"])
        else:
            super()._message(text)

    def _console(self, line: str) -> None:
        if self._state not in ("friendly", "raw", "exec"):  # else it is talk between the prompt and who types there
            super()._console(line)

    def _set_state(self, state: str) -> None:
        if state in ("friendly", "raw"):
            self._prompt = state  # of which a soft reset keeps the kind
        if state in RUNNING and self._interrupt_at:
            self._interrupt_at = time.monotonic() + INTERRUPT_AFTER_S  # it has just begun to listen
        self._state = state
        if state not in ("exec", self._told):  # a copy runs some code for every 256 bytes, and is at the prompt again
            self._told = state
            self._emit("console", now_us(), state=state)

    def _show(self, data: bytes) -> None:
        """From the chip to the port. Whoever has just opened it hears that first."""
        self._look_for_listener()
        one_in = self._faults.number("garbage")
        if one_in is not None:
            spoilt = bytearray(data)
            for at in range(len(spoilt)):
                if self._chance.randrange(one_in) == 0:
                    spoilt[at] = self._chance.randrange(256)
            data = bytes(spoilt)
        self._port.write(data)

    def _noise(self) -> None:
        self._port.write(self._chance.randbytes(_NOISE_BYTES))
