"""The desk's own secret: opens a desk without accounts to who reads what it printed, and signs what browsers get."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from desk.web.files import replace

FILE = "key"
BYTES = 32


class Key:
    """Kept in the desk's folder, for its owner only; made if there is none. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        path = folder / FILE
        if not path.exists():
            replace(path, secrets.token_urlsafe(BYTES) + "\n")
        self.text = path.read_text("ascii").strip()

    def is_key(self, text: str) -> bool:
        """Whether somebody holds it."""
        return hmac.compare_digest(self.text.encode(), text.encode("utf-8", "replace"))

    def sign(self, what: str) -> str:
        """What nobody else can write about it."""
        return hmac.new(self.text.encode(), what.encode(), hashlib.sha256).hexdigest()

    def is_signed(self, what: str, signature: str) -> bool:
        """Whether `sign` has said that."""
        return hmac.compare_digest(self.sign(what).encode(), signature.encode("utf-8", "replace"))
