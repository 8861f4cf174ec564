# mypy: allow-untyped-calls
"""The chip's two heaps: what takes from IDF's, what happens when it does not fit, and how MicroPython's grows."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.assumptions import load
from sim.chip import gc, heaps, host, network, socket, thread, tls, wires
from sim.chip.options import CHIPS
from sim.real.heaps import figures_of

FIRST, OBJECTS = 57_344, 56_000  # an area of the ESP32's, and what it holds
LARGEST, SPARE = 110_592, 2_048


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(host, "say", lambda _: None)
    monkeypatch.setattr(host, "poll_line", lambda: None)
    monkeypatch.setattr(network, "_interfaces", {})
    monkeypatch.setitem(wires.options, "tls_ms", 0)
    monkeypatch.setitem(wires.options, "fails", "")
    yield
    heaps.start("")


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., None]:
    def start(used: Callable[[], int] = lambda: 0, collect: Callable[[], None] = lambda: None, **changes: Any) -> None:
        told = figures_of("esp32", psram=False, heap_bytes=None, simulators_bytes=0) | changes
        (tmp_path / "heaps.json").write_text(json.dumps(told))
        raw = SimpleNamespace(mem_alloc=used, mem_free=lambda: 10_000, collect=collect)
        heaps.start(str(tmp_path / "heaps.json"), raw)

    return start


def test_mem_free_counts_what_is_idfs(begin: Callable[..., None]) -> None:
    begin(lambda: 40_000)
    assert gc.mem_free() == OBJECTS - 40_000 + LARGEST
    assert gc.mem_alloc() == 40_000


def test_the_heap_grows_to_twice_its_size_then_by_all_that_is_left(begin: Callable[..., None]) -> None:
    used = [40_000]
    begin(lambda: used[0])
    used[0] = OBJECTS + 16
    gc.collect()
    assert heaps.largest() == LARGEST - FIRST
    assert gc.mem_free() == OBJECTS - 16 + LARGEST - FIRST
    used[0] = 2 * OBJECTS + 16
    gc.collect()
    assert heaps.largest() == 13_312, "the third area took the whole block, and no buffer of TLS fits any more"
    assert heaps.take("tls_session") is None
    used[0] = 200_000
    with pytest.raises(MemoryError):
        gc.collect()


def test_garbage_makes_no_heap_grow(begin: Callable[..., None]) -> None:
    used = [OBJECTS + 16]
    begin(lambda: sum(used), used.clear)
    heaps.watch()
    assert heaps.largest() == LARGEST


@pytest.mark.parametrize(
    ("room", "begins", "error"),
    [
        (20_000, lambda: network.WLAN(network.STA_IF), "WiFi Out of Memory"),
        (30_000, lambda: network.WLAN(network.STA_IF).active(True), "WiFi Out of Memory"),
        (
            10_000,
            lambda: network.LAN(phy_addr=0, phy_type=network.PHY_LAN8720, mdc=23, mdio=18),
            "no memory for driver",
        ),
        (1_000, lambda: tls.SSLContext(tls.PROTOCOL_TLS_CLIENT), "ENOMEM|12"),
        (4_000, socket.socket, "ENOBUFS|105"),
        (4_000, lambda: thread.start_new_thread(print, ()), "can't create thread"),
        (20_000, lambda: tls.SSLContext(tls.PROTOCOL_TLS_CLIENT).wrap_socket(SimpleNamespace(raw=None)), "ENOMEM|12"),
    ],
)
def test_what_does_not_fit_is_refused_as_on_the_chip(
    begin: Callable[..., None], room: int, begins: Callable[[], Any], error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(wires.options, "chip", "esp32")
    begin(regions=[room], first=0)
    with pytest.raises(OSError, match=error):
        begins()


def test_what_is_closed_is_given_back(begin: Callable[..., None]) -> None:
    begin()
    before = heaps.free()
    one, other = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    assert heaps.free() == before - 5_632 - 1_024
    one.close()
    one.close()
    other.close()
    assert heaps.free() == before and heaps.lowest == before - 5_632 - 1_024


def test_a_handshake_takes_more_until_something_comes_through(begin: Callable[..., None]) -> None:
    begin()
    before, said = heaps.free(), [None, 5]
    stream = SimpleNamespace(write=lambda _: said.pop(0), close=lambda: None)
    sock = tls.SSLSocket(SimpleNamespace(raw=None, close=lambda: None), stream, heaps.take("tls_session"))
    sock.write(b"hello")
    assert heaps.free() == before - 22_528 - 15_360
    sock.write(b"hello")
    assert heaps.free() == before - 22_528
    sock.close()
    assert heaps.free() == before


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("psram", [True, False])
def test_each_chip_is_told_its_own(chip: str, psram: bool) -> None:
    figures = load()
    told = figures_of(chip, psram=psram, heap_bytes=None, simulators_bytes=0)
    assert told["regions"] == sorted(told["regions"])
    first = figures["gc_first_bytes"].on(chip)
    internal = sum(told["regions"]) - (figures["psram_bytes"].on(chip) + first if psram else 0)
    assert internal == figures["idf_boot_largest_bytes"].on(chip) + figures["idf_boot_other_bytes"].on(chip)
    assert told["first"] == (0 if psram else first)


def test_a_heap_of_ones_own_size_is_taken_from_idf() -> None:
    told = figures_of("esp32", psram=False, heap_bytes=96 * 1024, simulators_bytes=0)
    assert max(told["regions"]) == LARGEST + FIRST - 96 * 1024 and not told["first"]


def test_an_image_of_ones_own_begins_with_its_own_first_area() -> None:
    told = figures_of("esp32", psram=False, heap_bytes=None, simulators_bytes=0, in_place=True)
    own = int(load()["gc_first_own_bytes"].on("esp32"))
    assert told["first"] == own and max(told["regions"]) == LARGEST + FIRST - own


def test_other_figures_are_taken_instead() -> None:
    told = figures_of("esp32", psram=False, heap_bytes=None, simulators_bytes=0, figures={"tls_handshake_bytes": 9_000})
    assert told["prices"]["tls_handshake"][0] == 9_000 and told["prices"]["tls_session"] == [22_528, 16_717]
