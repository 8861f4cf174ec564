"""The button: looks at the contact, asks the debouncer, and reports presses, releases and a stuck contact."""

from firmware import const, outcomes
from firmware.timing import Stopwatch

_IDLE_MS = const(2000)
ACTIVE_MS = const(1)  # between looks while something is under way
CALM_MAX_MS = const(300)  # bounce (157 ms), debounce and some; a contact that chatters for ever holds up nothing


class Button:
    """`on_press(age_ms, in_stall)`, `on_release()`, `on_stuck(is_stuck)` and `on_failed(why)`, with which looks take
    over from the pulse counter, are called from `look`.

    `held_at_boot`: the journal says that the contact was closed, its alarm raised, when the board went down. If it is
    still closed now, that is the same press and not a new one.
    """

    name = "button"

    def __init__(self, board, config, on_press, on_release, on_stuck, on_failed, held_at_boot):
        self._board = board
        self._press_ms = config["press_ms"]
        self._stall_ms = config["stall_ms"]
        self._stuck_ms = config["stuck_s"] * 1000
        self._on_press = on_press
        self._on_release = on_release
        self._on_stuck = on_stuck
        self._on_failed = on_failed
        self._release_ms = config["release_ms"]
        self._debouncer = self._by_counter() or self._by_looks()
        self._level = Stopwatch(board)  # since the contact last changed
        self.held_for = Stopwatch(board)  # since the last press
        self._busy = Stopwatch(board)  # since the debouncer was last settled
        self._last_ticks = board.ticks_ms()
        self._held_at_boot = held_at_boot
        self.is_stuck = False
        self.presses = 0  # since the board booted
        self.closures = 0  # closing edges since then, where the chip counts them
        self.was_closed = board.contact.is_closed()
        board.contact.closures()  # forget what was counted before we looked
        if held_at_boot and not self.was_closed:
            self._let_go()
        # From open to whatever it is: a button held while the board boots still counts.
        self._debouncer.sample(0, self.was_closed, None)

    def look(self, unseen_ms: int = -1) -> None:
        """Take a sample. `unseen_ms`: what `board.wait` returned; -1: it was not sampled since the last call."""
        ticks = self._board.ticks_ms()
        if ticks == self._last_ticks:
            return  # less than a tick: the level is looked at in the next one
        dt_ms = self._board.ticks_diff(ticks, self._last_ticks)
        self._last_ticks = ticks
        closures = self._board.contact.closures()  # before the level: else a closure between the two counts twice
        closed = self._board.contact.is_closed()
        self.closures += closures or 0
        was_closed = self.was_closed
        self._follow_level(closed)
        if self._debouncer.is_settled():
            self._busy.restart()
        if 0 <= unseen_ms < dt_ms and not self._debouncer.by_counter:
            self._sample(dt_ms - unseen_ms, was_closed, 0)
            dt_ms = unseen_ms
        self._sample(dt_ms, closed, closures)

    def step(self) -> int:
        """Ask for looks as often as the debouncer needs them; watch for a stuck contact."""
        held_ms = self.held_for.ms()
        if held_ms >= self._stuck_ms and self._debouncer.pressed and not self.is_stuck:
            self.is_stuck = True
            self._on_stuck(True)
        return _IDLE_MS if self._debouncer.is_settled() else ACTIVE_MS

    def is_busy(self) -> bool:
        """The debouncer is about to decide: look often."""
        return not self._debouncer.is_settled()

    def wants_calm(self) -> bool:
        """A press may be under way, and not for long: nothing that stalls the loop should begin now."""
        return self.is_busy() and self._busy.ms() < CALM_MAX_MS

    def is_touched(self) -> bool:
        """Somebody is at it: no restart now. A contact that is stuck or chatters for ever is nobody."""
        return self.wants_calm() or (self.was_closed and not self.is_stuck and not self.is_busy())

    def _follow_level(self, closed):
        if self._held_at_boot and not self.was_closed and self._level.ms() >= self._release_ms:
            self._let_go()  # it opened while we booted: what comes next is a new press
        if closed != self.was_closed:
            self.was_closed = closed
            self._level.restart()

    def _sample(self, dt_ms, closed, closures):
        self._report(self._debouncer.sample(dt_ms, closed, closures), dt_ms)
        if self._debouncer.by_counter and self._debouncer.failed:
            self._distrust(self._debouncer)

    def _distrust(self, counted):
        self._debouncer = self._by_looks()
        self._debouncer.pressed = counted.pressed
        self._debouncer.sample(0, self.was_closed, None)
        self._on_failed(counted.failed)

    def _by_counter(self):
        integrator = self._board.contact.integrate(self._press_ms)
        if integrator:
            from firmware.counted import Counted  # the one debouncer or the other is in memory

            return Counted(integrator, self._press_ms, self._release_ms)

    def _by_looks(self):
        from firmware.debounce import Debouncer

        return Debouncer(self._press_ms, self._release_ms, self._stall_ms)

    def decides(self) -> str:
        """Who decides what is a press, for the birth message."""
        return "counter" if self._debouncer.by_counter else "interrupts"

    def _report(self, outcome, dt_ms):
        if outcome == outcomes.PRESS:
            self.held_for.restart()
            self.presses += 1
            if self._held_at_boot:
                self._held_at_boot = False
            else:
                self._on_press(max(self._level.ms(), self._press_ms), False)
        elif outcome == outcomes.PRESS_IN_STALL:
            self.held_for.restart()
            self.presses += 1
            self._held_at_boot = False
            self._on_press(max(dt_ms, self._busy.ms()), True)
            if not self._debouncer.pressed:
                self._let_go()
        elif outcome == outcomes.RELEASE:
            self._let_go()

    def _let_go(self):
        self._held_at_boot = False
        if self.is_stuck:
            self.is_stuck = False
            self._on_stuck(False)
        self._on_release()
