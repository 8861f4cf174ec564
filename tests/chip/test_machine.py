"""The virtual `machine`, `time` and start-up of a chip, through probes that run inside it, on every runtime."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chip_net_rig import Make, chips
from chip_rig import HEAP_32, Chip, now_us
from column_probe import need

from sim.chip import build

TICKS_PERIOD = 1 << 30


@pytest.fixture
def chip(runtime: str, tmp_path: Path) -> Iterator[Make]:
    with chips(tmp_path, runtime, begins="") as make:
        yield make


CONTACT = """
import time, machine
pin = machine.Pin(4, machine.Pin.IN, machine.Pin.PULL_UP)
counter = machine.Counter(0, pin, edge=machine.Counter.FALLING)
print("ready", pin.value(), counter.value(0))
last = 1
while True:
    level = pin.value()
    if level != last:
        last = level
        print("level", level)
    time.sleep_ms(3)
"""


def test_a_press_closes_the_contact_to_ground_and_is_counted(chip: Make) -> None:
    one = chip(CONTACT).start()
    assert one.wait(r"ready (\d) (\d)").groups() == ("1", "0")
    one.edges((0, 1), (120_000, 0))
    assert one.wait(r"level (\d)")[1] == "0"
    assert one.wait(r"level (\d)")[1] == "1"


def test_a_press_that_the_parent_tells_of_too_late_lasts_as_long(chip: Make) -> None:
    """A loaded machine must not swallow a press. Red where the edges stay in the past: the level was never there."""
    one = chip(CONTACT).start()
    one.wait("ready")
    one.edges((-500_000, 1), (-380_000, 0))
    assert one.wait(r"level (\d)")[1] == "0"
    assert one.wait(r"level (\d)")[1] == "1"


def test_an_active_high_button_that_is_held_at_power_on(chip: Make) -> None:
    main = "import machine\nprint('level', machine.Pin(4, machine.Pin.IN, machine.Pin.PULL_DOWN).value())\n"
    assert chip(main).start(button_active_low=0, contact=1).wait(r"level (\d)")[1] == "1"


STALL = """
import time, machine
pin = machine.Pin(4, machine.Pin.IN, machine.Pin.PULL_UP)
counter = machine.Counter(0, pin, edge=machine.Counter.FALLING)
print("ready")
while pin.value():
    time.sleep_ms(3)
seen = counter.value(0)
end = time.ticks_add(time.ticks_us(), 400000)
while time.ticks_diff(end, time.ticks_us()) > 0:  # the CPU is busy: no pin is read
    pass
print("counted", seen, counter.value(0), counter.value())
"""


def test_the_counter_goes_on_while_the_cpu_is_stalled(chip: Make) -> None:
    one = chip(STALL).start()
    one.wait("ready")
    one.edges((0, 1), (50_000, 0), (150_000, 1), (200_000, 0), (250_000, 1), (300_000, 0))
    assert one.wait(r"counted (\d+) (\d+) (\d+)").groups() == ("1", "2", "0")


def test_edges_that_come_late_are_still_counted(chip: Make) -> None:
    one = chip(CONTACT).start()
    one.wait("ready")
    t_us = now_us()
    one.send(f"edges {t_us - 200_000}:1 {t_us - 100_000}:0 {t_us + 50_000}:1")
    one.wait("level 0")
    one.kill()
    one = chip(STALL.replace("while pin.value():", "for _ in range(100):")).start()
    one.wait("ready")
    t_us = now_us()
    one.send(f"edges {t_us - 200_000}:1 {t_us - 100_000}:0")
    assert one.wait(r"counted (\d+) (\d+)").groups() == ("1", "0")


def test_the_c3_has_no_counter(chip: Make) -> None:
    main = "import machine, esp32\nprint('has', hasattr(machine, 'Counter'), hasattr(esp32, 'PCNT'))\n"
    assert chip(main).start(chip="esp32c3").wait("has (.*)")[1] == "False False"
    assert chip(main).start(chip="esp32").wait("has (.*)")[1] == "True True"


IRQ = """
import time, machine
pin = machine.Pin(4, machine.Pin.IN, machine.Pin.PULL_UP)
seen = []
pin.irq(lambda p: seen.append(p.value()), machine.Pin.IRQ_FALLING)
ticks = []
timer = machine.Timer(0, mode=machine.Timer.PERIODIC, period=20, callback=ticks.append)
print("ready")
time.sleep_ms(400)
timer.deinit()
count = len(ticks)
time.sleep_ms(60)
print("seen", len(seen), 5 < count < 25, count == len(ticks))
"""


def test_soft_interrupts_and_timers(chip: Make) -> None:
    one = chip(IRQ).start()
    one.wait("ready")
    one.edges((0, 1), (20_000, 0), (40_000, 1), (60_000, 0))
    assert one.wait("seen (.*)")[1] == "2 True True"


PINS = """
import machine
from machine import Pin, PWM, ADC
def refused(what, *args, **options):
    try:
        what(*args, **options)
    except ValueError:
        return 1
    return 0
