"""Everything outside the package of the chip: contact, link, housing, voltages, and what the parent says of them."""

from . import host
from .contact import Contact, parse_wave

contact = Contact()
link = True
reason = 0  # why the access point throws the station out and refuses it; 0 = it does not
tamper = False
hang_task = b""  # the virtual RTC memory hangs when a breadcrumb begins with it
adc_uv = {}  # GPIO -> microvolts at the pin
options = {}
registers = None
ASK = object()  # the default of an argument that turns a question into a setting
trains = {}  # GPIO -> the pulses that PWM makes there
polls = []  # called on every touch: soft interrupts and timers
settlers = []  # called before a pull resistor changes: what counts adds what was until now
alarms = []  # each says in how many us its timer is due
woken = False  # an interrupt has woken the task that waits: a FreeRTOS notification
uart = None  # takes what comes over the serial port, of a chip that has one


def connect(values: dict, shared) -> None:
    global contact, link, tamper, options, registers
    options, registers = values, shared
    contact = Contact(values["contact"])
    link, tamper = bool(values["link"]), bool(values["tamper"])


def touch() -> None:
    """Take the parent's messages and let soft interrupts run: called whenever the device's code touches hardware."""
    line = host.poll_line()
    while line is not None:
        try:
            _receive(line)
        except (ValueError, IndexError) as error:
            host.say("chip: message %r refused: %s" % (line, error))
        line = host.poll_line()
    for poll in polls:
        poll()


def contact_level() -> int:
    """1 = closed. Asks the clock only while an edge is still to come."""
    return contact.level if contact.settled else contact.level_at(host.now_us())


def button_level(closed: int, pull: int | None, up: int) -> int:
    """What the button's pin reads: an open contact leaves it to its pull, and without any to what it should be."""
    active_low = options["button_active_low"]
    return 1 - active_low if closed else active_low if pull is None else int(pull == up)


def pin_level(pin: int, pulled_up: bool) -> int:
    """What an input reads: the wire that leads to it, else its pull resistor."""
    if pin == options["tamper_pin"]:
        return int(tamper)
    return int(pulled_up or options["pulls"] < 2)


def sleep_ms(ms: int) -> None:
    """Sleep, attentive: soft interrupts and timers run in between."""
    if 0 < ms < options["sleep_floor_ms"]:
        ms = options["sleep_floor_ms"]
    slice_ms = 2 if polls else 20
    end_us = host.now_us() + ms * 1000
    touch()
    while True:
        left_us = end_us - host.now_us()
        if left_us <= 0:
            return
        host.sleep_us(min(left_us, slice_ms * 1000))
        touch()


def wake() -> None:
    """What the interrupts of Pin and Timer do on top of scheduling their callback, and the pulse counter's do not."""
    global woken
    woken = True


def wait_for_tick() -> None:
    """ulTaskNotifyTake(pdFALSE, 1): until the next FreeRTOS tick, or until an interrupt wakes the task."""
    global woken
    tick_us = options["tick_ms"] * 1000
    now_us = host.now_us()
    end_us = now_us - now_us % tick_us + tick_us
    while not woken and now_us < end_us:
        until_us = min([end_us] + [now_us + alarm() for alarm in alarms])
        edge_us = contact.next_edge_after(now_us)
        if edge_us is not None and edge_us < until_us:
            until_us = edge_us
        host.wait_line(until_us - now_us)
        touch()
        now_us = host.now_us()
    woken = False


def hang() -> None:
    """The CPU spins for ever: nothing runs any more, least of all interrupts. Ends with the process."""
    while True:
        host.sleep_us(20000)
        host.poll_line()


def _receive(line: str) -> None:
    global link, reason, tamper, hang_task
    kind, _, rest = line.strip().partition(" ")
    if kind == "edges":
        edges = parse_wave(rest)
        # The parent may have been held up: then the finger comes later, and not for a shorter time.
        late_us = max(0, host.now_us() - edges[0][0])
        contact.replace_from(edges[0][0] + late_us, [(at_us + late_us, level) for at_us, level in edges])
    elif kind == "link":
        link = _flag(rest)
    elif kind == "reason":
        reason = int(rest)
    elif kind == "tamper":
        tamper = _flag(rest)
    elif kind == "hang":
        hang_task = rest.encode()
    elif kind == "adc":
        pin, microvolts = rest.split(" ")
        adc_uv[int(pin)] = int(microvolts)
    elif kind == "uart" and uart is not None:
        uart(rest)
    else:
        raise ValueError("must be edges, link, reason, tamper, hang or adc")


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return text == "1"
