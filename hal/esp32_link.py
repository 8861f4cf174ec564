"""Wi-Fi. The driver retries by itself, and what it says of itself cannot be relied on: `status` stays at "connecting"
after a restart that begins nothing (network_wlan.c keeps the request and the reason), so nothing here asks it first."""

import network

from hal.esp32_attempt import attempt, switch_on


class WifiLink:
    failure = None

    def __init__(self, ssid, password, address):
        self._ssid = ssid
        self._password = password
        self._address = address
        self._nic = network.WLAN(network.STA_IF)

    def start(self):
        nic = self._nic
        switch_on(nic)
        attempt(lambda: nic.config(pm=network.WLAN.PM_NONE))  # power save delays messages; not while it joins
        if self._address:
            attempt(nic.ifconfig, self._address)  # ends DHCP
        if not nic.isconnected():
            attempt(nic.connect, self._ssid, self._password)  # an error when it joins already: then all is well

    def restart(self):
        attempt(self._nic.disconnect)  # it alone makes the driver forget what it was asked for
        attempt(self._nic.active, False)
        self.start()

    def is_up(self):
        return self._nic.isconnected()

    def describe(self):
        nic = self._nic
        up = nic.isconnected()
        rssi_dbm = None
        try:
            rssi_dbm = nic.status("rssi") if up else None
        except (OSError, RuntimeError):
            pass  # its access point has just gone, and the driver does not know yet
        return {
            "kind": "wifi",
            "rssi_dbm": rssi_dbm,
            "network": nic.ifconfig() if up else None,
            "status": nic.status(),
        }
