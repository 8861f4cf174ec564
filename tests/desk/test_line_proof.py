"""The proof of a connection, in virtual time."""

from __future__ import annotations

from desk.line_proof import EVERY_MS, HOPELESS_MS, LATE_MS, STALL_MS, STUCK_MS, UNPROVEN_MS, Proof

TICK_MS = 100


class Connection:
    """A connection that carries messages after `delay_ms`, or not at all; time passes by `wait`."""

    def __init__(self) -> None:
        self.proof, self.now_ms = Proof(), 1_000_000
        self.delay_ms: int | None = 50
        self.sent: list[tuple[int, bytes]] = []
        self.proof.begin(self.now_ms)

    def wait(self, ms: int, *, others: bool = False) -> None:
        for _ in range(0, ms, TICK_MS):
            self.now_ms += TICK_MS
            self.proof.look(self.now_ms)
            payload = self.proof.next(self.now_ms)
            if payload is not None:
                self.sent.append((self.now_ms, payload))
            if others:
                self.proof.heard(self.now_ms)
            while self.sent and self.delay_ms is not None and self.now_ms - self.sent[0][0] >= self.delay_ms:
                assert self.proof.returned(self.sent.pop(0)[1], self.now_ms)


def test_a_good_connection_is_asked_once_a_second_and_is_good() -> None:
    line = Connection()
    line.wait(10 * EVERY_MS)
    assert line.proof._number == 10
    assert line.proof.ever and not line.proof.is_late and not line.proof.is_stuck


def test_what_does_not_come_back_is_told_and_nothing_else_means_connect_again() -> None:
    line = Connection()
    line.wait(3 * EVERY_MS)
    line.delay_ms = None
    line.wait(LATE_MS - EVERY_MS)
    assert not line.proof.is_late
    line.wait(2 * EVERY_MS)
    assert line.proof.is_late and line.proof.is_stuck


def test_behind_a_queue_of_others_it_is_late_but_not_stuck_until_there_is_no_hope() -> None:
    line = Connection()
    line.wait(3 * EVERY_MS)
    line.delay_ms = None
    line.wait(LATE_MS + EVERY_MS, others=True)
    assert line.proof.is_late and not line.proof.is_stuck
    line.wait(HOPELESS_MS, others=True)
    assert line.proof.is_stuck


def test_the_others_have_ended_and_it_is_stuck_soon_after() -> None:
    """A flood of QoS 1 has left a connection that carries nothing."""
    line = Connection()
    line.wait(3 * EVERY_MS)
    line.delay_ms = None
    line.wait(LATE_MS + EVERY_MS, others=True)
    line.wait(STUCK_MS + TICK_MS)
    assert line.proof.is_stuck


def test_a_steady_delay_beyond_the_bound_is_late() -> None:
    line = Connection()
    line.delay_ms = LATE_MS + EVERY_MS
    line.wait(10 * LATE_MS)
    assert line.proof.is_late and not line.proof.is_stuck


def test_a_lost_one_is_overtaken() -> None:
    """A full queue drops one of them: what came later proves as much."""
    line = Connection()
    line.delay_ms = None
    line.wait(2 * EVERY_MS)
    line.sent.pop(0)
    line.delay_ms = 50
    line.wait(2 * LATE_MS)
    assert not line.proof.is_late


def test_a_process_that_stood_still_does_not_blame_the_broker() -> None:
    line = Connection()
    line.delay_ms = None
    line.wait(2 * EVERY_MS)
    line.now_ms += STALL_MS + 60_000
    line.proof.look(line.now_ms)
    assert not line.proof.is_late


def test_who_never_gives_any_back_is_asked_less_and_less_often() -> None:
    line = Connection()
    line.delay_ms = None
    lasted = []
    for _ in range(6):
        began_ms = line.now_ms
        while not line.proof.is_stuck:
            line.wait(TICK_MS)
        lasted.append(line.now_ms - began_ms)
        line.proof.begin(line.now_ms)
    assert lasted[0] <= LATE_MS + 2 * EVERY_MS and sorted(lasted) == lasted
    assert UNPROVEN_MS <= lasted[-1] <= UNPROVEN_MS + EVERY_MS and line.proof.may_be_forbidden


def test_nobody_elses_words_are_proof() -> None:
    line = Connection()
    line.delay_ms = None
    line.wait(LATE_MS + 2 * EVERY_MS)
    mark = line.sent[0][1].split()[0]
    forged = (b"", b"x", b"1", b"x 1", mark, mark + b" 99", mark + b" -1", mark + b" \xd9\xa1", b"\xff" * 9)
    assert not any(line.proof.returned(payload, line.now_ms) for payload in forged)
    assert line.proof.is_late
    assert line.proof.returned(line.sent[-1][1], line.now_ms)
