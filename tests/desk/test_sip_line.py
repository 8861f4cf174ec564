"""SIP over a network that loses datagrams, in virtual time; and datagrams that mean harm."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
from runs import SEED
from sip_messages import INVITE
from sipmessage import URI, Request, Response
from virtual_loop import run_virtual

from desk.sip.line import ANSWERED_MAX, MESSAGE_MAX, SILENT_S, TCP, Line, parsed, response_to, split, tag_of
from desk.sip.trouble import NoCall, of_status


def asking(method: str = "INVITE", number: int = 1) -> Request:
    request = Request(method, URI.parse("sip:petropavl-01@10.0.0.7"))
    request.headers.set("From", "<sip:desk@10.0.0.1>;tag=me")
    request.headers.set("To", "<sip:petropavl-01@10.0.0.7>")
    request.headers.set("Call-ID", "one")
    request.headers.set("CSeq", f"{number} {method}")
    request.headers.set("Content-Length", "0")
    return request


class OtherSide:
    """Gets what the line sends, with the time; `answer` says what it does with the number `n` of its kind."""

    def __init__(self, answer: Callable[[Request, int], list[Response]]) -> None:
        self.heard: list[tuple[float, Request]] = []
        self._answer = answer
        self.asked: list[Request] = []
        self.line = Line(self._take, "10.0.0.1:5060", self._asked)

    def _asked(self, request: Request) -> Response | None:
        self.asked.append(request)
        return response_to(request, 200, "OK", "me") if request.method != "ACK" else None

    def _take(self, data: bytes) -> None:
        message = parsed(data)
        if isinstance(message, Request):
            self.heard.append((asyncio.get_running_loop().time(), message))
            for response in self._answer(message, len(self.of(message.method))):
                self.line.receive(bytes(response))

    def of(self, method: str) -> list[float]:
        return [at for at, request in self.heard if request.method == method]


def says(request: Request, *statuses: int) -> list[Response]:
    return [response_to(request, status, "as it is", "it") for status in statuses]


def test_a_request_is_sent_again_until_it_is_answered() -> None:
    """Broken by: no repetition, or one after an INVITE was heard of."""

    async def ask() -> None:
        there = OtherSide(lambda request, n: says(request, 200) if n == 4 else [])
        response = await there.line.ask(asking())
        assert response.code == 200
        assert there.of("INVITE") == [0, 0.5, 1.5, 3.5]

    run_virtual(ask())


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_a_request_that_was_answered_is_not_sent_again(method: str) -> None:
    """Red without the look at the answer: a farewell went on being said, every four seconds, for half a minute."""

    async def ask() -> None:
        loop = asyncio.get_running_loop()
        there = OtherSide(lambda request, number: [])
        asking_it = asyncio.ensure_future(there.line.ask(asking(method), silent_s=32.0))
        await asyncio.sleep(0.1)
        ((_, heard),) = there.heard
        loop.call_soon(there.line.receive, bytes(says(heard, 200)[0]))
        assert (await asking_it).code == 200
        await asyncio.sleep(60)
        assert there.of(method) == [0.0]

    run_virtual(ask())


def test_over_tcp_a_request_is_sent_once_and_its_silence_is_noticed() -> None:
    """Red where it is sent again: whoever is slow would get the same call twice, and need not know that."""

    async def ask() -> None:
        loop = asyncio.get_running_loop()
        there = OtherSide(lambda request, number: [])
        there.line.transport = TCP
        with pytest.raises(NoCall) as caught:
            await there.line.ask(asking())
        assert (caught.value.code, loop.time(), len(there.heard)) == ("timeout", SILENT_S, 1)
        assert there.heard[0][1].headers["Via"].startswith("SIP/2.0/TCP ")

    run_virtual(ask())


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_messages_over_tcp_are_told_apart_wherever_they_are_cut(size: int) -> None:
    first, second = bytes(asking()), bytes(asking("BYE", 2)).replace(b"Content-Length: 0\r\n\r\n", b"l :3\r\n\r\nx\r\n")
    stream = b"\r\n\r\n" + first + b"\r\n\r\n" + second + b"\r\n\r\n"
    found, waiting = list[bytes](), b""
    for at in range(0, len(stream), size):
        waiting += stream[at : at + size]
        while (whole := split(waiting)) is not None:
            message, waiting = whole
            found.append(message)
    assert found == [first, second] and not waiting.strip()


@pytest.mark.parametrize(
    "data", [b"x" * (MESSAGE_MAX + 1), b"INVITE\r\nVia: x\r\n\r\n", b"A\r\nContent-Length: 99999\r\n\r\n"]
)
def test_what_has_no_end_is_no_message(data: bytes) -> None:
    """Red without a bound: whoever is there could fill the gateway's memory."""
    with pytest.raises(ValueError, match="without an end"):
        split(data)


def test_an_invite_that_was_heard_of_waits_in_peace() -> None:
    async def ask() -> None:
        there = OtherSide(lambda request, n: says(request, 180) if n == 2 else [])
        heard: list[int] = []
        waiting = asyncio.ensure_future(there.line.ask(asking(), lambda response: heard.append(response.code)))
        await asyncio.sleep(60)
        assert not waiting.done() and heard == [180] and there.of("INVITE") == [0, 0.5]
        there.line.receive(bytes(says(there.heard[0][1], 200)[0]))
        assert (await waiting).code == 200

    run_virtual(ask())


