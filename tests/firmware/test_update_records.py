# mypy: allow-untyped-calls
"""What an update reads of the flash, part by part: record, floor, keys, manifest; and the commands that begin or end
one. Limits on both sides, and what each refusal says."""

from binascii import crc32
from types import SimpleNamespace
from typing import Any

import pytest
from fake_board import FakeBoard, FakeFlash, FlashMode
from update_rig import ROOT_FILES, floored, head, key

from common import release
from common.release import MAGIC
from field.release import sign
from firmware import VERSION, resets
from firmware.record import frame
from firmware.update import manifest, order, signature, state

DIGEST = "5a" * 32
NEXT = "1.0.1"


def entry(**changes: Any) -> dict[str, Any]:
    noted = {"state": state.FETCHING, "digest": DIGEST, "bytes": 9, "version": "", "to": "", "why": None}
    return {**noted, "kind": state.RELEASE, **changes}


def recorded(**changes: Any) -> FakeFlash:
    flash = FakeFlash()
    state.write(flash, entry(**changes))
    return flash


# -- the record


def test_what_was_noted_is_read() -> None:
    assert state.read(recorded()) == entry() and state.read(FakeFlash()) is None


@pytest.mark.parametrize(
    "changes", [{"state": 7}, {"digest": DIGEST[1:]}, {"digest": 7}, {"bytes": True}, {"bytes": "9"}, {"bytes": None}]
)
def test_a_record_without_its_shape_is_none(changes: dict[str, Any]) -> None:
    """Red without the look at that field."""
    assert state.read(recorded(**changes)) is None


@pytest.mark.parametrize("missing", ["state", "digest", "bytes"])
def test_a_record_without_a_field_is_none(missing: str) -> None:
    flash, noted = FakeFlash(), entry()
    del noted[missing]
    state.write(flash, noted)
    assert state.read(flash) is None


@pytest.mark.parametrize("payload", [b"[1]", b"{", b"\xff"])
def test_a_record_of_anything_else_is_none(payload: bytes) -> None:
    flash = FakeFlash()
    flash.files[resets.UPDATE_FILE] = frame(payload)
    assert state.read(flash) is None


def test_what_the_centre_is_told() -> None:
    told = {"state": "fetching", "release": DIGEST[:16], "version": None, "why": None}
    assert state.told(recorded()) == told and state.told(FakeFlash()) is None
    assert state.told(recorded(version="1.2.3", why="so")) == {**told, "version": "1.2.3", "why": "so"}


def test_a_record_of_no_kind_is_a_releases() -> None:
    noted = entry()
    del noted["kind"]
    assert not state.is_renewal(noted) and not state.is_renewal(None) and state.is_renewal(entry(kind="renewal"))


# -- the floor


@pytest.mark.parametrize(
    ("noted", "raised", "found"),
    [
        (None, "0.9.0", VERSION),
        (None, "1.10.0", "1.10.0"),
        ("1.9.0", "1.10.0", "1.10.0"),
        ("1.10.0", "1.9.0", "1.10.0"),
    ],
)
def test_the_floor_is_the_higher_one(noted: str | None, raised: str, found: str) -> None:
    """By numbers: red when they are compared as text."""
    flash = FakeFlash()
    if noted:
        flash.files[state.FLOOR_FILE] = floored(noted)
    state.raise_floor(flash, raised)
    assert state.floor(flash) == found and flash.size(state.FLOOR_FILE)


def test_the_same_floor_is_not_written_again() -> None:
    flash = FakeFlash()
    state.raise_floor(flash, NEXT)
    state.raise_floor(flash, NEXT)
    assert flash.writes == 1


@pytest.mark.parametrize("text", ["new", "1..0", ""])
def test_a_floor_that_is_no_version_is_the_version_that_runs(text: str) -> None:
    flash = FakeFlash()
    flash.files[state.FLOOR_FILE] = floored(text)
    assert state.floor(flash) == VERSION


# -- keys and signatures


def trusting(*moduli: int) -> FakeFlash:
    """Whoever made the file, its checksums are right."""
    flash = FakeFlash()
    flash.files["a/" + state.KEYS_FILE] = b"".join(
        crc32(one.to_bytes(384, "big")).to_bytes(4, "big") + one.to_bytes(384, "big") for one in moduli
    )
    return flash


@pytest.mark.parametrize(
    ("first", "is_key"), [(b"\x7f\xff", False), (b"\x81\x7f", True), (b"\x80\0", True), (b"\1\xff", False)]
)
def test_a_key_has_all_its_bits(first: bytes, is_key: bool) -> None:
    """3,072 of them. Red when any other bit is looked at than the highest."""
    modulus = int.from_bytes(first + bytes(382), "big") + 1
    assert signature.has_keys(trusting(modulus), "a") == is_key
    assert signature.has_keys(trusting(1, modulus), "a") == is_key, "the second one is looked at, too"


