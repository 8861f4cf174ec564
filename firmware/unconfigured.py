"""A board without a configuration that it could run on."""

from firmware.lamp import Lamp

_SAY_AGAIN_MS = 10000
_WAIT_MS = 500
_WATCHDOG_MS = 8000


def wait_for_technician(board, boot: dict, errors: list) -> None:
    """No usable configuration and none that ever worked: say so, on the lamp and on the console. Never returns."""
    board.log("boot: number=%d cause=%s mode=unconfigured culprit=None" % (boot["number"], board.reset_cause()))
    lamp = Lamp(board)
    lamp.show("out-of-service")
    watchdog = board.watchdog(_WATCHDOG_MS)
    waited_ms = _SAY_AGAIN_MS
    while True:
        if waited_ms >= _SAY_AGAIN_MS:
            waited_ms = 0
            for error in errors:
                board.log("configuration: %s" % error)
        lamp.step()
        watchdog.feed()
        board.wait(_WAIT_MS)
        waited_ms += _WAIT_MS
