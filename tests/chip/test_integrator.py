"""The HAL's integrator on the simulated chip's pulse counter: it proves itself, outlasts stalls, and sets pulls."""

from pathlib import Path
from typing import Any

import pytest
from chip_net_rig import Make

from sim.chip.pulses import AT_MAX, AT_MIN, Count, Train

pytestmark = pytest.mark.alone
HAL = Path(__file__).resolve().parents[2] / "hal"
FILES: dict[str, str | bytes] = {f"hal/{path.name}": path.read_text() for path in HAL.glob("*.py")}
PULSE = 5

MADE = f"""
import hal.esp32, hal.esp32_contact
board = hal.esp32.Esp32Board()
ACTIVE_LOW = True
contact = hal.esp32_contact.Contact(4, ACTIVE_LOW, {PULSE}, board)
one = contact.integrate(40)
print("made", one is not None, contact.is_closed())
"""

STALL = (
    MADE
    + """
def spin(ms):
    end = time.ticks_add(time.ticks_us(), ms * 1000)
    while time.ticks_diff(end, time.ticks_us()) > 0:
        pass
one.arm()
print("ready", one.is_latched())
while not contact.look():
    time.sleep_ms(1)
SPIN
print("latched", one.is_latched(), contact.is_closed())
one.disarm()
time.sleep_ms(30)
print("open", one.is_latched(), one.open_ms())
"""
)


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ({}, "True False"),
        ({"chip": "esp32s3"}, "True False"),
        ({"contact": 1}, "True True"),  # a button that is held as it starts
        ({"chip": "esp32c3"}, "False False"),
        ({"counter": 0}, "False False"),  # MicroPython before 1.26
        ({"pulse": 0}, "False False"),  # it counts nothing: not proven
    ],
)
def test_it_is_there_where_it_counts(chip: Make, options: dict[str, Any], made: str) -> None:
    assert chip(MADE, FILES).start(**options).wait("^made (.*)")[1] == made


@pytest.mark.parametrize(("contact", "made"), [(0, "True False"), (1, "True True")])
def test_an_active_high_contact_keeps_its_pull_down(chip: Make, contact: int, made: str) -> None:
    """C14: the counter switches the pull-up on and the pull-down off, and an open contact would read closed."""
    main = MADE.replace("ACTIVE_LOW = True", "ACTIVE_LOW = False")
    options: dict[str, Any] = {"button_active_low": 0, "contact": contact}
    assert chip(main, FILES).start(**options).wait("^made (.*)")[1] == made
    path = "hal/esp32_contact.py"
    broken = str(FILES[path]).replace("        self._pin.init(machine.Pin.IN, self._pull)\n", "        pass\n")
    one = chip(main, {**FILES, path: broken}).start(**options)
    assert one.wait("^made (.*)")[1].endswith("True"), "negative control: without setting the pull again"


@pytest.mark.parametrize(
    ("spin", "closed_ms", "latched"),
    [
        ("spin(300)", 100, "True False"),
        ("spin(300)", 25, "False False"),
        ("with one:\n    spin(300)", 100, "True False"),  # while the flash is written there is no interrupt
        ("with one:\n    spin(300)", 25, "False False"),
        ("with one:\n    spin(300)\ntime.sleep_ms(60)", 340, "True False"),
    ],
)
def test_a_press_in_a_stall_is_measured(chip: Make, spin: str, closed_ms: int, latched: str) -> None:
    one = chip(STALL.replace("SPIN", spin), FILES).start()
    assert one.wait("^ready (.*)")[1] == "False"
    one.edges((30_000, 1), (30_000 + closed_ms * 1000, 0))
    assert one.wait("^latched (.*)")[1] == latched
    still, open_ms = one.wait(r"^open (\w+) (\d+)").groups()
    assert still == "False" and 29 <= int(open_ms) <= 60


# -- the counter's hardware


def test_a_value_returns_to_0_at_its_limits() -> None:
    count = Count(low=-1, high=40)
    count.run(0, 2 * 39, 1, 0)
    assert (count.value, count.events) == (39, 0)
    count.run(0, 2, 1, 0)
    assert (count.value, count.take_events()) == (0, AT_MAX)
    count.run(0, 2, -1, -1)
    assert (count.value, count.take_events()) == (0, AT_MIN)


@pytest.mark.parametrize(("rise", "fall"), [(1, 0), (-1, -1), (0, -1), (1, 1), (1, -1), (-1, 1)])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("value", [0, 3, 39])
def test_many_periods_at_once_are_as_one_by_one(rise: int, fall: int, first: int, value: int) -> None:
    whole, steps = Count(low=-1, high=40), Count(low=-1, high=40)
    whole.value = steps.value = value
    for last in range(first, first + 400):
        steps.step(fall if last % 2 else rise)
        one = Count(low=-1, high=40)
        one.value = value
        one.run(first, last + 1, rise, fall)
        assert (one.value, one.events) == (steps.value, steps.events), last


def test_a_trains_edges() -> None:
    train = Train(100, 1000, 300)
    assert [train.edges_until(t) for t in (99, 100, 399, 400, 1099, 1100, 1400)] == [0, 1, 1, 2, 2, 3, 4]


# -- C20: the interrupt's handler lies in the flash

ERASE_US = 150_000
WRITES = (
    MADE
    + """
one.arm()
print("ready")
while not contact.look():
    time.sleep_ms(1)
contact.is_closed()
WRITE
print("written", one.is_latched())
"""
)
PANIC = "panic"


@pytest.mark.parametrize(
    ("write", "said"),
    [
        ('board.flash.append("a", b"x" * 6000)', "True"),
        ('one.disarm()\nopen("a", "wb").write(b"x" * 6000)', "False"),  # a press under way has no interrupt
        ('open("a", "wb").write(b"x" * 6000)', PANIC),  # negative control: nothing holds it back
    ],
)
def test_no_interrupt_comes_while_the_flash_is_written(chip: Make, write: str, said: str) -> None:
    one = chip(WRITES.replace("WRITE", write), FILES).start(erase_us=ERASE_US)
    one.wait("^ready")
    one.edges((30_000, 1))
    if said == PANIC:
        one.wait("Guru Meditation Error")
    else:
        assert one.wait("^written (.*)")[1] == said
