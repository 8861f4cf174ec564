"""From the table of a fleet to a technician's check-up, by make's targets alone, against a real mosquitto with mutual
TLS, passwords and access list: all is well; then each thing is broken, and exactly its line says FAIL.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from whole_rig import ASKED_OF_A_PERSON, COLUMN, Checkup, Whole

from field import bundle
from sim.real.flash_image import Image
from sim.serial_board.faults import fill

pytestmark = [pytest.mark.micropython, pytest.mark.mosquitto]


def all_pass(found: Checkup) -> None:
    assert found.with_verdict("FAIL", "WARN") == []
    assert found.with_verdict("-") == ASKED_OF_A_PERSON
    assert found.document["exit"] == 0


# -- all is well


def test_a_provisioned_board_is_flashed_goes_on_duty_and_passes(tmp_path: Path) -> None:
    """An S3 on Wi-Fi. An ESP32 on Ethernet, with the heap to plan for: tests/browser/test_city_whole.py."""
    with closing(Whole(tmp_path, "petropavl-school-1")) as running:
        running.goes_on_duty_and_passes()


def test_on_a_column_with_everything_fitted_all_pass(whole: Whole) -> None:
    all_pass(whole.diag())


# -- one thing is broken


@contextmanager
def wrong_password(whole: Whole) -> Iterator[None]:
    with broken(whole, f"password={COLUMN}", "the broker refused us"):
        yield


@contextmanager
def own_certificate_ended(whole: Whole) -> Iterator[None]:
    """As `make flash` of that configuration would have it, without its wait for a session."""
    folder = Path(whole.tell_servers("expire", COLUMN)["config"])
    document = json.loads((folder / "config.json").read_text("utf-8"))
    (name, data), = bundle.configuration_files(document).items()  # fmt: skip
    kept: list[bytes] = []

    def swap(image: Image) -> None:
        slot = active(image)
        kept.append(image.read(f"{slot}/{name}") or b"")
        image.write(f"{slot}/{name}", data if len(kept) == 1 else kept[0])

    with whole.dark():
        whole.on_flash(swap)
    whole.says("TLS: the broker refuses us")
    yield
    with whole.dark():
        whole.on_flash(swap)
    whole.has_session()


@contextmanager
def brokers_certificate_ended(whole: Whole) -> Iterator[None]:
    with broken(whole, "certificate", "certificate is refused"):
        yield


@contextmanager
def foreign_prefix_allowed(whole: Whole) -> Iterator[None]:
    whole.tell_servers("break", f"access={COLUMN}")
    yield
    whole.tell_servers("mend", f"access={COLUMN}")


@contextmanager
def broker_down(whole: Whole) -> Iterator[None]:
    with broken(whole, "broker", "refused or unreachable"):
        yield


@contextmanager
def stream_down(whole: Whole) -> Iterator[None]:
    whole.tell_servers("break", "stream")
    yield
    whole.tell_servers("mend", "stream")


@contextmanager
def one_byte_of_firmware_flipped(whole: Whole) -> Iterator[None]:
    name, right, wrong = "", b"floor not kept", b"floor not kepu"

    def flip(image: Image) -> None:
        nonlocal name
        name = f"{active(image)}/firmware/clock.mpy"
        image.write(name, (image.read(name) or b"").replace(right, wrong, 1))

    def mend(image: Image) -> None:
        image.write(name, (image.read(name) or b"").replace(wrong, right, 1))

    with whole.dark():
        whole.on_flash(flip)
    whole.has_session()
    yield
    assert "is in force" in whole.flash()  # as it is advised
    whole.has_session()
    with whole.dark():  # four starts that last no minute, of the breaks behind this one, go back to the folder before
        whole.on_flash(mend)
    whole.has_session()


@contextmanager
def clock_unset(whole: Whole) -> Iterator[None]:
    whole.tell_servers("break", "clock")
    with whole.dark():
        pass
    whole.says("clock: no network time")
    yield
    whole.tell_servers("mend", "clock")
    with whole.dark():
        pass
    whole.has_session()


@contextmanager
def journal_corrupted(whole: Whole) -> Iterator[None]:
    whole.alarm()

    def corrupt(image: Image) -> None:
        records = bytearray(image.read("journal.log") or b"")
        assert b'"open"' in records
        records[records.index(b'"open"') + 1] ^= 1
        image.write("journal.log", bytes(records))

    with whole.dark():
        whole.on_flash(corrupt)
    whole.has_session()
    yield
    with whole.dark():
        whole.on_flash(lambda image: image.remove("journal.bad"))
    whole.has_session()


@contextmanager
def button_stuck(whole: Whole) -> Iterator[None]:
    whole.board.say("hold")
    whole.is_heard()  # it is one press, too
    whole.says("fault: button-stuck")
    yield
    whole.board.say("release")
    whole.says("fault: button-stuck cleared")


@contextmanager
def flash_full(whole: Whole) -> Iterator[None]:
    with whole.dark():
        fill(whole.image, 1)
    whole.has_session()
    yield
    with whole.dark():
        whole.on_flash(lambda image: image.remove("filler.bin"))
    whole.has_session()


@contextmanager
def broken(whole: Whole, what: str, says: str) -> Iterator[None]:
    """A break of the servers that costs the session."""
    whole.tell_servers("break", what)
    whole.says(says)
    yield
    whole.tell_servers("mend", what)
    whole.has_session()


def active(image: Image) -> str:
    return (image.read("active") or b"").decode().strip()


@dataclass(frozen=True)
class Break:
    """What is broken, the one line that fails, what it says, and a part of the advice."""

    how: Callable[[Whole], AbstractContextManager[None]]
    line: str
    finding: str
    advice: str

    def __str__(self) -> str:
        return getattr(self.how, "__name__", "")


BREAKS = [
    Break(wrong_password, "login", "login.password", "install the broker's files"),
    Break(own_certificate_ended, "tls", "tls.own-expired", "renew it (make provision), then make flash"),
    Break(brokers_certificate_ended, "tls", "tls.broker-old", "the centre renews the broker's certificate"),
    Break(foreign_prefix_allowed, "access", "access.foreign", "install the file acl"),
    Break(broker_down, "broker", "broker.down", "does the broker run?"),
    Break(stream_down, "stream", "stream.down", "check its power and network"),
    Break(one_byte_of_firmware_flipped, "files", "files.damaged", "make flash"),
    Break(clock_unset, "clock", "clock.unset", "is clock.server right"),
    Break(journal_corrupted, "journal", "journal.quarantined", "tell the centre"),
    Break(button_stuck, "button", "button.stuck", "free the button from ice"),
    Break(flash_full, "flash", "flash.full", "remove foreign files"),
]


@pytest.mark.parametrize("one", BREAKS, ids=str)
def test_one_break_fails_exactly_its_line_with_the_right_advice(whole: Whole, one: Break) -> None:
    """Red without the break, too: then nothing fails."""
    whole.is_sound = False
    with one.how(whole):
        fails_only(whole.diag(), one.line, one.finding, one.advice)
    whole.is_sound = True


def test_after_all_that_is_mended_all_pass(whole: Whole) -> None:
    all_pass(whole.diag())


def fails_only(found: Checkup, line: str, finding: str, advice: str) -> None:
    assert found.with_verdict("FAIL") == [line]
    assert found.with_verdict("WARN") == []
    assert found.document["exit"] == 1
    failed = found.lines[line]
    assert failed["finding"] == finding and failed["cause"] and advice in failed["next"], failed
    for name in found.with_verdict("-"):
        assert name in ASKED_OF_A_PERSON or found.lines[name]["because"] == line, name