def test_nobody_there() -> None:
    async def ask() -> None:
        there = OtherSide(lambda request, n: [])
        for method in ("INVITE", "BYE"):
            began_s = asyncio.get_running_loop().time()
            with pytest.raises(NoCall) as caught:
                await there.line.ask(asking(method))
            assert caught.value.code == "timeout"
            assert asyncio.get_running_loop().time() - began_s == pytest.approx(SILENT_S)
            assert len(there.of(method)) > 3

    run_virtual(ask())


def test_whoever_does_not_take_a_call_hears_that_this_was_understood() -> None:
    """Else it would say so for half a minute. The ACK belongs to the INVITE's own branch (RFC 3261, 17.1.1.3)."""

    async def ask() -> None:
        there = OtherSide(lambda request, n: says(request, 100, 486) if request.method == "INVITE" else [])
        assert (await there.line.ask(asking())).code == 486
        there.line.receive(bytes(says(there.heard[0][1], 486)[0]))  # it did not hear that
        acks = [request for _, request in there.heard if request.method == "ACK"]
        assert len(acks) == 2
        assert {ack.headers["Via"] for ack in acks} == {there.heard[0][1].headers["Via"]}
        assert all(tag_of(ack.headers["To"]) == "it" for ack in acks)

    run_virtual(ask())


def test_an_answer_that_comes_again_is_acknowledged_again() -> None:
    async def ask() -> None:
        there = OtherSide(lambda request, n: says(request, 200) if request.method == "INVITE" else [])
        response = await there.line.ask(asking())
        there.line.tell(asking("ACK"), response)
        there.line.receive(bytes(response))
        assert len(there.of("ACK")) == 2

    run_virtual(ask())


def test_a_request_that_comes_again_is_answered_again_and_done_once() -> None:
    """Broken by forgetting what was answered: a BYE would be refused the second time, an INVITE done twice."""

    async def ask() -> None:
        sent: list[bytes] = []
        asked: list[Request] = []

        def answered(request: Request) -> Response:
            asked.append(request)
            return response_to(request, 200, "OK", "me")

        line = Line(sent.append, "10.0.0.1:5060", answered)
        for _ in range(3):
            line.receive(INVITE)
        assert len(asked) == 1 and len(set(sent)) == 1 and len(sent) == 3
        for number in range(3 * ANSWERED_MAX):
            line.receive(INVITE.replace(b"z9hG4bKabc", b"z9hG4bK%d" % number))
        assert len(line._answered) == ANSWERED_MAX

    run_virtual(ask())


@pytest.mark.parametrize("seed", range(3))
def test_a_third_of_all_datagrams_is_lost(seed: int) -> None:
    """Of a hundred requests as many as can be expected are answered: a few in a hundred are not (five tries)."""
    dice = random.Random(f"{SEED} {seed}")

    async def ask() -> int:
        lost = 0
        for number in range(100):
            there = OtherSide(lambda request, n: says(request, 200) if dice.random() > 0.51 else [])
            try:
                await there.line.ask(asking("INVITE", number + 1))
            except NoCall:
                lost += 1
        return lost

    assert run_virtual(ask()) < 12  # 3.4 expected


def test_names_of_a_dialog_stay_as_they_are() -> None:
    """Tags have characters that some writers change: a dialog would not be found again."""
    request = parsed(INVITE)
    assert isinstance(request, Request)
    assert tag_of(request.headers["From"]) == "It's*mine!"
    response = bytes(response_to(request, 200, "OK", "other", b"v=0\r\n"))
    assert b";tag=It's*mine!\r\n" in response and b"To: <sip:desk@10.0.0.1>;tag=me\r\n" in response
    assert request.body == b"v=0\n"
    assert tag_of('"a;tag=no" <sip:x@y;tag=no>') == ""


def test_what_means_harm_is_left_alone() -> None:
    """Whatever comes: nothing is raised, and what is no message is not answered."""
    dice = random.Random(SEED)
    sent: list[bytes] = []

    async def receive() -> None:
        line = Line(sent.append, "10.0.0.1:5060", lambda request: response_to(request, 200, "OK", "me"))
        for _ in range(3000):
            data = bytearray(INVITE if dice.random() < 0.5 else INVITE.replace(b"INVITE sip:desk@10.0.0.1:5060 SIP/2.0",
                                                                              b"SIP/2.0 200 OK"))  # fmt: skip
            for _ in range(dice.randrange(1, 6)):
                at = dice.randrange(len(data))
                data[at : at + dice.randrange(3)] = dice.choice((b"", b"\r\n", b"\x00", b";", b"\xff", b":" * 9, b"<"))
            line.receive(bytes(data))
        for text in (b"", b"\r\n\r\n", b"x" * 70000, b"SIP/2.0 99999 OK\r\n\r\n", INVITE * 100):
            before = len(sent)
            line.receive(text)
            assert len(sent) == before, text[:40]

    run_virtual(receive())
    assert sent, "the control: most of what was changed is still a message"


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "unauthorized"), (403, "unauthorized"), (404, "not-found"), (480, "no-answer"), (486, "busy"),
     (488, "codec"), (603, "declined"), (302, "protocol"), (500, "protocol")],
)  # fmt: skip
def test_what_an_answer_means(status: int, code: str) -> None:
    assert of_status(status).code == code
