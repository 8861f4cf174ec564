# mypy: allow-untyped-calls
"""Every single bit of every file that the column trusts, flipped; and that each check would notice what it is for."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from firmware import record
from firmware.startup import config_files, seal
from sim.search.power_cuts import flips, lives
from sim.search.power_cuts.flips import Flipped


def wrong(found: list[Flipped]) -> list[str]:
    assert all(one.bits == one.detected + one.harmless + len(one.wrong) and one.bits > 0 for one in found)
    return [text for one in found for text in one.wrong]


def test_a_flip_in_the_journal_costs_that_record_and_is_noticed() -> None:
    one = flips.journal_flips()
    assert wrong([one]) == [] and one.detected == one.bits, "not one is harmless: each bit is under a CRC or frames it"


def test_a_flip_in_the_configuration_is_noticed_and_the_last_good_one_runs() -> None:
    found = flips.configuration_flips()
    assert wrong(found) == []
    assert [one.file for one in found] == ["config.json", "secrets.json"] * 2 + ["config.good"]
    assert sum(one.detected for one in found) > 5000


def test_a_flip_in_a_small_record_is_as_if_it_were_not_there() -> None:
    found = [flips.boot_flips(), *flips.active_flips(), *flips.small_flips()]
    assert wrong(found) == []
    assert {one.file for one in found} == {"boot.rec", "active", "reset.rec", "clock.floor", "broker.addr"}


# -- negative controls


def trusting(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """`record.lines` without the CRC."""
    for line in data.split(b"\n"):
        if line:
            yield line[9:], True


@pytest.mark.parametrize("search", [lambda: [flips.journal_flips()], flips.small_flips])
def test_without_the_crc_it_is_red(search: Callable[[], list[Flipped]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "lines", trusting)
    assert wrong(search())


def test_without_the_seal_it_is_red() -> None:
    """What an unsealed configuration cannot notice: about one bit in seven, as docs/configuration.md says."""
    found = flips.configuration_flips(seal=False)
    assert any("broker changed" in text for text in wrong(found))
    one = found[0]
    assert 0.1 < len(one.wrong) / one.bits < 0.2


def test_without_a_look_at_the_seal_it_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_files, "_is_sealed", lambda raw: seal.SEAL in raw)
    assert wrong(flips.configuration_flips())


def test_without_another_folder_to_look_in_it_is_red(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    source = flips.BOOT_PY.read_text()
    broken = tmp_path / "boot.py"
    broken.write_text(source.replace("else _some_folder(), False", 'else "", False'))
    assert broken.read_text() != source
    monkeypatch.setattr(flips, "BOOT_PY", broken)
    assert wrong(flips.active_flips())


# -- the seal


@pytest.mark.parametrize("text", [b"{}", b"{ }\n", b'{"a":1}', '{"a":{"crc":"Ақпан"}}'.encode()])
def test_a_sealed_file_reads_as_what_was_sealed(text: bytes) -> None:
    bench = flips.Bench({"x": config_files.sealed(text)})
    assert config_files._parse(bench.flash, "x") == (json.loads(text), [])


def test_a_seal_that_does_not_fit_is_explained() -> None:
    raw = lives.configuration()["config.json"].encode()
    files = {"config.json": raw.replace(b"1883", b"1884"), "secrets.json": b"{}"}
    document, errors = config_files.read(flips.Bench(files).flash, "")
    assert document is None and "config.json" in errors[0] and "removes the seal" in errors[0]
