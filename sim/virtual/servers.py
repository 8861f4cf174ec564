"""The other servers of the virtual network: time and camera."""

import struct
from collections import deque
from collections.abc import Callable

from sim.virtual.connection import Connection
from sim.virtual.network import Network
from sim.virtual.network_faults import Net

NTP_BYTES = 48
NTP_TO_UNIX_S = 2_208_988_800
NTP_SERVER_HEAD = b"\x24\x02\x06\xec"  # version 4, server, stratum 2


class TimeServer:
    """Answers as RFC 5905 has it: the client's transmit time comes back as the originate time."""

    def __init__(self, network: Network, true_epoch_ms: Callable[[], int]) -> None:
        self._network = network
        self._true_epoch_ms = true_epoch_ms

    def reply(self, data: bytes) -> bytes | None:
        bites = self._network.bites
        if bites(Net.NTP_SILENT) or len(data) < NTP_BYTES:
            return None
        if bites(Net.NTP_GARBAGE):
            return bytes(self._network.dice.randrange(256) for _ in range(self._network.dice.randrange(1, 80)))
        seconds, ms = divmod(self._true_epoch_ms() + self._error_ms(), 1000)
        stamp = struct.pack("!II", seconds + NTP_TO_UNIX_S, (ms << 32) // 1000)
        head = b"\xe4\x00\x06\xec" if bites(Net.NTP_KISS) else NTP_SERVER_HEAD
        return head + bytes(12) + stamp + data[40:48] + stamp + stamp

    def _error_ms(self) -> int:
        network = self._network
        ahead_s = network.conditions[Net.NTP_AHEAD] if network.bites(Net.NTP_AHEAD) else 0
        behind_s = network.conditions[Net.NTP_BEHIND] if network.bites(Net.NTP_BEHIND) else 0
        return (ahead_s - behind_s) * 1000


NEEDED_HEADERS = {"RTSP": ("cseq",), "HTTP": ("host",), "SIP": ("via", "from", "to", "call-id", "cseq", "max-forwards")}
COPIED_HEADERS = ("via", "from", "to", "call-id", "cseq")
ASKED_KEPT = 50


def stream_answer(request: bytes, status: int = 200) -> bytes | None:
    """What an RTSP, HTTP or SIP server says to OPTIONS or HEAD; None to what is not, or not yet, such a request."""
    try:
        head, end, _ = request.decode().partition("\r\n\r\n")
        line, *rest = head.split("\r\n")
        verb, _, version = line.split(" ")
        headers = {name.lower(): value for name, value in (header.split(": ", 1) for header in rest)}
    except ValueError:
        return None
    protocol = version.partition("/")[0]
    needed = NEEDED_HEADERS.get(protocol)
    if not end or verb not in ("OPTIONS", "HEAD") or needed is None or not set(needed) <= set(headers):
        return None
    copied = [f"{name}: {headers[name]}" for name in COPIED_HEADERS if name in headers]
    return "\r\n".join([f"{version} {status} Says-So", *copied, "Content-Length: 0", "", ""]).encode()


class Camera:
    """Where the stream would be, on each of its ports.

    `up`: it can be reached; `status` of its answers, None: it is silent; `asked`: the latest of what it was asked.
    """

    def __init__(self) -> None:
        self.up = True
        self.status: int | None = 200
        self.asked: deque[bytes] = deque(maxlen=ASKED_KEPT)
        self._unfinished: dict[Connection, bytes] = {}

    def accepts(self) -> bool:
        return self.up

    def answers_tls(self) -> bool:
        return self.up

    def opened(self, connection: Connection) -> None:
        self._unfinished[connection] = b""

    def received(self, connection: Connection, data: bytes) -> None:
        self._unfinished[connection] += data
        answer = self.reply(self._unfinished[connection])
        if answer is not None:
            connection.send_from_server(answer)

    def closed(self, connection: Connection) -> None:
        self._unfinished.pop(connection, None)

    def reply(self, data: bytes) -> bytes | None:
        """Over UDP, and what is said over TCP."""
        if not self.up:
            return None
        answer = stream_answer(data, self.status or 0)
        if answer is not None:
            self.asked.append(data)
        return answer if self.status else None
