"""The stage of the broker part: brokers, proxies and columns, the threads that press and spoil, and what came of it."""

import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from paho.mqtt import publish as paho
from rich.table import Table

from desk.ledger import Ledger
from sim.document import REGION
from sim.real.changed import changed_copy
from sim.real.flash_image import PROJECT
from sim.search.brokers.broker_side import Book, BrokerSide
from sim.search.brokers.column import PressedColumn
from sim.search.brokers.controls import BREAKS
from sim.search.brokers.faults import BROKER_KINDS, LANE_KINDS, BrokerTrouble, LaneTrouble, Saw, Trouble, plan
from sim.servers.authority import Authority
from sim.servers.proxy import DOWN, FAIR, UP, Proxy

PLAIN, MUTUAL = "plain", "mutual TLS"
SETTLE_S = 90.0  # from the last fault to the last press in the ledger
CONTROL_SETTLE_S = 20.0  # with a control nobody waits for what will not come
ASK_S = 10.0
POLL_S = 0.2
SPOILED_AFTER = 3  # alarms after which a control of the receiving side acts
HEAP_32_BYTES = 112 * 1024  # a stock heap that has grown once: with more of it IDF has no room for TLS


class Spec(NamedTuple):
    """A column of the run."""

    name: str
    runtime: str
    transport: str
    saws: bool = False


