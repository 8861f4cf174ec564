# mypy: allow-untyped-calls
"""Power cuts on LittleFS under MicroPython: a share of the search, each of its negative controls, and its own parts."""

import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from column_probe import PATIENCE_S, Recorder, need

from sim.real.changed import Change
from sim.real.column import RealColumn
from sim.real.flash_image import PROJECT
from sim.search.power_cuts import hunt, lives, search, tree
from sim.search.power_cuts.controls import SABOTAGES
from sim.servers.broker import Mosquitto
from sim.servers.centre import Centre

SEED = 1
WAYS = 8  # of cutting one operation
SHARE = [
    ("first boot", "boot.py's own", 0),
    ("call", "append to journal.log: open", 1),
    ("call", "append to journal.log: state", 2),
    ("compaction", "replace journal.log", 1),
    ("configuration", "copy config.json", 1),
    ("full flash", "remove journal.bad", 1),
    ("update", "replace active", 0),
    ("renewal", "rename tls.new to tls.good", 0),
    ("renewal that no broker takes", "remove tls.new", 0),
]


def never(_: hunt.Hunt) -> bool:
    return False


def quiet(_: str) -> None:
    pass


# -- the share of the search


@pytest.mark.micropython
@pytest.mark.parametrize(("life", "kind", "chip"), SHARE)
def test_a_cut_at_any_operation_loses_nothing(life: str, kind: str, chip: int) -> None:
    need("micropython")
    plan = [(lives.NAMES.index(life), chip)]
    found, complete = hunt.search(plan, SEED, (), quiet, never, kind=kind)
    row = found.row(kind, lives.GEOMETRIES[chip].name)
    assert complete and found.wrong == []
    assert row.operations > 0 and row.cuts == WAYS * row.operations and 0 < row.checks <= row.cuts
    assert found.total("cuts") == row.cuts


@pytest.mark.micropython
def test_the_lives_do_every_kind_of_write() -> None:
    """Without a single cut. Broken by a life that the firmware no longer leads: a command that counts as expired, a
    clock that is not believed for as long. The search itself says so only after all its cuts."""
    need("micropython")
    everyone = [(life, 0) for life in range(len(lives.LIVES))]
    found, complete = hunt.search(everyone, SEED, (), quiet, never, kind="none")
    assert complete and found.total("cuts") == 0
    assert {kind for kind, count in found.counted.items() if count} >= search.WRITES


@pytest.mark.micropython
def test_the_32_bit_build_says_the_same() -> None:
    need("micropython32")
    kind = "append to journal.log: press"
    found, _ = hunt.search([(1, 1)], SEED, (), quiet, never, bits=32, kind=kind)
    assert found.wrong == [] and found.total("cuts") >= WAYS


@pytest.mark.micropython
@pytest.mark.parametrize("control", SABOTAGES)
def test_each_control_is_red(control: str) -> None:
    need("micropython")
    findings = search.explore(search.ALL, 60, SEED, control, quiet)
    promise = search.PROMISES[SABOTAGES[control].caught]
    assert any(one.text.startswith(promise) for one in findings.violations), findings.violations
    assert promise == SABOTAGES[control].control.caught_by


@pytest.mark.micropython
def test_a_violation_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    need("micropython")
    control = "boot-not-counted"
    command = search.explore(search.ALL, 60, SEED, control, quiet).violations[0].replay
    what = command.split("'")[1]
    assert command.endswith(f"--control {control}") and search.replay(what, control) == 1
    assert "twice" in capsys.readouterr().out
    assert search.replay(what, None) == 0


@pytest.mark.parametrize("what", ["", "1/0", "1/0/x/torn/1", "99/0/1/torn/1"])
def test_a_replay_that_is_none_is_refused(what: str) -> None:
    with pytest.raises(ValueError, match="LIFE/GEOMETRY"):
        search.replay(what, None)


@pytest.mark.micropython
def test_a_budget_that_is_too_small_is_said() -> None:
    need("micropython")
    findings = search.run(0.01, SEED, None, quiet)
    assert "INCOMPLETE" in findings.figures and findings.kinds == frozenset()


@pytest.mark.micropython
def test_a_kind_of_write_that_nobody_foresaw_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    need("micropython")
    monkeypatch.setattr(search, "WRITES", search.WRITES - {"replace broker.addr"})
    findings = search.explore(((lives.NAMES.index("service"), 1),), 0.5, SEED, None, quiet)
    found, _ = hunt.search([(lives.NAMES.index("service"), 1)], SEED, (), quiet, never, kind="none of these")
    search._report(findings, found, SEED, None)
    assert any("nobody foresaw, replace broker.addr" in one.text for one in findings.violations)


# -- its parts


def test_a_break_that_does_not_fit_is_an_error() -> None:
    with (
        pytest.raises(ValueError, match="must be exactly one"),
        tree.staged((Change("boot.py", "no such text", ""),)),
    ):
        pass


