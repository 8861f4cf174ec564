"""The desk's own secret: in the printed link it opens a desk without accounts, and it signs cookies."""

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
        """Whether `text` is the key."""
        return hmac.compare_digest(self.text.encode(), text.encode("utf-8", "replace"))

    def sign(self, what: str) -> str:
        """A signature of `what` that only this desk can make."""
        return hmac.new(self.text.encode(), what.encode(), hashlib.sha256).hexdigest()

    def is_signed(self, what: str, signature: str) -> bool:
        """Whether `signature` is this desk's signature of `what`."""
        return hmac.compare_digest(self.sign(what).encode(), signature.encode("utf-8", "replace"))
