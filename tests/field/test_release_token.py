# mypy: allow-untyped-calls
"""A release signed by a key in a PKCS#11 token, with the very lines of docs/updates.md. SoftHSM is the token."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import shown
from column_probe import need, need_here
from update_rig import OLD_FILES, ROOT_FILES, made, put, put_key

from common import release
from field import release as field_release
from field.telling import EXIT_FAILED
from sim.search.updates.column import Column, flashed
from tools import toolbox

PIN, OFFICERS = "4321", "8765"


class Signer:
    """Somebody at the machine apart, in a folder with build/release, and with a token that has a key for something
    else."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._tool = folder, toolbox.require(need("pkcs11-tool"))
        self._openssl = need_here("openssl")
        (folder / "tokens").mkdir()
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n")
        start = "pkcs11-tool --module LIBRARY.so"
        self.types(f"{start} --init-token --label signing --so-pin {OFFICERS}")
        self.types(f"{start} --login --login-type so --so-pin {OFFICERS} --init-pin --new-pin {PIN}")
        self.types(f"{start} --login --keypairgen --key-type RSA:3072 --id 77 --label another")

    def types(self, line: str) -> None:
        """As the documentation has it; the PIN, which it leaves out, is asked for."""
        word, *words = shlex.split(line.replace("LIBRARY.so", str(toolbox.softhsm(self._tool))))
        asked = ["--pin", PIN] if "--login" in words and "--so-pin" not in words else []
        argv = [*([self._openssl] if word == "openssl" else self._tool), *words, *asked]
        environment = {**os.environ, "SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}
        done = subprocess.run(argv, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stdout, done.stderr)


def honest(file: str, at: int, data: bytes) -> bytes:
    return data


@pytest.mark.token
def test_a_key_that_never_leaves_its_token_signs_a_release(tmp_path: Path) -> None:
    """Made, read and used as documented; the desk's tool and a column take what it signed, and a column that trusts
    another key does not. Red with another mechanism in the document, a shorter key, or a label in the place of the id:
    pkcs11-tool signs with the first key then."""
    lines = shown.block("updates.md", "pkcs11-tool --module LIBRARY.so --login --keypairgen").splitlines()
    lines += shown.block("updates.md", "openssl dgst").splitlines()[-1:]
    assert [line.count("--keypairgen") for line in lines] == [1, 0, 0, 0] and "--sign" in lines[-1]
    unsigned, folder = made(OLD_FILES | {"firmware/__init__.mpy": b"M\x06new"}), tmp_path / "build" / "release"
    put(folder, unsigned._replace(signature=b""))
    signer = Signer(tmp_path)
    for line in lines:
        signer.types(line)
    public, other = tmp_path / "release-1.pem", put_key(tmp_path / "other.pem")
    assert field_release.main(["verify", str(folder), "--keys", str(public)]) == 0
    assert field_release.main(["verify", str(folder), "--keys", str(other)]) == EXIT_FAILED
    signed = release.load_signed(folder, release.load_public_keys([public]))
    for keys, why in (([public], ""), ([other], "not signed with a key that this column trusts")):
        trusted = release.trusted(release.load_public_keys(keys))
        column = Column(flashed(OLD_FILES, trusted, ROOT_FILES), signed, honest)
        assert column.update() == why
