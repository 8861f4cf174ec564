# mypy: allow-untyped-calls
"""An update over the air, on the fake board: what is taken, what is refused, and what an alarm does to it."""

from collections.abc import Callable
from typing import Any

import pytest
from fake_board import FakeFlash, FlashMode
from update_rig import (
    NEW,
    NEW_FILES,
    OLD_FILES,
    PATIENCE_MS,
    SOON_MS,
    UpdatedColumn,
    flashed,
    floored,
    key,
    made,
    mpy,
)

from common import release
from common.release import Release
from firmware import VERSION, resets
from firmware.update import order, signature, state, trial

LEFT = {resets.UPDATE_FILE, state.FLOOR_FILE}
QUARTER_MS = 900_000


def told(column: UpdatedColumn, how: str) -> dict[str, Any]:
    """What the birth message says, once it says so."""
    ms = PATIENCE_MS if how == state.RETURNED else SOON_MS
    column.until(lambda: bool(column.infos) and column.infos[-1].get("update", {}).get("state") == how, ms)
    return dict(column.infos[-1]["update"])


def kept(column: UpdatedColumn) -> None:
    assert column.offer()["ok"], column.results
    told(column, state.KEPT)


def refused(column: UpdatedColumn, offered: Release | None = None) -> str:
    """Why, after the release was fetched as far as it was let."""
    assert column.offer(offered)["ok"], column.results
    why = str(told(column, state.REFUSED)["why"])
    assert column.is_old() and column.boots == 1
    return why


# -- the whole way


def test_a_signed_release_is_fetched_tried_and_kept() -> None:
    column = UpdatedColumn()
    assert column.offer()["ok"], column.results
    column.until(lambda: column.state() == state.TRIAL and column.folder == "b")
    assert column.active() == "ba" and column.inside("b") == column.expected()
    assert told(column, state.KEPT) == {
        "state": "kept", "release": column.release.digest[:16], "version": NEW, "why": None,
    }  # fmt: skip
    assert column.active() == "b" and column.boots == 2 and state.floor(column.flash) == NEW
    fetched = {one["file"] for one in column.asked}
    assert "firmware/same.mpy" not in fetched, "what is there already is not sent"
    assert {name for name in column.flash.files if name.startswith("update.")} == LEFT
    assert [one["state"] for one in column.rig.events("update")] == ["kept"]


def test_a_column_flashed_into_the_root_is_updated_into_the_first_folder() -> None:
    column = UpdatedColumn(flash=flashed(FakeFlash(), folder=""))
    assert column.offer()["ok"], column.results
    column.until(lambda: column.folder == "a")
    assert column.active() == "a/" and column.inside("a").items() >= {"config.json": b'{"mine": 1}'}.items()
    told(column, state.KEPT)


def test_the_next_update_goes_into_the_other_folder() -> None:
    column = UpdatedColumn()
    kept(column)
    later = made({**NEW_FILES, "firmware/lamp.mpy": mpy("newest")}, version="99.1.0", floor="99.1.0")
    assert column.offer(later)["ok"], column.results
    column.until(lambda: column.folder == "a" and column.state() == state.KEPT)
    assert column.active() == "a" and "firmware/gone.mpy" not in column.inside("a")
    assert column.inside("a")["firmware/lamp.mpy"] == mpy("newest")


def test_umqtt_goes_where_the_firmware_in_force_has_it() -> None:
    flash = flashed(FakeFlash())
    flash.files["a/umqtt/simple.mpy"] = mpy("an older one")
    column = UpdatedColumn(flash=flash)
    kept(column)
    assert column.inside("b")["umqtt/simple.mpy"] == NEW_FILES["lib/umqtt/simple.mpy"]


def test_a_report_before_any_update_says_nothing_of_one() -> None:
    column = UpdatedColumn().run(3000)
    assert column.infos and "update" not in column.infos[-1]


# -- what is not taken


