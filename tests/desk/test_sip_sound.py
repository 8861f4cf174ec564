"""Sound of a call by SIP: the samples, their order, and what two sides agree on."""

from __future__ import annotations

import array
import math
import random
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from av import AudioFrame
from runs import SEED

from desk.sip import sdp
from desk.sip.announce import recorded, tone
from desk.sip.g711 import ALAW, BLOCK, LAWS, SILENCE, ULAW, Law
from desk.sip.level import QUIET_DB, level_db
from desk.sip.sdp import Session, described, read
from desk.sip.sound import AHEAD, CONCEALED_MAX, WAIT_MAX, Mouth, Order
from desk.sip.trouble import NoCall


@pytest.mark.parametrize(("law", "codec"), [(ULAW, "pcm_mulaw"), (ALAW, "pcm_alaw")], ids=["ulaw", "alaw"])
def test_g711_is_that_of_others(law: Law, codec: str) -> None:
    """Held against FFmpeg: every code; and no sample loses more than there."""
    decoder = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"  # type: ignore[attr-defined]
    frame = decoder.decode(av.Packet(bytes(range(256))))[0]  # type: ignore[attr-defined]
    assert array.array("h", law.decode(bytes(range(256)))) == array.array("h", frame.to_ndarray().tobytes())
    samples = array.array("h", range(-32768, 32768, 7))
    ours = array.array("h", law.decode(law.encode(samples.tobytes())))
    encoder = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"  # type: ignore[attr-defined]
    whole = AudioFrame.from_ndarray(np.array(samples, np.int16).reshape(1, -1), format="s16", layout="mono")
    whole.sample_rate = 8000
    theirs = b"".join(bytes(packet) for packet in encoder.encode(whole))  # type: ignore[attr-defined]
    known = array.array("h", law.decode(theirs))
    assert all(abs(one - a) <= abs(one - b) for one, a, b in zip(samples, ours, known, strict=True))


def payload(number: int) -> bytes:
    """A block that can be told from its neighbours."""
    return bytes([number % 100 + 1]) * BLOCK


