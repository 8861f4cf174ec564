"""Pin, PWM and ADC of the virtual `machine`. A name that begins with two underscores is positional only (PEP 484)."""

from . import errno, host, pulses, wires

_LEVEL_MAX = 65535
_DEFAULT_PWM_HZ = 5000
_TRUE_HZ = 1000  # what the option `pulse_hz` says of a chip whose clock is right
_MAX_PWM_HZ = 40000000
_IRQ_QUEUE = 8  # MicroPython's scheduler: what does not fit is lost without a word
_DEFAULT_ADC_UV = 1000000
_NEVER_US = 1 << 29

# chip: (spans of pins that exist and are not the flash's, first pin without an output stage, spans of ADC1, ADC2,
# PWM channels)
_NONE = 99
_SILICON = {
    "esp32": (
        ((0, 5), (12, 19), (21, 23), (25, 27), (32, 39)),
        34,
        ((32, 39),),
        ((0, 0), (2, 2), (4, 4), (12, 15), (25, 27)),
        16,
    ),
    "esp32s2": (((0, 21), (33, 46)), 46, ((1, 10),), ((11, 20),), 8),
    "esp32s3": (((0, 21), (33, 48)), _NONE, ((1, 10),), ((11, 20),), 8),
    "esp32c3": (((0, 10), (18, 21)), _NONE, ((0, 4),), ((5, 5),), 6),
}


def _silicon() -> tuple:
    return _SILICON[wires.options["chip"]]


def _within(number: int, spans: tuple) -> bool:
    return any(first <= number <= last for first, last in spans)


def pin_id(pin) -> int:
    """GPIO number of a Pin or an int. Raises ValueError for a pin that does not exist or serves the flash."""
    number = pin._number if isinstance(pin, Pin) else pin
    if not isinstance(number, int) or not _within(number, _silicon()[0]):
        raise ValueError("invalid pin")
    return number


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3
    _made: dict = {}
    _number = 0
    _mode: int | None = None
    _pull: int | None = None
    _level = 0
    _irq = None

    def __new__(cls, __id, *args, **kwargs):
        number = pin_id(__id)
        if number not in cls._made:
            pin = cls._made[number] = object.__new__(cls)
            pin._number = number
        return cls._made[number]

    def __init__(self, __id, mode=-1, pull=-1, *, value=None, drive=None) -> None:
        self.init(mode, pull, value=value, drive=drive)

    def init(self, mode=-1, pull=-1, *, value=None, drive=None) -> None:
        input_only = self._number >= _silicon()[1]
        if mode not in (-1, None, Pin.IN, Pin.OUT, Pin.OPEN_DRAIN):
            raise ValueError("invalid pin mode")
        if input_only and (mode in (Pin.OUT, Pin.OPEN_DRAIN) or pull not in (-1, None)):
            raise ValueError("pin can only be input")
        changed = value is not None and (self._mode == Pin.IN or bool(value) != self._level)
        if value is not None:
            self._level = int(bool(value))
        if mode not in (-1, None):
            changed = changed or (mode != Pin.IN and mode != self._mode)
            self._mode = mode
            wires.trains.pop(self._number, None)
        if pull != -1:
            if pull != self._pull:
                for settle in wires.settlers:
                    settle()
            self._pull = pull
        if changed and self._mode in (Pin.OUT, Pin.OPEN_DRAIN):
            self._tell()

    def value(self, __x=wires.ASK):
        if __x is wires.ASK:
            wires.touch()
            if self._mode == Pin.OUT:
                return 0 if self._number == wires.options["stuck_pin"] else self._level
            if self._number == wires.options["button"]:
                return level_when(self._number, wires.contact_level())
            driven = _driven(self._number)
            if driven is not None:
                return driven
            return wires.pin_level(self._number, self._pull == Pin.PULL_UP)
        new = int(bool(__x))
        if new != self._level:
            self._level = new
            if self._mode in (Pin.OUT, Pin.OPEN_DRAIN):
                self._tell()

    __call__ = value

    def on(self) -> None:
        self.value(1)

    def off(self) -> None:
        self.value(0)

    def irq(self, handler=None, trigger=3, *, hard=False):
        """It wakes whoever waits, and its `handler(pin)` runs when the device's code touches hardware next."""
        if hard:
            raise ValueError("hard interrupts are not supported")
        if trigger & ~3 or not trigger:
            raise NotImplementedError("the simulated chip has IRQ_RISING and IRQ_FALLING only")
        if self._irq is not None:
            wires.polls.remove(self._irq)
            self._irq = None
            if _edge_due in wires.alarms and self._number == wires.options["lead_to"]:
                wires.alarms.remove(_edge_due)
        if handler is not None:
            self._irq = _edge_poll(self, handler, trigger)
            wires.polls.append(self._irq)
            if self._number == wires.options["lead_to"]:
                wires.alarms.append(_edge_due)
        return self

    @classmethod
    def _is_output(cls, number: int) -> bool:
        return number in cls._made and cls._made[number]._mode in (Pin.OUT, Pin.OPEN_DRAIN)

    def __repr__(self) -> str:
        return "Pin(%d)" % self._number

    def _tell(self) -> None:
        host.say('\x01{"pin":%d,"value":%d,"t_us":%d}' % (self._number, self._level, host.now_us()))


