"""A virtual ESP32 board on a serial port, in front of real MicroPython: `python -m sim board`.

What is on the line is what a board with a USB serial converter sends: the start-up text of the chip, the console of
boot.py and main.py, MicroPython's friendly, raw and raw-paste prompts. Real, unmodified mpremote works on it:
docs/virtual-board.md says what it can do there and what it cannot.
"""

from sim.serial_board.command import main as main
from sim.serial_board.faults import FAULTS as FAULTS
from sim.serial_board.serial import SerialBoard as SerialBoard
