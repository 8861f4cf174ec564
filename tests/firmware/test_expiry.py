# mypy: allow-untyped-calls
"""When certificates end: told in time as a fault, and only by a column that knows the time."""

from typing import Any

import pytest
from column_rig import Rig
from fake_board import EPOCH_MS
from fake_net import FakeDatagram
from ntp_answers import reply
from renewal_rig import at

DAY_MS = 86_400_000


class Timed(Rig):
    """A column whose certificates end so many days from now, with a time server (or none)."""

    def __init__(self, days: float, *, is_served: bool = True, **changes: Any) -> None:
        end_s = EPOCH_MS // 1000 + int(days * DAY_MS / 1000)
        server = "time.example" if is_served else None
        super().__init__(clock__server=server, clock__latest_s=end_s, selftest__drill_s=0, **changes)
        self.board.names["time.example"] = "10.0.0.3"
        self.true_ms = EPOCH_MS
        self.board.on_datagram = lambda *_: FakeDatagram(
            lambda request: [reply(request, self.true_ms + self.board.now_ms)]
        )

    def up(self) -> "Timed":
        super().up()
        return self

    def days_pass(self, days: int) -> None:
        """Quicker than turning the loop: the clock is asked again."""
        self.true_ms += days * DAY_MS
        self.board._epoch_offset_ms += days * DAY_MS
        self.column.clock._next.start(0)
        self.run(5000)


def test_it_is_raised_within_90_days_with_the_days_left_and_told_anew_each_day() -> None:
    """Red when nobody looks at the end, and when a fault that is up keeps the detail it was raised with."""
    rig = Timed(91.5).up()
    assert rig.column.clock.source == "ntp" and rig.fault("certificate") == []
    rig.days_pass(2)
    day = at(EPOCH_MS + int(91.5 * DAY_MS)).date().isoformat()
    what = f"no session from {day} on: the certificates end, in %d days"
    assert rig.fault("certificate") == [what % 89]
    rig.days_pass(0)
    assert rig.fault("certificate") == [what % 89]
    rig.days_pass(1)
    assert rig.fault("certificate") == [what % 89, what % 88]
    since = [fault["since"] for fault in rig.said("fault/certificate") if fault]
    assert len(set(since)) == 1 and "certificate" in rig.column.faults.ids()


def test_no_memory_for_the_look_ends_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when it gets as far as the supervisor: the column would restart each hour."""

    def no_room(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("firmware.expiry.look", no_room)
    rig = Timed(80).up()
    assert rig.column.clock.source == "ntp" and rig.column.supervisor.culprit is None
    monkeypatch.undo()
    rig.days_pass(1)
    assert len(rig.fault("certificate")) == 1 and "firmware.expiry" in rig.board.forgotten


def test_a_renewed_certificate_clears_it() -> None:
    """It comes with a new boot, which clears at the broker what the one before left there."""
    ending = Timed(10).up()
    assert [str(detail)[-10:] for detail in ending.fault("certificate")] == [" in 9 days"]
    renewed = Timed(5000).up()
    assert renewed.said("fault/certificate") == [None]


def test_a_clock_that_is_not_known_to_be_right_raises_nothing() -> None:
    """A column that stands at its floor, or years ahead of it by a forged answer, must not cry. Red when the end is
    looked at before the clock is set from the network."""
    for days in (0, 400):
        rig = Timed(10, is_served=False).up()
        rig.days_pass(days)
        assert rig.column.clock.source == "none" and rig.fault("certificate") == []


def test_without_tls_there_is_nothing_to_end() -> None:
    rig = Timed(10, broker__tls=None, broker__insecure=True).up()
    assert rig.column.clock.source == "ntp" and rig.fault("certificate") == []
