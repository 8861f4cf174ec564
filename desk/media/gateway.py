"""The desk's side of the media gateway: says where camera and intercom are and who asks, and starts the process that
does the rest.

The process starts with the first picture that is asked for, and again should it fail. Without its packages
(requirements/live.in) the desk runs and says why there is no picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import json
import logging
import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from common.home import ROOT
from common.sentences import LANGUAGES
from desk.daily_voice_proof import NotNow, Unreached
from desk.media.credentials import Credential, Credentials
from desk.media.hosts import Hosts
from desk.media.trouble import NoStream
from desk.media.whep import PORTS as WHEP_PORTS
from desk.media.whep import WhepEndpoint
from desk.sip.conversation import Peer
from desk.sip.trouble import NoCall
from desk.web.refusal import Refusal

PORTS = {"rtsp": 554}
NEEDS = ("aiortc", "av", "numpy")
START_S = 20.0
CALL_S = 12.0  # the camera's own limits are shorter
SAY_S = 3.0
UNRECORD_S = 20.0  # until the last file is closed and hashed
PROOF_S = 40.0  # the call's own limits are shorter
LINE_MAX = 256 * 1024
TRIED_HEADER = "Stream-Tried"
NOBODYS = ""  # of an address that is no column's
LOOK_S = 1.0  # whether the process still runs
log = logging.getLogger(__name__)

Document = dict[str, Any]


@dataclass(frozen=True)
class Answered:
    """`way`: what works of RTSP and SIP; `tried`: what does not, WAY=CODE."""

    name: str
    answer: bytes
    way: str
    tried: tuple[str, ...]


class Gateway:
    """For one event loop. `hosts`: whom it may call; `credentials`: what it says there; `listen`: (host, port) for
    the calls of intercoms; `name`: the desk's at an exchange that brings them, sip:NAME@EXCHANGE; `language`: of the
    process's log."""

    def __init__(
        self,
        hosts: Hosts,
        credentials: Credentials,
        listen: tuple[str, int] | None = None,
        name: str | None = None,
        language: str = LANGUAGES[0],
    ) -> None:
        self._listen, self._name, self._language = listen, name, language
        self._registering: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.listening: int | None = None  # the port
        self.hosts, self._credentials = hosts, credentials
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Document]] = {}
        self._numbers = itertools.count(1)
        self._stopped = False
        self.on_ended: Callable[[str], None] = lambda name: None
        """Called when a call has ended, whoever ended it."""
        self.on_failed: Callable[[], None] = lambda: None
        """Called when the process has ended, and with it all there was."""

    def start(self) -> None:
        """Where intercoms call the desk the process runs from now on; else from the first picture on."""
        if self._listen is not None:
            self._keeping = asyncio.ensure_future(self._keep())

    async def _keep(self) -> None:
        """The process, and that it listens."""
        assert self._listen is not None
        host, port = self._listen
        said = ""
        while True:
            try:
                process = await self._running()
                if self.listening is None:
                    done = await self._say(process, "listen", {"host": host, "port": port}, SAY_S)
                    self.listening, said = int(done["port"]), ""
                if self._name is not None and self._registering is not process:
                    await self._register(process, self._name)
            except NoStream as trouble:
                if trouble.text != said:
                    log.warning("no intercom can call this desk: %s", trouble.text)
                said = trouble.text
            except Exception as error:  # it must go on looking
                if repr(error) != said:
                    log.exception("no intercom can call this desk, through an error of its own")
                said = repr(error)
            await asyncio.sleep(LOOK_S)

    async def _register(self, process: asyncio.subprocess.Process, name: str) -> None:
        """... and has itself known at its exchange. Raises NoStream."""
        await self._say(process, "register", {"sip": await self._intercom(name, NOBODYS), **self._allowed()}, SAY_S)
        self._registering = process

    async def stop(self) -> None:
        """Ends all calls."""
        self._stopped = True
        if self._keeping is not None:
            self._keeping.cancel()
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SAY_S):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)

    async def call(self, stream: Mapping[str, Any], device_id: str, offer: bytes, peer: str) -> Answered:
        """The camera's picture by RTSP and the intercom's sound by SIP, together where the alarm names both.

        `peer`: where the offer came from. Raises NoStream when neither works: its headers say why; Refusal (400).
        """
        try:
            text = offer.decode()
        except UnicodeDecodeError:
            raise Refusal(400, "an offer is text in UTF-8") from None
        ways = {"rtsp": self._camera, "sip": self._intercom}
        asked: Document = {"offer": text, "peer": peer, "device_id": device_id, **self._allowed()}
        tried: list[str] = []
        last = NoStream("none", "this alarm names no stream that a browser can show")
        for way, find in ways.items():
            if not stream.get(way):
                continue
            try:
                asked[way] = await find(stream[way], device_id)
            except NoStream as trouble:
                last = trouble
                tried.append(f"{way}={trouble.code}")
        try:
            if not asked.keys() & ways.keys():
                raise last
            done = await self._ask("call", asked, CALL_S)
        except NoStream as trouble:
            failed = [*tried, *(f"{way}={trouble.code}" for way in ways if way in asked)]
            trouble.headers[TRIED_HEADER] = " ".join(failed)
            raise
        way = "+".join(way for way in (*ways, "onvif") if way in done["ways"])
        return Answered(str(done["name"]), str(done["answer"]).encode(), way, (*tried, *done["tried"]))

    async def copy(self, device_id: str, offer: bytes, peer: str) -> tuple[str, bytes]:
        """A browser's copy of what is spoken with that column around the desk: its name, for `hang_up`, and the answer.
        Raises NoStream, Refusal (400)."""
        asked = {"offer": offer.decode("utf-8", "replace"), "peer": peer, "device_id": device_id}
        done = await self._ask("copy", asked, SAY_S)
        return str(done["name"]), str(done["answer"]).encode()

    async def prove(self, address: str, device_id: str, known: list[Document]) -> Document:
        """The voice proof of an intercom: {"verdict", "figures"}. Raises NotNow, Unreached."""
        try:
            asked = {"sip": await self._intercom(address, device_id), "known": known, **self._allowed()}
            return await self._ask("prove", asked, PROOF_S)
        except NoStream as trouble:
            if trouble.code in ("busy", "no-gateway"):
                raise NotNow(trouble.text) from None
            raise Unreached(trouble.text) from None

    def _allowed(self) -> Document:
        """Where sound may go."""
        names = None if self.hosts.names is None else sorted(self.hosts.names)
        return {"names": names, "local": self.hosts.local}

    def endpoint(self, address: str, device_id: str) -> WhepEndpoint:
        """Of a camera that speaks WHEP, with what the desk says there. Raises NoStream."""
        where = self.hosts.allowed(address, WHEP_PORTS)
        return WhepEndpoint(address, **_login(self._credentials.of(device_id, where.host or "")))

    async def _camera(self, address: str, device_id: str) -> Document:
        """Raises NoStream."""
        where = self.hosts.allowed(address, PORTS)
        assert where.host is not None
        port = where.port or PORTS[where.scheme]
        addresses, port_there = await self.hosts.reach(where.host, port)
        known = self._credentials.of(device_id, where.host)
        return {"addresses": addresses, "port_there": port_there, "host": where.host, "port": port,
                "path": where.raw_path_qs, **_login(known), "speaks": known is not None and known.speaks}  # fmt: skip

    async def _intercom(self, address: str, device_id: str) -> Document:
        """Raises NoStream."""
        try:
            peer = Peer.of(address, ())
        except NoCall as trouble:
            raise NoStream(trouble.code, f"this alarm's sip: {trouble.text}") from None
        host = peer.uri.host.strip("[]")
        self.hosts.permit(host, peer.port)
        addresses, port_there = await self.hosts.reach(host, peer.port)
        login = _login(self._credentials.of_intercom(device_id, host))
        return {"address": address, "addresses": addresses, "port_there": port_there, **login}

    async def hang_up(self, name: str) -> bool:
        """False when there is no call of that name (any more)."""
        try:
            return self._process is not None and bool((await self._ask("hang_up", {"name": name}, SAY_S))["found"])
        except NoStream:
            return False

    async def be_loud(self, name: str, db: int) -> None:
        """So loud what is said in that call is to be at the place. Harmless when there is none. Raises NoStream."""
        if self.runs:
            await self._ask("be_loud", {"name": name, "db": db}, SAY_S)

    async def state(self, name: str) -> Document | None:
        """What is so now; None when there is no call of that name (any more). Raises NoStream when nobody can tell."""
        try:
            done = await self._ask("state", {"name": name}, SAY_S) if self.runs else {}
        except NoStream as trouble:
            if self.runs:  # it is only slow: its calls go on
                raise trouble
            return None
        return done.get("state")

    async def record(self, incident_id: str, stream: Mapping[str, Any], device_id: str, room: Document) -> None:
        """What the alarm names into files of that incident, until `unrecord`: its camera (`rtsp`, else `webrtc`), and
        what is spoken: with its intercom (`sip`), through a camera that speaks, or by `webrtc` around the desk (see
        `copy`). Harmless when it is so already. `room`: as desk.media.files.Room.

        Raises NoStream: its camera is not recorded; what is spoken is, where the alarm names such a way.
        """
        asked: Document = {"incident_id": incident_id, "device_id": device_id, "room": room, "sip": ""}
        trouble = None
        with contextlib.suppress(NoCall):  # nobody can call it, so nobody will speak with it
            if stream.get("sip"):
                asked["sip"] = str(Peer.of(stream["sip"], ()).uri)
        try:
            if stream.get("rtsp"):
                asked["target"] = await self._camera(stream["rtsp"], device_id)
            elif stream.get("webrtc"):
                elsewhere = [[*here, *there] for here, there in self.hosts.elsewhere.items()]
                endpoint = asdict(self.endpoint(stream["webrtc"], device_id))
                asked |= {"whep": endpoint, "elsewhere": elsewhere, **self._allowed()}
        except NoStream as error:
            trouble = error
        speaks = "target" in asked and asked["target"]["speaks"]
        asked["talks"] = bool(asked["sip"] or speaks or stream.get("webrtc"))
        if asked["talks"] or "target" in asked or "whep" in asked:
            await self._ask("record", asked, SAY_S)
        if trouble is not None:
            raise trouble

    async def unrecord(self, incident_id: str) -> None:
        """When it returns, the files of that incident are complete. Raises NoStream."""
        if self.runs:
            await self._ask("unrecord", {"incident_id": incident_id}, UNRECORD_S)

    async def recordings(self, entered: Collection[str] = ()) -> Document:
        """`parts`: files that are complete, told until they are among `entered`; `codes`: by incident, why there is
        nothing now ("": there is); `spoken`: incidents of which a conversation is recorded now; `held`: by column, how
        many seconds the ring has. Raises NoStream."""
        nothing: Document = {"parts": [], "codes": {}, "spoken": [], "held": {}}
        return await self._ask("recordings", {"entered": list(entered)}, SAY_S) if self.runs else nothing

    async def hold(self, addresses: Mapping[str, str]) -> set[str]:
        """By column: cameras whose last seconds are to be there when a call comes, and no others. The columns whose
        are. Raises NoStream."""
        targets = {}
        for device_id, address in addresses.items():
            with contextlib.suppress(NoStream):  # it is said when it is wanted
                targets[device_id] = await self._camera(address, device_id)
        if targets or self.runs:
            return set((await self._ask("hold", {"targets": targets}, SAY_S))["held"])
        return set()

    @property
    def pid(self) -> int | None:
        """Of its process, while there is one."""
        return self._process.pid if self._process is not None and self.runs else None

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.returncode is None

    async def _ask(self, do: str, what: Document, limit_s: float) -> Document:
        return await self._say(await self._running(), do, what, limit_s)

    async def _say(self, process: asyncio.subprocess.Process, do: str, what: Document, limit_s: float) -> Document:
        """Raises NoStream, Refusal."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({"id": number, "do": do, **what}).encode() + b"\n")
            await process.stdin.drain()
            async with asyncio.timeout(limit_s):
                said = await answer
        except TimeoutError:
            raise NoStream("timeout", f"no picture in {limit_s:.0f} s") from None
        except OSError:
            raise NoStream("no-gateway", "the media gateway has failed") from None
        finally:
            self._waiting.pop(number, None)
        if said.get("code") == "offer":
            raise Refusal(400, str(said["text"]))
        if "code" in said:
            raise NoStream(said["code"], said["text"])
        return dict(said["done"])

    async def _running(self) -> asyncio.subprocess.Process:
        """The process, started if there is none. Raises NoStream."""
        async with self._starting:
            if self._stopped:
                raise NoStream("no-gateway", "the desk is stopping")
            if self._process is not None and self._process.returncode is None:
                return self._process
            if missing := [name for name in NEEDS if importlib.util.find_spec(name) is None]:
                raise NoStream("no-gateway", f"this desk cannot show RTSP: it lacks {' and '.join(missing)}")
            inherited = os.environ.get("PYTHONPATH")
            path = f"{ROOT}{os.pathsep}{inherited}" if inherited else str(ROOT)
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "desk.media.process", "--lang", self._language,
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE_MAX,
                    env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
                )  # fmt: skip
            except OSError as error:  # no memory, too many processes
                text = f"the media gateway does not start: {error.strerror}"
                raise NoStream("no-gateway", text) from None
            assert process.stdout is not None
            try:
                async with asyncio.timeout(START_S):
                    ready = await process.stdout.readline()
            except TimeoutError:
                ready = b""
            if not ready:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                raise NoStream("no-gateway", "the media gateway does not start; the desk's log says why")
            self._process, self.listening = process, None
            self._reading = asyncio.ensure_future(self._read(process))
            return process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                said = json.loads(line)
                if "ended" in said:
                    self.on_ended(said["ended"])
                    continue
                answer = self._waiting.get(said["id"])
                if answer is not None and not answer.done():
                    answer.set_result(said)
        except Exception as error:  # a line that is too long, or none of ours
            log.error("the media gateway said what it should not, and is ended: %s", type(error).__name__)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result({"code": "no-gateway", "text": "the media gateway has failed"})
        self.on_failed()


def _login(known: Credential | None) -> Document:
    return {"user": known.user if known else None, "password": known.password if known else None}