FORGED: dict[str, tuple[Callable[[], Release], str]] = {
    "signed by a stranger": (lambda: made(signer=key(7)), "not signed"),
    "a changed manifest": (
        lambda: made()._replace(manifest=made().manifest.replace(b"99.0.0", b"98.0.0")), "not signed"),
    "another release's signature": (
        lambda: made()._replace(signature=made({"hal/esp32.mpy": mpy("x")}).signature), "not signed"),
    "a signature of nothing": (lambda: made()._replace(signature=bytes(384)), "not signed"),
    "a signature of one": (lambda: made()._replace(signature=bytes(383) + b"\1"), "not signed"),
    "the modulus itself": (
        lambda: made()._replace(signature=key(0).public_key().public_numbers().n.to_bytes(384, "big")), "not signed"),
    "older than the floor": (lambda: made(version="0.9.0", floor="0.9.0"), "older than the floor, " + VERSION),
    "the version in force": (lambda: made(version=VERSION, floor=VERSION), "in force already"),
    "another chip's": (lambda: made(chips=["esp32c3"]), "not for this chip"),
    "a newer MicroPython's": (lambda: made(micropython="1.27"), "needs MicroPython 1.27"),
    "another .mpy format": (lambda: made(mpy=7), ".mpy format"),
    "another boot.py": (lambda: made(roots={"boot.py": ["0" * 16], "main.py": ["0" * 16]}), "another boot.py"),
    "a path out of the folder": (lambda: made({"firmware/../../x": b"x"}), "a file firmware/../../x"),
    "a file of the column's own": (lambda: made({"config.json": b"{}"}), "a file config.json"),
    "no version": (lambda: made(version="new"), "invalid"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_it_is_refused(what: str) -> None:
    """Red without `signature.is_good` or `state.floor`: see the controls below."""
    make, why = FORGED[what]
    assert why in refused(UpdatedColumn(make()))


def test_a_column_that_trusts_no_key_takes_nothing() -> None:
    flash = flashed(FakeFlash())
    del flash.files["a/release.keys"]
    column = UpdatedColumn(flash=flash)
    assert "trusts no release key" in column.offer()["error"] and column.asked == []


@pytest.mark.parametrize("at", [0, 3, 4, 200, 387])
def test_a_damaged_key_is_none(at: int) -> None:
    flash = flashed(FakeFlash())
    damaged = bytearray(flash.files["a/release.keys"])
    damaged[at] ^= 1
    flash.files["a/release.keys"] = bytes(damaged)
    assert "trusts no release key" in UpdatedColumn(flash=flash).offer()["error"]


@pytest.mark.parametrize(
    "wanted",
    [{}, {"digest": "0" * 63, "bytes": 9}, {"digest": "0" * 64}, {"digest": "g" * 64, "bytes": 9}, 7, "x",
     {"digest": "0" * 64, "bytes": 0}, {"digest": "0" * 64, "bytes": 16385}, {"digest": "0" * 64, "bytes": True}],
)  # fmt: skip
def test_a_malformed_command_starts_nothing(wanted: Any) -> None:
    column = UpdatedColumn()
    assert not column.command(cmd="update", release=wanted)["ok"] and column.state() is None


def test_too_little_memory_is_said() -> None:
    column = UpdatedColumn()
    column.rig.board.heap_free = 12_000
    assert "too little memory" in column.offer()["error"]


def test_a_firmware_in_the_image_is_left_alone() -> None:
    flash = flashed(FakeFlash())
    del flash.files["a/hal/esp32.mpy"]
    assert "lies in the board's image" in UpdatedColumn(flash=flash).offer()["error"]


def test_a_full_flash_is_said() -> None:
    column = UpdatedColumn()
    column.flash.free = 70_000
    assert "no room" in refused(column)


def test_a_flash_that_fails_ends_it_after_some_tries() -> None:
    """The fault of the journal is told as ever; the update does not wear the flash for ever."""
    column = UpdatedColumn()
    column.serves = False
    assert column.offer()["ok"]
    column.until(lambda: column.rig.column.is_certified())
    column.flash.mode = FlashMode.WRITE_ERROR
    column.serves = True
    column.until(lambda: column.rig.column.update is None)
    column.flash.mode = FlashMode.OK
    assert column.is_old()


# -- keys change


def test_either_of_two_keys_is_enough_and_a_release_brings_the_next_ones() -> None:
    """Key 0 signs a release that trusts 1 and 2; from then on 0 is nobody, and 2 is somebody."""
    column = UpdatedColumn(flash=flashed(FakeFlash(), keys=2))
    trust = release.trusted([key(number).public_key() for number in (1, 2)])
    assert column.offer(made({**NEW_FILES, state.KEYS_FILE: trust}, signer=key(1)))["ok"]
    column.until(lambda: column.state() == state.KEPT)
    assert column.inside("b")[state.KEYS_FILE] == trust
    assert column.offer(made(version="99.1.0", floor="99.1.0"))["ok"]
    assert "not signed" in told(column, state.REFUSED)["why"]
    assert column.offer(made(signer=key(2), version="99.2.0", floor="99.2.0"))["ok"]
    column.until(lambda: column.state() == state.KEPT and column.folder == "a")


def test_with_the_firmware_the_trust_goes_back_too() -> None:
    column = UpdatedColumn()
    column.answers_drills = False
    trust = release.trusted([key(5).public_key()])
    assert column.offer(made({**NEW_FILES, state.KEYS_FILE: trust}))["ok"]
    told(column, state.RETURNED)
    column.answers_drills = True
    kept(UpdatedColumn(made(version="99.3.0", floor="99.3.0"), column.flash))


# -- the trial


def test_without_an_answered_drill_the_column_goes_back_by_itself() -> None:
    """Red with kept-without-drill: see the controls below."""
    column = UpdatedColumn()
    column.answers_drills = False
    assert column.offer()["ok"]
    assert "no drill was answered" in told(column, state.RETURNED)["why"]
    assert column.is_old() and state.floor(column.flash) == VERSION
    assert len([one for one in column.alarms if one["status"] == "test"]) >= 3


def test_a_firmware_that_never_gets_healthy_gives_way() -> None:
    column = UpdatedColumn()
    assert column.offer()["ok"]
    column.until(lambda: column.folder == "b")
    for _ in range(4):  # it dies before anything of it is certified
        column.boot()
    assert column.folder == "a"
    assert "did not become healthy" in told(column, state.RETURNED)["why"] and column.is_old()
    column.run(60_000)
    assert column.is_old(), "it is not tried again by itself"


def test_a_second_release_waits_until_the_first_has_proved_itself() -> None:
    column = UpdatedColumn()
    column.answers_drills = False
    assert column.offer()["ok"]
    column.until(lambda: column.folder == "b")
    assert "on trial" in column.offer(made(version="99.1.0"))["error"]


def test_it_does_not_go_back_while_somebody_is_at_the_button_and_takes_the_call_along() -> None:
    """A firmware that does not understand answers would never see an incident closed: it must not wait for that."""
    column = UpdatedColumn()
    column.answers_drills = False
    assert column.offer()["ok"]
    column.until(lambda: column.folder == "b" and column.rig.column.uplink.is_up())
    column.run(QUARTER_MS - 30_000)
    ident = column.press()
    column.run(50_000)
    assert column.folder == "b", "somebody stands there"
    told(column, state.RETURNED)
    column.until(lambda: column.alarms[-1]["id"] == ident and column.alarms[-1]["late"])
    assert column.rig.lamp() == "answered"


# -- an alarm wins


def busy(heap_bytes: int = 60_000) -> UpdatedColumn:
    """In the middle of a large file, over a link of 20 ms."""
    column = UpdatedColumn(made({**NEW_FILES, "firmware/big.mpy": mpy("x" * 30_000)}))
    column.delay_ms = 20
    column.rig.board.heap_free = heap_bytes
    assert column.offer()["ok"]
    return column.until(lambda: len(column.asked) > 30)


def test_a_press_stops_the_fetching_until_it_is_closed() -> None:
    """Red when `Update._may_work` does not ask for open incidents, or `Column._make_room` leaves the memory to it."""
    column = busy()
    work = column.rig.column.update
    ident = column.press()
    assert work._work is None and column.alarms[-1]["id"] == ident and column.rig.lamp() == "answered"
    seen = len(column.asked)
    column.run(30_000)
    assert len(column.asked) == seen and column.rig.lamp() == "answered"
    column.answer(ident, "closed")
    told(column, state.KEPT)


@pytest.mark.parametrize(("heap_bytes", "is_kept"), [(60_000, False), (100_000, True)])
def test_with_plenty_of_memory_presses_that_do_not_end_do_not_hold_it_up(heap_bytes: int, is_kept: bool) -> None:
    """What was verified need not be verified again. Red when a press always takes the work's memory."""
    column = busy(heap_bytes)
    work = column.rig.column.update._work
    ident = column.press()
    seen = len(column.asked)
    column.run(5_000)
    assert len(column.asked) == seen and (column.rig.column.update._work is work) == is_kept
    column.answer(ident, "closed")
    told(column, state.KEPT)


def test_an_alarm_goes_out_as_fast_as_without_an_update() -> None:
    def age_ms(column: UpdatedColumn) -> int:
        column.press()
        return int(column.alarms[-1]["age_ms"])

    assert age_ms(busy()) <= age_ms(UpdatedColumn().run(3000)) + 5


def test_a_press_before_the_restart_comes_first() -> None:
    class Flash(FakeFlash):
        def replace(self, name: str, data: bytes) -> None:
            super().replace(name, data)
            if name == "active":
                column.rig.board.contact.wave((20, 1), (170, 0))

    column = UpdatedColumn(flash=flashed(Flash()))
    assert column.offer()["ok"]
    column.until(lambda: column.active() == "ba").run(60_000)
    assert column.boots == 1 and column.alarms[-1]["status"] == "actual"
    column.answer(column.alarms[-1]["id"], "closed")
    told(column, state.KEPT)


# -- a wire that loses, repeats and invents


def test_pieces_that_get_lost_are_asked_for_again() -> None:
    column = UpdatedColumn()
    count = iter(range(10**6))
    column.spoil = lambda piece: piece if next(count) % 2 else None
    kept(column)


WRONG: dict[str, Callable[[dict[str, Any]], dict[str, Any] | bytes]] = {
    "no JSON": lambda piece: b"\xff{",
    "a list": lambda piece: b"[]",
    "no data": lambda piece: {**piece, "data": None},
    "no base64": lambda piece: {**piece, "data": "*"},
    "shorter": lambda piece: {**piece, "data": "AAAA"},
    "of another place": lambda piece: {**piece, "at": piece["at"] + 1},
    "of another file": lambda piece: {**piece, "file": "hal/esp32.mpy"},
    "of another release": lambda piece: {**piece, "release": "0" * 16},
    "of another contract": lambda piece: {**piece, "v": 2},
    "deep": lambda piece: b"[" * 900,
}


@pytest.mark.parametrize("what", WRONG)
def test_a_piece_that_is_not_the_one_is_ignored(what: str) -> None:
    column = UpdatedColumn()
    count = iter(range(10**6))
    column.spoil = lambda piece: piece if next(count) % 4 else WRONG[what](piece)
    kept(column)


def test_damaged_pieces_end_it() -> None:
    column = UpdatedColumn()
    column.spoil = lambda piece: {**piece, "data": "AAAA" + piece["data"][4:]} if "long" in piece["file"] else piece
    assert "damaged" in refused(column)


def test_nobody_answers_for_a_while() -> None:
    """It asks ever less often, and goes on where it was."""
    column = UpdatedColumn()
    column.serves = False
    assert column.offer()["ok"]
    column.run(1_800_000)
    assert 9 <= len(column.asked) < 17, "every five minutes at last"
    column.serves = True
    told(column, state.KEPT)


def test_it_is_given_up_by_command() -> None:
    column = UpdatedColumn()
    column.serves = False
    assert column.offer()["ok"]
    assert column.command(cmd="update", release=None)["ok"]
    told(column, state.ABORTED)
    assert column.is_old() and column.rig.column.update is None
    assert "no release" in column.command(cmd="update", release=None)["error"]


def test_another_release_takes_its_place() -> None:
    column = UpdatedColumn()
    column.serves = False
    assert column.offer(made(signer=key(3)))["ok"]
    column.serves = True
    assert column.offer(made())["ok"]
    told(column, state.KEPT)


@pytest.mark.parametrize("flip", [0, 500, 1100])
def test_a_bit_that_flips_on_flash_before_the_switch_is_mended(flip: int) -> None:
    """In any file of the other folder, or of the manifest: the last look finds it. Red without `fetch._hold`."""

    class Flash(FakeFlash):
        flips = 1

        def rename(self, old: str, new: str) -> None:
            super().rename(old, new)
            if new == "b/firmware/startup/long.mpy" and self.flips:
                self.flips -= 1
                damaged = bytearray(self.files[new])
                damaged[flip] ^= 4
                self.files[new] = bytes(damaged)

    column = UpdatedColumn(flash=flashed(Flash()))
    assert column.offer()["ok"]
    column.until(lambda: column.folder == "b")
    assert column.inside("b") == column.expected()


# -- controls: what the tests above would not forgive


def accepted(offered: Release) -> bool:
    column = UpdatedColumn(offered)
    return bool(column.offer()["ok"]) and bool(column.until(lambda: column.folder == "b", 10_000))


def test_control_signature_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "is_good", lambda *_: True)
    assert accepted(FORGED["signed by a stranger"][0]()), "the control is none any more"


def test_control_older_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "floor", lambda _: "0.0.0")
    assert accepted(FORGED["older than the floor"][0]()), "the control is none any more"