def test_there_is_no_third_key() -> None:
    modulus = key(0).public_key().public_numbers().n
    assert not signature.has_keys(trusting(1, 1, modulus), "a") and not signature.has_keys(FakeFlash(), "a")


def small_signature() -> tuple[int, int, str]:
    """(signature, modulus, digest) of which the sum has 3,072 bits as well."""
    found = min((key(number) for number in range(3)), key=lambda one: one.public_key().public_numbers().n)
    modulus = found.public_key().public_numbers().n
    for number in range(2000):
        text = b"%d" % number
        made = int.from_bytes(sign(text, found), "big")
        if made + modulus < 1 << 3072:
            return made, modulus, release.Release(text, b"", {}).digest
    raise AssertionError("no such signature: a modulus of nothing but ones?")


def test_a_signature_is_less_than_its_modulus() -> None:
    """RFC 8017, 8.2.2. Red without the comparison: the power of a larger one is the same."""
    made, modulus, digest = small_signature()
    flash = trusting(modulus)
    for number, is_good in ((made, True), (made + modulus, False)):
        flash.files[state.SIGNATURE_FILE] = number.to_bytes(384, "big")
        assert signature.is_good(flash, "a", digest) == is_good


@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda raw: b"", lambda raw: b"\0" + raw]
)
def test_a_signature_of_another_length_is_none(change: Any) -> None:
    flash = trusting(key(0).public_key().public_numbers().n)
    raw = sign(b"text", key(0))
    digest = release.Release(b"text", b"", {}).digest
    flash.files[state.SIGNATURE_FILE] = raw
    assert signature.is_good(flash, "a", digest)
    flash.files[state.SIGNATURE_FILE] = change(raw)
    assert not signature.is_good(flash, "a", digest)


# -- the manifest


def with_manifest(text: bytes, *ours: str) -> FakeFlash:
    flash = FakeFlash()
    flash.files = {state.MANIFEST_FILE: text, **dict.fromkeys(ours, b"x")}
    return flash


def entries(*lines: str, ours: str = "") -> list[tuple[str, int, str]]:
    text = "".join(line + "\n" for line in lines).encode()
    return list(manifest.entries(with_manifest(b"head\n" + text, ours), 5, "a"))


def test_a_header_and_where_the_files_begin() -> None:
    flash = with_manifest(MAGIC + b'{"version":"1.2.3"}\nfirst\nsecond\n')
    assert manifest.header(flash) == {"version": "1.2.3", "end": len(MAGIC) + 20}


@pytest.mark.parametrize("text", [b"", MAGIC, MAGIC[1:] + b"{}\n", MAGIC + b'{"long": "%s"}\n' % (b"x" * 1024)])
def test_a_manifest_without_its_head_is_none(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the manifest is none$"):
        manifest.header(with_manifest(text))


def test_files_one_after_the_other() -> None:
    assert entries("aa 1 firmware/x.mpy", "bb 22 hal/y.mpy") == [("aa", 1, "firmware/x.mpy"), ("bb", 22, "hal/y.mpy")]
    assert entries("aa 7 release.keys") == [("aa", 7, "release.keys")]


def test_a_library_only_where_it_lies_beside_the_firmware_in_force() -> None:
    lines = ("aa 1 lib/umqtt/simple.mpy", "bb 2 hal/y.mpy")
    assert entries(*lines) == [("bb", 2, "hal/y.mpy")], "the others are read all the same"
    assert entries(*lines, ours="a/umqtt/simple.mpy")[0] == ("aa", 1, "umqtt/simple.mpy")


PATH = "firmware/" + "x" * 71


@pytest.mark.parametrize(
    "name",
    [PATH + "x", "firmware/../x", "firmware/x-y.py", "main.py", "firmware", "lib/x", "release.keys.py", "/hal/x"],
)
def test_a_file_of_no_such_name_is_refused(name: str) -> None:
    ours = "a/x"  # so that a library is wanted
    with pytest.raises(ValueError, match="the manifest has a file " + name.removeprefix("lib/")[:80]):
        entries(f"aa 1 {name}", ours=ours)


def test_the_longest_path() -> None:
    assert entries(f"aa 1 {PATH}") == [("aa", 1, PATH)]


@pytest.mark.parametrize("line", ["aa 1 " + "x" * 180, "aa 1 firmware/x.mpy"])
def test_a_line_without_an_end_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"^the manifest has a line that is too long$"):
        list(manifest.entries(with_manifest(b"head\n" + line.encode()), 5, "a"))


@pytest.mark.parametrize("line", ["", "aa  1 firmware/x.mpy", "aa 1 firmware/x.mpy ", "aa 1"])
def test_a_line_of_other_than_three_words_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="values to unpack"):
        entries(line)


