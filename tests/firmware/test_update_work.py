# mypy: allow-untyped-calls
"""The work of an update, step by step: one piece after the other, the other folder, and the task that does it while it
may. What a column does of it all is in test_update.py."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import pytest
from fake_board import FakeBoard, FakeFlash, FlashMode
from update_rig import NEW_FILES, PATIENCE_MS, UpdatedColumn, flashed, made, mpy

from firmware import resets
from firmware.update import fetch, pieces, state, task

DIGEST = "5a" * 32
FILE = bytes(range(256)) * 5  # 1,280 bytes: three pieces
OTHER = b"x" * len(FILE)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Wire:
    """A session over which pieces are asked for; `answer` makes the payload that comes back, None: nothing does."""

    def __init__(self) -> None:
        self.board = FakeBoard()
        self.asked: list[dict[str, Any]] = []
        self.asked_ms: list[int] = []
        self.stuck: list[bool] = []  # as each piece was asked for
        self.full = 0  # so often there is no room for a packet
        self.answer: Callable[[dict[str, Any]], bytes | None] = self.served
        self.uplink: Any = SimpleNamespace(
            session=SimpleNamespace(subscriptions=[b"cmd"], unheard=b""), refused={}, deaf=b"",
            publish_once=self._publish,
        )  # fmt: skip
        column = SimpleNamespace(
            messages=SimpleNamespace(topic=lambda kind: b"sos/" + kind.encode()), uplink=self.uplink
        )
        self.update: Any = SimpleNamespace(
            entry={"digest": DIGEST}, piece=None, is_stuck=False, session=None, column=column
        )

    def served(self, want: dict[str, Any], data: bytes = FILE) -> bytes:
        data = data[want["at"] : want["at"] + want["bytes"]]
        return json.dumps({**want, "data": b64encode(data).decode()}).encode()

    def _publish(self, topic: bytes, payload: bytes) -> bool:
        if self.full:
            self.full -= 1
            return False
        assert topic == b"sos/want"
        self.asked.append(json.loads(payload))
        self.asked_ms.append(self.board.now_ms)
        self.stuck.append(self.update.is_stuck)
        self.update.piece = self.answer(self.asked[-1])
        return True

    def perform(self, work: Generator[int, None, Any], ms: int = 1 << 62) -> list[int]:
        """What it waited for, until it ends or the time is up."""
        waits = []
        for wait_ms in work:
            waits.append(wait_ms)
            self.board.advance(wait_ms)
            if self.board.now_ms >= ms:
                break
        return waits

    def gets(self, digest: str | None = None, name: str = "hal/x.mpy", size: int = len(FILE)) -> bytes:
        self.perform(pieces.get(self.board, self.update, name, size, digest))
        return self.board.flash.files[state.PART_FILE]


@pytest.fixture
def wire() -> Wire:
    return Wire()


# -- pieces


def test_a_file_comes_piece_by_piece(wire: Wire) -> None:
    assert wire.gets(sha(FILE)) == FILE
    want = {"v": 1, "release": DIGEST[:16], "file": "hal/x.mpy"}
    assert wire.asked == [{**want, "at": at, "bytes": size} for at, size in ((0, 512), (512, 512), (1024, 256))]


@pytest.mark.parametrize(("name", "asked"), [("update.signature", "signature"), ("update.manifest", "manifest")])
def test_what_lies_beside_the_files_is_asked_for_by_its_own_name(wire: Wire, name: str, asked: str) -> None:
    wire.gets(name=name)
    assert {one["file"] for one in wire.asked} == {asked}


@pytest.mark.parametrize(
    ("there", "asked"),
    [(FILE[:512], [512, 1024]), (FILE[:700], [700, 1212]), (FILE, []), (FILE + b"x", [0, 512, 1024])],
)
def test_it_goes_on_where_it_was(wire: Wire, there: bytes, asked: list[int]) -> None:
    wire.board.flash.files[state.PART_FILE] = there
    assert wire.gets(sha(FILE)) == FILE and [one["at"] for one in wire.asked] == asked


def test_what_came_damaged_is_fetched_again_twice(wire: Wire) -> None:
    """Red when one that came right after two that did not is refused, or a third bad one is not."""
    bad = iter([OTHER] * 6)  # pieces: two files
    wire.answer = lambda want: wire.served(want, next(bad, FILE))
    assert wire.gets(sha(FILE)) == FILE and len(wire.asked) == 9
    wire = Wire()
    wire.answer = lambda want: wire.served(want, OTHER)
    with pytest.raises(ValueError, match=r"^hal/x\.mpy came damaged 3 times$"):
        wire.gets(sha(FILE))
    assert len(wire.asked) == 9 and not wire.board.flash.size(state.PART_FILE)


def test_without_a_digest_nothing_is_compared(wire: Wire) -> None:
    wire.answer = lambda want: wire.served(want, OTHER)
    assert wire.gets() == OTHER


def test_it_asks_ever_less_often(wire: Wire) -> None:
    """3 s, twice as long each time, five minutes at most; from then on it is stuck."""
    wire.answer = lambda want: None
    wire.perform(pieces.get(wire.board, wire.update, "hal/x.mpy", 9, None), 1_300_000)
    assert wire.asked_ms == [0, 3000, 9000, 21000, 45000, 93000, 189000, 381000, 681000, 981000, 1281000]
    assert wire.stuck == [False] * 7 + [True] * 4


def test_where_there_is_no_room_it_tries_again_soon(wire: Wire) -> None:
    wire.full = 3
    assert wire.gets(sha(FILE)) == FILE and wire.asked_ms == [60, 3060, 6060]


@pytest.mark.parametrize(
    "changed", [{"v": 2}, {"release": "0"}, {"file": "x"}, {"at": 1}, {"data": "AAAA"}, {"data": 7}]
)
def test_a_piece_of_anything_else_is_not_taken(wire: Wire, changed: dict[str, Any]) -> None:
    """Red without the look at that field."""
    changes = iter([changed])
    wire.answer = lambda want: json.dumps(json.loads(wire.served(want)) | next(changes, {})).encode()
    assert wire.gets(sha(FILE)) == FILE
    assert [one["at"] for one in wire.asked] == [0, 0, 512, 1024] and wire.asked_ms[1] == 3000


def test_what_came_before_it_was_asked_for_is_not_taken(wire: Wire) -> None:
    work = pieces.get(wire.board, wire.update, "hal/x.mpy", 9, None)
    wire.update.piece = wire.served({"v": 1, "release": DIGEST[:16], "file": "hal/x.mpy", "at": 0, "bytes": 9})
    wire.answer = lambda want: None
    assert next(work) == 3000 and wire.update.piece is None


def test_a_long_file_is_looked_at_between_turns() -> None:
    """The button is looked at, too: after each 2 KiB."""
    flash = FakeFlash()
    flash.files["x"] = FILE * 4
    work, waits = pieces.digest(flash, "x"), []
    try:
        while True:
            waits.append(next(work))
    except StopIteration as end:
        assert end.value == sha(FILE * 4) and waits == [0, 0]


# -- the subscription


def listens(wire: Wire, heard: Callable[[], None] = lambda: None) -> list[int]:
    """`heard`: what happens while it waits, each time."""
    waits = []
    for wait_ms in pieces.listen(wire.update):
        waits.append(wait_ms)
        heard()
    return waits


def test_it_subscribes_once_in_a_session(wire: Wire) -> None:
    session = wire.uplink.session
    to_come: list[list[bytes]] = []

    def answered() -> None:
        to_come.append(session.subscriptions)
        session.subscriptions = session.subscriptions[1:]

    assert listens(wire, answered) == [20, 20] and to_come == [[b"cmd", b"sos/piece"], [b"sos/piece"]]
    assert listens(wire, answered) == [] and wire.update.session is session


def test_a_session_that_ends_at_the_subscription_is_no_fault_of_the_release(wire: Wire) -> None:
    def ends() -> None:
        wire.uplink.session = None

    with pytest.raises(OSError, match="^the session ended at the subscription to its pieces$"):
        listens(wire, ends)


def test_a_broker_that_refuses_the_subscription_is_named(wire: Wire) -> None:
    session = wire.uplink.session
    session.subscriptions, session.unheard = [], b"sos/cmd"
    wire.update.session = session
    assert listens(wire) == [] and session.unheard == b"sos/cmd", "another topic is not its business"
    session.unheard = b"sos/piece"
    with pytest.raises(ValueError, match=r"^the broker refuses the subscription to \.\.\.piece$"):
        listens(wire)
    assert session.unheard == b"", "what is deaf is the update, not the column"


@pytest.mark.parametrize("kind", [b"piece", b"want"])
def test_a_broker_that_ends_sessions_at_it_is_named(wire: Wire, kind: bytes) -> None:
    for deaf, left in ((b"sos/piece", b""), (b"sos/cmd", b"sos/cmd")):
        wire.uplink.refused, wire.uplink.deaf = {kind: "so"}, deaf
        with pytest.raises(ValueError, match=r"^the broker ends the session at \.\.\.piece or \.\.\.want$"):
            listens(wire)
        assert wire.uplink.deaf == left and wire.uplink.session.subscriptions == [b"cmd"]


# -- the other folder


def test_each_folder_on_the_way_is_made() -> None:
    flash: Any = FakeFlash()
    made_folders: list[str] = []
    flash.make_folder = made_folders.append
    fetch._make_folders(flash, "b/firmware/startup/long.mpy")
    assert made_folders == ["b", "b/firmware", "b/firmware/startup"]


def test_a_copy_begins_anew() -> None:
    flash = FakeFlash()
    flash.files |= {"a/x": FILE, state.PART_FILE: b"half of another"}
    waits = list(fetch._copy(flash, "a/x"))
    assert flash.files[state.PART_FILE] == FILE and waits == [0, 0, 0]


def test_what_lies_in_a_folder() -> None:
    flash = FakeFlash()
    flash.files = dict.fromkeys(["b/x", "b/firmware/y", "b/firmware/startup/z", "a/w", "active"], b"1")
    assert sorted(fetch._walk(flash, "b")) == ["firmware/startup/z", "firmware/y", "x"]
    assert list(fetch._walk(flash, "c")) == []


WHOLE = {
    **NEW_FILES,
    "firmware/update/__init__.mpy": b"",
    "firmware/same.mpy": mpy("same in both, and long " * 100),
}
FOLDER_B = {"b/firmware/same.mpy": WHOLE["firmware/same.mpy"], "b/firmware/gone.mpy": b"1", "b/config.json": b"2",
            "b/hal/esp32.mpy": mpy("abc"), "b/firmware/zzz/gone.mpy": b"3"}  # fmt: skip


def offered(flash: FakeFlash, **others: bytes) -> UpdatedColumn:
    """A release with an empty file, a long one that is the same, and a folder that has something of before."""
    flashed(flash).files |= {"a/firmware/same.mpy": WHOLE["firmware/same.mpy"], **FOLDER_B, **others}
    column = UpdatedColumn(made(WHOLE), flash)
    assert column.offer()["ok"], column.results
    return column


class Watched(FakeFlash):
    """Whenever anything of the other folder changes, it has no configuration: boot.py takes a folder with one for
    whole."""

    def rename(self, old: str, new: str) -> None:
        super().rename(old, new)
        self._look(new)

    def remove(self, name: str) -> None:
        super().remove(name)
        self._look(name)

    def _look(self, name: str) -> None:
        assert not name.startswith("b/") or name == "b/config.json" or "b/config.json" not in self.files, name


def test_the_other_folder_is_no_more_and_no_less_than_the_release() -> None:
    """Red when a file of before stays, when the configuration of before does not go first, or comes back too soon."""
    column = offered(Watched())
    column.until(lambda: column.folder == "b")
    assert column.inside("b") == column.expected()
    asked = {one["file"] for one in column.asked}
    assert asked == {"signature", "manifest", "firmware/__init__.mpy", "firmware/startup/long.mpy", "hal/esp32.mpy"}


def needed() -> int:
    """Of flash for what the folder lacks, in blocks, beside what stays free for the journal."""
    files = {name: data for name, data in WHOLE.items() if not name.startswith("lib/") and "same" not in name}
    return sum((len(data) + 4095) // 4096 * 4096 for data in files.values()) + 65536


def test_the_flash_must_have_room_for_what_is_missing() -> None:
    """To the byte. Red when blocks, or what is there already, are not looked at."""
    flash = FakeFlash()
    flash.free = needed()
    column = offered(flash)
    column.until(lambda: column.folder == "b")
    flash = FakeFlash()
    flash.free = needed() - 1
    column = offered(flash)
    column.until(lambda: column.state() == state.REFUSED)
    assert column.why() == f"the flash has no room: {needed() - 1} bytes are free"


class Flips(FakeFlash):
    """A bit flips in `damaged` once, as the last file of the release comes to its place."""

    damaged = ""

    def rename(self, old: str, new: str) -> None:
        super().rename(old, new)
        if new == "b/hal/esp32.mpy" and self.damaged:
            data = bytearray(self.files[self.damaged])
            data[-3] ^= 4
            self.files[self.damaged], self.damaged = bytes(data), ""


@pytest.mark.parametrize("file", [state.MANIFEST_FILE, state.SIGNATURE_FILE])
def test_the_last_look_is_at_the_signature_too(file: str) -> None:
    """Red when only the files are looked at again: they would be held against a manifest that nobody has signed."""
    flash = Flips()
    flash.damaged = file
    column = offered(flash)
    column.until(lambda: column.state() == state.REFUSED)
    assert column.why() == "not signed with a key that this column trusts" and column.active() == "a"


class Spoils(FakeFlash):
    """What is copied of the column's own comes out wrong, `times` times."""

    times = 0

    def append(self, name: str, data: bytes) -> None:
        own = data.startswith(b'{"')
        self.times -= own
        super().append(name, data[:-1] if own and self.times >= 0 else data)


