"""The pulse counter: two channels a unit, limits at which the value returns to 0, events that last until they are read.

It counts in hardware, also while the CPU is stalled. As in ports/esp32/esp32_pcnt.c: an event schedules its handler and
wakes nobody, and `value` runs the handlers that are still to come; as in IDF's pcnt_set_pin, making a channel turns its
pins into inputs, switches their pull-ups on and their pull-downs off.
"""

from . import host, pins, pulses, wires

UNITS = {"esp32": 8, "esp32s2": 4, "esp32s3": 4, "esp32c3": 0}
_FILTER_MAX = 1023
_LIMIT_MAX = 32767


class _Channel:
    def __init__(self) -> None:
        self.pin = self.mode_pin = -1
        self.actions = [0, 0]  # what a rising and a falling edge adds
        self.modes = [0, 0]  # NORMAL, REVERSE or HOLD at a low and at a high mode pin
        self.seen = 0  # edges of the train on its pin
        self.seen_button = (0, 0)  # rising and falling ones, if that is on it

    def adds(self, edge: int, mode_level: int) -> int:
        mode = self.modes[mode_level]
        return 0 if mode == PCNT.HOLD else self.actions[edge] * (-1 if mode == PCNT.REVERSE else 1)


class _Irq:
    def __init__(self, unit) -> None:
        self._unit = unit
        self.handler = None
        self.mask = 0
        self.latched = 0

    def flags(self) -> int:
        self._unit._settle()
        latched, self.latched = self.latched, 0
        return latched

    def trigger(self, *new) -> int:
        if new:
            self.mask = new[0]
        return self.mask


class PCNT:
    IGNORE = 0
    INCREMENT = 1
    DECREMENT = 2
    NORMAL = 0
    REVERSE = 1
    HOLD = 2
    IRQ_THRESHOLD1 = 4
    IRQ_THRESHOLD0 = 8
    IRQ_MIN = 16
    IRQ_MAX = 32
    IRQ_ZERO = 64
    _made: dict = {}
    _irq: _Irq = None  # type: ignore[assignment]

    def __new__(cls, __id, *args, **kwargs):
        if not isinstance(__id, int) or not 0 <= __id < UNITS[wires.options["chip"]]:
            raise ValueError("invalid id")
        if __id not in cls._made:
            unit = cls._made[__id] = object.__new__(cls)
            unit._irq = _Irq(unit)
            unit._running = False
            unit._settled_us = unit._filter = 0
            unit.deinit()
            wires.polls.append(unit._interrupt)
            wires.settlers.append(unit._settle)
        return cls._made[__id]

    def __init__(self, __id, **options) -> None:
        self.init(**options)

    def init(self, *, channel=0, pin=None, rising=None, falling=None, mode_pin=None, mode_low=None, mode_high=None,
             filter=None, min=None, max=None, threshold0=None, threshold1=None, value=None):  # fmt: skip
        """Raises ValueError naming the bad argument."""
        wires.touch()
        if channel not in (0, 1):
            raise ValueError("channel")
        if mode_pin is not None and pin is None:
            raise ValueError("pin")
        if threshold0 is not None or threshold1 is not None:
            raise NotImplementedError("the simulated counter has no thresholds")
        if filter is not None and not 0 <= filter <= _FILTER_MAX:
            raise ValueError("filter")
        if filter is not None:
            self._filter = filter
        if value not in (None, 0):
            raise ValueError("value")
        if min is not None and not -_LIMIT_MAX - 1 <= min <= 0:
            raise ValueError("minimum")
        if max is not None and not 0 <= max <= _LIMIT_MAX:
            raise ValueError("maximum")
        self._settle()
        self._wire(self._channels[channel], pin, mode_pin)
        self._act(self._channels[channel], rising, falling, mode_low, mode_high)
        self._limit(min, max)
        self._seen()
        if (min, max, value) != (None, None, None):
            self._count.value = 0

    def _wire(self, channel, pin, mode_pin) -> None:
        for name, given in (("pin", pin), ("mode_pin", mode_pin)):
            if given is not None:
                setattr(channel, name, pins.becomes_counter_input(given))

    def _act(self, channel, rising, falling, mode_low, mode_high) -> None:
        if (rising, falling, mode_low, mode_high) == (None, None, None, None):
            return
        for name, action in (
            ("rising", rising),
            ("falling", falling),
            ("mode_low", mode_low),
            ("mode_high", mode_high),
        ):
            if action not in (None, 0, 1, 2):
                raise ValueError(name)
        channel.actions = [(0, 1, -1)[action or 0] for action in (rising, falling)]
        channel.modes = [mode_low or PCNT.NORMAL, mode_high or PCNT.NORMAL]

    def _limit(self, low, high) -> None:
        if low is not None:
            self._count.low = low or -pulses.NO_LIMIT
        if high is not None:
            self._count.high = high or pulses.NO_LIMIT

    def value(self, value=None) -> int:
        if value not in (None, 0):
            raise ValueError("value")
        wires.touch()
        while True:
            self._settle()
            if not self._irq.latched or self._irq.handler is None:
                break
            self._irq.handler(self)  # which has to ask for the flags
        count = self._count.value
        if value == 0:
            self._count.value = 0
        return count

    def irq(self, handler=wires.ASK, trigger=IRQ_ZERO):
        self._settle()
        if handler is not wires.ASK:
            self._irq.handler = handler
            self._irq.mask = trigger if handler is not None else 0
        return self._irq

    def start(self) -> None:
        self._settle()
        self._running = True

    def stop(self) -> None:
        self._settle()
        self._running = False

    def deinit(self) -> None:
        self._channels = (_Channel(), _Channel())
        self._filter = 0
        self._count = pulses.Count()
        self._running = False
        self._irq.handler, self._irq.mask = None, 0
        self._settled_us = host.now_us()

    def _latched(self) -> int:
        self._settle()
        return self._irq.latched

    def _interrupt(self) -> None:
        """The scheduled handler."""
        if self._irq.handler is not None:
            self._settle()
            if self._irq.latched:
                self._irq.handler(self)

    def _seen(self) -> None:
        for channel in self._channels:
            channel.seen = pins.pulse_edges(channel.pin, self._settled_us)
            channel.seen_button = pins.edges(channel.pin)

    def _settle(self) -> None:
        """Add what was counted since the last look: span by span between the edges of the contact."""
        until_us = host.now_us()
        if not self._running:
            self._settled_us = until_us
            self._seen()
            return
        contact = wires.contact
        at_us = contact.since(self._settled_us)
        contact.level_at(at_us)
        while at_us < until_us:
            edge_us = contact.next_edge_after(at_us)
            end_us = until_us if edge_us is None or edge_us > until_us else edge_us
            level = contact.level_at(at_us)
            for channel in self._channels:
                self._add_train(channel, level, end_us)
            at_us = end_us
        for channel in self._channels:
            self._add_contact(channel)
        self._settled_us = until_us
        events = self._count.take_events()
        mask = PCNT.IRQ_MAX * (events & pulses.AT_MAX != 0) + PCNT.IRQ_MIN * (events & pulses.AT_MIN != 0)
        if self._irq.handler is not None:
            self._irq.latched |= mask & self._irq.mask

    def _add_train(self, channel, level, end_us: int) -> None:
        train = pins.train_on(channel.pin)
        if train is None:
            return
        seen, channel.seen = channel.seen, train.edges_until(end_us)
        if train.shortest_us() * _FILTER_MAX < self._filter * wires.options["counter_filter_us"]:
            return  # the filter takes none of them for a pulse
        mode_level = pins.level_when(channel.mode_pin, level)
        self._count.run(seen, channel.seen, channel.adds(0, mode_level), channel.adds(1, mode_level))

    def _add_contact(self, channel) -> None:
        """Edges that the parent told of too late count as well."""
        seen, channel.seen_button = channel.seen_button, pins.edges(channel.pin)
        for edge in (0, 1):
            for _ in range(channel.seen_button[edge] - seen[edge]):
                self._count.step(channel.adds(edge, 1))


