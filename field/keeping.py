"""Files that must not be lost: written whole or not at all, keys never overwritten, secrets for their owner's eyes.

What is replaced keeps its owner, its group and its mode: a broker that runs as a user of its own must be able to read
its files after every run.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm

from common.beside import within
from field import certificates

PROVISIONED = Path("provisioned")  # where `make provision` writes
PRIVATE_FOLDER, PRIVATE_FILE, PUBLIC_FILE = 0o700, 0o600, 0o644
_OTHERS = stat.S_IRWXO
_GROUP = stat.S_IRWXG
_NEW = ".new"


class KeepError(Exception):
    """What exists cannot be used, and is not replaced: says which file, and what to do."""


def made_private(folder: Path) -> Path:
    """The folder, made if missing, for its owner only; one that is there already stays as it is."""
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=PRIVATE_FOLDER)
    return folder


def keep_key(file: Path, *, is_the_folders: bool = False) -> certificates.Key:
    """The key in `file`; a new one is made only when there is no such file. Raises KeepError when it holds no key, or
    when somebody else put it there or can read it. `is_the_folders`: a server's, whose user the folder belongs to.
    """
    if not file.exists():
        key = certificates.new_key()
        _create(file, certificates.key_pem(key), PRIVATE_FILE, os.O_EXCL)
        if is_the_folders:
            _adopt(file, file.parent)
        return key
    check_owner(file, is_the_folders=is_the_folders)
    try:
        return certificates.load_key(file.read_bytes())
    except ValueError as error:
        raise KeepError(f"{file} holds no usable key ({error}); bring it back from a copy, or move it away") from error


def check_owner(file: Path, *, is_the_folders: bool = False) -> None:
    """A secret that another user planted, or that others can read, is none. Raises KeepError."""
    found = file.stat()
    trusted = {0, os.geteuid()}
    if os.geteuid() == 0:
        trusted |= {int(os.environ["SUDO_UID"])} if os.environ.get("SUDO_UID", "").isdigit() else set()
        trusted |= {file.parent.stat().st_uid} if is_the_folders else set()
    if found.st_uid not in trusted:
        raise KeepError(
            f"{file} belongs to user {found.st_uid}, who may have put it there; if it is yours, take it over"
            f" (sudo chown {os.geteuid()} {file}), else move it away"
        )
    if found.st_mode & (_OTHERS if is_the_folders else _OTHERS | _GROUP):
        raise KeepError(
            f"{file} can be read by others (mode {stat.S_IMODE(found.st_mode):o}); who has read it? If nobody:"
            f" chmod 600 {file}; else move it away and give out new ones"
        )


@contextlib.contextmanager
def understood(file: Path, then: str) -> Iterator[None]:
    """Around what reads a file of an earlier run, and makes something of it. Raises KeepError when it is not as it was
    written; `then` says what to do."""
    try:
        yield
    except _NOT_AS_WRITTEN as error:
        raise KeepError(f"{file} is damaged ({_why(error)}); {then}") from error


_NOT_AS_WRITTEN = (ValueError, RecursionError, KeyError, TypeError, AttributeError, IndexError, OverflowError,
                   UnsupportedAlgorithm)  # fmt: skip


def _why(error: Exception) -> str:
    """In words: what Python says of a wrong shape is for programmers."""
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return str(error)
    if "PEM" in str(error):  # cryptography's, of what should be a certificate
        return "no certificate in PEM"
    return "there is something else in it"


OF_COLUMN = "bring it back; or remove it: make provision makes a new password and a new key, for make flash to bring"

OF_CENTRE = "bring it back; or remove it: make provision makes a new password, for the broker and the desk to get"


def read_secrets(file: Path, then: str = OF_COLUMN) -> dict[str, Any]:
    """What provisioning keeps there; `then` says what to do when it is damaged. Raises KeepError."""
    check_owner(file)
    with understood(file, then):
        return dict(json.loads(file.read_text("utf-8")))


class Batch:
    """Files that are replaced together: all are written beside the old ones first, and only then take their places. A
    disk that is full, or a file that cannot keep its owner, changes nothing."""

    def __init__(self) -> None:
        self._files: dict[Path, tuple[bytes, int, bool]] = {}

    def write(self, file: Path, content: str | bytes, *, is_secret: bool, is_the_folders: bool = False) -> None:
        """Not yet: see `commit`. `is_the_folders`: what root makes anew belongs to whom the folder belongs to."""
        data = content.encode() if isinstance(content, str) else content
        self._files[file] = data, PRIVATE_FILE if is_secret else PUBLIC_FILE, is_the_folders

    def commit(self) -> None:
        """Raises OSError, KeepError: then every file is as it was."""
        changed = {file: one for file, one in self._files.items() if not _holds(file, one[0])}
        try:
            for file, (data, mode, is_the_folders) in changed.items():
                _prepare(file, data, mode, is_the_folders)
            for file in changed:
                _beside(file).replace(file)
        finally:
            for file in changed:
                with contextlib.suppress(OSError):
                    _beside(file).unlink()
        self._files.clear()


def write(file: Path, content: str | bytes, *, is_secret: bool) -> None:
    """Replace one file in one step: who looks sees the old content or the new."""
    batch = Batch()
    batch.write(file, content, is_secret=is_secret)
    batch.commit()


def _holds(file: Path, data: bytes) -> bool:
    return file.is_file() and file.read_bytes() == data


def _beside(file: Path) -> Path:
    return file.with_name(file.name + _NEW)


def _prepare(file: Path, data: bytes, mode: int, is_the_folders: bool) -> None:
    """The content beside the file, with the file's owner, group and mode; of a secret nothing is left to others."""
    fresh = _beside(file)
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    _create(fresh, data, PRIVATE_FILE, os.O_EXCL)
    if not file.exists():
        if is_the_folders:
            _adopt(fresh, file.parent)
        fresh.chmod(mode)
        return
    before = file.stat()
    _belongs_to(fresh, before.st_uid, before.st_gid, of=file)
    fresh.chmod(stat.S_IMODE(before.st_mode) & ~(_OTHERS if mode == PRIVATE_FILE else 0))


def _create(file: Path, data: bytes, mode: int, flags: int) -> None:
    """Whole, or not there at all."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | flags, mode)
    try:
        with within(file.parent), os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        file.unlink(missing_ok=True)
        raise


def _adopt(made: Path, folder: Path) -> None:
    """What root makes in somebody's folder is theirs."""
    if os.geteuid() == 0:
        owner = folder.stat()
        _belongs_to(made, owner.st_uid, owner.st_gid, of=folder)


def _belongs_to(made: Path, user: int, group: int, *, of: Path) -> None:
    is_so = made.stat()
    if (is_so.st_uid, is_so.st_gid) == (user, group):
        return
    try:
        os.chown(made, user, group)
    except OSError as error:
        raise KeepError(
            f"{of}: what is there belongs to user {user}, group {group}, and so has what is new; run this as that user,"
            " or as root"
        ) from error
