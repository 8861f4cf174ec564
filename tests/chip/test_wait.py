"""The real HAL's `wait`, in a time that the probe moves by hand: for how long had nobody looked at the contact?"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chip_net_rig import Make, chips
from column_probe import need, runtimes

HAL = Path(__file__).resolve().parents[2] / "hal"
FILES: dict[str, str | bytes] = {f"hal/{path.name}": path.read_text() for path in HAL.glob("*.py")}

PROBE = """
import hal.esp32, hal.esp32_contact
class Clock:
    now = 0
    @staticmethod
    def ticks_ms():
        return Clock.now
    @staticmethod
    def ticks_add(ticks, ms):
        return ticks + ms
    @staticmethod
    def ticks_diff(later, earlier):
        return later - earlier
board = hal.esp32.Esp32Board()
hal.esp32.time = hal.esp32_contact.time = Clock
class Pin:
    closes = 10000
    @staticmethod
    def value():
        return 0 if Clock.now >= Pin.closes else 1
class Poll:
    stall = ()  # (number of the poll, how long it takes)
    input = 0  # the number of the poll that finds some
    def ipoll(self, ms):
        self.polls += 1
        if self.polls == Poll.input:
            Clock.now += 2
            return (1,)
        Clock.now += Poll.stall[1] if Poll.stall[:1] == (self.polls,) else ms
        return ()
def wait(timeout, late=0):
    board._poll = Poll()
    board._poll.polls = Clock.now = 0
    board.contact.is_closed()
    Clock.now = late
    unseen = board.wait(timeout)
    return unseen, Clock.now, board._poll.polls
board.contact = hal.esp32_contact.Contact(4, True)
board.contact._pin = Pin
print("quiet", wait(10))
Pin.closes = 7
print("closed", wait(100))
Pin.closes = 10000
Poll.stall = (2, 50)
print("stalled", wait(1000))
Pin.closes = 20
print("closed in a stall", wait(1000))
Pin.closes = 10000
Poll.stall = ()
Poll.input = 3
print("input", wait(100))
Poll.input = 0
print("late before it", wait(100, 12))
print("nearly late before it", wait(100, 9))
print("no time", wait(0, 4))
"""


@pytest.fixture(params=runtimes())
def chip(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    with chips(tmp_path, need(request.param)) as make:
        yield make


def test_a_wait_says_for_how_long_nobody_had_looked(chip: Make) -> None:
    """(unseen ms, when it came back, polls)"""
    one = chip(PROBE, FILES).start()
    said = {name: one.wait(rf"^{name} \((.*)\)")[1] for name in ("quiet", "closed", "stalled", "closed in a stall")}
    assert said == {"quiet": "1, 10, 4", "closed": "3, 9, 3", "stalled": "50, 53, 2", "closed in a stall": "50, 53, 2"}
    assert one.wait(r"^input \((.*)\)")[1] == "2, 8, 3"
    assert one.wait(r"^late before it \((.*)\)")[1] == "12, 12, 0"
    assert one.wait(r"^nearly late before it \((.*)\)")[1] == "1, 109, 34"
    assert one.wait(r"^no time \((.*)\)")[1] == "4, 4, 0"


@pytest.mark.parametrize(
    ("guard", "broken", "name", "wanted"),
    [
        (" or unseen_ms >= LATE_MS", "", "stalled", "50, 53, 2"),
        ("self.contact.looked, time.ticks_ms()", "time.ticks_ms(), time.ticks_ms()", "no time", "4, 4, 0"),
    ],
)
def test_a_wait_that_passes_for_watched_is_noticed(chip: Make, guard: str, broken: str, name: str, wanted: str) -> None:
    """Negative control: a stall in its middle goes on to its end, or what lies before its first look is left out."""
    source = str(FILES["hal/esp32.py"])
    assert source.count(guard) == 1
    one = chip(PROBE, {**FILES, "hal/esp32.py": source.replace(guard, broken)}).start()
    assert one.wait(rf"^{name} \((.*)\)")[1] != wanted
