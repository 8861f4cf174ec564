# mypy: allow-untyped-calls
"""Keys that go when the housing opens: off unless asked for, the centre first, and whole over power cuts."""

import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from column_rig import Rig
from config_document import KEY, document
from config_files_rig import run
from fake_board import EIO, EPOCH_MS, FakeBoard, FakeFlash, FlashMode, PowerCut
from littlefs import LittleFS
from update_rig import CutFlash, Restart, restart

from firmware import record, rfc3339
from firmware.resets import GOOD_FILE, TRIAL_FILE, crumb
from firmware.startup import wiped
from firmware.startup.config import validate
from firmware.startup.seal import WIPE_FILE

WIPE_S = 60
FREE_BYTES = 40 * 4096
ASKED: dict[str, Any] = {"pins__tamper": 27, "tamper__wipe_after_s": WIPE_S}
SECRET_FILES = ("secrets.json", "a/secrets.json", "b/secrets.json", "b/secrets.json.new", GOOD_FILE, GOOD_FILE + ".new",
                TRIAL_FILE, "update.part")  # fmt: skip
OWN_FILES = {"config.json": b"{}", "b/config.json": b"{}", "journal.log": b"x", "b/firmware/column.mpy": b"M"}


def opened(ms: int, **changes: Any) -> Rig:
    """A column on duty whose housing is open for so long."""
    rig = Rig(**{**ASKED, **changes}).up()
    rig.board.tamper = True
    return rig.run(ms)


def wipes(rig: Rig, ms: int) -> bool:
    """Whether it does so within that time."""
    rig.board.reset = restart  # type: ignore[method-assign]
    try:
        rig.run(ms)
    except Restart:
        assert record.split(rig.board.flash.files[WIPE_FILE])[0] == [b"remove"]
        assert rig.board.scratch.read() == crumb("", rig.column.supervisor.clock_trusted), "nobody is to blame"
        return True
    assert WIPE_FILE not in rig.board.flash.files
    return False


def test_unless_it_is_asked_for_the_keys_stay() -> None:
    """Red when the default is anything but null."""
    rig = Rig(pins__tamper=27).up()
    rig.board.tamper = True
    assert not wipes(rig, 200_000) and rig.fault("tamper") == ["the housing is open"]


def test_a_housing_without_a_switch_cannot_ask_for_it() -> None:
    _, errors = validate(document(tamper__wipe_after_s=60), "esp32")
    assert len(errors) == 1 and errors[0].startswith("pins.tamper: missing")


def test_the_centre_hears_of_it_first_and_soon_the_keys_go() -> None:
    """Red without the wait for the broker's word: nothing would say why the column is gone. And what such a broker
    refuses in the end is not told either: red without the look at `refused` in `_is_told`."""
    rig = opened(0)
    rig.column.supervisor.clock_trusted = True
    assert wipes(rig, 10_000) and rig.fault("tamper") == ["the housing is open"]
    assert f"tamper: the keys will be wiped, in {WIPE_S} s at the latest" in rig.board.logged
    assert rig.board.logged[-1] == "restart: the keys are wiped"
    rig = opened(0)
    rig.answers = "connack suback pingresp"  # nothing is acknowledged any more
    rig.streams[-1].answers = rig.answers.split()
    assert not wipes(rig, (WIPE_S - 10) * 1000)
    assert wipes(rig, 20_000)


def test_without_a_broker_they_go_when_the_time_is_up() -> None:
    """A stolen pillar has no network."""
    rig = Rig(**ASKED)
    rig.answers = ""
    rig.board.tamper = True
    assert not wipes(rig, (WIPE_S - 5) * 1000)
    assert wipes(rig, 10_000)


def test_closed_again_they_stay() -> None:
    rig = opened(1500)
    rig.board.tamper = False
    assert not wipes(rig, 200_000)
    at = rig.board.forgotten.index("firmware.wiping")
    assert rig.board.forgotten[at : at + 3] == ["firmware.wiping", "firmware.startup.seal", "firmware.startup"]
    assert "tamper: closed, the keys stay" in rig.board.logged
    rig.board.tamper = True  # and the next time counts from its own beginning
    assert not wipes(rig, 2000) and wipes(rig, 10_000)


def test_where_the_centre_knows_of_the_work_they_stay() -> None:
    """Red without `_is_maintained`; when maintenance ends with an open housing, they go."""
    rig = Rig(**ASKED, clock__server="10.0.0.9").up()
    clock = rig.column.clock
    clock.source, clock.now_ms = "ntp", lambda: EPOCH_MS + rig.board.now_ms
    order = {"v": 1, "id": "c-1", "cmd": "maintain", "expires": rfc3339.text(EPOCH_MS + 60_000), "for_s": 300}
    rig.send("cmd", order)
    rig.board.tamper = True
    assert not wipes(rig, 290_000)
    assert wipes(rig, 30_000)


