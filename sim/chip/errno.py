"""The chip's `errno`: numbers of its C library (newlib), which are not Linux's."""

EPERM = 1
ENOENT = 2
EIO = 5
EBADF = 9
EAGAIN = 11
ENOMEM = 12
EACCES = 13
EEXIST = 17
ENODEV = 19
EISDIR = 21
EINVAL = 22
EOPNOTSUPP = 95
ECONNRESET = 104
ENOBUFS = 105
ECONNREFUSED = 111
EADDRINUSE = 112
ECONNABORTED = 113
ETIMEDOUT = 116
EHOSTUNREACH = 118
EINPROGRESS = 119
EALREADY = 120
ENOTCONN = 128

errorcode = {value: name for name, value in list(globals().items()) if name[0] == "E"}

# Linux's numbers where they differ; a write to a connection that is gone is "not connected" on lwIP, not EPIPE.
_FROM_LINUX = {
    32: ENOTCONN,
    98: EADDRINUSE,
    100: EHOSTUNREACH,
    101: EHOSTUNREACH,
    103: ECONNABORTED,
    107: ENOTCONN,
    110: ETIMEDOUT,
    113: EHOSTUNREACH,
    114: EALREADY,
    115: EINPROGRESS,
}


def from_linux(code: int) -> int:
    return _FROM_LINUX.get(code, code)


def error(code: int) -> OSError:
    """An OSError as the chip raises it, with `errno` set on both interpreters."""
    return OSError(code, errorcode.get(code, "error"))
