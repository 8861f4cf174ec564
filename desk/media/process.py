"""The media gateway's process: JSON lines in, JSON lines out, as desk/media/gateway.py writes and reads them.

It ends when its input does. Nothing that it prints has a password in it: no request is ever shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import secrets
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from common.webrtc import BadOffer
from desk.media.back_channel import BackChannel
from desk.media.call import Call
from desk.media.files import Part, Room
from desk.media.hosts import Hosts
from desk.media.overheard import Copy, Overheard
from desk.media.recorder import Recorder, RtspRecorder
from desk.media.relay import Target
from desk.media.source import Slots
from desk.media.spoken import Spoken
from desk.media.trouble import NoStream
from desk.media.voice import Intercom
from desk.media.whep import WhepEndpoint
from desk.media.whep_recorder import WhepRecorder, WhepTarget
from desk.sip.conversation import Peer
from desk.sip.g711 import SILENCE
from desk.sip.prove import prove
from desk.sip.registration import Registration
from desk.sip.sound import Mouth
from desk.sip.switchboard import Switchboard
from desk.sip.trouble import NoCall
from desk.sip.voice_figures import Figures, verdict
from desk.spoken import begin_log

CALLS_MAX, CAMERA_MAX, CONVERTED_MAX = 12, 4, 2
RECORDERS_MAX = 48  # cameras, and as many conversations
NOBODY_SPEAKS = "no-conversation"
OWN_EAR_S = 0.5  # since the desk itself heard the place: then it does so no more
OVER_MAX = 64  # names of calls that have ended
LINE_MAX = 256 * 1024
OOM_SCORE = "800"  # of 1000
NICENESS = 5  # an alarm goes before a picture
log = logging.getLogger(__name__)

Document = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R", bound=Recorder)


class Calls:
    """All that run."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(CALLS_MAX + CAMERA_MAX, "camera")
        self._slots = Slots(CONVERTED_MAX)
        self._calls: dict[str, Call] = {}
        self._intercoms: dict[str, Intercom] = {}
        self._backs: dict[tuple[str, str], BackChannel] = {}  # by column and address
        self._overheard: dict[str, Overheard] = {}  # by column
        self._copies: dict[str, Copy] = {}
        self._proofs: dict[str, asyncio.Future[Figures]] = {}
        self._switchboard: Switchboard | None = None
        self._registration: Registration | None = None
        self._over: deque[str] = deque(maxlen=OVER_MAX)
        self.recorders = Recorders()

    async def call(self, asked: Document) -> Document:
        """Raises NoStream, BadOffer."""
        if len(self._calls) >= CALLS_MAX:
            raise NoStream("busy", f"{CALLS_MAX} pictures are being shown already")
        target = self._camera(asked["rtsp"]) if "rtsp" in asked else None
        intercom = self._intercom(asked) if "sip" in asked else None
        back = self._back(target, asked["device_id"]) if target is not None and intercom is None else None
        name = secrets.token_urlsafe(16)
        call = Call(target, intercom, back, self._threads, self._slots, lambda: self._forget(name))
        self._calls[name] = call
        try:
            answer = await call.answer(asked["offer"], asked["peer"])
        except BaseException:
            await call.close()
            raise
        return {"name": name, "answer": answer, "ways": call.ways, "tried": call.tried}

    def _camera(self, given: Document) -> Target:
        """Raises NoStream."""
        target = Target(**{**given, "addresses": tuple(given["addresses"])})
        same = [call for call in self._calls.values() if call.target is not None and call.target.base == target.base]
        if len(same) >= CAMERA_MAX:
            raise NoStream("busy", f"{CAMERA_MAX} people look through this camera already")
        return target

    def _back(self, target: Target, device_id: str) -> BackChannel | None:
        """Its loudspeaker, which others may speak through already; None: it has none."""
        key = device_id, target.base + target.path
        if target.speaks and key not in self._backs:
            said = partial(self.recorders.spoken, device_id, None)
            self._backs[key] = BackChannel(target, partial(self._backs.pop, key, None), said)
        return self._backs.get(key)

    async def copy(self, asked: Document) -> Document:
        """A browser's copy of what is spoken with a column around the desk. Raises NoStream, BadOffer."""
        if len(self._copies) >= CALLS_MAX:
            raise NoStream("busy", f"{CALLS_MAX} conversations are being copied already")
        name, device_id = secrets.token_urlsafe(16), asked["device_id"]
        if device_id not in self._overheard:
            both = partial(self.recorders.spoken, device_id, second_hand=True)
            self._overheard[device_id] = Overheard(both, partial(self._overheard.pop, device_id, None))
        copy = self._copies[name] = Copy(self._overheard[device_id], lambda: self._forget(name))
        try:
            return {"name": name, "answer": await copy.answer(asked["offer"], asked["peer"])}
        except BaseException:
            await copy.close()
            raise

    def _intercom(self, asked: Document) -> Intercom:
        """The one that others speak with already, if there is such a call."""
        peer, may_send = self._peer(asked)
        key = str(peer.uri)
        if key in self._proofs:
            self._proofs[key].cancel()
        if key not in self._intercoms:
            both, forget = partial(self.recorders.spoken, key), partial(self._intercoms.pop, key, None)
            self._intercoms[key] = Intercom(peer, may_send, forget, self._switchboard, both)
        return self._intercoms[key]

    def _peer(self, asked: Document) -> tuple[Peer, Callable[[str], bool]]:
        """Whom to call, and where its sound may go."""
        given = dict(asked["sip"])
        port_there = given.pop("port_there")
        peer = replace(Peer.of(**given), port_there=port_there)
        hosts = Hosts(asked["names"], local=asked["local"])

        def may_send(address: str) -> bool:
            return address in peer.addresses or hosts.may_send(address)

        return peer, may_send

    async def listen(self, asked: Document) -> Document:
        """For calls of intercoms. Raises NoStream."""
        switchboard = Switchboard()
        try:
            port = await switchboard.open(asked["host"], asked["port"])
        except OSError as error:
            raise NoStream("no-gateway", f"calls of intercoms cannot be heard: {error.strerror}") from None
        self._switchboard = switchboard
        return {"port": port}

    async def register(self, asked: Document) -> Document:
        """At an exchange, which then brings the calls of intercoms. After `listen`. Raises NoStream."""
        assert self._switchboard is not None
        peer, _ = self._peer(asked)
        try:
            self._registration = Registration(peer, self._switchboard)
        except NoCall as trouble:
            raise NoStream("not-allowed", trouble.text) from None
        self._switchboard.exchanges = frozenset(peer.addresses)
        self._registration.start()
        return {}

    async def prove(self, asked: Document) -> Document:
        """The voice proof of an intercom that nobody speaks with; an officer who wants to ends it. Raises NoStream."""
        peer, may_send = self._peer(asked)
        key = str(peer.uri)
        if key in self._intercoms or key in self._proofs:
            raise NoStream("busy", "somebody speaks with that intercom")
        task = self._proofs[key] = asyncio.ensure_future(prove(peer, may_send))
        try:
            figures = await task
        except NoCall as trouble:
            code = "busy" if trouble.code == "busy" else "lost"
            raise NoStream(code, f"{trouble.code}: {trouble.text}") from None
        except asyncio.CancelledError:
            raise NoStream("busy", "an officer wants to speak with that intercom") from None
        finally:
            self._proofs.pop(key, None)
        known = [Figures.of(one) for one in asked["known"]]
        return {"verdict": verdict(figures, known), "figures": asdict(figures)}

    async def hang_up(self, asked: Document) -> Document:
        """A browser that goes is often noticed before it says so: then there was such a call, once."""
        name = asked["name"]
        if (call := self._calls.get(name) or self._copies.get(name)) is not None:
            await call.close()
        if found := name in self._over:
            self._over.remove(name)
        return {"found": found}

    async def state(self, asked: Document) -> Document:
        call = self._calls.get(asked["name"])
        return {"state": call.state() if call is not None else None}

    async def be_loud(self, asked: Document) -> Document:
        """So loud what is said to that place is to be, by all who look at it."""
        if (call := self._calls.get(asked["name"])) is not None:
            call.be_loud(asked["db"])
        return {}

    async def stop(self) -> None:
        everybody = [*self._calls.values(), *self._copies.values()]
        ending = (self.recorders.stop(), *(one.close() for one in everybody))
        for error in await asyncio.gather(*ending, return_exceptions=True):
            if isinstance(error, Exception):  # the others end all the same
                log.error("something did not end in order", exc_info=error)
        if self._registration is not None:
            await self._registration.stop()
        if self._switchboard is not None:
            self._switchboard.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _forget(self, name: str) -> None:
        if (self._calls.pop(name, None) or self._copies.pop(name, None)) is not None:
            self._over.append(name)
            _say({"ended": name})


