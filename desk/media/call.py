"""One browser's session with camera and intercom: its offer is answered, and packets flow until it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from aiortc import RTCRtpSender, RTCSessionDescription
from aiortc.sdp import SessionDescription

from common.webrtc import Answered, BadOffer, check, reachable
from desk.media.back_channel import BackChannel
from desk.media.relay import Target
from desk.media.source import G711, OPEN_S, Found, Slots, Source
from desk.media.track import Track
from desk.media.trouble import NoStream
from desk.media.voice import Ear, Intercom, listen

LOOK_S = 2.0  # between two looks whether everything flows
PLAIN_MODE = "1"  # packetization-mode: pictures in several packets

log = logging.getLogger(__name__)
Kind = Literal["audio", "video"]


class Call(Answered):
    """`over` is called once, when it has ended. `target`, `intercom`: what the alarm names, one or both. `back`: the
    camera's loudspeaker, where it has one and there is no intercom.

    `ways`: what works; `tried`: what does not, WAY=CODE.
    """

    def __init__(
        self,
        target: Target | None,
        intercom: Intercom | None,
        back: BackChannel | None,
        threads: ThreadPoolExecutor,
        slots: Slots,
        over: Callable[[], None],
    ) -> None:
        super().__init__()
        self.target = target
        self._slots, self._over = slots, over
        self._source = Source(target, threads, slots) if target is not None else None
        self._intercom, self._back = intercom, back
        for there in (intercom, back):
            if there is not None:
                there.hold(self)
        self._found: Found | None = None
        self._tracks: list[Track] = []
        self.ways: list[str] = []
        self.tried: list[str] = []

    async def answer(self, offer: str, peer: str) -> str:
        """The SDP answer, once the camera's stream is known; the intercom may be called for longer than that.

        `peer`: the address that the offer came from. Raises NoStream, BadOffer.
        """
        check(offer)
        try:
            self._found = await self._look() if self._source is not None else None
        except NoStream as trouble:
            if self._intercom is None:
                raise
            self.tried.append(f"rtsp={trouble.code}")
            self._source = None
        try:
            answer = await self._agree(reachable(offer, peer))
        except NoStream:
            raise
        except Exception as error:  # whatever aiortc stumbles over in the offer
            raise BadOffer(f"this offer cannot be answered: {type(error).__name__}: {error}") from error
        if self._source is not None:
            self._source.go()
        self._start(self._give_up())
        self._start(self._watch())
        return answer

    async def _watch(self) -> None:
        """A sender of aiortc's that has failed says nothing: then the call ends, and the page says so."""
        while not any(track.is_stuck for track in self._tracks):
            await asyncio.sleep(LOOK_S)
        log.error("what is sent to a browser is not taken any more: its call ends")
        await self.close()

    async def _look(self) -> Found:
        """Raises NoStream."""
        assert self._source is not None
        self._source.start()
        try:
            async with asyncio.timeout(OPEN_S + 1):
                return await asyncio.shield(self._source.found)
        except TimeoutError:
            await self._source.stop()
            raise NoStream("timeout", f"the camera sent no picture in {OPEN_S:.0f} s") from None

    async def _agree(self, offer: str) -> str:
        offered = {media.kind: _names(media) for media in SessionDescription.parse(offer).media}
        found, source, connection = self._found, self._source, self._connection
        if source is not None and found is not None and found.video and "video" in offered:
            source.h264 = "H264" in offered["video"]
            if not (source.h264 and found.plain_video):
                self._slots.check()
            source.video = self._send("video", "H264" if source.h264 else "VP8")
        if self._intercom is not None and "audio" in offered:
            self._converse(self._intercom, offered["audio"])
        elif source is not None and found is not None and found.audio and "audio" in offered:
            source.sound = _sound_codec(found, offered["audio"])
            source.audio = self._send("audio", source.sound, "sendrecv" if self._back is not None else "sendonly")
            self._speak()
        if not any(transceiver.sender.track for transceiver in connection.getTransceivers()):
            raise NoStream("codec", "the camera sends nothing that the browser asked for")
        self.ways += ["rtsp"] * (source is not None) + ["sip"] * (self._intercom is not None)
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        for transceiver in connection.getTransceivers():
            if transceiver.sender.track is None:
                transceiver.direction = "inactive"  # the camera has no such thing, and hears nobody
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    def _converse(self, intercom: Intercom, offered: set[str]) -> None:
        """Sound both ways; until the intercom answers the browser hears what the camera's microphone hears."""
        ear = Ear(self._send("audio", "opus" if "opus" in offered else "PCMU", "sendrecv"))
        if self._source is not None:
            self._source.ear = lambda part: ear.put(part, of_intercom=False)
        mouth = intercom.join(self, ear)
        self._connection.on("track", lambda track: self._start(listen(track, mouth)))

    def _speak(self) -> None:
        """To the camera, if it has a loudspeaker."""
        if (back := self._back) is not None:
            mouth = back.join(self)
            self.ways.append("onvif")
            self._connection.on("track", lambda track: self._start(listen(track, mouth)))

    def _send(self, kind: Kind, codec: str, direction: str = "sendonly") -> Track:
        track = Track(kind)
        self._tracks.append(track)
        transceiver = self._connection.addTransceiver(track, direction=direction)
        known = RTCRtpSender.getCapabilities(kind).codecs
        wanted = (codec.lower(), "rtx")
        transceiver.setCodecPreferences([one for one in known if one.mimeType.partition("/")[2].lower() in wanted])
        return track

    def be_loud(self, db: int) -> None:
        """So loud what is said there is to be."""
        if (there := self._intercom or self._back) is not None:
            there.loudness.db = db

    def state(self) -> dict[str, Any]:
        """What the page says of it."""
        source, found = self._source, self._found
        trouble = source.trouble if source is not None else None
        return {
            "way": "+".join(self.ways),
            "state": "away" if trouble else "playing",
            "code": trouble.code if trouble else None,
            "text": trouble.text if trouble else None,
            "video": found.video if found else "",
            "audio": found.audio if found else "",
            "converted": source is not None and source.converted,
            "voice": there.state() if (there := self._intercom or self._back) is not None else None,
        }

    async def close(self) -> None:
        """Harmless when closed already."""
        if self._closed:
            return
        self._closed = True
        self._over()
        if self._intercom is not None:
            await self._intercom.leave(self)
        if self._back is not None:
            await self._back.leave(self)
        if self._source is not None:
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
