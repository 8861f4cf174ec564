"""The chip's `errno`. On CPython the numbers are those of the chip's C library (newlib), which are not Linux's.

On MicroPython they are the host's: its compiler writes its own numbers into the code for `errno.NAME`, so that any
others would hold for a part of the device's code only.
"""

import errno as _host
import sys

NAMES = {
    "EPERM": 1,
    "ENOENT": 2,
    "EIO": 5,
    "EBADF": 9,
    "EAGAIN": 11,
    "ENOMEM": 12,
    "EACCES": 13,
    "EEXIST": 17,
    "ENODEV": 19,
    "EISDIR": 21,
    "EINVAL": 22,
    "EOPNOTSUPP": 95,
    "ECONNRESET": 104,
    "ENOBUFS": 105,
    "ECONNREFUSED": 111,
    "EADDRINUSE": 112,
    "ECONNABORTED": 113,
    "ETIMEDOUT": 116,
    "EHOSTUNREACH": 118,
    "EINPROGRESS": 119,
    "EALREADY": 120,
    "ENOTCONN": 128,
}
if sys.implementation.name == "micropython":
    NAMES = {name: getattr(_host, name) for name in NAMES}

globals().update(NAMES)
errorcode = {code: name for name, code in NAMES.items()}

# A write to a connection that is gone is "not connected" on lwIP, not EPIPE (32); no network (100, 101): no route.
_FROM_HOST = {getattr(_host, name): code for name, code in NAMES.items()}
_FROM_HOST.update({32: NAMES["ENOTCONN"], 100: NAMES["EHOSTUNREACH"], 101: NAMES["EHOSTUNREACH"]})


def from_host(code: int) -> int:
    return _FROM_HOST.get(code, code)


def error(name: str) -> OSError:
    """An OSError as the chip raises it, with `errno` set on both interpreters."""
    return OSError(NAMES[name], name)


def translated(host_error: OSError) -> OSError:
    code = from_host(host_error.args[0])
    return OSError(code, errorcode.get(code, "error"))
