"""Calls by SIP to an intercom that nobody here wrote: baresip."""

from __future__ import annotations

import array
import asyncio
import hashlib
import random
import re
import signal
import socket
from collections.abc import Awaitable

import numpy as np
import pytest
from column_probe import need
from pillar_rig import until
from runs import SEED

from desk.sip.announce import announce, tone
from desk.sip.conversation import Conversation, Peer
from desk.sip.line import Line
from desk.sip.sound import Sound
from desk.sip.trouble import NoCall
from sim.servers.intercom import Intercom

pytestmark = pytest.mark.baresip
INTERCOM_HZ, DESK_HZ = 440, 700
LOUD_DB = -20.0
PATIENCE_S = 60.0


def run(work: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work, PATIENCE_S)

    asyncio.run(bounded())


def peer(intercom: Intercom, **login: str) -> Peer:
    return Peer.of(intercom.address, [intercom.host], **login)


async def closed(intercom: Intercom) -> None:
    await asyncio.to_thread(intercom.wait_for_calls, 0)


def ends(intercom: Intercom) -> int:
    """How many calls have ended there."""
    return [event["type"] for event in intercom.events].count("CALL_CLOSED")


def pitch_hz(samples: array.array[int]) -> float:
    """The strongest."""
    wave = np.array(samples, np.float64)
    return float(np.argmax(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))))) * 8000 / len(wave)


class Ear:
    """What was heard, and how loud it is now."""

    def __init__(self, talk: Conversation) -> None:
        self._talk, self.heard = talk, array.array("h")
        talk.sound.heard = lambda block: self.heard.frombytes(block)

    def hears(self) -> bool:
        return self._talk.sound.in_meter.db > LOUD_DB and len(self.heard) > 8000


def test_both_hear_each_other_and_a_second_caller_finds_it_busy(intercom: Intercom) -> None:
    async def call() -> None:
        talk = await Conversation.dial(peer(intercom))
        ear, voice = Ear(talk), tone(DESK_HZ, 60)
        talk.sound.speaker = lambda: next(voice)
        await until(ear.hears, "the intercom's tone")
        assert pitch_hz(ear.heard[-4000:]) == pytest.approx(INTERCOM_HZ, abs=5)
        await until(intercom.hears, "our tone there")
        assert pitch_hz(intercom.said()) == pytest.approx(DESK_HZ, abs=5)
        with pytest.raises(NoCall) as caught:
            await Conversation.dial(peer(intercom))
        assert caught.value.code == "busy"
        await talk.hang_up()
        await talk.hang_up()
        assert (await talk.over).code == "over"
        await closed(intercom)

    run(call())


def test_an_intercom_that_has_crashed_comes_back(intercom: Intercom) -> None:
    """As often as it does: the desk has only to call it again. Red where its rig does not notice."""
    assert not intercom.revive(), "it runs"
    assert intercom._process is not None
    intercom._process.send_signal(signal.SIGSEGV)
    intercom._process.wait(PATIENCE_S)
    assert intercom.revive()
    run(hangs_up(intercom, peer(intercom)))


async def hangs_up(intercom: Intercom, called: Peer) -> None:
    talk = await Conversation.dial(called)
    await asyncio.to_thread(intercom.wait_for_calls, 1)
    intercom.do("hangup")
    assert (await talk.over).code == "lost"
    await talk.hang_up()
    await closed(intercom)


def test_the_intercom_hangs_up(intercom: Intercom) -> None:
    run(hangs_up(intercom, peer(intercom)))


def test_nobody_answers_and_the_call_is_taken_back() -> None:
    """Broken by a CANCEL that is not sent, or with a branch of its own: it would go on ringing."""
    need("baresip")
    ringing = Intercom("petropavl-02", answers=False)

    async def call() -> None:
        with pytest.raises(NoCall) as caught:
            await Conversation.dial(peer(ringing), ring_s=1.0)
        assert caught.value.code == "no-answer"
        rings = asyncio.Event()
        dialling = asyncio.ensure_future(Conversation.dial(peer(ringing), rings=rings.set))
        await rings.wait()
        dialling.cancel()
        await until(lambda: ends(ringing) == 2, "both are over")
        again = asyncio.ensure_future(Conversation.dial(peer(ringing)))  # it is free
        await until(lambda: ringing.newest().get("type") == "CALL_INCOMING", "it rings")
        ringing.do("accept")
        await (await again).hang_up()

    with ringing:
        run(call())
    ringing.close()


