"""From a board to a running column, whatever the configuration is like."""

# What only the start needs gives its memory back before the column is loaded into it.
_ONLY_AT_START = ("configure", "wiped", "config", "config_files", "seal", "pins", "addresses", "hosts")


def run(board, boot: dict) -> None:
    """Never returns. `boot`: what boot.py left, see `Column`."""
    column = _column(board, boot)  # and the configuration with its certificates is gone
    try:
        column.run()
    except KeyboardInterrupt:  # from here on nobody looks at the button: the lamp must not promise it
        from firmware.lamp import COLOURS

        board.lamp.show(*COLOURS["out-of-service"])
        raise


def _column(board, boot):
    from firmware.startup.configure import configure

    config, origin, errors = configure(board, boot["folder"], boot["mode"])
    del configure
    board.discard(*["firmware.startup." + module for module in _ONLY_AT_START])
    if config is None:
        from firmware.startup.unconfigured import wait_for_technician

        wait_for_technician(board, boot, errors, origin)
    from firmware.column import Column

    return Column(board, boot, config, origin, errors)
