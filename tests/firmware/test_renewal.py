# mypy: allow-untyped-calls
"""New certificates over the air: taken only from whoever provisioned the column, tried, kept with a session, and given
up without one. A power cut at every flash operation, and a lost link at every packet: it always has a session again.
"""

import errno
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fake_board import EPOCH_MS, FakeBoard, FlashMode
from renewal_rig import DAY_MS, SESSION_MS, YEAR_MS, Package, RenewedColumn, Signer
from update_rig import PROJECT, CutFlash

from field import certificates
from firmware.clock import EARLIEST_MS, FLOOR_FILE
from firmware.record import frame
from firmware.startup import renewed
from firmware.update import proving, task

GOOD, NEW = renewed.RENEWED_FILE, renewed.RENEWAL_FILE


@pytest.fixture
def column() -> RenewedColumn:
    return RenewedColumn()


def renewed_once(column: RenewedColumn, **changes: Any) -> RenewedColumn:
    assert column.send_package(column.package(**changes))["ok"]
    return column.until(column.is_over)


def test_the_whole_way(column: RenewedColumn) -> None:
    before = column.in_force()
    renewed_once(column)
    assert column.state() == "kept" and column.boots == 2 and column.in_force() == column.fingerprint != before
    said = column.run(2000).infos[-1]
    assert said["certificates"] == column.fingerprint and said["update"]["state"] == "kept"
    assert GOOD in column.flash.files and NEW not in column.flash.files
    clock: Any = column.rig.column.clock
    assert clock.latest_ms == EPOCH_MS // 1000 * 1000 + 10 * YEAR_MS
    column.boot()
    assert column.until(column.has_session).in_force() == column.fingerprint


def test_a_column_whose_firmware_lies_in_a_folder_is_renewed_too() -> None:
    """Red when the key that packages are sealed with is looked for in the root."""
    column = renewed_once(RenewedColumn(folder="a"))
    assert column.folder == "a" and column.state() == "kept"


def test_a_package_that_came_damaged_is_fetched_again(column: RenewedColumn) -> None:
    """Red when its digest is not looked at: the seal alone would refuse it for good."""
    damaged = iter(["AAAA"])
    column.spoil = lambda piece: piece | {"data": next(damaged, piece["data"][:4]) + piece["data"][4:]}
    assert renewed_once(column).state() == "kept"
    assert [one["at"] for one in column.asked] == list(range(0, len(column.release.manifest), 512)) * 2


def test_without_a_session_it_goes_back_by_itself(column: RenewedColumn) -> None:
    """Red when a trial has no end."""
    before = column.in_force()
    column.send_package(column.package(), works=False)
    column.until(column.is_over)
    assert column.state() == "returned" and column.why() == "no session with the new certificates"
    assert column.in_force() == before and NEW not in column.flash.files and column.boots == 3
    assert column.infos[-1]["update"]["state"] == "returned"


def test_a_session_that_does_not_hold_proves_nothing(column: RenewedColumn) -> None:
    """A broker may end it at once, of a certificate that it does not like. Red when any session counts."""
    column.send_package(column.package())
    column.until(lambda: column.state() == "trial" and column.boots == 2)
    column.hang_up_at = None
    for _ in range(60):
        column.until(lambda: column.boots > 2 or column.has_session())
        if column.boots > 2:
            break
        column.known.discard(column.fingerprint)
        column.rig.streams[-1].peer_closed = True
        column.run(4000)
        column.known.add(column.fingerprint)
    assert column.until(column.is_over).state() == "returned"


# -- what it does not take


def other_key(column: RenewedColumn) -> Package:
    return column.package(cert=column.new.signs(certificates.new_key(), EPOCH_MS + 10 * YEAR_MS))


def forged(column: RenewedColumn) -> Package:
    """By somebody with all that the desk has."""
    return column.package(tls_key=certificates.key_pem(certificates.new_key()).decode())


def altered(column: RenewedColumn) -> Package:
    text = column.package().manifest
    return Package(text.replace(b'"number":1', b'"number":2'))


