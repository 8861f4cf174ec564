"""Provisioning again: what an earlier run knew, what others put there, and a computer whose clock is wrong."""

import datetime
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from fleet_rig import GOOD, HEADER, TOML, Tables, make, snapshot

from field import authorities, certificates, laptop, provision, renewal, revocation, rows
from field.telling import EXIT_FAILED, Main
from firmware import clock

# -- what only the first run knew

CLOSED = TOML.replace("open = true\n", "")


@pytest.fixture
def with_password(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv(rows.WIFI_PASSWORD, "a wifi password")
        yield


def secrets_of(out: Path, name: str = "one") -> dict[str, Any]:
    return dict(json.loads((out / "columns" / name / "secrets.json").read_text()))


def test_a_second_run_without_the_wifis_password_keeps_it(
    tmp_path: Path, table: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when the environment alone says it: the next flash takes every column off the air."""
    file, out = table(HEADER, GOOD, toml=CLOSED), tmp_path / "out"
    monkeypatch.setenv(rows.WIFI_PASSWORD, "a wifi password")
    assert make(file, out) == 0
    monkeypatch.delenv(rows.WIFI_PASSWORD)
    before = secrets_of(out)
    assert make(file, out) == 0
    assert secrets_of(out) == before and before["wifi_password"] == "a wifi password"
    monkeypatch.setenv(rows.WIFI_PASSWORD, "another password")
    assert make(file, out) == 0
    assert secrets_of(out)["wifi_password"] == "another password"


@pytest.mark.parametrize("toml", [CLOSED, CLOSED.replace('"sos"', '"another network"')])
def test_a_password_that_nobody_knows_is_an_error_and_never_null(
    tmp_path: Path, table: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    toml: str,
) -> None:  # fmt: skip
    """A new column, or another network: the old password is not for it."""
    out = tmp_path / "out"
    monkeypatch.setenv(rows.WIFI_PASSWORD, "a wifi password")
    assert make(table(HEADER, GOOD, toml=CLOSED), out) == 0
    monkeypatch.delenv(rows.WIFI_PASSWORD)
    before = snapshot(out)
    lines = [GOOD] if toml != CLOSED else [GOOD, GOOD.replace("one", "two")]
    assert make(table(HEADER, *lines, toml=toml), out) == EXIT_FAILED
    said = capsys.readouterr().err
    assert rows.WIFI_PASSWORD in said and "open = true" in said and snapshot(out) == before


def modes(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {path: path.lstat() for path in folder.rglob("*")}
    return {str(path): (one.st_uid, one.st_gid, stat.S_IMODE(one.st_mode)) for path, one in found.items()}


@pytest.mark.skipif(os.geteuid() != 0, reason="!!! NOT TESTED: only root can give files away")
def test_what_belongs_to_the_brokers_user_stays_its(tmp_path: Path, table: Tables) -> None:
    """Red when the file that replaces another is made for whoever runs this: mosquitto then reads nothing at SIGHUP."""
    out, user, group = tmp_path / "out", 4321, 1234
    make(table(HEADER, GOOD), out)
    for path in [out / "broker", *(out / "broker").iterdir()]:
        os.chown(path, user, group)
    (out / "broker" / "acl").chmod(0o640)
    (out / "broker" / "mosquitto.conf").unlink()
    before = modes(out / "broker")
    assert make(table(HEADER, GOOD, GOOD.replace("one", "two")), out) == 0
    after = modes(out / "broker")
    assert {name: after[name] for name in before} == before
    assert after[str(out / "broker" / "mosquitto.conf")][:2] == (user, group), "a new file in its folder is its too"


@pytest.mark.skipif(os.geteuid() != 0, reason="!!! NOT TESTED: only root can give files away")
def test_root_may_run_it_again_in_somebodys_folder(tmp_path: Path, table: Tables) -> None:
    """What root made there is root's, not planted."""
    out = tmp_path / "out"
    out.mkdir()
    os.chown(out, 4321, 1234)
    assert make(table(HEADER, GOOD), out) == 0 and make(table(HEADER, GOOD), out) == 0
    assert (out / "ca" / "ca.key").stat().st_uid == 0


def test_a_file_that_cannot_keep_its_owner_is_not_replaced(
    tmp_path: Path, table: Tables, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    make(table(HEADER, GOOD), out)
    before: tuple[dict[str, Any], ...] = snapshot(out), modes(out)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    real = Path.stat

    def as_anothers(self: Path, **options: Any) -> os.stat_result:
        found = real(self, **options)
        return found if self.name != "acl" else os.stat_result([*found[:4], 4321, *found[5:10]])

    monkeypatch.setattr(os, "chown", refuse)
    monkeypatch.setattr(Path, "stat", as_anothers)
    assert make(table(HEADER, GOOD, GOOD.replace("one", "two")), out) == EXIT_FAILED
    monkeypatch.undo()
    assert "belongs to user 4321" in capsys.readouterr().err
    after: tuple[dict[str, Any], ...] = snapshot(out), modes(out)
    assert [{name: one[name] for name in two} for one, two in zip(after, before, strict=True)] == list(before)


@pytest.mark.parametrize("at", [1, 5, 9])
def test_a_full_disk_changes_nothing_that_was_there(
    tmp_path: Path, table: Tables, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    at: int,
) -> None:  # fmt: skip
    """Red when files are replaced one by one: columns with new names, and a broker that knows them not."""
    out = tmp_path / "out"
    make(table(HEADER, GOOD), out)
    before, mode_before, left = snapshot(out), modes(out), [at]
    real = os.fsync

    def full(descriptor: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise OSError(28, "No space left on device", "the disk")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert make(table(HEADER, GOOD.replace("Somewhere", "Elsewhere"), GOOD.replace("one", "two")), out) == EXIT_FAILED
    assert "the disk is full" in capsys.readouterr().err
    after = snapshot(out)
    assert {name: after[name] for name in before} == before and not [name for name in after if name.endswith(".new")]
    assert {name: modes(out)[name] for name in mode_before} == mode_before


@pytest.mark.parametrize(
    ("main", "arguments"), [(revocation.main, ["one"]), (renewal.main, []), (authorities.main, ["add"])],
    ids=["revoke", "renew", "authority"],
)  # fmt: skip
def test_a_full_disk_changes_nothing_whatever_the_command(
    tmp_path: Path, table: Tables, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    main: Main, arguments: list[str],
) -> None:  # fmt: skip
    """At each of its writes. Red where one of them replaces a file before the others are written."""
    out, real = tmp_path / "out", os.fsync
    make(table(HEADER, GOOD), out)
    before, mode_before = snapshot(out), modes(out)

    def full(descriptor: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device", "the disk")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    for at in range(1, 20):
        left = [at]
        if main([*arguments, "--out", str(out)]) == 0:
            break
        assert "the disk is full" in capsys.readouterr().err
        after = snapshot(out)
        assert {name: after[name] for name in before} == before
        assert {name: modes(out)[name] for name in mode_before} == mode_before
    assert 1 < at < 19, "each of its writes has failed once, and then none"


def test_every_file_that_is_replaced_goes_through_one_function() -> None:
    """Else one of them forgets its owner. The boards' own files are on the boards."""
    for path in Path(provision.__file__).parent.glob("*.py"):
        text = path.read_text("utf-8")
        if path.name not in ("keeping.py", "board.py", "flash.py", "release.py"):  # the last makes a folder of its own
            assert ".replace(file" not in text and "os.replace" not in text and ".rename(" not in text, path.name
            assert ".write_text(" not in text and (".write_bytes(" not in text or path.name == "bundle.py"), path.name


def test_what_is_not_its_own_stays_as_it_is(tmp_path: Path, table: Tables) -> None:
    out = tmp_path / "out"
    (out / "broker").mkdir(parents=True, mode=0o755)
    (out / "notes").mkdir()
    (out / "notes" / "mine.key").write_text("not a key at all")
    (out / "broker" / "local.conf").write_text("mine")
    before: tuple[dict[str, Any], ...] = snapshot(out), modes(out)
    assert make(table(HEADER, GOOD), out) == 0
    after: tuple[dict[str, Any], ...] = snapshot(out), modes(out)
    assert [{name: one[name] for name in two} for one, two in zip(after, before, strict=True)] == list(before)


# -- what somebody else may have put there


@pytest.mark.skipif(os.geteuid() != 0, reason="!!! NOT TESTED: only root can give files away")
def test_a_planted_key_of_the_authority_is_refused(
    tmp_path: Path, table: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red without `check_owner`: whoever planted it can make columns."""
    out = tmp_path / "out"
    (out / "ca").mkdir(parents=True)
    (out / "ca" / "ca.key").write_bytes(certificates.key_pem(certificates.new_key()))
    (out / "ca" / "ca.key").chmod(0o600)
    os.chown(out / "ca" / "ca.key", 4321, 4321)
    assert make(table(HEADER, GOOD), out) == EXIT_FAILED
    assert "belongs to user 4321" in capsys.readouterr().err and not (out / "columns").exists()


@pytest.mark.parametrize("file", ["ca/ca.key", "columns/one/one.key", "columns/one/secrets.json", "broker/server.key"])
def test_a_secret_that_others_can_read_is_refused(
    tmp_path: Path, table: Tables, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    out = tmp_path / "out"
    make(table(HEADER, GOOD), out)
    (out / file).chmod(0o644)
    before = snapshot(out)
    assert make(table(HEADER, GOOD), out) == EXIT_FAILED
    assert f"{file} can be read by others (mode 644)" in capsys.readouterr().err and snapshot(out) == before


def test_a_brokers_key_may_be_its_groups(tmp_path: Path, table: Tables) -> None:
    out = tmp_path / "out"
    make(table(HEADER, GOOD), out)
    (out / "broker" / "server.key").chmod(0o640)
    assert make(table(HEADER, GOOD), out) == 0


# -- the computer's clock


@pytest.mark.parametrize(
    ("now", "text"),
    [("2001-01-01", "these programs were made on"), ("2033-01-01", "more than 5 years after"), ("2026-12-01", "")],
)
def test_a_clock_that_cannot_be_right_makes_no_certificates(
    tmp_path: Path, table: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    now: str, text: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(laptop, "now", lambda: datetime.datetime.fromisoformat(f"{now}T00:00:00+00:00"))
    out = tmp_path / "out"
    assert make(table(HEADER, GOOD), out) == (EXIT_FAILED if text else 0)
    assert text in capsys.readouterr().err and out.exists() == (not text)
    monkeypatch.setenv(laptop.SURE, "1")
    is_possible = now > "2026"
    assert (make(table(HEADER, GOOD), out) == 0) == is_possible, "whoever is sure is believed, within what can be"


def test_a_clock_behind_the_last_run_is_noticed() -> None:
    later = laptop.RELEASED + datetime.timedelta(days=400)
    laptop.check(later, {"ca.pem": later}, {})
    with pytest.raises(laptop.ClockError, match=r"ca\.pem was made on"):
        laptop.check(later - datetime.timedelta(days=30), {"ca.pem": later}, {})


def test_a_certificate_of_any_year_is_valid_at_the_firmwares_floor() -> None:
    """From 2028 on a column that never had the time refused a freshly made one. Red when it is dated from today."""
    key = certificates.new_key()
    end = datetime.datetime(2045, 1, 1, tzinfo=datetime.UTC)
    pem = certificates.authority(key, "x", end)
    floor = datetime.datetime.fromtimestamp(clock.EARLIEST_MS / 1000, datetime.UTC)
    assert x509.load_pem_x509_certificate(pem).not_valid_before_utc < floor
