"""Files that must not be lost: written whole or not at all, keys never overwritten, secrets for their owner's eyes."""

import contextlib
import os
from pathlib import Path

from field import certificates

PRIVATE_FOLDER, PRIVATE_FILE, PUBLIC_FILE = 0o700, 0o600, 0o644


class KeepError(Exception):
    """What exists cannot be used, and is not replaced: says which file, and what to do."""


def made_private(folder: Path) -> Path:
    """The folder, made if missing, for its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(PRIVATE_FOLDER)
    return folder


def keep_key(file: Path) -> certificates.Key:
    """The key in `file`; a new one is made only when there is no such file. Raises KeepError when it holds no key."""
    if not file.exists():
        key = certificates.new_key()
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(certificates.key_pem(key))
            stream.flush()
            os.fsync(stream.fileno())
        return key
    try:
        return certificates.load_key(file.read_bytes())
    except ValueError as error:
        raise KeepError(f"{file} holds no usable key ({error}); bring it back from a copy, or move it away") from error


def write(file: Path, content: str | bytes, *, is_secret: bool) -> None:
    """Replace the file in one step: who looks sees the old content or the new."""
    mode = PRIVATE_FILE if is_secret else PUBLIC_FILE
    fresh = file.with_name(file.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.chmod(mode)
    fresh.replace(file)
