"""Each hint's example is a right value of the very key that it is shown for: it is fed back, and has to be taken."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet_rig import GOOD, HEADER, TOML, Tables
from sentences import said_by

from common import arguments, console_code, release
from field import fleet, rows, shared
from field import release as releases
from field.accept import command as accept
from firmware.startup import config

ROOT = Path(fleet.__file__).resolve().parents[1]
EXAMPLE = re.compile(r"such as ('[^']*'|\S+?)(?=[,;)]? |[,;)]?$)", re.M)
WITH_EXAMPLE = {"lat", "lon", "uncertainty_m", "height_m", "stream", "ip", "netmask", "gateway", "dns"}


def examples(text: str) -> list[str]:
    return [found.strip("'") for found in EXAMPLE.findall(text)]


def told(file: Path) -> str:
    try:
        fleet.read(file)
    except fleet.FleetError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", [*rows.COLUMNS])
def test_an_example_in_a_columns_hint_is_right_for_that_column(table: Tables, name: str) -> None:
    """`height_m` showed a latitude. Red with one example for all."""
    addressed = {"hostname": "", "ip": "10.20.0.9", "netmask": "255.0.0.0", "gateway": "10.20.0.1", "dns": "10.20.0.2"}
    row = dict(zip(HEADER.split(","), GOOD.split(","), strict=True)) | addressed

    def with_cell(value: str) -> Path:
        return table(",".join(row), ",".join({**row, name: value}.values()), toml=TOML + 'country = "KZ"\n')

    found = [example for wrong in ("?!", "") for example in examples(told(with_cell(wrong)))]
    for example in found:
        assert told(with_cell(example)) == "", f"{name} {example}"
    assert bool(found) == (name in WITH_EXAMPLE)


def test_an_example_in_the_validators_hint_is_right_for_that_key() -> None:
    """Red with one that the check itself refuses."""
    found = {key: examples(hint) for key, check, _ in config._RULES if (hint := check("?!"))}
    with_one = {key: of_key for key, of_key in found.items() if of_key}
    assert with_one.keys() > {"location.geo", "link.address", "link.netmask", "link.country"}
    checks = {key: check for key, check, _ in config._RULES}
    assert {key: one for key, of_key in with_one.items() for one in of_key if checks[key](one)} == {}


def _taken(accepts: Callable[[str], object]) -> Callable[[str], bool]:
    return lambda example: accepts(example) is not None


def _settings(section: str, key: str) -> Callable[[str], bool]:
    """Of fleet.toml."""
    return lambda example: not [one for one, _ in shared.check({section: {key: example}}) if one == (section, key)]


def _no_error(accepts: Callable[[str, argparse.ArgumentParser], object]) -> Callable[[str], bool]:
    return lambda example: accepts(example, argparse.ArgumentParser(exit_on_error=False)) is not None


# The rest of what is said with an example: a part of the sentence -> what takes it.
OTHERS: dict[str, Callable[[str], bool]] = {
    "where people reach the desk": _settings("desk", "public"),
    "HOST:PORT such as broker": _no_error(accept._server), "two GPIOs": _no_error(accept._jumper),
    "a number of bytes": _taken(arguments.byte_count),
    "what the column shows": _taken(lambda example: console_code.code(b"k", example)),
    "no version and floor": lambda one: release.VERSION_FORM.fullmatch(one) is not None,
    "must be a version": _taken(releases._version),
}  # fmt: skip
# Held by the tests above.
BY_KEY = ("a number with a point", "at least one URI", "RFC 5870", "an IPv4 address", "a netmask", "capital letters")


def test_no_other_hint_has_an_example_that_is_refused() -> None:
    """Of all that the tools and the validator say. Red with a new hint that nobody holds to its example."""
    files = [
        *(ROOT / "field").rglob("*.py"),
        *(ROOT / "common").glob("*.py"),
        *(ROOT / "firmware/startup").glob("*.py"),
    ]
    said = {text for file in files for text in said_by(file, r"Error$|\.error$|append$|yield|return")}
    with_example = {text for text in said if "such as" in text and "serial port" not in text}
    assert len(with_example) >= len(OTHERS)
    for text in with_example:
        if any(part in text for part in BY_KEY):
            continue
        takers = [takes for part, takes in OTHERS.items() if part in text]
        assert len(takers) == 1, f"name what takes the example of: {text}"
        assert examples(text) and all(map(takers[0], examples(text))), text
