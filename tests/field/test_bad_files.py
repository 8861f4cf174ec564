"""Whatever lies where a tool wants a file or a folder: one line says what is wrong, and no traceback."""

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from field_tools import MAINS
from fleet_rig import GOOD, HEADER, Tables, make

from common.release import ReleaseError, load_public_keys
from common.sentences import LANGUAGES
from contract import evidence
from desk.rollout import command as rollout
from field.certificates import serial
from field.keeping import KeepError, keep_key, understood
from field.release import load_private_key
from field.telling import EXIT_FAILED
from field.words import Words

CONTENTS = {
    "empty": b"", "chance": bytes(range(256)), "deep": b"[" * 100_000, "number": b"3", "text": b'"x"',
    "list": b"[1, {}]",
    "object": b'{"v": 1, "columns": [1, {"a": []}], "links": 3, "trusted": 7, "certificates": [1]}',
    "CP1251": "Абай".encode("cp1251"),
}  # fmt: skip
FILES = ("missing", "folder", "within a file", *CONTENTS)
BROKER = ["--broker", "127.0.0.1:1"]


class Place:
    """A provisioned fleet, a table, and the bad files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = str(Tables(folder)(HEADER, GOOD))
        self.out = str(folder / "out")
        self.rollout = ["--folder", f"{self.out}/rollout"]
        assert make(Path(self.table), Path(self.out)) == 0
        (folder / "folder").mkdir()
        for name, content in CONTENTS.items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)

    def bad(self, name: str) -> str:
        return str(self.folder / (name if name != "within a file" else "empty/x"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("bad files"))


Wanted = Callable[[Place, str], Sequence[str]]
TOOLS: dict[str, tuple[str, Wanted]] = {
    "table": ("provision", lambda at, bad: [bad]),
    "configuration": ("flash", lambda at, bad: [f"/dev/null={bad}", "--log", f"{at.out}/flashed.csv"]),
    "log": ("flash", lambda at, bad: [f"/dev/null={at.out}/columns/one", "--log", bad]),
    "image": ("image", lambda at, bad: ["/dev/null", bad, "--sha256", "0" * 64]),
    "revoked in": ("revocation", lambda at, bad: ["one", "--out", bad]),
    "renewed in": ("renewal", lambda at, bad: ["--out", bad]),
    "trusted in": ("authorities", lambda at, bad: ["switch", "--out", bad]),
    "status": ("authorities", lambda at, bad: ["switch", "--out", at.out, "--rollout", bad]),
    "codes of": ("code", lambda at, bad: ["one", "16777300-1", "--out", bad]),
    "release": ("rollout", lambda at, bad: ["start", *BROKER, *at.rollout, "--release", bad, "--keys", bad]),
    "renewals": ("rollout", lambda at, bad: ["start", *BROKER, *at.rollout, "--renewals", bad]),
    "rollout": ("rollout", lambda at, bad: ["status", "--folder", bad]),
    "evidence": ("evidence", lambda at, bad: [bad]),
}  # fmt: skip


def serial_in(file: Path) -> int:
    with understood(file, "bring it back"):
        return serial(file.read_bytes())


def ended(tool: str, arguments: Sequence[str]) -> int | str | None:
    try:
        return {**MAINS, "rollout": rollout.main, "evidence": evidence.main}[tool](list(arguments))
    except SystemExit as left:
        return left.code


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("tool", TOOLS)
def test_a_bad_file_is_told_in_words(tool: str, file: str, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Red for a tool that catches one error of a file and not another: its traceback is the test's."""
    name, arguments = TOOLS[tool]
    before = sorted(place.folder.iterdir())
    status = ended(name, [*arguments(place, place.bad(file)), "--lang", "ru"])
    said = "".join(capsys.readouterr())
    assert status and said.strip() and "Error" not in said
    assert english(said.replace(str(place.folder), "")) == []
    assert sorted(place.folder.iterdir()) == before


def english(text: str) -> list[str]:
    """Two words in a row: a name or a command has one. What is typed is left out."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"|\bmake \w+|desk\.rollout status|python -m \S+|\S*/\S*", "", text)
    return re.findall(r"[A-Za-z]{2,} [a-z]{2,}.*", bare)


def test_english_that_was_left_is_noticed() -> None:
    left = "ошибка: x.json: повреждён (list indices must be integers), верните его; make provision"
    assert english(left) == ["list indices must be integers), верните его; "]


# What an earlier run wrote -> the tool that reads it again.
REVOKE, PROVISION = ("revocation", "one"), ("provision", "TABLE")
WRITTEN: dict[str, tuple[str, ...]] = {
    "ca/revoked.json": REVOKE, "ca/earlier.json": REVOKE, "centre/keys.json": REVOKE, "columns/one/one.pem": REVOKE,
    "ca/authorities.json": ("authorities", "switch"), "ca/ca.key": ("authorities", "add"),
    "ca/ca.pem": ("authorities", "add"), "centre/renewals.json": ("renewal",), "columns/one/config.json": ("renewal",),
    **dict.fromkeys(("centre/answer.key", "columns/one/secrets.json", "columns/one/one.key", "centre/centre.json",
                     "broker/server.key"), PROVISION),
}  # fmt: skip


@pytest.mark.parametrize("file", WRITTEN)
def test_a_damaged_file_of_an_earlier_run_is_told_in_words(
    file: str, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also why, in one language. Red where what Python says of it is shown as it is ("'int' object is not iterable"),
    and where nobody catches it: a damaged certificate of a stolen column was a traceback."""
    shutil.copytree(place.out, out := tmp_path / "out")
    tool, *words = WRITTEN[file]
    words = [*(place.table if word == "TABLE" else word for word in words), "--out", str(out), "--lang", "ru"]
    for name, content in CONTENTS.items():
        (out / file).write_bytes(content)
        (out / file).chmod(0o600)
        assert ended(tool, words) == EXIT_FAILED, name
        said = "".join(capsys.readouterr()).replace(str(tmp_path), "")
        assert english(said) == [] and "Error" not in said, name
        assert file.rpartition("/")[2] in said, name


EC_KEY = ec.generate_private_key(ec.SECP256R1())
KEY = EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PEM = {
    "of another curve": KEY[:60] + b"AAAA" + KEY[64:], "cut": KEY[: len(KEY) // 2],
    "no base64": KEY.replace(b"M", b"*", 3),
    "public": PUBLIC, "a certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "encrypted": EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
}  # fmt: skip


@pytest.mark.parametrize("reads", [keep_key, load_private_key, lambda file: load_public_keys([file]), serial_in])
@pytest.mark.parametrize("content", PEM)
def test_a_key_or_certificate_that_is_none_is_told_in_words(
    content: str, reads: Callable[[Path], object], tmp_path: Path
) -> None:
    """Four changed letters name a curve that nobody knows, which is no ValueError: it was a traceback. Red with one of
    cryptography's own sentences."""
    file = tmp_path / "x"
    file.write_bytes(PEM[content])
    file.chmod(0o600)
    with pytest.raises((KeepError, ReleaseError)) as error:
        reads(file)
    for language in LANGUAGES[1:]:
        assert english(Words(language).said(str(error.value)).replace(str(tmp_path), "")) == []