print("refused", refused(Pin, 6), refused(Pin, 24), refused(Pin, 40), refused(Pin, 34, Pin.OUT),
      refused(Pin, 34, Pin.IN, Pin.PULL_UP), refused(Pin, "x"), refused(PWM, Pin(35)), refused(ADC, Pin(5)))
print("taken", refused(Pin, 34, Pin.IN), refused(Pin, 25, Pin.OUT), refused(ADC, Pin(36)), Pin(25) is Pin(25))
lamp = PWM(Pin(25), freq=1000, duty_u16=0)
lamp.duty_u16(40000)
lamp.duty_u16(40000)
Pin(26, Pin.OUT, value=1).off()
"""


def test_pins_of_the_first_esp32(chip: Make) -> None:
    one = chip(PINS).start()
    assert one.wait("refused (.*)")[1] == "1 1 1 1 1 1 1 1"
    assert one.wait("taken (.*)")[1] == "0 0 0 True"
    one.wait(">>>")
    seen = [(m["pin"], m.get("duty", m.get("value"))) for m in one.messages if "pin" in m]
    assert seen == [(25, 0), (25, 0), (25, 40000), (25, 40000), (26, 1), (26, 0)]


def test_adc_reads_what_the_parent_says(chip: Make) -> None:
    main = """
import machine, time
adc = machine.ADC(machine.Pin(36), atten=machine.ADC.ATTN_11DB)
while adc.read_uv() != 1234000:
    time.sleep_ms(5)
print("adc ok")
"""
    one = chip(main).start()
    one.send("adc 36 1234000")
    one.wait("adc ok")


WATCHDOG = """
import time, machine
print("cause", machine.reset_cause())
dog = machine.WDT(timeout=3000)
print("armed")
time.sleep_ms(150)
dog.feed()
print("fed")
machine.WDT(timeout=500)
print("again")
try:
    machine.WDT(timeout=0)
except ValueError as error:
    print("refused", error)
while True:
    time.sleep_ms(100)
"""


def test_the_watchdogs_registers(chip: Make) -> None:
    one = chip(WATCHDOG).start()
    assert one.wait(r"cause (\d)")[1] == "1"
    one.wait("armed")
    armed_us, timeout_us = one.watchdog()
    assert timeout_us == 3_000_000 and 0 < now_us() - armed_us < 10_000_000
    one.wait("fed")
    assert one.watchdog()[0] - armed_us >= 150_000
    one.wait("again")
    assert one.watchdog()[1] == 500_000
    one.wait("refused WDT timeout too short")
    one.start(cause="watchdog")
    assert one.wait(r"cause (\d)")[1] == "3"


def test_a_watchdog_that_was_not_armed_in_this_life_is_off(chip: Make) -> None:
    one = chip("print('up')\n").start()
    one.wait("up")
    assert one.watchdog() == (0, 0)


RTC = """
import machine, time
rtc = machine.RTC()
print("memory", rtc.memory(), machine.reset_cause(), rtc.datetime()[0], time.gmtime(0)[:3])
rtc.memory(b"crumb")
rtc.datetime((2026, 5, 1, 4, 10, 20, 30, 0))
print("set", rtc.datetime()[:7], time.localtime()[:6])
try:
    rtc.memory(bytes(2049))