def played(order: Order) -> int | None:
    """The number of the block, as far as it can be told; None: silence."""
    block = order.take()
    code = ULAW.encode(block)[BLOCK // 2]
    return None if block == SILENCE else code - 1


def test_packets_out_of_order_are_played_in_order() -> None:
    order = Order(ULAW)
    numbers = [1, 0, 2, 4, 3, 5, 7, 6, 8]
    heard = []
    for at, number in enumerate(numbers):
        order.put(65533 + number & 0xFFFF, payload(number))  # over the end of the numbers
        if at >= AHEAD - 1:
            heard.append(played(order))
    while len(heard) < len(numbers):
        heard.append(played(order))
    assert heard == sorted(numbers)


def test_what_is_lost_is_concealed_and_never_delays_what_follows() -> None:
    """Of three tenths that are lost nothing piles up, and what was played keeps its order."""
    dice = random.Random(SEED)
    order, heard = Order(ULAW), list[int]()
    for number in range(600):
        if dice.random() > 0.3:
            order.put(number & 0xFFFF, payload(number))
        if (block := played(order)) is not None:
            heard.append(block)
        assert len(order._waiting) <= WAIT_MAX
    assert len(heard) > 500


def test_silence_after_the_last_packet() -> None:
    order = Order(ULAW)
    for number in range(AHEAD):
        order.put(number, ULAW.encode(array.array("h", [8000] * BLOCK).tobytes()))
    levels = [level_db(order.take()) for _ in range(AHEAD + CONCEALED_MAX + 2)]
    assert levels[:AHEAD] == [pytest.approx(-12.3, abs=0.5)] * AHEAD
    assert levels[AHEAD:] == sorted(levels[AHEAD:], reverse=True)  # softer and softer
    assert levels[-1] == QUIET_DB


def test_a_stream_that_begins_anew_is_played() -> None:
    order = Order(ULAW)
    for number in [*range(10, 20), *range(40_000, 40_000 + 2 * AHEAD)]:
        order.put(number, payload(number))
    heard = [played(order) for _ in range(2 * AHEAD)]
    assert heard == [number % 100 for number in range(40_000, 40_000 + 2 * AHEAD)]


def test_packets_of_any_length() -> None:
    order = Order(ULAW)
    for number in range(8):
        order.put(number, bytes([20]) * 240)  # 30 ms
    assert all(order.take() == ULAW.decode(bytes([20]) * BLOCK) for _ in range(11))


def test_live_speech_is_not_kept_for_later() -> None:
    """Broken by an unbounded queue: after a stall everything would come late, for the rest of the call."""
    mouth = Mouth(most=8, ahead=2)
    assert mouth() is None
    for number in range(50):
        mouth.put(array.array("h", [number] * BLOCK).tobytes())
    block = mouth()
    assert block is not None and array.array("h", block)[0] >= 41
    waiting = 0
    while mouth() is not None:
        waiting += 1
    assert waiting < 8
    mouth.put(SILENCE)
    assert mouth() is None, "it gathers again before it goes on"


def test_levels() -> None:
    assert level_db(SILENCE) == QUIET_DB and level_db(b"") == QUIET_DB
    assert level_db(array.array("h", [-32768] * BLOCK).tobytes()) == pytest.approx(0)
    assert level_db(next(tone(1000, 1, 1.0))) == pytest.approx(-3.01, abs=0.05)
    assert level_db(next(tone(1000, 1, 0.1))) == pytest.approx(-23.0, abs=0.1)


def test_a_recording_that_a_telephone_can_play(tmp_path: Path) -> None:
    path = tmp_path / "words.wav"
    for rate, refused in ((8000, False), (44100, True)):
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(b"".join(tone(500, 0.21)) + b"\1\0")
        if refused:
            with pytest.raises(ValueError, match="44100 samples a second"):
                recorded(path)
        else:
            blocks = list(recorded(path))
            assert blocks[: round(0.2 * 50)] == list(tone(500, 0.2)) and blocks[-1] == b"\1\0".ljust(2 * BLOCK, b"\0")


# -- what two sides agree on

ANSWER = "v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n"


def test_what_the_desk_offers_can_be_read_again() -> None:
    assert read(described("10.0.0.1", 4000)) == Session("10.0.0.1", 4000, ULAW, sdp.DIGITS, True, True)
    assert read(described("fd00::1", 4000, (ALAW,), None)) == Session("fd00::1", 4000, ALAW, None, True, True)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n", Session("10.0.0.7", 4000, ALAW, None, True, True)),
        ("m=audio 4000 RTP/AVP 9 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=recvonly\r\n",
         Session("10.0.0.7", 4000, ULAW, 96, True, False)),
        ("m=video 0 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 10.0.0.8\r\na=sendonly\r\n",
         Session("10.0.0.8", 4000, ULAW, None, False, True)),
    ],
    ids=["the usual", "hears only", "an address of its own"],
)  # fmt: skip
def test_what_the_other_side_answers(lines: str, expected: Session) -> None:
    assert read((ANSWER + lines).encode()) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (ANSWER + "m=audio 0 RTP/AVP 0\r\n", "codec"),
        (ANSWER + "m=audio 4000 RTP/AVP 9 96\r\na=rtpmap:96 opus/48000/2\r\n", "codec"),
        (ANSWER + "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 speex/8000\r\n", "codec"),
        (ANSWER + "m=audio 4000 RTP/SAVP 0\r\n", "codec"),
        (ANSWER, "codec"),
        (ANSWER + "m=audio 99999 RTP/AVP 0\r\n", "protocol"),
        (ANSWER.replace("10.0.0.7", "cameras.example") + "m=audio 4000 RTP/AVP 0\r\n", "protocol"),
        ("", "codec"),
        ("\0" * 20000, "protocol"),
    ],
)
def test_what_cannot_be_agreed_on(text: str, code: str) -> None:
    with pytest.raises(NoCall) as caught:
        read(text.encode())
    assert caught.value.code == code


def test_the_payload_types_are_those_of_the_standard() -> None:
    assert {number: law.name for number, law in LAWS.items()} == {0: "PCMU", 8: "PCMA"}  # RFC 3551, table 4
    assert math.isclose(BLOCK / 8000, 0.02)
