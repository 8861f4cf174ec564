"""The virtual `network`: Wi-Fi station and Ethernet with the ESP32's states, codes and error texts."""

from . import heaps, machine, pins, wires
from . import time as _time

STA_IF = 0
AP_IF = 1
AUTH_OPEN = 0
AUTH_WPA2_PSK = 3
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
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
_RETRY_MS = 500  # the driver looks for its access point again, for ever
_RSSI_DBM = -61
_PASSWORD_MIN = 8
_HOSTNAME_MAX = 32
_interfaces: dict = {}
_names = {"hostname": "mpy-esp32", "country": "XX"}


def _online() -> bool:
    """True while any interface holds an address."""
    for interface in _interfaces.values():
        if interface._update():
            return True
    return False


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


class _Interface:
    """What Wi-Fi and Ethernet share. The link needs `join_ms` from its beginning to an address."""

    _static: tuple | None = None

    def isconnected(self) -> bool:
        wires.touch()
        return self._update()

    def _update(self) -> bool:
        """The driver's own work, up to now; True with an address."""
        raise NotImplementedError

    def ifconfig(self, __addresses=None):
        if __addresses is not None:
            self._static = __addresses
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
    IF_STA = STA_IF
    IF_AP = AP_IF
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2
    SEC_OPEN = AUTH_OPEN
    SEC_WPA2 = AUTH_WPA2_PSK
    _active = _requested = _connected = False
    _ssid = _password = ""
    _reason = _due = 0
    _taken: list = []  # of IDF's heap, while it is active
    _options: dict = {}

    def __new__(cls, *args):
        if args and args[0] == AP_IF:
            raise NotImplementedError("the simulated chip is a station only")
        if args and args[0] != STA_IF:
            raise ValueError("invalid WLAN interface identifier")
        if "wlan" not in _interfaces:
            if heaps.take("wifi_init") is None:
                raise OSError("WiFi Out of Memory")
            wlan = _interfaces["wlan"] = object.__new__(cls)
            wlan._taken = []
            wlan._options = {"pm": WLAN.PM_PERFORMANCE, "reconnects": -1, "txpower": 20, "channel": 1}
        return _interfaces["wlan"]

    def __init__(self, __interface_id=STA_IF) -> None:
        pass

    def active(self, __is_active=None):
        if __is_active is None:
            return self._active
        if not __is_active:
            self._leave(0)
            heaps.give(self._taken)
        elif not self._active:
            taken = heaps.take("wifi_join")
            if taken is None:
                raise OSError("WiFi Out of Memory")
            self._taken = taken
        self._active = pins.ADC._wifi_active = bool(__is_active)
        return self._active

    def connect(self, __ssid=None, __password=None, *, bssid=None) -> None:
        """connect(ssid, password): begins to join; the driver then retries by itself for ever."""
        wires.touch()
        self._update()
        if not self._active:
            raise OSError("Wifi Not Started")
        if self._requested and not self._connected:
            raise OSError("Wifi Internal Error")
        if __ssid is not None:
            self._ssid, self._password = __ssid, __password or ""
        if self._connected:
            return
        if self._password and len(self._password) < _PASSWORD_MIN:
            raise OSError("Wifi Invalid Password")
        self._requested, self._reason = True, 0
        self._try(wires.options["join_ms"])

    def disconnect(self) -> None:
        if not self._active:
            raise OSError("Wifi Not Started")
        self._leave(0)

    def status(self, __param=None):
        if __param == "rssi":
            if not self.isconnected():
                raise OSError("Wifi Not Connected")
            return _RSSI_DBM
        if __param is not None:
            raise ValueError("unknown status param")
        if self.isconnected():
            return STAT_GOT_IP
        if self._reason in (STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD):
            return self._reason
        return STAT_CONNECTING if self._requested else STAT_IDLE

    def scan(self) -> list:
        """[(ssid, bssid, channel, RSSI, security, hidden)]"""
        if not self._active:
            raise OSError("STA must be active")
        wires.touch()
        ssid = (wires.options["ssid"] or self._ssid).encode()
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
            return None
        if __param is None:
            raise TypeError("can query only one param")
        known = {"mac": machine.unique_id(), "ssid": self._ssid, "essid": self._ssid, "hostname": hostname()}
        if __param in known:
            return known[__param]
        if __param not in self._options:
            raise ValueError("unknown config param")
        return self._options[__param]

    def _leave(self, reason: int) -> None:
        self._requested = self._connected = False
        self._reason, self._due = reason, 0

    def _try(self, after_ms: int) -> None:
        self._due = _time.ticks_add(_time.ticks_ms(), after_ms)

    def _update(self) -> bool:
        if self._connected and not wires.link:
            self._connected, self._reason = False, STAT_BEACON_TIMEOUT
            self._try(_RETRY_MS)
        if self._requested and not self._connected and _time.ticks_diff(_time.ticks_ms(), self._due) >= 0:
            self._reason = self._outcome()
            self._connected = self._reason == 0
            self._try(_RETRY_MS)
        return self._connected

    def _outcome(self) -> int:
        """0 or the reason why this attempt to join failed."""
        ssid, password = wires.options["ssid"], wires.options["password"]
        if not wires.link or (ssid and ssid != self._ssid):
            return STAT_NO_AP_FOUND
        return STAT_WRONG_PASSWORD if password and password != self._password else 0


class LAN(_Interface):
    """RMII Ethernet needs mdc and mdio and exists on the first ESP32 only; the others take a PHY on SPI."""

    _made = _active = False
    _up_at = None

    def __new__(cls, *args, **options):
        if "lan" not in _interfaces:
            _interfaces["lan"] = object.__new__(cls)
        return _interfaces["lan"]

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
        if self._made:
            return
        if id not in (None, 0):
            raise ValueError("invalid LAN interface identifier")
        if not 0 <= phy_addr <= 31:
            raise ValueError("invalid phy address")
        on_spi = phy_type in (PHY_KSZ8851SNL, PHY_DM9051, PHY_W5500)
        if not on_spi and (not 0 <= phy_type <= PHY_GENERIC or wires.options["chip"] != "esp32"):
            raise ValueError("invalid phy type")
        if not on_spi and (mdc is None or mdio is None):
            raise ValueError("mdc and mdio must be specified")
        for pin in (mdc, mdio, reset, power, cs, int, ref_clk):
            if pin is not None:
                pins.pin_id(pin)
        if heaps.take("ethernet") is None:
            raise OSError("esp_eth_driver_install failed with no memory for driver")
        self._made = True

    def active(self, __is_active=None):
        if __is_active is None:
            return self._active
        self._active, self._up_at = bool(__is_active), None
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
            return ETH_INITIALIZED
        return ETH_DISCONNECTED if self._up_at is None else ETH_CONNECTED

    def config(self, __param):
        if __param == "mac":
            return machine.unique_id()
        raise ValueError("unknown config param")
