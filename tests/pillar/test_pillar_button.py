"""What closes a pillar's contact: fingers, ice, a loose wire."""

from collections.abc import Sequence

import pytest

from sim.pillar import button
from sim.pillar.button import CHATTER_S, Button

Edges = list[tuple[int, int]]


class Contact:
    """Takes the moves, as a column does."""

    def __init__(self) -> None:
        self.moves: list[Edges] = []
        self.changes = 0
        self.button = Button(self.move, self.changed)

    def move(self, edges: Sequence[tuple[int, int]]) -> None:
        times = [t_us for t_us, _ in edges]
        assert times == sorted(times) and times[0] == 0
        self.moves.append(list(edges))

    def changed(self) -> None:
        self.changes += 1

    @property
    def level(self) -> int:
        """Where it comes to rest."""
        return self.moves[-1][-1][1]


@pytest.fixture
def contact() -> Contact:
    return Contact()


def test_the_last_finger_opens_the_contact(contact: Contact) -> None:
    contact.button.hold("one")
    contact.button.hold("two")
    contact.button.release("one")
    assert contact.level == 1 and contact.button.held
    contact.button.release("two")
    assert contact.level == 0 and not contact.button.held


def test_who_does_not_hold_cannot_release(contact: Contact) -> None:
    contact.button.hold("one")
    moves = len(contact.moves)
    contact.button.release("two")
    assert contact.level == 1 and len(contact.moves) == moves


def test_a_press_is_one_closure(contact: Contact) -> None:
    contact.button.press(120.5)
    assert contact.moves == [[(0, 1), (120500, 0)]]


def test_a_press_does_not_open_a_contact_that_is_held(contact: Contact) -> None:
    contact.button.hold("one")
    contact.button.press(100)
    assert contact.level == 1


def test_a_stuck_contact_does_not_care_for_fingers(contact: Contact) -> None:
    contact.button.stick(True)
    contact.button.hold("one")
    contact.button.release("one")
    assert contact.level == 1
    contact.button.stick(False)
    assert contact.level == 0


def closures_us(edges: Edges, level: int) -> list[int]:
    """How long each deviation from `level` lasts."""
    return [b[0] - a[0] for a, b in zip(edges[1::2], edges[2::2], strict=True) if a[1] != level]


@pytest.mark.parametrize("held", [False, True])
def test_chatter_is_many_short_breaks_that_end_where_they_began(contact: Contact, held: bool) -> None:
    if held:
        contact.button.hold("one")
    contact.button.chatter(True)
    edges = contact.moves[-1]
    breaks = closures_us(edges, int(held))
    assert edges[0] == (0, int(held)) and contact.level == int(held)
    assert len(breaks) > 100 and max(breaks) <= 4000, "longer than a bounce"
    assert edges[-1][0] <= CHATTER_S * 1e6
    contact.button.close()


def test_a_finger_is_felt_through_the_chatter(contact: Contact) -> None:
    contact.button.chatter(True)
    contact.button.hold("one")
    assert contact.moves[-1][0] == (0, 1) and len(contact.moves[-1]) > 100
    contact.button.chatter(False)
    assert contact.moves[-1] == [(0, 1)] and not contact.button.chattering


def test_chatter_ends_by_itself_and_says_so(contact: Contact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(button, "CHATTER_S", 0.05)
    contact.button.chatter(True)
    assert contact.button._settling is not None
    contact.button._settling.join(20)
    assert contact.changes == 1 and not contact.button.chattering
