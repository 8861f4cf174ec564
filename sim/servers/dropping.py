"""A socket that loses packets: Linux drops this share of what arrives before TCP sees it, as a bad network would. So it
is TCP's own recovery that is tried; the filter may want root, and the dice are the kernel's, and cannot be seeded.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Protocol

_ATTACH, _DETACH, _MEMINFO = 26, 27, 55  # SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_MEMINFO of asm-generic/socket.h
_DROPS = 8  # SK_MEMINFO_DROPS
_RANDOM = 0xFFFFF038  # SKF_AD_OFF + SKF_AD_RANDOM of linux/filter.h
_LOAD, _JUMP_ABOVE, _RETURN = 0x20, 0x25, 0x06
_ALL = 0xFFFFFFFF


class Socket(Protocol):
    def setsockopt(self, level: int, optname: int, value: int | bytes, /) -> None: ...
    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


def drop(sock: Socket, share: float) -> None:
    """From now on; 0: no longer."""
    if not share:
        sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
        return
    kept, lost = (_RETURN, 0, 0, _ALL), (_RETURN, 0, 0, 0)
    program = ((_LOAD, 0, 0, _RANDOM), (_JUMP_ABOVE, 0, 1, int(share * _ALL)), kept, lost)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))
    filter_ = struct.pack("@HP", len(program), ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH, filter_)


def dropped(sock: Socket) -> int:
    """How many packets so far."""
    return int(struct.unpack("@9I", sock.getsockopt(socket.SOL_SOCKET, _MEMINFO, 36))[_DROPS])
