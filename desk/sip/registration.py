"""A name of the desk's own at an exchange: the exchange brings it the calls of intercoms (RFC 3261, 10).

It is said from the switchboard's port, for there the calls come in, and said again before the exchange forgets it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets

from sipmessage import URI, Request, Response

from desk.sip.conversation import AGENT, Peer
from desk.sip.line import UDP
from desk.sip.proving import asked
from desk.sip.switchboard import Switchboard
from desk.sip.trouble import NoCall, of_status

LASTS_S = 300  # asked for
LEAST_S, MOST_S = 10.0, 1800.0  # until it is said again, whatever the exchange answers
AGAIN_S = 20.0  # after a failure
LEAVE_S = 2.0  # for the answer to the last word
EXPIRES = re.compile(r"[;,\s]expires\s*=\s*([0-9]{1,7})", re.IGNORECASE)
log = logging.getLogger(__name__)


class Registration:
    """Of `peer`: its address is the name at that exchange. `trouble`: why it is not known there; None: it is.

    Raises NoCall where it can never be."""

    def __init__(self, peer: Peer, switchboard: Switchboard) -> None:
        if peer.transport != UDP or peer.uri.user is None:
            raise NoCall("not-allowed", "the desk registers a name, sip:NAME@EXCHANGE, by UDP")
        self._peer, self._switchboard = peer, switchboard
        self._call_id, self._tag, self._sequence = secrets.token_hex(16), secrets.token_hex(8), 0
        self.trouble: NoCall | None = NoCall("timeout", "not asked yet")
        self._said = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """The exchange is told, if it listens: it brings no call to a desk that has gone."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if self.trouble is None:
            with contextlib.suppress(NoCall, TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self._register(0)

    async def _run(self) -> None:
        while True:
            try:
                lasts_s = await self._register(LASTS_S)
                self.trouble, pause_s = None, min(MOST_S, max(LEAST_S, lasts_s / 2))
            except NoCall as trouble:
                self.trouble, pause_s = trouble, AGAIN_S
            except Exception as error:  # one of ours: without this name no intercom's call comes any more
                text = f"an error of the desk's own: {type(error).__name__}"
                self.trouble, pause_s = NoCall("protocol", text), AGAIN_S
            self._tell()
            await asyncio.sleep(pause_s)

    def _tell(self) -> None:
        """Each trouble once, and its end."""
        said = "" if self.trouble is None else self.trouble.text
        if said != self._said:
            if said:
                log.warning("the exchange at %s does not know this desk: %s", self._peer.uri.host, said)
            else:
                log.warning("the exchange at %s knows this desk again", self._peer.uri.host)
        self._said = said

    async def _register(self, lasts_s: int) -> float:
        """How long the exchange will know it. Raises NoCall."""
        trouble = NoCall("no-route", "no address")
        for address in self._peer.addresses:
            line = self._switchboard.line_to(address, self._peer.port_there or self._peer.port, self._call_id)
            try:
                response = await asked(lambda: self._request(lasts_s), line.ask, self._peer.user, self._peer.password)
                if response.code >= 300:
                    raise of_status(response.code)
                return self._granted_s(response)
            except NoCall as found:
                trouble = found
        raise trouble

    def _request(self, lasts_s: int) -> Request:
        self._sequence += 1
        uri = self._peer.uri
        request = Request("REGISTER", URI("sip", uri.host, port=uri.port))
        request.headers.set("Max-Forwards", "70")
        request.headers.set("From", f"<{uri}>;tag={self._tag}")
        request.headers.set("To", f"<{uri}>")
        request.headers.set("Call-ID", self._call_id)
        request.headers.set("CSeq", f"{self._sequence} REGISTER")
        request.headers.set("Contact", f"<{self._switchboard.contact}>")
        request.headers.set("Expires", str(lasts_s))
        request.headers.set("User-Agent", AGENT)
        request.headers.set("Content-Length", "0")
        return request

    def _granted_s(self, response: Response) -> float:
        """Of the contact that is the desk's: others may have the same name there."""
        for header in response.headers.getlist("Contact"):
            _, found, rest = header.partition(f"<{self._switchboard.contact}>")
            if found and (granted := EXPIRES.search(rest.partition("<")[0])) is not None:
                return float(granted[1])
        given = response.headers.get("Expires") or ""
        return float(given) if re.fullmatch(r"[0-9]{1,7}", given) else float(LASTS_S)
