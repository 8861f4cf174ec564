"""The ESP32's Wi-Fi station as MicroPython sees it: what network_wlan.c keeps, and the events that change it.

Two things, and that is the point: the driver tries or it does not, and network_wlan.c says what it makes of the last
request and the last event. `active(False)` ends the trying and changes neither the request nor the reason; so after a
restart the station may be idle and say that it is connecting. Beliefs: hal/assumptions.toml, wifi_*.
"""

STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
ASSOC_LEAVE = 8
BEACON_TIMEOUT = 200
NO_AP_FOUND = 201
AUTH_FAIL = 202
CONNECTION_FAIL = 205
NO_AP_FOUND_BUT = (210, 211, 212)  # of another security, authentication or signal than asked for

RETRY_MS = 500  # from a failure to the next one
EVENT_MS = 10  # from what happens in the air until the system's event task has told network_wlan.c of it
_PASSWORD_MIN = 8


class Station:
    """`clock`: ticks_ms, ticks_add, ticks_diff. `outcome(ssid, password)`: 0 = joined, else the reason why not.
    `lost()`: 0, or the reason why an association ends now. `join_ms()`: how long the next attempt takes."""

    def __init__(self, clock, outcome, lost, join_ms) -> None:
        self._clock = clock
        self._outcome = outcome
        self._lost = lost
        self._join_ms = join_ms
        self.ssid = self._password = ""
        self.started = False  # esp_wifi_start()
        self._trying = False  # the driver is at it, until `_due`
        self._due = 0
        self._lost_at = None
        self._requested = False  # these three are network_wlan.c's
        self._connected = False
        self._reason = 0

    def active(self, is_active) -> None:
        if self.started and not is_active:
            self._trying = False  # no event, and so no word of it, unless it was associated
            if self._connected:
                self._connected, self._reason = False, ASSOC_LEAVE
        self.started = is_active

    def connect(self, ssid, password) -> None:
        self.update()
        if not self.started:
            raise OSError("Wifi Not Started")
        if self._trying:
            raise OSError("Wifi Internal Error")  # "sta is connecting, return error"
        if password and len(password) < _PASSWORD_MIN:
            raise OSError("Wifi Invalid Password")
        self.ssid, self._password = ssid, password
        if not self._connected:
            self._try(self._join_ms())
        self._requested = True  # the last reason stays

    def disconnect(self) -> None:
        self._requested = False
        if not self.started:
            raise OSError("Wifi Not Started")
        if self._connected or self._trying:
            self._connected = self._trying = False
            self._reason = ASSOC_LEAVE

    def configure(self) -> None:
        """WLAN.config(name=...) ends in esp_wifi_set_config, whatever it was asked for."""
        self.update()
        if self._trying:
            raise OSError("Wifi Internal State Error")  # "sta is connecting, cannot set config", from IDF 5.5 on

    def is_connected(self) -> bool:
        self.update()
        return self._connected

    def is_associated(self) -> bool:
        """What the driver knows, and network_wlan.c a little later."""
        self.update()
        return self._connected and self._lost_at is None

    def status(self) -> int:
        self.update()
        reason = self._reason
        if self._connected:
            return STAT_GOT_IP
        if reason == NO_AP_FOUND or reason in NO_AP_FOUND_BUT:
            return reason
        if reason in (AUTH_FAIL, CONNECTION_FAIL):
            return AUTH_FAIL
        if reason == ASSOC_LEAVE:
            return STAT_IDLE
        if self._requested:
            return STAT_CONNECTING
        return reason or STAT_IDLE

    def update(self) -> None:
        """The driver's own work, up to now."""
        now = self._clock.ticks_ms()
        if self._connected:
            reason = self._lost()
            if not reason:
                self._lost_at = None
            elif self._lost_at is None:
                self._lost_at = now
            if self._lost_at is not None and self._clock.ticks_diff(now, self._lost_at) >= EVENT_MS:
                self._disconnected(reason)
        elif self._trying and self._clock.ticks_diff(now, self._due) >= 0:
            reason = self._outcome(self.ssid, self._password)
            if reason:
                self._disconnected(reason)
            else:
                self._trying, self._connected, self._reason = False, True, 0

    def _disconnected(self, reason: int) -> None:
        """The event, and what network_wlan.c does about it: it connects again by itself."""
        self._connected, self._lost_at, self._reason = False, None, reason
        self._trying = False
        if self._requested:
            self._try(RETRY_MS)

    def _try(self, ms: int) -> None:
        self._trying = True
        self._due = self._clock.ticks_add(self._clock.ticks_ms(), ms)
