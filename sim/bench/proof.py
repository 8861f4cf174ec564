"""What a proof from end to end costs on 32-bit MicroPython: time for a message, and heap. No chip: compare the ratios.

An ESP32 makes SHA-256 in hardware; here it is MicroPython's own C."""

import json
import subprocess
from typing import Any

from sim.real.flash_image import PROJECT
from tools import toolbox

RUNTIME = "micropython32"
ALARM_BYTES = 900
ROUNDS = 2000
LIMIT_S = 120

_PROBE = """
import gc, json, sys, time
sys.path.insert(0, %(root)r)
import firmware
gc.collect(); before = gc.mem_alloc()
from firmware.authentic import Authentic
gc.collect(); code = gc.mem_alloc() - before
one = Authentic(bytes(range(32)), 17)
gc.collect(); kept = gc.mem_alloc() - before - code
before = gc.mem_alloc()
from firmware.proven import Proven
one = Proven(bytes(range(32)), 17)
gc.collect(); checking = gc.mem_alloc() - before
topic = b"sos/v1/nko/petropavl-01/alarm"
text = b'{"a":"' + b"x" * (%(bytes)d - 8) + b'"}'
sealed = bytes(one.seal(topic, bytearray(text)))
gc.collect(); gc.disable(); start = gc.mem_alloc()
one.is_sealed(topic, sealed)
peak = gc.mem_alloc() - start
gc.enable()
def took(work):
    start = time.ticks_us()
    for _ in range(%(rounds)d):
        work()
    return time.ticks_diff(time.ticks_us(), start) / %(rounds)d
empty = took(lambda: bytearray(text))
seal = took(lambda: one.seal(topic, bytearray(text))) - empty
check = took(lambda: one.is_sealed(topic, sealed))
assert one.is_sealed(topic, sealed) and not one.is_sealed(b"x", sealed)
heap = {"code_bytes": code, "kept_bytes": kept, "checking_bytes": checking, "passing_bytes": peak}
heap.update({"seal_us": seal, "check_us": check})
print(json.dumps(heap))
"""


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Bytes and microseconds, for an alarm of `ALARM_BYTES`. Code compiled from source; a .mpy takes as much."""
    script = _PROBE % {"root": str(PROJECT), "bytes": ALARM_BYTES, "rounds": rounds}
    command = [*toolbox.require(RUNTIME), "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S)
    return {"alarm_bytes": ALARM_BYTES, **json.loads(done.stdout)}
