"""Stand-ins for what a column asks beside its broker: the other end of its streams, and a time server."""

import socket
import socketserver
import struct
import threading
import time
from collections import deque
from typing import Any

from common.ports import HOST, free_port
from sim.virtual.servers import ASKED_KEPT, NTP_BYTES, NTP_SERVER_HEAD, NTP_TO_UNIX_S, stream_answer

REQUEST_MAX = 2048
SILENCE_S = 60.0  # for how long a client of a camera that says nothing may wait


class StreamServer:
    """RTSP, HTTP and SIP on one TCP port and on the UDP port of the same number.

    `status` of its answers, None: it is silent; `asked`: the latest requests.
    """

    host = HOST

    def __init__(self, port: int = 0, *, runs: bool = True) -> None:
        """`port`: 0 = a free one; `runs`: from now on. Raises OSError when the port is taken."""
        self.status: int | None = 200
        self.asked: deque[bytes] = deque(maxlen=ASKED_KEPT)
        self.port = port or free_port()
        self._servers: list[socketserver.BaseServer] = []
        if runs:
            self.start()

    def start(self) -> None:
        """Again, on the same port."""
        if self._servers:
            return
        camera = self

        class Talk(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                request: Any = self.request
                request.settimeout(SILENCE_S)
                data = b""
                try:
                    while (answer := camera.reply(data)) is None and (got := request.recv(REQUEST_MAX)):
                        data += got
                    request.sendall(answer or b"")
                except OSError:  # the column has seen enough
                    pass

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, sock = self.request
                answer = camera.reply(data)
                if answer is not None:
                    sock.sendto(answer, self.client_address)

        tcp = _Tcp((HOST, self.port), Talk)
        self._servers = [tcp, socketserver.ThreadingUDPServer((HOST, self.port), Datagram)]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), name="camera", daemon=True).start()

    def stop(self) -> None:
        """Its port refuses; what it was asked stays."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers = []

    def reply(self, data: bytes) -> bytes | None:
        answer = stream_answer(data, self.status or 0)
        if answer is not None:
            self.asked.append(data)
        return answer if self.status else None


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class TimeServer:
    """Network time for real columns, as RFC 5905 has it, in a thread; a context manager. `silent`: no answers."""

    def __init__(self, port: int = 0) -> None:
        """`port`: 0 = a free one. Raises OSError when it is taken."""
        self.silent = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = port or free_port()
        self._socket.bind((HOST, self.port))
        self._thread = threading.Thread(target=self._serve, name="ntp", daemon=True)

    def __enter__(self) -> "TimeServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(512)
            if not data:
                return
            if len(data) < NTP_BYTES or self.silent:
                continue
            seconds, ns = divmod(time.time_ns(), 1_000_000_000)
            stamp = struct.pack("!II", seconds + NTP_TO_UNIX_S, (ns << 32) // 1_000_000_000)
            self._socket.sendto(NTP_SERVER_HEAD + bytes(12) + stamp + data[40:48] + stamp + stamp, peer)
