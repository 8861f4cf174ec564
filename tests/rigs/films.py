"""What a player sees of a film."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import av


def frames(film: Any, *, is_whole: bool = True, **which: int) -> Iterator[Any]:
    """All of them, or those of the stream that PyAV's `decode` is named. `is_whole`: to the very end of the file; of
    one that was cut off players leave out the last packet: it may be half a one."""
    cut_off = contextlib.nullcontext() if is_whole else contextlib.suppress(av.error.InvalidDataError)
    with cut_off:
        yield from film.decode(**which)
