"""Ethernet: an RMII PHY on the ESP32, or a W5500 on SPI on every chip."""

import machine
import network

from hal.esp32_link import attempt, switch_on

_SPI_BAUD = 20000000


class EthernetLink:
    """An RMII PHY (ESP32 only: mdc, mdio) or a W5500 on SPI (every chip: spi, its pins, cs, int).

    Made once a boot: a second `network.LAN` fails, as `esp_netif_new` refuses the same key.
    """

    failure = None

    def __init__(self, config, address):
        options = {"phy_addr": config["phy_addr"] or 0}
        for name in ("mdc", "mdio", "power", "reset", "ref_clk", "cs", "int"):
            if config[name] is not None:
                options[name] = machine.Pin(config[name])
        if config["ref_clk"] is not None:
            options["ref_clk_mode"] = machine.Pin.OUT if config["ref_clk_out"] else machine.Pin.IN
        if config["spi"] is not None:
            bus = {k: machine.Pin(config[k]) for k in ("sck", "mosi", "miso") if config[k] is not None}
            options["spi"] = machine.SPI(config["spi"], baudrate=_SPI_BAUD, **bus)  # type: ignore[call-overload]
        name = config["phy"] or "PHY_LAN8720"
        if not hasattr(network, name):
            raise ValueError("link.phy: this board's MicroPython has no %s" % name)
        options["phy_type"] = getattr(network, name)
        self._nic = network.LAN(**options)
        self._address = address

    def start(self):
        switch_on(self._nic)
        if self._address:
            attempt(self._nic.ifconfig, self._address)  # ends DHCP

    def restart(self):
        attempt(self._nic.active, False)
        self.start()

    def is_up(self):
        return self._nic.isconnected()

    def describe(self):
        up = self._nic.isconnected()
        return {
            "kind": "ethernet",
            "rssi_dbm": None,
            "network": self._nic.ifconfig() if up else None,
            "status": self._nic.status(),
        }
