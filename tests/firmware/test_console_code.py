# mypy: allow-untyped-calls
"""A locked console (`access.code`): a technician's one-time code opens it, and no alarm ever asks for one."""

import base64
import hashlib
import random
from typing import Any

import column_rig
import pyotp
import pytest
from column_rig import BOOT, Rig
from config_document import document
from console_rig import TypingBoard, merged, said, typed

from common import console_code
from firmware import lock
from firmware.authentic import Authentic
from firmware.console import code, help, talk
from firmware.startup.config import validate

KEY = bytes(range(32))
ASKED: dict[str, Any] = {"access__code": True, "secrets__auth_key": KEY.hex()}
ACTS = {"access", "lamp", "button", "test"}
NEEDED = "a technician's code is needed; type: code; or at a laptop: make code PORT=..."
OPEN_MS = 60_000  # instead of half an hour
DAY_MS = 24 * 3600 * 1000
WRONG = b"code 13579246\n"  # distinct from any digits that a column says anyway
SEED = 20261129


@pytest.fixture(autouse=True)
def typing_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_rig, "FakeBoard", TypingBoard)


@pytest.fixture
def rig() -> Rig:
    return Rig(**ASKED).up()


def challenge(rig: Rig) -> str:
    return str(merged(typed(rig, b"code\n"))["challenge"])


def right(rig: Rig) -> bytes:
    return b"code %s\n" % console_code.code(KEY, challenge(rig)).encode()


def refused(rig: Rig) -> set[str]:
    """The commands for which a code is needed."""
    found = set()
    for word, _ in help.COMMANDS:
        if any(line.get("error") == NEEDED for line in typed(rig, word.encode() + b"\n", 2500)):
            found.add(word)
    return found


# -- what a code is


def test_both_sides_make_the_same_code_and_it_is_rfc_4226s() -> None:
    """Red when a side derives, packs, cuts or pads differently. pyotp is somebody else's HOTP."""
    dice = random.Random(SEED)
    print("seed", SEED)
    for _ in range(200):
        key, boot, count = dice.randbytes(32), dice.randrange(1 << 26), dice.randrange(1, 1 << 20)
        derived = Authentic(key, boot).mac(b"console", b"")
        other = pyotp.HOTP(base64.b32encode(derived).decode(), digits=8, digest=hashlib.sha256)
        made = console_code.code(key, f"{boot}-{count}")
        assert made == code.of(derived, boot, count) == other.at(boot << 32 | count) and len(made) == 8


@pytest.mark.parametrize("shown", ["", "17", "17-", "-1-1", "17-1-1", "x-1", "4294967296-1", "17-1\n2", "١-١"])
def test_what_is_no_challenge_gets_no_code(shown: str) -> None:
    with pytest.raises(ValueError, match="must be what the column shows"):
        console_code.code(KEY, shown)


def test_a_configuration_that_asks_for_codes_needs_the_columns_key() -> None:
    _, errors = validate(document(access__code=True), "esp32")
    assert errors == ["secrets.auth_key: missing, must be there when access.code is true: run provisioning"]
    config, _ = validate(document(secrets__auth_key=KEY.hex()), "esp32")
    assert config is not None and config["access"]["code"] is False, "off unless the fleet asks for it"


# -- what it is for


def test_without_it_nothing_is_locked() -> None:
    rig = Rig(secrets__auth_key=KEY.hex()).up()
    assert rig.column.lock is None and rig.board.heeds_interrupt
    assert typed(rig, b"lamp\n")[-1]["colours"], "as ever; test_console.py tries every command"
    assert typed(rig, b"code\n")[-1]["error"] == "this column asks for no code"
    assert merged(typed(rig, b"status\n"))["locked"] is None


def test_what_acts_is_locked_and_what_tells_is_open(rig: Rig) -> None:
    """Every command of `help`. Red when a command is added to those that are open without a word here."""
    assert refused(rig) == ACTS and merged(typed(rig, b"status\n"))["locked"] is True
    assert not rig.board.heeds_interrupt and rig.said("alarm") == [] and rig.events("button-test") == []


def test_a_console_that_locks_nothing_is_noticed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "_OPEN", tuple(word for word, _ in help.COMMANDS))
    assert refused(rig) == set()


def test_a_new_command_is_locked_until_somebody_says_otherwise(rig: Rig) -> None:
    made = talk.Talk(rig.board, rig.column, lambda word: lambda board, column: iter(()))
    made.step(b"brand-new\n")
    made.step(b"")
    assert said(rig)[-1]["error"] == NEEDED


def test_the_right_code_opens_it_for_a_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lock._OPEN_MS == 30 * 60_000
    monkeypatch.setattr(lock, "_OPEN_MS", OPEN_MS)
    answer = merged(typed(rig, right(rig)))
    assert answer["ok"] is True and 55 <= answer["open_s"] <= 60
    assert rig.board.heeds_interrupt and refused(rig) == set()
    assert rig.events("console-opened") == [{"open_s": 60}]
    rig.run(OPEN_MS)
    assert not rig.board.heeds_interrupt
    assert typed(rig, b"lamp\n")[-1]["error"] == NEEDED, "by itself"


def test_a_lock_that_stays_open_is_noticed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_OPEN_MS", OPEN_MS)
    monkeypatch.setattr(lock.Lock, "look", lambda self: None)
    typed(rig, right(rig))
    rig.run(OPEN_MS + 5000)
    assert rig.board.heeds_interrupt


