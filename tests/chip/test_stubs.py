"""The virtual `machine`, `network` and `esp32` take no call that the stubs of the real ones refuse."""

import importlib
from types import ModuleType

import pytest
from chip_stubs import STUBS, Stub, differences

MODULES = ("machine", "network", "esp32")


@pytest.mark.parametrize("name", MODULES)
def test_nothing_that_the_chip_refuses_is_taken(name: str) -> None:
    module = importlib.import_module(f"sim.chip.{name}")
    assert differences(module, Stub.load(name), name) == []


@pytest.mark.parametrize("name", MODULES)
def test_enough_is_compared(name: str) -> None:
    """The check would be green on an empty module: at least these are there."""
    least = {
        "machine": {"Pin", "PWM", "ADC", "WDT", "RTC", "Timer", "Counter", "reset", "reset_cause", "unique_id", "freq"},
        "network": {"WLAN", "LAN", "STA_IF", "STAT_GOT_IP", "hostname", "country"},
        "esp32": {"PCNT", "raw_temperature"},
    }
    module = importlib.import_module(f"sim.chip.{name}")
    stub = Stub.load(name)
    known = {*stub.classes, *stub.functions, *stub.constants}
    assert least[name] <= set(vars(module)) & known


def _fake(text: str) -> ModuleType:
    module = ModuleType("fake")
    exec(text, module.__dict__)
    return module


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("PWRON_RESET = 7", "machine.PWRON_RESET: is 7, must be 1"),
        ("NO_RESET = 1", "machine.NO_RESET: no such constant"),
        ("def explode(): pass", "machine.explode: no such function"),
        ("class Laser: pass", "machine.Laser: no such class"),
        ("class Pin:\n IN = 2", "machine.Pin.IN: is 2, must be 1"),
        ("class Pin:\n def blink(self): pass", "machine.Pin.blink: no such function"),
        ("class Pin:\n COLOUR = 1", "machine.Pin.COLOUR: no such constant"),
        ("class WDT:\n def feed(self, food=1): pass", "machine.WDT.feed: takes 1 arguments by place"),
        ("class WDT:\n def __init__(self, *, id=0, timeout=1, stop=0): pass", "takes stop=..., which the chip refuses"),
        ("class PWM:\n def freq(self, hz=1): pass", "machine.PWM.freq: takes hz=..., which the chip refuses"),
        ("class PWM:\n def freq(self, *hz): pass", "takes any number of arguments"),
        ("class RTC:\n def memory(self, **options): pass", "takes arguments of any name"),
        ("def unique_id(x): pass", "machine.unique_id: takes 1 arguments by place, must take 0 at most"),
    ],
)
def test_the_check_sees_what_is_too_much(text: str, complaint: str) -> None:
    found = differences(_fake(text), Stub.load("machine"), "machine")
    assert any(complaint in sentence for sentence in found), found


def test_what_the_stub_allows_is_allowed() -> None:
    text = "class PWM:\n def freq(self, __hz=1): pass\nclass WDT:\n def __init__(self, *, timeout=1): pass\nSLEEP = 2"
    assert differences(_fake(text), Stub.load("machine"), "machine") == []


def test_the_stubs_are_those_of_the_esp32() -> None:
    assert "'port': 'esp32'" in (STUBS / "machine.pyi").read_text(encoding="utf-8")
