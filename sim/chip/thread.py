"""The chip's `_thread`: a thread's stack is a piece of IDF's heap."""

import _thread as _host
from _thread import allocate_lock, exit, get_ident, stack_size  # noqa: F401

from . import heaps


def start_new_thread(__function, __args, __kwargs={}):  # noqa: B006 - as the chip's
    taken = heaps.take("thread")
    if taken is None:
        raise OSError("can't create thread")

    def run() -> None:
        try:
            __function(*__args, **__kwargs)
        finally:
            heaps.give(taken)

    return _host.start_new_thread(run, ())
