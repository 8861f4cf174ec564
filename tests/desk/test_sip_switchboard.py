"""Calls that an intercom makes to the desk: baresip dials, and the desk takes it when somebody looks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from desk_rig import DeskRig, wait_for
from pillar_rig import Voice, run, until
from seeing import at, names
from sip_messages import stranger
from virtual_loop import run_virtual
from voices import hear_each_other_and_end

from desk.command import parse
from desk.sip.conversation import Conversation, Peer
from desk.sip.switchboard import EACH_MAX, RING_S, WAITING_MAX, Switchboard
from sim.servers.intercom import Intercom, own_address

INTERCOM_HZ = 440
NEEDED = ("--broker", "127.0.0.1:1", "--folder", "desk")


async def rings(board: Switchboard, number: int = 1) -> None:
    await until(lambda: len(board._ringing) == number, f"{number} calls that ring")


async def take(board: Switchboard, name: str, address: str) -> Conversation | None:
    return await board.take(Peer.of(f"sip:{name}@{address}", [address]), lambda to: to == address)


@pytest.mark.baresip
def test_a_call_rings_until_it_is_taken_and_both_hear_each_other(intercom: Intercom) -> None:
    """Another name, or another address, does not get it: an alarm says which intercom is its column's."""

    async def look() -> None:
        board = Switchboard()
        port = await board.open(intercom.host, 0)
        intercom.do("dial", f"sip:desk@{intercom.host}:{port}")
        await rings(board)
        assert await take(board, "petropavl-02", intercom.host) is None
        assert await take(board, "petropavl-01", "192.0.2.77") is None
        talk = await take(board, "petropavl-01", intercom.host)
        assert talk is not None and not board._ringing
        await hear_each_other_and_end(intercom, talk)
        assert not board._lines

        intercom.do("dial", f"sip:desk@{intercom.host}:{port}")
        await rings(board)
        talk = await take(board, "petropavl-01", intercom.host)
        assert talk is not None
        await asyncio.to_thread(intercom.wait_for_calls, 1)
        intercom.do("hangup")
        assert (await talk.over).code == "lost"
        await talk.hang_up()

        intercom.do("dial", f"sip:desk@{intercom.host}:{port}")
        await rings(board)
        await until(lambda: intercom.newest().get("type") == "CALL_RINGING", "it hears that it rings")  # it can cancel
        intercom.do("hangup")  # nobody looked
        await rings(board, 0)
        assert await take(board, "petropavl-01", intercom.host) is None and not board._lines
        board.close()

    run(look())


@pytest.mark.baresip
def test_the_desk_takes_the_call_that_the_relay_started(intercom: Intercom, tmp_path: Path) -> None:
    """Broken by dialling it all the same: it would be busy, with its own call to the desk."""
    rig = DeskRig(tmp_path / "desk", None, "--sip-listen", f"{own_address()}:0", "--stream-hosts", own_address())
    try:
        gateway = rig.server.player.gateway
        port = wait_for(lambda: gateway.listening, "it listens")
        names(rig, sip=intercom.address)
        before = [event["type"] for event in intercom.events].count("CALL_ESTABLISHED")

        async def look() -> None:
            intercom.do("dial", f"sip:desk@{intercom.host}:{port}")
            await until(lambda: intercom.newest().get("type") in ("CALL_RINGING", "CALL_OUTGOING"), "it rings")
            async with at(rig) as seeing:
                assert await seeing.call(Voice(700)) == 201, seeing.text
                await until(intercom.hears, "the officer there")
                assert (await seeing.state())["voice"]["state"] == "talking"
                assert intercom.newest()["direction"] == "outgoing" and intercom.open_calls == 1
                assert await seeing.hang_up() == 204
            await asyncio.to_thread(intercom.wait_for_calls, 0)

        run(look())
        assert [event["type"] for event in intercom.events].count("CALL_ESTABLISHED") == before + 1
        process = gateway._process
        assert process is not None
        process.kill()
        wait_for(lambda: gateway._process is not process and gateway.listening, "it listens again")
    finally:
        rig.close()


class Sent(asyncio.DatagramTransport):
    """What a switchboard sends, without a network."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[bytes, object]] = []

    def sendto(self, data: object, addr: object = None) -> None:
        assert isinstance(data, bytes)
        self.sent.append((data, addr))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass


def test_who_rings_and_rings_is_bounded_and_forgotten() -> None:
    """Broken by a list without an end: anybody in that network could fill the desk's memory."""

    async def flood() -> None:
        board, out = Switchboard(), Sent()
        board._transport, board._here = out, "10.0.0.1:5060"
        for number in range(3 * WAITING_MAX):
            for again in range(2):
                board.datagram_received(stranger(number), (f"10.0.{number // EACH_MAX}.7", 5060))
                answer = out.sent[-1][0].split(b"\r\n")[0]
                assert answer == (b"SIP/2.0 180 Ringing" if number < WAITING_MAX else b"SIP/2.0 486 Busy Here"), again
        assert len(board._ringing) == len(board._lines) == WAITING_MAX
        board.datagram_received(stranger(0).replace(b"INVITE", b"CANCEL"), ("10.0.99.7", 5060))
        assert len(board._ringing) == WAITING_MAX, "from another address"
        board.datagram_received(stranger(0).replace(b"INVITE", b"CANCEL"), ("10.0.0.7", 5060))
        assert [data.split(b" ")[1] for data, _ in out.sent[-2:]] == [b"487", b"200"]
        await asyncio.sleep(RING_S + 1)
        assert not board._ringing and not board._lines and b" 480 " in out.sent[-1][0]
        board.datagram_received(stranger(0).replace(b"INVITE", b"OPTIONS"), ("10.0.0.7", 5060))
        assert out.sent[-1][0].startswith(b"SIP/2.0 200")
        board.datagram_received(stranger(0).replace(b"INVITE", b"BYE"), ("10.0.0.7", 5060))
        assert out.sent[-1][0].startswith(b"SIP/2.0 481")
        quiet = len(out.sent)
        for nothing in (b"", b"\0" * 900, stranger(0).replace(b"INVITE", b"ACK"), b"SIP/2.0 200 OK\r\n\r\n"):
            board.datagram_received(nothing, ("10.0.0.7", 5060))
        assert len(out.sent) == quiet

    run_virtual(flood())


def test_intercoms_must_know_where_to_send_sound() -> None:
    for text in ("0.0.0.0:5060", "[::]:5060", "desk.example:5060"):
        with pytest.raises(SystemExit):
            parse([*NEEDED, "--sip-listen", text])
    assert parse([*NEEDED, "--sip-listen", "10.20.0.2:5060"]).sip_listen == ("10.20.0.2", 5060)
