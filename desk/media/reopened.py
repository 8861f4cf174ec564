"""A connection to a camera that is opened again after every outage, until nobody wants it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod

from desk.media.trouble import NoStream

PAUSES_S = (0.5, 1.0, 2.0, 4.0)  # before it is tried again
STEADY_S = 10.0  # of pictures, and the next outage begins with the first pause
log = logging.getLogger(__name__)


class Reopened(ABC):
    """For the loop that it was made in. `trouble`: why nothing comes, while nothing comes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._stopping = threading.Event()
        self.trouble: NoStream | None = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @abstractmethod
    async def _once(self) -> None:
        """From the connection to its end. Raises NoStream."""

    def _is_final(self, trouble: NoStream) -> bool:
        """Whether it is not to be opened again after that."""
        return False

    async def _run(self) -> None:
        tries, said = 0, ""
        while True:
            started = time.monotonic()
            try:
                await self._once()
                self.trouble = NoStream("lost", "the camera ended the stream")
            except NoStream as trouble:
                self.trouble = trouble
            except Exception as error:  # one of ours must not end it without a word
                if repr(error) != said:
                    log.exception("an error of its own at a camera's connection")
                said = repr(error)
                self.trouble = NoStream("no-gateway", "the media gateway failed at this; its log says where")
            if self._is_final(self.trouble):
                return
            tries = 0 if time.monotonic() - started > STEADY_S else tries + 1
            await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S)) - 1 if tries else 0])