def becomes_counter_input(given) -> int:
    """IDF's pcnt_set_pin: whatever drove the pin no longer does, and it is pulled up and not down."""
    number = pin_id(given)
    pulls_up = wires.options["counter_pulls_up"] and number < _silicon()[1]
    Pin(number).init(Pin.IN, Pin.PULL_UP if pulls_up else -1)
    return number


def level_when(number: int, closed: int) -> int:
    """What the pin reads while the contact is so."""
    if number < 0:
        return 1  # no pin: constant
    if number == wires.options["button"]:
        return wires.button_level(closed, Pin(number)._pull, Pin.PULL_UP)
    return wires.pin_level(number, Pin(number)._pull == Pin.PULL_UP)


def train_on(number: int):
    """The pulses on that pin: its own, or those that come over the lead; None where there are none."""
    train = wires.trains.get(number)
    if train is None and number == wires.options["lead_to"]:
        train = wires.trains.get(wires.options["lead_from"])
    return train


def pulse_edges(number: int, t_us: int) -> int:
    """Edges of the train on that pin by then; 0 where there is none."""
    train = train_on(number)
    return 0 if train is None else train.edges_until(t_us)


def _driven(number: int) -> int | None:
    """The level that comes over the lead; None without one, or from a pin that drives nothing."""
    source = wires.options["lead_from"]
    if number != wires.options["lead_to"] or source < 0:
        return None
    train = wires.trains.get(source)
    if train is not None:
        return train.edges_until(host.now_us()) % 2
    return Pin._made[source]._level if Pin._is_output(source) else None


def _edge_due() -> int:
    """In how many us the next edge of the lead's train has woken whoever waits."""
    train, wake_us = train_on(wires.options["lead_to"]), wires.options["wake_us"]
    if train is None:
        return _NEVER_US
    now_us = host.now_us()
    return train.next_edge_after(now_us - wake_us) + wake_us - now_us


def edges(pin: int) -> tuple[int, int]:
    """(rising, falling) edges that the pin has seen since power-on; the button's only, other pins do not move."""
    if pin != wires.options["button"]:
        return 0, 0
    closures = wires.contact.closures_until(host.now_us())
    openings = closures - wires.contact.level + wires.options["contact"]
    return (openings, closures) if wires.options["button_active_low"] else (closures, openings)


def _interrupts(pin: int) -> tuple[int, int]:
    """As `edges`; those that come over the lead a little later."""
    if pin != wires.options["lead_to"]:
        return edges(pin)
    found = pulse_edges(pin, host.now_us() - wires.options["wake_us"])
    return (found + 1) // 2, found // 2


def _edge_poll(pin: Pin, handler, trigger: int):
    seen = _interrupts(pin._number)

    def poll() -> None:
        nonlocal seen
        new = _interrupts(pin._number)
        count = (new[0] - seen[0]) * (trigger & Pin.IRQ_RISING != 0) + (new[1] - seen[1]) * (trigger >> 1)
        seen = new
        if count:
            wires.wake()
        for _ in range(min(count, _IRQ_QUEUE)):
            handler(pin)

    return poll


