# Sent to the board by field/accept, behind agent.py, whose `tell` and `watchdog` it uses. Each function measures one
# thing and tells a number; none takes longer than 6 s, within which the agent's watchdog has to be fed.
import gc
import io
import json
import os
import select
import sys
import time
from binascii import hexlify, unhexlify

import esp32
import machine

tell, watchdog = globals()["tell"], globals()["watchdog"]

FILE, NEW_FILE = "accept.tmp", "accept.new"
SERVICE_FILE = "service.req"  # see boot.py: the next start leaves the column off
BLOCK_BYTES = 4096
CACHE_BYTES = 128  # of LittleFS, as MicroPython mounts it
WAITS = 25
PRESS_MS = 40  # that the integrator shall wait for
NO_MEMORY = (12, -32512)  # ENOMEM; MBEDTLS_ERR_SSL_ALLOC_FAILED
LATCHES = 9
RATE_MS, RATES = 400, 3
EDGES_HZ, EDGES = 37, 25  # edges come at any time between two ticks
PULSES_HZ, PULSES_MS, WIDEST_US = 1000, 20, 40
HALF_DUTY = 32768
STREAM_POLL = 3


def _median(values):
    return sorted(values)[len(values) // 2]


def _mostly(values):
    """The lower quartile: without what else goes on now and then."""
    return sorted(values)[len(values) // 4]


def _elapsed_us(action, *arguments):
    start = time.ticks_us()
    action(*arguments)
    return time.ticks_diff(time.ticks_us(), start)


def tick():
    """ms: each wait begins on a tick, where the one before has ended, and ends on the next."""
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    tell(_median([_elapsed_us(poll.poll, 3) for _ in range(WAITS)]) / 1000)


def short_sleep():
    """ms that a sleep of 1 ms takes longer than that."""
    tell(max(0, _median([_elapsed_us(time.sleep_ms, 1) for _ in range(WAITS)]) / 1000 - 1))


def timer_late():
    """ms between a timer's time and its callback, while the board waits in a poll."""
    poll, late = select.poll(), []
    poll.register(sys.stdin, select.POLLIN)
    for _ in range(7):
        seen = []
        start = time.ticks_us()
        timer = machine.Timer(0)
        timer.init(mode=machine.Timer.ONE_SHOT, period=23, callback=lambda _, seen=seen: seen.append(time.ticks_us()))
        poll.poll(60)
        timer.deinit()
        late.append(time.ticks_diff(seen[0], start) / 1000 - 23 if seen else 60)
    tell(_median(late))


def counter_pulls_up(pin):
    """1 when a pin that was pulled down is pulled up by the counter on it; None without one."""
    try:
        one = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_DOWN)
        counter = machine.Counter(0, one)
    except (AttributeError, ValueError, OSError, RuntimeError, NotImplementedError):
        tell(None)
        return
    time.sleep_ms(1)
    level = one.value()
    counter.deinit()
    machine.Pin(pin, machine.Pin.IN, None)
    tell(level)


def pull(pin, up):
    """The level of a pin that nothing drives but its pull resistor."""
    level = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP if up else machine.Pin.PULL_DOWN)
    time.sleep_ms(1)
    tell(level.value())
    machine.Pin(pin, machine.Pin.IN, None)


class _Pulled:
    """A contact that a pull resistor opens and closes: the reference, of which the program knows when it does."""

    def __init__(self, pin):
        self._pin = machine.Pin(pin)

    def become_input(self):
        self._pin.init(machine.Pin.IN, machine.Pin.PULL_UP)

    def close(self):
        self._pin.init(machine.Pin.IN, machine.Pin.PULL_DOWN)

    def is_closed(self):
        return not self._pin.value()


def integrator(pin, pulse):
    """[ms of closure after which it latches, pulses that it counts in a second] of the firmware's own, which
    field/accept has sent as well; None without a pulse counter, [0, None]: it does not prove itself."""
    if not hasattr(esp32, "PCNT"):
        tell(None)
        return
    contact = _Pulled(pin)
    one = globals()["make"](contact, machine.Pin(pin), machine.Pin(pulse), 0, PRESS_MS)
    if one is None:
        tell([0, None])
        return
    tell([min([_latch_ms(one, contact) for _ in range(LATCHES)]), min([_rate(one) for _ in range(RATES)])[1]])
    for unit in (one._press, one._release, one._closed, machine.PWM(machine.Pin(pulse))):
        unit.deinit()
    machine.Pin(pin, machine.Pin.IN, None)


def _latch_ms(one, contact):
    """What else the board does in between makes it longer, and never shorter."""
    one.arm()
    start, took_us = time.ticks_us(), 0
    contact.close()
    while not one.is_latched() and took_us < 5000 * PRESS_MS:
        took_us = time.ticks_diff(time.ticks_us(), start)
    took_us = time.ticks_diff(time.ticks_us(), start)
    contact.become_input()
    one.disarm()
    watchdog.feed()
    return took_us / 1000


