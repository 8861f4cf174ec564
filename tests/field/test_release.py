# mypy: allow-untyped-calls
"""A release: the same bytes twice, a signature that OpenSSL makes as well, and a list of its parts."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import shown
from column_probe import need_here
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fleet_rig import GOOD, HEADER, TOML, Tables
from fleet_rig import make as provisioned
from update_rig import key

from common import release
from common.release import ReleaseError
from field import bundle, documents, sbom
from field import release as made
from field.plan import plan
from field.telling import EXIT_FAILED
from firmware import VERSION
from firmware.update import signature
from firmware.update.manifest import MAGIC
from firmware.update.order import MAX_BYTES


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    private, pkcs8 = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    (folder / "a.key").write_bytes(key(0).private_bytes(pkcs8, private, serialization.NoEncryption()))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    for name, number in (("a.pem", 0), ("b.pem", 1)):
        (folder / name).write_bytes(key(number).public_key().public_bytes(pkcs8, public))
    return folder


def command(*words: object) -> int:
    return made.main([str(word) for word in words])


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_two_builds_have_the_same_bytes(tmp_path: Path, keys: Path) -> None:
    """Signature and lists of parts included; from another folder, in another process, with another hash seed. Red with
    a time or a set's order in any of them."""
    options = ["--keys", str(keys / "a.pem"), str(keys / "b.pem"), "--key", str(keys / "a.key")]
    assert command("make", "--out", tmp_path / "one", *options) == 0
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(bundle.PROJECT), "TZ": "Asia/Almaty"}
    argv = [sys.executable, "-m", "field.release", "make", "--out", str(tmp_path / "two"), *options]
    subprocess.run(argv, check=True, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    one, two = content(tmp_path / "one"), content(tmp_path / "two")
    assert one == two and len(one) > 70
    found = release.load(tmp_path / "one")
    assert found.version == VERSION and found.files[release.KEYS_FILE] == release.trusted(
        [key(0).public_key(), key(1).public_key()]
    )
    assert not {"boot.py", "main.py"} & set(found.files), "the way back leads through them"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    out = tmp_path_factory.mktemp("release") / "out"
    assert command("make", "--out", out, "--key", keys / "a.key") == 0
    return out


def test_openssl_makes_the_same_signature(signed: Path, keys: Path) -> None:
    """So does any PKCS#11 token with SHA256-RSA-PKCS, which is what docs/updates.md says."""
    argv = [need_here("openssl"), "dgst", "-sha256", "-sign", str(keys / "a.key"), str(signed / "manifest")]
    assert subprocess.run(argv, check=True, capture_output=True).stdout == (signed / "manifest.sig").read_bytes()


def test_openssl_signs_as_documented(signed: Path, tmp_path: Path) -> None:
    """The page's lines, typed on a machine apart; the passphrase, for which openssl asks there, is told. Red with
    another digest, and for a line that openssl does not take."""
    openssl = need_here("openssl")
    shutil.copytree(signed, tmp_path / "build" / "release")
    (tmp_path / "build/release/manifest.sig").unlink()
    lines = [
        *shown.block("updates.md", "openssl genrsa").splitlines(),
        *shown.block("updates.md", "openssl dgst").splitlines(),
    ]
    for _, what, *words in [shlex.split(line) for line in lines if line.startswith("openssl ")]:
        told = ["-passout" if what == "genrsa" else "-passin", "pass:secret"]
        subprocess.run([openssl, what, *told, *words], cwd=tmp_path, check=True, capture_output=True)
    assert b"ENCRYPTED" in (tmp_path / "release-1.key").read_bytes()
    assert command("verify", tmp_path / "build/release", "--keys", tmp_path / "release-1.pem") == 0


def test_it_is_verified_with_the_right_key_only(
    signed: Path, keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("verify", signed, "--keys", keys / "b.pem", keys / "a.pem") == 0
    assert command("verify", signed, "--keys", keys / "b.pem") == EXIT_FAILED
    copy = Path(shutil.copytree(signed, tmp_path / "copy"))
    with (copy / "files" / "firmware" / "lamp.mpy").open("ab") as file:
        file.write(b"x")
    assert command("verify", copy, "--keys", keys / "a.pem") == EXIT_FAILED
    (copy / "manifest.sig").unlink()
    assert command("verify", copy, "--keys", keys / "a.pem") == EXIT_FAILED
    said = capsys.readouterr().err
    assert "not signed with any" in said and "lamp.mpy is not the file" in said and "is it built, and signed?" in said


def test_a_folder_that_holds_something_else_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    assert command("make", "--out", tmp_path) == EXIT_FAILED
    assert (tmp_path / "mine").exists()


def test_a_floor_above_the_version_is_refused(tmp_path: Path) -> None:
    assert command("make", "--out", tmp_path / "x", "--floor", "99.0.0") == EXIT_FAILED


def test_a_key_that_is_none_costs_no_release(signed: Path, tmp_path: Path) -> None:
    """Nor does a floor that is no version. Red where the folder is written anew before the key is read."""
    out = shutil.copytree(signed, tmp_path / "out")
    assert command("make", "--out", out, "--key", tmp_path / "none.pem") == EXIT_FAILED
    with pytest.raises(SystemExit):
        command("make", "--out", out, "--floor", "x")
    assert content(out) == content(signed)


def test_keys_that_are_none(tmp_path: Path) -> None:
    small = rsa.generate_private_key(release.EXPONENT, 2048)
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "small.key").write_bytes(small.private_bytes(encoding, private, serialization.NoEncryption()))
    with pytest.raises(ReleaseError, match="3072 bits"):
        made.load_private_key(tmp_path / "small.key")
    with pytest.raises(ReleaseError, match="at a time"):
        release.trusted([])
    with pytest.raises(ReleaseError, match="no public key"):
        release.load_public_key(b"x")
    with pytest.raises(ReleaseError, match="damaged"):
        release.trusted_keys(release.trusted([key(0).public_key()])[:-1])


def test_a_key_under_a_password_is_told_from_none(tmp_path: Path) -> None:
    """As the page says to make it. It was called no private key, and nothing said what signs with it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    locked = serialization.BestAvailableEncryption(b"abcd")
    form = serialization.PrivateFormat.TraditionalOpenSSL
    (tmp_path / "locked.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))
    with pytest.raises(ReleaseError, match=r"locked\.key is under a password; sign with openssl"):
        made.load_private_key(tmp_path / "locked.key")


def test_trusted_keys_are_what_columns_read() -> None:
    data = release.trusted([key(0).public_key(), key(1).public_key()])
    numbers = [one.public_numbers().n for one in release.trusted_keys(data)]

    class Flash:
        def read_at(self, name: str, start: int, limit: int) -> bytes:
            return data[start : start + limit]

    assert [signature._modulus(Flash(), "a", number) for number in (0, 1)] == numbers
    assert (release.MAGIC, release.MANIFEST_MAX_BYTES) == (MAGIC, MAX_BYTES)
    assert (release.KEY_BYTES, release.KEYS_MAX) == (signature.BYTES, signature.KEYS_MAX)


def test_the_lists_of_parts_name_what_is_inside(signed: Path) -> None:
    firmware = json.loads((signed / made.FIRMWARE_SBOM).read_text())
    assert firmware["bomFormat"] == "CycloneDX" and firmware["metadata"]["component"]["version"] == VERSION
    parts = {part["name"]: part for part in firmware["components"]}
    entries = release.entries((signed / "manifest").read_bytes())
    assert {name for name, part in parts.items() if part["type"] == "file"} == set(entries)
    assert all(parts[name]["hashes"][0]["content"] == digest for name, (digest, _) in entries.items())
    assert parts["micropython-umqtt.simple"]["version"] == "1.3.4"
    desk = json.loads((signed / made.DESK_SBOM).read_text())
    pinned = {line.split()[0] for line in sbom.REQUIREMENTS["desk"].read_text().splitlines() if line[:1].isalpha()}
    assert {f"{one['name']}=={one['version']}" for one in desk["components"]} == pinned
    assert all(one["hashes"] for one in desk["components"])


# -- whose updates a column takes


def test_a_fleet_names_the_keys_that_sign_its_updates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, out = Tables(tmp_path), tmp_path / "out"
    file = table(HEADER, GOOD)
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (file.parent / "a.pem").write_bytes(key(0).public_key().public_bytes(encoding, form))
    table(HEADER, GOOD, toml=TOML + '[updates]\nkeys = ["a.pem"]\n')
    assert provisioned(file, out) == 0
    trusted = (out / "columns/one/release.keys").read_bytes()
    assert trusted == release.trusted([key(0).public_key()])
    assert documents.files(out / "columns" / "one", "esp32")["release.keys"] == trusted
    table(HEADER, GOOD, toml=TOML)
    assert provisioned(file, out) == 0 and (out / "columns/one/release.keys").read_bytes() == trusted
    table(HEADER, GOOD, toml=TOML + '[updates]\nkeys = ["b.pem"]\n')
    assert provisioned(file, out) == EXIT_FAILED and "b.pem" in capsys.readouterr().err
    table(HEADER, GOOD, toml=TOML + "[updates]\nkeys = 3\n")
    assert provisioned(file, out) == EXIT_FAILED and "one or two files" in capsys.readouterr().err


def test_a_flash_without_keys_leaves_a_column_those_that_it_trusts() -> None:
    """Red when the plan takes `release.keys` for a stray."""
    small = bundle.Bundle({"boot.py": b"b", "main.py": b"m", "firmware/__init__.mpy": b"M\x06"}, {})
    on_board = {"a/release.keys": "k" * 64, "b/release.keys": "old", "b/gone.mpy": "x"}
    survey = {"files": on_board, "active": "a", "frozen": None, "umqtt": True}
    todo = plan(survey, small, {"config.json": b"{}"})
    assert todo.copies == {"release.keys": "a/release.keys"} and todo.strays == ["b/gone.mpy"]
    given = plan(survey, small, {"config.json": b"{}", "release.keys": b"new"})
    assert "release.keys" in given.sends and given.copies == {}
