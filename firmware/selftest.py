"""The command `selftest`: figures a technician wants."""

_FILE = "selftest.tmp"


def examine(board, column) -> dict:
    """Writes and reads back one small file."""
    probe = b"selftest"
    try:
        board.flash.replace(_FILE, probe)
        flash = "ok" if board.flash.read(_FILE) == probe else "reads back wrong"
        board.flash.remove(_FILE)
    except OSError as error:
        flash = str(error)
    return {
        "flash": flash,
        "flash_free": board.flash.free_bytes(),
        "heap_free": board.heap(),
        "button": "stuck" if column.button.is_stuck else "ok",
        "faults": column.faults.ids(),
    }
