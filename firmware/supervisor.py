"""The loop: steps every task when it is due, looks at the button in between, and feeds the watchdog on progress.

A task is an object with a `name` and `step() -> ms until it wants the next step`. A task that raises is dead: its
name and traceback go to flash, the watchdog is not fed any more, and the others go on until it bites. A task that
hangs stops the loop; its name stands in the scratch memory, which outlives the reset.
"""

from firmware import const, resets
from firmware.button import ACTIVE_MS

_WAIT_MAX_MS = const(2000)  # the loop turns at least so often: the watchdog's shortest timeout is 2 s
_FEED_SHARE = const(3)
_TOGETHER_MS = const(1000)  # an idle loop that wakes steps what is due within this as well, and then sleeps longer


class _Entry:
    def __init__(self, task, now):
        self.task = task
        self.due = now  # in ticks: looked at every 2 s, so that their wrap does no harm
        self.every_turn = getattr(task, "every_turn", False)
        self.crumb = resets.crumb(task.name, False)


class Supervisor:
    """`timeout_ms` of the hardware watchdog, 2000..60000."""

    def __init__(self, board, button, tasks, timeout_ms: int):
        self._board = board
        self._button = button
        self._entries = [_Entry(task, board.ticks_ms()) for task in tasks]
        self._own = resets.crumb("supervisor", False)
        self._wait_max_ms = min(_WAIT_MAX_MS, timeout_ms // _FEED_SHARE)
        self._watchdog = board.watchdog(timeout_ms)
        self._slack_ms = 0
        self._hurry = False
        self.clock_trusted = False
        self.culprit = None

    def add(self, task) -> None:
        """A task that comes later, and may go again."""
        self._entries = self._entries + [_Entry(task, self._board.ticks_ms())]
        self._entries[-1].crumb = resets.crumb(task.name, self.clock_trusted)

    def drop(self, task) -> None:
        self._entries = [entry for entry in self._entries if entry.task is not task]

    def hurry(self) -> None:
        """The next turn follows at once: a press was decided after the uplink had its step in this one."""
        self._hurry = True

    def run(self) -> None:
        """Never returns."""
        while True:
            self.turn()

    def trust_clock(self) -> None:
        """The time is right from now on, and still will be after a reset that keeps the power: the crumbs say so."""
        self.clock_trusted = True
        self._own = resets.crumb("supervisor", True)
        for entry in self._entries:
            entry.crumb = resets.crumb(entry.task.name, True)

    def turn(self) -> None:
        """One pass over all tasks, then a wait."""
        board = self._board
        now, slack_ms = board.ticks_ms(), self._slack_ms
        for entry in self._entries:
            if entry.every_turn or board.ticks_diff(entry.due, now) <= slack_ms:
                self._step(entry)
                self._look(-1)
        if self.culprit is None:
            board.scratch.write(self._own)
            self._watchdog.feed()  # every task that was due has come back
        wait_ms = self._wait_ms()
        self._slack_ms = _TOGETHER_MS if wait_ms >= _TOGETHER_MS else wait_ms // 2
        self._look(board.wait(wait_ms))

    def _step(self, entry):
        board = self._board
        if self.culprit is None:
            board.scratch.write(entry.crumb)
        try:
            wants_ms = min(entry.task.step(), _WAIT_MAX_MS)  # none sleeps for ever, whatever it asks for
            entry.due = board.ticks_add(board.ticks_ms(), wants_ms)
        except Exception as error:
            self._died(entry, error)

    def _look(self, unseen_ms):
        try:
            self._button.look(unseen_ms)
        except Exception as error:
            self._died(None, error)

    def _died(self, entry, error):
        name = entry.task.name if entry else self._button.name
        if entry:
            self.drop(entry.task)
        if self.culprit is not None:
            return
        self.culprit = name
        self._board.scratch.write(resets.crumb(name, self.clock_trusted))
        try:
            text = self._board.describe_error(error)
            self._board.log("supervisor: task %s died:\n%s" % (name, text))
            resets.keep(self._board, name, text)
        except MemoryError:
            pass  # what it died of may leave no room to say so: the crumb names it all the same

    def _wait_ms(self):
        if self._hurry:
            self._hurry = False
            return 0
        if self._button.is_busy():
            return ACTIVE_MS
        board, wait_ms = self._board, self._wait_max_ms
        now = board.ticks_ms()
        for entry in self._entries:
            left_ms = board.ticks_diff(entry.due, now)
            if left_ms < wait_ms:
                wait_ms = left_ms
        return max(0, wait_ms)
