"""The network between one column and its servers: TCP, UDP, names, and everything that breaks them, by name."""

import random
from collections.abc import Callable
from typing import Protocol

from sim.virtual.connection import Connection, Payer, Server
from sim.virtual.costs import Costs
from sim.virtual.network_faults import DEFAULTS, LOOKUP_GIVES_UP_MS, Net
from sim.virtual.timeline import US_PER_MS, Timeline
from sim.virtual.trace import Trace

EHOSTUNREACH = 113
EAI_FAIL = -202
LATENCY_US = (5 * US_PER_MS, 15 * US_PER_MS)  # one way, on a good day
NO_LINK = (Net.LINK_DOWN, Net.LINK_REFUSED, Net.LINK_WEDGED, Net.LINK_STUCK)
LOOKUP_US = (10 * US_PER_MS, 150 * US_PER_MS)


class DatagramServer(Protocol):
    def reply(self, data: bytes) -> bytes | None: ...


class Network:
    """Everything beyond the board's own interface. Keeps the connections of the board that lives now."""

    def __init__(self, timeline: Timeline, trace: Trace, dice: random.Random) -> None:
        self.timeline = timeline
        self.trace = trace
        self.dice = dice
        self.conditions: dict[Net, int] = {}
        self.names: dict[str, str] = {}
        self.connections: list[Connection] = []
        self.on_link: Callable[[], None] | None = None  # the board's interface wants to hear of LINK_DOWN
        self.on_wire: Callable[[Connection, bytes], None] = lambda connection, data: None  # each write taken
        self._servers: dict[tuple[str, int], Server] = {}
        self._datagram_servers: dict[tuple[str, int], DatagramServer] = {}

    # -- set-up and conditions

    def serve(self, name: str, address: str, port: int, server: Server) -> None:
        self.names[name] = address
        self._servers[address, port] = server

    def move(self, name: str, address: str, port: int) -> None:
        """A server moves: its name leads to another address, its connections are reset, the old address is deserted."""
        server = self._servers.pop((self.names[name], port))
        self.serve(name, address, port, server)
        for connection in list(self.connections):
            if connection.server is server:
                connection.reset()

    def serve_datagrams(self, name: str, address: str, port: int, server: DatagramServer) -> None:
        self.names[name] = address
        self._datagram_servers[address, port] = server

    def start(self, condition: Net, value: int | None = None) -> None:
        self.conditions[condition] = DEFAULTS.get(condition, 1) if value is None else value
        self.trace.add("condition", "network", condition.value, self.conditions[condition])
        if condition == Net.HALF_OPEN:
            for connection in self.connections:
                self.bites(condition)
                connection.forget_at_server()
        elif condition == Net.RESET:
            for connection in list(self.connections):
                self.bites(condition)
                connection.reset()
        self._changed()

    def stop(self, condition: Net) -> None:
        if self.conditions.pop(condition, None) is not None:
            self.trace.add("condition", "network", condition.value, "stop")
            self._changed()

    def stop_all(self) -> None:
        for condition in list(self.conditions):
            self.stop(condition)

    def bites(self, condition: Net) -> bool:
        """The condition is on, and somebody meets it just now: that counts as its effect."""
        if condition not in self.conditions:
            return False
        self.trace.took_effect(f"network {condition.value}")
        return True

    def _changed(self) -> None:
        if self.on_link is not None:
            self.on_link()
        if not self.blocked():
            for connection in list(self.connections):
                connection.flush()

    def stops(self) -> bool:
        """Something wants to pass, and cannot."""
        met = [self.bites(condition) for condition in (Net.BLACK_HOLE, *NO_LINK)]  # each of them counts
        return any(met)

    def blocked(self) -> bool:
        return Net.BLACK_HOLE in self.conditions or self.link_blocked()

    def link_blocked(self) -> bool:
        return any(condition in self.conditions for condition in NO_LINK)

    def latency_us(self) -> int:
        extra = self.conditions[Net.LATENCY] * US_PER_MS if self.bites(Net.LATENCY) else 0
        return self.dice.randint(*LATENCY_US) + extra

    # -- what the board asks for

    def connect(self, address: str, port: int, payer: Payer, tls: bool) -> Connection:
        """Start a TCP connection; raises OSError where the chip would at once."""
        if self.link_blocked():
            raise OSError(EHOSTUNREACH, f"no route to {address}")
        server = self._servers.get((address, port))
        connection = Connection(self, payer, server, tls)
        self.connections.append(connection)
        return connection

    def input_waiting(self) -> bool:
        """Some open stream of the board has input, or its end, or an error to report."""
        for connection in self.connections:  # noqa: SIM110 - asked at every turn, and `any` takes three times as long
            if connection.readable():
                return True
        return False

    def board_died(self) -> None:
        """The chip was reset or lost its power: its connections are gone, and nobody tells the servers."""
        for connection in self.connections:
            connection.abandon()
        self.connections.clear()
        self.on_link = None
        self.stop(Net.LINK_STUCK)

    def datagram_reply(self, address: str, port: int, data: bytes, deliver: Callable[[bytes], None]) -> None:
        """Send one datagram; `deliver` gets the answer, if there is one."""
        server = self._datagram_servers.get((address, port))
        if server is None or self.stops():
            return

        def arrive() -> None:
            answer = server.reply(data)
            if answer is not None and not self.stops():
                self.timeline.after(self.latency_us(), lambda: deliver(answer))

        self.timeline.after(self.latency_us(), arrive)


class VirtualLookup:
    """`hal.interface.Lookup`: the answer is decided when its time has come."""

    def __init__(self, network: Network, name: str, spend: Callable[[int], None], costs: Costs) -> None:
        self._network = network
        self._name = name
        self._spend = spend
        self._costs = costs
        stall_ms = network.conditions[Net.LOOKUP_STALL] if network.bites(Net.LOOKUP_STALL) else None
        if network.stops():
            stall_ms = LOOKUP_GIVES_UP_MS
        delay_us = network.dice.randint(*LOOKUP_US) if stall_ms is None else stall_ms * US_PER_MS
        self._ready_us = network.timeline.now_us + delay_us

    def result(self) -> str | None:
        self._spend(self._costs.lookup_us)
        if self._network.timeline.now_us < self._ready_us:
            return None
        fails = self._network.bites(Net.LOOKUP_FAIL) or self._network.stops()
        address = None if fails else self._network.names.get(self._name)
        if address is None and self._name.replace(".", "").isdigit():
            address = self._name
        if address is None:
            raise OSError(EAI_FAIL, f"no address for {self._name}")
        return address


class VirtualDatagram:
    """`hal.interface.Datagram`."""

    def __init__(self, network: Network, address: str, port: int, spend: Callable[[int], None], costs: Costs) -> None:
        self._network = network
        self._peer = (address, port)
        self._spend = spend
        self._costs = costs
        self._inbox: list[bytes] = []

    def send(self, data: bytes) -> None:
        self._spend(self._costs.stream_us)
        if self._network.link_blocked():
            raise OSError(EHOSTUNREACH, f"no route to {self._peer[0]}")
        self._network.datagram_reply(*self._peer, bytes(data), self._inbox.append)

    def receive(self) -> bytes | None:
        self._spend(self._costs.stream_us)
        return self._inbox.pop(0) if self._inbox else None

    def close(self) -> None:
        self._spend(self._costs.stream_us)
        self._inbox = []
