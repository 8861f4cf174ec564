"""The answers on their way: which of them the broker has taken. Until then the register keeps that they are owed."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple


class Answered(NamedTuple):
    """`registered_ms`: when the press was in the register, None for an answer that was owed from before."""

    incident_id: str
    registered_ms: int | None
    answered_ms: int


class Answers:
    """By packet id. `on_taken` comes under a lock of paho's that `publish` wants: it only notes, and waits for none."""

    def __init__(self) -> None:
        self._sent: dict[int, Answered] = {}
        self._newest: dict[str, int] = {}  # incident -> the packet id of its latest answer
        self._taken: deque[int] = deque()

    def sent(self, mid: int, answer: Answered) -> None:
        self._sent[mid] = answer
        self._newest[answer.incident_id] = mid

    def owed(self, incident_id: str) -> None:
        """Its latest answer could not leave: what the broker still takes of it is an earlier one, and says nothing."""
        self._newest.pop(incident_id, None)

    def on_taken(self, mid: int) -> None:
        """The broker's PUBACK; in the network's thread."""
        self._taken.append(mid)

    def delivered(self) -> Iterator[Answered]:
        """What the broker has taken since the last time. An answer that a later one has overtaken says nothing."""
        while self._taken:
            mid = self._taken.popleft()
            answer = self._sent.pop(mid, None)
            if answer is not None and self._newest.get(answer.incident_id) == mid:
                del self._newest[answer.incident_id]
                yield answer
