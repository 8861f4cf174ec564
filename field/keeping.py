"""Files that must not be lost: written whole or not at all, keys never overwritten, secrets for their owner's eyes."""

import contextlib
import os
import stat
from pathlib import Path

from field import certificates

PRIVATE_FOLDER, PRIVATE_FILE, PUBLIC_FILE = 0o700, 0o600, 0o644
_NOT_OTHERS = 0o770


class KeepError(Exception):
    """What exists cannot be used, and is not replaced: says which file, and what to do."""


def made_private(folder: Path) -> Path:
    """The folder, made for its owner only if it is missing. One that is there keeps its owner and group, and what they
    may do; nobody else may."""
    if folder.is_dir():
        folder.chmod(folder.stat().st_mode & _NOT_OTHERS)
    else:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True)
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
        _own_like(file.parent.stat(), file)
        return key
    try:
        return certificates.load_key(file.read_bytes())
    except ValueError as error:
        raise KeepError(f"{file} holds no usable key ({error}); bring it back from a copy, or move it away") from error


def write(file: Path, content: str | bytes, *, is_secret: bool) -> None:
    """Replace the file in one step: who looks sees the old content or the new. It keeps its owner, group and mode (what
    is secret stays so for others); a new one has its folder's owner and group. Raises KeepError, or OSError."""
    before = file.stat() if file.exists() else None
    mode = PRIVATE_FILE if is_secret else PUBLIC_FILE
    if before is not None:
        mode = stat.S_IMODE(before.st_mode) & (_NOT_OTHERS if is_secret else ~0)
    fresh = file.with_name(file.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        _own_like(before or file.parent.stat(), fresh)
        fresh.chmod(mode)
    except KeepError:
        fresh.unlink()
        raise
    fresh.replace(file)


def _own_like(wanted: os.stat_result, file: Path) -> None:
    """Raises KeepError when this user may not."""
    found = file.stat()
    if (found.st_uid, found.st_gid) == (wanted.st_uid, wanted.st_gid):
        return
    try:
        os.chown(file, wanted.st_uid, wanted.st_gid)
    except PermissionError as error:
        raise KeepError(
            f"{file.with_suffix('')}: what is there belongs to user {wanted.st_uid}, group {wanted.st_gid}, and so has "
            "what is new; run this as that user, or as root"
        ) from error
