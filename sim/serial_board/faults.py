"""What can be wrong with a board and its cable, by name: `--fault NAME` or `--fault NAME=N`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.real.flash_image import BLOCK_BYTES, Image, replace

FAULTS = {
    "unplugged": "the cable comes out after N bytes to the board (default: 2000); `plug` puts it back",
    "unplugged-at": "the cable comes out when the Nth piece of code sent over the line begins to run (default: 5)",
    "flash-full": "N blocks of 4096 bytes are free on the flash (default: 2)",
    "busy-main": "main.py computes for ever and touches no hardware; it can be interrupted",
    "watchdog": "main.py arms a watchdog of N ms, which nothing stops, and feeds it (default: 8000)",
    "old-micropython": "it says that it is MicroPython 1.20.0, .mpy format 6.1",
    "no-umqtt": "the image has no umqtt.simple frozen",
    "noise": "32 bytes of noise after each reset and whenever a program opens the port",
    "garbage": "about one byte in N from the board is another one (default: 500)",
    "native-usb": "no converter: with each reset but a soft one the port goes away for N ms (default: 1500)",
    "deaf": "nothing that is sent reaches the board",
}
_DEFAULTS = {
    "unplugged": 2000,
    "unplugged-at": 5,
    "flash-full": 2,
    "watchdog": 8000,
    "garbage": 500,
    "native-usb": 1500,
}
_FILLER = "filler.bin"
_BUSY_MAIN = "print('main: busy')\nwhile True:\n    n = 0\n    for i in range(100000):\n        n += i\n"
_WATCHDOG_MAIN = """import machine, time
watchdog = machine.WDT(timeout=%d)
print('main: watchdog armed')
while True:
    watchdog.feed()
    time.sleep_ms(50)
"""


@dataclass(frozen=True)
class Faults:
    """The faults of one board: name -> its number (0 where it has none)."""

    numbers: dict[str, int]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Faults":
        """From NAME or NAME=N each. Raises ValueError saying what would be right."""
        numbers = {}
        for text in texts:
            name, equals, number = text.partition("=")
            if name not in FAULTS:
                raise ValueError(f"fault {name!r} is unknown, must be one of {', '.join(FAULTS)}")
            if equals and (name not in _DEFAULTS or not re.fullmatch(r"[1-9]\d{0,8}", number)):
                wanted = f"{name}=N with a whole number from 1" if name in _DEFAULTS else f"{name} alone"
                raise ValueError(f"fault {text!r}: must be {wanted}")
            numbers[name] = int(number) if equals else _DEFAULTS.get(name, 0)
        return cls(numbers)

    def __contains__(self, name: str) -> bool:
        return name in self.numbers

    def number(self, name: str) -> int | None:
        """None when the board has not this fault."""
        return self.numbers.get(name)

    def spoil(self, path: Path) -> None:
        """Those of the flash image: the programs are put in place of its main.py."""
        if "busy-main" in self:
            _write(path, "main.py", _BUSY_MAIN.encode())
        if "watchdog" in self:
            _write(path, "main.py", (_WATCHDOG_MAIN % self.numbers["watchdog"]).encode())
        if "flash-full" in self:
            fill(path, self.numbers["flash-full"])


def fill(path: Path, free_blocks: int) -> None:
    """One file takes all but `free_blocks` blocks of 4096 bytes of the image."""
    image = Image(path.read_bytes())
    if image.read(_FILLER) is not None:
        image.remove(_FILLER)
    blocks = image.free_blocks() - free_blocks
    while blocks > 0:
        attempt = Image(image.content())
        attempt.write(_FILLER, b"\xa5" * (blocks * BLOCK_BYTES))
        if attempt.free_blocks() >= free_blocks:
            replace(path, attempt.content())
            return
        blocks -= 1


def _write(path: Path, name: str, data: bytes) -> None:
    image = Image(path.read_bytes())
    image.write(name, data)
    replace(path, image.content())
