"""Wi-Fi. The driver retries by itself; connecting again meanwhile is an error on the chip."""

import network


def make_link(config, secrets):
    """`config`: the section "link"; its type "none" is the fallback of a board without a usable configuration."""
    if config["type"] == "wifi":
        return WifiLink(secrets["wifi_ssid"], secrets["wifi_password"])
    if config["type"] == "ethernet":
        from hal.esp32_ethernet import EthernetLink  # only where it is used: it takes heap

        return EthernetLink(config)
    from hal.esp32_nolink import NoLink

    return NoLink()


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
            "network": self._nic.ifconfig() if up else None,
            "status": self._nic.status(),
        }
