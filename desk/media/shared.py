"""What several browsers use at a time: it runs from when the first one joins until the last one leaves."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

AGAIN_S = 1.0  # after an error of ours
M = TypeVar("M")
log = logging.getLogger(__name__)


class Shared(ABC, Generic[M]):
    """`M`: what each member has of it. `forget` is called when the last one leaves who has joined, or may do so yet."""

    def __init__(self, forget: Callable[[], object]) -> None:
        self._forget = forget
        self._members: dict[object, M] = {}
        self._users: set[object] = set()
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def _run(self) -> None:
        """Until it is cancelled, or has failed for good."""

    def _broke(self) -> None:
        """An error of ours has ended it; it begins again. To be told to whoever looks."""

    async def _keep(self) -> None:
        """An error that nobody thought of must not end it without a word."""
        while True:
            try:
                await self._run()
                return
            except Exception:
                log.exception("%s failed through an error of its own; it begins again", type(self).__name__)
                self._broke()
                await asyncio.sleep(AGAIN_S)

    def hold(self, user: object) -> None:
        """`user` may join, and will `leave`: nobody is to begin another one meanwhile."""
        self._users.add(user)

    def _let_in(self, member: object, what: M) -> None:
        self._users.add(member)
        self._members[member] = what
        if self._task is None:
            self._task = asyncio.ensure_future(self._keep())

    async def leave(self, member: object) -> None:
        """Harmless for who is none."""
        if member not in self._users:
            return
        self._users.discard(member)
        self._members.pop(member, None)
        if not self._users:
            self._forget()
        if self._members:
            return
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