def _rate(one):
    """(us in which two looks at clock and counter may be off, pulses a second) of an open contact."""
    first, counted = _stamped(one)
    time.sleep_ms(RATE_MS)
    second, counted_then = _stamped(one)
    watchdog.feed()
    passed_us = time.ticks_diff(second[0], first[0])
    return first[1] + second[1], (counted_then - counted) * 1e6 / passed_us


def _stamped(one):
    start = time.ticks_us()
    counted = one.open_ms()
    return (start, time.ticks_diff(time.ticks_us(), start)), counted


def lead(out, into):
    """Whether what one pin drives is what the other one reads, against either pull resistor."""
    source, same = machine.Pin(out, machine.Pin.OUT), 0
    for level in (0, 1, 0, 1):
        source.value(level)
        pin = machine.Pin(into, machine.Pin.IN, machine.Pin.PULL_DOWN if level else machine.Pin.PULL_UP)
        time.sleep_ms(1)
        same += pin.value() == level
    _let_go(out, into)
    tell(same == 4)


def _let_go(*pins):
    for pin in pins:
        machine.Pin(pin, machine.Pin.IN, None)


class _Level(io.IOBase):
    """To a poll there is something to read while the pin is high."""

    def __init__(self, pin):
        self._pin = pin

    def ioctl(self, request, flags):
        return flags & select.POLLIN if request == STREAM_POLL and self._pin.value() else 0


def edge_wakes(out, into):
    """us from an edge, which nobody's code made, until it has ended a wait in a poll."""
    pin = machine.Pin(into, machine.Pin.IN, machine.Pin.PULL_DOWN)
    source = machine.PWM(machine.Pin(out), freq=EDGES_HZ, duty_u16=HALF_DUTY)
    poll, late = select.poll(), []
    poll.register(_Level(pin), select.POLLIN)
    rises = [_risen(pin) for _ in range(6)]
    period_us = _median([time.ticks_diff(after, before) for before, after in zip(rises, rises[1:])])
    pin.irq(lambda _: None, machine.Pin.IRQ_RISING)
    for _ in range(EDGES):
        before = _risen(pin)
        while pin.value():
            time.sleep_ms(1)
        poll.poll(100)
        late.append(time.ticks_diff(time.ticks_us(), before) - period_us)
    pin.irq(None)
    source.deinit()
    _let_go(out, into)
    watchdog.feed()
    tell(max(0, _median(late)))


def _risen(pin):
    """When it did, by looks that follow each other as fast as they can as soon as it may."""
    while pin.value():
        time.sleep_ms(1)
    time.sleep_ms(500 // EDGES_HZ - 3)
    while not pin.value():
        pass
    return time.ticks_us()


def counter_filter(out, into):
    """us of the shortest pulse that a counter with the longest filter counts; None without a counter."""
    try:
        counter = machine.Counter(0, machine.Pin(into), filter_ns=12700)
    except (AttributeError, ValueError, OSError, RuntimeError, NotImplementedError):
        tell(None)
        return
    source = machine.PWM(machine.Pin(out), freq=PULSES_HZ, duty_u16=0)
    found = None
    for width_us in range(1, WIDEST_US):
        source.duty_ns(width_us * 1000)
        time.sleep_ms(2)
        counter.value(0)
        time.sleep_ms(PULSES_MS)
        if counter.value() >= PULSES_MS // 2:
            found = width_us
            break
    watchdog.feed()
    source.deinit()
    counter.deinit()
    _let_go(out, into)
    tell(found)


def adc(pin, up):
    """mV at a pin that is pulled up or down."""
    converter = machine.ADC(machine.Pin(pin), atten=machine.ADC.ATTN_11DB)
    machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP if up else machine.Pin.PULL_DOWN)
    time.sleep_ms(5)
    tell(_median([converter.read_uv() for _ in range(WAITS)]) / 1000)
    machine.Pin(pin, machine.Pin.IN, None)


def outputs(pins):
    """How many follow what they are told, while the others stay as they are."""
    made, good = [machine.Pin(pin, machine.Pin.OUT, value=0) for pin in pins], 0
    for one in made:
        before = [other.value() for other in made]
        one.value(1)
        good += [other.value() for other in made] == [int(other is one) for other in made] and not any(before)
        one.value(0)
    for pin in pins:
        machine.Pin(pin, machine.Pin.IN)
    tell(good)


def edges(pin, active_low, for_ms):
    """How often the button's contact changes by itself; looks follow each other as fast as they can."""
    contact = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP if active_low else machine.Pin.PULL_DOWN)
    last, found, start = contact.value(), 0, time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), start) < for_ms:
        level = contact.value()
        found += level != last
        last = level
    watchdog.feed()
    tell(found)


def _idf(column):
    """Bytes of ESP-IDF's heap: 1 what is free, 3 the fewest that ever were."""
    gc.collect()
    return sum([region[column] for region in esp32.idf_heap_info(esp32.HEAP_DATA)])


def heaps():
    """[bytes of MicroPython's heap, [bytes free, largest free block] of each region of ESP-IDF's]"""
    gc.collect()
    regions = [[region[1], region[2]] for region in esp32.idf_heap_info(esp32.HEAP_DATA)]
    tell([gc.mem_alloc() + gc.mem_free() - max(region[1] for region in regions), regions])


