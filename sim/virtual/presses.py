"""Watches the contact through the oracle: I5 and I6, and which presses I2 must find at the centre."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sim.virtual.board import VirtualBoard
from sim.virtual.checks.oracle import GAP_US, STALL_US, Oracle
from sim.virtual.timeline import US_PER_MS, US_PER_S, Event, Timeline

CALLING_US = 50 * US_PER_MS  # from the debounced press to `calling`
DURABLE_US = 292 * US_PER_MS  # ... and until it must be on flash, and the longest write on top
LATEST_US = 12 * US_PER_MS  # noted so long after the contact last was a press: sampling; the longest write on top
BEFORE_DECISION_US = 10 * US_PER_MS  # a stall that begins later may be the press's own journal record
IN_STALL_US = 20 * US_PER_MS  # not looked for so long: the loop stands still just now


@dataclass
class Press:
    """One MUST press, at the instant of its decision by the oracle."""

    t_us: int
    noted: bool = False  # it had time to become durable before any reset


class PressWatch:
    """`violate(invariant, text)` records a violation, `checks` what was looked at.

    `shows_call()`: the lamp says that it felt a press.
    """

    def __init__(
        self,
        timeline: Timeline,
        violate: Callable[[str, str], None],
        checks: Counter[str],
        shows_call: Callable[[], bool],
    ) -> None:
        self.presses: list[Press] = []
        self.oracle = Oracle()
        self._timeline = timeline
        self._violate = violate
        self._checks = checks
        self._shows_call = shows_call
        self._board: VirtualBoard | None = None
        self._stall = (0, 0)
        self._longest_write_us = 0  # of this board, for it is drawn
        self._next: Event | None = None

    def contact_changed(self, edges: list[tuple[int, int]]) -> None:
        self._follow()
        self.oracle.contact_changed(self._timeline.now_us, edges)
        self._arm()

    def life_begins(self, board: VirtualBoard) -> None:
        self._follow()
        self._board = board
        self._longest_write_us = board.hardware.costs.longest_write_us()
        self._stall = (0, 0)
        board.on_stall = self._stalled
        board.on_first_look = self._looks

    def _looks(self) -> None:
        """From now on the column looks at its contact; what ended while it booted cannot count."""
        self._follow()
        assert self._board is not None
        self.oracle.integrates(self._board.contact.counts)
        self.oracle.running(self._timeline.now_us, True)
        self._arm()

    def life_ends(self) -> None:
        self._follow()
        self._board = None
        self.oracle.running(self._timeline.now_us, False)

    def noted(self, maybe_earlier: bool) -> None:
        """The column took something for a press just now (or earlier, and only its record is new): I5."""
        now_us = self._timeline.now_us
        self._follow()
        self.oracle.noted()
        if maybe_earlier:
            return
        self._checks["I5"] += 1
        since_us = now_us - LATEST_US - self._longest_write_us
        if self._stall[1] >= since_us:
            since_us = min(since_us, self._stall[0])
        if not self.oracle.may_have_been_pressed(since_us, now_us):
            self._violate("I5", "a press was noted, but the contact shows none")

    def _stalled(self, start_us: int, end_us: int) -> None:
        self._follow()
        if end_us - start_us > STALL_US:
            if self.presses and self.presses[-1].t_us > start_us:
                self._judge_stall(start_us, end_us)
            elif self.oracle.was_released(start_us) and not self._can_tell(end_us, start_us, end_us):
                self.oracle.unseen(end_us)  # a press that begins in it: what is behind it has to be one by itself
            self.oracle.stall(start_us, end_us)
        elif end_us - start_us >= GAP_US:
            self.oracle.gap(start_us, end_us)
        if end_us - start_us > IN_STALL_US:
            self._stall = (start_us, end_us)

    def _judge_stall(self, start_us: int, end_us: int) -> None:
        """Take back the presses in a stall that nobody could tell from anything else behind it."""
        kept = [one for one in self.presses if one.t_us <= start_us or self._can_tell(one.t_us, start_us, end_us)]
        if len(kept) < len(self.presses) and self.oracle.was_released(start_us):
            self.oracle.taken_back(end_us)
        self.presses[:] = kept

    def _can_tell(self, press_us: int, start_us: int, end_us: int) -> bool:
        """Whether a press that falls into a stall, decided at `press_us`, has to be recognised behind it.

        Without a counter only a contact that was closed before and is open now tells. With one, closures count unless
        the contact was noisy just before: see firmware/debounce.py. Neither tells while the last press had not been let
        go for certain.
        """
        oracle = self.oracle
        if self._board is None or not self._board.contact.counts:
            if not oracle.level_at(start_us) or oracle.level_at(end_us):
                return False
        else:
            last_us = max((one.t_us for one in self.presses if one.t_us <= start_us), default=0)
            if oracle.is_noisy(start_us, last_us):
                return False
        return oracle.was_released(start_us) or oracle.is_one_press(start_us, press_us)

    def _arm(self) -> None:
        if self._next is not None:
            self._next.cancel()
        times = [t for t in (self.oracle.next_must_us(), self.oracle.next_edge_us()) if t is not None]
        self._next = self._timeline.at(min(times), self._step) if times else None

    def _step(self) -> None:
        self._follow()
        self._arm()

    def _follow(self) -> None:
        for t_us in self.oracle.advance(self._timeline.now_us):
            press = Press(t_us)
            self.presses.append(press)
            board = self._board
            self._timeline.at(t_us + CALLING_US, lambda board=board, t_us=t_us: self._check_calling(board, t_us))  # type: ignore[misc]
            durable_us = t_us + DURABLE_US + self._longest_write_us
            self._timeline.at(durable_us, lambda board=board, press=press: self._check_noted(board, press))  # type: ignore[misc]

    def _check_calling(self, board: VirtualBoard | None, t_us: int) -> None:
        """I6: the lamp follows within 50 ms; a stall that was under way already moves the end."""
        if board is None or board is not self._board:
            return  # reset meanwhile: a held button counts anew
        if all(press.t_us != t_us for press in self.presses):
            return  # it fell into a stall, and nobody could tell
        self._checks["I6"] += 1
        now_us = self._timeline.now_us
        began_us = t_us - BEFORE_DECISION_US
        if self._shows_call():
            return
        if board.unseen_us() > IN_STALL_US and now_us - board.unseen_us() <= began_us:
            self._timeline.after(IN_STALL_US, lambda: self._check_calling(board, t_us))
            return
        start_us, end_us = self._stall
        if start_us <= began_us and now_us < end_us + STALL_US + CALLING_US:
            self._timeline.at(end_us + STALL_US + CALLING_US, lambda: self._check_calling(board, t_us))
            return
        self._violate("I6", f"pressed at {t_us / US_PER_S:.6f} s, and the lamp does not say calling")

    def _check_noted(self, board: VirtualBoard | None, press: Press) -> None:
        if board is None or board is not self._board:
            return
        durable_us = DURABLE_US + self._longest_write_us
        if board.unseen_us() > IN_STALL_US or self._stall[1] > self._timeline.now_us - durable_us:
            self._timeline.after(durable_us, lambda: self._check_noted(board, press))
            return
        press.noted = True
