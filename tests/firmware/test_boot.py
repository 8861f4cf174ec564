"""boot.py, executed for real with a folder as its flash: whatever lies there, it ends with a boot number and a mode."""

import json
import runpy
import sys
import types
from binascii import crc32
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BOOT_PY = str(Path(__file__).resolve().parents[2] / "boot.py")
FIRST_BASE = 1 << 24
SAFE_AFTER = 4
SERVICE_MS = 30 * 60_000


@pytest.fixture(autouse=True)
def flash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def boot() -> dict[str, Any]:
    return runpy.run_path(BOOT_PY)["boot"]


def framed(payload: bytes) -> bytes:
    return b"\n%08x %s\n" % (crc32(payload), payload)


def check(report: dict[str, Any]) -> None:
    assert set(report) == {"number", "unhealthy", "mode", "folder"}
    assert type(report["number"]) is int and report["number"] > 0
    assert type(report["unhealthy"]) is int and report["mode"] in ("normal", "safe", "service")


def test_a_fresh_flash_starts_at_random() -> None:
    first = boot()
    check(first)
    assert first["number"] > FIRST_BASE and first["unhealthy"] == 0 and first["mode"] == "normal"
    Path("boot.rec").unlink()
    assert boot()["number"] != first["number"]


def test_boots_are_counted() -> None:
    first = boot()["number"]
    assert [boot()["number"] for _ in range(3)] == [first + 1, first + 2, first + 3]


def test_a_boot_loop_ends_in_safe_mode_until_a_boot_is_certified(flash: Path) -> None:
    modes = [boot()["mode"] for _ in range(6)]
    assert modes == ["normal"] * SAFE_AFTER + ["safe"] * 2
    (flash / "boot.rec").write_bytes(framed(b'{"n":77,"u":0}'))  # as firmware/resets.py certifies
    report = boot()
    assert report == {"number": 78, "unhealthy": 0, "mode": "normal", "folder": ""}


def test_the_record_is_what_the_firmware_certifies(flash: Path) -> None:
    """boot.py frames by itself, because damaged firmware files must not stop it; the frames must be the same."""
    from fake_board import FakeBoard

    from firmware import record, resets

    number = boot()["number"]
    good, bad = record.split((flash / "boot.rec").read_bytes())
    assert len(good) == 1 and not bad
    board = FakeBoard()
    resets.certify(board, number, True)
    (flash / "boot.rec").write_bytes(board.flash.files["boot.rec"])
    assert boot() == {"number": number + 1, "unhealthy": 0, "mode": "normal", "folder": ""}


def test_every_bit_flip_of_the_record_is_noticed(flash: Path) -> None:
    """A flipped bit must not lead to a number that was used; only the surrounding line feeds carry no information."""
    good = framed(b'{"n":20000000,"u":1}')
    for position in range(len(good)):
        for bit in range(8):
            data = bytearray(good)
            data[position] ^= 1 << bit
            (flash / "boot.rec").write_bytes(bytes(data))
            report = boot()
            check(report)
            assert report["number"] > FIRST_BASE
            assert report["number"] == 20_000_001 or report["unhealthy"] == 0


def test_a_flash_that_cannot_be_written_repeats_no_number(flash: Path) -> None:
    boot()
    (flash / "boot.rec.new").mkdir()  # opening it for writing fails
    numbers = {boot()["number"] for _ in range(4)}
    assert len(numbers) == 4


def test_service_mode_lasts_one_boot(flash: Path) -> None:
    (flash / "service.req").touch()
    assert [boot()["mode"] for _ in range(2)] == ["service", "normal"]


def test_service_beats_safe_mode(flash: Path) -> None:
    for _ in range(5):
        boot()
    (flash / "service.req").touch()
    assert [boot()["mode"] for _ in range(2)] == ["service", "safe"]


