"""The lives that are led before they are cut short, and the flash chips on which they are led.

Together the lives do every kind of write that the firmware does (KINDS). A script is [[at_ms, what, argument], ...]
from power-up on, see sim/search/power_cuts/device/board.py.
"""

import json
from typing import Any, NamedTuple

from firmware import record
from firmware.clock import FLOOR_EVERY_MS
from firmware.startup.config_files import sealed
from sim.document import document as column_document
from sim.search.power_cuts import renewals, updates

Script = list[list[Any]]
END = "done"
_LOG = "journal.log"


class Geometry(NamedTuple):
    """A flash chip as LittleFS sees it, in bytes; `left`: blocks that stay free beside a filler file, or None."""

    name: str
    blocks: int
    read: int
    program: int
    lookahead: int
    left: int | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """What VfsLfs2 is told. Its cache is four times the larger of read and program size."""
        return {"readsize": self.read, "progsize": self.program, "lookahead": self.lookahead}


GEOMETRIES = (
    Geometry("ESP32, 2 MB", 512, 32, 32, 32),  # MicroPython's defaults on its `vfs` partition of a 4 MB chip
    Geometry("128 KB, nearly full", 32, 32, 32, 32, left=9),
    Geometry("512 KB, 256 B pages", 128, 256, 256, 8),
)


class Boot(NamedTuple):
    """From one power-up or reset to the next."""

    script: Script
    cause: str = "power-on"
    unreadable: str | None = None  # a file that cannot be read
    ends: str = END  # how the script is seen to end
    marks: tuple[str, ...] = ("old",)  # location.address of what may be in force


class Life(NamedTuple):
    name: str
    boots: tuple[Boot, ...]
    files: dict[str, str] = {}  # noqa: RUF012 - never changed: beside the configuration
    history: dict[str, Any] = {}  # noqa: RUF012 - as Witness.known() gives it
    damaged: int = 0  # journal lines that are broken before the life begins
    full: bool = False  # no block is free at all
    is_update: bool = False  # there is a release to be had: see updates.py
    renews: bool | None = None  # there are certificates to be had, see renewals.py: whether the broker knows them

    def offered(self) -> dict[str, Any] | None:
        """What there is to be fetched, and how it may end."""
        if self.renews is not None:
            return renewals.offered(works=self.renews)
        return updates.release() if self.is_update else None

    def more_files(self) -> dict[str, Any]:
        """Those that are made anew in each process: a firmware in force that trusts whoever signed the release, or a
        configuration with certificates."""
        if self.renews is not None:
            return _with_certificates()
        return updates.folders() if self.is_update else {}


def document(mark: str = "old") -> dict[str, Any]:
    """A configuration with quick times, told apart by its address."""
    made = column_document(
        "cut-01",
        "broker.example",
        1883,
        location={"address": mark},
        clock={"server": "time.example"},
        button={"press_ms": 26, "release_ms": 43},
        watchdog={"healthy_s": 1},
    )
    del made["secrets"]  # a file of its own
    return made


SECRETS = {"wifi_ssid": "sos", "wifi_password": "12345678"}


def _framed(entry: dict[str, Any] | str) -> str:
    text = entry if isinstance(entry, str) else json.dumps(entry)
    return record.frame(text.encode()).decode()


def configuration(mark: str = "old", folder: str = "") -> dict[str, str]:
    """The two files, as they are put on a device."""
    files = {f"{folder}config.json": document(mark), f"{folder}secrets.json": SECRETS}
    return {name: sealed(json.dumps(content).encode()).decode() for name, content in files.items()}


def _with_certificates() -> dict[str, str]:
    """A configuration that has proved itself, for a broker that goes by certificates."""
    made, pair = document(), renewals.old()
    made["broker"] |= {"tls": {"ca": pair.ca, "cert": pair.cert, "server_name": None}, "insecure": False}
    secrets = {**SECRETS, "tls_key": renewals.tls_key()}
    files = {"config.json": made, "secrets.json": secrets}
    sealed_files = {name: sealed(json.dumps(content).encode()).decode() for name, content in files.items()}
    return {**sealed_files, "config.good": _framed({**made, "secrets": secrets})}


_WORKED = {
    "config.good": _framed({**document(), "secrets": SECRETS}),
    "boot.rec": _framed('{"n":16777300,"u":0}'),
}


def _opened(seq: int, press: int = 1) -> dict[str, Any]:
    return {"k": "open", "id": f"cut-01-16777200-{seq}", "n": press, "at": None, "clock": "none"}


def _arrived(*seqs: int) -> dict[str, int]:
    return {f"cut-01-16777200-{seq}": 1 for seq in seqs}


def _journal(size: int) -> tuple[str, dict[str, Any]]:
    """(two incidents open and many closed, in a little over `size` bytes; what is known of it)."""
    text = _framed(_opened(1)) + _framed(_opened(2))
    seq = 2
    while len(text) < size:
        seq += 1
        closed = {"k": "state", "id": f"cut-01-16777200-{seq}", "s": 5}
        text += _framed(_opened(seq)) + _framed(closed) + _framed({"k": "release"})
    known = {"made": 2, "evident": 2, "arrived": _arrived(1, 2)}
    return text, known


