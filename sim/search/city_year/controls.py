"""Desks and columns that are broken on purpose: the year has to notice each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from desk.upkeep import store
from desk.upkeep.keeper import Keeper
from desk.upkeep.life import Lives, Span

from firmware import drill  # isort: skip - after sim.virtual, which lets it find its own


def _forgetful(span: Span) -> list[store.Statement]:
    """Each span takes the place of all before it: a life that begins anew."""
    return [("DELETE FROM span WHERE device_id = ?", (span.device_id,)), *_PUT_SPAN(span)]


_PUT_SPAN = store.put_span

CONTROLS: dict[str, tuple[str, Callable[[], Any]]] = {
    "no-evidence": (
        "what columns tell when they are back is not listened to",
        lambda: mock.patch.object(Lives, "tell", lambda self, device_id, cause, why: []),
    ),
    "no-absence": (
        "the desk takes its own absence for nothing",
        lambda: mock.patch.object(Keeper, "_was_away", lambda self, alive_ms, now_ms: None),
    ),
    "no-spans": (
        "the desk forgets how a column lived before",
        lambda: mock.patch.object(store, "put_span", _forgetful),
    ),
    "any-receiver": (
        "the column takes whoever answers for the right one",
        lambda: mock.patch.object(drill, "judge", lambda said, wanted, location, ident: ("right", None, None)),
    ),
}


@contextmanager
def broken(name: str | None) -> Iterator[None]:
    """Within it, that part is broken; None: nothing is."""
    if name is None:
        yield
        return
    with CONTROLS[name][1]():
        yield