except ValueError as error:
    print("refused", error)
"""


def test_rtc_memory_and_time_outlive_a_reset_but_not_a_power_cut(chip: Make) -> None:
    one = chip(RTC).start()
    assert one.wait("memory (.*)")[1] == "b'' 1 2000 (2000, 1, 1)"
    assert one.wait("set (.*)")[1] == "(2026, 5, 1, 4, 10, 20, 30) (2026, 5, 1, 10, 20, 30)"
    one.wait("refused buffer too long")
    assert one.rtc_memory() == b"crumb"
    one.start(cause="hard")
    assert one.wait("memory (.*)")[1] == "b'crumb' 2 2026 (2000, 1, 1)"
    one.wait("refused")
    one.start(cause="power-on")
    assert one.wait("memory (.*)")[1] == "b'' 1 2000 (2000, 1, 1)"


TICKS = """
import time
start = time.ticks_ms()
print("ticks", start)
print("diff", time.ticks_diff(5, (1 << 30) - 5), time.ticks_diff((1 << 30) - 5, 5), time.ticks_add((1 << 30) - 1, 2))
while time.ticks_diff(time.ticks_ms(), start) < 7000:
    if time.ticks_ms() < start:
        print("wrapped", time.ticks_diff(time.ticks_ms(), start))
        break
    time.sleep_ms(20)
"""


@pytest.mark.slow
def test_ticks_wrap_at_two_to_the_thirty(chip: Make) -> None:
    one = chip(TICKS).start(seed=0)
    first = int(one.wait(r"ticks (\d+)")[1])
    assert TICKS_PERIOD - 60_000 < first < TICKS_PERIOD
    assert one.wait("diff (.*)")[1] == "10 -10 1"
    assert 0 < int(one.wait(r"wrapped (\d+)")[1]) < 6000
    assert int(one.start(seed=1).wait(r"ticks (\d+)")[1]) < first  # another seed, another place


def test_a_reset_says_which_and_ends_the_process(chip: Make) -> None:
    one = chip("import machine\ntry:\n    machine.reset()\nexcept BaseException:\n    print('caught')\n").start()
    assert one.ended() == 0
    assert one.messages[-1] == {"reset": "hard"} and "caught" not in one.lines


def test_the_task_that_is_to_hang_hangs_and_no_other(chip: Make) -> None:
    main = """
import machine, time
rtc = machine.RTC()
while True:
    for task in (b"lamp", b"uplink"):
        rtc.memory(task)
        print("task", task)
        time.sleep_ms(20)
"""
    one = chip(main).start()
    one.wait("uplink")
    one.send("hang uplink")
    with pytest.raises(AssertionError):
        one.wait("never", 1.5)
    assert one.lines[-1] == "task b'lamp'" and one.rtc_memory() == b"uplink"
    one.close_input()
    assert one.ended() == 0


def test_boot_and_main_share_their_names(chip: Make) -> None:
    one = chip("print('left', left, __name__)\n", {"boot.py": "left = 5\n"}).start()
    assert one.wait("left (.*)")[1] == "5 __main__"


def test_an_exception_in_boot_stops_main(chip: Make) -> None:
    one = chip("print('main ran')\n", {"boot.py": "1 / 0\n"}).start()
    one.wait("ZeroDivisionError")
    one.wait(">>>")
    assert "main ran" not in one.lines


def test_main_that_ends_leaves_the_chip_at_its_prompt(chip: Make) -> None:
    one = chip("print('over')\n").start()
    one.wait(">>>")
    one.send("link 0")
    assert one._line(0.3) is None and one.messages[-1]["repl"] is True  # alive, and says so once
    one.close_input()
    assert one.ended() == 0


def test_what_a_chip_does_not_have_cannot_be_imported(chip: Make) -> None:
    main = """
