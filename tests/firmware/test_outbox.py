# mypy: allow-untyped-calls
"""Telemetry that waits: bounded, oldest dropped first and counted; one retained message per topic, the newest."""

from collections.abc import Callable
from typing import Any

import pytest

from firmware import outbox
from firmware.outbox import Outbox

EVENTS_MAX = outbox._EVENTS_MAX


def drain(box: Outbox) -> list[tuple[bytes, bytes, bool]]:
    out = []
    while (item := box.next()) is not None:
        box.taken(item)
        out.append(item)
    return out


def test_retained_first_then_events_in_order() -> None:
    box = Outbox()
    box.add(b"e", b"1")
    box.retain(b"r", b"1")
    box.add(b"e", b"2")
    assert drain(box) == [(b"r", b"1", True), (b"e", b"1", False), (b"e", b"2", False)]


def test_only_the_newest_of_a_retained_topic() -> None:
    box = Outbox()
    for i in range(100):
        box.retain(b"r", b"%d" % i)
    assert drain(box) == [(b"r", b"99", True)]


def test_events_are_bounded_and_the_oldest_go_first_and_are_counted() -> None:
    box = Outbox()
    for i in range(EVENTS_MAX + 5):
        box.add(b"e", b"%d" % i)
    assert box.dropped == 5
    assert [item[1] for item in drain(box)] == [b"%d" % i for i in range(5, EVENTS_MAX + 5)]


def test_what_was_in_flight_comes_back_in_front_and_never_over_something_newer() -> None:
    box = Outbox()
    items = []
    box.retain(b"r", b"old")
    box.retain(b"s", b"only")
    box.add(b"e", b"1")
    while (item := box.next()) is not None:
        box.taken(item)
        items.append(item)
    box.retain(b"r", b"new")
    box.add(b"e", b"2")
    box.put_back(items)
    assert drain(box) == [(b"s", b"only", True), (b"r", b"new", True), (b"e", b"1", False), (b"e", b"2", False)]


def test_coming_back_keeps_the_bound() -> None:
    box = Outbox()
    for i in range(EVENTS_MAX):
        box.add(b"e", b"%d" % i)
    box.put_back([(b"e", b"old", False)] * 3)
    assert len(drain(box)) == EVENTS_MAX and box.dropped == 3


def test_what_changed_under_way_is_not_taken_for_the_one_that_went() -> None:
    box = Outbox()
    box.retain(b"r", b"1")
    item = box.next()
    box.retain(b"r", b"2")
    box.taken(item)
    assert drain(box) == [(b"r", b"2", True)]


# -- negative controls: each rule broken, and the test that has to notice it


def events_first(box: Outbox) -> Any:
    return box.events[0] + (False,) if box.events else box.retained[0] + (True,) if box.retained else None


def keeps_all(box: Outbox, topic: bytes, payload: bytes) -> None:
    box.retained.append((topic, payload))


def unbounded(box: Outbox, topic: bytes, payload: bytes) -> None:
    box.events.append((topic, payload))


def over_the_newer(box: Outbox, items: list[tuple[bytes, bytes, bool]]) -> None:
    for topic, payload, retain in reversed(items):
        (box.retained if retain else box.events).insert(0, (topic, payload))


def takes_the_first(box: Outbox, item: tuple[bytes, bytes, bool]) -> None:
    del (box.retained if item[2] else box.events)[0]


@pytest.mark.parametrize(
    ("method", "broken", "test"),
    [
        ("next", events_first, test_retained_first_then_events_in_order),
        ("retain", keeps_all, test_only_the_newest_of_a_retained_topic),
        ("add", unbounded, test_events_are_bounded_and_the_oldest_go_first_and_are_counted),
        ("put_back", over_the_newer, test_what_was_in_flight_comes_back_in_front_and_never_over_something_newer),
        ("put_back", over_the_newer, test_coming_back_keeps_the_bound),
        ("taken", takes_the_first, test_what_changed_under_way_is_not_taken_for_the_one_that_went),
    ],
)
def test_a_broken_outbox_is_noticed(
    monkeypatch: pytest.MonkeyPatch, method: str, broken: Callable[..., Any], test: Callable[[], None]
) -> None:
    monkeypatch.setattr(Outbox, method, broken)
    with pytest.raises(AssertionError):
        test()
