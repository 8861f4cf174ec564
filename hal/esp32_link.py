"""Wi-Fi and Ethernet. The driver retries by itself; connecting again meanwhile is an error on the chip."""

import machine
import network

_SPI_BAUD = 20000000


def make_link(config, secrets):
    """`config`: the section "link"; its type "none" is the fallback of a board without a usable configuration."""
    if config["type"] == "wifi":
        return WifiLink(secrets["wifi_ssid"], secrets["wifi_password"])
    if config["type"] == "ethernet":
        return EthernetLink(config)
    return NoLink()


class NoLink:
    def start(self):
        pass

    def restart(self):
        pass

    def is_up(self):
        return False

    def describe(self):
        return {"kind": "other", "rssi_dbm": None, "address": None, "status": None}


class WifiLink:
    def __init__(self, ssid, password):
        self._ssid = ssid
        self._password = password
        self._nic = network.WLAN(network.STA_IF)

    def start(self):
        nic = self._nic
        nic.active(True)
        nic.config(pm=network.WLAN.PM_NONE)  # power save delays messages
        if nic.isconnected() or nic.status() == network.STAT_CONNECTING:
            return
        try:
            nic.connect(self._ssid, self._password)
        except OSError as error:
            print("link: the driver is busy joining: %s" % error)

    def restart(self):
        self._nic.active(False)
        self.start()

    def is_up(self):
        return self._nic.isconnected()

    def describe(self):
        up = self._nic.isconnected()
        return {
            "kind": "wifi",
            "rssi_dbm": self._nic.status("rssi") if up else None,
            "address": self._nic.ifconfig()[0] if up else None,
            "status": self._nic.status(),
        }


class EthernetLink:
    """An RMII PHY (ESP32 only: mdc, mdio) or a W5500 on SPI (every chip: spi, cs, int)."""

    def __init__(self, config):
        options = {"phy_addr": config["phy_addr"] or 0}
        for name in ("mdc", "mdio", "power", "ref_clk", "cs", "int"):
            if config[name] is not None:
                options[name] = machine.Pin(config[name])
        if config["ref_clk"] is not None:
            options["ref_clk_mode"] = machine.Pin.OUT if config["ref_clk_out"] else machine.Pin.IN
        if config["spi"] is not None:
            options["spi"] = machine.SPI(config["spi"], baudrate=_SPI_BAUD)
        name = "PHY_" + (config["phy"] or "LAN8720")
        if not hasattr(network, name):
            raise ValueError("link.phy: this board's MicroPython has no %s" % name)
        options["phy_type"] = getattr(network, name)
        self._nic = network.LAN(**options)

    def start(self):
        if not self._nic.active():
            self._nic.active(True)

    def restart(self):
        self._nic.active(False)
        self._nic.active(True)

    def is_up(self):
        return self._nic.isconnected()

    def describe(self):
        up = self._nic.isconnected()
        return {
            "kind": "ethernet",
            "rssi_dbm": None,
            "address": self._nic.ifconfig()[0] if up else None,
            "status": self._nic.status(),
        }
