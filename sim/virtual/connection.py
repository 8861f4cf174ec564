"""One TCP (or TLS) connection in the virtual network, with both of its ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sim.virtual.costs import Costs
from sim.virtual.figures import of, us
from sim.virtual.network_faults import Net
from sim.virtual.timeline import US_PER_MS

if TYPE_CHECKING:
    from sim.virtual.network import Network

ECONNRESET, ETIMEDOUT, ECONNREFUSED = 104, 110, 111
SEND_BUFFER_BYTES = of("tcp_send_bytes")
SYN_RETRY_US = us("syn_retry_ms")
CONNECT_GIVES_UP_US = us("connect_gives_up_ms")
RETRANSMIT_GIVES_UP_US = us("retransmit_gives_up_ms")


class Server(Protocol):
    """The far end. `received` and `closed` come as events of the timeline."""

    def accepts(self) -> bool: ...
    def answers_tls(self) -> bool: ...
    def opened(self, connection: Connection) -> None: ...
    def received(self, connection: Connection, data: bytes) -> None: ...
    def closed(self, connection: Connection) -> None: ...


class Payer(NamedTuple):
    """How the board pays for what it does."""

    spend: Callable[[int], None]
    costs: Costs


class Connection:
    """The wire: what is in flight, held back, arrived. The board's end of it is `VirtualStream`."""

    def __init__(self, network: Network, payer: Payer, server: Server | None, tls: bool) -> None:
        self.network = network
        self.server = server
        self.payer = payer
        self.established = False
        self.tls_chunks_left = payer.costs.tls_chunks if tls else 0
        self._is_tls = tls
        self._record = b""  # what TLS holds of a record that the send buffer did not take whole
        self.flight_ready_us = 0  # when the peer's next handshake message is there
        self.inbox = bytearray()
        self.ended = False  # the peer closed
        self.error: OSError | None = None
        self.open_here = True
        self.open_there = False
        self._to_server_us = self._to_board_us = 0  # order is kept: nothing overtakes
        self._held_out: list[bytes] = []
        self._held_in: list[bytes] = []
        self._started_us = network.timeline.now_us
        self._retransmit_limit_us: int | None = None
        network.timeline.after(2 * network.latency_us(), self._connect)

    # -- connecting

    def _connect(self) -> None:
        network, now_us = self.network, self.network.timeline.now_us
        if not self.open_here:
            return
        if network.stops():
            if now_us - self._started_us > CONNECT_GIVES_UP_US:
                self.error = OSError(ETIMEDOUT, "connection timed out")
            else:
                network.timeline.after(SYN_RETRY_US, self._connect)
        elif self.server is None or network.bites(Net.REFUSED) or not self.server.accepts():
            self.error = OSError(ECONNREFUSED, "connection refused")
        else:
            self.established = self.open_there = True
            self.flight_ready_us = now_us + 2 * network.latency_us()
            self.server.opened(self)

    def handshake_step(self) -> bool:
        """One stretch of the TLS handshake inside `is_open`; True when application data may flow."""
        network = self.network
        if self.tls_chunks_left == 0:
            return True
        silent = network.stops() or network.bites(Net.TLS_SILENT) or not self.open_there
        if network.timeline.now_us < self.flight_ready_us or silent:
            return False
        assert self.server is not None
        if not self.server.answers_tls():
            return False
        self.payer.spend(network.dice.randint(*self.payer.costs.tls_chunk))
        self.tls_chunks_left -= 1
        self.flight_ready_us = network.timeline.now_us + 2 * network.latency_us()
        if self.tls_chunks_left == 0 and network.bites(Net.TLS_EXPIRED):
            self.error = OSError("TLS: the server's certificate has expired")
            self.close_here()
            raise self.error
        return self.tls_chunks_left == 0

    # -- data

    def readable(self) -> bool:
        return self.open_here and self.established and bool(self.inbox or self.ended or self.error)

    def send_from_board(self, data: bytes) -> int:
        """Bytes taken. As mbedTLS: a record that does not go out whole is held, and 0 returned; the next write goes on
        with it, and returns the length of whatever it was given."""
        if not self._is_tls:
            return self._send(data)
        self._record = self._record or data
        sent = self._send(self._record)
        if not sent and data:
            self.network.on_wire(self, b"")  # it has begun all the same
        self._record = self._record[sent:]
        return 0 if self._record else len(data)

    def _send(self, data: bytes) -> int:
        room = SEND_BUFFER_BYTES - sum(map(len, self._held_out))
        if min(room, len(data)) > self.network.conditions.get(Net.SHORT_WRITE, room):
            self.network.bites(Net.SHORT_WRITE)
            room = self.network.conditions[Net.SHORT_WRITE]
        taken: bytes = data[:room]
        if taken:
            self.network.on_wire(self, taken)
            self._to_server_us = max(self._to_server_us, self.network.timeline.now_us + self.network.latency_us())
            self.network.timeline.at(self._to_server_us, lambda: self._arrive_there(taken))
        return len(taken)

    def _arrive_there(self, data: bytes) -> None:
        if self.error is not None:
            return
        if self.network.stops():
            self._hold_out(data)
        elif self.open_there:
            if self.network.bites(Net.RESET):
                self.reset()
            elif self.server is not None:
                self.server.received(self, data)
        elif not self.network.bites(Net.HALF_OPEN):
            self._break(OSError(ECONNRESET, "connection reset by peer"))  # it answers for what it forgot
        else:
            self._hold_out(data)

    def _hold_out(self, data: bytes) -> None:
        self._held_out.append(data)
        if self._retransmit_limit_us is None:
            self._retransmit_limit_us = self.network.timeline.now_us + RETRANSMIT_GIVES_UP_US
            self.network.timeline.at(self._retransmit_limit_us, self._give_up)

    def _give_up(self) -> None:
        if self._held_out and self.open_here and self.network.timeline.now_us == self._retransmit_limit_us:
            self._break(OSError(ETIMEDOUT, "connection timed out"))

    def flush(self) -> None:
        """The way is free again: what was held back goes on."""
        self._retransmit_limit_us = None
        out, self._held_out = self._held_out, []
        back, self._held_in = self._held_in, []
        for data in out:
            self._arrive_there(data)
        for data in back:
            self._arrive_here(data)

    def send_from_server(self, data: bytes) -> None:
        if not self.open_there:
            return
        if not self.network.bites(Net.DRIP):
            self._to_board(data, 0)
        else:
            drip_ms = self.network.conditions[Net.DRIP]
            for position in range(len(data)):
                self._to_board(data[position : position + 1], drip_ms * US_PER_MS)

    def _to_board(self, data: bytes, gap_us: int) -> None:
        timeline = self.network.timeline
        self._to_board_us = max(self._to_board_us + gap_us, timeline.now_us + self.network.latency_us())
        timeline.at(self._to_board_us, lambda: self._arrive_here(data))

    def _arrive_here(self, data: bytes) -> None:
        if not self.open_here:
            return
        if self.network.stops():
            self._held_in.append(data)
        elif data:
            self.inbox += data
        else:
            self.ended = True

    # -- ends

    def close_at_server(self) -> None:
        """The server closes (FIN)."""
        if self.open_there:
            self._to_board(b"", 0)
            self.open_there = False

    def forget_at_server(self) -> None:
        """The server's side is gone and the board is not told."""
        if self.open_there:
            self.open_there = False
            assert self.server is not None
            self.server.closed(self)

    def reset(self) -> None:
        """RST to both ends."""
        self.forget_at_server()
        self._break(OSError(ECONNRESET, "connection reset by peer"))

    def _break(self, error: OSError) -> None:
        if self.error is None and self.open_here:
            self.error = error

    def close_here(self) -> None:
        if not self.open_here:
            return
        self.open_here = False
        if self in self.network.connections:
            self.network.connections.remove(self)
        if not self.network.blocked():  # else the FIN is lost, and the server finds out by itself
            self._to_server_us = max(self._to_server_us, self.network.timeline.now_us + self.network.latency_us())
            self.network.timeline.at(self._to_server_us, self.forget_at_server)

    def abandon(self) -> None:
        """The board died: no FIN."""
        self.open_here = False