_LONG, _LONG_KNOWN = _journal(3950)  # soon to be compacted
_MEDIUM, _MEDIUM_KNOWN = _journal(500)  # in a block of its own: LittleFS keeps the shortest files beside their names
_SHORT = _framed(_opened(1)) + _framed({"k": "release"})
_SHORT_KNOWN = {"made": 1, "evident": 1, "arrived": _arrived(1)}
_DAMAGED = _framed(_opened(1)) + _framed(_opened(2)).replace("open", "opem") + _framed({"k": "release"})

_TWO_FOLDERS = {**_WORKED, **configuration("old", "a/"), **configuration("new", "b/")}

_NEW = configuration("new")["config.json"]
_CALL: Script = [
    [200, "press", 60],
    [400, "answer", "received"],
    [600, "press", 60],
    [800, "answer", "accepted"],
    [1000, "answer", "dispatched"],
    [1200, "answer", "closed"],
    [1400, "press", 60],
    [1600, "end", END],
]
# Within the hour that a command counts, by the clock that every life begins with (device/board.py).
_SELFTEST = {"v": 1, "id": "c1", "cmd": "selftest", "expires": "2026-11-18T11:30:00.000Z"}

LIVES = (
    Life("first boot", (Boot([[200, "press", 60], [1500, "end", END]]),)),
    Life("call", (Boot(_CALL),), _WORKED),
    Life(
        "compaction",
        (Boot([[200, "press", 60], [400, "press", 60], [3500, "press", 60], [3700, "end", END]]),),
        {**_WORKED, _LOG: _LONG},
        _LONG_KNOWN,
    ),
    Life(
        "configuration",
        (
            Boot([[100, "copy", ["config.json", _NEW]], [150, "end", END]], marks=("old", "new")),
            Boot([[200, "press", 60], [1500, "end", END]], marks=("old", "new")),
        ),
        {**_WORKED, _LOG: _SHORT},
        _SHORT_KNOWN,
    ),
    Life(
        "damaged journal",
        (Boot([[200, "press", 60], [400, "end", END]]),),
        {**_WORKED, _LOG: _DAMAGED},
        _SHORT_KNOWN,
        damaged=1,
    ),
    Life(
        "unreadable journal",
        (Boot([[200, "press", 60], [400, "end", END]], unreadable=_LOG),),
        {**_WORKED, _LOG: _SHORT},
        {"made": 1, "doubtful": 1},
    ),
    Life(
        "death of a task",
        (
            Boot([[200, "press", 60], [400, "die", None], [3000, "end", END]]),
            Boot([[200, "press", 60], [400, "end", END]], cause="watchdog"),
        ),
        {**_WORKED, _LOG: _SHORT},
        _SHORT_KNOWN,
    ),
    Life(
        "full flash",
        (Boot([[200, "press", 60], [2500, "end", END]]),),
        {**_WORKED, _LOG: _MEDIUM, "journal.bad": "x" * 5000},
        _MEDIUM_KNOWN,
        full=True,
    ),
    Life(
        "service",
        (Boot([], ends="service"), Boot([[200, "press", 60], [400, "end", END]])),
        {**_WORKED, "service.req": ""},
    ),
    Life(
        "new folder",
        (Boot([[200, "press", 60], [2500, "end", END]], marks=("new",)),),
        {**_TWO_FOLDERS, "active": "ba"},
    ),
    Life(
        "folder gives way",
        (Boot([[200, "press", 60], [400, "end", END]]),),
        {**_TWO_FOLDERS, "active": "ba", "boot.rec": _framed('{"n":16777300,"u":4}')},
    ),
    Life(
        "update",
        (
            Boot(
                [
                    [1500, "command", updates.command],
                    [1600, "press", 60],
                    [1800, "answer", "closed"],
                    [60000, "end", END],
                ],
                ends="reset",
            ),
            Boot([[5000, "end", END]]),
        ),
        {**_WORKED, **configuration("old", "a/"), "active": "a", **updates.ROOT_FILES},
        is_update=True,
    ),
    Life(
        "update without a drill",
        (
            Boot([[1500, "command", updates.command], [60000, "end", END]], ends="reset"),
            Boot([[0, "no drills", None], [950000, "end", END]], ends="reset"),
            Boot([[5000, "end", END]]),
        ),
        {**_WORKED, **configuration("old", "a/"), "active": "a", **updates.ROOT_FILES},
        is_update=True,
    ),
    Life(
        "renewal",
        (
            Boot([[1500, "command", renewals.command], [60000, "end", END]], ends="reset"),
            Boot([[20000, "end", END]]),
        ),
        _WORKED,
        renews=True,
    ),
    Life(
        "renewal that no broker takes",
        (
            Boot([[1500, "command", renewals.command], [60000, "end", END]], ends="reset"),
            Boot([[200000, "end", END]], ends="reset"),
            Boot([[5000, "end", END]]),
        ),
        _WORKED,
        renews=False,
    ),
    Life("self-test", (Boot([[200, "command", _SELFTEST], [400, "press", 60], [600, "end", END]]),), _WORKED),
    Life("six hours", (Boot([[100, "pass", FLOOR_EVERY_MS], [FLOOR_EVERY_MS + 500, "end", END]]),), _WORKED),
)
NAMES = tuple(life.name for life in LIVES)
