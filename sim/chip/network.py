"""The virtual `network`: Wi-Fi station and Ethernet with the ESP32's states, codes and error texts."""

from . import heaps, machine, pins, station, wires
from . import time as _time

STA_IF = 0
AP_IF = 1
AUTH_OPEN = 0
AUTH_WPA2_PSK = 3
STAT_IDLE = station.STAT_IDLE
STAT_CONNECTING = station.STAT_CONNECTING
STAT_GOT_IP = station.STAT_GOT_IP
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_ASSOC_FAIL = 203
STAT_CONNECT_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
ETH_INITIALIZED = 0
ETH_STARTED = 1
ETH_STOPPED = 2
ETH_CONNECTED = 3
ETH_DISCONNECTED = 4
ETH_GOT_IP = 5
PHY_LAN8710 = 0
PHY_LAN8720 = 1
PHY_IP101 = 2
PHY_RTL8201 = 3
PHY_DP83848 = 4
PHY_KSZ8041 = 5
PHY_KSZ8081 = 6
PHY_LAN8670 = 7
PHY_GENERIC = 8
PHY_KSZ8851SNL = 100
PHY_DM9051 = 101
PHY_W5500 = 102

_ADDRESS = ("192.168.4.20", "255.255.255.0", "192.168.4.1", "192.168.4.1")
_NO_ADDRESS = ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
_RSSI_DBM = -61
_HOSTNAME_MAX = 32
_interfaces: dict = {}
_names = {"hostname": "mpy-esp32", "country": "XX"}


def _online() -> bool:
    """True while any interface holds an address."""
    for interface in _interfaces.values():
        if interface._update():
            return True
    return False


_FAILURES: dict = {
    "wlan": "WiFi Out of Memory",
    "wifi-start": "WiFi Out of Memory",
    "lan": "esp_eth_driver_install failed",
    "eth-start": "ethernet enable failed",
    "tls-memory": 12,  # ENOMEM
}


def _fails(what: str) -> None:
    """The hardware's fault, as often as the option `fails` says: see options.py."""
    kind, _, times = wires.options["fails"].partition(":")
    if kind == what and _failed[0] < int(times or 1):
        _failed[0] += 1
        raise OSError(_FAILURES[what])


_failed = [0]


def _is_radio_on() -> bool:
    return "wlan" in _interfaces and _interfaces["wlan"].active()


def hostname(name=None):
    if name is None:
        return _names["hostname"]
    if len(name) > _HOSTNAME_MAX:
        raise ValueError
    _names["hostname"] = name


def country(code=None):
    if code is None:
        return _names["country"]
    if len(code) != 2:
        raise ValueError
    _names["country"] = code


def _static(addresses) -> tuple:
    if len(addresses) != 4:
        raise ValueError("requested length 4 but object has length %d" % len(addresses))
    for text in addresses:
        parts = text.split(".")
        if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
            raise ValueError("invalid arguments")
    return tuple(addresses)


class _Interface:
    """What Wi-Fi and Ethernet share. The link needs `join_ms` from its beginning to an address."""

    _static: tuple | None = None
    _lease_name = ""  # the host name that the DHCP server was told, which is the one of the interface's start

    def isconnected(self) -> bool:
        wires.touch()
        return self._update()

    def _update(self) -> bool:
        """The driver's own work, up to now; True with an address."""
        raise NotImplementedError

    def ifconfig(self, __addresses=None):
        if __addresses is not None:
            self._static = None if __addresses == "dhcp" else _static(__addresses)
            return None
        return (self._static or _ADDRESS) if self.isconnected() else _NO_ADDRESS

    def ipconfig(self, __param):
        if __param == "addr4":
            return self.ifconfig()[:2]
        if __param == "gw4":
            return self.ifconfig()[2]
        if __param == "dhcp4":
            return self._static is None
        raise ValueError("unknown ipconfig param")