class Stage:
    """Brokers, proxies, columns, and the threads that press and spoil."""

    def __init__(self, specs: Sequence[Spec], seed: int, control: str | None) -> None:
        self.book = Book()
        self._specs, self._seed, self._control = specs, seed, control
        self._exit = contextlib.ExitStack()
        self._stop_faults, self._stop_presses = threading.Event(), threading.Event()
        self.columns: dict[str, PressedColumn] = {}
        self._threads: list[threading.Thread] = []
        self._heard = 0
        self._saw: Saw | None = None

    def __enter__(self) -> "Stage":
        with self._exit:
            folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="sos-brokers-")))
            authority = Authority(folder / "certs")
            sources = PROJECT
            if self._control in BREAKS:
                sources = changed_copy(folder / "broken", BREAKS[self._control])
            transports = dict.fromkeys(spec.transport for spec in self._specs)
            self.places = {
                name: self._exit.enter_context(BrokerSide(name, authority if name == MUTUAL else None, self._alarm))
                for name in transports
            }
            for spec in self._specs:
                place = self.places[spec.transport]
                proxy = self._exit.enter_context(Proxy(place.broker.port))
                heap = HEAP_32_BYTES if spec.runtime == "micropython32" else None
                column = PressedColumn(
                    spec.name, spec.runtime, place, proxy, self.book, folder, self._seed, sources, heap_bytes=heap
                )
                self._exit.callback(column.real.close)
                self.columns[spec.name] = column
            for column in self.columns.values():
                column.wait_ready()
            self._opened = self._exit.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_faults.set()
        self._stop_presses.set()
        for thread in self._threads:
            thread.join()
        self._opened.close()

    def trouble(self) -> None:
        """Everybody begins."""
        if any(spec.saws for spec in self._specs):
            self._saw = self._measure(next(self.columns[spec.name] for spec in self._specs if spec.saws))
        for spec in self._specs:
            column = self.columns[spec.name]
            self._threads.append(_Presser(column, f"presser {spec.name}", self.book, self._stop_presses))
            faults = plan(self._seed, spec.name, LANE_KINDS)
            saw = self._saw if spec.saws else None
            self._threads.append(
                LaneTrouble(column.proxy, faults, saw, f"lane {spec.name}", self.book, self._stop_faults)
            )
        for name, place in self.places.items():
            faults = plan(self._seed, name, BROKER_KINDS)
            self._threads.append(BrokerTrouble(place, faults, f"place {name}", self.book, self._stop_faults))
        for thread in self._threads:
            thread.start()

    def _measure(self, column: PressedColumn) -> Saw:
        """One undisturbed session, from CONNECT to the answer of its alarm: so long is what the saw cuts."""
        proxy = column.proxy
        proxy.reset()
        before = dict(proxy.passed)
        column.press()
        end_s = time.monotonic() + SETTLE_S
        while not (column.settled() and column.lamp == "answered" or self._is_caught() or time.monotonic() > end_s):
            time.sleep(POLL_S)
        column.operate()
        return Saw({way: proxy.passed[way] - before.get(way, 0) for way in (UP, DOWN)})

    def _is_caught(self) -> bool:
        return self._control is not None and bool(self.book.wrong)

    def heal(self) -> None:
        self._stop_faults.set()
        self._stop_presses.set()
        for thread in self._threads:
            thread.join()
        for column in self.columns.values():
            column.proxy.weather = FAIR

    def settle(self) -> None:
        """Every press arrives now, or is missing."""
        asked_s = time.monotonic()
        end_s = asked_s + (CONTROL_SETTLE_S if self._control else SETTLE_S)
        while not all(column.settled() for column in self.columns.values()) and time.monotonic() < end_s:
            if self._is_caught():
                return  # the rest would only be noise
            time.sleep(POLL_S)
            if (asks := time.monotonic()) > asked_s + ASK_S:
                asked_s = asks
                for column in self.columns.values():
                    column.operate()  # a closing is asked for again: a press that only the broker had comes with it
        for column in self.columns.values():
            column.operate()
            column.finish()
        for place in self.places.values():
            for broken in place.centre.violations:
                self.book.complain(f"contract: {broken.topic}: {broken.why}")

    def _alarm(self, device_id: str, ident: str, press: int) -> None:
        """Every transmission that a receiver hears, in its network's thread."""
        column = self.columns.get(device_id)
        if column is None:
            self.book.complain(f"invented: an alarm of {device_id}, which does not exist")
            return
        self._heard += 1
        if self._control == "deaf-receiver" and ident.endswith(f"-{SPOILED_AFTER}"):
            return
        column.alarm(ident, press)
        if self._control == "ghost-alarm" and self._heard == SPOILED_AFTER:
            self._ghost(column, ident)

    def _ghost(self, column: PressedColumn, ident: str) -> None:
        """Somebody else's alarm in the column's name, made from a real one."""
        place = column.place

        def publish() -> None:
            alarm = place.centre.wait_for(lambda ledger: _alarm_text(ledger, ident), SETTLE_S)
            topic = f"sos/v1/{REGION}/{column.device_id}/alarm"
            identity = place.identity("ghost")
            tls = (
                {"ca_certs": str(identity.ca), "certfile": str(identity.cert), "keyfile": str(identity.key)}
                if identity
                else None
            )
            prefix, _, seq = ident.rpartition("-")
            payload = alarm.replace(ident, f"{prefix}1-{seq}")  # of a boot that never was
            paho.single(topic, payload, qos=1, hostname=place.broker.host, port=place.broker.port, tls=tls)  # type: ignore[arg-type]

        threading.Thread(target=publish, name="ghost", daemon=True).start()

    # -- figures

    def summary(self) -> str:
        presses = sum(column.begun for column in self.columns.values())
        alarms = sum(column.alarms.total() for column in self.columns.values())
        return f"{presses} presses, {alarms} alarms heard, {len(self.book.wrong)} violations"

    def figures(self) -> dict[str, str]:
        columns = self.columns.values()

        def presses(runtime: str) -> int:
            return sum(column.begun for column in columns if column.runtime.startswith(runtime))

        transmissions = sum(column.alarms.total() for column in columns)
        distinct = sum(len(column.alarms) for column in columns)
        figures = {
            "presses on CPython": f"{presses('cpython'):,}",
            "presses on MicroPython": f"{presses('micropython'):,}",
            "presses in the receiver's ledger": f"{sum(sum(column.heard.values()) for column in columns):,}",
            "incidents": f"{sum(len(column.heard) for column in columns):,}",
            "alarms received": f"{transmissions:,}, {transmissions - distinct:,} of them repeats",
            "connections": f"{sum(column.proxy.sessions for column in columns):,} by {len(columns)} columns",
            "closures not counted (the machine stalled)": f"{sum(column.unproven for column in columns)}",
        }
        if self._saw is not None:
            figures["byte positions of a session cut"] = f"{self._saw.cut:,} of {self._saw.total:,}"
        return figures

    def column_table(self) -> Table:
        table = Table("column", "runtime", "way", "presses", "incidents", "alarms", "repeats", "connections")
        for spec, column in zip(self._specs, self.columns.values(), strict=True):
            total, distinct = column.alarms.total(), len(column.alarms)
            numbers = (column.begun, len(column.heard), total, total - distinct, column.proxy.sessions)
            table.add_row(spec.name, spec.runtime, spec.transport, *(f"{number:,}" for number in numbers))
        return table

    def fault_table(self) -> Table:
        table = Table("fault", "took effect", "seconds")
        for kind in LANE_KINDS + BROKER_KINDS:
            table.add_row(kind, f"{self.book.fired[kind]:,}", f"{self.book.seconds[kind] / 1000:.0f}")
        return table


class _Presser(Trouble):
    """The person in front of one column."""

    def __init__(self, column: PressedColumn, name: str, book: Book, stop: threading.Event) -> None:
        super().__init__(name, book, stop)
        self._column = column

    def perform(self) -> None:
        self._column.work(self.stopped)


def _alarm_text(ledger: Ledger, ident: str) -> str:
    incident = ledger.incidents.get(ident)
    return json.dumps(incident.alarm, ensure_ascii=False) if incident is not None else ""
