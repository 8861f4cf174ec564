"""From a board to a running column, whatever the configuration is like."""

from firmware import config as configuration
from firmware.column import Column
from firmware.lamp import Lamp

_SAY_AGAIN_MS = 10000
_WAIT_MS = 500
_WATCHDOG_MS = 8000


def run(board, boot: dict) -> None:
    """Never returns. `boot`: what boot.py left, see `Column`."""
    config, source, errors = configuration.load(board.flash, board.chip)
    if config is not None:
        try:
            board.configure(config)
        except (OSError, ValueError, TypeError) as error:
            errors = errors + ["pins or link: the board refused them: %s" % error]
            config = None
    if config is None:
        board.configure(configuration.fallback(board.chip))
        wait_for_technician(board, boot, errors)
    Column(board, boot, config, source, errors).run()


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
