# mypy: allow-untyped-calls
"""Firmware and certificates on trial, turn by turn: when they are kept, when the column goes back, and what a start
makes of what it finds. What a column does of it all is in test_update.py and test_renewal.py."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from fake_board import FakeBoard, FakeReset, FlashMode
from update_rig import floored, head

from common import release
from firmware import VERSION, resets
from firmware.record import frame
from firmware.startup import renewed
from firmware.update import proving, resume, state, task, trial

DIGEST, OTHER = "5a" * 32, "6b" * 32
NEW, GOOD = renewed.RENEWAL_FILE, renewed.RENEWED_FILE
QUARTER_MS = 900_000


def entry(**changes: Any) -> dict[str, Any]:
    noted = {"state": state.TRIAL, "digest": DIGEST, "bytes": 9, "version": "1.2.3", "to": "b", "why": None}
    return {**noted, "kind": state.RELEASE, **changes}


def certificates(**changes: Any) -> bytes:
    made = {"number": 1, "of": "own", "ends_ms": 1, "ca": "a", "cert": "c", "digest": DIGEST, "tries": 0, **changes}
    return frame(json.dumps(made).encode())


class Street:
    """A column on trial; who is at it, and what it has said."""

    def __init__(self, **changes: Any) -> None:
        self.board = FakeBoard()
        self.flash = self.board.flash
        self.flash.files[resets.ACTIVE_FILE] = b"ba"
        state.write(self.flash, entry(**changes))
        self.up, self.incidents, self.drills, self.hurries, self.reports = True, 0, 0, 0, 0
        self.touched, self.state_ms = False, 0  # whether somebody is at the button; for how long it has been as it is
        self.dropped: list[Any] = []
        self.events: list[tuple[str, Any]] = []
        self.button: Any = SimpleNamespace(presses=0, is_touched=lambda: self.touched)
        self.uplink: Any = SimpleNamespace(
            is_up=lambda: self.up, state_for=SimpleNamespace(ms=lambda: self.state_ms), last_error="",
            config={"tls": {"source": NEW}},
        )  # fmt: skip
        self.column: Any = SimpleNamespace(
            uplink=self.uplink, button=self.button, journal=SimpleNamespace(unsaved=False), folder="b",
            incidents=SimpleNamespace(count=lambda: self.incidents, start_drill=self._drill), update="set",
            supervisor=SimpleNamespace(drop=self.dropped.append, hurry=self._hurry, clock_trusted=True),
            telemetry=SimpleNamespace(event=lambda *what: self.events.append(what), report=self._report),
        )  # fmt: skip

    def _drill(self) -> None:
        self.drills += 1

    def _hurry(self) -> None:
        self.hurries += 1

    def _report(self) -> None:
        self.reports += 1

    def trial(self) -> Any:
        self.task: Any = trial.Trial(self.board, self.column, entry())
        return self.task

    def proving(self) -> Any:
        self.task = proving.Proving(self.board, self.column, entry(kind=state.RENEWAL))
        return self.task

    def turn(self, ms: int = 0) -> bool:
        """Whether the column restarts in it."""
        self.board.advance(ms)
        try:
            assert self.task.step() == 2000
        except FakeReset:
            assert self.board.scratch.read() == resets.crumb("", True), "nobody is to blame"
            return True
        return False

    def noted(self) -> tuple[Any, Any]:
        found: Any = state.read(self.flash)
        return found["state"], found["why"]

    def told(self) -> Any:
        """What the centre hears, once."""
        [(name, detail)] = self.events
        assert name == "update" and self.reports == 1
        return detail


@pytest.fixture
def street() -> Street:
    return Street()


@pytest.mark.parametrize("kind", ["trial", "proving"])
def test_a_trial_wants_no_pieces_and_no_memory(street: Street, kind: str) -> None:
    one = getattr(street, kind)()
    one.take(b"piece")
    one.make_room()
    one.drilled(False)
    assert one.name == "update" and one.may_certify() == (kind == "proving")


# -- firmware


def test_a_drill_is_started_as_soon_as_there_is_a_session_and_no_call(street: Street) -> None:
    street.trial()
    street.up = False
    assert not street.turn() and street.drills == 0
    street.up, street.incidents = True, 1
    assert not street.turn() and street.drills == 0
    street.incidents = 0
    assert not street.turn() and street.drills == street.hurries == 1
    assert not street.turn(19_999) and street.drills == 1
    assert not street.turn(1) and street.drills == 2


def test_a_drill_in_vain_is_followed_by_another_one_20_s_after_its_end(street: Street) -> None:
    one = street.trial()
    street.turn()
    street.board.advance(60_000)
    one.drilled(False)
    assert not street.turn(19_999) and street.drills == 1 and not one.may_certify()
    assert not street.turn(1) and street.drills == 2


def test_one_answered_drill_is_enough(street: Street) -> None:
    one = street.trial()
    one.drilled(True)
    one.drilled(False)
    assert one.may_certify() and not street.turn(2 * QUARTER_MS) and street.drills == 0
    assert street.flash.files[resets.ACTIVE_FILE] == b"ba" and street.column.update == "set", "not certified yet"


def test_a_quarter_of_an_hour_without_one_ends_it(street: Street) -> None:
    street.trial()
    street.up = False
    assert not street.turn(QUARTER_MS - 1)
    assert street.turn(1)
    assert street.noted() == (state.TRIAL, "no drill was answered within 15 minutes")
    assert street.flash.files[resets.ACTIVE_FILE] == b"a"
    assert street.board.logged[-1] == "update: going back: no drill was answered within 15 minutes"


def test_it_ends_though_there_is_a_session(street: Street) -> None:
    street.trial()
    assert street.turn(QUARTER_MS) and street.drills == 0


@pytest.mark.parametrize("what", ["touched", "unsaved"])
def test_it_does_not_go_back_under_somebodys_hand(street: Street, what: str) -> None:
    street.trial()
    street.touched, street.column.journal.unsaved = what == "touched", what == "unsaved"
    assert not street.turn(QUARTER_MS) and street.flash.files[resets.ACTIVE_FILE] == b"ba"
    assert street.board.forgotten == ["firmware.startup.again"]
    street.touched = street.column.journal.unsaved = False
    assert street.turn()


def test_a_flash_that_refuses_leaves_the_way_back_to_the_next_boots(street: Street) -> None:
    street.trial()
    street.flash.mode = FlashMode.WRITE_ERROR
    assert street.turn(QUARTER_MS) and street.flash.files[resets.ACTIVE_FILE] == b"ba"
    assert "update: [Errno 5] flash write" in street.board.logged


MANIFEST = release.manifest(head(floor="1.2.0"), {})


def test_what_the_column_has_certified_is_kept(street: Street) -> None:
    street.trial()
    street.flash.files |= {resets.ACTIVE_FILE: b"b", state.MANIFEST_FILE: MANIFEST, state.PART_FILE: b"x"}
    assert not street.turn()
    assert street.noted() == (state.KEPT, None) and state.floor(street.flash) == "1.2.0"
    assert street.column.update is None and street.dropped == [street.task]
    assert sorted(street.flash.files) == [resets.ACTIVE_FILE, state.FLOOR_FILE, resets.UPDATE_FILE]
    assert street.told() == {"state": "kept", "release": DIGEST[:16], "version": "1.2.3", "why": None}
    assert street.board.logged == ["update: 1.2.3 is kept"]
    assert street.board.forgotten == ["firmware.update.manifest"]


def test_a_flash_that_refuses_to_keep_it_is_asked_again_later(street: Street) -> None:
    street.trial()
    street.flash.files[resets.ACTIVE_FILE] = b"b"
    street.flash.mode = FlashMode.WRITE_ERROR
    assert street.task.step() == 20_000 and street.column.update == "set" and street.events == []
    assert street.board.logged == ["update: [Errno 5] flash write"]
    street.flash.mode = FlashMode.OK
    assert not street.turn() and street.noted() == (state.KEPT, None)


@pytest.mark.parametrize("text", [None, b"no manifest", release.manifest({"version": "1.2.3"}, {})])
def test_without_a_readable_manifest_the_floor_stays(street: Street, text: bytes | None) -> None:
    """And it is kept all the same: with such a file nothing could ever be."""
    street.flash.files[state.FLOOR_FILE] = floored("1.1.0")
    if text is not None:
        street.flash.files[state.MANIFEST_FILE] = text
    assert trial.keep(street.board, street.column, entry(why="before"))
    assert state.floor(street.flash) == "1.1.0" and street.noted() == (state.KEPT, None)
    assert any(line.startswith("update: the floor stays: ") for line in street.board.logged) == (text is not None)


# -- certificates


def test_a_session_that_holds_proves_them(street: Street) -> None:
    street.proving()
    street.flash.files[NEW] = certificates()
    street.state_ms = 9_999
    assert not street.turn(10 * QUARTER_MS) and NEW in street.flash.files
    street.state_ms = 10_000
    assert not street.turn() and NEW not in street.flash.files and GOOD in street.flash.files
    assert street.column.update is None and street.dropped == [street.task]
    assert street.noted() == (state.KEPT, None) and street.told()["state"] == "kept"
    assert street.board.logged == ["certificates: the new ones are kept"]


def test_a_flash_that_does_not_keep_them_is_asked_again(street: Street) -> None:
    street.proving()
    street.flash.files[NEW] = certificates()
    street.state_ms = 10_000
    street.flash.mode = FlashMode.WRITE_ERROR
    assert not street.turn() and street.column.update == "set" and street.events == []
    assert street.board.logged == ["certificates: [Errno 5] flash write"]
    street.flash.mode = FlashMode.OK
    assert not street.turn() and street.noted() == (state.KEPT, None)


@pytest.mark.parametrize(("incidents", "ms"), [(0, 180_000), (1, 30_000), (2, 30_000)])
def test_without_a_session_they_go_after_three_minutes_or_half_a_one_with_a_call(
    street: Street, incidents: int, ms: int
) -> None:
    street.proving()
    street.flash.files[NEW] = certificates()
    street.up, street.incidents = False, incidents
    assert not street.turn(ms - 1) and NEW in street.flash.files
    street.touched = True
    assert not street.turn(1)
    street.touched, street.column.journal.unsaved = False, True
    assert not street.turn()
    street.column.journal.unsaved = False
    street.uplink.last_error = "handshake" if incidents else ""
    assert street.turn() and NEW not in street.flash.files
    assert street.noted() == (state.RETURNED, "no session with the new certificates")
    why = street.uplink.last_error or "no session with the new certificates"
    assert street.board.logged[-1] == "certificates: going back: " + why


def test_the_way_back_needs_no_note(street: Street) -> None:
    street.proving()
    street.up, street.flash.mode = False, FlashMode.WRITE_ERROR
    assert street.turn(180_000)
    assert street.board.logged[0] == "certificates: [Errno 5] flash write"


# -- a start


def resumed(street: Street) -> Any:
    return resume.resume(street.board, street.column)


def test_a_start_that_finds_nothing_does_nothing() -> None:
    street = Street()
    del street.flash.files[resets.UPDATE_FILE]
    assert resumed(street) is None and street.events == []


@pytest.mark.parametrize("over", [state.KEPT, state.RETURNED, state.REFUSED, state.ABORTED])
@pytest.mark.parametrize("kind", [state.RELEASE, state.RENEWAL])
def test_what_is_over_is_over(over: str, kind: str) -> None:
    street = Street(state=over, kind=kind, why="so")
    assert resumed(street) is None and street.events == [] and street.noted() == (over, "so")


@pytest.mark.parametrize("kind", [state.RELEASE, state.RENEWAL])
def test_fetching_goes_on(kind: str) -> None:
    street = Street(state=state.FETCHING, kind=kind)
    one = resumed(street)
    assert (
        type(one) is task.Update and one.entry == entry(state=state.FETCHING, kind=kind) and one.column is street.column
    )


def test_a_firmware_on_trial_is_tried(street: Street) -> None:
    one = resumed(street)
    assert type(one) is trial.Trial and one._entry == entry() and street.events == []


def test_a_firmware_that_was_certified_before_a_cut_is_kept(street: Street) -> None:
    street.flash.files[resets.ACTIVE_FILE] = b"b"
    assert resumed(street) is None and street.noted() == (state.KEPT, None) and street.told()["state"] == "kept"


@pytest.mark.parametrize("why", [None, "no drill was answered within 15 minutes"])
def test_a_column_that_came_back_says_why(why: str | None) -> None:
    street = Street(why=why)
    street.column.folder = "a"
    street.flash.files |= {resets.ACTIVE_FILE: b"a", state.MANIFEST_FILE: MANIFEST}
    assert resumed(street) is None
    said = why or "the new firmware did not become healthy"
    assert street.noted() == (state.RETURNED, said) and street.told()["why"] == said
    assert not street.flash.size(state.MANIFEST_FILE) and state.floor(street.flash) == VERSION
    assert street.board.logged == ["update: went back: " + said]


def test_that_it_came_back_is_told_though_it_cannot_be_noted(street: Street) -> None:
    street.column.folder, street.flash.mode = "a", FlashMode.WRITE_ERROR
    assert resumed(street) is None and street.board.logged[0] == "update: [Errno 5] flash write"
    assert street.told()["release"] == DIGEST[:16]


def test_certificates_on_trial_are_tried(street: Street) -> None:
    street = Street(kind=state.RENEWAL, state=state.FETCHING, why="x")
    street.flash.files[NEW] = certificates()
    one = resumed(street)
    assert type(one) is proving.Proving and one._entry == entry(kind=state.RENEWAL) and street.events == []
    assert street.board.forgotten == ["firmware.update.proving", "firmware.startup.renewed"]


@pytest.mark.parametrize("changes", [{"kind": state.RELEASE}, {"kind": state.RENEWAL, "digest": OTHER}])
def test_certificates_on_trial_need_no_record(changes: dict[str, Any]) -> None:
    """The file decides: the note of it may be a step behind. Red when another one's record is taken for theirs."""
    street = Street(**changes, state=state.KEPT)
    street.flash.files[NEW] = certificates()
    one = resumed(street)
    assert type(one) is proving.Proving
    wanted = {"state": state.TRIAL, "digest": DIGEST, "bytes": 1, "version": "", "to": "", "why": None}
    assert one._entry == {**wanted, "kind": state.RENEWAL}
    state.write(street.flash, one._entry)
    assert state.read(street.flash) == one._entry, "what is noted of them can be read again"


