"""Limits that count bytes, a disk that is full, and files of an earlier run that are damaged: what is said is so."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet_rig import GOOD, HEADER, TOML, Tables, make, snapshot

from common.beside import within
from common.release import MANIFEST_FILE, SIGNATURE_FILE
from field import authorities, bundle, flashed, release, revocation
from field.accept import command as accept
from field.keeping import KeepError, read_secrets, write
from field.telling import EXIT_FAILED, explained
from field.words import Words
from sim.real import flash_image

LONG = "Очень длинное имя центра сертификации для города Петропавловска"
FITS = "я" * 32
LANGUAGES = ("en", "ru", "kk")


def test_an_authoritys_name_is_measured_in_bytes_before_anything_is_written(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when characters are counted (a traceback), and when the key is made before the name is judged."""
    before = snapshot(out)
    for name in (LONG, FITS + "я", " ", "a\n"):
        assert authorities.main(["add", "--name", name, "--out", str(out)]) == EXIT_FAILED
        assert "at most 64 bytes (32 Cyrillic letters)" in capsys.readouterr().err
        assert snapshot(out) == before
    assert authorities.main(["add", "--name", FITS, "--out", str(out)]) == 0
    assert "ca-2.pem" in capsys.readouterr().out


def test_what_failed_half_way_takes_no_number(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when a key without a certificate takes its number: the next one was "CA 3"."""
    write(out / "ca" / "ca-2.key", (out / "ca" / "ca.key").read_bytes(), is_secret=True)
    assert authorities.main(["add", "--out", str(out)]) == 0
    assert "'SOS columns CA 2'" in capsys.readouterr().out


@pytest.mark.parametrize(("section", "key", "most"), [("authority", "name", 64), ("desk", "centre", 128)])
def test_a_tables_names_are_measured_in_bytes(
    tmp_path: Path, table: Tables, capsys: pytest.CaptureFixture[str], section: str, key: str, most: int
) -> None:
    """Red when characters are counted: provisioning ended in a traceback, or a board refused its configuration."""
    toml = f'{TOML}[{section}]\n{key} = "'
    assert make(table(HEADER, GOOD, toml=f'{toml}{"я" * (most // 2)}"\n'), tmp_path / "out") == 0
    assert make(table(HEADER, GOOD, toml=f'{toml}{"я" * (most // 2 + 1)}"\n'), tmp_path / "other") == EXIT_FAILED
    assert f"fleet.toml:8:1: [{section}] {key}: found 'я" in (said := capsys.readouterr().err)
    assert f"at most {most} bytes" in said and not (tmp_path / "other").exists()


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")  # as write and fsync say it: of no file


MADE = bundle.Bundle({"firmware/__init__.mpy": b"M\x06"}, {"lib/umqtt/simple.py": b""})
WRITERS: dict[str, Callable[[Path], object]] = {
    "keeping": lambda folder: write(folder / "a.json", "{}", is_secret=True),
    "bundle": lambda folder: bundle.write(MADE, folder),
    "flashed": lambda folder: flashed.note(folder / "flashed.csv", flashed.Entry(*"abcdef")),
    "image": lambda folder: flash_image.replace(folder / "board.img", b"x"),
}


class FullFile:
    """What os.fdopen gives on a disk that has no room."""

    def __enter__(self) -> "FullFile":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self) -> int:
        return 1

    write = full


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_named_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str) -> None:
    """Red when a writer is not `within` its folder: what was said was "error: -: the disk is full"."""
    monkeypatch.setattr("os.fdopen", lambda *_, **__: FullFile())
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space") as caught:
        WRITERS[writer](tmp_path)
    monkeypatch.undo()
    for language in LANGUAGES:
        said = explained(caught.value).told(Words(language))
        assert str(tmp_path) in said and "-:" not in said
    assert not [one for one in tmp_path.iterdir() if one.name.startswith("a.json")], "half a secret is none"


def test_a_full_disk_that_nobody_names_is_no_dash() -> None:
    for number in (errno.ENOSPC, errno.EIO):
        for language in LANGUAGES:
            assert "-:" not in explained(OSError(number, "it failed")).told(Words(language))


def test_only_a_disks_own_trouble_gets_the_folder(tmp_path: Path) -> None:
    """A server that refuses is no matter of the folder, and a file that was named stays named."""
    for error in (OSError(errno.ECONNREFUSED, "x"), OSError(errno.ENOSPC, "x", "/its/own")):
        with pytest.raises(OSError) as caught, within(tmp_path):  # noqa: PT011 - the same one, as it was
            raise error
        assert caught.value is error


def test_a_certificate_made_anew_from_its_key_is_no_new_authority(
    out: Path, table: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when `ca.pem` alone is missing and "new authority" is said of the old key."""
    (out / "ca" / "ca.pem").unlink()
    capsys.readouterr()
    assert make(table(HEADER, GOOD), out) == 0
    said = capsys.readouterr().out
    assert f"{out}/ca/ca.pem was missing: made anew from ca.key" in said and "new authority" not in said


def test_a_broken_manifest_is_named_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when verify or sign say of no file that "the manifest is none"."""
    for name in (MANIFEST_FILE, SIGNATURE_FILE):
        (tmp_path / name).write_bytes(b"x")
    for words in (["verify", str(tmp_path), "--keys", "x"], ["sign", str(tmp_path), "--key", "x"]):
        assert release.main(words) == EXIT_FAILED
        said = capsys.readouterr().err
        assert f"{tmp_path}/manifest: the manifest is none" in said and "make release" in said
        assert release.main([*words, "--lang", "ru"]) == EXIT_FAILED
        assert "соберите выпуск заново: make release" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "promise"),
    [
        ("centre/keys.json", "with the same keys"),
        ("centre/centre.json", "a new password, for the broker"),
        ("columns/one/secrets.json", "a new password and a new key, for make flash"),
    ],
)
def test_what_is_promised_of_a_damaged_file_is_so(
    out: Path, table: Tables, capsys: pytest.CaptureFixture[str], file: str, promise: str
) -> None:
    """Red when keys.json, of which all comes back, is said to cost new passwords; and when a promise is not kept."""
    before = (out / file).read_bytes()
    keys = json.loads((out / "centre" / "keys.json").read_text())
    (out / file).write_bytes(b"{")
    two = table(HEADER, GOOD, GOOD.replace("one", "two"))
    assert make(two, out) == EXIT_FAILED
    assert promise in capsys.readouterr().err
    (out / file).unlink()
    assert make(two, out) == 0
    after = json.loads((out / "centre" / "keys.json").read_text())
    if file == "centre/keys.json":
        assert after["columns"] == keys["columns"] and after["number"] > keys["number"]
    else:
        assert (out / file).read_bytes() != before
        assert (after["columns"] != keys["columns"]) == file.startswith("columns")


def test_revoking_says_the_same_of_a_damaged_keys_file(out: Path) -> None:
    (out / "centre" / "keys.json").write_bytes(b"{")
    with pytest.raises(KeepError, match="with the same keys"):
        revocation.revoke(out, "one")
    with pytest.raises(KeepError, match="bring it back"):
        read_secrets(out / "centre" / "keys.json")


@pytest.mark.parametrize(
    ("option", "right"),
    [
        (["--seconds", "x"], "must be a number of seconds from 1 to 3600"),
        (["--seconds", "0"], "must be a number of seconds from 1 to 3600"),
        (["--jumper", "18-99"], "must be two GPIOs with a lead between them"),
        (["--jumper", "18-18"], "must be two GPIOs with a lead between them"),
    ],
)
def test_what_no_board_can_do_is_refused_before_one_goes_off_duty(
    capsys: pytest.CaptureFixture[str], option: list[str], right: str
) -> None:
    """Red when it is judged on the board, which was said to be off duty by then, and where no right one is told."""
    for language in LANGUAGES:
        with pytest.raises(SystemExit):
            accept.main(["/dev/none", *option, "--lang", language])
        said = "".join(capsys.readouterr())
        assert (right in said) == (language == "en") and option[1] in said
