"""Small modules that CPython lacks or that mean something else there: gc, json, micropython, io."""

import gc as host_gc
import io as host_io
import json as host_json
import sys
import types
from typing import Any

from sim.chip import wires

_BYTES_PER_BLOCK = 64  # a guess at the mean size of CPython's objects


def modules() -> dict[str, types.ModuleType]:
    return {"json": _json(), "micropython": _micropython(), "io": _io()}


def _module(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(members)
    return module


enable, disable, isenabled = host_gc.enable, host_gc.disable, host_gc.isenabled


def threshold(amount: int = -1) -> int | None:
    return -1 if amount == -1 else None


def estimated_gc() -> types.ModuleType:
    """Heap figures are estimates here: CPython has no fixed heap. The real ones come from MicroPython."""
    blocks_at_start = sys.getallocatedblocks()

    def mem_alloc() -> int:
        return max(0, sys.getallocatedblocks() - blocks_at_start) * _BYTES_PER_BLOCK

    def mem_free() -> int:
        return max(0, int(wires.options["heap"]) - mem_alloc())

    def collect() -> int:
        return host_gc.collect(0)  # the young ones only: a full collection takes longer than on the chip

    return _module("gc", collect=collect, mem_alloc=mem_alloc, mem_free=mem_free)


def _json() -> types.ModuleType:
    """MicroPython's dumps: UTF-8 as it is, no options but the separators."""

    def dumps(obj: Any, separators: tuple[str, str] | None = None) -> str:
        return host_json.dumps(obj, separators=separators, ensure_ascii=False)

    def dump(obj: Any, stream: Any, separators: tuple[str, str] | None = None) -> None:
        stream.write(dumps(obj, separators))

    def loads(text: str | bytes) -> Any:
        return host_json.loads(text)

    def load(stream: Any) -> Any:
        return host_json.loads(stream.read())

    return _module("json", dumps=dumps, dump=dump, loads=loads, load=load)


def _micropython() -> types.ModuleType:
    def same(value: Any) -> Any:
        return value

    def nothing(*_: Any) -> None:
        pass

    def schedule(function: Any, argument: Any) -> None:
        def once() -> None:
            wires.polls.remove(once)
            function(argument)

        wires.polls.append(once)

    return _module(
        "micropython",
        const=same,
        native=same,
        viper=same,
        opt_level=nothing,
        mem_info=nothing,
        qstr_info=nothing,
        kbd_intr=nothing,
        alloc_emergency_exception_buf=nothing,
        heap_lock=nothing,
        heap_unlock=nothing,
        schedule=schedule,
    )


def _io() -> types.ModuleType:
    from . import files

    return _module(
        "io", StringIO=host_io.StringIO, BytesIO=host_io.BytesIO, IOBase=host_io.IOBase, open=files.open_file
    )
