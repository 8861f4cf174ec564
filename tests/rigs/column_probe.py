"""A column under test: a tiny firmware that shows what the column has to see, and a recorder of events."""

import queue
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools import toolbox

TESTED = ("cpython", "micropython", "micropython32", "micropython-newest")
WATCHDOG_MS = 1500
PATIENCE_S = 20.0

CONFIG = {
    "v": 1,
    "device_id": "probe-01",
    "region": "nko",
    "location": {"geo": "geo:54.8753,69.1628;u=5", "address": "Петропавл", "site": "public"},
    "stream": {"rtsp": "rtsp://cameras.example/probe-01"},
    "broker": {"host": "127.0.0.1", "port": 1, "tls": None, "insecure": True},
    "pins": {"tamper": 27},
    "secrets": {"wifi_ssid": "sos-columns"},
}  # fmt: skip

BOOT = 'open("boot.ran", "w").close()\n'
MAIN = f"""
import os
import time
import machine
from machine import PWM, WDT, Pin, RTC
from firmware.colours import CALLING, READY

assert "boot.ran" in os.listdir()
causes = {{machine.PWRON_RESET: "power-on", machine.WDT_RESET: "watchdog", machine.HARD_RESET: "hard",
          machine.SOFT_RESET: "soft"}}
try:
    with open("boots") as file:
        boots = int(file.read()) + 1
except OSError:
    boots = 1
with open("boots", "w") as file:
    file.write(str(boots))
print("boot: number=%d cause=%s mode=probe" % (boots, causes[machine.reset_cause()]))

lamp = [PWM(Pin(number), freq=1000, duty_u16=0) for number in (13, 14, 4)]
relay = Pin(33, Pin.OUT, value=0)
button = Pin(32, Pin.IN, Pin.PULL_UP)
tamper = Pin(27, Pin.IN, Pin.PULL_UP)
watchdog = WDT(timeout={WATCHDOG_MS})

def show(colour):
    for channel, level in zip(lamp, colour):
        channel.duty_u16(level * 257)

show(READY)
print("tamper=%d" % tamper.value())
pressed = False
while True:
    RTC().memory(b"probe with a breadcrumb")
    watchdog.feed()
    if button.value() == 0 and not pressed:
        pressed = True
        show(CALLING)
        relay.value(1)
    if button.value() == 1 and pressed:
        pressed = False
        show((0, 0, 0))  # the black phase of a pattern
        relay.value(0)
    if tamper.value() == 1:
        machine.reset()
    time.sleep_ms(3)
"""


def sources(folder: Path, colours: dict[str, tuple[int, int, int]], main: str = MAIN) -> Path:
    """A tree that `flash.build_image` takes: boot.py, main.py, firmware/."""
    (folder / "firmware").mkdir(parents=True)
    (folder / "firmware" / "__init__.py").touch()
    text = f"READY = {colours['ready']!r}\nCALLING = {colours['calling']!r}\n"
    (folder / "firmware" / "colours.py").write_text(text)
    (folder / "boot.py").write_text(BOOT)
    (folder / "main.py").write_text(main)
    return folder


def runtimes() -> list[Any]:
    """Runtimes as pytest parameters. The newest with 32 bits is the rig's (see rig.py)."""
    return [pytest.param(name, marks=[pytest.mark.micropython] if name != "cpython" else []) for name in TESTED]


def need(tool: str) -> str:
    """The runtime, or another tool of `tools.toolbox`; without it the test is skipped, or fails under STRICT."""
    if tool != "cpython" and toolbox.find(tool) is None:
        text = f"{tool} is missing: make tools"
        pytest.fail(text) if toolbox.STRICT else pytest.skip(text)
    return tool


def need_here(program: str) -> str:
    """The path of a program that only the machine itself can have; without it, as `need`."""
    if path := shutil.which(program):
        return path
    text = f"!!! NOT TESTED: no {program} here"
    if toolbox.STRICT:
        pytest.fail(text)
    pytest.skip(text)


class Recorder:
    """Takes events from any thread; a test waits for the ones it expects."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._arrived: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def __call__(self, event: dict[str, Any]) -> None:
        self._arrived.put(event)

    def wait(self, event: str, timeout_s: float = PATIENCE_S, **details: Any) -> dict[str, Any]:
        """The next event of that name with those details; what came before it is passed over."""

        def matches(found: dict[str, Any]) -> bool:
            return found["event"] == event and all(found.get(key) == value for key, value in details.items())

        return self.wait_for(matches, timeout_s, f"{event} {details}")

    def wait_for(self, matches: Callable[[dict[str, Any]], bool], timeout_s: float, wanted: str) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                found = self._arrived.get(timeout=left_s)
            except queue.Empty:
                break
            self.events.append(found)
            if matches(found):
                return found
        raise AssertionError(f"no {wanted} within {timeout_s} s; there were: {self.events[-20:]}")

    def drain(self, for_s: float) -> list[dict[str, Any]]:
        """Everything that comes within `for_s`."""
        found = []
        deadline = time.monotonic() + for_s
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                found.append(self._arrived.get(timeout=left_s))
            except queue.Empty:
                break
        self.events += found
        return found
