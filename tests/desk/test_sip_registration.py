"""The desk's own name at an exchange that brings it the calls of intercoms: Kamailio, and baresip behind it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from column_probe import need
from desk_rig import DeskRig, wait_for
from pillar_rig import run, until
from sip_messages import stranger
from sipmessage import Request
from virtual_loop import run_virtual
from voices import hear_each_other_and_end

from desk.command import parse
from desk.sip.conversation import Peer
from desk.sip.line import SILENT_S, parsed, response_to
from desk.sip.registration import AGAIN_S, LASTS_S, LEAST_S, MOST_S, Registration
from desk.sip.switchboard import EACH_MAX, Switchboard
from desk.sip.trouble import NoCall
from sim.servers.exchange import Exchange
from sim.servers.intercom import Intercom

PASSWORD = "a secret of the exchange"
INTERCOM_HZ = 440
NEEDED = ("--broker", "127.0.0.1:1", "--folder", "desk")


@pytest.mark.baresip
@pytest.mark.kamailio
def test_an_intercoms_call_comes_through_the_exchange(intercom: Intercom) -> None:
    """With the password that the exchange asks for, and no longer when the desk has gone. Red without the route back:
    the farewell goes around the exchange, and the intercom does not know it."""
    need("kamailio")

    async def registered(exchange: Exchange, board: Switchboard, password: str) -> Registration:
        peer = Peer.of(exchange.address("desk"), [exchange.host], "desk", password)
        made = Registration(peer, board)
        made.start()
        await until(lambda: made.trouble is None or made.trouble.code != "timeout", "an answer")
        return made

    async def look(exchange: Exchange) -> None:
        board = Switchboard()
        await board.open(exchange.host, 0)
        wrong = await registered(exchange, board, "another")
        assert wrong.trouble is not None and wrong.trouble.code == "unauthorized"
        await wrong.stop()
        right = await registered(exchange, board, PASSWORD)
        assert right.trouble is None

        intercom.do("dial", exchange.address("desk"))
        await until(lambda: len(board._ringing) == 1, "a call that rings")
        talk = await board.take(Peer.of(exchange.address("petropavl-01"), [exchange.host]), lambda to: True)
        assert talk is not None
        await hear_each_other_and_end(intercom, talk)

        await right.stop()
        happened = len(intercom.events)
        intercom.do("dial", exchange.address("desk"))
        await until(lambda: "CALL_CLOSED" in [one["type"] for one in intercom.events[happened:]], "nobody of that name")
        assert not board._ringing
        board.close()

    with Exchange(PASSWORD) as exchange:
        run(look(exchange))


@pytest.mark.baresip
@pytest.mark.kamailio
def test_a_desk_is_known_at_its_exchange_again_when_its_gateway_has_failed(intercom: Intercom, tmp_path: Path) -> None:
    """Red where only the first process registers: the exchange would ring a port where nobody listens."""
    need("kamailio")
    passwords = tmp_path / "passwords"
    passwords.write_text(f'[[intercom]]\nhost = "*.*.*.*"\nuser = "desk"\npassword = "{PASSWORD}"\n')
    passwords.chmod(0o600)

    def rings() -> bool:
        """Whether somebody is there who has that name."""
        happened = len(intercom.events)
        intercom.do("dial", exchange.address("desk"))
        answers = {"CALL_RINGING", "CALL_PROGRESS", "CALL_CLOSED"}
        wait_for(lambda: answers & {one["type"] for one in intercom.events[happened:]}, "an answer")
        found = "CALL_CLOSED" not in [one["type"] for one in intercom.events[happened:]]
        intercom.do("hangup")
        wait_for(lambda: "CALL_CLOSED" in [one["type"] for one in intercom.events[happened:]], "its end")
        return found

    with Exchange(PASSWORD) as exchange:
        options = ["--sip-listen", f"{exchange.host}:0", "--sip-register", exchange.address("desk")]
        rig = DeskRig(tmp_path / "desk", None, *options, "--camera-passwords", str(passwords))
        try:
            wait_for(rings, "the desk, through the exchange")
            gateway = rig.server.player.gateway
            process = gateway._process
            assert process is not None and gateway._registering is process
            process.kill()
            wait_for(lambda: gateway._registering is not process, "another gateway")
            wait_for(rings, "the desk again")
        finally:
            rig.close()
        assert not rings(), "the exchange was told that the desk has gone"


# -- in virtual time


class Book:
    """An exchange's memory. `answer` gives the headers of a 200, or a status; `asked` are the requests and when."""

    def __init__(self, answer: Callable[[Request], dict[str, str] | int | None]) -> None:
        self._answer = answer
        self.board = Switchboard()
        self.board._transport, self.board._here = self, "10.0.0.1:5060"  # type: ignore[assignment]
        self.asked: list[tuple[float, Request]] = []

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def sendto(self, data: bytes, addr: Any) -> None:
        request = parsed(data)
        assert isinstance(request, Request) and addr == ("10.0.0.9", 5060)
        self.asked.append((asyncio.get_running_loop().time(), request))
        said = self._answer(request)
        if said is None:
            return
        response = response_to(request, said if isinstance(said, int) else 200, "as it is", "it")
        for name, value in (said if isinstance(said, dict) else {}).items():
            response.headers.set(name, value)
        if response.code == 401:
            response.headers.set("WWW-Authenticate", 'Digest realm="it", nonce="n", qop="auth"')
        asyncio.get_running_loop().call_soon(self.board.datagram_received, bytes(response), ("10.0.0.9", 5060))

    def begin(self) -> Registration:
        made = Registration(Peer.of("sip:desk@exchange.example", ["10.0.0.9"], "desk", "x"), self.board)
        made.start()
        return made


