"""The audit log is a chain: what was changed, taken out or put in is named, over rotations, restarts and full disks."""

import errno
import fcntl
import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from desk import evidence_command
from desk.register import Register
from desk.register_file import REGISTER_FILE
from desk.web import audit
from desk.web.audit import FILE, HEAD_FILE, LOCK_FILE, Audit

Lines = list[bytes]


def entered(folder: Path, *whats: str) -> Audit:
    log = Audit(folder)
    for what in whats:
        log.enter(what, "Айгүл", "192.0.2.7")
    return log


def lines(folder: Path, name: str = FILE) -> Lines:
    return (folder / name).read_bytes().splitlines(keepends=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    entered(tmp_path, "login", "wrong password", "second factor on", "logout", "login")
    return tmp_path


def test_it_is_whole_also_over_restarts(folder: Path) -> None:
    assert audit.check(folder) == []
    entered(folder, "logout")
    assert audit.check(folder) == []
    entries = [json.loads(line) for line in lines(folder)]
    assert [entry["n"] for entry in entries] == [1, 2, 3, 4, 5, 6] and entries[0]["before"] == ""
    assert [stat.S_IMODE((folder / name).stat().st_mode) for name in (FILE, HEAD_FILE)] == [0o600] * 2


def test_two_processes_make_one_chain(folder: Path) -> None:
    """`python -m desk account` beside the desk. Red when each goes on from the head that it has in memory."""
    desk, command = Audit(folder), Audit(folder)
    for one in (command, desk, command, command, desk):
        one.enter("account add, operator", "Айгүл", "command line, root")
    assert audit.check(folder) == [] and json.loads(lines(folder)[-1])["n"] == 10


def test_a_head_that_was_put_back_is_not_gone_on_from(folder: Path) -> None:
    """Red when the head on the disk counts whatever its number is: what came behind it would be forgotten."""
    log, head = Audit(folder), (folder / HEAD_FILE).read_bytes()
    log.enter("logout", "Айгүл", "192.0.2.7")
    (folder / FILE).write_bytes(b"".join(lines(folder)[:-1]))
    (folder / HEAD_FILE).write_bytes(head)
    log.enter("login", "Айгүл", "192.0.2.7")
    assert audit.check(folder) == [f"{FILE}:6: missing before it: entries 6 to 6"]


def test_a_lock_that_somebody_holds_keeps_nobody_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when it is waited for without an end."""
    monkeypatch.setattr(audit, "LOCK_TRY_S", 0)
    with (folder / LOCK_FILE).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        entered(folder, "logout")
    assert len(lines(folder)) == 6


def other(line: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(line), **changes}).encode() + b"\n"


EDITS: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "changed": (lambda it: [*it[:1], other(it[1], name="Serik"), *it[2:]], f"{FILE}:3: the line before it was changed"),
    "the last changed": (lambda it: [*it[:-1], other(it[-1], name="S")], f"entry 5 is not the one that {HEAD_FILE}"),
    "taken out": (lambda it: it[:1] + it[3:], f"{FILE}:2: missing before it: entries 2 to 3"),
    "the first taken out": (lambda it: it[1:], f"{FILE}:1: missing before it: entries 1 to 1"),
    "the last taken out": (lambda it: it[:-2], f"{FILE}: missing at the end: entries 4 to 5"),
    "all taken out": (lambda it: [], f"{FILE}: missing at the end: entries 1 to 5"),
    "put in": (lambda it: [*it[:2], other(it[1], name="x", n=3), *it[2:]], f"{FILE}:3: the line before it was changed"),
    "put in as of before": (
        lambda it: [*it[:2], b'{"at": "", "what": "login", "name": "x", "from": ""}\n', *it[2:]],
        f"{FILE}:3: no entry of this desk",
    ),
    "swapped": (lambda it: [it[0], it[2], it[1], *it[3:]], f"{FILE}:2: missing before it: entries 2 to 2"),
    "torn": (lambda it: [*it[:2], it[2][:20] + b"\n", *it[3:]], f"{FILE}:3: no entry of this desk"),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_what_was_edited_is_named_and_stays_so(folder: Path, edit: str, caplog: pytest.LogCaptureFixture) -> None:
    """Red when a line does not name the one before, without the head, and when a desk that starts again goes on from
    what it finds: what was taken out at the end would be forgotten."""
    change, named = EDITS[edit]
    (folder / FILE).write_bytes(b"".join(change(lines(folder))))
    assert named in "\n".join(audit.check(folder))
    with caplog.at_level(logging.ERROR):
        entered(folder, "login", "logout")
    assert named in caplog.text and audit.check(folder) != []


def test_a_head_that_is_gone_is_missed(folder: Path) -> None:
    (folder / HEAD_FILE).unlink()
    assert HEAD_FILE in audit.check(folder)[0]
    entered(folder, "logout")
    assert audit.check(folder) == [], "the lines themselves are whole"


def test_the_oldest_are_dropped_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the chain begins anew with each file, or a file that was taken away counts as dropped."""
    monkeypatch.setattr(audit, "FILE_MAX_BYTES", 700)
    monkeypatch.setattr(audit, "FILES", 3)
    for n in range(20):
        entered(tmp_path, f"login {n}")
        assert audit.check(tmp_path) == [], n
    assert sorted(path.name for path in tmp_path.iterdir()) == [*(FILE, f"{FILE}.1", f"{FILE}.2", HEAD_FILE, LOCK_FILE)]
    first = json.loads(lines(tmp_path, f"{FILE}.2")[0])
    assert first["n"] > 5
    middle = tmp_path / f"{FILE}.1"
    kept = middle.read_bytes()
    middle.unlink()
    assert "missing before it: entries" in audit.check(tmp_path)[0]
    middle.write_bytes(kept)
    (tmp_path / f"{FILE}.2").unlink()
    first = json.loads(kept.splitlines()[0])["n"]
    assert audit.check(tmp_path) == [f"{FILE}.1:1: missing before it: entries 1 to {first - 1}"]


def test_a_log_from_before_the_chain_goes_on_as_one(tmp_path: Path) -> None:
    old = b'{"at": "2026-01-01T00:00:00Z", "what": "login", "name": "a", "from": "192.0.2.1"}\n' * 2
    (tmp_path / FILE).write_bytes(old)
    assert audit.check(tmp_path) == []
    entered(tmp_path, "login", "logout")
    assert audit.check(tmp_path) == []
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes().replace(b'"a"', b'"b"'))
    assert audit.check(tmp_path) == [f"{FILE}:3: the line before it was changed, or something was put in there"]


