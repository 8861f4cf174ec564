"""Telephone calls that are under way, on a page of the disk from before each leaves.

A process that is killed says no farewell: the telephone would ring on, and whoever had answered would listen to
nothing. So the next process ends what the one before had begun.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sipmessage import Request, Response

from desk.page import Page
from desk.sip.conversation import Conversation, Peer
from desk.sip.line import parsed
from desk.sip.trouble import NoCall

LOST = "a telephone that rings when this desk is killed may ring on"
log = logging.getLogger(__name__)


class UnderWay:
    """`path`: of the page; None: nothing is kept. Any thread. Takes what a process before has left there."""

    def __init__(self, path: Path | None) -> None:
        self._page = None if path is None else Page(path, LOST)
        self._lock = threading.Lock()
        self._calls: dict[str, dict[str, Any]] = {}
        self.left = [] if self._page is None else self._page.read()

    def noting(self, key: str, peer: Peer) -> Callable[[Request, Response | None], None]:
        """For Conversation.dial: notes the call `key`."""

        def note(invite: Request, heard: Response | None) -> None:
            with self._lock:
                self._calls[key] = {
                    "to": str(peer.uri), "addresses": peer.addresses, "invite": _head(invite),
                    "heard": "" if heard is None else _head(heard),
                }  # fmt: skip
                self._write()

        return note

    def over(self, key: str) -> None:
        """The call `key` has ended, or has never left."""
        with self._lock:
            if self._calls.pop(key, None) is not None:
                self._write()

    async def end_left(self, login: dict[str, str]) -> None:
        """End what was left. `login`: for an exchange that asks who this is. Never raises: a telephone that cannot be
        reached rings no more than another."""
        while self.left:
            await _end(self.left[0], login)
            with self._lock:
                del self.left[0]
                self._write()

    def _write(self) -> None:
        if self._page is not None:
            self._page.write([*self.left, *self._calls.values()])


async def _end(noted: dict[str, Any], login: dict[str, str]) -> None:
    try:
        peer = Peer.of(noted["to"], noted["addresses"], **login)
        invite, heard = parsed(noted["invite"].encode()), parsed(noted["heard"].encode())
        if isinstance(invite, Request):
            await Conversation.end_another(peer, invite, heard if isinstance(heard, Response) else None)
    except NoCall as trouble:
        log.warning("a call to %s that was under way when the desk ended: %s", noted["to"], trouble.text)
    except (KeyError, TypeError, AttributeError, ValueError):
        log.warning("a call that was under way when the desk ended was noted in another form")


def _head(message: Request | Response) -> str:
    """Without what was offered there."""
    return bytes(message).partition(b"\r\n\r\n")[0].decode("utf-8", "replace") + "\r\n\r\n"
