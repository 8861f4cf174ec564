"""Chips with a network: their probes' beginning, and a server for them to talk to."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from chip_rig import Chip

Make = Callable[..., Chip]

JOIN = """
import time, machine, network, errno, socket, select, gc
w = network.WLAN(network.STA_IF)
def join():
    w.active(True)
    w.connect("sos-columns", "password")
    while not w.isconnected():
        time.sleep_ms(5)
def code(what, *args, **named):
    try:
        return what(*args, **named)
    except OSError as error:
        return errno.errorcode.get(error.args[0], error.args[0])
"""


@contextlib.contextmanager
def chips(folder: Path, runtime: str, begins: str = JOIN) -> Iterator[Make]:
    """`make(main, files)`: a chip whose probe begins so; all of them end with the test."""
    made: list[Chip] = []

    def make(main: str, files: dict[str, str | bytes] | None = None) -> Chip:
        made.append(Chip(folder, runtime, begins + main, files))
        return made[-1]

    yield make
    for one in made:
        one.kill()


class Echo:
    """A server that sends back what it gets in angle brackets, over TLS when it has a context."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._context = context
        self.peers: list[str] = []
        self.heard = bytearray()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            stream = self._context.wrap_socket(connection, server_side=True) if self._context else connection
            if isinstance(stream, ssl.SSLSocket):
                self.peers.append(str(stream.getpeercert()))
            with stream:
                while data := stream.recv(65536):
                    self.heard += data
                    stream.sendall(b"<" + data + b">")
        except OSError:
            connection.close()

    def close(self) -> None:
        """The thread first: its accept() could otherwise take the next server's connections by a reused descriptor."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