class Conversation:
    """What is spoken with a column during one incident. `intercom`: its address, "" where there is none."""

    def __init__(self, intercom: str, device_id: str, files: Spoken) -> None:
        self.intercom, self.device_id, self.files = intercom, device_id, files
        self._place, self._heard_s = Mouth(), -OWN_EAR_S

    def hears(self, samples: bytes) -> None:
        """The desk itself hears the place, through its camera."""
        self._heard_s = time.monotonic()
        self._place.put(samples)

    def put(self, heard: bytes | None, said: bytes, *, second_hand: bool) -> None:
        """20 ms. `heard`: of the place, None where only its camera hears it; `second_hand`: that is a browser's word,
        which counts while the desk itself does not hear the place."""
        own = self._place()
        if heard is None or (second_hand and time.monotonic() - self._heard_s < OWN_EAR_S):
            heard = own or SILENCE
        self.files.put(heard, said)


class Recorders:
    """Cameras that are recorded, or held open for the seconds before a call; and what is spoken with columns."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2 * RECORDERS_MAX, "recorder")
        self._held: dict[str, RtspRecorder] = {}  # by column
        self._running: dict[str, Recorder] = {}  # by incident
        self._spoken: dict[str, Conversation] = {}  # by incident
        self._parts: list[Part] = []  # that the desk has not entered

    async def hold(self, asked: Document) -> Document:
        """From now on the last seconds of these columns' cameras are there, as many as there is place for, and of no
        others."""
        wanted = {name: _target({"target": one}) for name, one in asked["targets"].items()}
        for name in [name for name, one in self._held.items() if wanted.get(name) != one.target]:
            recorder = self._held.pop(name)
            if recorder not in self._running.values():
                await recorder.stop()
        with contextlib.suppress(NoStream):
            for name in wanted.keys() - self._held.keys():
                self._held[name] = self._begin_rtsp(wanted[name])
        return {"held": list(self._held)}

    async def record(self, asked: Document) -> Document:
        """Into files of that incident: its camera (`target`, by RTSP; `whep`), and if there is a way to speak there
        (`talks`) what is spoken: with its intercom (`sip`), through its camera, or around the desk. Raises NoStream."""
        incident_id, room = asked["incident_id"], asked["room"]
        where = Room(Path(room["folder"]), room["most"], room["spare"])
        if incident_id not in self._running and (camera := self._camera(asked)) is not None:
            self._running[incident_id] = camera
            camera.record(incident_id, where)
        if asked["talks"] and incident_id not in self._spoken:
            if len(self._spoken) >= RECORDERS_MAX:
                raise NoStream("busy", f"{RECORDERS_MAX} conversations are being recorded already")
            files = Spoken(incident_id, where, self._threads, self._keep)
            self._spoken[incident_id] = Conversation(asked["sip"], asked["device_id"], files)
        camera, conversation = self._running.get(incident_id), self._spoken.get(incident_id)
        if camera is not None and conversation is not None and camera.hears_place:
            camera.heard = conversation.hears
        return {}

    def _camera(self, asked: Document) -> Recorder | None:
        """Of that column, recording nothing yet: the one that is held open, or one of its own. Raises NoStream."""
        if "target" in asked:
            target, held = _target(asked), self._held.get(asked["device_id"])
            is_free = held is not None and held.target == target and held not in self._running.values()
            return held if is_free else self._begin_rtsp(target)
        if "whep" in asked:
            names = None if asked["names"] is None else tuple(asked["names"])
            elsewhere = tuple(tuple(one) for one in asked["elsewhere"])
            there = WhepTarget(WhepEndpoint(**asked["whep"]), names, asked["local"], elsewhere)
            return self._begin(WhepRecorder, there)
        return None

    def spoken(self, whom: str, heard: bytes | None, said: bytes, *, second_hand: bool = False) -> None:
        """20 ms of a conversation. `whom`: an intercom's address, or a column's name. `heard`, `second_hand`: as of
        Conversation.put."""
        for one in self._spoken.values():
            if whom in (one.intercom, one.device_id):
                one.put(heard, said, second_hand=second_hand)

    async def unrecord(self, asked: Document) -> Document:
        """That incident is over; when it returns, its files are complete."""
        recorder = self._running.pop(asked["incident_id"], None)
        if recorder is not None:
            recorder.heard = None
        conversation = self._spoken.pop(asked["incident_id"], None)
        if conversation is not None:
            await conversation.files.stop()
        if recorder is not None:
            await (recorder.hold() if recorder in self._held.values() else recorder.stop())
        return {}

    async def recordings(self, asked: Document) -> Document:
        """What is complete, again and again until the desk has `entered` it, and why there is nothing of the others
        now."""
        self._parts = [part for part in self._parts if part.file not in asked.get("entered", ())]
        codes = {name: recorder.trouble_code for name, recorder in self._running.items()}
        for name, one in self._spoken.items():
            codes[name] = one.files.trouble_code or codes.get(name, "" if one.files.runs else NOBODY_SPEAKS)
        spoken_of = [name for name, one in self._spoken.items() if one.files.runs]
        held = {name: recorder.before_s for name, recorder in self._held.items()}
        return {"parts": [asdict(part) for part in self._parts], "codes": codes, "held": held, "spoken": spoken_of}

    def _keep(self, part: Part) -> None:
        self._parts.append(part)

    async def stop(self) -> None:
        everybody = {*self._held.values(), *self._running.values()}
        ending = [recorder.stop() for recorder in everybody] + [one.files.stop() for one in self._spoken.values()]
        for error in await asyncio.gather(*ending, return_exceptions=True):
            if isinstance(error, Exception):
                log.error("a recording did not end in order", exc_info=error)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin_rtsp(self, target: Target) -> RtspRecorder:
        return self._begin(RtspRecorder, target)

    def _begin(self, kind: Callable[[T, ThreadPoolExecutor, Callable[[Part], None]], R], target: T) -> R:
        """Raises NoStream."""
        if len({*self._held.values(), *self._running.values()}) >= RECORDERS_MAX:
            raise NoStream("busy", f"{RECORDERS_MAX} cameras are being recorded already")
        recorder = kind(target, self._threads, self._keep)
        recorder.start()
        return recorder


def _target(asked: Document) -> Target:
    given = asked["target"]
    return Target(**{**given, "addresses": tuple(given["addresses"])})


async def _handle(do: Callable[[Document], Awaitable[Document]], asked: Document) -> Document:
    try:
        return {"id": asked["id"], "done": await do(asked)}
    except NoStream as trouble:
        return {"id": asked["id"], "code": trouble.code, "text": trouble.text}
    except BadOffer as error:
        return {"id": asked["id"], "code": "offer", "text": str(error)}
    except Exception:
        log.exception("a request to the media gateway failed through an error of its own")
        return {"id": asked["id"], "code": "no-gateway", "text": "the media gateway failed at this; its log says where"}


def _say(said: Document) -> None:
    """To the desk. One that was killed hears nothing any more, and its end is this process's, in order."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(said), flush=True)


async def _serve() -> None:
    reader = asyncio.StreamReader(limit=LINE_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    calls, tasks = Calls(), set[asyncio.Task[None]]()
    recorders = calls.recorders
    ways: dict[str, Callable[[Document], Awaitable[Document]]] = {
        "call": calls.call, "copy": calls.copy, "listen": calls.listen, "prove": calls.prove,
        "register": calls.register,
        "hang_up": calls.hang_up, "state": calls.state, "be_loud": calls.be_loud,
        "hold": recorders.hold, "record": recorders.record, "unrecord": recorders.unrecord,
        "recordings": recorders.recordings,
    }  # fmt: skip

    async def answer(asked: Document) -> None:
        _say(await _handle(ways[asked["do"]], asked))

    _say({"ready": True})
    while line := await reader.readline():
        task = asyncio.ensure_future(answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await calls.stop()


def main() -> None:
    """Until the desk closes the pipe."""
    begin_log(sys.argv[1:])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would have passwords in it
    os.nice(NICENESS)
    with contextlib.suppress(OSError):  # when memory runs out, a picture goes, and not the desk
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    asyncio.run(_serve())
    os._exit(0)  # a thread that still waits for a camera holds nobody up


if __name__ == "__main__":
    main()
