"""From a board to a running column, whatever the configuration is like."""

_SAY_AGAIN_MS = 10000
_WAIT_MS = 500
_WATCHDOG_MS = 8000


def run(board, boot: dict) -> None:
    """Never returns. `boot`: what boot.py left, see `Column`."""
    config, source, errors = _configure(board)
    for module in ("firmware.config", "firmware.pins"):
        board.forget(module)
    if config is None:
        wait_for_technician(board, boot, errors)
    from firmware.column import Column  # not before: the validator and the column need not share the heap

    Column(board, boot, config, source, errors).run()


def _configure(board):
    """(configuration or None, source, errors); the board is configured in any case."""
    from firmware import config as configuration

    config, source, errors = configuration.load(board.flash, board.chip)
    while config is not None:
        try:
            board.configure(config)
            return config, source, errors
        except (OSError, ValueError, TypeError) as error:
            errors = errors + ["pins or link: the board refused them: %s" % error]
        config, source = configuration.last_good(board.flash, board.chip) if source == "current" else (None, "none")
    board.configure(configuration.fallback(board.chip))
    return None, "none", errors


def wait_for_technician(board, boot: dict, errors: list) -> None:
    """No usable configuration and none that ever worked: say so, on the lamp and on the console. Never returns."""
    from firmware.lamp import Lamp

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
