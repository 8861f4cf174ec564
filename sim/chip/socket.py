"""The chip's `socket`: lwIP's behaviour and error numbers over the host's sockets, behind a link that can go dead.

While no interface holds an address a connection falls silent, as a connection over a dead radio does: reading gives
nothing, writing fills the send buffer, which is sent when the link is back. New connections find no route.
"""

from . import errno, heaps, host, network, wires
from . import time as _time

AF_INET = 2
SOCK_STREAM = 1
SOCK_DGRAM = 2
IPPROTO_IP = 0
IPPROTO_TCP = 6
IPPROTO_UDP = 17
SOL_SOCKET = 4095
SO_REUSEADDR = 4
SO_BROADCAST = 32
TCP_NODELAY = 1

_POLLIN, _POLLOUT, _POLLERR, _POLLHUP = 1, 4, 8, 16
_LINUX_EAGAIN, _LINUX_EISCONN, _LINUX_EINPROGRESS = 11, 106, 115
_SEND_BUFFER_BYTES = 5744  # lwIP's TCP_SND_BUF
_EAI_FAIL = -202
_CHUNK_MS = 20  # a blocking call looks this often whether the link is still there
_LINUX_OPTIONS = {(SOL_SOCKET, SO_REUSEADDR): (1, 2), (SOL_SOCKET, SO_BROADCAST): (1, 6), (IPPROTO_TCP, 1): (6, 1)}


def getaddrinfo(host_name, port, *hints):
    """[(family, type, protocol, name, (ip, port))]. Raises OSError(-202) when the name cannot be resolved."""
    return [(AF_INET, SOCK_STREAM, 0, host_name, (_resolve(host_name, port), port))]


def _resolve(name: str, port: int) -> str:
    parts = name.split(".")
    if len(parts) == 4 and all(part.isdigit() for part in parts):
        return name
    if not network._online():
        raise OSError(_EAI_FAIL, "EAI_FAIL")
    try:
        return host.resolve(name, port)
    except OSError:
        raise OSError(_EAI_FAIL, "EAI_FAIL")