def test_a_cut_between_line_and_head_is_no_edit(folder: Path) -> None:
    head = (folder / HEAD_FILE).read_bytes()
    entered(folder, "logout")
    (folder / HEAD_FILE).write_bytes(head)
    assert audit.check(folder) == []
    entered(folder, "login")
    assert audit.check(folder) == []


def test_a_full_disk_keeps_nobody_out_and_breaks_no_chain(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when half a line stays, or when a line counts that was not written."""
    log, written = entered(folder), os.write

    def half(handle: int, data: bytes) -> int:
        return written(handle, data[:10])

    def refused(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    for full in (half, refused):
        monkeypatch.setattr(os, "write", full)
        log.enter("wrong password", "x", "192.0.2.9")
        monkeypatch.setattr(os, "write", written)
        log.enter("login", "Айгүл", "192.0.2.7")
    assert audit.check(folder) == []
    assert [json.loads(line)["n"] for line in lines(folder)] == [1, 2, 3, 4, 5, 6, 7]


def test_the_command_names_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Register(folder / REGISTER_FILE):
        pass
    assert evidence_command.main(["check", "--folder", str(folder)]) == 0
    (folder / FILE).write_bytes(b"".join(lines(folder)[:-1]))
    assert evidence_command.main(["check", "--folder", str(folder), "--lang", "ru"]) == evidence_command.EXIT_WRONG
    assert f"{FILE}: в конце не хватает записей с 5 по 5" in capsys.readouterr().out