class PWM:
    _channels: set = set()

    def __init__(self, __dest, *, freq=None, duty_u16=None, duty_ns=None) -> None:
        self._number = pin_id(__dest)
        if self._number >= _silicon()[1]:
            raise ValueError("pin can only be input")
        self._channels.add(self._number)
        if len(self._channels) > _silicon()[4]:
            self._channels.remove(self._number)
            raise RuntimeError("out of PWM channels:%d" % _silicon()[4])
        self._hz, self._duty = _DEFAULT_PWM_HZ, 0
        self.init(freq=freq, duty_u16=duty_u16, duty_ns=duty_ns)
        if duty_u16 is None and duty_ns is None:
            self.duty_u16(_LEVEL_MAX // 2 + 1)  # as on the chip

    def init(self, *, freq=None, duty_u16=None, duty_ns=None) -> None:
        if freq is not None:
            self.freq(freq)
        if duty_u16 is not None:
            self.duty_u16(duty_u16)
        if duty_ns is not None:
            self.duty_ns(duty_ns)

    def freq(self, __hz=wires.ASK):
        if __hz is wires.ASK:
            return self._hz
        if not 1 <= __hz <= _MAX_PWM_HZ:
            raise ValueError("frequency must be from 1Hz to 40MHz")
        self._hz = __hz

    def duty_u16(self, __duty=wires.ASK):
        if __duty is wires.ASK:
            return self._duty
        if not 0 <= __duty <= _LEVEL_MAX:
            raise ValueError("duty_u16 must be from 0 to %d" % _LEVEL_MAX)
        if self._number not in self._channels:
            raise RuntimeError("PWM is inactive")
        self._set(__duty)

    def duty_ns(self, __ns=wires.ASK):
        if __ns is wires.ASK:
            return self._duty * 1000000000 // (self._hz * _LEVEL_MAX)
        self.duty_u16(min(_LEVEL_MAX, __ns * self._hz * _LEVEL_MAX // 1000000000))

    def deinit(self) -> None:
        self._set(0)
        self._channels.discard(self._number)

    def _set(self, duty: int) -> None:
        """Every write is told, also one that changes nothing: the parent knows by it that a colour is complete."""
        wires.touch()
        self._duty = duty
        period_us = 1000000 * _TRUE_HZ // (self._hz * wires.options["pulse_hz"])
        high_us = period_us * duty // _LEVEL_MAX
        if 0 < high_us < period_us and wires.options["pulse"]:
            wires.trains[self._number] = pulses.Train(host.now_us(), period_us, high_us)
        else:
            wires.trains.pop(self._number, None)
        host.say('\x01{"pin":%d,"duty":%d,"t_us":%d}' % (self._number, duty, host.now_us()))


def _floating_uv(number: int) -> int:
    """At a pin that nothing drives but its pull resistor."""
    pull = Pin._made[number]._pull if number in Pin._made else None
    levels = {Pin.PULL_UP: wires.options["adc_high_mv"] * 1000, Pin.PULL_DOWN: wires.options["adc_low_mv"] * 1000}
    return levels.get(pull, _DEFAULT_ADC_UV)


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    _FULL_SCALE_UV = (950000, 1250000, 1750000, 2450000)
    _wifi_active = False  # ADC2 belongs to the Wi-Fi driver while that is on

    def __init__(self, pin, *, atten=0) -> None:
        self._number = pin_id(pin)
        if not _within(self._number, _silicon()[2]) and not _within(self._number, _silicon()[3]):
            raise ValueError("invalid pin")
        self.atten(atten)

    def init(self, *, atten=0) -> None:
        self.atten(atten)

    def atten(self, atten) -> None:
        if atten not in (0, 1, 2, 3):
            raise ValueError("invalid attenuation")
        self._atten = atten

    def read_uv(self) -> int:
        wires.touch()
        if _within(self._number, _silicon()[3]) and ADC._wifi_active:
            raise errno.error("ETIMEDOUT")
        microvolts = wires.adc_uv.get(self._number)
        if microvolts is None:
            microvolts = _floating_uv(self._number)
        return min(microvolts, self._FULL_SCALE_UV[self._atten])

    def read_u16(self) -> int:
        return self.read_uv() * _LEVEL_MAX // self._FULL_SCALE_UV[self._atten]
