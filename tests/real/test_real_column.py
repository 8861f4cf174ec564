"""The column around a chip that runs a small probe firmware, on every runtime."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from column_probe import CONFIG, MAIN, WATCHDOG_MS, Recorder, sources

from firmware.lamp import COLOURS
from sim.real import flash_image
from sim.real.column import RealColumn


@pytest.fixture
def seen() -> Recorder:
    return Recorder()


@pytest.fixture
def column(runtime: str, probe: Path, tmp_path: Path, seen: Recorder) -> Iterator[RealColumn]:
    image = tmp_path / "flash.img"
    with RealColumn(CONFIG, runtime=runtime, flash_path=image, sources=probe, on_event=seen) as column:
        yield column


def is_alive(pid: int) -> bool:
    """Running, not just waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def chip_pid(column: RealColumn) -> int:
    assert column.chip_pid is not None
    return column.chip_pid


def test_the_reset_button_starts_the_chip_again(column: RealColumn, seen: Recorder) -> None:
    column.reset()  # without power nothing happens
    column.power_on()
    seen.wait("boot", boot=1, cause="power-on")
    column.reset()
    assert "culprit" not in seen.wait("reset", cause="hard")
    seen.wait("boot", boot=2, cause="hard")


def test_two_chips_do_not_share_a_flash(probe: Path, tmp_path: Path, seen: Recorder) -> None:
    """... whatever it is called. Red when nothing is held, or when a column keeps it after its end."""
    image, alias = tmp_path / "flash.img", tmp_path / "alias.img"
    alias.symlink_to(image)
    with RealColumn(CONFIG, flash_path=image, sources=probe, on_event=seen):
        before = image.read_bytes()
        with pytest.raises(ValueError, match=rf"alias.img: another board or column \(process {os.getpid()}\).*--flash"):
            RealColumn({**CONFIG, "device_id": "other"}, flash_path=alias, sources=probe, on_event=seen)
        assert image.read_bytes() == before
    RealColumn(None, flash_path=image, on_event=seen).close()
    with pytest.raises(FileNotFoundError, match=r"none/flash.img'$"):
        RealColumn(CONFIG, flash_path=tmp_path / "none" / "flash.img", sources=probe, on_event=seen)


def test_a_long_name_of_the_flash_takes_nothing_from_the_firmwares_heap(
    probe: Path, tmp_path: Path, seen: Recorder
) -> None:
    """Red when the chip is given the name as it is, which then lies in its heap."""
    folder = tmp_path / ("a" * 100)
    folder.mkdir()
    with RealColumn(CONFIG, flash_path=folder / "flash.img", sources=probe, on_event=seen) as column:
        column.power_on()
        seen.wait("boot", boot=1)
        given = Path(f"/proc/{chip_pid(column)}/cmdline").read_bytes().split(b"\0")
    (flash,) = (argument for argument in given if argument.startswith(b"flash="))
    assert str(folder).encode() not in flash


def test_a_press_is_seen_and_a_power_cut_is_dark(column: RealColumn, seen: Recorder) -> None:
    column.power_on()
    assert seen.wait("boot")["boot"] == 1
    ready = seen.wait("lamp", state="ready")
    before_ms = column.now_ms()
    column.press(150)
    calling = seen.wait("lamp", state="calling")
    assert ready["t_ms"] <= before_ms <= calling["t_ms"] <= before_ms + 1000
    seen.wait("relay", closed=True)
    opened = seen.wait("relay", closed=False)
    assert 100 <= opened["t_ms"] - calling["t_ms"] <= 1150, "the contact opened when it should"
    assert not [e for e in seen.drain(0.2) if e["event"] == "lamp"], "a black phase is no state"
    column.hold()
    seen.wait("relay", closed=True)
    column.power_off()
    assert seen.wait("lamp")["state"] == "dark"
    assert seen.wait("relay")["closed"] is False
    assert seen.drain(0.3) == []


def test_the_contact_moves_without_power_and_the_image_is_kept(column: RealColumn, seen: Recorder) -> None:
    column.press(50)
    assert seen.drain(0.2) == []
    column.hold()
    column.power_on()
    seen.wait("boot", boot=1, cause="power-on")
    seen.wait("lamp", state="calling")
    column.power_off()
    column.release()
    column.power_on()
    seen.wait("boot", boot=2, cause="power-on")
    seen.wait("lamp", state="ready")
    assert "calling" not in [e.get("state") for e in seen.drain(0.3)]


@pytest.mark.alone
def test_a_hang_ends_in_a_reset_within_a_second_of_the_timeout(column: RealColumn, seen: Recorder) -> None:
    column.power_on()
    seen.wait("lamp", state="ready")
    hung_ms = column.now_ms()
    column.hang("probe")
    reset = seen.wait("reset")
    assert (reset["cause"], reset["culprit"]) == ("watchdog", "probe")
    assert WATCHDOG_MS - 200 <= reset["t_ms"] - hung_ms <= WATCHDOG_MS + 1000
    seen.wait("boot", boot=2, cause="watchdog")
    seen.wait("lamp", state="ready")


def test_a_healthy_chip_is_never_bitten(column: RealColumn, seen: Recorder) -> None:
    column.power_on()
    seen.wait("lamp", state="ready")
    column.hang("another")
    assert not [e for e in seen.drain(2 * WATCHDOG_MS / 1000) if e["event"] == "reset"]