def torn(column: RenewedColumn) -> Package:
    return column.package(cert=column.new.signs(column.key, EPOCH_MS + 10 * YEAR_MS)[:200])


def late(column: RenewedColumn) -> Package:
    """An authority of today: a column that stands at its floor would take it for one of the future."""
    own = Signer("Late CA")
    column.flash.files[FLOOR_FILE] = frame(b"%d" % EARLIEST_MS)
    begins = certificates.VALID_FROM
    certificates.VALID_FROM = certificates.VALID_FROM.replace(year=begins.year + 3)
    try:
        own = Signer("Late CA")
    finally:
        certificates.VALID_FROM = begins
    return column.package(ca=own.pem)


REFUSED: dict[str, tuple[Callable[[RenewedColumn], Package], str]] = {
    "another key": (other_key, "another name or another key"),
    "another name": (
        lambda it: it.package(cert=it.new.signs(it.key, EPOCH_MS + 10 * YEAR_MS, "petropavl-02")), "another name",
    ),
    "an end before the old one's": (
        lambda it: it.package(cert=it.new.signs(it.key, EPOCH_MS + 4 * YEAR_MS)), "ends before the one in force",
    ),
    "forged": (forged, "not made for this column"),
    "altered": (altered, "not made for this column"),
    "another column's": (lambda it: it.package(device_id="petropavl-02"), "not made for this column"),
    "torn": (torn, ""),
    "no authority": (lambda it: it.package(ca="nobody"), "one or two authorities"),
    "three authorities": (lambda it: it.package(ca=it.old.pem * 2 + it.new.pem), "one or two authorities"),
    "an authority that ended": (lambda it: it.package(ca=Signer("Gone", EPOCH_MS - DAY_MS).pem), "have ended"),
    "an authority that begins late": (late, "after the floor"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_changes_nothing(column: RenewedColumn, name: str) -> None:
    """Red without the check of that name."""
    made, why = REFUSED[name]
    before, kept = column.in_force(), dict(column.flash.files)
    column.send_package(made(column))
    column.until(column.is_over)
    assert column.state() == "refused" and why in column.why()
    assert column.boots == 1 and column.in_force() == before
    assert not {GOOD, NEW} & set(column.flash.files)
    assert all(column.flash.files[file] == kept[file] for file in ("config.json", "secrets.json"))


def test_an_older_package_does_not_come_again(column: RenewedColumn) -> None:
    """It might bring back an authority that is trusted no more."""
    both = column.package(number=5)
    column.send_package(both)
    column.until(column.is_over)
    renewed_once(column, number=6, ca=column.new.pem)
    newest = column.in_force()
    for package in (both, column.package(number=6)):
        column.send_package(package)
        column.until(lambda: column.state() == "refused")
        assert "older than" in column.why() and column.in_force() == newest


@pytest.mark.parametrize(
    "wanted",
    [
        {"digest": "ab"}, {"bytes": 0}, {"bytes": 4097}, {"bytes": "7"},
    ],
)  # fmt: skip
def test_a_command_without_a_shape_is_refused(column: RenewedColumn, wanted: dict[str, Any]) -> None:
    result = column.send_package(column.package(), **wanted)
    assert not result["ok"] and "renewal." in result["error"]


def test_without_tls_there_is_nothing_to_renew() -> None:
    from update_rig import UpdatedColumn

    plain = UpdatedColumn(broker__tls=None, broker__insecure=True)
    result = plain.command(cmd="renew", renewal={"digest": "ab" * 32, "bytes": 7})
    assert not result["ok"] and "no certificate" in result["error"]


def test_it_may_come_to_a_column_without_a_clock(column: RenewedColumn) -> None:
    """Its package proves itself; and a column whose certificates run out may have no time server."""
    column.rig.column.clock.source = "none"
    renewed_once(column)
    assert column.state() == "kept"


def test_the_centre_gives_it_up(column: RenewedColumn) -> None:
    column.serves = False
    column.send_package(column.package())
    assert column.state() == "fetching"
    assert column.command(cmd="renew", renewal=None)["ok"] and column.state() == "aborted"


NO_RECORD: dict[str, Any] = {
    "number": {"number": "1"}, "end": {"ends_ms": 1.5}, "authority": {"ca": 7}, "certificate": {"cert": None},
    "fingerprint": {"of": None}, "nothing": {"ca": "", "cert": "", "of": ""},
}  # fmt: skip


@pytest.mark.parametrize("what", NO_RECORD)
def test_a_record_without_its_shape_is_none(column: RenewedColumn, what: str) -> None:
    """The column then has the certificates of its configuration. Red without the look at that field."""
    before = column.in_force()
    renewed_once(column)
    entry: Any = renewed.read(column.flash, GOOD)
    assert entry["digest"] == column.release.digest and renewed.read(column.flash, NEW) is None
    column.flash.files[GOOD] = frame(json.dumps(entry | NO_RECORD[what]).encode())
    assert renewed.read(column.flash, GOOD) is None
    column.boot()
    assert column.in_force() == before


def test_without_a_clock_nothing_ends_a_release_that_gets_on() -> None:
    """An old `renew` may be said again. Red without `_may_be_old`, and without the look at what is under way; and a
    release that nobody serves any more must not keep certificates out: red without `is_stuck`."""
    from update_rig import UpdatedColumn

    column = UpdatedColumn()
    column.serves = False
    column.rig.column.uplink.config["tls"]["digest"] = "ab" * 8
    assert column.offer()["ok"]
    column.rig.column.clock.source = "none"
    wanted = {"digest": "ab" * 32, "bytes": 7}

    def refusal(renewal: dict[str, Any] | None) -> str | None:
        error: str | None = column.command(cmd="renew", renewal=renewal)["error"]
        return error

    assert refusal(None) == "refused: no renewal is under way"
    assert refusal(wanted) == "refused: a release is being fetched"
    column.run(390_000)
    assert refusal(wanted) is None and "clock unset" in str(refusal(None))
    column.rig.column.clock.source = "ntp"
    assert refusal(None) is None and column.state() == "aborted"


def started(board: FakeBoard) -> str:
    """Where the certificates of a start come from."""
    config: Any = {"broker": {"tls": {"digest": "own", "ca": "", "cert": "", "source": ""}}, "clock": {}}
    renewed.start(board, config, "normal")
    return str(config["broker"]["tls"]["source"])


def on_trial() -> FakeBoard:
    board = FakeBoard()
    entry = {"number": 1, "of": "own", "ends_ms": EPOCH_MS, "ca": "a", "cert": "c", "tries": 0}
    board.flash.files[NEW] = frame(json.dumps(entry).encode())
    return board


def test_a_trial_has_three_boots() -> None:
    board = on_trial()
    assert [started(board) for _ in range(5)] == [NEW, NEW, NEW, "", ""] and NEW not in board.flash.files


def test_a_trial_that_cannot_be_counted_is_none() -> None:
    """It would have no end. That it cannot be removed either ends no start."""
    board = on_trial()
    board.flash.mode = FlashMode.WRITE_ERROR
    assert started(board) == "" and NEW in board.flash.files
    assert [line.split(": ")[:2] for line in board.logged] == [
        ["certificates", "not tried"], ["certificates", str(OSError(5, "flash remove"))],
    ]  # fmt: skip


# -- what else happens meanwhile


def test_certificates_by_cable_win(column: RenewedColumn) -> None:
    """Red when what came over the air hides what a technician has flashed since."""
    renewed_once(column)
    content = json.loads(column.flash.files["config.json"])
    flashed = column.old.signs(column.key, EPOCH_MS + 12 * YEAR_MS)
    content["broker"]["tls"]["cert"] = flashed
    column.flash.files["config.json"] = json.dumps(content, ensure_ascii=False).encode()
    column.boot()
    assert column.in_force() == certificates.fingerprint(column.ca, flashed)


def test_a_press_beside_the_fetching_goes_first(column: RenewedColumn) -> None:
    column.serves = False
    column.send_package(column.package())
    ident = column.press()
    asked = len(column.asked)
    column.run(30_000)
    assert len(column.asked) == asked and any(alarm["id"] == ident for alarm in column.alarms)
    column.serves = True
    column.answer(ident, "closed")
    assert column.until(column.is_over).state() == "kept"


def test_a_call_on_trial_without_a_session_ends_the_trial(column: RenewedColumn) -> None:
    """Red when the call waits for the trial's three minutes."""
    column.send_package(column.package(), works=False)
    column.until(lambda: column.boots == 2)
    column.run(5000)
    column.rig.board.contact.wave((0, 1), (150, 0))
    waited_ms = 0
    while not [alarm for alarm in column.alarms if alarm["status"] == "actual"]:
        column.run(500)
        waited_ms += 500
        assert waited_ms < 60_000
    assert column.state() == "returned"


def test_safe_mode_tries_nothing(column: RenewedColumn) -> None:
    """After a boot loop only what has proved itself runs."""
    column.send_package(column.package(), works=False)
    column.until(lambda: column.boots == 2)
    column.flash.files["boot.rec"] = frame(b'{"n":%d,"u":9}' % (1 << 25))
    column.boot()
    assert column.rig.column.boot["mode"] == "safe" and column.until(column.has_session).in_force() in column.known


class Picky(RenewedColumn):
    """Its board refuses new certificates: mbedTLS says so of any when it has no memory."""

    def boot(self) -> None:
        from fake_board import FakeBoard

        real = FakeBoard.configure

        def configure(board: Any, config: Any) -> None:
            if config["broker"]["tls"]["source"] == NEW:
                raise ValueError("invalid cert")
            real(board, config)

        FakeBoard.configure = configure  # type: ignore[method-assign, assignment]
        try:
            super().boot()
        finally:
            FakeBoard.configure = real  # type: ignore[method-assign]


def test_what_the_board_refuses_is_left_at_once() -> None:
    column = Picky()
    before = column.in_force()
    column.send_package(column.package())
    column.until(column.is_over)
    assert column.state() == "returned" and column.in_force() == before and NEW not in column.flash.files


# -- power and link


def cut(at: int, done: float, works: bool) -> RenewedColumn | None:
    """One renewal with a power cut at the flash operation number `at`; None: there are not so many."""
    flash = CutFlash()
    column = RenewedColumn(flash=flash)
    column.until(column.has_session)
    column.run(3000)
    flash.operations, flash.cut_at, flash.done = 0, at, done
    column.send(cmd="renew", renewal=_wanted(column, works))
    for _ in range(3):
        column.run(4000)
        if flash.operations >= at:
            break
    column.until(lambda: column.has_session() and column.state() not in ("fetching", "trial"), SESSION_MS * 2)
    return column if flash.operations >= at else None


def _wanted(column: RenewedColumn, works: bool) -> dict[str, Any]:
    package = column.package()
    if works:
        column.known.add(column.fingerprint)
    column.release = package  # type: ignore[assignment]
    return {"digest": package.digest, "bytes": len(package.manifest)}


@pytest.mark.parametrize(("done", "works"), [(0, True), (1, True), (0.5, False)])
def test_a_power_cut_at_any_flash_operation_leaves_nobody_out(done: float, works: bool) -> None:
    """Red when the old certificates go before the new ones had a session."""
    number, ends = 1, set()
    while (column := cut(number, done, works)) is not None:
        ends.add(column.state())
        assert column.in_force() in column.known
        if column.state() == "kept":
            assert works and column.in_force() == column.fingerprint
        number += 1
    assert number > 8, "the cuts did not reach the trial"
    assert ends <= ({"kept", None} if works else {"returned", None}), ends


@pytest.mark.parametrize("number", range(3, 9))
def test_a_flash_that_fails_once_is_only_a_delay(number: int) -> None:
    """Red when the trial is noted in memory before it is on flash: nothing goes on then until the next start."""
    flash = CutFlash()
    column = RenewedColumn(flash=flash)
    column.until(column.has_session)
    column.run(3000)
    flash.operations, flash.cut_at, flash.trouble = 0, number, OSError(errno.EIO, "flash")
    column.send(cmd="renew", renewal=_wanted(column, works=True))
    column.until(lambda: column.state() == "kept", SESSION_MS * 4)
    assert flash.operations >= number and column.in_force() == column.fingerprint


class Noteless(CutFlash):
    """It keeps new certificates, and refuses to note that they are on trial."""

    def _operate(self, what: str, *how: Any) -> None:
        if what == "replace update.rec" and NEW in self.files:
            raise OSError(errno.EIO, "flash")
        super()._operate(what, *how)


def test_the_certificates_on_flash_decide_not_the_note_about_them() -> None:
    """Red when the note comes before the restart is on its way: its error would begin the work again, and after eight
    of them the certificates would be refused, and be on trial."""
    column = RenewedColumn(flash=Noteless())
    board = column.rig.board
    column.send_package(column.package())
    column.until(lambda: NEW in column.flash.files, step_ms=50)
    entry: Any = renewed.read(column.flash, NEW)
    assert column.boots == 1 and entry["tries"] == 0, "no boot has been tried with them"
    assert board.logged[-2:] == ["certificates: new ones are on trial", "certificates: [Errno 5] flash"]
    column.until(lambda: column.state() == "kept", SESSION_MS)
    assert column.boots == 2 and column.in_force() == column.fingerprint
    assert [one["at"] for one in column.asked] == list(range(0, len(column.release.manifest), 512))


# -- memory


def test_whatever_ends_the_work_its_code_is_forgotten(column: RenewedColumn) -> None:
    """Red when only the judging forgets it, and when a work that could not even begin leaves its modules behind."""
    column.serves = False
    column.send_package(column.package())
    column.run(1000)
    update, board = column.rig.column.update, column.rig.board
    board.forgotten.clear()
    update.give_up()
    assert {"firmware.startup.certificate", "firmware.update.renewal"} <= set(board.forgotten)
    board.forgotten.clear()
    board.heap = lambda: task.NEEDS_BYTES - 1  # type: ignore[method-assign]
    column.run(4000)
    assert "firmware.update.renewal" in board.forgotten and any("too little memory" in line for line in board.logged)


def test_each_of_the_files_has_one_name() -> None:
    """Copies of it, for a column loads no module for a name. Red when one of them is changed alone."""
    wanted, found = {"RENEWAL_FILE": NEW, "RENEWED_FILE": GOOD}, []
    for file in sorted((PROJECT / "firmware").rglob("*.py")):
        for name, value in re.findall(r'^_?(RENEW\w+_FILE) = (?:const\()?"(.+?)"', file.read_text(), re.MULTILINE):
            assert value == wanted[name], file
            found.append(f"{file.stem} {name}")
    assert found == [
        "assembly RENEWAL_FILE", "configure RENEWAL_FILE", "configure RENEWED_FILE", "pem RENEWED_FILE",
        "order RENEWAL_FILE", "resume RENEWAL_FILE",
    ]  # fmt: skip


# -- the link


def hung_up(number: int) -> RenewedColumn:
    column = RenewedColumn()
    column.until(column.has_session)
    column.hang_up_at = column.packets + number
    column.send(cmd="renew", renewal=_wanted(column, works=True))
    return column.run(4000).until(lambda: column.state() is None or column.is_over())


def test_a_lost_link_at_any_packet_is_only_a_delay() -> None:
    number, reached = 1, 0
    while reached < 3 and number < 60:
        column = hung_up(number)
        assert column.state() in ("kept", None) and column.has_session()
        reached += column.packets < int(column.hang_up_at or 0)
        number += 4


def test_cuts_again_and_again_on_trial_end_it(column: RenewedColumn) -> None:
    """Power that goes every minute never lets a trial come to its end. Red when boots on it are not counted."""
    column.send_package(column.package(), works=False)
    column.until(lambda: column.boots == 2)
    for _ in range(4):
        column.run(60_000)
        column.boot()
    assert column.until(column.has_session, 5000).state() == "returned"


# -- controls


def test_kept_without_a_session_loses_the_column(column: RenewedColumn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the trial."""

    def step(self: Any) -> int:
        self._keep()
        return 2000

    monkeypatch.setattr(proving.Proving, "step", step)
    column.send_package(column.package(), works=False)
    column.run(SESSION_MS)
    assert not column.has_session()
