# mypy: allow-untyped-calls
"""The console's commands for a check-up: `files` and what `status` says for it."""

import hashlib
from collections.abc import Callable
from typing import Any

import column_rig
import pytest
from column_rig import Rig
from test_console import TypingBoard, merged, typed

from firmware import config_files, console_files

FOLDER = "a"
LONG_MS = 8000
PIECE_MAX = 512


@pytest.fixture(autouse=True)
def typing_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_rig, "FakeBoard", TypingBoard)


def short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


# -- files


def flashed(folder: str) -> tuple[Rig, dict[str, bytes]]:
    """A column with a firmware in that folder; (rig, what lies there by its name within the folder)."""
    rig = Rig()
    content = {"firmware/lamp.mpy": b"l" * 1300, "firmware/deep/er.mpy": b"d", "hal/esp32.mpy": b"h" * PIECE_MAX}
    sealed = {config_files.CONFIG_FILE: b'{"v":1,"text":"%s"}' % (b"x" * 900), config_files.SECRETS_FILE: b"{}"}
    files = content | {name: config_files.sealed(text) for name, text in sealed.items()}
    rig.board.flash.files.update({config_files.path(folder, name): data for name, data in files.items()})
    rig.board.flash.files.update({"boot.py": b"boot", "main.py": b"main"})
    rig.column._boot["folder"] = folder
    return rig.up(), content


@pytest.mark.parametrize("folder", ["", FOLDER])
def test_files_gives_each_files_hash_and_the_seals(folder: str) -> None:
    rig, content = flashed(folder)
    answer = merged(typed(rig, b"files\n", LONG_MS))
    everything = content | {"boot.py": b"boot", "main.py": b"main"}
    assert answer["ok"] is True and answer["folder"] == folder
    assert files_of(rig) == {name: short(data) for name, data in everything.items()}
    assert seals_of(rig) == {"config.json": True, "secrets.json": True}


def lines_of(rig: Rig, key: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in typed(rig, b"files\n", LONG_MS):
        found.update(line.get(key, {}))
    return found


def files_of(rig: Rig) -> dict[str, Any]:
    return lines_of(rig, "files")


def seals_of(rig: Rig) -> dict[str, Any]:
    return lines_of(rig, "sealed")


def test_one_flipped_bit_gives_another_hash() -> None:
    rig, content = flashed(FOLDER)
    before = files_of(rig)
    data = bytearray(content["firmware/lamp.mpy"])
    data[1000] ^= 1
    rig.board.flash.files[FOLDER + "/firmware/lamp.mpy"] = bytes(data)
    after = files_of(rig)
    assert {name for name in before if before[name] != after[name]} == {"firmware/lamp.mpy"}


@pytest.mark.parametrize("name", [config_files.CONFIG_FILE, config_files.SECRETS_FILE])
def test_a_seal_that_does_not_fit_is_told(name: str) -> None:
    rig, _ = flashed(FOLDER)
    at, files = config_files.path(FOLDER, name), rig.board.flash.files
    good = files[at]
    other = {"config.json": True, "secrets.json": True}
    for position in (0, len(good) // 2, len(good) - 4):
        files[at] = good[:position] + bytes((good[position] ^ 1,)) + good[position + 1 :]
        assert seals_of(rig) == other | {name: False}
    files[at] = b'{"v":1}'
    assert seals_of(rig) == other | {name: None}, "by hand, without a seal"
    del files[at]
    assert seals_of(rig) == other | {name: None}


def test_what_cannot_be_read_is_told_and_the_rest_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    rig, content = flashed(FOLDER)
    read_at: Callable[..., bytes] = rig.board.flash.read_at

    def bad_block(name: str, start: int, limit: int) -> bytes:
        if name.endswith("lamp.mpy") and start:
            raise OSError(84, "corrupt")
        return read_at(name, start, limit)

    monkeypatch.setattr(rig.board.flash, "read_at", bad_block)
    found = files_of(rig)
    assert found["firmware/lamp.mpy"] is None and found["hal/esp32.mpy"] == short(content["hal/esp32.mpy"])


def test_a_frozen_firmware_has_no_files() -> None:
    rig = Rig().up()
    assert files_of(rig) == {"boot.py": None, "main.py": None}


def longest_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes read in one turn while `files` is answered."""
    turns: list[int] = [0]
    read_at: Callable[..., bytes] = rig.board.flash.read_at
    look: Callable[[int], None] = rig.column.button.look

    def counted(name: str, start: int, limit: int) -> bytes:
        piece = read_at(name, start, limit)
        turns[-1] += len(piece)
        return piece

    def looked(waited_ms: int) -> None:
        turns.append(0)
        look(waited_ms)

    monkeypatch.setattr(rig.board.flash, "read_at", counted)
    monkeypatch.setattr(rig.column.button, "look", looked)
    assert files_of(rig)
    return max(turns)


def test_no_turn_reads_more_than_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < longest_read(flashed(FOLDER)[0], monkeypatch) <= PIECE_MAX


def test_a_hash_in_one_go_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_files, "_PIECE_BYTES", 1 << 20)
    assert longest_read(flashed(FOLDER)[0], monkeypatch) > PIECE_MAX


# -- status


def test_status_names_what_it_was_told_to_be() -> None:
    status = merged(
        typed(Rig(supply__low_mv=11_000, pins__supply=34, clock__server="time.example").up(), b"status\n", 3000)
    )
    assert status["configured"] is True and status["limits"] == {"low_mv": 11_000}
    assert status["names"] == {"device_id": "petropavl-01", "region": "nko", "server_name": "broker.example"}
    assert status["clock"]["server"] == "time.example" and status["broker"]["failed_in"] is None
    assert status["link"]["netmask"] == "255.0.0.0" and status["link"]["dns"] == "10.0.0.1"


def test_status_tells_the_step_at_which_the_way_to_the_centre_ends() -> None:
    rig = Rig()
    rig.board.names["broker.example"] = OSError(-202, "EAI_FAIL")
    assert broker_of(rig)["failed_in"] == "lookup"
    rig.board.names["broker.example"] = "10.0.0.2"
    rig.board.on_dial = refused
    assert broker_of(rig)["failed_in"] == "connect"
    rig.board.on_dial = rig._dial
    rig.answers = ""
    found = broker_of(rig, 60_000)
    assert found["failed_in"] == "session" and "no session within" in found["error"]


def refused(*_: Any) -> Any:
    raise OSError("connection refused or unreachable")


def broker_of(rig: Rig, ms: int = 30_000) -> Any:
    rig.run(ms)
    return merged(typed(rig, b"status\n", 3000))["broker"]
