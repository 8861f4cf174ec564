"""Keys that go when the housing opens, on MicroPython and its LittleFS: what is left in the flash's bits."""

import time
from pathlib import Path
from typing import Any

import pytest
from column_probe import PATIENCE_S, Recorder, need

from desk.ledger import Ledger
from sim.document import document
from sim.real.column import RealColumn
from sim.servers.broker import Mosquitto
from sim.servers.centre import Centre

pytestmark = [pytest.mark.micropython, pytest.mark.mosquitto]
ME, SECRET = "probe-01", "SECRET-of-the-Wi-Fi"
FILLING_S = 120.0
START_S = 3.5  # a housing that opens sooner may have been open before: the keys go 60 s later, then


def test_an_opened_housing_leaves_no_key_and_new_keys_make_a_column(tmp_path: Path) -> None:
    """Red when the restart finds nothing noted, when files are only removed, or when the note outlives new keys."""
    need("micropython32")
    need("mosquitto")
    flash, seen = tmp_path / "flash.img", Recorder()
    with Mosquitto() as broker, Centre(broker.host, broker.port) as centre:
        secrets = {"auth_key": "0123456789abcdef" * 4, "wifi_password": SECRET}
        asked: dict[str, Any] = {"pins": {"tamper": 27}, "tamper": {"wipe_after_s": 60}, "secrets": secrets}
        configuration = document(ME, broker.host, broker.port, **asked)
        with RealColumn(configuration, runtime="micropython32", flash_path=flash, on_event=seen) as column:
            column.power_on()
            seen.wait("lamp", state="ready")
            assert SECRET.encode() in flash.read_bytes()
            time.sleep(START_S)  # of a real clock
            column.tamper(True)
            centre.wait_for(_is_open, PATIENCE_S, "the fault")
            seen.wait("log", text="restart: the keys are wiped")
            seen.wait("lamp", state="out-of-service")
            seen.wait_for(lambda e: "are overwritten" in e.get("text", ""), FILLING_S, "the end of the wipe")
        left = flash.read_bytes()
        assert SECRET.encode() not in left and secrets["auth_key"].encode() not in left
        with RealColumn(configuration, runtime="micropython32", flash_path=flash, on_event=seen) as column:
            column.power_on()
            seen.wait("lamp", state="ready")


def _is_open(ledger: Ledger) -> bool:
    return ME in ledger.columns and bool(ledger.columns[ME].faults.get("tamper"))