class socket:
    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=0) -> None:
        if af != AF_INET:
            raise errno.error("EINVAL")
        self.type = type
        self._taken = heaps.take("udp_socket" if type == SOCK_DGRAM else "tcp_socket")
        if self._taken is None:
            raise errno.error("ENOBUFS")
        self.raw = host.datagram_socket() if type == SOCK_DGRAM else host.stream_socket()
        self.timeout_ms = -1  # -1 = wait for ever, 0 = never wait
        self._unsent = b""
        self._closed = False

    # -- for select and tls

    def flush(self) -> None:
        """Send what the dead link held back, once it is alive."""
        while self._unsent and network._online():
            sent = self._host_write(self._unsent)
            if not sent:
                return
            self._unsent = self._unsent[sent:]

    def pending(self) -> bool:
        """True when there is input that polling the host's socket would not show."""
        return False

    # -- the chip's interface

    def settimeout(self, timeout) -> None:
        self.timeout_ms = -1 if timeout is None else int(timeout * 1000)

    def setblocking(self, flag) -> None:
        self.timeout_ms = -1 if flag else 0

    def setsockopt(self, level, option, value) -> None:
        if (level, option) not in _LINUX_OPTIONS:
            return  # lwIP's other options have no counterpart
        self.raw.setsockopt(*_LINUX_OPTIONS[level, option], value)

    def fileno(self) -> int:
        return self.raw.fileno()

    def connect(self, address) -> None:
        ip = _resolve(address[0], address[1])
        if not network._online():
            raise errno.error("EHOSTUNREACH")
        try:
            self.raw.connect(host.address(ip, address[1]))
        except OSError as error:
            if error.args[0] != _LINUX_EINPROGRESS or self.timeout_ms == 0:
                raise errno.translated(error)
            self._wait(_POLLOUT)
            try:
                self.raw.connect(host.address(ip, address[1]))  # the outcome of the first call
            except OSError as outcome:
                if outcome.args[0] != _LINUX_EISCONN:
                    raise errno.translated(outcome)

    def bind(self, address) -> None:
        try:
            self.raw.bind(host.address(address[0] or "0.0.0.0", address[1]))
        except OSError as error:
            raise errno.translated(error)

    def readinto(self, buffer, size=-1):
        """Bytes read, 0 at the end, None when it does not wait and there is nothing."""
        view = memoryview(buffer)
        if size >= 0:
            view = view[:size]
        return self._patiently(lambda: self._host_read(view), _POLLIN)

    def read(self, size=-1):
        if size < 0:
            return self._read_all()
        buffer = bytearray(size)
        count = self.readinto(buffer)
        return None if count is None else bytes(buffer[:count])

    def recv(self, size):
        data = self.read(size)
        if data is None:
            raise errno.error("EAGAIN")
        return data

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self.read(1)
            if not byte:
                return line or byte
            line += byte
        return line

    def write(self, data, size=-1):
        """Bytes taken, which may be fewer when it does not wait; None when nothing was."""
        view = memoryview(data)
        if size >= 0:
            view = view[:size]
        sent = self._send_some(view)
        while self.timeout_ms != 0 and sent < len(view):
            sent += self._send_some(view[sent:])
        return sent

    def send(self, data):
        sent = self.write(data)
        if sent is None:
            raise errno.error("EAGAIN")
        return sent

    sendall = send

    def sendto(self, data, address):
        ip = _resolve(address[0], address[1])
        if not network._online():
            raise errno.error("EHOSTUNREACH")
        try:
            return self.raw.sendto(data, host.address(ip, address[1]))
        except OSError as error:
            raise errno.translated(error)

    def recvfrom(self, size):
        received = self._patiently(lambda: self._host_receive(size), _POLLIN)
        if received is None:
            raise errno.error("EAGAIN")
        return received[0], host.numeric(received[1])

    def close(self) -> None:
        """Harmless when closed already: the host may have given the descriptor to another socket."""
        if not self._closed:
            self._closed = True
            self.raw.close()
            heaps.give(self._taken)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # -- how it works

    def _patiently(self, attempt, flag: int):
        """`attempt()` until it gives something, at most for the time-out; None at once when it must not wait."""
        wires.touch()
        result = attempt()
        start = _time.ticks_ms()
        while result is None and self.timeout_ms != 0:
            if self.timeout_ms > 0 and _time.ticks_diff(_time.ticks_ms(), start) >= self.timeout_ms:
                raise errno.error("ETIMEDOUT")
            self._host_poll(flag)
            result = attempt()
        return result

    def _wait(self, flag: int) -> None:
        self._patiently(lambda: self._host_poll(flag) or None, flag)

    def _send_some(self, view):
        return self._patiently(lambda: self._send(view), _POLLOUT)

    def _host_poll(self, flag: int) -> int:
        if not network._online():
            host.sleep_us(_CHUNK_MS * 1000)
            return 0
        poller = host.Poller()
        poller.register(self.raw, flag)
        for _, flags in poller.ipoll(_CHUNK_MS):
            return flags
        return 0

    def _host_read(self, view):
        if not network._online():
            return None
        self.flush()
        try:
            return self.raw.readinto(view)
        except OSError as error:
            raise errno.translated(error)

    def _host_write(self, data):
        try:
            return self.raw.write(data)
        except OSError as error:
            raise errno.translated(error)

    def _host_receive(self, size: int):
        if not network._online():
            return None
        try:
            return self.raw.recvfrom(size)
        except OSError as error:
            if error.args[0] == _LINUX_EAGAIN:
                return None
            raise errno.translated(error)

    def _send(self, view):
        self.flush()
        if network._online() and not self._unsent:
            return self._host_write(view)
        room = min(len(view), _SEND_BUFFER_BYTES - len(self._unsent))
        self._unsent += bytes(view[:room])
        return room or None

    def _read_all(self):
        data = b""
        while True:
            piece = self.read(256)
            if not piece:
                return data or piece
            data += piece
