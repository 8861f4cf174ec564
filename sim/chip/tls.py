"""The chip's `tls` over its sockets: mbedTLS's own module on MicroPython, CPython's `ssl` behind the same interface.

As on the chip: TLS 1.2, certificates and keys as DER, no waiting on a socket that does not wait.
"""

import io
import sys

from . import errno, heaps, host, network, wires

if sys.implementation.name == "micropython":
    import tls as _engine
else:
    from .cpython import tls_engine as _engine  # type: ignore[no-redef]

PROTOCOL_TLS_CLIENT = _engine.PROTOCOL_TLS_CLIENT
PROTOCOL_TLS_SERVER = _engine.PROTOCOL_TLS_SERVER
CERT_NONE = _engine.CERT_NONE
CERT_OPTIONAL = _engine.CERT_OPTIONAL
CERT_REQUIRED = _engine.CERT_REQUIRED

_IOCTL_CLOSE = 4


class _Wire(io.IOBase):
    """A chip's socket as the stream under an engine: errors are negative numbers, None means not now."""

    def __init__(self, sock) -> None:
        self._sock = sock

    def readinto(self, buffer):
        try:
            return self._sock.readinto(buffer)
        except OSError as error:
            return -error.args[0]

    def write(self, data):
        try:
            return self._sock.write(data)
        except OSError as error:
            return -error.args[0]

    def ioctl(self, request, argument):
        if request == _IOCTL_CLOSE:
            self._sock.close()
        return 0

    def setblocking(self, flag) -> None:
        self._sock.setblocking(flag)


class SSLSocket:
    """`taken`: of IDF's heap, until it is closed; a handshake takes more, until something comes through."""

    def __init__(self, sock, stream, taken) -> None:
        self._sock, self._stream, self._taken = sock, stream, taken
        self._handshake: list | None = None  # what it takes or took; None = it has not begun
        self.raw = sock.raw
        self._more = False  # the last read was filled: the engine may hold more, which polling does not show

    def flush(self) -> None:
        self._sock.flush()

    def pending(self) -> bool:
        return self._more

    def setblocking(self, flag) -> None:
        self._sock.setblocking(flag)

    def readinto(self, buffer, size=-1):
        wanted = len(buffer) if size < 0 else size
        self._begin()
        count = self._stream.readinto(buffer, wanted)
        if count:
            heaps.give(self._handshake)
        self._more = count is not None and 0 < count == wanted
        return count

    def read(self, size=-1):
        self._begin()
        data = self._stream.read() if size < 0 else self._stream.read(size)
        if data:
            heaps.give(self._handshake)
        self._more = data is not None and 0 < len(data) == size
        return data

    def write(self, data):
        self._begin()
        count = self._stream.write(data)
        if count:
            heaps.give(self._handshake)
        return count

    def close(self) -> None:
        self._stream.close()
        self._sock.close()
        heaps.give(self._taken)
        if self._handshake is not None:
            heaps.give(self._handshake)

    def _begin(self) -> None:
        """mbedTLS does its handshake inside of the first reads and writes."""
        if self._handshake is None:
            taken = heaps.take("tls_handshake")
            if taken is None:
                raise errno.error("ENOMEM")
            self._handshake = taken

    def getpeercert(self, binary_form):
        return self._stream.getpeercert(binary_form)

    def cipher(self):
        return self._stream.cipher()


class SSLContext:
    def __init__(self, __protocol) -> None:
        network._fails("tls-memory")
        self._context = _engine.SSLContext(__protocol)
        if heaps.take("tls_context") is None:
            raise errno.error("ENOMEM")

    @property
    def verify_mode(self):
        return self._context.verify_mode  # type: ignore[attr-defined]

    @verify_mode.setter
    def verify_mode(self, mode) -> None:
        self._context.verify_mode = mode  # type: ignore[attr-defined]

    def load_cert_chain(self, cert, key) -> None:
        """A certificate and its key, DER. Raises ValueError("invalid cert" or "invalid key")."""
        self._context.load_cert_chain(cert, key)

    def load_verify_locations(self, cadata) -> None:
        """One or more authorities' certificates, DER. Raises ValueError("invalid cert")."""
        self._context.load_verify_locations(cadata)

    def get_ciphers(self):
        return self._context.get_ciphers()

    def set_ciphers(self, ciphers) -> None:
        self._context.set_ciphers(ciphers)

    def wrap_socket(self, sock, server_side=False, do_handshake_on_connect=True, server_hostname=None):
        if wires.options["tls_ms"]:
            host.sleep_us(wires.options["tls_ms"] * 1000)
        taken = heaps.take("tls_session")
        if taken is None:
            raise errno.error("ENOMEM")
        stream = self._context.wrap_socket(
            _Wire(sock),
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            server_hostname=server_hostname,
        )
        return SSLSocket(sock, stream, taken)
