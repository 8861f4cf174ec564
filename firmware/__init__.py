"""What a column is: pure code that reaches the world only through the board object (see hal/interface.py)."""

VERSION = "1.0.0"

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        """MicroPython's compiler folds `_NAME = const(...)` into the code; elsewhere it is a plain value."""
        return value
