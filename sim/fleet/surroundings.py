"""The parts of a fleet's servers, started together and broken one by one."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from common import connect_to
from common.beside import Held, Hold, within
from common.connect_to import Endpoint
from common.identity import Identity
from common.ports import HOST, is_free
from desk.ledger import Ledger
from field import access, certificates
from field.keeping import made_private, write
from sim.fleet import streams
from sim.fleet.broker import ProvisionedBroker, ended
from sim.fleet.streams import Streams
from sim.servers.centre import Centre
from sim.servers.stand_ins import TimeServer

BREAKS = {
    "broker": "the broker is gone",
    "certificate": "the broker's certificate has ended",
    "password=ID": "the broker goes by passwords, and has another for that column",
    "access=ID": "the broker lets that column read and write everything",
    "stream": "nobody is at the other end of the streams",
    "clock": "the time server answers nobody",
    "centre": "the centre's software answers no alarm",
}
TABLE, PORTS = "connect-to", "ports.json"
NTP_PORT = 123
INCOMPLETE = "not as provisioning makes it, so make it anew with make provision FLEET=... OUT=..."

Event = dict[str, Any]


class FleetServersError(Exception):
    """What is asked of the servers is not possible; says what would be."""


class FleetServers:
    """A context manager. `on_event` gets what the centre hears ("column" and "alarm"), and of the streams "intercom"
    and "stand-in" (sim/fleet/streams.py); from any thread."""

    def __init__(
        self,
        provisioned: Path,
        state: Path,
        on_event: Callable[[Event], None] = lambda _: None,
        *,
        street: bool = False,
        said: Callable[[str], str] = str,
    ) -> None:
        """`provisioned`: what provisioning wrote, read only; `state`: a folder for the servers' own files; `street`:
        with cameras and intercoms that show and say something; `said` turns a text into the person's language.

        Raises FleetServersError when something is not there, or others run in `state`; toolbox.ToolMissing, BrokerError
        and NotStarted from `__enter__`.
        """
        self._provisioned, self._state, self._on_event = provisioned, made_private(state), on_event
        self.columns = {folder.name: _document(folder) for folder in sorted(provisioned.glob("columns/*"))}
        if not self.columns:
            raise FleetServersError(f"{provisioned}/columns: no column there; run: make provision FLEET=... OUT=...")
        self._hold = _held(state)
        before = self._ports_before()
        try:
            self.broker = ProvisionedBroker(provisioned, before.get("broker"), before.get("centre"))
        except OSError as error:
            raise FleetServersError(f"{INCOMPLETE}: {error}") from error
        self._endpoints = dict(part for document in self.columns.values() for part in endpoints(document))
        configured = {name: document["stream"] for name, document in self.columns.items()}
        self.streams = Streams(configured, before, on_event, real=street, said=said)
        self.clock = TimeServer(before.get("clock", 0))
        self.centre = self._centre()
        self._stack = ExitStack()
        self._told: dict[str, Any] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._hold.release)
            stack.callback(self.streams.close)
            self.streams.start()
            stack.enter_context(self.clock)
            stack.enter_context(self.broker)
            stack.enter_context(self.centre)
            ports = {"broker": self.broker.port, "centre": self.broker.centre_port, "clock": self.clock.port}
            table = {asked: (HOST, ports[part]) for asked, part in self._endpoints.items()}
            for place, there in self.streams.places():
                table[place], ports[streams.text(place)] = there, there[1]
            with within(self._state):
                (self._state / PORTS).write_text(json.dumps(ports))
            connect_to.write(self.table, table)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def table(self) -> Path:
        """Where everything is: for boards."""
        return self._state / TABLE

    def break_(self, what: str) -> None:
        """One of BREAKS, with a column's id in place of ID. Raises FleetServersError."""
        self._set(what, True)

    def mend(self, what: str) -> None:
        """The opposite of `break_`; harmless when nothing is broken. Raises FleetServersError."""
        self._set(what, False)

    def check(self, what: str) -> None:
        """Whether that can be broken; nothing happens. Raises FleetServersError."""
        name, _, device_id = what.partition("=")
        if name not in {each.partition("=")[0] for each in BREAKS}:
            raise FleetServersError(f"found {what!r}, must be one of {', '.join(BREAKS)}")
        if f"{name}=ID" in BREAKS:
            self._check(device_id)
        elif what != name:
            raise FleetServersError(f"found {what!r}, must be {name}")

    def expire(self, device_id: str) -> Path:
        """A folder with that column's configuration, in which its certificate has ended: to be flashed.

        Raises FleetServersError.
        """
        self._check(device_id)
        source = self._provisioned / "columns" / device_id
        folder = made_private(self._state / "expired" / device_id)
        key = certificates.load_key((source / f"{device_id}.key").read_bytes())
        document = _document(source)
        try:
            pem = ended(self._provisioned, key, document["broker"]["tls"]["cert"].encode("ascii"))
        except OSError as error:
            raise FleetServersError(f"only with the authority's key can a certificate be made: {error}") from error
        document["broker"]["tls"]["cert"] = pem.decode("ascii")
        write(folder / "config.json", json.dumps(document, ensure_ascii=False), is_secret=False)
        for name in ("secrets.json", "chip"):
            shutil.copy2(source / name, folder / name)
        return folder

    def close_incidents(self) -> int:
        """The centre closes every open incident; how many there were."""
        incidents = self.centre.look(lambda ledger: [incident.id for incident in ledger.open_incidents()])
        for ident in incidents:
            self.centre.close(ident, "administrative")
        return len(incidents)

    # -- how it works

    def _set(self, what: str, broken: bool) -> None:
        name, _, device_id = what.partition("=")
        if broken or device_id or f"{name}=ID" not in BREAKS:
            self.check(what)
        match name:
            case "broker" if broken:
                self.broker.kill()
            case "broker":
                self.broker.start()
            case "certificate":
                self.broker.certificate_ended = broken
                self._restart()  # what stands already would stay
            case "password" | "access":
                names = self.broker.other_password if name == "password" else self.broker.open_access
                self._note(names, device_id, broken)
                if name == "password":
                    self._restart()  # by what it knows its clients is not read again
                else:
                    self.broker.apply()
            case "stream":
                (self.streams.break_ if broken else self.streams.mend)()
            case "clock":
                self.clock.silent = broken
            case "centre":
                self.centre.auto = None if broken else "received"

    def _restart(self) -> None:
        """A broker that is gone stays so until it is mended, and reads then what has changed."""
        if self.broker.running:
            self.broker.restart()

    def _note(self, names: set[str], device_id: str, broken: bool) -> None:
        """Mended without a column's id: of all columns."""
        if not broken and not device_id:
            names.clear()
            return
        (names.add if broken else names.discard)(device_id)

    def _check(self, device_id: str) -> None:
        known = ", ".join(self.columns)
        if not device_id:
            raise FleetServersError(f"no column is named; there are {known}")
        if device_id not in self.columns:
            raise FleetServersError(f"found {device_id}, must be one of {known}")

    def _ports_before(self) -> dict[str, int]:
        """Those of the last time, if nobody has them now: boards that are on stay where they are."""
        try:
            ports = json.loads((self._state / PORTS).read_text())
        except (OSError, ValueError):
            return {}
        return {part: port for part, port in ports.items() if is_free(port)}

    def _centre(self) -> Centre:
        folder = self._provisioned / "centre"
        login = json.loads((folder / "centre.json").read_text("utf-8"))
        identity = Identity(folder / f"{access.CENTRE}.pem", folder / f"{access.CENTRE}.key", folder / "ca.pem")
        first = next(iter(self.columns.values()))["broker"]
        return Centre(
            self.broker.host,
            self.broker.centre_port,
            tls=identity,
            server_name=first["tls"]["server_name"] or first["host"],
            user=login["user"],
            password=login["password"],
            on_change=self._tell,
        )

    def _tell(self) -> None:
        news = self.centre.look(self._news)
        for event in news:
            self._on_event(event)

    def _news(self, ledger: Ledger) -> list[Event]:
        now: dict[str, Event] = {
            name: {"event": "column", "device_id": name, "online": column.online}
            for name, column in ledger.columns.items()
        }
        for one in ledger.incidents.values():
            now[one.id] = {"event": "alarm", "device_id": one.device_id, "id": one.id, "press": one.press}
            now[one.id] |= {"status": one.alarm["status"], "state": one.state}
        news = [event for key, event in now.items() if self._told.get(key) != event]
        self._told = now
        return news


def endpoints(document: dict[str, Any]) -> Iterator[tuple[Endpoint, str]]:
    """(endpoint, its part: broker or clock) for each server beside its streams that a column contacts."""
    yield (document["broker"]["host"], document["broker"].get("port", 8883)), "broker"
    clock = document.get("clock", {})
    if clock.get("server"):
        yield (clock["server"], clock.get("port", NTP_PORT)), "clock"


def _held(state: Path) -> Hold:
    """What the boards read there is told by one only. Raises FleetServersError."""
    try:
        return Hold(state / TABLE)
    except Held as other:
        raise FleetServersError(
            f"{state}: servers run already here (process {other.process}): boards find those; for others name another "
            "folder with --state"
        ) from None


def _document(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "config.json").read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise FleetServersError(f"{folder}/config.json: {INCOMPLETE}: {error}") from error