class WLAN(_Interface):
    """What it is and says: station.py. This is what MicroPython makes of it."""

    IF_STA = STA_IF
    IF_AP = AP_IF
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2
    SEC_OPEN = AUTH_OPEN
    SEC_WPA2 = AUTH_WPA2_PSK
    _station: station.Station
    _taken: list = []  # of IDF's heap, while it is active
    _options: dict = {}

    def __new__(cls, *args):
        if args and args[0] == AP_IF:
            raise NotImplementedError("the simulated chip is a station only")
        if args and args[0] != STA_IF:
            raise ValueError("invalid WLAN interface identifier")
        if "wlan" not in _interfaces:
            _fails("wlan")
            if heaps.take("wifi_init") is None:
                raise OSError("WiFi Out of Memory")
            wlan = _interfaces["wlan"] = object.__new__(cls)
            wlan._taken = []
            wlan._options = {"pm": WLAN.PM_PERFORMANCE, "reconnects": -1, "txpower": 20, "channel": 1}
            wlan._station = station.Station(_time, _outcome, _lost, lambda: wires.options["join_ms"])
        return _interfaces["wlan"]

    def __init__(self, __interface_id=STA_IF) -> None:
        pass

    def active(self, __is_active=None):
        if __is_active is not None:
            if not __is_active:
                heaps.give(self._taken)
            elif not self._station.started:
                _fails("wifi-start")
                taken = heaps.take("wifi_join")
                if taken is None:
                    raise OSError("WiFi Out of Memory")
                self._taken = taken
            self._station.active(bool(__is_active))
            pins.ADC._wifi_active = bool(__is_active)
        return self._station.started

    def connect(self, __ssid=None, __password=None, *, bssid=None) -> None:
        """connect(ssid, password): begins to join; the driver then retries by itself for ever."""
        wires.touch()
        if __ssid is None:
            __ssid, __password = self._station.ssid, ""
        self._station.connect(__ssid, __password or "")
        self._lease_name = hostname()

    def disconnect(self) -> None:
        self._station.disconnect()

    def status(self, __param=None):
        wires.touch()
        if __param == "rssi":
            if not self._station.is_associated():
                raise OSError("Wifi Not Connected")
            return _RSSI_DBM
        if __param is not None:
            raise ValueError("unknown status param")
        return self._station.status()

    def scan(self) -> list:
        """[(ssid, bssid, channel, RSSI, security, hidden)]"""
        if not self._station.started:
            raise OSError("STA must be active")
        wires.touch()
        ssid = (wires.options["ssid"] or self._station.ssid).encode()
        return [(ssid, b"\x02\x00\x00\x00\x00\x01", 1, _RSSI_DBM, AUTH_WPA2_PSK, False)] if wires.link else []

    def config(self, __param=None, **options):
        if options:
            if __param is not None:
                raise TypeError("either pos or kw args are allowed")
            for name, value in options.items():
                if name == "hostname":
                    hostname(value)
                elif name in self._options:
                    self._options[name] = value
                else:
                    raise ValueError("unknown config param")
            self._station.configure()
            return None
        if __param is None:
            raise TypeError("can query only one param")
        ssid = self._station.ssid
        known = {"mac": machine.unique_id(), "ssid": ssid, "essid": ssid, "hostname": hostname()}
        if __param in known:
            return known[__param]
        if __param not in self._options:
            raise ValueError("unknown config param")
        return self._options[__param]

    def _update(self) -> bool:
        return self._station.is_connected()


def _outcome(ssid: str, password: str) -> int:
    """0 or the reason why this attempt to join fails."""
    if not wires.link or (wires.options["ssid"] and wires.options["ssid"] != ssid):
        return station.NO_AP_FOUND
    if wires.options["password"] and wires.options["password"] != password:
        return station.AUTH_FAIL
    return wires.reason


def _lost() -> int:
    return wires.reason if wires.link else station.BEACON_TIMEOUT


class LAN(_Interface):
    """RMII Ethernet needs mdc and mdio and exists on the first ESP32 only; the others take a PHY on SPI."""

    _active = _stopped = False
    _up_at = None
    _spi: machine.SPI | None = None

    def __init__(
        self,
        id=None,
        *,
        phy_addr,
        phy_type,
        mdc=None,
        mdio=None,
        reset=None,
        power=None,
        spi=None,
        cs=None,
        int=None,
        ref_clk_mode=-1,
        ref_clk=None,
    ) -> None:
        if id not in (None, 0):
            raise ValueError("invalid LAN interface identifier")
        if not 0 <= phy_addr <= 31:
            raise ValueError("invalid phy address")
        on_spi = phy_type in (PHY_KSZ8851SNL, PHY_DM9051, PHY_W5500)
        if not on_spi and (not 0 <= phy_type <= PHY_GENERIC or wires.options["chip"] != "esp32"):
            raise ValueError("invalid phy type")
        if not on_spi and (mdc is None or mdio is None):
            raise ValueError("mdc and mdio must be specified")
        if on_spi and (spi is None or cs is None):
            raise ValueError("spi and cs must be specified")
        for pin in (mdc, mdio, reset, power, cs, int, ref_clk):
            if pin is not None:
                pins.pin_id(pin)
        if on_spi and int is None:  # IDF's driver would poll, for which MicroPython gives it no period
            raise OSError("esp_eth_driver_install failed")
        if "lan" in _interfaces:
            raise OSError("esp_netif_attach failed")  # esp_netif_new gave none: it has one of that key
        _interfaces["lan"] = self
        _fails("lan")
        if heaps.take("ethernet") is None:
            raise OSError("esp_eth_driver_install failed with no memory for driver")
        self._spi = spi

    def active(self, __is_active=None):
        if __is_active is None:
            return self._active
        if bool(__is_active) != self._active:  # else it does nothing
            if __is_active:
                if self._spi is not None and not self._spi._is_free():
                    raise OSError("esp_eth_start failed")
                _fails("eth-start")
                self._lease_name = hostname()
            self._active, self._up_at = bool(__is_active), None
            self._stopped = not __is_active
        return self._active

    def _update(self) -> bool:
        if not self._active or not wires.link:
            self._up_at = None
        elif self._up_at is None:
            self._up_at = _time.ticks_add(_time.ticks_ms(), wires.options["join_ms"])
        return self._up_at is not None and _time.ticks_diff(_time.ticks_ms(), self._up_at) >= 0

    def status(self) -> int:
        if self.isconnected():
            return ETH_GOT_IP
        if not self._active:
            return ETH_STOPPED if self._stopped else ETH_INITIALIZED
        return ETH_DISCONNECTED if self._up_at is None else ETH_CONNECTED

    def config(self, __param):
        if __param == "mac":
            return machine.unique_id()
        raise ValueError("unknown config param")
