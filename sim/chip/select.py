"""The chip's `select`: poll() over its sockets and TLS streams. On a dead link nothing is ready."""

from . import errno, host, network, wires
from . import time as _time

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
_CHUNK_MS = 20


class poll:
    def __init__(self) -> None:
        self._streams: list = []  # [object, host socket, flags]
        self._host = host.Poller()

    def register(self, obj, eventmask=POLLIN | POLLOUT) -> None:
        if self._find(obj) is not None:
            self.modify(obj, eventmask)
            return
        self._streams.append([obj, obj.raw, eventmask])
        if obj.raw is not None:
            self._host.register(obj.raw, eventmask)

    def modify(self, obj, eventmask) -> None:
        entry = self._find(obj)
        if entry is None:
            raise errno.error("ENOENT")
        entry[2] = eventmask
        if obj.raw is not None:
            self._host.register(obj.raw, eventmask)

    def unregister(self, obj) -> None:
        entry = self._find(obj)
        if entry is not None:
            self._streams.remove(entry)
            if entry[1] is not None:
                self._host.unregister(entry[1])

    def poll(self, timeout=-1) -> list:
        return list(self.ipoll(timeout))

    def ipoll(self, timeout=-1, flags=0):
        """(object, flags) of each that is ready; waits at most `timeout` ms, for ever when it is -1."""
        start = _time.ticks_ms()
        while True:
            wires.touch()
            left = _CHUNK_MS if timeout < 0 else timeout - _time.ticks_diff(_time.ticks_ms(), start)
            ready = self._ready(max(0, min(left, _CHUNK_MS)))
            if ready or (timeout >= 0 and left <= _CHUNK_MS):
                return ready

    def _ready(self, wait_ms: int) -> list:
        for entry in self._streams:
            entry[0].flush()
        pending = [(obj, POLLIN) for obj, _, flags in self._streams if flags & POLLIN and obj.pending()]
        if not network._online():
            host.sleep_us(wait_ms * 1000)
            return pending
        if pending:
            return pending
        return [(self._object(raw), flags) for raw, flags in self._host.ipoll(wait_ms)]

    def _find(self, obj):
        for entry in self._streams:
            if entry[0] is obj:
                return entry
        return None

    def _object(self, raw):
        for obj, known, _ in self._streams:
            if known is raw:
                return obj