@pytest.mark.parametrize("tls", [None, {"source": ""}, {"source": GOOD}, {}])
def test_certificates_that_are_not_in_force_are_not_on_trial(tls: Any) -> None:
    street = Street(kind=state.RENEWAL)
    street.flash.files[NEW] = certificates()
    street.uplink.config["tls"] = tls
    assert resumed(street) is None and NEW not in street.flash.files
    assert street.noted() == (state.RETURNED, "the new certificates could not be used")
    assert street.told()["why"] == "the new certificates could not be used"


def test_a_file_of_certificates_beside_a_release_is_thrown_away(street: Street) -> None:
    street = Street(state=state.FETCHING)
    street.flash.files[NEW] = b"torn"
    assert resumed(street) is None and NEW not in street.flash.files and street.events == []


@pytest.mark.parametrize(("digest", "noted"), [(DIGEST, state.KEPT), (OTHER, state.RETURNED)])
def test_certificates_that_were_kept_before_a_cut_are_told_so(digest: str, noted: str) -> None:
    street = Street(kind=state.RENEWAL)
    street.flash.files |= {GOOD: certificates(digest=digest), state.PART_FILE: b"x"}
    assert resumed(street) is None and street.noted()[0] == street.told()["state"] == noted
    assert not street.flash.size(state.PART_FILE)


def test_what_became_of_them_is_told_though_it_cannot_be_noted() -> None:
    street = Street(kind=state.RENEWAL)
    street.flash.mode = FlashMode.WRITE_ERROR
    assert resumed(street) is None and street.board.logged[0] == "certificates: [Errno 5] flash write"
    assert street.told()["release"] == DIGEST[:16]