MINE = "<sip:desk@10.0.0.1:5060>"


@pytest.mark.parametrize(
    ("said", "pause_s"),
    [
        ({"Contact": f"<sip:desk@10.0.0.2>;expires=8, {MINE};expires=60"}, 30.0),  # of another desk, and its own
        ({"Contact": f"{MINE};q=0.5;expires=100", "Expires": "7"}, 50.0),
        ({"Expires": "400"}, 200.0),
        ({}, LASTS_S / 2),
        ({"Contact": f"{MINE};expires=0"}, LEAST_S),  # an exchange that would be asked without a pause
        ({"Expires": "9999999"}, MOST_S),
    ],
)
def test_it_is_said_again_before_the_exchange_forgets_it(said: dict[str, str], pause_s: float) -> None:
    async def wait() -> None:
        book = Book(lambda _: said)
        made = book.begin()
        await asyncio.sleep(pause_s * 2.5)
        assert [at for at, _ in book.asked] == pytest.approx([0, pause_s, 2 * pause_s])
        assert made.trouble is None
        await made.stop()
        assert book.asked[-1][1].headers["Expires"] == "0" and len(book.asked) == 4
        assert len({request.headers["Call-ID"] for _, request in book.asked}) == 1
        assert [request.cseq.sequence for _, request in book.asked] == [1, 2, 3, 4]

    run_virtual(wait())


def test_a_trouble_is_told_once_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """And asked again and again, with the password once each time. Red where a wrong one is tried without end."""
    answers: list[dict[str, str] | int | None] = [401, 401, 401, 401, None, {}]

    def answer(request: Request) -> dict[str, str] | int | None:
        return answers[0] if answers[0] is None and request.cseq.sequence < 6 else answers.pop(0)

    async def wait() -> None:
        book = Book(answer)
        made = book.begin()
        await asyncio.sleep(AGAIN_S * 2 - 1)
        assert made.trouble is not None and made.trouble.code == "unauthorized" and len(book.asked) == 4
        assert [request.headers.get("Authorization") is not None for _, request in book.asked] == [False, True] * 2
        await asyncio.sleep(SILENT_S + 2)
        assert made.trouble.code == "timeout"
        answers.pop(0)
        await asyncio.sleep(AGAIN_S)
        assert made.trouble is None
        await made.stop()

    with caplog.at_level(logging.WARNING):
        run_virtual(wait())
    assert [record.getMessage() for record in caplog.records] == [
        "the exchange at exchange.example does not know this desk: it answered the call with 401",
        "the exchange at exchange.example does not know this desk: nobody answers within 8 s",
        "the exchange at exchange.example knows this desk again",
    ]


def test_many_intercoms_ring_from_an_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """They all come from its address. Red where it has the place of one intercom."""

    async def ring() -> None:
        book = Book(lambda _: None)
        monkeypatch.setattr(book, "sendto", lambda *_: None)
        for number in range(3 * EACH_MAX):
            book.board.exchanges = frozenset({"10.0.0.9"})
            book.board.datagram_received(stranger(number), ("10.0.0.9", 5060))
        assert len(book.board._ringing) == 3 * EACH_MAX
        for number in range(3 * EACH_MAX):
            book.board.datagram_received(stranger(100 + number), ("10.0.0.7", 5060))
        assert len(book.board._ringing) == 4 * EACH_MAX
        book.board.close()

    run_virtual(ring())


def test_what_can_be_registered() -> None:
    for text in ("sip:exchange.example", "sip:desk@exchange.example;transport=tcp", "sips:desk@x", "desk@x"):
        with pytest.raises(SystemExit):
            parse([*NEEDED, "--sip-listen", "10.20.0.2:5060", "--sip-register", text])
    given = ["--sip-listen", "10.20.0.2:5060", "--sip-register", "sip:desk@exchange.example"]
    assert parse([*NEEDED, *given]).sip_register == given[-1]
    with pytest.raises(NoCall):
        Registration(Peer.of("sip:exchange.example", []), Switchboard())