def test_a_restart_beside_an_open_housing_waits_for_the_centres_word() -> None:
    """Maintenance is in RAM alone, and the desk says it anew. Red when the broker's having the fault is enough."""
    rig = Rig(**ASKED)
    rig.board.tamper = True
    rig.up()
    assert not wipes(rig, (WIPE_S - 10) * 1000) and rig.fault("tamper") == ["the housing is open"]
    assert wipes(rig, 20_000)


def test_an_open_call_goes_first() -> None:
    """Until the centre has closed it; ten minutes at most, for a thief can press, too. Red without the look at it."""
    rig = Rig(**ASKED).up()
    ident = rig.press()
    rig.board.tamper = True
    assert not wipes(rig, 300_000)
    with pytest.raises(Restart):
        rig.send("ack", {"v": 1, "id": ident, "state": "closed", "outcome": "other", "heard": 1})
    rig = Rig(**ASKED).up()
    rig.press()
    rig.board.tamper = True
    assert not wipes(rig, 590_000) and wipes(rig, 20_000)


def test_a_press_that_is_being_decided_goes_first() -> None:
    """Ten minutes at most, too: a thief can hold a button. Red without the look at it."""
    rig = opened(0)
    rig.column.button.is_touched = lambda: True
    assert not wipes(rig, 590_000) and wipes(rig, 20_000)


def test_a_flash_that_refuses_is_asked_again() -> None:
    rig = opened(0)
    rig.board.flash.mode = FlashMode.WRITE_ERROR
    assert not wipes(rig, 20_000) and any("cannot be wiped" in line for line in rig.board.logged)
    rig.board.flash.mode = FlashMode.OK
    assert wipes(rig, 5000)


# After the restart


def marked(step: bytes = b"remove") -> FakeFlash:
    flash = FakeFlash()
    flash.files.update(OWN_FILES, **dict.fromkeys(SECRET_FILES, KEY.encode()), **{WIPE_FILE: record.frame(step)})
    flash.free = FREE_BYTES
    return flash


def quiet(text: str) -> None:
    assert text.startswith("tamper: ")


def perform(flash: Any, folder: str = "b") -> bool:
    """One start that is not cut off; whether the column is dead."""
    if not flash.size(WIPE_FILE):
        return False
    is_dead = wiped.is_wiped(flash, folder, quiet)
    for _ in wiped.fill(flash, quiet) if is_dead else ():
        pass
    return is_dead


def test_everything_secret_goes_and_nothing_else() -> None:
    flash = marked()
    assert perform(flash)
    assert flash.files == {**OWN_FILES, WIPE_FILE: record.frame(b"done")}
    assert perform(flash), "and so it stays"


class Counting(FakeFlash):
    """`written`: how often which file, with how many bytes."""

    def __init__(self, marked: FakeFlash) -> None:
        super().__init__()
        self.files, self.free = marked.files, marked.free
        self.written: Counter[tuple[str, int]] = Counter()

    def append(self, name: str, data: bytes) -> None:
        self.written[name, len(data)] += 1
        assert name not in self.files, "one write at a time: a full flash is no reason to stop"
        super().append(name, data)


@pytest.mark.parametrize("free_blocks", [0, 40])
def test_more_than_all_that_is_free_is_written_and_each_folder_anew(free_blocks: int) -> None:
    """A quarter more, and 32 blocks: LittleFS begins anywhere. Red when either is left out, or a folder."""
    flash = marked()
    flash.free = free_blocks * 4096 + 4095
    flash = Counting(flash)
    assert perform(flash)
    blocks = free_blocks * 5 // 4 + 32
    assert flash.written == {("wipe.tmp", 1): 250, ("b/wipe.tmp", 1): 250, ("wipe.tmp", 4096): blocks}


def test_a_power_cut_before_any_change_ends_no_wipe() -> None:
    """Red when a step is noted before it is done: that cut would leave a key behind."""
    whole = perform_cut(1 << 30)
    for at in itertools.chain(range(30), range(30, whole, 97)):
        perform_cut(at)


def perform_cut(at: int) -> int:
    """How many changes it took."""
    flash = CutFlash()
    flash.files, flash.free = dict(marked().files), FREE_BYTES
    flash.cut_at = at + 1
    try:
        perform(flash)
    except PowerCut:
        assert perform(flash), at
    assert flash.files == {**OWN_FILES, WIPE_FILE: record.frame(b"done")}, at
    return flash.operations


def test_the_board_says_what_it_is_and_why() -> None:
    """Only the folder in force can have been provisioned anew."""
    board = FakeBoard()
    board.flash = marked(b"done")
    assert wiped.why(board, "b") == ""
    board.flash = marked(b"done")
    del board.flash.files["b/secrets.json"]
    assert wiped.why(board, "b") == wiped.WHY
    board.flash = marked()
    board.flash.mode = FlashMode.WRITE_ERROR
    assert wiped.why(board, "b").startswith("the housing was opened, and the keys cannot be wiped: ")


