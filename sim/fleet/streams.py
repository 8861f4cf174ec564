"""Who is at the other end of a fleet's streams on this machine: cameras and intercoms that nobody here wrote.

A place (HOST:PORT) whose streams are all `rtsp` is a camera of GStreamer's, with a path for each column; one whose
streams are all `sip` is baresip, with a name for each. Everything else, and whatever cannot be had here, is a stand-in
that answers a column's look and shows nothing.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from common.connect_to import Endpoint
from sim.servers import street
from sim.servers.intercom import ENDS, STARTS, Event, Intercom
from sim.servers.program import NotStarted
from sim.servers.rtsp import RtspCamera, as_cities_buy
from sim.servers.stand_ins import StreamServer

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "sip": 5060, "sips": 5061}
MOST = 8  # processes of a kind: a fleet with an address for each column has stand-ins beyond that
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
PICTURE = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=640,height=360,framerate=15/1"
LOOK_S = 0.1
WITHOUT = "start again; --stand-ins does without the programs of others"

Server = RtspCamera | Intercom | StreamServer
Tell = Callable[[dict[str, Any]], None]


class Streams:
    """`configured`: by column, its streams. `ports`: of the last time, by HOST:PORT. `real` false: stand-ins alone.

    `tell` hears, from any thread, "intercom" (device_id; call: is one open; hears: is its loudspeaker loud) and
    "stand-in" (place, why).
    """

    def __init__(
        self,
        configured: Mapping[str, Mapping[str, str]],
        ports: Mapping[str, int],
        tell: Tell,
        *,
        real: bool,
        said: Callable[[str], str] = str,
    ) -> None:
        """`said` turns a text into the person's language."""
        self._tell, self._ports, self._real, self._said = tell, ports, real, said
        self._asked: dict[Endpoint, dict[str, str]] = {}  # by column, what is asked for at a place
        for device_id, streams in configured.items():
            for uri in streams.values():
                self._asked.setdefault(endpoint(uri), {})[device_id] = uri
        self.servers: dict[Endpoint, Server] = {}

    def start(self) -> None:
        """Everything, where it was the last time. Raises NotStarted."""
        missing = street.missing(self._say) if self._real else {}
        left = dict.fromkeys(street.TOOLS, MOST)
        for place, uris in self._asked.items():
            kind = _kind(uris) if self._real else ""
            if kind and (why := missing.get(kind) or ("" if left[kind] else f"there are {MOST} already")):
                self._tell({"event": "stand-in", "place": text(place), "why": why})
                kind = ""
            if kind:
                left[kind] -= 1
            self.servers[place] = self._server(kind, uris, self._ports.get(text(place), 0))
        self.mend()

    def _say(self, line: str) -> None:
        print(self._said(line), file=sys.stderr, flush=True)

    def mend(self) -> None:
        """Whatever was broken is back, at the same port. Raises NotStarted."""
        for place, server in self.servers.items():
            try:
                server.start()
            except (NotStarted, OSError) as error:
                why = f"{text(place)}: {error}"
                raise NotStarted(f"{why}\n{WITHOUT}" if self._real else why) from error

    def break_(self) -> None:
        """Nobody is there any more."""
        for server in self.servers.values():
            server.stop()

    def close(self) -> None:
        for server in self.servers.values():
            (server.close if isinstance(server, Intercom) else server.stop)()

    def places(self) -> Iterator[tuple[Endpoint, Endpoint]]:
        """(as it is asked for, where it is)"""
        for place, server in self.servers.items():
            yield place, (server.host, server.port)

    def _server(self, kind: str, uris: Mapping[str, str], port: int) -> Server:
        if kind == "rtsp":
            return RtspCamera({urlsplit(uri).path: as_cities_buy(PICTURE) for uri in uris.values()}, port=port)
        if kind == "sip":
            calls = _Calls({user(uri): device_id for device_id, uri in uris.items()}, self._tell)
            calls.intercom = Intercom(*map(user, uris.values()), by_name=True, port=port, on_event=calls.happened)
            return calls.intercom
        return StreamServer(port, runs=False)


class _Calls:
    """Tells of the calls of one baresip. `devices`: by its names, the columns'."""

    intercom: Intercom

    def __init__(self, devices: Mapping[str, str], tell: Tell) -> None:
        self._devices, self._tell = devices, tell
        self._over: dict[str, threading.Event] = {}

    def happened(self, event: Event) -> None:
        """In the intercom's thread."""
        name = user(str(event.get("accountaor", "")))
        if event["type"] == STARTS:
            over = self._over[name] = threading.Event()
            threading.Thread(target=self._listen, args=(name, over), daemon=True).start()
        elif event["type"] == ENDS and name in self._over:
            self._over.pop(name).set()

    def _listen(self, name: str, over: threading.Event) -> None:
        about = {"event": "intercom", "device_id": self._devices[name]}
        hears = None
        while not over.wait(LOOK_S) and self.intercom.running:
            if hears != (now := self.intercom.hears(name)):
                hears = now
                self._tell({**about, "call": True, "hears": hears})
        self._tell({**about, "call": False, "hears": False})


def endpoint(uri: str) -> Endpoint:
    """Who is at the other end, of rtsp://HOST[:PORT]/..., sip:USER@HOST[:PORT];..., https://HOST/..."""
    scheme, _, place = uri.partition(":")
    if scheme in ("sip", "sips"):
        place = "//" + place.partition("?")[0].rpartition("@")[2].partition(";")[0]
    parts = urlsplit(f"{scheme}:{place}")
    return parts.hostname or "", parts.port or PORTS[scheme]


def user(uri: str) -> str:
    """USER of sip:USER@HOST."""
    return uri.partition(":")[2].partition("@")[0]


def text(place: Endpoint) -> str:
    return f"{place[0]}:{place[1]}"


def _kind(uris: Mapping[str, str]) -> str:
    """What all of them are that can be had from somebody else: rtsp, or sip; else ""."""
    schemes = {uri.partition(":")[0] for uri in uris.values()}
    kind = schemes.pop()
    names = [user(uri) for uri in uris.values()] if kind == "sip" else []
    is_plain = len(set(names)) == len(names) and all(map(NAME.fullmatch, names))
    return kind if kind in street.TOOLS and not schemes and is_plain else ""
