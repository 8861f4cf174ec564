"""What the contact does: what is a press, what is none, and a button that sticks."""

import random
from collections.abc import Callable

from rig import PATIENCE_MS, STUCK_S, Rig

QUIET_MS = 1_500  # between a disturbance and the press that proves that the column still listens
PRESS_MS = 150

Edges = list[tuple[int, int]]


def closures(*pairs: tuple[float, float]) -> Edges:
    """(start, length) in ms"""
    return [edge for start, length in pairs for edge in ((int(start * 1000), 1), (int((start + length) * 1000), 0))]


def emi(seed: int) -> Edges:
    """Bursts of closures of 0.05 to 2 ms, one every 4 to 12 ms, for half a second."""
    dice, at_ms, pairs = random.Random(seed), 0.0, []
    while at_ms < 500:
        length = dice.uniform(0.05, 2)
        pairs.append((at_ms, length))
        at_ms += length + dice.uniform(4, 12)
    return closures(*pairs)


NO_PRESS: dict[str, Edges] = {
    "vibration": closures(*((i * 120, 1 + i % 25) for i in range(12))),
    "mains hum": closures(*((i * 20, 10) for i in range(50))),
    "interference": emi(7),
    "a knock": closures((0, 25)),
}
ONE_PRESS: dict[str, Edges] = {
    "a tap": closures((0, 60)),
    "typical bounce": closures((0, 0.4), (0.7, 0.5), (1.4, 150)),
    "157 ms of bounce": closures(*((i * 6, 3) for i in range(26)), (157, 200)),
    "81 closed, 42 open, closed again": closures((0, 81), (123, 200)),
    "chatter during a hold": closures(*((i * 25, 22) for i in range(20))),
    "bounce at release": closures((0, 150), (152, 3), (158, 2), (163, 1)),
}


def columns(make_rig: Callable[[], Rig], waves: dict[str, Edges]) -> list[tuple[str, Rig]]:
    """One ready column for each wave: real time passes for all of them at once."""
    rigs = [(name, make_rig()) for name in waves]
    for _, rig in rigs:
        rig.install(rig.document())
        rig.power_on()
    for _, rig in rigs:
        rig.wait_lamp("ready")
    return rigs


def then_a_press(wave: Edges) -> tuple[Edges, int]:
    """The wave, and after a pause a press that proves that the column still listens; when that begins, in ms."""
    start_us = wave[-1][0] + QUIET_MS * 1000
    return [*wave, (start_us, 1), (start_us + PRESS_MS * 1000, 0)], start_us // 1000


def test_what_is_no_press_raises_nothing(make_rig: Callable[[], Rig]) -> None:
    rigs = columns(make_rig, NO_PRESS)
    begun_ms = {}
    for name, rig in rigs:
        begun_ms[name] = rig.now_ms()
        rig.wave(then_a_press(NO_PRESS[name])[0])
    for name, rig in rigs:
        calling_ms = rig.wait_lamp("calling")
        assert calling_ms - begun_ms[name] >= then_a_press(NO_PRESS[name])[1], f"{name} was taken for a press"
        rig.wait_lamp("answered")
        assert list(rig.noted().values()) == [1], name
        rig.check_all_arrived_once()


def test_what_is_one_press_raises_one(make_rig: Callable[[], Rig]) -> None:
    rigs = columns(make_rig, ONE_PRESS)
    for name, rig in rigs:
        rig.wave(then_a_press(ONE_PRESS[name])[0])
    for name, rig in rigs:
        rig.until(lambda rig=rig: [a for a in rig.alarms().values() if a.press == 2], PATIENCE_MS, name)  # type: ignore[misc]
        assert list(rig.noted().values()) == [2], f"{name}: one press, and the one after it"
        rig.check_all_arrived_once()


def test_a_stuck_button_is_reported_once_and_cleared(rig: Rig) -> None:
    rig.start()
    rig.hold()
    rig.wait_lamp("answered")
    fault = rig.wait_heard("fault/button-stuck", STUCK_S * 1000 + 3000, id="button-stuck")
    assert fault["detail"]
    assert rig.retained("fault/button-stuck") == fault
    assert list(rig.noted().values()) == [1], "stuck is one press"
    rig.release()
    rig.until(lambda: rig.heard("fault/button-stuck") is None, 3000, "the fault cleared")
    assert rig.retained("fault/button-stuck") is None
    rig.press()
    rig.until(lambda: 2 in rig.noted().values(), 3000, "a press of the button that works again")
    rig.until(lambda: max(a.press for a in rig.alarms().values()) == 2, PATIENCE_MS, "its alarm")
    rig.check_all_arrived_once()
