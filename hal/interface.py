"""What a board offers to the firmware: the one interface between `firmware/` and everything that is not pure.

Host-only documentation that mypy checks: `hal/esp32.py` (the chip) and `sim/virtual/` (virtual time) both satisfy
`Board`. The firmware never imports this file on a device.

Rules that hold for every method:
- Nothing blocks longer than a flash write does, except `Board.wait`, whose business it is.
- `None` means "not now" or "this board cannot tell"; an error is an `OSError` whose text says what failed.
- Ticks are milliseconds that wrap at 2**30, as on the chip: compare them with `ticks_diff` only.
- Nothing here decides anything: debouncing, retries, deadlines and patterns live in `firmware/`.
"""

from collections.abc import Iterator
from typing import Any, Protocol


class Integrator(Protocol):
    """The debouncer's integrator in hardware: it goes on whatever the loop does, and proved itself when it was made.

    Net closure goes up by 1 for each millisecond that the contact is closed, and down by 2 for each that it is open,
    never below 0; net opening the other way round.
    """

    def arm(self) -> None:
        """Begin anew: from now on, a net closure of `press_ms` is latched."""

    def is_latched(self) -> bool:
        """There was one since `arm`, and be it in a stall of the loop."""

    def disarm(self) -> None:
        """It was taken for a press: net opening begins anew, and nothing is latched until `arm`."""

    def open_ms(self) -> int:
        """Net opening; begins at 0 again when it comes to 32,767."""


class Contact(Protocol):
    """The button's electrical contact, unfiltered."""

    counts: bool  # the chip counts closing edges in hardware

    def is_closed(self) -> bool:
        """The level at this instant (True = closed)."""

    def closures(self) -> int | None:
        """Closing edges counted by hardware since the last call; None where the chip has no counter."""

    def integrate(self, press_ms: int) -> Integrator | None:
        """The contact's integrator; None where the chip has none (ESP32-C3, MicroPython before 1.26, no pad for its
        pulses, a heap of less than about 100 KB), or it does not count as it should. Takes 40 ms. To be called once."""


class Lamp(Protocol):
    def show(self, red: int, green: int, blue: int) -> None:
        """Set the colour at once; each 0..255. (0, 0, 0) is dark."""


class Relay(Protocol):
    def set(self, closed: bool) -> None: ...


class Stream(Protocol):
    """One TCP or TLS connection that never blocks."""

    def is_open(self) -> bool:
        """True once connected (and, with TLS, once application data may flow).

        Raises OSError when the connection or the handshake failed.
        """

    def read_into(self, buffer: Any) -> int | None:
        """Bytes read into `buffer` (a bytearray or memoryview); 0 = the peer closed; None = nothing now."""

    def write(self, data: Any) -> int:
        """Bytes taken (0 = none just now); the caller offers the rest again later, and nothing else before it: mbedTLS
        holds a record that it could not send, and takes whatever comes next for that one."""

    def certificate(self) -> bytes | None:
        """The peer's certificate as DER; None without TLS. To be asked of a stream that has received something."""

    def close(self) -> None:
        """Never raises."""


class Datagram(Protocol):
    """One UDP peer (network time)."""

    def send(self, data: bytes) -> None: ...
    def receive(self) -> bytes | None: ...
    def close(self) -> None: ...


class Lookup(Protocol):
    """A name look-up that runs beside the loop (getaddrinfo can take 19 s on the chip)."""

    def result(self) -> str | None:
        """The address, or None while it still runs; raises OSError when the name has none."""


class Link(Protocol):
    """Wi-Fi or Ethernet, as configured. The driver's own retries stay switched on."""

    failure: str | None  # of its hardware, as it was made: only a reset gives it another chance

    def start(self) -> None:
        """Bring the interface up and join; returns at once. Harmless when it is up or joining."""

    def restart(self) -> None:
        """Take the interface down and up again, whatever it says of itself: the second step of recovery."""

    def is_up(self) -> bool:
        """Joined and holding an address."""

    def describe(self) -> dict[str, Any]:
        """{"kind": "wifi"|"ethernet", "rssi_dbm": int | None, "network": (address, netmask, gateway, dns) | None,
        "status": int | None}."""


class Flash(Protocol):
    """Files on the device's LittleFS. Names are flat ("journal.log"), but for those in the
    folders of the firmware."""

    def read(self, name: str) -> bytes | None:
        """The whole file, or None when there is none."""

    def append(self, name: str, data: bytes) -> None:
        """Add to the end; on flash when it returns (closed: LittleFS commits data at close)."""

    def replace(self, name: str, data: bytes) -> None:
        """All of the file becomes `data`, or nothing changes: written beside it, closed, renamed over it."""

    def rename(self, old: str, new: str) -> None:
        """Atomic; replaces `new`."""

    def remove(self, name: str) -> None:
        """No error when there is no such file."""

    def make_folder(self, name: str) -> None:
        """No error when there is one."""

    def size(self, name: str) -> int:
        """Bytes; 0 when there is none."""

    def read_at(self, name: str, start: int, limit: int) -> bytes:
        """At most `limit` bytes from `start` on; empty at the end, and when there is no such file."""

    def entries(self, folder: str) -> Iterator[tuple[Any, ...]]:
        """(name, 0x4000 of a folder or 0x8000 of a file, ...) of each entry. Raises OSError: no such folder."""

    def free_bytes(self) -> int: ...