def test_edges_still_to_come_reach_a_chip_that_starts_again(column: RealColumn, seen: Recorder) -> None:
    column.power_on()
    seen.wait("lamp", state="ready")
    column.wave([(WATCHDOG_MS * 1000 + 3_000_000, 1), (WATCHDOG_MS * 1000 + 5_000_000, 0)])
    column.hang("probe")
    seen.wait("boot", boot=2)
    seen.wait("lamp", state="ready")
    seen.wait("lamp", state="calling")


def test_the_firmwares_own_reset_and_a_crash_are_resets(column: RealColumn, seen: Recorder) -> None:
    column.power_on()
    seen.wait("log", text="tamper=0")
    column.tamper(True)
    assert "culprit" not in seen.wait("reset", cause="hard")
    seen.wait("log", text="tamper=1")
    column.tamper(False)
    seen.drain(0.5)  # it may have been in the middle of a reset
    os.kill(chip_pid(column), signal.SIGKILL)
    assert "ended by itself" in seen.wait_for(lambda e: "simulator:" in e.get("text", ""), 5, "log")["text"]
    seen.wait("reset", cause="hard")
    seen.wait("boot", cause="hard")


def test_a_chip_at_the_repl_without_a_watchdog_stays_dead_and_says_so(
    runtime: str, tmp_path: Path, seen: Recorder
) -> None:
    broken = sources(tmp_path / "broken", COLOURS, main="raise RuntimeError('no column here')\n")
    with RealColumn(CONFIG, runtime=runtime, sources=broken, on_event=seen) as column:
        column.power_on()
        seen.wait_for(lambda e: "no column here" in e.get("text", ""), 20, "traceback on the console")
        seen.wait_for(lambda e: "no watchdog is armed" in e.get("text", ""), 20, "log of the column")
        assert not [e for e in seen.drain(1.0) if e["event"] != "log"]


def test_a_chip_at_the_repl_with_a_watchdog_is_restarted(runtime: str, tmp_path: Path, seen: Recorder) -> None:
    main = MAIN.replace("watchdog.feed()", "raise RuntimeError('gone')")
    with RealColumn(CONFIG, runtime=runtime, sources=sources(tmp_path / "p", COLOURS, main), on_event=seen) as column:
        column.power_on()
        seen.wait("reset", cause="watchdog", culprit="probe")
        seen.wait("boot", boot=2)


def test_a_message_cut_short_is_logged_and_the_column_lives_on(tmp_path: Path, seen: Recorder) -> None:
    main = 'import sys\nsys.stdout.write("\\x01{\\"pin\\":13,\\n")\n' + MAIN
    with RealColumn(CONFIG, sources=sources(tmp_path / "p", COLOURS, main), on_event=seen) as column:
        column.power_on()
        seen.wait_for(lambda e: "cut short" in e.get("text", ""), 20, "log of the column")
        seen.wait("lamp", state="ready")


def test_close_leaves_no_process_and_no_column(column: RealColumn, seen: Recorder) -> None:
    column.power_on()
    seen.wait("lamp", state="ready")
    pid = chip_pid(column)
    assert is_alive(pid)
    column.close()
    assert not is_alive(pid)
    column.close()
    with pytest.raises(RuntimeError, match="closed"):
        column.press(100)


def test_a_chip_dies_with_a_killed_parent_even_when_it_hangs(runtime: str, probe: Path) -> None:
    parent = f"""
import pathlib, sys, time
sys.path[:0] = {[str(flash_image.PROJECT), str(Path(__file__).parents[1] / "rigs")]!r}
from column_probe import CONFIG, Recorder
from sim.real.column import RealColumn
seen = Recorder()
column = RealColumn(CONFIG, runtime={runtime!r}, sources=pathlib.Path({str(probe)!r}), on_event=seen)
column.power_on()
seen.wait("lamp", state="ready")
column.hang("probe")
print(column.chip_pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_alive(pid)
        time.sleep(0.2)
        process.kill()
        process.wait()
    deadline = time.monotonic() + 2
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


def test_on_event_may_command_the_column(runtime: str, probe: Path) -> None:
    seen = Recorder()

    def answer(event: dict[str, object]) -> None:
        seen(event)
        if event.get("state") == "ready":
            made.press(100)

    with RealColumn(CONFIG, runtime=runtime, sources=probe, on_event=answer) as made:
        made.power_on()
        seen.wait("lamp", state="calling")


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        ({"runtime": "lua"}, "must be one of cpython"),
        ({"heap_bytes": 1}, "needs a MicroPython"),
        ({"chip": "z80"}, "must be one of esp32"),
    ],
)
def test_arguments_are_refused_with_what_would_be_right(
    arguments: dict[str, object], right: str, seen: Recorder
) -> None:
    with pytest.raises(ValueError, match=right):
        RealColumn(CONFIG, on_event=seen, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("edges", [[], [(-1, 1)], [(5, 1), (4, 0)]])
def test_a_wave_out_of_order_is_refused(edges: list[tuple[int, int]], probe: Path, seen: Recorder) -> None:
    with RealColumn(CONFIG, sources=probe, on_event=seen) as column, pytest.raises(ValueError, match="not go back"):
        column.wave(edges)


def test_the_turns_of_the_loop_can_be_followed(column: RealColumn, seen: Recorder) -> None:
    assert column.turned_us == 0
    column.power_on()
    seen.wait("lamp", state="ready")
    first_us = column.turned_us
    end_s = time.monotonic() + 5
    while column.turned_us <= first_us and time.monotonic() < end_s:
        time.sleep(0.01)
    assert 0 < first_us < column.turned_us
