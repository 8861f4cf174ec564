# mypy: allow-untyped-calls
"""Pins and links of a configuration: who claims which GPIO, chips told apart, addresses of a column's own."""

from typing import Any

import pytest
from config_document import document, errors

from firmware.startup import addresses, pins
from firmware.startup import config as config_module


@pytest.mark.parametrize("chip", pins.CHIPS)
def test_the_default_pins_of_each_chip_are_fit_for_it(chip: str) -> None:
    for role, pin in pins.defaults(chip).items():
        assert pin is None or pins.problem(chip, role, pin) is None
    assert errors(document(), chip) == []


PIN_TROUBLE = [
    ("esp32", "relay", 34, "input-only"),
    ("esp32", "button", 39, "no pull-up"),
    ("esp32", "button", 12, "strapping"),
    ("esp32", "relay", 6, "flash"),
    ("esp32", "relay", 1, "console"),
    ("esp32", "relay", 24, "there is no GPIO24"),
    ("esp32", "relay", -1, "there is no GPIO-1"),
    ("esp32", "supply", 25, "ADC2 does not work beside Wi-Fi"),
    ("esp32s2", "lamp_red", 46, "strapping"),
    ("esp32s2", "supply", 11, "ADC2"),
    ("esp32s3", "button", 45, "strapping"),
    ("esp32s3", "button", 30, "flash"),
    ("esp32c3", "button", 9, "strapping"),
    ("esp32c3", "button", 22, "there is no GPIO22"),
    ("esp32c3", "supply", 5, "ADC2"),
    ("esp32", "button", None, "must be a GPIO number"),
    ("esp32", "button", "4", "must be a GPIO number"),
    ("esp32", "tamper", True, "must be a GPIO number"),
    ("esp32", "tamper", 32, "GPIO32 is used twice"),
]


@pytest.mark.parametrize(("chip", "role", "pin", "words"), PIN_TROUBLE)
def test_a_pin_that_cannot_serve_is_refused(chip: str, role: str, pin: Any, words: str) -> None:
    found = errors(document(pins={role: pin}), chip)
    assert any(f"pins.{role}" in line and words in line for line in found), found


def test_a_pin_of_the_link_is_not_free() -> None:
    assert any("link.mdc" in line and "twice" in line for line in errors(document(pins={"button": 23}, link__mdc=23)))


RMII: dict[str, Any] = {"link": {"type": "ethernet", "phy": "PHY_LAN8720", "mdc": 23, "mdio": 18}}


@pytest.mark.parametrize("role", ["button", "relay", "lamp_red", "lamp_green", "lamp_blue", "tamper"])
@pytest.mark.parametrize("pin", [19, 21, 22, 25, 26, 27])
def test_the_fixed_pins_of_an_ethernet_phy_are_not_free(role: str, pin: int) -> None:
    found = errors(document(pins={role: pin}, **RMII))
    assert [line for line in found if f"pins.{role}" in line and "Ethernet (RMII, fixed)" in line], found


def test_without_an_ethernet_phy_they_are_free() -> None:
    spi = {"type": "ethernet", "phy": "PHY_W5500", "spi": 2, "cs": 5, "int": 35}
    for link in ({"type": "wifi"}, spi):
        assert errors(document(pins={"relay": 22}, link=link)) == [], link
    assert errors(document(**RMII)) == []


# An Ethernet chip on SPI 1 of an ESP32-S3, as on the Waveshare ESP32-S3-ETH.
W5500: dict[str, Any] = {"type": "ethernet", "phy": "PHY_W5500", "phy_addr": 0, "spi": 1, "sck": 13, "mosi": 11,
                         "miso": 12, "cs": 14, "int": 10, "reset": 9}  # fmt: skip
LAN8720: dict[str, Any] = {"type": "ethernet", "phy": "PHY_LAN8720", "phy_addr": 1, "mdc": 23, "mdio": 18, "power": 16,
                           "ref_clk": 0}  # fmt: skip