def flash(blocks):
    """[us that a program takes, us that an erase takes, us of the worst block]: LittleFS programs its cache with each
    of these writes, and one of those that make a block erases the next one first."""
    data = bytes(CACHE_BYTES)
    programs, erases, whole = [], [], []
    with open(FILE, "wb") as file:
        for _ in range(blocks):
            took = [_elapsed_us(file.write, data) for _ in range(BLOCK_BYTES // CACHE_BYTES)]
            erases.append(max(took))
            programs.append(_mostly(took))
            whole.append(sum(took))
            watchdog.feed()
    os.remove(FILE)
    program = _mostly(programs)
    tell([program, _mostly(erases) - program, max(whole)])


def renames(count):
    """[us that a rename over a file takes, us of the worst]"""
    took = []
    for _ in range(count):
        with open(NEW_FILE, "wb") as file:
            file.write(bytes(CACHE_BYTES))
        took.append(_elapsed_us(os.rename, NEW_FILE, FILE))
        watchdog.feed()
    os.remove(FILE)
    tell([_median(took), max(took)])


def fs_bytes():
    size, _, blocks = os.statvfs("/")[:3]
    tell(size * blocks)


def now_us():
    tell(time.ticks_us())


def rtc_capacity():
    """Bytes: the largest power of two that it takes."""
    kept, size = bytes(machine.RTC().memory()), 64
    try:
        while size < 65536:
            machine.RTC().memory(bytes(size * 2))
            size *= 2
    except ValueError:
        pass
    machine.RTC().memory(kept)
    tell(size)


def rtc_read():
    tell(hexlify(bytes(machine.RTC().memory())).decode())


def rtc_write(text):
    machine.RTC().memory(unhexlify(text))


def wiring():
    """What the configuration in force says of pins, link and button; None on a board without one."""
    slot = globals()["_active"]()
    try:
        with open(slot + "/config.json" if slot else "config.json") as file:
            document = json.load(file)
        tell({key: document.get(key) for key in ("pins", "link", "button")})
    except (OSError, ValueError, AttributeError):
        tell(None)


def cause():
    tell(machine.reset_cause())


def stay_off():
    """The next start leaves the column off."""
    with open(SERVICE_FILE, "w"):
        pass


def clean():
    for name in (FILE, NEW_FILE, SERVICE_FILE):
        try:
            os.remove(name)
        except OSError:
            pass


def bite(timeout_ms):
    """Never returns."""
    machine.WDT(timeout=timeout_ms)
    print("starving")
    while True:
        pass


def wifi():
    """Bytes of ESP-IDF's heap that network.WLAN() takes, once a start."""
    import network

    before = _idf(1)
    network.WLAN(network.STA_IF)
    tell(before - _idf(1))


def handshake(ssid, password, host, port):
    """[1 if a TLS session finds room, ms that its handshake stalls the loop, bytes of ESP-IDF's heap that take: to join
    a Wi-Fi, a connection, a TLS session, a handshake on top of that]; what the server shows is not checked."""
    import socket

    import network
    import tls

    nic = network.WLAN(network.STA_IF)
    free = [_idf(1)]
    nic.active(True)
    if not nic.isconnected():
        nic.connect(ssid, password)
    for _ in range(800):
        if nic.isconnected():
            break
        time.sleep_ms(10)
        watchdog.feed()
    free.append(_idf(1))
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    setattr(context, "verify_mode", tls.CERT_NONE)  # the stubs do not know the attribute
    address = socket.getaddrinfo(host, port)[0][-1]
    before = _idf(1)
    plain = socket.socket()
    plain.connect(address)
    free.append(_idf(1))
    plain.setblocking(False)
    fits, stalled_ms, session, on_top = 1, None, None, None
    try:
        stalled_ms, session, on_top = _shake(context, plain, host, free[2])
    except (MemoryError, OSError) as error:
        if error.args and error.args[0] not in NO_MEMORY:
            raise
        fits = 0
    plain.close()
    tell([fits, stalled_ms, free[0] - free[1], before - free[2], session, on_top])


def _shake(context, plain, host, before):
    """(ms within its steps, bytes of the session, of the handshake on top); `before`: bytes that were free."""
    start = time.ticks_us()
    secured = context.wrap_socket(plain, do_handshake_on_connect=False, server_hostname=host)
    stalled_us = time.ticks_diff(time.ticks_us(), start)
    wrapped = lowest = _idf(1)
    ever = _idf(3)
    for _ in range(2000):
        start = time.ticks_us()
        sent = secured.write(b"\x10")
        stalled_us += time.ticks_diff(time.ticks_us(), start)
        if sent:
            break
        lowest = min(lowest, _idf(1))
        time.sleep_ms(5)
        watchdog.feed()
    if _idf(3) < ever:
        lowest = min(lowest, _idf(3))
    session = before - _idf(1)
    secured.close()
    return stalled_us / 1000, session, wrapped - lowest


clean()
