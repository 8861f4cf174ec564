"""What a column is: pure code that reaches the world only through the board object (see hal/interface.py)."""

VERSION = "1.0.0"
