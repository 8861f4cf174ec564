"""What the contact does: what is a press, what is none, and a button that sticks."""

import random

from rig import PATIENCE_MS, STUCK_S, Rig

QUIET_MS = 700  # between two waveforms

Edges = list[tuple[int, int]]


def closures(*pairs: tuple[float, float]) -> Edges:
    """(start, length) in ms"""
    return [edge for start, length in pairs for edge in ((int(start * 1000), 1), (int((start + length) * 1000), 0))]


def bounce(for_ms: float, seed: int) -> Edges:
    """Closed and open for 0.5 to 5 ms in turn, open at the end."""
    dice, at_ms, pairs = random.Random(seed), 0.0, []
    while at_ms < for_ms - 10:
        length = dice.uniform(0.5, 5)
        pairs.append((at_ms, length))
        at_ms += length + dice.uniform(0.5, 5)
    return closures(*pairs)


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
    "157 ms of bounce": [*bounce(157, seed=3), *closures((157, 200))],
    "81 closed, 42 open, closed again": closures((0, 81), (123, 200)),
    "chatter during a hold": closures(*((i * 25, 22) for i in range(20))),
    "bounce at release": closures((0, 150), (152, 3), (158, 2), (163, 1)),
}


def test_what_is_a_press_and_what_is_none(rig: Rig) -> None:
    """Every waveform, one after the other with pauses between; each press must begin in a waveform that is one."""
    rig.start()
    edges: Edges = []
    windows: dict[str, tuple[float, float]] = {}
    at_ms = 0
    for name, wave in {**NO_PRESS, **ONE_PRESS}.items():
        edges += [(at_ms * 1000 + t_us, level) for t_us, level in wave]
        end_ms = at_ms + wave[-1][0] // 1000 + QUIET_MS
        windows[name] = (at_ms, end_ms)
        at_ms = end_ms
    begun_ms = rig.now_ms()
    rig.wave(edges)
    rig.until(lambda: len(presses(rig)) >= len(ONE_PRESS), at_ms + 1000, f"{len(ONE_PRESS)} presses")
    rig.pass_time(begun_ms + at_ms - rig.now_ms())
    found = dict.fromkeys(windows, 0)
    for t_ms in presses(rig):
        found[next(name for name, (start, end) in windows.items() if start <= t_ms - begun_ms < end)] += 1
    total = sum(found.values())
    missed = [name for name in ONE_PRESS if not found[name]]
    assert not missed, f"{missed} missed\n{rig.history()}"
    # What closes while the loop stands still may count, by design: the column says so each time, and only then.
    extra = total - len(ONE_PRESS)
    rig.until(lambda: extra <= stalls(rig), 3000, f"reason for the presses beyond one each: {found}")
    rig.until(lambda: sum(a.press for a in rig.alarms().values()) == total, PATIENCE_MS, "all at the centre")
    rig.check_all_arrived_once()


def presses(rig: Rig) -> list[float]:
    """When the column noted each."""
    return [e["t_ms"] for e in rig.events if e["event"] == "log" and e["text"].startswith("press: ")]


def stalls(rig: Rig) -> int:
    """Presses that the column took on because the contact had closed while nobody looked."""
    return sum(event["event"] == "press-in-stall" for event in rig.happened())


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
    rig.pass_time(QUIET_MS)
    rig.press()
    rig.until(lambda: 2 in rig.noted().values(), 3000, "a press of the button that works again")
    rig.until(lambda: max(a.press for a in rig.alarms().values()) == 2, PATIENCE_MS, "its alarm")
    rig.check_all_arrived_once()
