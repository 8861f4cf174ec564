"""One browser's session with one camera: its offer is answered, and packets flow until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from aiortc import RTCRtpSender, RTCSessionDescription
from aiortc.sdp import SessionDescription

from common.webrtc import Answered, BadOffer, check, reachable
from desk.media.relay import Target
from desk.media.source import G711, OPEN_S, Found, Slots, Source
from desk.media.track import Track
from desk.media.trouble import NoStream

PLAIN_MODE = "1"  # packetization-mode: pictures in several packets

Kind = Literal["audio", "video"]


class Call(Answered):
    """`over` is called once, when it has ended."""

    def __init__(self, target: Target, threads: ThreadPoolExecutor, slots: Slots, over: Callable[[], None]) -> None:
        super().__init__()
        self.target = target
        self._slots, self._over = slots, over
        self._source = Source(target, threads, slots)
        self._found: Found | None = None

    async def answer(self, offer: str, peer: str) -> str:
        """The SDP answer, once the camera's stream is known. `peer`: the address that the offer came from.

        Raises NoStream, BadOffer.
        """
        check(offer)
        self._source.start()
        try:
            self._found = await asyncio.wait_for(asyncio.shield(self._source.found), OPEN_S + 1)
        except TimeoutError:
            raise NoStream("timeout", f"the camera sent no picture in {OPEN_S:.0f} s") from None
        try:
            answer = await self._agree(self._found, reachable(offer, peer))
        except NoStream:
            raise
        except Exception as error:  # whatever aiortc stumbles over in the offer
            raise BadOffer(f"this offer cannot be answered: {type(error).__name__}: {error}") from error
        self._source.go()
        self._start(self._give_up())
        return answer

    async def _agree(self, found: Found, offer: str) -> str:
        offered = {media.kind: _names(media) for media in SessionDescription.parse(offer).media}
        source, connection = self._source, self._connection
        if found.video and "video" in offered:
            source.h264 = "H264" in offered["video"]
            if not (source.h264 and found.plain_video):
                self._slots.check()
            source.video = self._send("video", "H264" if source.h264 else "VP8")
        if found.audio and "audio" in offered:
            source.sound = _sound_codec(found, offered["audio"])
            source.audio = self._send("audio", source.sound)
        if source.video is None and source.audio is None:
            raise NoStream("codec", "the camera sends nothing that the browser asked for")
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        for transceiver in connection.getTransceivers():
            if transceiver.sender.track is None:
                transceiver.direction = "inactive"  # the camera has no such thing, and hears nobody
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    def _send(self, kind: Kind, codec: str) -> Track:
        track = Track(kind)
        transceiver = self._connection.addTransceiver(track, direction="sendonly")
        known = RTCRtpSender.getCapabilities(kind).codecs
        wanted = (codec.lower(), "rtx")
        transceiver.setCodecPreferences([one for one in known if one.mimeType.partition("/")[2].lower() in wanted])
        return track

    def state(self) -> dict[str, Any]:
        """What the page says of it."""
        source, found = self._source, self._found
        trouble = source.trouble
        return {
            "way": "rtsp",
            "state": "away" if trouble else "playing",
            "code": trouble.code if trouble else None,
            "text": trouble.text if trouble else None,
            "video": found.video if found else "",
            "audio": found.audio if found else "",
            "converted": source.converted,
        }

    async def close(self) -> None:
        """Harmless when closed already."""
        if self._closed:
            return
        self._closed = True
        self._over()
        await self._source.stop()
        await self._shut()


def _names(media: Any) -> set[str]:
    """Of the codecs that a part of an offer has; H.264 only in the form that the desk sends."""
    found = set()
    for codec in media.rtp.codecs:
        name = codec.mimeType.partition("/")[2]
        if name.upper() != "H264" or str(codec.parameters.get("packetization-mode", "0")) == PLAIN_MODE:
            found.add("opus" if name.lower() == "opus" else name.upper())
    return found


def _sound_codec(found: Found, offered: set[str]) -> str:
    """As the camera has it where the browser takes it, else Opus."""
    as_it_is = G711.get(found.audio, found.audio)
    return as_it_is if found.plain_audio and as_it_is in offered else "opus"