def test_controls_do_not_touch_the_tree() -> None:
    before = PROJECT.joinpath("boot.py").read_text()
    with tree.staged(SABOTAGES["boot-not-counted"].breaks) as folder:
        assert (folder / "boot.py").read_text() != before
    assert PROJECT.joinpath("boot.py").read_text() == before


@pytest.fixture
def nor(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The device's flash, here on CPython."""
    host = ModuleType("sim.search.power_cuts.device.host")
    host.memory = bytearray  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sim.search.power_cuts.device.host", host)
    monkeypatch.delitem(sys.modules, "sim.search.power_cuts.device.nor", raising=False)
    from sim.search.power_cuts.device import nor as module

    return module


def content(flash: Any, block: int) -> bytes:
    buffer = bytearray(hunt.BLOCK_BYTES)
    flash.readblocks(block, buffer)
    return bytes(buffer)


def test_a_program_clears_bits_and_an_erase_sets_them(nor: Any) -> None:
    flash = nor.Nor(2)
    flash.ioctl(6, 1)
    flash.writeblocks(1, b"\xf0\x0f", 4)
    assert content(flash, 1)[:7] == b"\xff\xff\xff\xff\xf0\x0f\xff" and flash.refused == 0
    flash.writeblocks(1, b"\xff\x00", 4)
    assert content(flash, 1)[4:6] == b"\xf0\x00" and flash.refused == 1, "a program cannot set a bit"
    assert (flash.ioctl(4, 0), flash.ioctl(5, 0)) == (2, hunt.BLOCK_BYTES)
    assert flash.image()[0] == [1], "an untouched block is not carried around"


def test_a_block_that_was_never_erased_cannot_be_programmed(nor: Any) -> None:
    flash = nor.Nor(1)
    flash.writeblocks(0, b"\xff", 0)
    assert flash.refused == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_torn_program_lies_between_before_and_after(nor: Any, seed: int) -> None:
    dice = random.Random(seed)
    data = dice.randbytes(128)
    seen = {}
    for mode in nor.PROGRAM_MODES:
        flash = nor.Nor(1)
        flash.put(0, b"\xff" * hunt.BLOCK_BYTES)
        flash.tear(0, 64, data, mode, seed)
        torn = content(flash, 0)
        assert torn[:64] + torn[192:] == b"\xff" * (hunt.BLOCK_BYTES - 128), "nothing beside it"
        seen[mode] = torn[64:192]
        assert all(byte & wanted == wanted for byte, wanted in zip(seen[mode], data, strict=True)), "no bit too many"
    assert seen["before"] == b"\xff" * 128 and seen["after"] == data
    assert seen["half"] == data[:64] + b"\xff" * 64
    assert len({seen[mode] for mode in ("before", "after", "half", "torn", "thin", "edge")}) == 6


@pytest.mark.parametrize("seed", range(20))
def test_a_torn_erase_leaves_what_it_says(nor: Any, seed: int) -> None:
    old = random.Random(seed).randbytes(hunt.BLOCK_BYTES)
    seen = {}
    for number, mode in enumerate(nor.ERASE_MODES):
        flash = nor.Nor(1)
        flash.put(0, old)
        flash.tear(0, 0, None, mode, 16 * seed + number)
        seen[mode] = content(flash, 0)
    assert seen["before"] == old and seen["after"] == b"\xff" * len(old) and seen["zero"] == bytes(len(old))
    assert seen["half"] == b"\xff" * 2048 + old[2048:]
    assert all(byte & was == was for byte, was in zip(seen["torn"], old, strict=True)), "an erase clears no bit"
    assert len(set(seen.values())) == len(nor.ERASE_MODES)


# -- the light board against the real HAL on the whole virtual chip


@pytest.mark.micropython
@pytest.mark.mosquitto
@pytest.mark.parametrize(("operation", "mode"), [(40, "torn"), (70, "edge")])
def test_the_whole_virtual_chip_comes_up_on_what_a_cut_left(
    operation: int, mode: str, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """What the journal held reaches a real broker, and so does the next press."""
    need("micropython")
    path = tmp_path / "image"
    path.write_bytes(hunt.remains(lives.NAMES.index("compaction"), 0, operation, mode, SEED))
    seen, document = Recorder(), lives.document()
    del document["clock"]
    document["broker"] |= {"host": mosquitto.host, "port": mosquitto.port}
    document["secrets"] = {"wifi_ssid": "sos-columns"}
    device = document["device_id"]
    with (
        Centre(mosquitto.host, mosquitto.port, check_qos=True) as centre,
        RealColumn(document, runtime="micropython", flash_path=path, on_event=seen) as column,
    ):
        column.power_on()
        centre.wait_for(lambda ledger: len(ledger.of(device)) >= 2, PATIENCE_S, "what the journal held")
        restored = centre.ledger().of(device)
        column.press(80)
        centre.wait_for(
            lambda ledger: sum(one.press for one in ledger.of(device)) > sum(one.press for one in restored),
            PATIENCE_S,
            "the new press",
        )
    assert sorted(one.id for one in restored) == ["cut-01-16777200-1", "cut-01-16777200-2"]
    assert all(one.late for one in restored)
