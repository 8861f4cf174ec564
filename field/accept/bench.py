"""A board under inspection: what is measured on it, over the cable, and how it becomes again what it was."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from field import flash
from field.board import BACK_WITHIN_S, Board, BoardError
from firmware.startup import pins

PROGRAM = Path(__file__).resolve().parents[1] / "device" / "accept.py"
_HAL = Path(__file__).resolve().parents[2] / "hal"
INTEGRATOR = (_HAL / "esp32_integrator.py", _HAL / "esp32_integrate.py")
_ITS_IMPORT = "from hal.esp32_integrator import Integrator\n"
BITE_MS = 2000
_PINGS = 25
_DOUBT_PPM = 100  # by which the line's own time may spoil the drift
_DRIFT_MAX_S, _DRIFT_PAUSE_S = 40.0, 1.0
_PATTERN_BYTES = 64
GPIO_MAX = 48
_PSRAMS = {"esp32": {16, 17}}  # of a WROVER module: a level there costs the board its memory


class Bench:
    """Use as a context: leaving it puts back RTC memory and the files; the agent's reset() forgets the starts."""

    def __init__(self, board: Board) -> None:
        self.board = board
        survey = board.survey()
        self.machine, self.version = str(survey["machine"]), ".".join(map(str, survey["version"][:3]))
        self.chip = flash.chip_of(self.machine)
        if self.chip not in pins.CHIPS:
            raise BoardError(
                board.port, "flash.no-chip", machine=self.machine, chip=self.chip, chips=", ".join(pins.CHIPS)
            )

    def __enter__(self) -> Bench:
        """Off duty by a start of its own: what a column has loaded would be in the way of what is measured."""
        self._load()
        self._rtc = self.ask("rtc_read()")
        wiring = self.ask("wiring()") or {}
        self.pins: dict[str, int | None] = pins.defaults(self.chip) | (wiring.get("pins") or {})
        self._link: dict[str, Any] = wiring.get("link") or {}
        self.active_low = bool((wiring.get("button") or {}).get("active_low", True))
        self.restart()
        self._clock = self._ping()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BoardError):
            self.ask_nothing(f"rtc_write({self._rtc!r})")
            self.ask_nothing("clean()")

    def ask(self, call: str) -> Any:
        """What it tells last: the chip's own drivers may have said something before."""
        return json.loads(self.board.run(call).strip().splitlines()[-1])

    def ask_nothing(self, call: str) -> None:
        self.board.run(call)

    def integrator(self, pin: int, pulse: int) -> Any:
        """See field/device/accept.py. A bare board has no firmware, so it gets these two files of it."""
        for name in INTEGRATOR:
            self.board.run(name.read_text("utf-8").replace(_ITS_IMPORT, ""))
        return self.ask(f"integrator({pin}, {pulse})")

    def _load(self) -> None:
        self.board.run(PROGRAM.read_text("utf-8"))

    # -- pins

    def _claimed(self) -> set[int]:
        numbers = {value for value in (*self.pins.values(), *self._link.values()) if isinstance(value, int)}
        return numbers | set(pins.RMII) | _PSRAMS.get(self.chip, set())

    def spare(self, role: str, *taken: int) -> int:
        """A pin with pull resistors that nothing is wired to, fit for `role`; else the button's."""
        claimed = self._claimed() | set(taken)
        for pin in range(GPIO_MAX + 1):
            if pin not in claimed and all(pins.problem(self.chip, one, pin) is None for one in ("button", role)):
                return pin
        return int(self.pins["button"] or 0)

    def led(self, out: int, into: int) -> tuple[int, int]:
        """Both, if they are spare pins and a lead goes from one to the other. Else nothing drives either of them."""
        free = out != into and not {out, into} & self._claimed()
        if not free or any(pins.problem(self.chip, *one) for one in (("relay", out), ("button", into))):
            raise BoardError(self.board.port, "accept.jumper.pins", out=out, into=into)
        if not self.ask(f"lead({out}, {into})"):
            raise BoardError(self.board.port, "accept.jumper.none", out=out, into=into)
        return out, into

    # -- resets

    def soft_reset(self) -> None:
        self.ask_nothing("stay_off()")
        self.board.soft_reset()
        self._load()

    def restart(self) -> None:
        """By machine.reset()."""
        self.ask_nothing("stay_off()")
        self.board.restart()
        self.board.come_back(BACK_WITHIN_S)
        self._load()

    def starve(self) -> float:
        """ms from the last feed of a watchdog to the reset, which shows on the line."""
        self.ask_nothing("stay_off()")
        took_s = self.board.until_reset(f"bite({BITE_MS})", "starving", BACK_WITHIN_S)
        self.board.come_back(BACK_WITHIN_S)
        self._load()
        return took_s * 1000

    @contextlib.contextmanager
    def pattern(self) -> Iterator[Any]:
        """Yields a function that tells whether the RTC's memory still has what was put there."""
        wanted = os.urandom(_PATTERN_BYTES).hex()
        self.ask_nothing(f"rtc_write({wanted!r})")
        yield lambda: float(self.ask("rtc_read()") == wanted)

    # -- clocks

    def _ping(self) -> tuple[float, int, float]:
        """(the laptop's time in us, the board's ticks, us that it took) of the quickest of some questions."""
        best_s, found = float("inf"), (0.0, 0, 0.0)
        for _ in range(_PINGS):
            start_s = time.monotonic()
            ticks = int(self.ask("now_us()"))
            took_s = time.monotonic() - start_s
            if took_s < best_s:
                best_s, found = took_s, ((start_s + took_s / 2) * 1e6, ticks, took_s * 1e6)
        return found

    def drift_ppm(self) -> float:
        """Since `__enter__` began; before any further reset. A slow line, or a busy laptop, takes longer for it."""
        then_us, then, then_took_us = self._clock
        deadline_s = time.monotonic() + _DRIFT_MAX_S
        while True:
            now_us, now, took_us = self._ping()
            passed_us = now_us - then_us
            if (then_took_us + took_us) / 2 / passed_us * 1e6 <= _DOUBT_PPM or time.monotonic() > deadline_s:
                break
            time.sleep(_DRIFT_PAUSE_S)
        ticks = (now - then + (1 << 29)) % (1 << 30) - (1 << 29)
        return (ticks - passed_us) / passed_us * 1e6
