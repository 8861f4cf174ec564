"""Power-on: registers, wiring, flash, then boot.py and main.py as the ESP32's start-up code runs them."""

import gc
import sys

from . import (
    counters,
    errno,
    esp32,
    heaps,
    host,
    machine,
    network,
    options,
    rtc,
    select,
    slow_os,
    socket,
    thread,
    time,
    tls,
    wires,
)
from . import gc as _gc
from . import os as _os
from . import sys as _sys

if sys.implementation.name == "micropython":
    from . import board_micropython as board
else:
    from . import board_cpython as board  # type: ignore[no-redef]

_CORRUPT = "The filesystem appears to be corrupted."


def on(arguments: list[str]) -> None:
    try:
        values = options.parse(arguments)
        shared = host.map_registers(values["registers"], rtc.FILE_BYTES)
    except (ValueError, OSError) as error:
        host.say("chip: %s" % error)
        host.end(2)
    wires.connect(values, rtc.Registers(shared, values, host.now_us()))
    heaps.start(values["heaps"], board.estimated_heap())
    time.start_ticks(values["seed"])
    _sys.describe()
    if not counters.UNITS[values["chip"]] or not values["counter"]:
        del machine.Counter
        del esp32.PCNT
    if values["connect_to"]:
        from . import routes

        routes.follow(values["connect_to"])
    slow_os.install()
    if values["board"]:
        from . import repl

        repl.prepare(values["board"])
    try:
        busy = counters.while_flash_is_busy
        board.mount(values["flash"], busy, values["erase_us"], values["program_us"], values["rom"])
    except OSError:
        _no_file_system()
    modules = {
        "machine": machine,
        "network": network,
        "esp32": esp32,
        "time": time,
        "os": _os,
        "sys": _sys,
        "socket": socket,
        "select": select,
        "tls": tls,
        "ssl": tls,
        "errno": errno,
        "gc": _gc,
        "_thread": thread,
    }
    if values["board"]:
        repl.run(modules)
    namespace = board.install(modules)
    del modules
    gc.collect()
    _run(namespace)


def _run(namespace: dict) -> None:
    """An exception that leaves boot.py stops main.py from running at all."""
    if _execute("boot.py", namespace):
        _execute("main.py", namespace)
    _repl()


def _execute(name: str, namespace: dict) -> bool:
    if not board.has(name):
        return True
    try:
        board.execute(name, namespace)
    except SystemExit:
        machine.soft_reset()
    except BaseException as error:  # whatever it was: the chip shows it and goes on to its prompt
        _sys.print_exception(error, sys.stdout)  # type: ignore[arg-type]
        return False
    return True


def _repl() -> None:
    """The prompt, where nobody types: the firmware is dead, and if it armed the watchdog, that will bite."""
    host.say("MicroPython v%s; %s" % (_sys.RELEASE, _sys.implementation._machine))
    host.say('>>> \n\x01{"repl":true,"t_us":%d}' % host.now_us())
    while True:
        wires.sleep_ms(50)


def _no_file_system() -> None:
    """The stock image prints this for ever; no watchdog is armed."""
    while True:
        host.say(_CORRUPT)
        wires.sleep_ms(3000)
