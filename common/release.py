"""A release as it lies on a disk, and as columns ask for it: made by field/release.py, rolled out by desk/rollout/.

A folder with `manifest`, `manifest.sig` and `files/`. The manifest is text (firmware/update/manifest.py reads it line
by line); its signature is RSA-3072, PKCS#1 v1.5 with SHA-256, 384 bytes as OpenSSL and PKCS#11 give them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from binascii import crc32
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

MAGIC = b"sos-column release 1\n"
MANIFEST_FILE, SIGNATURE_FILE, FILES_FOLDER, KEYS_FILE = "manifest", "manifest.sig", "files", "release.keys"
MANIFEST_MAX_BYTES = 16384
PIECE_BYTES = 512
KEY_BITS, EXPONENT, KEYS_MAX = 3072, 65537, 2
KEY_BYTES = KEY_BITS // 8
_CRC_BYTES = 4
VERSION_FORM = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}")
_ENTRY = re.compile(r"([0-9a-f]{64}) (\d{1,7}) ([A-Za-z0-9_./]{1,80})")
# What a column asks for by another name than the manifest's.
_SIGNATURE, _MANIFEST, _LIBRARY = "signature", "manifest", "lib/"


class ReleaseError(ValueError):
    """It is no release, or none that may go out: says which file, and what is wrong with it."""


class Release(NamedTuple):
    """`files`: by their names in the manifest."""

    manifest: bytes
    signature: bytes
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """Its name: the SHA-256 of the manifest, hex."""
        return hashlib.sha256(self.manifest).hexdigest()

    @property
    def header(self) -> dict[str, Any]:
        return header(self.manifest)

    @property
    def version(self) -> str:
        return str(self.header["version"])

    def piece(self, file: str, at: int, size: int) -> bytes | None:
        """What a column asked for; None: there is no such piece."""
        data = {_SIGNATURE: self.signature, _MANIFEST: self.manifest}.get(file)
        if data is None:
            data = self.files.get(file, self.files.get(_LIBRARY + file))
        return None if data is None else piece_of(data, at, size)


def piece_of(data: bytes, at: int, size: int) -> bytes | None:
    """None: there is no such piece."""
    if not 0 <= at < len(data) or not 0 < size <= PIECE_BYTES or at + size > len(data):
        return None
    return data[at : at + size]


def manifest(head: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """The text that is signed."""
    lines = [json.dumps(head, separators=(",", ":"), sort_keys=True)]
    lines += [f"{hashlib.sha256(data).hexdigest()} {len(data)} {name}" for name, data in sorted(files.items())]
    text = MAGIC + "".join(line + "\n" for line in lines).encode()
    if len(text) > MANIFEST_MAX_BYTES:
        raise ReleaseError(f"the manifest has {len(text)} bytes, must be at most {MANIFEST_MAX_BYTES}")
    return text


def header(text: bytes) -> dict[str, Any]:
    """Raises ReleaseError."""
    lines = text.split(b"\n")
    if not text.startswith(MAGIC) or len(lines) < 3:  # noqa: PLR2004 - magic, header, end
        raise ReleaseError("the manifest is none")
    try:
        found = json.loads(lines[1])
        is_whole = all(VERSION_FORM.fullmatch(found[key]) for key in ("version", "floor"))
    except (ValueError, RecursionError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        raise ReleaseError("the manifest's header has no version and floor such as 1.2.0")
    return dict(found)


def entries(text: bytes) -> dict[str, tuple[str, int]]:
    """Name -> (SHA-256, bytes). Raises ReleaseError."""
    found = {}
    for line in text.decode("ascii", errors="replace").splitlines()[2:]:
        entry = _ENTRY.fullmatch(line)
        if entry is None or ".." in entry[3]:
            raise ReleaseError(f"the manifest has a line that is none: {line[:100]!r}")
        found[entry[3]] = entry[1], int(entry[2])
    return found


@contextlib.contextmanager
def manifest_of(folder: Path) -> Iterator[None]:
    """Within, what is wrong with a manifest is told of that folder's, with what to do."""
    try:
        yield
    except ReleaseError as error:
        raise ReleaseError(f"{folder / MANIFEST_FILE}: {error}; build the release anew with make release") from error


def load(folder: Path) -> Release:
    """Raises ReleaseError: a file is missing, or is not the one that the manifest names."""
    try:
        text, signature = (folder / MANIFEST_FILE).read_bytes(), (folder / SIGNATURE_FILE).read_bytes()
        with manifest_of(folder):
            header(text)
            named = entries(text)
        files = {name: (folder / FILES_FOLDER / name).read_bytes() for name in named}
    except OSError as error:
        name = Path(str(error.filename or folder)).name
        why = f"{name} cannot be read ({error.strerror}); is it built, and signed? See docs/updates.md"
        raise ReleaseError(f"{folder}: {why}") from error
    for name, (digest, _) in named.items():
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise ReleaseError(f"{folder}: {name} is not the file that the manifest names")
    return Release(text, signature, files)


def load_signed(folder: Path, keys: Sequence[rsa.RSAPublicKey]) -> Release:
    """As `load`; it is also refused when none of the keys signed it."""
    found = load(folder)
    if not is_signed(found.manifest, found.signature, keys):
        raise ReleaseError(f"{folder}: not signed with any of these keys; no column would take it")
    return found


def is_signed(text: bytes, signature: bytes, keys: Sequence[rsa.RSAPublicKey]) -> bool:
    """With one of these keys."""
    for key in keys:
        try:
            key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
            return True
        except InvalidSignature:
            continue
    return False


def load_public_keys(files: Iterable[Path]) -> list[rsa.RSAPublicKey]:
    """Raises ReleaseError, which names the file, and OSError."""
    found = []
    for file in files:
        try:
            found.append(load_public_key(file.read_bytes()))
        except ReleaseError as error:
            raise ReleaseError(f"{file}: {error}") from error
    return found


def load_public_key(pem: bytes) -> rsa.RSAPublicKey:
    """Raises ReleaseError: not RSA of 3,072 bits with the exponent 65537."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        if b"PRIVATE KEY-----" in pem:
            raise ReleaseError("this is the private key, must be the public one that belongs to it") from error
        raise ReleaseError(f"no public key in PEM: {error}") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != KEY_BITS or key.public_numbers().e != EXPONENT:
        raise ReleaseError(f"must be an RSA key of {KEY_BITS} bits with the exponent {EXPONENT}")
    return key


def trusted(keys: Sequence[rsa.RSAPublicKey]) -> bytes:
    """`release.keys`, as columns read it (firmware/update/signature.py). Raises ReleaseError."""
    if not 1 <= len(keys) <= KEYS_MAX:
        raise ReleaseError(f"found {len(keys)} keys: a column trusts one or {KEYS_MAX} at a time")
    moduli = [key.public_numbers().n.to_bytes(KEY_BYTES, "big") for key in keys]
    return b"".join(crc32(modulus).to_bytes(_CRC_BYTES, "big") + modulus for modulus in moduli)


def trusted_keys(data: bytes) -> list[rsa.RSAPublicKey]:
    """The other way round. Raises ReleaseError."""
    size = _CRC_BYTES + KEY_BYTES
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    if not parts or any(len(part) != size or crc32(part[4:]) != int.from_bytes(part[:4], "big") for part in parts):
        raise ReleaseError(f"{KEYS_FILE} is damaged, or no such file")
    return [rsa.RSAPublicNumbers(EXPONENT, int.from_bytes(part[4:], "big")).public_key() for part in parts]


def numbers(version: str) -> tuple[int, ...]:
    """For comparing."""
    return tuple(int(part) for part in version.split("."))
