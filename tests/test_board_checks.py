"""The console's commands for a check-up, on a virtual board: real MicroPython over its serial port."""

import hashlib

import pytest
from test_board_console import RUNTIMES, Duty, duty  # noqa: F401  (a fixture)

from field import bundle
from field.console import Console

pytestmark = pytest.mark.micropython


def both(test: object) -> object:
    return pytest.mark.parametrize("duty", RUNTIMES, indirect=True)(test)


@both
def test_its_files_are_the_bundles(duty: Duty) -> None:  # noqa: F811
    with Console(duty.board.port) as console:
        answer = console.ask("files")
    made = bundle.make()
    everything = made.files | {name.removeprefix("lib/"): data for name, data in made.libraries.items()}
    wanted = {name: hashlib.sha256(data).hexdigest()[:16] for name, data in everything.items()}
    assert {name: answer["files"].get(name) for name in wanted if not name.startswith("umqtt/")} == {
        name: digest for name, digest in wanted.items() if not name.startswith("umqtt/")
    }
    assert answer["sealed"] == {"config.json": True, "secrets.json": True} and answer["folder"] == ""
    duty.alarm()
    assert duty.resets() == []