LINK_TROUBLE: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("esp32s3", {**W5500, "int": None}, {}, "link.int: missing, a PHY_W5500 needs it"),
    ("esp32s3", {**W5500, "cs": None}, {}, "link.cs: missing"),
    ("esp32s3", {**W5500, "spi": None}, {}, "link.spi: missing"),
    ("esp32s3", {**W5500, "phy": None}, {}, "link.phy: found PHY_LAN8720, but the esp32s3 has no RMII"),
    ("esp32s3", LAN8720, {}, "link.phy: found PHY_LAN8720, but the esp32s3 has no RMII: must be one of PHY_W5500"),
    ("esp32", {**LAN8720, "mdio": None}, {}, "link.mdio: missing, a PHY_LAN8720 needs it"),
    ("esp32", {"type": "ethernet"}, {}, "link.mdc: missing"),
    ("esp32s3", W5500, {"tamper": 12}, "pins.tamper and link.miso: GPIO12 is used twice"),
    ("esp32s3", {**W5500, "cs": 11}, {}, "link.cs and link.mosi: GPIO11 is used twice"),
    ("esp32", {**W5500, "sck": None, "mosi": None, "miso": None, "cs": 5, "int": 35, "reset": None}, {},
     "pins.lamp_green and link.sck (SPI's own, unless set): GPIO14 is used twice"),
    ("esp32", {**W5500, "sck": 18, "mosi": None, "miso": 19, "cs": 5, "int": 35, "reset": None}, {},
     "pins.lamp_red and link.mosi (SPI's own, unless set): GPIO13 is used twice"),
    ("esp32", {**W5500, "sck": 18, "mosi": 23, "miso": None, "cs": 5, "int": 35, "reset": None}, {},
     "link.miso (SPI's own, unless set): found 12, but GPIO12 is a strapping pin"),
    ("esp32c3", {**W5500, "sck": None, "mosi": None, "miso": None, "cs": 10, "int": 1, "reset": None}, {},
     "pins.relay and link.mosi (SPI's own, unless set): GPIO7 is used twice"),
    ("esp32s3", {**W5500, "spi": 2, "sck": None, "mosi": None, "miso": None}, {},
     "link.sck (SPI's own, unless set): found 36, but GPIO36 carries the flash"),
    ("esp32c3", {**W5500, "spi": 2}, {}, "link.spi: found 2, but the esp32c3 has only 1"),
    ("esp32s3", {**W5500, "int": 46}, {}, "link.int: found 46, but GPIO46 is a strapping pin"),
    ("esp32s3", {**W5500, "reset": 43}, {}, "link.reset: found 43, but GPIO43 is the console"),
    ("esp32", {**LAN8720, "reset": 34}, {}, "link.reset: found 34, but GPIO34 is input-only"),
    ("esp32", {**LAN8720, "power": 24}, {}, "link.power: found 24, but there is no GPIO24"),
    ("esp32c3", {"type": "wifi"}, {"relay": 11}, "pins.relay: found 11, but GPIO11 carries the flash (esp32c3)"),
]  # fmt: skip


@pytest.mark.parametrize(("chip", "link", "given", "words"), LINK_TROUBLE)
def test_a_link_that_cannot_work_with_these_pins_is_refused(
    chip: str, link: dict[str, Any], given: dict[str, int], words: str
) -> None:
    found = errors(document(link=link, pins=given), chip)
    assert any(line.startswith(words) for line in found), found


def test_every_claim_that_collides_is_told_at_once() -> None:
    """Red when the check stops at the first trouble."""
    found = errors(document(link={**W5500, "cs": 4, "int": None}, pins={"tamper": 13, "supply": 12}), "esp32s3")
    twice = [line.partition(":")[0] for line in found if "used twice" in line]
    assert sorted(twice) == ["pins.button and link.cs", "pins.supply and link.miso", "pins.tamper and link.sck"]
    assert any("pins.supply" in line for line in found) and any("link.int: missing" in line for line in found)


