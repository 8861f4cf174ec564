"""`make release`: what goes over the air to columns: files, a manifest, its signature, and the list of parts.

    .venv/bin/python -m field.release make --out build/release [--keys A.pem [B.pem]] [--floor 1.2.0]
    .venv/bin/python -m field.release sign build/release --key private.pem    on a machine apart; or a PKCS#11 token
    .venv/bin/python -m field.release verify build/release --keys A.pem

Reproducible: the same sources and the same mpy-cross give the same bytes, so whoever signs builds anew and compares.
What KEYS (--keys) names is what columns trust once they run the release; without, they go on trusting what they trust.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from common import release
from common.arguments import Parser, add_language
from common.beside import within
from common.release import Release, ReleaseError
from field import bundle, sbom
from field.flash import MICROPYTHON_OLDEST
from field.telling import in_words
from field.words import Words, asked_for, sentences, tool_parser
from firmware import VERSION
from firmware.startup.pins import CHIPS
from firmware.update.manifest import ROOTS

FIRMWARE_SBOM, DESK_SBOM = "sbom-firmware.cdx.json", "sbom-desk.cdx.json"
_ROOT_DIGITS = 16
_FROM_ROOT = frozenset(bundle.STAYS_SOURCE)
Said = Callable[[str], str]  # in the language that was asked for


def contents(made: bundle.Bundle, keys: Sequence[rsa.RSAPublicKey] = ()) -> dict[str, bytes]:
    """What a column gets: everything but boot.py and main.py, through which the way back leads."""
    files = {name: data for name, data in {**made.files, **made.libraries}.items() if name not in _FROM_ROOT}
    return {**files, **({release.KEYS_FILE: release.trusted(keys)} if keys else {})}


def manifest(
    made: bundle.Bundle, keys: Sequence[rsa.RSAPublicKey] = (), *, version: str = VERSION, floor: str | None = None
) -> bytes:
    """`floor`: the oldest version that columns take once they have kept this one; its own unless told otherwise."""
    floor = floor or version
    if release.numbers(floor) > release.numbers(version):
        raise ReleaseError(f"the floor {floor} is above the version {version}")
    head: dict[str, Any] = {
        "version": version,
        "floor": floor,
        "mpy": made.mpy_version if "firmware/__init__.mpy" in made.files else 0,
        "micropython": ".".join(map(str, MICROPYTHON_OLDEST)),
        "chips": list(CHIPS),
        "roots": {name: [hashlib.sha256(made.files[name]).hexdigest()[:_ROOT_DIGITS]] for name in ROOTS},
    }
    return release.manifest(head, contents(made, keys))


def write(
    made: bundle.Bundle,
    out: Path,
    keys: Sequence[rsa.RSAPublicKey] = (),
    floor: str | None = None,
    version: str = VERSION,
) -> bytes:
    """The folder anew, unsigned. Returns the manifest."""
    text, files = manifest(made, keys, version=version, floor=floor), contents(made, keys)
    digests = {name: digest for name, (digest, _) in release.entries(text).items()}
    if out.exists():
        if not (out / release.MANIFEST_FILE).exists():
            raise ReleaseError(f"{out} is there, and holds no release: give another folder")
        shutil.rmtree(out)
    micropython = str(release.header(text)["micropython"])
    with within(out):
        for name, data in files.items():
            file = out / release.FILES_FOLDER / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        (out / FIRMWARE_SBOM).write_text(sbom.firmware(version, files, digests, micropython), "utf-8")
        (out / DESK_SBOM).write_text(sbom.desk(version), "utf-8")
        (out / release.MANIFEST_FILE).write_bytes(text)
    return text


def sign(text: bytes, key: rsa.RSAPrivateKey) -> bytes:
    return key.sign(text, padding.PKCS1v15(), hashes.SHA256())


def load_private_key(file: Path, password: bytes | None = None) -> rsa.RSAPrivateKey:
    """Raises ReleaseError: none of 3,072 bits."""
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password)
    except TypeError as error:  # cryptography's, of a key that wants a password
        why = f"{file} is under a password; sign with openssl, which asks for it: see docs/updates.md"
        raise ReleaseError(why) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ReleaseError(f"{file}: no private key in PEM that can be read: {error}") from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size != release.KEY_BITS:
        raise ReleaseError(f"{file}: must be an RSA key of {release.KEY_BITS} bits")
    return key


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    arguments = _parser(words).parse_args(argv)
    return int(arguments.run(arguments, words.said))


def _make(arguments: argparse.Namespace, said: Said) -> int:
    keys = release.load_public_keys(arguments.keys)
    if arguments.key:
        load_private_key(arguments.key)  # before the release that was there is gone
    text = write(bundle.make(), arguments.out, keys, arguments.floor)
    head, digest = release.header(text), hashlib.sha256(text).hexdigest()
    count = len(release.entries(text))
    print(said(f"version {head['version']}, floor {head['floor']}: {count} files in {arguments.out}, not signed yet"))
    print(said(f"SHA-256 of the manifest: {digest}"))
    if arguments.key:
        return _sign(argparse.Namespace(folder=arguments.out, key=arguments.key), said)
    return 0


def _sign(arguments: argparse.Namespace, said: Said) -> int:
    text = (arguments.folder / release.MANIFEST_FILE).read_bytes()
    with release.manifest_of(arguments.folder):
        head = release.header(text)
    key = load_private_key(arguments.key)
    with within(arguments.folder):
        (arguments.folder / release.SIGNATURE_FILE).write_bytes(sign(text, key))
    print(said(f"signed: version {head['version']}, SHA-256 of the manifest {hashlib.sha256(text).hexdigest()}"))
    return 0


def _verify(arguments: argparse.Namespace, said: Said) -> int:
    found: Release = release.load(arguments.folder)
    keys = release.load_public_keys(arguments.keys)
    if not release.is_signed(found.manifest, found.signature, keys):
        raise ReleaseError(f"{arguments.folder}: not signed with any of these keys")
    print(said(f"good: version {found.version}, {len(found.files)} files, release {found.digest}"))
    return 0


def _version(text: str) -> str:
    """For argparse."""
    if not release.VERSION_FORM.fullmatch(text):
        raise argparse.ArgumentTypeError(f"found {text!r}, must be a version such as 1.2.0")
    return text


def _parser(words: Words) -> Parser:
    parser = tool_parser(words, "python -m field.release", __doc__)
    spoken = sentences(words.language)
    made = functools.partial(Parser, spoken)
    commands = parser.add_subparsers(required=True, parser_class=made)  # type: ignore[call-overload]
    make = commands.add_parser("make", help=spoken.said("build it"))
    make.add_argument("--out", type=Path, default=bundle.PROJECT / "build" / "release", metavar="DIR")
    make.add_argument(
        "--keys", type=Path, nargs="+", default=[], metavar="PEM", help="public keys to trust from then on"
    )
    make.add_argument(
        "--floor", type=_version, metavar="VERSION", help="oldest version that is taken afterwards (default: its own)"
    )
    make.add_argument("--key", type=Path, metavar="PEM", help="sign it as well")
    make.set_defaults(run=_make)
    signing = commands.add_parser("sign", help=spoken.said("sign the manifest"))
    signing.add_argument("folder", type=Path)
    signing.add_argument("--key", type=Path, required=True, metavar="PEM")
    signing.set_defaults(run=_sign)
    verify = commands.add_parser("verify", help=spoken.said("is it whole, and signed?"))
    verify.add_argument("folder", type=Path)
    verify.add_argument("--keys", type=Path, nargs="+", required=True, metavar="PEM")
    verify.set_defaults(run=_verify)
    for one in (make, signing, verify):
        add_language(one)
    return parser


if __name__ == "__main__":
    sys.exit(main())
