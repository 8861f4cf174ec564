"""Ethernet: an RMII PHY on the ESP32, or a W5500 on SPI on every chip."""

from hal.esp32_attempt import attempt, switch_on


class EthernetLink:
    """`nic`: `network.LAN(...)`, see esp32_network.py."""

    failure = None

    def __init__(self, nic, address):
        self._nic = nic
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