def test_a_code_counts_once(rig: Rig) -> None:
    """Red when the count stays as it is."""
    before = right(rig)
    typed(rig, before)
    assert merged(typed(rig, b"code end\n"))["open_s"] == 0 and not rig.board.heeds_interrupt
    assert typed(rig, before)[-1]["error"] == "a wrong code; the centre is told"
    assert not rig.board.heeds_interrupt


def test_a_lost_answer_may_be_asked_for_again(rig: Rig) -> None:
    """The tools send a line once more when nobody answered."""
    line = right(rig)
    assert typed(rig, line)[-1]["ok"] is True and typed(rig, line)[-1]["ok"] is True
    assert rig.events("command-refused") == []


def test_a_code_is_this_columns_and_this_boots(rig: Rig) -> None:
    for wrong in (
        console_code.code(bytes(32), f"{BOOT}-1"),
        console_code.code(KEY, f"{BOOT + 1}-1"),
        console_code.code(KEY, f"{BOOT}-2"),
    ):
        rig.run(10_000)
        assert typed(rig, b"code %s\n" % wrong.encode())[-1]["ok"] is False
    assert challenge(rig) == f"{BOOT}-1" and not rig.board.heeds_interrupt


def test_blanks_and_capitals_do_no_harm(rig: Rig) -> None:
    digits = right(rig).split()[1]
    assert typed(rig, b" CODE  %s %s \r" % (digits[:4], digits[4:]))[-1]["ok"] is True


def test_ctrl_c_says_what_is_wanted_and_ends_nothing(rig: Rig) -> None:
    """As mpremote begins: CR, Ctrl-C, CR, Ctrl-A."""
    answer = merged(typed(rig, b"\r\x03\r\x01"))
    assert answer["challenge"] == f"{BOOT}-1" and answer["open_s"] == 0
    assert typed(rig, b"\nhelp\n")[-1]["ok"] is True


# -- whoever guesses


def guesses(rig: Rig, ms: int) -> int:
    """How many codes were looked at within that time, of one that guesses without a pause."""
    end_ms = rig.board.now_ms + ms
    while rig.board.now_ms < end_ms:
        typed(rig, WRONG, 500)
    return len(rig.events("command-refused"))


def test_guessing_is_slowed_and_told(rig: Rig) -> None:
    """2, 4, 8 ... s behind wrong codes. Red without the pause, and without the event."""
    assert 2 <= guesses(rig, 20_000) <= 4
    why = {one["why"] for one in rig.events("command-refused")}
    assert why == {"a wrong code on the console"}
    assert "try again in" in typed(rig, WRONG)[-1]["error"]


def test_a_lock_that_does_not_slow_is_noticed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_PAUSE_MS", 0)
    assert guesses(rig, 20_000) >= 8


def test_the_right_code_waits_too_and_then_counts(rig: Rig) -> None:
    line = right(rig)
    guesses(rig, 20_000)
    assert "try again in" in typed(rig, line)[-1]["error"]
    rig.run(20_000)
    assert typed(rig, line)[-1]["ok"] is True


def test_the_pause_has_a_bound(rig: Rig) -> None:
    """Red when it doubles for ever: a technician's typing errors must not shut him out for days."""
    for _ in range(40):
        rig.column.lock.refuse()
    assert rig.column.lock.pause_ms() == 256_000


def test_a_pause_is_over_days_later(rig: Rig) -> None:
    """Ticks wrap within 12 days: red when nobody looks at the pause meanwhile."""
    typed(rig, WRONG)
    waits = rig.column.lock
    for _ in range(9):
        rig.board.now_us += DAY_MS * 1000
        waits.look()
    assert waits.pause_ms() == 0


def test_no_code_is_said_again(rig: Rig) -> None:
    """Neither on the console nor to the broker; nor the key that codes are made with."""
    line = right(rig)
    before = len(rig.board.logged)
    typed(rig, WRONG)
    typed(rig, line)
    rig.run(3000)
    typed(rig, line)
    sent = b"\n".join(one.payload for stream in rig.streams for one in stream.heard)
    shown = "\n".join(rig.board.logged[before:]).encode() + sent
    for secret in (WRONG.split()[1], line.split()[1], console_code.derived(KEY), KEY.hex().encode()):
        assert secret not in shown


# -- and never an alarm


def test_a_press_needs_no_code(rig: Rig) -> None:
    for _ in range(3):
        typed(rig, WRONG)
    rig.board.keys = bytearray(b"button\nlamp\ncode 1\n\x03\x03")
    ident = rig.press()
    assert rig.lamp() in ("calling", "sent") and [one["id"] for one in rig.said("alarm")] == [ident]
    rig.answer(ident, "received")
    assert rig.lamp() == "answered"


def test_a_column_in_safe_mode_is_locked_as_well() -> None:
    safe = Rig(mode="safe", **ASKED).run(3000)
    assert not safe.board.heeds_interrupt and typed(safe, b"lamp\n")[-1]["error"] == NEEDED
    assert typed(safe, right(safe))[-1]["ok"] is True and safe.board.heeds_interrupt


def test_without_a_console_nobody_is_shut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when Ctrl-C is taken away where no code can be typed."""
    monkeypatch.setattr(TypingBoard, "typed", lambda self, limit: None)
    rig = Rig(**ASKED).up()
    assert rig.column.lock is None and rig.board.heeds_interrupt
