"""The pulse counter: it counts the contact's edges in hardware, also while the CPU is stalled."""

from . import pins, wires

UNITS = {"esp32": 8, "esp32s2": 4, "esp32s3": 4, "esp32c3": 0}
_FILTER_MAX = 1023


class PCNT:
    IGNORE = 0
    INCREMENT = 1
    DECREMENT = 2
    _made: dict = {}

    def __new__(cls, __id, *args, **kwargs):
        if not isinstance(__id, int) or not 0 <= __id < UNITS[wires.options["chip"]]:
            raise ValueError("invalid id")
        if __id not in cls._made:
            unit = cls._made[__id] = object.__new__(cls)
            unit.deinit()
        return cls._made[__id]

    def __init__(self, __id, **options) -> None:
        self.init(**options)

    def init(self, *, channel=0, pin=None, rising=None, falling=None, filter=None, min=None, max=None, value=None):
        """One channel only; without limits the count does not wrap. Raises ValueError naming the bad argument."""
        wires.touch()
        if channel not in (0, 1):
            raise ValueError("channel")
        if channel == 1 and (rising or falling):
            raise NotImplementedError("the simulated counter has channel 0 only")
        if filter is not None and not 0 <= filter <= _FILTER_MAX:
            raise ValueError("filter")
        for name, action in (("rising", rising), ("falling", falling)):
            if action not in (None, PCNT.IGNORE, PCNT.INCREMENT, PCNT.DECREMENT):
                raise ValueError(name)
        if value not in (None, 0):
            raise ValueError("value")
        self._settle()
        if pin is not None:
            self._pin = pins.pin_id(pin)
        if rising is not None:
            self._rising = rising
        if falling is not None:
            self._falling = falling
        if min is not None:
            self._min = min
        if max is not None:
            self._max = max
        self._settle()
        if value is not None:
            self._count = 0

    def value(self, value=None) -> int:
        if value not in (None, 0):
            raise ValueError("value")
        wires.touch()
        self._settle()
        count = self._count
        if value == 0:
            self._count = 0
        return count

    def start(self) -> None:
        self._settle()
        self._running = True

    def stop(self) -> None:
        self._settle()
        self._running = False

    def deinit(self) -> None:
        self._pin, self._rising, self._falling = -1, PCNT.IGNORE, PCNT.IGNORE
        self._count, self._seen, self._running = 0, (0, 0), False
        self._min = self._max = 0

    def _settle(self) -> None:
        """Add what was counted since the last look."""
        new = pins.edges(self._pin)
        if self._running:
            for i, action in ((0, self._rising), (1, self._falling)):
                step = 1 if action == PCNT.INCREMENT else -1 if action == PCNT.DECREMENT else 0
                self._count += step * (new[i] - self._seen[i])
        self._seen = new
        if self._max and self._count >= self._max:  # the chip starts at zero again
            self._count %= self._max
        if self._min and self._count <= self._min:
            self._count %= self._min


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
