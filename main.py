# The composition root: makes the board, makes the column, runs it. It never returns: a return is a reset.
import sys

boot = globals()["boot"]  # left by boot.py, which runs in the same namespace
RESTART_AFTER_S = 5  # time to read the traceback, and to interrupt with Ctrl-C

if boot.get("folder"):  # an older boot.py knows of none
    sys.path.insert(0, "/" + boot["folder"])

for name in list(globals()):
    if name.startswith("_") and not name.startswith("__"):
        del globals()[name]  # boot.py's functions: not needed again, and 2 KB


def last_resort(error):
    """Something broke before the watchdog was armed. A board that sits at a prompt helps nobody: start again."""
    import time

    import machine

    sys.print_exception(error)
    print("main: restarting in %d s" % RESTART_AFTER_S)
    time.sleep(RESTART_AFTER_S)
    machine.reset()


if boot["mode"] == "service":
    import machine

    SERVICE_MIN = 30  # then the board goes back on duty by itself: technicians get called away
    machine.WDT(timeout=SERVICE_MIN * 60000)  # nobody feeds it
    print("main: service mode: the column is not running; back on duty with a reset, or in %d min" % SERVICE_MIN)
else:
    try:
        from firmware.startup.start import run
        from hal.esp32 import Esp32Board

        run(Esp32Board(), boot)
    except Exception as error:
        last_resort(error)