def while_flash_is_busy(for_us: int) -> None:
    """All code in flash is out of reach, and the handler of an event is there: C20, a panic."""
    try:
        units = list(PCNT._made.values())
    except MemoryError:  # MicroPython's heap is locked: its collector closes a file that somebody left open
        host.sleep_us(for_us)
        return
    before = [unit._latched() for unit in units]
    host.sleep_us(for_us)
    if [unit._latched() for unit in units] != before:
        host.say("Guru Meditation Error: Core 0 panic'ed (Cache disabled but cached memory region accessed).")
        host.say('\x01{"reset":"hard"}')
        host.end(0)


class Counter:
    """`machine.Counter`: a PCNT unit that goes on beyond its limits."""

    RISING = 1
    FALLING = 2
    UP = PCNT.INCREMENT
    DOWN = PCNT.DECREMENT
    _made: dict = {}

    def __new__(cls, id, *args, **kwargs):
        if id not in cls._made:
            cls._made[id] = object.__new__(cls)
        return cls._made[id]

    def __init__(self, id, *args, filter_ns=0, **kwargs) -> None:
        if not hasattr(self, "_pcnt"):
            self._id, self._pcnt = id, PCNT(id)
        elif not (args or kwargs):
            return
        self._configure(*args, **kwargs)
        self._pcnt.init(filter=min(max(0, filter_ns * 80 // 1000), _FILTER_MAX), value=0)
        self._offset = 0
        self._pcnt.start()

    def _configure(self, src, edge=RISING, direction=UP) -> None:
        self._pcnt.init(
            pin=src,
            rising=direction if edge & Counter.RISING else PCNT.IGNORE,
            falling=direction if edge & Counter.FALLING else PCNT.IGNORE,
        )

    def init(self, src, *args, **kwargs) -> None:
        self.__init__(self._id, src, *args, **kwargs)  # type: ignore[misc]

    def value(self, value=None) -> int:
        if not hasattr(self, "_pcnt"):
            raise RuntimeError("not initialised")
        current = self._pcnt.value()
        result = current + self._offset
        if value is not None:
            self._offset = value - current
        return result

    def deinit(self) -> None:
        if hasattr(self, "_pcnt"):
            self._pcnt.deinit()
            del self._pcnt
