"""The real HAL's `wait` on the chip's clock: what ends it, when, and for how long nobody had looked at the contact."""

import re
from pathlib import Path
from typing import Any

import pytest
from chip_net_rig import Make

from common.assumptions import load

HAL = Path(__file__).resolve().parents[2] / "hal"
FILES: dict[str, str | bytes] = {f"hal/{path.name}": path.read_text() for path in HAL.glob("*.py")}
pytestmark = pytest.mark.alone
TICK_MS = int(load()["tick_ms"].value)
LATENESS_MS = 40  # what a busy machine may add to anything here

# wait(1000) with a contact that is about to close, in a loop: (ms from the closure, unseen ms)
WAKES = """
import hal.esp32, hal.esp32_contact, time, machine, select
board = hal.esp32.Esp32Board()
board.contact = hal.esp32_contact.Contact(4, True, None, board)
board._poll.register(board.contact, select.POLLIN)
print("ready")
while True:
    board.contact.is_closed()
    unseen = board.wait(1000)
    if board.contact.look():
        print("woken", time.ticks_us(), unseen)
        board.contact.is_closed()
"""

# In a time that the probe moves by hand.
BY_HAND = """
import hal.esp32, hal.esp32_contact
class Clock:
    now = 0
    slept = 0
    @staticmethod
    def ticks_ms():
        return Clock.now
    @staticmethod
    def ticks_diff(later, earlier):
        return later - earlier
    @staticmethod
    def sleep_ms(ms):
        Clock.now += ms
        Clock.slept += ms
board = hal.esp32.Esp32Board()
hal.esp32.time = hal.esp32_contact.time = Clock
class Pin:
    IN = PULL_UP = 1
    closes = 10000
    def value(self):
        return 0 if Clock.now >= Pin.closes else 1
class Poll:
    late = 0  # how long the second look takes longer than a tick
    input = 0  # the number of the look that finds some
    def ipoll(self, ms):
        end = Clock.now + ms
        while True:
            self.looks += 1
            if board.contact.ioctl(3, 1) or self.looks == Poll.input:
                return (1,)
            if Clock.now >= end:
                return ()
            step = 10 - Clock.now % 10
            if Clock.now < Pin.closes < Clock.now + step:
                step = Pin.closes - Clock.now
            Clock.now += step + (Poll.late if self.looks == 2 else 0)
def wait(timeout, late=0):
    board._poll = Poll()
    board._poll.looks = Clock.now = Clock.slept = 0
    board.contact.is_closed()
    Clock.now = late
    unseen = board.wait(timeout)
    return unseen, Clock.now, Clock.slept
board.contact = hal.esp32_contact.Contact(4, True, None, board)
board.contact._pin = Pin()
print("quiet", wait(25))
print("less than a tick", wait(4))
Pin.closes = 7
print("closed", wait(100))
Pin.closes = 2
print("closed in less than a tick", wait(4))
Pin.closes = 10000
Poll.late = 40
print("stalled", wait(1000))
Pin.closes = 30
print("closed in a stall", wait(1000))
Pin.closes = 10000
Poll.late = 0
Poll.input = 3
print("input", wait(100))
Poll.input = 0
print("late before it", wait(100, 13))
print("nearly late before it", wait(100, 12))
print("no time", wait(0, 4))
Pin.closes = 5
print("closed before it", wait(100, 9))
"""


def test_the_hal_knows_the_tick() -> None:
    (tick_ms,) = re.findall(r"^TICK_MS = (\d+)", str(FILES["hal/esp32_contact.py"]), re.M)
    assert int(tick_ms) == TICK_MS


def said(one: Any, name: str) -> str:
    return str(one.wait(rf"^{name} \((.*)\)")[1])


def test_a_wait_says_for_how_long_nobody_had_looked(chip: Make) -> None:
    """(unseen ms, when it came back, how much of it was slept exactly)"""
    one = chip(BY_HAND, FILES).start()
    assert said(one, "quiet") == "0, 30, 0", "it ends on a tick"
    assert said(one, "less than a tick") == "0, 4, 4"
    assert said(one, "closed") == "0, 7, 0", "an interrupt ends it"
    assert said(one, "closed in less than a tick") == "0, 2, 2"
    assert said(one, "stalled") == "50, 60, 0"
    assert said(one, "closed in a stall") == "50, 60, 0"
    assert said(one, "input") == "0, 20, 0"
    assert said(one, "late before it") == "13, 13, 0"
    assert said(one, "nearly late before it") == "0, 120, 0"
    assert said(one, "no time") == "4, 4, 0"
    assert said(one, "closed before it") == "9, 9, 0"