def board(flash: FakeFlash, micropython: str = "1.26.0") -> Any:
    return SimpleNamespace(flash=flash, chip="esp32", micropython=micropython)


def in_force(**changes: bytes) -> FakeFlash:
    flash = FakeFlash()
    flash.files = {**ROOT_FILES, "a/firmware/__init__.mpy": b"M\x06", **changes}
    return flash


def objection(flash: FakeFlash, **changes: Any) -> str | None:
    why: str | None = manifest.objection(board(flash), head(version=NEXT, **changes), "a")
    return why


def test_what_a_release_needs_and_no_more() -> None:
    assert objection(in_force()) is None
    assert objection(in_force(), micropython="1.26.0") is None, "the very version"
    assert objection(in_force(), micropython="1.26.1") == "needs MicroPython 1.26.1, this is 1.26.0"
    there = manifest.objection(board(in_force()), head(version=VERSION), "a")
    assert there == f"version {VERSION} is in force already"
    assert objection(in_force(), chips=["esp32s3"]) == "not for this chip, esp32"
    flash = in_force()
    flash.files[state.FLOOR_FILE] = floored(NEXT)
    assert objection(flash) is None, "the floor itself is taken"
    flash.files[state.FLOOR_FILE] = floored("1.0.2")
    assert objection(flash) == "version 1.0.1 is older than the floor, 1.0.2"


def test_a_firmware_of_plain_python_takes_one_of_plain_python() -> None:
    flash = in_force()
    del flash.files["a/firmware/__init__.mpy"]
    assert objection(flash, mpy=0) is None
    assert objection(flash) == objection(in_force(), mpy=0) == "another .mpy format than the firmware in force"


def test_the_roots_must_be_known() -> None:
    for name in ROOT_FILES:
        flash = in_force()
        flash.files[name] = b"another"
        assert objection(flash) == f"needs another {name}, which comes by cable only"
        del flash.files[name]
        assert objection(flash) == f"needs another {name}, which comes by cable only"


# -- the commands


class Street:
    """What `obey` needs of a column."""

    def __init__(self, **changes: Any) -> None:
        self.board = FakeBoard()
        if changes:
            state.write(self.board.flash, entry(**changes))
        self.board.flash.files |= trusting(key(0).public_key().public_numbers().n).files | {"a/hal/esp32.py": b"x"}
        self.ended: list[tuple[str, Any]] = []
        self.added: list[Any] = []
        self.dropped: list[Any] = []
        self.reports = 0
        update = SimpleNamespace(is_stuck=False, end=lambda how, why: self.ended.append((how, why)))
        self.column: Any = SimpleNamespace(
            folder="a", update=update if changes else None, clock=SimpleNamespace(source="ntp"), authentic=None,
            supervisor=SimpleNamespace(add=self.added.append, drop=self.dropped.append),
            telemetry=SimpleNamespace(report=self._report), origin={"source": "current"},
            uplink=SimpleNamespace(config={"tls": {"digest": "ab"}}),
        )  # fmt: skip

    def _report(self) -> None:
        self.reports += 1

    def obeys(self, kind: str = state.RELEASE, digest: Any = DIGEST, size: Any = 9) -> str | None:
        why: str | None = order.obey(self.board, self.column, kind, {"digest": digest, "bytes": size})
        return why

    def gives_up(self, kind: str = state.RELEASE) -> str | None:
        why: str | None = order.obey(self.board, self.column, kind, None)
        return why


@pytest.mark.parametrize("kind", [state.RELEASE, state.RENEWAL])
def test_a_command_is_noted_and_begins_at_once(kind: str) -> None:
    street = Street()
    assert street.obeys(kind) is None
    assert state.read(street.board.flash) == entry(kind=kind)
    [task] = street.added
    assert task is street.column.update and task.entry == entry(kind=kind) and street.dropped == []
    assert street.reports == 1


def test_another_command_takes_the_place_of_the_one_before() -> None:
    street = Street(digest="6b" * 32)
    street.board.flash.files |= dict.fromkeys((state.PART_FILE, state.MANIFEST_FILE, state.SIGNATURE_FILE), b"x")
    before = street.column.update
    assert street.obeys() is None and street.dropped == [before]
    assert not street.board.flash.size(state.PART_FILE), "of another release"


def test_the_same_command_again_keeps_what_was_fetched() -> None:
    street = Street(why="so")
    street.board.flash.files[state.PART_FILE] = b"half"
    assert street.obeys() is None and street.board.flash.files[state.PART_FILE] == b"half"