def test_nobody_there(intercom: Intercom) -> None:
    async def call(address: str, addresses: list[str]) -> str:
        with pytest.raises(NoCall) as caught:
            await Conversation.dial(Peer.of(address, addresses), ring_s=2.0)
        return caught.value.code

    async def calls() -> None:
        assert await call(f"sip:x@{intercom.host}:9", [intercom.host]) == "refused"
        assert await call("sip:x@nowhere.example", []) == "no-route"
        before = ends(intercom)
        intercom.freeze()
        try:
            assert await call(intercom.address, [intercom.host]) == "timeout"
        finally:
            intercom.thaw()
        await until(lambda: ends(intercom) > before, "it heard of the call late, and then of its end")
        await closed(intercom)
        for address in ("sips:x@y", "sip:x@y;transport=tls", "sip:x:secret@y", "tel:+7", "http://x", "sip:a b@c"):
            assert await call(address, ["127.0.0.1"]) == "not-allowed", address

    run(calls())


def test_a_call_by_tcp(intercom: Intercom) -> None:
    """Also one whose connection ends in the middle of a word: both go on hearing each other, and it can be ended."""
    address = f"{intercom.address};transport=tcp"

    async def call() -> None:
        with pytest.raises(NoCall) as caught:
            await Conversation.dial(Peer.of(f"sip:x@{intercom.host}:9;transport=tcp", [intercom.host]))
        assert caught.value.code == "refused"

        talk = await Conversation.dial(Peer.of(address, [intercom.host]))
        ear, voice = Ear(talk), tone(DESK_HZ, 60)
        talk.sound.speaker = lambda: next(voice)
        await until(ear.hears, "the intercom's tone")
        assert pitch_hz(ear.heard[-4000:]) == pytest.approx(INTERCOM_HZ, abs=5)
        await until(intercom.hears, "our tone there")
        assert talk._transport is not None
        assert talk._transport.get_extra_info("socket").type == socket.SOCK_STREAM
        talk._transport.abort()
        heard = len(ear.heard)
        await until(lambda: len(ear.heard) > heard + 2000 and ear.hears(), "the tone, still")
        assert not talk.over.done()
        await talk.hang_up()
        await closed(intercom)

        await hangs_up(intercom, Peer.of(address, [intercom.host]))

    run(call())


def test_sound_goes_to_no_address_that_was_not_checked(intercom: Intercom) -> None:
    """An alarm's address is hostile, and so is what answers there: it could have a voice sent anywhere.

    Broken by sending to whatever the description names. The call is ended at the intercom, too.
    """

    async def call() -> None:
        with pytest.raises(NoCall) as caught:
            await Conversation.dial(peer(intercom), may_send=lambda address: address == "192.0.2.77")
        assert caught.value.code == "not-allowed"
        await closed(intercom)

    run(call())


