"""Sockets that never block: TCP, TLS and UDP, and the name look-up in a thread beside the loop."""

import _thread
import select
import socket

_EAGAIN = 11
_EINPROGRESS = 115
_FATAL_ALERT = -0x7780  # mbedTLS: the peer ended the handshake with an alert
_ENDED = (104, 107, 128)  # ECONNRESET, ENOTCONN, lwIP's ENOTCONN: what is written behind the peer's back
_IN_PROGRESS = (_EINPROGRESS, 119, _EAGAIN)  # 119: lwIP's EINPROGRESS on the chip


def _in_words(error, begun):
    """`begun`: something came through, so the handshake is over.

    What went wrong in a handshake, for whoever reads the log: many builds of mbedTLS have no texts of their own."""
    if isinstance(error, ValueError):
        return OSError("TLS: the broker's certificate is refused: %s" % (str(error) or "wrong authority, name or date"))
    code = error.args[0] if error.args else 0
    if code == _FATAL_ALERT or not begun and code in _ENDED:  # the alert was lost: our next flight crossed it
        return OSError("TLS: the broker refuses us (%s): check the column's certificate and key" % error)
    return error


class Stream:
    """With TLS the handshake goes on inside `write` and `read_into`: mbedTLS offers no other way that does not wait."""

    def __init__(self, address, port, context, server_name, poll):
        """`context`: None for plain TCP."""
        self._poll = poll
        self._registered = None
        self._open = False
        self._begun = context is None
        self._context = context
        self._server_name = server_name
        self._sock = self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        if hasattr(socket, "TCP_NODELAY"):  # or a packet behind an unacknowledged one waits 40 ms
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket.connect(socket.getaddrinfo(address, port)[0][-1])
        except OSError as error:
            if error.args[0] not in _IN_PROGRESS:
                self._socket.close()
                raise
        self._connecting = select.poll()
        # lwIP shows a refusal as "writable", and poll only what it was asked for; the chip's own flag is POLLHUP.
        self._connecting.register(self._socket, select.POLLOUT | select.POLLERR | select.POLLHUP)

    def is_open(self):
        if self._open:
            return True
        events = self._connecting.poll(0)
        if not events:
            return False
        if events[0][1] & (select.POLLERR | select.POLLHUP):
            raise OSError("connection refused or unreachable")
        self._connecting.unregister(self._socket)
        if self._context:
            # do_handshake_on_connect spins on a silent peer in non-blocking mode.
            self._sock = self._context.wrap_socket(
                self._socket, do_handshake_on_connect=False, server_hostname=self._server_name
            )
        self._poll.register(self._sock, select.POLLIN)
        self._registered = self._sock
        self._open = True
        return True

    def read_into(self, buffer):
        try:
            count = self._sock.readinto(buffer)
        except (OSError, ValueError) as error:
            raise _in_words(error, self._begun)
        if count:
            self._begun = True
        return count

    def write(self, data):
        try:
            return self._sock.write(data) or 0
        except (OSError, ValueError) as error:
            raise _in_words(error, self._begun)

    def certificate(self):
        return self._sock.getpeercert(True) if self._context else None  # type: ignore[attr-defined]

    def close(self):
        try:
            if self._registered is not None:
                self._poll.unregister(self._registered)
                self._registered = None
            self._sock.close()
            self._socket.close()
        except (OSError, KeyError):
            pass


class Lookup:
    def __init__(self, name):
        self._name = name
        self._slot = []
        _thread.start_new_thread(_resolve, (name, self._slot))

    def is_over(self):
        return bool(self._slot)

    def result(self):
        if not self._slot:
            return None
        if isinstance(self._slot[0], OSError):
            raise OSError("no address for %s: %s" % (self._name, self._slot[0]))
        return self._slot[0]


def _resolve(name, slot):
    try:
        slot.append(socket.getaddrinfo(name, 0)[0][-1][0])
    except OSError as error:
        slot.append(error)
    except Exception as error:  # nothing may leave a thread unseen
        slot.append(OSError(str(error)))


class Datagram:
    def __init__(self, address, port):
        self._peer = socket.getaddrinfo(address, port)[0][-1]
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setblocking(False)

    def send(self, data):
        self._sock.sendto(data, self._peer)

    def receive(self):
        try:
            return self._sock.recvfrom(512)[0]
        except OSError as error:
            if error.args[0] == _EAGAIN:
                return None
            raise

    def close(self):
        self._sock.close()
