"""The file of the columns' keys, put back to an older state: it trusts no stolen column again, not even while the disk
is full or after a restart. With provisioning's own files: tests/field/test_revocation.py."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from upkeep_rig import Desk

from common.key_mark import mark_of
from desk.column_keys import TAKEN_FILE, ColumnKeys
from desk.web import files

STOLEN, NEW, OTHER = bytes(range(32)), b"n" * 32, b"o" * 32
ME = "sos-01"


class City:
    """What provisioning writes, and the desk's folder."""

    def __init__(self, folder: Path) -> None:
        self.file, self.folder = folder / "keys.json", folder / "desk"
        self.folder.mkdir()

    def bring(self, number: int | None, revoked: tuple[str, ...] = (), **keys: bytes) -> None:
        columns = {name.replace("_", "-"): key.hex() for name, key in keys.items()}
        document: dict[str, Any] = {"v": 1, "columns": columns, "revoked": list(revoked)}
        document |= {"retired": [mark_of(STOLEN)] * bool(number and number > 1)}
        document |= {} if number is None else {"number": number}
        self.file.write_text(json.dumps(document))
        self.file.chmod(0o600)

    def desk(self) -> ColumnKeys:
        return ColumnKeys(self.file, self.folder)


@pytest.fixture
def city(tmp_path: Path) -> City:
    """The column was stolen, and has been revoked."""
    made = City(tmp_path)
    made.bring(1, sos_01=STOLEN, sos_02=OTHER)
    before = made.desk()
    made.bring(2, (ME,), sos_02=OTHER)
    assert before.look() and before.revoked == {ME}
    return made


def test_an_older_file_is_refused_after_a_restart_too(city: City) -> None:
    """Red when what was taken is in memory alone: the desk started with whatever lay there, or not at all."""
    for number in (1, None):
        city.bring(number, sos_01=STOLEN, sos_02=OTHER)
        desk = city.desk()
        assert "older than the one that was taken last" in desk.trouble and "bring the newest" in desk.trouble
        assert desk.revoked == {ME} and desk.of(ME) is None and desk.of("sos-02") == OTHER
        assert STOLEN.hex() not in desk.trouble
    city.bring(3, sos_01=NEW, sos_02=OTHER)
    assert desk.look() and not desk.trouble and desk.of(ME) == NEW and not desk.revoked


def test_who_was_revoked_stays_so_until_there_is_another_key(city: City) -> None:
    """A newer file that says nothing of the theft, of a provisioning that was put back. Red when its list alone
    counts."""
    city.bring(9, sos_02=OTHER)
    assert city.desk().revoked == {ME}
    city.bring(10, sos_01=STOLEN, sos_02=OTHER)
    assert "the revoked key of sos-01 again" in city.desk().trouble
    city.bring(11, sos_01=NEW, sos_02=OTHER)
    desk = city.desk()
    assert not desk.trouble and desk.of(ME) == NEW and not desk.revoked


def test_a_file_that_contradicts_itself_is_refused_by_a_new_desk(city: City, tmp_path: Path) -> None:
    """Red when only what was taken before is looked at."""
    city.bring(2, sos_01=STOLEN)
    with pytest.raises(ValueError, match="the revoked key of sos-01 again"):
        ColumnKeys(city.file, tmp_path)


def test_a_full_disk_keeps_nobody_from_being_revoked(
    city: City, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It counts at once, is told once, and is on the disk as soon as there is room. Red when a write that failed is
    forgotten: the next start would trust the column again."""
    desk, replace = city.desk(), files.replace

    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("desk.column_keys.replace", full)
    city.bring(3, (ME, "sos-02"))
    assert desk.look() and "sos-02" in desk.revoked
    assert not desk.look() and not desk.look()
    assert len([one for one in caplog.records if "No space left" in one.getMessage()]) == 1
    monkeypatch.setattr("desk.column_keys.replace", replace)
    desk.look()
    city.bring(2, (ME,), sos_02=OTHER)
    assert "sos-02" in city.desk().revoked


def test_a_damaged_memory_ends_no_duty(city: City, caplog: pytest.LogCaptureFixture) -> None:
    """It is put aside, and said. Red when the desk does not start, or says nothing."""
    (city.folder / TAKEN_FILE).write_text('{"v": 1, "columns": {"a": "short-secret"}}')
    assert not city.desk().trouble and city.desk().revoked == {ME}
    (said,) = {one.getMessage() for one in caplog.records}
    assert "put aside" in said and "short-secret" not in said
    assert (city.folder / f"{TAKEN_FILE}.damaged").exists()


def test_the_page_says_that_the_keys_are_old(city: City, tmp_path: Path) -> None:
    """Red while it stood in the log alone."""
    with Desk(tmp_path / "register.db") as desk:
        desk.duty._origins.keys = city.desk()
        assert desk.duty.overview(desk.now_ms)["keys_refused"] == ""
        city.bring(1, sos_01=STOLEN, sos_02=OTHER)
        desk.duty.look_at_files()
        assert "older than" in desk.duty.overview(desk.now_ms)["keys_refused"]
        city.bring(2, (ME,), sos_02=OTHER)
        desk.duty.look_at_files()
        assert desk.duty.overview(desk.now_ms)["keys_refused"] == ""