def test_a_third_of_all_packets_is_lost(intercom: Intercom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of signalling and of sound, both ways: it is answered all the same, both hear each other, and it is ended."""
    dice = random.Random(SEED)
    receive, take, send = Line.receive, Sound.datagram_received, Conversation._send

    def lossy(whole: object) -> object:
        return lambda *given: whole(*given) if dice.random() > 0.3 else None  # type: ignore[operator]

    monkeypatch.setattr(Line, "receive", lossy(receive))
    monkeypatch.setattr(Sound, "datagram_received", lossy(take))
    monkeypatch.setattr(Conversation, "_send", lossy(send))

    async def call() -> None:
        talk = None
        while talk is None:
            try:
                talk = await Conversation.dial(peer(intercom))
            except NoCall as trouble:
                assert trouble.code in ("timeout", "busy") or intercom.revive(), trouble
        ear = Ear(talk)
        await until(ear.hears, "the intercom's tone")
        loud = [abs(sample) > 500 for sample in ear.heard[-4000:]]
        assert sum(loud) > 2800  # what is lost is concealed
        await talk.hang_up()
        await closed(intercom)

    run(call())


def test_a_message_is_played_to_whoever_answers(intercom: Intercom) -> None:
    async def call() -> None:
        outcome = await announce(peer(intercom), tone(DESK_HZ, 1.0))
        assert (outcome.answered, outcome.code) == (True, "played")
        await closed(intercom)
        assert pitch_hz(intercom.said()) == pytest.approx(DESK_HZ, abs=5)
        outcome = await announce(Peer.of(f"sip:x@{intercom.host}:9", [intercom.host]), tone(DESK_HZ, 1.0))
        assert (outcome.answered, outcome.code) == (False, "refused")

    run(call())


# -- a password


class Exchange(asyncio.DatagramProtocol):
    """A telephone exchange in front of the intercom, which wants to know who calls (RFC 2617, with MD5 and qop)."""

    def __init__(self, intercom: Intercom, login: tuple[str, str]) -> None:
        self._to, self._login = (intercom.host, intercom.port), login
        self._caller: tuple[str, int] | None = None
        self._nonces = iter(range(10**6))
        self.asked: list[str] = []
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr == self._to:
            if self._caller is not None:
                self.transport.sendto(data, self._caller)
            return
        self._caller = addr
        text = data.decode()
        method = text.partition(" ")[0]
        if method in ("INVITE", "BYE") and not self._knows(text, method):
            lines = [line for line in text.split("\r\n") if re.match(r"(Via|From|To|Call-ID|CSeq):", line)]
            challenge = f'WWW-Authenticate: Digest realm="it", qop="auth", nonce="{next(self._nonces)}"'
            self.transport.sendto("\r\n".join(["SIP/2.0 401 Who?", *lines, challenge, "", ""]).encode(), addr)
        elif method == "ACK" and self.asked[-1:] == ["refused"]:
            pass  # of the refusal
        else:
            self.transport.sendto(data, self._to)

    def _knows(self, text: str, method: str) -> bool:
        line = next((line for line in text.split("\r\n") if line.startswith("Authorization: ")), "")
        fields = dict(re.findall(r'(\w+)="?([^",]+)', line))
        self.asked.append("refused")
        if not fields:
            return False

        def md5(words: str) -> str:
            return hashlib.md5(words.encode()).hexdigest()

        a1, a2 = md5(f"{self._login[0]}:it:{self._login[1]}"), md5(f"{method}:{fields['uri']}")
        proof = md5(f"{a1}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:auth:{a2}")
        if proof == fields["response"] and fields["username"] == self._login[0]:
            self.asked[-1] = f"let {method} through"
            return True
        return False


def test_the_password_is_shown_to_whoever_asks(intercom: Intercom) -> None:
    """Without one, or with a wrong one, the page learns why; and it is not tried again and again."""

    async def call() -> None:
        loop = asyncio.get_running_loop()
        transport, exchange = await loop.create_datagram_endpoint(
            lambda: Exchange(intercom, ("desk", "a secret")), local_addr=(intercom.host, 0)
        )
        address = f"sip:petropavl-01@{intercom.host}:{transport.get_extra_info('sockname')[1]}"

        async def code(**login: str) -> str:
            with pytest.raises(NoCall) as caught:
                await Conversation.dial(Peer.of(address, [intercom.host], **login))
            return caught.value.code

        assert await code() == "unauthorized"
        assert await code(user="desk", password="another") == "unauthorized"
        assert exchange.asked == ["refused"] * 3
        talk = await Conversation.dial(Peer.of(address, [intercom.host], user="desk", password="a secret"))
        ear = Ear(talk)
        await until(ear.hears, "the intercom's tone")
        await talk.hang_up()
        await closed(intercom)
        assert exchange.asked[3:] == ["refused", "let INVITE through", "refused", "let BYE through"]
        assert "a secret" not in repr(talk.peer)
        transport.close()

    run(call())
