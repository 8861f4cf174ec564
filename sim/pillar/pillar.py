"""One pillar: a column in real time, and the camera and intercom that stand beside it."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from sim.pillar.button import Button
from sim.pillar.camera import Camera
from sim.pillar.intercom import Intercom
from sim.pillar.watchers import Watchers
from sim.real.column import RealColumn

KEPT_LINES = 200
HEIGHT_MAX_M = 5.0  # of a button: docs/configuration.md

Event = dict[str, Any]
ColumnMaker = Callable[..., RealColumn]


class Pillar:
    """A column with its camera and intercom. All methods may be called from any thread.

    It has the methods of `RealColumn`, so that whoever acts on columns can act on pillars. Camera and intercom have
    a supply and a network of their own: they outlive the column's. The relay's closing starts the intercom's call.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        on_event: Callable[[Event], None] = lambda event: None,
        make_column: ColumnMaker = RealColumn,
        **column: Any,
    ) -> None:
        """`config`: the whole document; `on_event` and the other keywords are `make_column`'s (runtime, seed, ...).

        The column is without power until `power_on`. Raises what `make_column` raises.
        """
        self.device_id = str(config["device_id"])
        self._lock = threading.Lock()
        self._listeners: set[Callable[[], None]] = set()
        self.camera = Camera(self.device_id)
        self.intercom = Intercom(self.device_id, self._changed)
        self.watchers = Watchers(self._changed)
        # A column runs with a broken configuration, too, and says so; its pillar is in nobody's way.
        place = config.get("location")
        place = place if isinstance(place, dict) else {}
        height_m = place.get("height_m")
        self._height_m = height_m if isinstance(height_m, int | float) and 0 <= height_m <= HEIGHT_MAX_M else 1.0
        self._address = str(place.get("address", ""))
        self._on_event = on_event
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._line_count = 0
        self._lamp, self._relay, self._boot = "dark", False, 0
        self._listened = False  # the lamp says that the centre hears the place
        self._power, self._link, self._tamper = False, True, False
        self._closed = False
        self.real = make_column(config, on_event=self._event, **column)
        self.button = Button(self.real.wave, self._changed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what a person or a fault does to the column: as `RealColumn`

    def power_on(self) -> None:
        self._power = True
        self.real.power_on()
        self._changed()

    def power_off(self) -> None:
        self._power = False
        self.real.power_off()
        self._changed()

    def reset(self) -> None:
        self.real.reset()

    def press(self, duration_ms: float) -> None:
        self.button.press(duration_ms)

    def hold(self, finger: Hashable = "") -> None:
        """`finger`: whose; the contact is closed while any finger is on it."""
        self.button.hold(finger)
        self._changed()

    def release(self, finger: Hashable = "") -> None:
        self.button.release(finger)
        self._changed()

    def wave(self, edges: Sequence[tuple[int, int]]) -> None:
        self.button.wave(edges)

    def stick(self, on: bool) -> None:
        """The contact stays closed whatever the fingers do."""
        self.button.stick(on)
        self._changed()

    def chatter(self, on: bool) -> None:
        """The contact is loose, for 10 s."""
        self.button.chatter(on)
        self._changed()

    def link(self, up: bool) -> None:
        self._link = up
        self.real.link(up)
        self._changed()

    def tamper(self, is_open: bool) -> None:
        self._tamper = is_open
        self.real.tamper(is_open)
        self._changed()

    def hang(self, task: str) -> None:
        self.real.hang(task)

    def now_ms(self) -> int:
        return self.real.now_ms()

    def close(self) -> None:
        """Ends the column's process. Harmless when closed already."""
        self._closed = True
        self.button.close()
        self.real.close()

    # -- what can be known

    def about(self) -> dict[str, Any]:
        """What does not change."""
        return {
            "device_id": self.device_id,
            "address": self._address,
            "height_m": self._height_m,
            "pitch_hz": self.intercom.pitch_hz,
        }

    def state(self) -> dict[str, Any]:
        """What a person in front of it sees and hears, and what the technician has done."""
        return {
            "lamp": self._lamp,
            "listened": self._listened,
            "relay": self._relay,
            "open": self.intercom.open,
            "heard": round(self.intercom.heard, 2),
            "watchers": self.watchers.all,
            "held": self.button.held,
            "stuck": self.button.stuck,
            "chatter": self.button.chattering,
            "power": self._power,
            "link": self._link,
            "tamper": self._tamper,
            "boot": self._boot,
        }

    def lines(self, since: int) -> tuple[list[str], int]:
        """Lines of the console, number `since` and later as far as they are kept, and the number of the next."""
        with self._lock:
            missed = min(self._line_count - since, len(self._lines))
            return (list(self._lines)[-missed:] if missed > 0 else []), self._line_count

    @contextlib.contextmanager
    def listening(self, listener: Callable[[], None]) -> Any:
        """Within, `listener` is called after each change, in any thread: it must not wait."""
        with self._lock:
            self._listeners.add(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def _event(self, event: Event) -> None:
        """In the column's thread."""
        match event["event"]:
            case "lamp":
                self._lamp = self.camera.lamp = event["state"]
            case "listened":
                self._listened = event["on"]
            case "relay":
                self._relay = event["closed"]
                self.intercom.call(event["closed"])
            case "boot":
                self._boot = event["boot"]
            case "reset":
                self._say(f"reset: {event['cause']}" + (f", culprit {event['culprit']}" if "culprit" in event else ""))
            case "log":
                self._say(event["text"])
        self._changed()
        self._on_event(event)

    def _say(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)
            self._line_count += 1

    def _changed(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()