class Scratch(Protocol):
    """A few bytes that outlive a reset but not a power cut (RTC memory)."""

    def read(self) -> bytes: ...
    def write(self, data: bytes) -> None:
        """At most 2048 bytes."""


class Watchdog(Protocol):
    def feed(self) -> None: ...


class Board(Protocol):
    """All that a column is built on. `configure` is called once, before anything below `-- configured`."""

    chip: str  # "esp32", "esp32c3", ...: which pins exist and what they can do. One without a table of its pins, such
    # as an "esp32c5", is named all the same: the configuration refuses it.
    uid: str  # the chip's own id, hex
    micropython: str  # version of the interpreter, e.g. "1.26.0"; "cpython" in the virtual world
    flash: Flash
    scratch: Scratch

    def reset_cause(self) -> str:
        """ "power-on", "watchdog", "soft", "hard" or "unknown", as far as the chip can tell (facts: a brown-out
        looks like power-on, a panic like a hard reset)."""

    def ticks_ms(self) -> int: ...
    def ticks_diff(self, later: int, earlier: int) -> int: ...
    def ticks_add(self, ticks: int, delta_ms: int) -> int: ...

    def epoch_ms(self) -> int:
        """The board's clock as Unix milliseconds, right or wrong; `firmware/clock.py` judges it."""

    def set_epoch_ms(self, epoch_ms: int) -> None: ...

    def wait(self, timeout_ms: int) -> int:
        """Sleep for `timeout_ms` (if that is 10 and more: until the next tick of 10 ms after it); return early when the
        contact's level differs from the last `contact.is_closed()`, which wakes the chip at once, or when an open
        stream has input, at the next tick. Returns the last interval (ms) in which the contact was not sampled: up to
        now, or to the sample that ended the wait; 0: none. Ends early when that interval gets long.
        """

    def random(self, below: int) -> int:
        """A random int, 0 <= n < below."""

    def heap(self) -> int:
        """Free heap in bytes, without what the chip's own system (links, TLS) would lose by it."""

    def system_heap(self) -> int:
        """Bytes that this system has left for links, TLS and threads."""

    def collect(self) -> None:
        """Collect garbage now, where it does no harm."""

    def forget(self, *modules: str) -> None:
        """Give back the memory of modules that are not needed again; they may be imported anew. What somebody still
        has of them goes on."""

    def discard(self, *modules: str) -> None:
        """Forget modules of which nobody has anything any more, and empty them: MicroPython's collector takes whatever
        looks like an address for a reference, and one on old stack would keep such a module with all its code."""

    def describe_error(self, error: BaseException) -> str:
        """The traceback as text."""

    def log(self, text: str) -> None:
        """To the console. A line that the text begins itself is indented: what came from outside forges no line."""

    def typed(self, limit: int) -> bytes | None:
        """At most `limit` bytes that came over the console; empty = none now; None = this board's console only
        shows. What is there ends `wait` early."""

    def heed_interrupt(self, is_heeded: bool) -> None:
        """Whether Ctrl-C on the console ends the column's duty, as it does after the start; else it is a byte like any
        other, until the next start."""

    def watchdog(self, timeout_ms: int) -> Watchdog:
        """Arm the hardware watchdog; it cannot be stopped again."""

    def reset(self) -> None:
        """Restart the chip; does not return."""

    def configure(self, config: dict[str, Any]) -> None:
        """Take pins, link and certificates from a validated configuration document (or `config.fallback()`), and keep
        nothing else of it. Raises ValueError or TypeError for what the board cannot use, OSError when its hardware
        fails; a network that cannot be made becomes a link with a `failure` instead."""

    # -- configured
    contact: Contact
    lamp: Lamp
    relay: Relay
    link: Link

    def tamper_open(self) -> bool | None:
        """The housing's tamper contact: True = open; None = not fitted."""

    def supply_mv(self) -> int | None:
        """Supply voltage in millivolts; None = not measured."""

    def lookup(self, name: str) -> Lookup: ...

    def dial(self, address: str, port: int, server_name: str | None) -> Stream:
        """Start a connection to a numeric address: plain TCP without a `server_name`, else TLS with the configured
        certificates to a broker whose own carries that name. Raises OSError."""

    def datagram(self, address: str, port: int) -> Datagram: ...
