"""Where the project's files lie: in a checkout, or below site-packages after `pip install` (tools/launcher.py)."""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder with boot.py, firmware/, sim/ and the rest."""
INSTALLED = ROOT.name == "sos_column" and not (ROOT / "Makefile").exists()
LOCK = ROOT / "lib" / "lock.json"
"""The device libraries that the column needs: versions, hashes."""


def _kept() -> Path:
    """This user's cache for what an installed package fetches: its own folder may be shared."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "sos-column")


# Another version of a library is another folder: a checkout fetches into the one that the board's looks like.
TOOLS = _kept() / "tools" if INSTALLED else ROOT / ".tools"
LIB = _kept() / f"lib-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}" if INSTALLED else ROOT / "lib"

COLUMN_COMMAND = "sos-column" if INSTALLED else "python -m sim"
DESK_COMMAND = "sos-desk" if INSTALLED else "python -m desk"
COLUMN_TYPED, DESK_TYPED = (one if INSTALLED else f".venv/bin/{one}" for one in (COLUMN_COMMAND, DESK_COMMAND))
"""For advice, as the documentation types it: the machine's own Python has none of the packages."""