def missing(name):
    try:
        __import__(name)
    except ImportError:
        return True
    return False
print("missing", [n for n in ("threading", "typing", "subprocess", "pathlib", "sim", "littlefs") if not missing(n)])
import pkg.inner
from pkg import VALUE
print("own", pkg.inner.VALUE, VALUE)
"""
    files = {"pkg/__init__.py": "from .inner import VALUE\n", "pkg/inner.py": "VALUE = 7\n"}
    one = chip(main, files).start()
    assert one.wait("missing (.*)")[1] == "[]"
    assert one.wait("own (.*)")[1] == "7 7"


def test_a_flash_without_file_system_is_said_for_ever(chip: Make) -> None:
    one = chip("print('main ran')\n")
    one.image.write_bytes(b"\xff" * one.image.stat().st_size)
    one.start().wait("filesystem appears to be corrupted")
    assert one.watchdog() == (0, 0)


def test_unusable_arguments_are_explained(chip: Make) -> None:
    one = chip("").start(seed="many")
    one.wait("chip: seed=many: must be a whole number")
    assert one.ended() == 2


def test_messages_that_make_no_sense_are_refused_and_survived(chip: Make) -> None:
    one = chip(CONTACT).start()
    one.wait("ready")
    one.send("edges tomorrow:1")
    one.wait("refused: wave: 'tomorrow:1'")
    one.send("link maybe")
    one.wait("refused: must be 0 or 1")
    one.edges((0, 1))
    one.wait("level 0")


@pytest.mark.micropython
def test_the_virtual_modules_take_the_heap_that_they_say(tmp_path: Path) -> None:
    main = "import gc\ngc.collect()\nprint('heap', gc.mem_alloc(), gc.mem_free())\n"
    with Chip(tmp_path, need("micropython32"), main) as one:
        used, free = map(int, one.start().wait(r"heap (\d+) (\d+)").groups())
    # The name of each module has the path of this test's folder in it.
    assert abs(used - build.MODULES_BYTES_32) < 600, f"{used}: else the firmware's heap is smaller than it is told"
    assert free >= HEAP_32 * 0.95


CLOSED_IN_COLLECTOR = """
import micropython, os, socket, tls
plain = socket.socket()
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_NONE
secure = context.wrap_socket(socket.socket(), do_handshake_on_connect=False)
file = open("left open", "w")
file.write("x" * 5000)
lock, unlock, verdict = micropython.heap_lock, micropython.heap_unlock, "closed"
lock()
try:
    plain.close()
    secure.close()
    file.close()
except MemoryError:
    verdict = "allocates"
unlock()
print("verdict", verdict, os.stat("left open")[6])
"""


@pytest.mark.micropython
@pytest.mark.parametrize("runtime", ["micropython", "micropython32"])
def test_what_the_collector_closes_allocates_nothing(runtime: str, tmp_path: Path) -> None:
    """A finaliser runs while the heap is locked, and its exception is printed into whatever the board says just then:
    twice into an answer to `make flash`, which called the cable bad. Red with `taken[:] = []` in heaps.give, and where
    while_flash_is_busy needs memory: a program that was cut off at the cable leaves the file open that it wrote."""
    with Chip(tmp_path, need(runtime), CLOSED_IN_COLLECTOR) as one:
        one.start(erase_us=2000, program_us=700)
        assert one.wait(r"verdict (\w+) (\d+)").groups() == ("closed", "5000")