def test_a_copy_of_the_columns_own_that_is_wrong_is_made_again() -> None:
    flash = Spoils()
    flash.times = 2
    column = offered(flash)
    board = column.rig.board
    column.until(lambda: column.folder == "b", PATIENCE_MS)
    assert column.inside("b") == column.expected()
    assert board.logged.count("update: secrets.json is damaged") == 2


def test_a_column_without_secrets_has_none_afterwards() -> None:
    flash = FakeFlash()
    flashed(flash)
    del flash.files["a/secrets.json"]
    column = UpdatedColumn(flash=flash)
    assert column.offer()["ok"]
    column.until(lambda: column.folder == "b")
    assert "secrets.json" not in column.inside("b") and column.inside("b")["config.json"] == b'{"mine": 1}'


# -- the task


class Street:
    """What the task needs of a column; `work` is what it does, instead of fetching."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, heap_bytes: int = task.NEEDS_BYTES) -> None:
        self.board = FakeBoard()
        self.board.heap_free = heap_bytes
        self.begun = 0
        self.incidents, self.up, self.certified, self.calm = 0, True, True, False
        self.dropped: list[Any] = []
        self.events: list[tuple[str, Any]] = []
        self.reports = 0
        self.work: Callable[[], Generator[int, None, None]] = lambda: iter(lambda: 7, 0)  # type: ignore[assignment, return-value]
        self.uplink: Any = SimpleNamespace(is_up=lambda: self.up, session="first")
        self.column: Any = SimpleNamespace(
            button=SimpleNamespace(wants_calm=lambda: self.calm), uplink=self.uplink,
            incidents=SimpleNamespace(count=lambda: self.incidents), is_certified=lambda: self.certified,
            supervisor=SimpleNamespace(drop=self.dropped.append),
            telemetry=SimpleNamespace(event=lambda *what: self.events.append(what), report=self._report),
        )  # fmt: skip
        self.entry = {"state": state.FETCHING, "digest": DIGEST, "bytes": 9, "version": "1.2.3", "why": None}
        state.write(self.board.flash, self.entry)
        self.update = self.column.update = task.Update(self.board, self.column, self.entry)
        self.update.session = "first"
        monkeypatch.setattr(fetch, "work", self._begin)

    def _begin(self, board: FakeBoard, update: Any) -> Any:
        assert board is self.board and update is self.update
        self.begun += 1
        return self._closable()

    def _closable(self) -> Generator[int, None, None]:
        yield from self.work()

    def _report(self) -> None:
        self.reports += 1

    def noted(self) -> tuple[Any, Any]:
        entry: Any = state.read(self.board.flash)
        return entry["state"], entry["why"]

    def fails(self, error: Exception) -> None:
        def work() -> Generator[int, None, None]:
            yield 0
            raise error

        self.work = work

    def turns(self, count: int, wait_ms: int = 60_000) -> None:
        for _ in range(count):
            self.update.step()
            self.board.advance(wait_ms)


@pytest.fixture
def street(monkeypatch: pytest.MonkeyPatch) -> Street:
    return Street(monkeypatch)


def test_it_goes_on_when_its_work_says_so(street: Street) -> None:
    assert street.update.step() == 7 and street.begun == 1
    street.board.advance(3)
    assert street.update.step() == 4, "not yet"
    street.board.advance(4)
    assert street.update.step() == 7 and street.begun == 1
    street.work = lambda: iter([50_000])  # type: ignore[assignment, return-value]
    street.update.give_up()
    street.board.advance(7)
    assert street.update.step() == 50_000 and street.update.step() == 2000, "no task sleeps for longer"


def test_a_piece_that_comes_wakes_it(street: Street) -> None:
    street.work = lambda: iter([3000, 5])  # type: ignore[assignment, return-value]
    street.update.step()
    street.update.is_stuck = True
    street.update.take(b"piece")
    assert street.update.step() == 5 and street.update.piece == b"piece" and not street.update.is_stuck


def test_while_somebody_is_at_the_button_it_keeps_still(street: Street) -> None:
    street.calm = True
    assert street.update.step() == 10 and street.begun == 0


@pytest.mark.parametrize("what", ["incident", "no session", "not certified", "on trial", "over"])
def test_while_it_may_not_it_takes_no_memory(street: Street, what: str) -> None:
    """Red without the look at that."""
    street.update.step()
    street.board.advance(10)
    street.incidents, street.up, street.certified = what == "incident", what != "no session", what != "not certified"
    if what == "on trial":
        street.board.flash.files[resets.ACTIVE_FILE] = b"ba"
    if what == "over":
        street.entry["state"] = state.KEPT
    assert street.update.step() == 2000 and street.update._work is None
    assert set(street.board.forgotten) == {
        "firmware.update." + name for name in ("fetch", "manifest", "signature", "pieces", "renewal")
    }
    assert street.update.step() == 2000 and street.begun == 1


def test_one_folder_in_force_is_no_trial(street: Street) -> None:
    street.board.flash.files[resets.ACTIVE_FILE] = b"a"
    assert street.update.step() == 7


@pytest.mark.parametrize(("heap_bytes", "begins"), [(12287, False), (12288, True)])
def test_how_much_memory_must_be_free(monkeypatch: pytest.MonkeyPatch, heap_bytes: int, begins: bool) -> None:
    street = Street(monkeypatch, heap_bytes)
    assert street.update.step() == (7 if begins else 60_000) and street.begun == begins
    assert ("update: too little memory is free" in street.board.logged) != begins
    street.turns(20)
    assert street.noted() == (state.FETCHING, None), "memory may come back"


@pytest.mark.parametrize(("heap_bytes", "is_kept"), [(65535, False), (65536, True)])
def test_with_plenty_of_memory_it_keeps_what_it_has(
    monkeypatch: pytest.MonkeyPatch, heap_bytes: int, is_kept: bool
) -> None:
    street = Street(monkeypatch, heap_bytes)
    street.update.step()
    street.update.make_room()
    assert (street.update._work is not None) == is_kept
    street.board.advance(10)
    street.incidents = 1
    assert street.update.step() == 2000 and (street.update._work is not None) == is_kept
    street.uplink.session = "second"
    street.update.step()
    assert street.update._work is None, "another session hears no pieces"


def test_the_flash_may_fail_it_seven_times(street: Street) -> None:
    street.fails(OSError(5, "flash"))
    for _ in range(7):
        street.update.step()
        assert street.update.step() == 60_000 and street.update._work is None
        street.board.advance(60_000)
    assert street.noted() == (state.FETCHING, None) and street.begun == 7
    street.turns(2)
    assert street.noted() == (state.REFUSED, "[Errno 5] flash") and street.column.update is None


@pytest.mark.parametrize(("error", "why"), [(ValueError("so"), "so"), (KeyError("floor"), "KeyError('floor')")])
def test_whatever_a_release_does_to_it_it_is_refused_and_the_column_goes_on(
    street: Street, error: Exception, why: str
) -> None:
    street.fails(error)
    street.board.flash.files |= dict.fromkeys((state.PART_FILE, state.MANIFEST_FILE, state.SIGNATURE_FILE), b"x")
    street.turns(2, 0)
    assert street.noted() == (state.REFUSED, why) and street.dropped == [street.update]
    assert street.board.logged == ["update: refused " + why]
    assert street.events == [("update", {"state": "refused", "release": DIGEST[:16], "version": "1.2.3", "why": why})]
    assert street.reports == 1 and list(street.board.flash.files) == [resets.UPDATE_FILE]


def test_work_that_is_done_is_not_begun_again(street: Street) -> None:
    street.work = lambda: iter([0])  # type: ignore[assignment, return-value]
    street.turns(4, 10)
    assert street.begun == 1 and street.noted() == (state.FETCHING, None) and street.dropped == []


def test_an_end_that_cannot_be_noted_is_told_all_the_same(street: Street) -> None:
    street.fails(ValueError("so"))
    street.update.step()
    street.board.flash.files.clear()
    street.board.flash.mode = FlashMode.WRITE_ERROR
    street.update.step()
    assert street.events == [("update", {"state": "refused"})] and street.column.update is None and street.reports == 1
    assert "update: [Errno 5] flash write" in street.board.logged