@pytest.mark.parametrize(
    ("file", "guard", "broken", "name", "wanted"),
    [
        ("esp32_contact", " or self.unseen_ms >= LATE_MS", "", "stalled", "50, 60, 0"),
        ("esp32", "contact.look() or timeout_ms <= 0", "timeout_ms <= 0", "closed before it", "9, 9, 0"),
        ("esp32", "timeout_ms >= TICK_MS", "timeout_ms", "less than a tick", "0, 4, 4"),
    ],
)
def test_a_wait_that_passes_for_watched_is_noticed(
    chip: Make, file: str, guard: str, broken: str, name: str, wanted: str
) -> None:
    """Negative control: a stall goes on to the wait's end, or what lies before its first look is left out."""
    path = f"hal/{file}.py"
    source = str(FILES[path])
    assert source.count(guard) == 1
    one = chip(BY_HAND, {**FILES, path: source.replace(guard, broken)}).start()
    assert said(one, name) != wanted


# -- the chip's tick


def delays(one: Any, count: int) -> list[float]:
    """ms from the closure of the contact until the board's `wait` has told of it."""
    found = []
    one.wait("ready")
    for _ in range(count):
        one.edges((30_000, 1), (90_000, 0))
        closed, opened = (int(one.wait(r"^woken (\d+)")[1]) for _ in range(2))
        found.append((opened - closed) / 1000)
    return found


def test_an_interrupt_wakes_the_wait_also_between_two_ticks(chip: Make) -> None:
    """The tick is made so slow that it hardly passes for an interrupt, in two of three least of all: C1. An edge that
    comes late on a loaded machine is told by the next tick, so it is not made slower still."""
    one = chip(WAKES, FILES).start(tick_ms=5000)
    _, middle, _ = sorted(delays(one, 3))
    assert middle == pytest.approx(60, abs=LATENESS_MS)


def test_without_the_interrupt_a_wait_sees_nothing_before_the_tick(chip: Make) -> None:
    """Negative control: the same contact, and no interrupt on its pin."""
    path = "hal/esp32_contact.py"
    source = str(FILES[path]).replace("        self._pin.irq(_wake)\n", "").replace("LATE_MS = 13", "LATE_MS = 9000")
    one = chip(WAKES, {**FILES, path: source}).start(tick_ms=60_000)
    one.wait("ready")
    one.edges((30_000, 1), (90_000, 0))
    with pytest.raises(AssertionError):
        one.wait("^woken", 1.5)


POLLS = """
import select, time, machine
print("ready")
poll = select.poll()
def took(ms):
    start = time.ticks_us()
    poll.poll(ms)
    return time.ticks_diff(time.ticks_us(), start) // 1000
def slept(ms):
    start = time.ticks_us()
    time.sleep_ms(ms)
    return time.ticks_diff(time.ticks_us(), start) // 1000
start = time.ticks_us()
shortest = min(took(1) for _ in range(6))
print("polls", time.ticks_diff(time.ticks_us(), start), shortest)
print("sleep", min(slept(3) for _ in range(9)), min(slept(70) for _ in range(5)))
timer = machine.Timer(0, mode=machine.Timer.PERIODIC, period=20, callback=lambda t: None)
print("beside a timer", sorted(took(1) for _ in range(5))[2])
"""


def test_a_poll_ends_on_a_tick_and_a_sleep_does_not(chip: Make) -> None:
    """Straight after a tick a poll of 1 ms takes all of the next one: of six all but the first do, and one that wakes
    late leaves as much less to the next. mp_hal_delay_ms is exact."""
    one = chip(POLLS, {}).start(tick_ms=100)
    together_us, shortest_ms = map(int, one.wait(r"^polls (\d+) (\d+)").groups())
    assert together_us >= 5 * 100_000 and shortest_ms <= 100 + LATENESS_MS
    short, long = map(int, one.wait(r"^sleep (\d+) (\d+)").groups())
    assert 3 <= short < LATENESS_MS and 70 <= long < 70 + LATENESS_MS
    assert int(one.wait(r"^beside a timer (\d+)")[1]) <= 20 + LATENESS_MS, "the timer wakes it"