def test_control_kept_without_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial.Trial, "may_certify", lambda _: True)
    column = UpdatedColumn()
    column.answers_drills = False
    assert column.offer()["ok"]
    column.until(lambda: column.folder == "b").run(2 * QUARTER_MS)
    assert column.active() == "b", "the control is none any more"


def test_the_floor_never_falls() -> None:
    flash = FakeFlash()
    assert state.floor(flash) == VERSION
    flash.files[state.FLOOR_FILE] = floored("3.10.0")
    state.raise_floor(flash, "3.9.0")
    assert state.floor(flash) == "3.10.0"
    state.raise_floor(flash, "3.11.0")
    assert state.floor(flash) == "3.11.0"
    flash.files[state.FLOOR_FILE] = b"\n00000000 9.9.9\n"
    assert state.floor(flash) == VERSION, "a floor that cannot be read counts as the version that runs"


def test_nothing_of_an_update_stays_in_memory() -> None:
    column = UpdatedColumn()
    kept(column)
    forgotten = set(column.rig.board.forgotten)
    assert {f"firmware.update.{name}" for name in ("resume", "state", "trial", "manifest")} <= forgotten
    assert column.rig.column.update is None and order.__name__ not in forgotten


def test_the_old_folder_is_whole_until_the_last_moment() -> None:
    column = UpdatedColumn()
    assert column.offer()["ok"]
    while column.folder == "a":
        column.run(50)
        assert column.inside("a").items() >= OLD_FILES.items()