@pytest.fixture
def reset(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Boots after that reset, as the chip's `machine` says it."""
    machine = types.ModuleType("machine")
    causes = {"HARD_RESET": 2, "SOFT_RESET": 5}
    vars(machine).update(causes)
    monkeypatch.setitem(sys.modules, "machine", machine)

    def boot_after(cause: str) -> dict[str, Any]:
        machine.reset_cause = lambda: causes[cause]  # type: ignore[attr-defined]
        return boot()

    return boot_after


def test_a_technicians_commands_are_no_boot_loop(flash: Path, reset: Callable[[str], dict[str, Any]]) -> None:
    """mpremote begins most of them with a soft reset, which runs boot.py and not main.py. Red where boot.py counts
    those, or the boots of service mode; numbers never come twice."""
    seen = [reset("HARD_RESET")]
    for _ in range(SAFE_AFTER + 1):
        (flash / "service.req").touch()
        seen += [reset("HARD_RESET"), reset("SOFT_RESET"), reset("SOFT_RESET")]
    seen.append(reset("HARD_RESET"))
    assert [one["mode"] for one in seen if one["mode"] != "service"] == ["normal"] * (2 * SAFE_AFTER + 4)
    assert len({one["number"] for one in seen}) == len(seen)


def test_a_loop_is_one_whatever_is_typed_in_between(reset: Callable[[str], dict[str, Any]]) -> None:
    """A soft reset goes on with the start that it cuts into: the last one before safe mode stays that. Red where it
    counts, or makes a start count as healthy."""
    modes = [[reset("HARD_RESET")["mode"], reset("SOFT_RESET")["mode"]] for _ in range(SAFE_AFTER + 1)]
    assert modes == [["normal"] * 2] * SAFE_AFTER + [["safe"] * 2]


values = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 9), st.text(max_size=3), st.lists(st.integers(), max_size=2)
)
valid_frames = st.one_of(
    st.binary(max_size=40).map(framed),
    st.tuples(values, values).map(lambda nu: framed(json.dumps({"n": nu[0], "u": nu[1]}).encode())),
    st.integers(1, 40).map(lambda depth: framed(b"[" * depth)),
)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.binary(max_size=80), valid_frames))
@pytest.mark.slow
def test_any_record_ends_in_a_boot(flash: Path, data: bytes) -> None:
    """Also frames that are intact and say nonsense."""
    (flash / "boot.rec").write_bytes(data)
    check(boot())


def test_a_folder_in_place_of_the_record(flash: Path) -> None:
    (flash / "boot.rec").mkdir()
    (flash / "boot.rec" / "x").touch()
    (flash / "service.req").mkdir()
    check(boot())


def test_main_has_its_boot_report(
    flash: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """main.py in service mode: says so and ends; of the chip it takes the watchdog alone, which ends the service."""
    armed: list[int] = []
    machine = types.ModuleType("machine")
    vars(machine)["WDT"] = lambda timeout: armed.append(timeout)
    monkeypatch.setitem(sys.modules, "machine", machine)
    (flash / "service.req").touch()
    namespace = {"boot": boot()}
    runpy.run_path(str(Path(BOOT_PY).with_name("main.py")), init_globals=namespace)
    assert "service mode" in capsys.readouterr().out and armed == [SERVICE_MS]


# -- the folder in force


@pytest.mark.parametrize(
    ("active", "folder"),
    [(b"a", "a"), (b"b", "b"), (b"ba", "b"), (b"a/", "a"), (b"/a", ""), (b"", ""), (b"x", ""), (b"\xff\xfe", "")],
)
def test_the_folder_in_force_is_the_one_that_is_named(flash: Path, active: bytes, folder: str) -> None:
    (flash / "active").write_bytes(active)
    assert boot()["folder"] == folder
    assert (flash / "active").read_bytes() == active


@pytest.mark.parametrize(("active", "before"), [(b"ba", "a"), (b"ab", "b"), (b"a/", "")])
def test_a_firmware_that_never_became_healthy_gives_way_to_the_one_before(
    flash: Path, active: bytes, before: str
) -> None:
    """Red when `_folder` does not look at `is_looping`, or goes back again and again."""
    (flash / "active").write_bytes(active)
    reports = [boot() for _ in range(SAFE_AFTER + 3)]
    assert [report["folder"] for report in reports] == [active[:1].decode()] * SAFE_AFTER + [before] * 3
    assert [report["mode"] for report in reports] == ["normal"] * (SAFE_AFTER + 1) + ["safe"] * 2
    assert (flash / "active").read_bytes() == active[1:]


def test_a_firmware_that_proved_healthy_stays_whatever_comes(flash: Path) -> None:
    from fake_board import FakeBoard

    from firmware import resets

    board = FakeBoard()
    board.flash.files["active"] = b"ba"
    resets.certify(board, 5, True)
    (flash / "active").write_bytes(board.flash.files["active"])
    assert [boot()["folder"] for _ in range(SAFE_AFTER + 2)] == ["b"] * (SAFE_AFTER + 2)


def test_going_back_needs_no_room_on_the_flash(flash: Path) -> None:
    (flash / "active").write_bytes(b"ba")
    (flash / "active.new").mkdir()  # cannot be written
    assert [boot()["folder"] for _ in range(SAFE_AFTER + 2)] == ["b"] * SAFE_AFTER + ["a"] * 2
