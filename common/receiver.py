"""What proves that an answer to a drill comes from the right desk: its signature, and the keys behind it.

The key is the column's own, made from the desk's, so that a stolen column cannot answer for the desk at another one.
Provisioning gives the column its key, and the desk makes it anew; firmware/drill.py does the same on the column.
"""

from __future__ import annotations

import hashlib
import hmac

KEY_BYTES = 32
LABEL_CHARS = 16


def key_of(desks_key: bytes, device_id: str) -> bytes:
    """One column's key."""
    return hmac.digest(desks_key, b"sos answer " + device_id.encode(), "sha256")


def signature(key: bytes, incident_id: str, name: str, address: str, geo: str) -> str:
    """Over what is said, and over the drill's id: an older answer does not fit a new drill."""
    return hmac.new(key, "\n".join((incident_id, name, address, geo)).encode(), hashlib.sha256).hexdigest()


def label_key(desks_key: bytes, device_id: str) -> str:
    """What the code on a column's label has beside its name: who has it stands, or stood, in front of the column."""
    return hmac.new(desks_key, b"sos label " + device_id.encode(), "sha256").hexdigest()[:LABEL_CHARS]