@pytest.mark.parametrize("wanted", [DIGEST[1:], DIGEST + "0", DIGEST[1:] + "A", DIGEST[1:] + "g", 7, None])
def test_a_digest_is_64_hex_digits(wanted: Any) -> None:
    assert Street().obeys(digest=wanted) == "refused: release.digest must be 64 hex digits"
    assert Street().obeys(state.RENEWAL, digest=wanted) == "refused: renewal.digest must be 64 hex digits"


@pytest.mark.parametrize(("kind", "most"), [(state.RELEASE, 16384), (state.RENEWAL, 4096)])
def test_how_many_bytes_there_may_be(kind: str, most: int) -> None:
    for size in (1, most):
        assert Street().obeys(kind, size=size) is None
    for wrong in (0, most + 1, True, "9", None):
        assert Street().obeys(kind, size=wrong) == f"refused: {kind}.bytes must be 1 to {most}"


@pytest.mark.parametrize("wanted", [7, [], {"digest": DIGEST}, {"bytes": 9}])
def test_a_command_of_no_shape_has_no_digest(wanted: Any) -> None:
    street = Street()
    assert order.obey(street.board, street.column, state.RELEASE, wanted) == (
        "refused: release.digest must be 64 hex digits"
    )
    assert state.read(street.board.flash) is None


ON_TRIAL = "refused: a firmware, or a certificate, is on trial"


@pytest.mark.parametrize(("file", "data"), [(resets.ACTIVE_FILE, b"ba"), ("tls.new", b"x")])
def test_what_is_on_trial_is_left_alone_whatever_the_record_says(file: str, data: bytes) -> None:
    """Red when only the record is asked, which may be a step behind."""
    for street in (Street(), Street(state=state.KEPT)):
        street.board.flash.files[file] = data
        assert street.obeys() == street.gives_up() == ON_TRIAL and street.added == []


def test_a_trial_that_is_only_noted_is_left_alone_too() -> None:
    street = Street(state=state.TRIAL)
    street.board.flash.files[resets.ACTIVE_FILE] = b"a"
    assert street.obeys() == ON_TRIAL
    street = Street(state=state.KEPT)
    street.board.flash.files[resets.ACTIVE_FILE] = b"a"
    assert street.obeys() is None


def test_what_is_under_way_is_given_up() -> None:
    for kind, other in ((state.RELEASE, state.RENEWAL), (state.RENEWAL, state.RELEASE)):
        street = Street(kind=kind)
        assert street.gives_up(other) == f"refused: no {other} is under way" and street.ended == []
        assert street.gives_up(kind) is None and street.ended == [(state.ABORTED, None)]


def test_nothing_is_given_up_where_nothing_is_under_way() -> None:
    for street in (Street(), Street(state=state.KEPT), Street(state=state.ABORTED)):
        assert street.gives_up() == "refused: no release is under way" and street.ended == []
    street = Street(state=state.FETCHING)
    street.column.update = None
    assert street.gives_up() == "refused: no release is under way"


def test_without_a_clock_only_a_proven_command_ends_anything() -> None:
    street = Street(version="")
    street.column.clock.source = "none"
    assert street.gives_up() == "clock unset: cannot tell whether the command has expired" and street.ended == []
    assert street.obeys(digest="6b" * 32) == "refused: a release is being fetched"
    street.column.authentic = object()
    assert street.gives_up() is None and street.obeys(digest="6b" * 32) is None


def test_without_a_clock_a_release_that_is_stuck_gives_way() -> None:
    street = Street(version="")
    street.column.clock.source = "none"
    street.column.update.is_stuck = True
    assert street.obeys(state.RENEWAL) is None


def test_new_certificates_are_for_a_column_that_has_some_and_runs_on_what_was_flashed() -> None:
    for tls in (None, {}, {"digest": ""}):
        street = Street()
        street.column.uplink.config["tls"] = tls
        assert street.obeys(state.RENEWAL) == "refused: this column has no certificate" and street.obeys() is None
    street = Street()
    street.column.origin = {"source": "last-good"}
    assert street.obeys(state.RENEWAL) == "refused: this column runs on the last good configuration"


def test_a_release_is_for_a_column_with_a_key_and_its_firmware_on_flash() -> None:
    street = Street()
    del street.board.flash.files["a/hal/esp32.py"]
    assert street.obeys() == "refused: the firmware lies in the board's image, which is changed by cable only"
    street.board.flash.files["a/hal/esp32.mpy"] = b"x"
    assert street.obeys() is None
    street = Street()
    del street.board.flash.files["a/" + state.KEYS_FILE]
    assert street.obeys() == "refused: this column trusts no release key; it gets one by cable"
    assert street.obeys(state.RENEWAL) is None


def test_a_flash_that_fails_is_told() -> None:
    street = Street()
    street.board.flash.mode = FlashMode.WRITE_ERROR
    assert street.obeys() == "refused: the flash: [Errno 5] flash write" and street.added == []