@pytest.mark.parametrize(
    ("chip", "link", "given"),
    [
        ("esp32s3", W5500, {"tamper": 17, "supply": 8}),
        ("esp32", LAN8720, {"lamp_red": 17}),  # WT32-ETH01
        ("esp32", {**LAN8720, "power": 12, "ref_clk": 17, "ref_clk_out": True, "phy_addr": 0}, {}),  # ESP32-POE
        ("esp32", {**LAN8720, "reset": 5}, {"lamp_red": 17}),
    ],
)
def test_the_documented_boards_are_accepted(chip: str, link: dict[str, Any], given: dict[str, int]) -> None:
    assert errors(document(link=link, pins=given), chip) == []


@pytest.mark.parametrize("chip", ["esp32c5", "esp32c6", "esp32c2", "esp32p4", "esp32h2", "rp2040", ""])
def test_an_unknown_chip_is_refused_by_name_and_none_of_its_pins_is_driven(chip: str) -> None:
    """Red when an unknown chip gets the pins of another."""
    (found,) = errors(document(), chip)
    assert found.startswith(f"chip: this firmware knows no pins of the {chip}, must be one of esp32, esp32c3")
    for make in (pins.defaults, config_module.fallback):
        with pytest.raises(ValueError, match="knows no pins"):
            make(chip)


def test_a_collision_on_the_bus_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by not knowing which pins an SPI host takes by itself."""
    monkeypatch.setattr(pins, "_bus", lambda chip, link: [])
    by_itself = [trouble for trouble in LINK_TROUBLE if "unless set" in trouble[3]]
    assert len(by_itself) >= 5
    for trouble in by_itself:
        with pytest.raises(AssertionError):
            test_a_link_that_cannot_work_with_these_pins_is_refused(*trouble)


# -- addresses

STATIC = {"address": "10.20.0.15", "netmask": "255.255.252.0", "gateway": "10.20.3.254", "dns": "10.20.0.53"}


def static(**changes: Any) -> list[str]:
    return errors(document(link={"type": "wifi", **STATIC, **changes}))


def test_a_static_address_a_host_name_and_a_country_are_taken() -> None:
    assert static(hostname="sos-01", country="KZ") == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dns": None}, "link.dns: missing, it belongs to link.address, link.netmask, link.gateway, link.dns"),
        ({"netmask": None, "gateway": None}, "link.netmask: missing"),
        ({"gateway": "10.20.4.1"}, "link.gateway: found 10.20.4.1, must be another host in the network"),
        ({"gateway": "10.20.0.15"}, "link.gateway: found 10.20.0.15, must be another host"),
        ({"address": "10.20.0.0"}, "link.gateway: found 10.20.3.254, must be"),
        ({"address": "10.20.3.255"}, "link.gateway: found 10.20.3.254, must be"),
        *(({"netmask": mask}, "link.netmask: found") for mask in ("255.0.255.0", "0.0.0.0", "255.255.255.255", "24")),
        *(({"address": bad}, "link.address: found") for bad in ("300.1.1.1", "10.20.0", "10.20.0.015", "10.20.0.٣",
          "0.1.2.3", "224.0.0.1", "10.20.0.15/24", "", 5)),
        *(({"hostname": bad}, "link.hostname: found") for bad in ("-a", "a-", "SOS", "sos.example", "", "x" * 33)),
        *(({"country": bad}, "link.country: found") for bad in ("kz", "KAZ", "K", "Қз", 7)),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    assert any(line.startswith(words) for line in static(**changes)), static(**changes)


def test_an_address_out_of_reach_of_its_gateway_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by looking at each address by itself."""
    monkeypatch.setattr(addresses, "together", lambda link: [])
    with pytest.raises(AssertionError):
        test_an_address_that_cannot_be_is_refused({"gateway": "10.20.4.1"}, "link.gateway: found")


def test_a_pin_shared_with_a_phy_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by not knowing the fixed pins."""
    monkeypatch.setattr(pins, "RMII", ())
    with pytest.raises(AssertionError):
        test_the_fixed_pins_of_an_ethernet_phy_are_not_free("relay", 22)


def test_an_unfit_pin_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by a table of chips that is empty."""
    monkeypatch.setattr(pins, "_CHIPS", {})
    with pytest.raises(AssertionError):
        test_a_pin_that_cannot_serve_is_refused(*PIN_TROUBLE[0])
