"""The chip's `select`: poll() over its sockets, TLS streams and objects with an `ioctl`. On a dead link none is ready.

As in extmod/modselect.c: whoever waits looks at each FreeRTOS tick, and when an interrupt of a Pin or a Timer wakes
the task; input alone wakes nobody.

As lwIP and modsocket.c have it, and not as Linux: nothing is said but what was asked for, a connection that failed is
readable and writable, POLLHUP tells that it failed to whoever asked for it, and POLLERR is never set.
"""

from . import errno, host, network, wires
from . import time as _time

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
_STREAM_POLL = 3  # the request to an `ioctl`


class poll:
    def __init__(self) -> None:
        self._streams: list = []  # [object, host socket or None, flags]
        self._devices: list = []  # [object with an ioctl, None, flags]
        self._host = host.Poller()

    def register(self, obj, eventmask=POLLIN | POLLOUT) -> None:
        if self._find(obj) is not None:
            self.modify(obj, eventmask)
            return
        if not hasattr(obj, "raw"):
            self._devices.append([obj, None, eventmask])
            return
        self._streams.append([obj, obj.raw, eventmask])
        if obj.raw is not None:
            self._host.register(obj.raw, eventmask)

    def modify(self, obj, eventmask) -> None:
        entry = self._find(obj)
        if entry is None:
            raise errno.error("ENOENT")
        entry[2] = eventmask
        if entry[1] is not None:
            self._host.register(entry[1], eventmask)

    def unregister(self, obj) -> None:
        entry = self._find(obj)
        if entry is not None:
            (self._streams if entry in self._streams else self._devices).remove(entry)
            if entry[1] is not None:
                self._host.unregister(entry[1])

    def poll(self, timeout=-1) -> list:
        return list(self.ipoll(timeout))

    def ipoll(self, timeout=-1, flags=0):
        """(object, flags) of each that is ready; waits at most `timeout` ms, for ever when it is -1."""
        start = _time.ticks_ms()
        wires.touch()
        while True:
            ready = self._ready()
            if ready or 0 <= timeout <= _time.ticks_diff(_time.ticks_ms(), start):
                return ready
            wires.wait_for_tick()

    def _ready(self) -> list:
        for entry in self._streams:
            entry[0].flush()
        ready = [(obj, POLLIN) for obj, _, flags in self._streams if flags & POLLIN and obj.pending()]
        for obj, _, flags in self._devices:
            found = obj.ioctl(_STREAM_POLL, flags)
            if found:
                ready.append((obj, found))
        if ready or not network._online():
            return ready
        found = [self._as_lwip(raw, flags) for raw, flags in self._host.ipoll(0)]
        return [one for one in found if one[1]]

    def _find(self, obj):
        for entry in self._streams + self._devices:
            if entry[0] is obj:
                return entry
        return None

    def _as_lwip(self, raw, flags):
        if flags & (POLLERR | POLLHUP):
            flags |= POLLIN | POLLOUT | POLLHUP
        for obj, known, asked in self._streams:
            if known is raw:
                return obj, flags & asked & ~POLLERR
        return None, 0
