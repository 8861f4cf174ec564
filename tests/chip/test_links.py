"""hal/'s links on a chip, every runtime: addresses and names as configured, and an SPI bus of its own pins."""

from pathlib import Path
from typing import Any

import pytest
from chip_net_rig import Make
from config_document import document

from firmware.startup.config import validate

HAL = Path(__file__).resolve().parents[2] / "hal"
FILES: dict[str, str | bytes] = {
    f"hal/{name}.py": (HAL / f"{name}.py").read_text()
    for name in ("esp32_start", "esp32_network", "esp32_attempt", "esp32_link", "esp32_ethernet", "esp32_nolink")
}
STATIC = {"address": "10.20.0.15", "netmask": "255.255.255.0", "gateway": "10.20.0.1", "dns": "10.20.0.53"}
W5500 = {"type": "ethernet", "phy": "PHY_W5500", "spi": 1, "sck": 13, "mosi": 11, "miso": 12, "cs": 14, "int": 10}
PROBE = """
from hal.esp32_network import make_network
from hal.esp32_network import _name_network
from hal.esp32_start import chip
link, _ = make_network(CONFIG, lambda: None)
def up():
    while not link.is_up():
        time.sleep_ms(5)
    (interface,) = network._interfaces.values()
    return link.describe()["network"], interface._lease_name, network.country()
link.start()
print("up", up())
link.restart()
print("again", up())
print("chip", chip())
"""


def probe(chip: str = "esp32", **link: Any) -> str:
    config, errors = validate(document(link=link), chip)
    assert errors == []
    # The chips' probes make a Wi-Fi interface of their own.
    return f"network._interfaces.clear()\nCONFIG = {config!r}\n{PROBE}"


@pytest.mark.parametrize(("kind", "name"), [({"type": "wifi"}, "esp32"), (W5500, "esp32s3")])
def test_a_static_address_holds_over_a_restart_of_the_link(chip: Make, kind: dict[str, Any], name: str) -> None:
    one = chip(probe(name, **kind, **STATIC, hostname="sos-1", country="KZ"), FILES).start(chip=name)
    wanted = str((tuple(STATIC.values()), "sos-1", "KZ"))
    assert one.wait("up (.*)")[1] == wanted
    assert one.wait("again (.*)")[1] == wanted
    assert one.wait("chip (.*)")[1] == name


def test_without_one_the_address_comes_by_dhcp_and_the_device_id_is_the_host_name(chip: Make) -> None:
    one = chip(probe(type="wifi"), FILES).start()
    assert one.wait("up (.*)")[1] == str((("192.168.4.20", "255.255.255.0", "192.168.4.1", "192.168.4.1"),
                                          "petropavl-01", "XX"))  # fmt: skip


def test_a_name_that_comes_after_the_start_is_noticed(chip: Make) -> None:
    """Broken by naming the network behind the link's start."""
    path = "hal/esp32_network.py"
    unnamed = {**FILES, path: str(FILES[path]).replace("            _name_network(config)\n", "            pass\n")}
    late = probe(type="wifi").replace("link.start()", "link.start()\n_name_network(CONFIG)", 1)
    assert "mpy-esp32" in chip(late, unnamed).start().wait("up (.*)")[1]


BUS = """
from machine import PWM, SPI, Pin
def lan(**changed):
    options = {"spi": SPI(1), "cs": Pin(14), "int": Pin(10), "phy_type": network.PHY_W5500, "phy_addr": 0}
    options.update(changed)
    network._interfaces.clear()
    try:
        network.LAN(**options).active(True)
        return "works"
    except (OSError, ValueError) as error:
        return str(error)
print("own", lan())
print("silent", lan(int=None))
print("half", lan(cs=None))
lamp = PWM(Pin(11), freq=1000, duty_u16=0)
print("lamp", lan())
print("moved", lan(spi=SPI(1, sck=Pin(13), mosi=Pin(15), miso=Pin(12))))
"""


def test_a_bus_whose_pin_a_lamp_has_carries_nothing(chip: Make) -> None:
    one = chip(BUS).start(chip="esp32s3")
    assert one.wait("own (.*)")[1] == "works"
    assert one.wait("silent (.*)")[1] == "esp_eth_driver_install failed"
    assert one.wait("half (.*)")[1] == "spi and cs must be specified"
    assert one.wait("lamp (.*)")[1] == "esp_eth_start failed"
    assert one.wait("moved (.*)")[1] == "works"
