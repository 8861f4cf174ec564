"""The command `selftest`: figures a technician wants."""

_FILE = "selftest.tmp"


def examine(board, column) -> dict:
    """Writes and reads back one small file."""
    return {
        "flash": flash(board),
        "flash_free": board.flash.free_bytes(),
        "heap_free": board.heap(),
        "button": "stuck" if column.button.is_stuck else "ok",
        "faults": column.faults.ids(),
    }


def flash(board) -> str:
    """Whether the file system takes a file and gives it back: what a call's journal needs."""
    probe = b"selftest"
    try:
        board.flash.replace(_FILE, probe)
        said = "ok" if board.flash.read(_FILE) == probe else "reads back wrong"
        board.flash.remove(_FILE)
    except OSError as error:
        said = str(error)
    return said
