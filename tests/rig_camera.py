"""The camera of the real rigs: RTSP, HTTP and SIP on one TCP port and on the UDP port of the same number."""

import socketserver
import threading
from collections import deque
from typing import Any

from sim.world.servers import ASKED_KEPT, stream_answer

HOST = "127.0.0.1"
REQUEST_MAX = 2048
SILENCE_S = 60.0  # for how long a client of a camera that says nothing may wait


class CameraServer:
    """`status` of its answers, None: it is silent; `asked`: the latest requests."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.asked: deque[bytes] = deque(maxlen=ASKED_KEPT)
        self.port = 0
        self._servers: list[socketserver.BaseServer] = []
        self.start()

    def start(self) -> None:
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
        self.port = tcp.server_address[1]
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