class VirtualStream:
    """`hal.interface.Stream` of one life of the board."""

    def __init__(
        self,
        connection: Connection,
        on_close: Callable[[], None] | None = None,
        want: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_close`: of a connection beside the session. `want`: memory for a packet of the session's."""
        self._connection = connection
        self._on_close = on_close
        self._want = want

    def is_alive(self) -> bool:
        return self._connection.open_here

    def _pay(self) -> Connection:
        connection = self._connection
        connection.payer.spend(connection.payer.costs.stream_us)
        if not connection.open_here:
            raise OSError(9, "the stream is closed")
        return connection

    def is_open(self) -> bool:
        connection = self._pay()
        if connection.error is not None:
            raise connection.error
        return connection.established and connection.handshake_step()

    def read_into(self, buffer: Any) -> int | None:
        connection = self._pay()
        count = min(len(buffer), len(connection.inbox))
        if count:
            buffer[:count] = connection.inbox[:count]
            del connection.inbox[:count]
            return count
        if connection.error is not None:
            raise connection.error
        return 0 if connection.ended else None

    def write(self, data: Any) -> int:
        connection = self._pay()
        if connection.error is not None:
            raise connection.error
        if self._on_close is None:
            self._want()
        return connection.send_from_board(bytes(data))

    def certificate(self) -> bytes | None:
        return None  # TLS costs time here, and nothing is encrypted

    def close(self) -> None:
        connection = self._connection
        if not connection.open_here:
            return  # the board may be dead: what it left half done is closed by Python's collector, at no cost
        connection.payer.spend(connection.payer.costs.stream_us)
        connection.close_here()
        if self._on_close is not None:
            self._on_close()
