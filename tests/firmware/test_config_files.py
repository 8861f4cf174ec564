# mypy: allow-untyped-calls
"""Where the configuration comes from, what happens when it is broken, and that its document tells the truth."""

import json
from pathlib import Path

import pytest
from config_document import document
from config_files_rig import good_board, put, run_healthily
from fake_board import FlashMode

from firmware import resets
from firmware.startup import config as config_module
from firmware.startup import config_files, pins
from firmware.startup.config import load

ROOT = Path(__file__).resolve().parents[2]


def test_the_current_one_with_its_secrets() -> None:
    config, source, errors = load(good_board().flash, "esp32")
    assert (source, errors) == ("current", []) and config["secrets"]["wifi_ssid"] == "sos"


BROKEN: dict[str, bytes | None] = {
    "no file": None,
    "empty": b"",
    "cut off": b'{"v": 1, "device_id"',
    "not UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "too deep": b"[" * 5000,
    "a bad value": json.dumps(document(device_id="Ä")).encode(),
    "secrets in the wrong file": json.dumps(document()).encode(),
}


@pytest.mark.parametrize("why", BROKEN)
def test_a_broken_one_falls_back_to_the_last_that_worked(why: str) -> None:
    board = good_board()
    content = BROKEN[why]
    if content is None:
        del board.flash.files["config.json"]
    else:
        board.flash.files["config.json"] = content
    config, source, errors = load(board.flash, "esp32")
    assert source == "last-good" and config["device_id"] == "petropavl-01" and errors
    assert "12345678" not in " ".join(errors)


@pytest.mark.parametrize("content", [b"", b"x", b"[]"])
def test_broken_secrets_fall_back_too(content: bytes) -> None:
    board = good_board()
    board.flash.files["secrets.json"] = content
    assert load(board.flash, "esp32")[1] == "last-good"


def test_the_fall_back_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by forgetting what worked."""
    monkeypatch.setattr(config_files, "read_good", lambda flash: None)
    with pytest.raises(AssertionError):
        test_a_broken_one_falls_back_to_the_last_that_worked("empty")


def test_one_flipped_bit_in_the_last_good_one_is_not_run_on() -> None:
    board = good_board()
    del board.flash.files["config.json"]
    damaged = bytearray(board.flash.files["config.good"])
    damaged[40] ^= 1
    board.flash.files["config.good"] = bytes(damaged)
    config, source, errors = load(board.flash, "esp32")
    assert (config, source) == (None, "none") and "no such file" in errors[0]


def test_a_broken_configuration_loses_nothing_and_is_not_kept_as_good() -> None:
    board = good_board()
    before = dict(board.flash.files, **{"journal.log": b"an alarm"})
    before["config.json"] = b"{broken"
    board.flash.files = dict(before)
    run_healthily(board)
    assert board.flash.files == before


def test_the_good_one_is_written_only_when_it_changed() -> None:
    board = good_board()
    good = board.flash.files["config.good"]
    config_files.put_on_trial(board.flash, "", "current")
    assert "config.trial" not in board.flash.files
    put(board, document(device_id="another"))
    run_healthily(board)
    assert board.flash.files["config.good"] != good and "config.trial" not in board.flash.files


def test_one_that_never_became_healthy_is_not_taken_for_good_later() -> None:
    board = good_board()
    put(board, document(device_id="another"))
    config_files.put_on_trial(board.flash, "", "current")
    put(board, document())
    good = board.flash.files["config.good"]
    run_healthily(board)
    assert board.flash.files["config.good"] == good
    put(board, document(device_id="another"))
    config_files.put_on_trial(board.flash, "", "current")
    config_files.put_on_trial(board.flash, "", "last-good")
    resets.certify(board, 2, True)
    assert board.flash.files["config.good"] == good


def test_the_digest_tells_configurations_apart_and_never_raises() -> None:
    board = good_board()
    first = config_files.digest(board.flash, "")
    put(board, document(device_id="another"))
    assert len(first) == 16 and first != config_files.digest(board.flash, "")
    board.flash.mode = FlashMode.READ_ERROR
    assert config_files.digest(board.flash, "") == "0" * 16


def test_a_flash_that_cannot_be_read_is_said() -> None:
    board = good_board()
    board.flash.mode = FlashMode.READ_ERROR
    config, source, errors = load(board.flash, "esp32")
    assert config is None and source == "none" and "config.json: not readable" in errors[0]


# -- docs/configuration.md


def rows(text: str, columns: int) -> dict[str, list[str]]:
    """Key -> the other cells, of every table row with that many columns."""
    out = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) == columns:
            out[cells[0].strip(" `|")] = cells[1:]
    return out


def drift(text: str) -> list[str]:
    """Where the document and the rules do not say the same."""
    documented = rows(text, 4)
    wrong = sorted(set(documented) ^ {key for key, _, _ in config_module._RULES})
    for key, check, default in config_module._RULES:
        words = check(object()) + (", or null" if check(None) is None else "")
        shown = "needed" if default is config_module._REQUIRED else f"`{json.dumps(default)}`"
        if key in documented and documented[key][:2] != [words, shown]:
            wrong.append(f"{key}: must be {words}, default {shown}")
    return wrong


def test_the_document_has_every_key_with_its_range_and_default() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert drift(text) == []
    chips = ("esp32", "esp32s2", "esp32s3", "esp32c3")
    for role, pin in rows(text, 5).items():
        assert pin == ["null" if (p := pins.defaults(chip)[role]) is None else str(p) for chip in chips]
    assert len(rows(text, 5)) == len(pins.defaults("esp32"))
    assert "complian" not in text.lower(), "designed to a figure, never more"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from 2 to 600 | `12`", "from 2 to 600 | `15`"),
        ("from 2 to 600", "from 1 to 600"),
        ("`relay.limit_s`", "`relay.limit`"),
    ],
)
def test_a_document_that_drifts_is_noticed(old: str, new: str) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert text.count(old) == 1 and drift(text.replace(old, new))


def test_the_configuration_of_the_folder_in_force_counts() -> None:
    board = good_board()
    other = json.loads(board.flash.files["config.json"])
    other["device_id"] = "in-folder-b"
    board.flash.files["b/config.json"] = json.dumps(other).encode()
    board.flash.files["b/secrets.json"] = board.flash.files["secrets.json"]
    assert load(board.flash, "esp32", "b")[0]["device_id"] == "in-folder-b"
    assert load(board.flash, "esp32")[0]["device_id"] != "in-folder-b"
    assert config_files.digest(board.flash, "b") != config_files.digest(board.flash, "")
    config_files.put_on_trial(board.flash, "b", "current")
    assert b"in-folder-b" in board.flash.files["config.trial"]
