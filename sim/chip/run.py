"""Entry of a chip's process, for CPython and MicroPython alike: `run.py flash=IMAGE registers=FILE [KEY=VALUE ...]`.

`sim/chip/options.py` lists the keys. The process is one life of the chip, from reset to reset.
"""

import sys

sys.path[0] = __file__.rsplit("/", 3)[0] if "/" in __file__ else "../.."  # the project, not this folder

from sim.chip import power  # noqa: E402

power.on(sys.argv[1:])
