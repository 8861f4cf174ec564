# mypy: allow-untyped-calls
"""While a press may be under way the uplink begins nothing that stalls the loop, and a chattering contact holds up
nothing for long."""

from typing import Any

import pytest
from uplink_rig import Rig

from firmware import button as button_module
from firmware.button import CALM_MAX_MS, Button
from firmware.uplink import Uplink

SETTINGS = {"press_ms": 40, "release_ms": 60, "stall_ms": 40, "stuck_s": 180}
CLOSED_MS, OPEN_MS = 6, 5  # 8 * 6 against 9 * 5 eighths: never settled, and no press within LONG_MS
LONG_MS = 1000


class Calm:
    """An uplink that asks a real button, whose contact chatters for a while, before each step."""

    def __init__(self) -> None:
        self.rig = Rig("10.0.0.2", hold_off=lambda: self.button.wants_calm())
        make: Any = Button
        self.button = make(
            self.rig.board,
            SETTINGS,
            lambda age_ms, stall: None,
            lambda: None,
            lambda stuck: None,
            lambda why: None,
            False,
        )
        self.tried: list[int] = []  # when the uplink went on with its connection: there a handshake stalls the loop
        self.rig.opened = False

    def chatter(self, ms: int) -> "Calm":
        edges = []
        for at_ms in range(0, ms, CLOSED_MS + OPEN_MS):
            edges += [(at_ms, 1), (at_ms + CLOSED_MS, 0)]
        self.rig.board.contact.wave(*edges)
        return self

    def run(self, ms: int) -> "Calm":
        board = self.rig.board
        end_ms = board.now_ms + ms
        while board.now_ms < end_ms:
            before = len(self.tried)
            for stream in self.rig.streams:
                stream.is_open = self._try  # type: ignore[method-assign]
            self.rig.uplink.step()
            assert len(self.tried) - before <= 1
            board.advance(1)
            self.button.look(1)
        return self

    def _try(self) -> bool:
        self.tried.append(self.rig.board.now_ms)
        return bool(self.rig.opened)


def dialled() -> Calm:
    """It waits for its connection to open."""
    calm = Calm().run(50)
    assert len(calm.rig.dialled) == 1 and calm.tried
    calm.tried.clear()
    return calm


def held_off_ms(chatter_ms: int) -> int:
    calm = dialled().chatter(chatter_ms)
    start_ms = calm.rig.board.now_ms
    calm.run(chatter_ms + 100)
    return next(at_ms - start_ms for at_ms in calm.tried if at_ms - start_ms > 2)  # the first edge must be seen first


def test_a_handshake_waits_for_a_press_to_be_decided() -> None:
    assert 150 <= held_off_ms(150) <= 170


def test_a_contact_that_chatters_for_ever_holds_nothing_up_for_longer() -> None:
    assert CALM_MAX_MS == 300
    assert CALM_MAX_MS - 10 <= held_off_ms(LONG_MS) <= CALM_MAX_MS + 10


def test_without_asking_the_button_a_handshake_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the first."""
    monkeypatch.setattr(Button, "wants_calm", lambda self: False)
    assert held_off_ms(150) <= 3


def test_calm_without_an_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the second."""
    monkeypatch.setattr(button_module, "CALM_MAX_MS", 1 << 20)
    assert held_off_ms(LONG_MS) >= LONG_MS - CLOSED_MS - OPEN_MS


def test_a_session_that_is_up_goes_on_in_any_case() -> None:
    calm = Calm()
    calm.rig.opened = True
    calm.run(100)
    assert calm.rig.uplink.is_up()
    calm.chatter(200).run(50)
    assert calm.button.wants_calm()
    calm.rig.incidents.add("a-1")
    calm.run(20)
    assert calm.rig.delivered() == ["a-1"]


def test_an_attempt_that_is_held_off_still_has_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Uplink, "_attempt_ms", lambda self: 100)
    rig = Rig("10.0.0.2", hold_off=lambda: True).run(1000)
    assert rig.uplink.last_error.startswith("no session within") and rig.dialled == []