@pytest.mark.parametrize("note", [b"torn", record.frame(b"remove")[:-3]])
def test_a_note_that_cannot_be_read_is_a_wipe_that_has_begun(note: bytes) -> None:
    """Nobody else writes that file. Red when it is taken for a wipe that is over."""
    flash = marked()
    flash.files[WIPE_FILE] = note
    assert perform(flash) and flash.files == {**OWN_FILES, WIPE_FILE: record.frame(b"done")}


@pytest.mark.parametrize("step", [b"fill", b"done"])
def test_whoever_provisions_it_anew_has_a_column_again(step: bytes) -> None:
    """Red when the note outlives the new keys: they would go, too."""
    flash = FakeFlash()
    flash.files.update({WIPE_FILE: record.frame(step), "wipe.tmp": b"\0", "secrets.json": b"{}", "config.json": b"{}"})
    assert not perform(flash, "")
    assert flash.files == {"secrets.json": b"{}", "config.json": b"{}"}


def test_the_board_says_why_it_is_no_column() -> None:
    """And it overwrites the flash meanwhile, with a lamp that promises nothing. Red when `start` does not look."""
    board = FakeBoard()
    board.flash = marked()
    board.flash.files["config.json"] = json.dumps(document()).encode()
    board.keys = bytearray(b"status\n")
    run(board, 1200)
    assert record.split(board.flash.files[WIPE_FILE])[0] == [b"done"]
    assert any(wiped.WHY in line for line in board.logged)
    assert any('"wiped":true' in line.replace(" ", "") for line in board.logged)
    assert board.dog is not None and board.dog.fed_ms


def test_a_flash_that_cannot_be_wiped_makes_no_column_either() -> None:
    board = FakeBoard()
    board.flash = marked()
    board.flash.mode = FlashMode.WRITE_ERROR
    run(board, 30)
    assert any("cannot be wiped" in line for line in board.logged)


@pytest.mark.parametrize("at", [1, 3, len(SECRET_FILES) + 1, 40])
def test_a_wipe_that_an_error_ended_begins_again_by_itself(at: int) -> None:
    """Whoever opened the housing keeps the power on, and the keys in the flash. Red when only a start tries again."""
    board, flash = FakeBoard(), CutFlash()
    flash.files, flash.free = dict(marked().files), FREE_BYTES
    flash.cut_at, flash.trouble = at, OSError(EIO, "flash")
    board.flash = flash
    run(board, 1600)
    assert sum("cannot be wiped" in line for line in board.logged) >= 1
    assert board.flash.files == {**OWN_FILES, WIPE_FILE: record.frame(b"done")}


class Little:
    """The device's file system, real: `hal.interface.Flash` on littlefs."""

    def __init__(self, blocks: int) -> None:
        geometry: dict[str, Any] = {"read_size": 32, "prog_size": 32, "cache_size": 128, "lookahead_size": 32}
        self.fs = LittleFS(block_size=4096, block_count=blocks, **geometry)
        for folder in ("a", "b"):
            self.fs.mkdir(folder)

    @property
    def bits(self) -> bytes:
        return bytes(self.fs.context.buffer)

    def read(self, name: str) -> bytes | None:
        try:
            with self.fs.open(name, "rb") as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def size(self, name: str) -> int:
        return len(self.read(name) or b"")

    def append(self, name: str, data: bytes) -> None:
        with self.fs.open(name, "wb" if self.read(name) is None else "ab") as file:
            file.write(data)

    def replace(self, name: str, data: bytes) -> None:
        with self.fs.open(name + ".new", "wb") as file:
            file.write(data)
        self.fs.rename(name + ".new", name)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.fs.remove(name)

    def entries(self, folder: str) -> Iterator[tuple[Any, ...]]:
        return ((name,) for name in self.fs.listdir(folder))

    def free_bytes(self) -> int:
        return 4096 * (self.fs.block_count - self.fs.used_block_count)


@pytest.mark.parametrize("length", [60, 90, 3000])
def test_no_bit_of_a_key_is_left_in_the_flash(length: int) -> None:
    """On the real LittleFS, where a removed file's blocks stay as they are. Short files lie within their folder's own
    blocks. Red when only the files are removed, and without either half of `fill`."""
    flash = Little(96)
    secret = b"SECRET-" + bytes(65 + i % 26 for i in range(length - 7))
    for name in ("secrets.json", "b/secrets.json", GOOD_FILE):
        for _ in range(3):  # provisioned more than once
            flash.replace(name, secret)
    flash.append("journal.log", b"kept" * 500)
    flash.replace(WIPE_FILE, record.frame(b"remove"))
    assert wiped.is_wiped(flash, "b", quiet) and b"SECRET-" in flash.bits, "removing alone leaves it there"
    for _ in wiped.fill(flash, quiet):
        pass
    assert b"SECRET-" not in flash.bits
    assert flash.read("journal.log") == b"kept" * 500
