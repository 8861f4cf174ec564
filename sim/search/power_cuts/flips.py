# mypy: allow-untyped-calls
"""Every single bit of every file that the column trusts, flipped: detected, and at the cost of that record at most.

LittleFS keeps no checksum over file data. The real firmware reads the flipped file; a judge for each file says what
became of it: `HARMLESS` (all is as it was), `DETECTED` (something is missing, and it is known), or, in words, a lie.
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sim.virtual import umqtt_host

umqtt_host.install()

from firmware import clock, record, resets  # noqa: E402
from firmware.incidents import Incidents  # noqa: E402
from firmware.journal import FILE as JOURNAL  # noqa: E402
from firmware.journal import Journal  # noqa: E402
from firmware.resets import ADDRESS_FILE  # noqa: E402
from firmware.startup import config, config_files  # noqa: E402
from firmware.uplink import Uplink  # noqa: E402
from sim.search.power_cuts import lives  # noqa: E402
from sim.virtual.bootrom import BOOT_FILE, run_boot  # noqa: E402
from sim.virtual.costs import Costs  # noqa: E402
from sim.virtual.flash import FlashStore, VirtualFlash  # noqa: E402
from sim.virtual.timeline import Timeline  # noqa: E402
from sim.virtual.trace import Trace  # noqa: E402

CHIP = "esp32"
HARMLESS, DETECTED = "harmless", "detected"
BOOT_PY = BOOT_FILE
NUMBER = 16_777_300  # of the boot that wrote boot.rec
FLOOR_MS = 1_795_000_000_000
GOOD_FILE = resets.GOOD_FILE
_FIRST_BASE = 1 << 24  # of boot.py


class Flipped(NamedTuple):
    """What became of the bits of one file."""

    file: str
    bits: int
    detected: int
    harmless: int
    wrong: list[str]


class Bench:
    """Files, and just enough of a board for the parts of the firmware that read them."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.store = FlashStore(Trace(Timeline()), random.Random(1))
        self.store.files.update(files)
        self.flash = VirtualFlash(self.store, lambda _: None, Costs())
        self.scratch = self
        self.set_ms = 0

    def forget(self, *modules: str) -> None:
        pass

    discard = forget

    def ticks_ms(self) -> int:
        return 0

    def ticks_diff(self, later: int, earlier: int) -> int:
        return later - earlier

    def read(self) -> bytes:
        return b""

    def reset_cause(self) -> str:
        return "power-on"

    def epoch_ms(self) -> int:
        return 0

    def set_epoch_ms(self, epoch_ms: int) -> None:
        self.set_ms = epoch_ms

    def log(self, text: str) -> None:
        pass


def flip_all(name: str, files: Mapping[str, bytes], judge: Callable[[Bench, int], str]) -> Flipped:
    """Judge the flash once for each bit of the file. `judge(bench, byte)`: HARMLESS, DETECTED or what is wrong."""
    data = files[name]
    counts = {HARMLESS: 0, DETECTED: 0}
    wrong = []
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        verdict = judge(Bench({**files, name: bytes(flipped)}), bit // 8)
        if verdict in counts:
            counts[verdict] += 1
        else:
            wrong.append(f"{name}: bit {bit % 8} of byte {bit // 8}: {verdict}")
    return Flipped(name, 8 * len(data), counts[DETECTED], counts[HARMLESS], wrong)


# -- the journal


_SETTINGS = config.validate({**lives.document(), "secrets": lives.SECRETS}, CHIP)[0]


class _NoClock:
    source = "none"


def _restored(bench: Bench) -> tuple[Any, int]:
    """(what the column knows after reading its journal, damaged records that it noticed)."""
    journal = Journal(bench, lambda *_: None)
    incidents = Incidents(bench, _SETTINGS, journal, _NoClock(), lambda *_: None, lambda *_: None, lambda: None)
    incidents.restore(journal.restore(), NUMBER)
    known = [(one.id, one.press, one.state, one.raised_at) for one in incidents._list]
    return (known, incidents.held, incidents.boot), journal.quarantined


def journal_flips() -> Flipped:
    """Open, pressed again, answered and closed incidents: only the record with the flipped bit may be missing."""
    entries = [entry for seq in (2, 4) for entry in _history(seq)]
    framed = [record.frame(json.dumps(entry).encode()) for entry in entries]
    whole, _ = _restored(Bench({JOURNAL: b"".join(framed)}))
    without = [_restored(Bench({JOURNAL: b"".join(framed[:i] + framed[i + 1 :])}))[0] for i in range(len(framed))]
    owner = [i for i, one in enumerate(framed) for _ in one]

    def judge(bench: Bench, byte: int) -> str:
        known, damaged = _restored(bench)
        if known == whole:
            return DETECTED if damaged else HARMLESS
        if known != without[owner[byte]]:
            return f"more than its record changed: {known}"
        return DETECTED if damaged else "a record is missing, and nobody noticed"

    return flip_all(JOURNAL, {JOURNAL: b"".join(framed)}, judge)


def _history(seq: int) -> list[dict[str, Any]]:
    ident = f"cut-01-{NUMBER - 1}-{seq}"
    opened = {"k": "open", "id": ident, "n": 1, "at": FLOOR_MS, "clock": "ntp"}
    pressed = {"k": "press", "id": ident, "n": 2}
    answered = [{"k": "state", "id": ident, "s": state} for state in range(2, seq + 2)]
    return [opened, {"k": "release"}, pressed, {"k": "release"}, *answered]


# -- the configuration


def _configuration(seal: bool) -> dict[str, bytes]:
    if seal:
        return {name: text.encode() for name, text in lives.configuration().items()}
    files = {config_files.CONFIG_FILE: lives.document(), config_files.SECRETS_FILE: lives.SECRETS}
    return {name: json.dumps(content).encode() for name, content in files.items()}


def _with_good(files: dict[str, bytes]) -> dict[str, bytes]:
    """As the flash is when the configuration has proved to work."""
    bench = Bench(files)
    config_files.put_on_trial(bench.flash, "", "current")
    resets.certify(bench, NUMBER, True)
    return {**files, GOOD_FILE: bench.store.files[GOOD_FILE]}


def _judge_configuration(files: dict[str, bytes]) -> Callable[[Bench, int], str]:
    right = config.load(Bench(files).flash, CHIP)[0]

    def judge(bench: Bench, _: int) -> str:
        found, source, errors = config.load(bench.flash, CHIP)
        if found is not None and found != right:
            changed = [key for key in found if found[key] != right[key]]
            return f"it is believed, and {', '.join(changed)} changed"
        if errors:
            return DETECTED if GOOD_FILE not in files or found == right else "the last good one was not used"
        return HARMLESS

    return judge


def configuration_flips(seal: bool = True) -> list[Flipped]:
    """`config.json` and `secrets.json` on a column that has run before, and on one that has not; then `config.good`."""
    fresh = _configuration(seal)
    settled = _with_good(fresh)
    found = [
        flip_all(name, files, _judge_configuration(files))
        for files in (settled, fresh)
        for name in (config_files.CONFIG_FILE, config_files.SECRETS_FILE)
    ]
    only_good = {GOOD_FILE: settled[GOOD_FILE]}
    right = config.last_good(Bench(only_good).flash, CHIP)[0]

    def judge(bench: Bench, _: int) -> str:
        good = config.last_good(bench.flash, CHIP)[0]
        return DETECTED if good is None else HARMLESS if good == right else "it is believed"

    return [*found, flip_all(GOOD_FILE, only_good, judge)]


# -- the small records


def boot_flips() -> Flipped:
    """The next number is the next one, or from a new random base; never one that was used."""
    files = {resets.BOOT_FILE: record.frame(b'{"n":%d,"u":1}' % NUMBER)}

    def judge(bench: Bench, _: int) -> str:
        boot = run_boot(bench.flash, bench.store, BOOT_PY)["boot"]
        if boot["number"] == NUMBER + 1 and boot["unhealthy"] == 1:
            return HARMLESS
        if boot["number"] >= _FIRST_BASE and boot["number"] != NUMBER and boot["unhealthy"] == 0:
            return DETECTED
        return f"number {boot['number']}, {boot['unhealthy']} unhealthy boots"

    return flip_all(resets.BOOT_FILE, files, judge)


def active_flips() -> list[Flipped]:
    """The column runs from a folder that is whole: that has a configuration."""
    found = []
    for text in (b"b", b"ba"):
        files = {resets.ACTIVE_FILE: text, "a/config.json": b"{}", "b/config.json": b"{}"}

        def judge(bench: Bench, _: int, right: str = "b") -> str:
            folder = run_boot(bench.flash, bench.store, BOOT_PY)["boot"]["folder"]
            if folder == right:
                return HARMLESS
            is_whole = folder + "/config.json" in bench.store.files
            return DETECTED if is_whole else f"runs from {folder!r}, where nothing is"

        found.append(flip_all(resets.ACTIVE_FILE, files, judge))
    return found


def _judge_value(read: Callable[[Bench], Any], right: Any, lost: Any) -> Callable[[Bench, int], str]:
    def judge(bench: Bench, _: int) -> str:
        found = read(bench)
        return HARMLESS if found == right else DETECTED if found == lost else f"read as {found!r}"

    return judge


def small_flips() -> list[Flipped]:
    """A reset record, the clock's floor and the broker's address: as written, or as if they were not there."""
    reset = {"culprit": "uplink", "traceback": "Traceback: line 7"}
    host, address = "broker.example", "192.0.2.7"
    return [
        flip_all(
            resets.RECORD_FILE,
            {resets.RECORD_FILE: record.frame(json.dumps(reset).encode())},
            _judge_value(_reset_of, ("uplink", "Traceback: line 7"), (None, None)),
        ),
        flip_all(
            clock.FLOOR_FILE,
            {clock.FLOOR_FILE: record.frame(b"%d" % FLOOR_MS)},
            _judge_value(_floor_of, FLOOR_MS, clock.EARLIEST_MS),
        ),
        flip_all(
            ADDRESS_FILE,
            {ADDRESS_FILE: record.frame(f"{host} {address}".encode())},
            _judge_value(lambda bench: _address_of(bench, host), address, None),
        ),
    ]


def _reset_of(bench: Bench) -> tuple[Any, Any]:
    report = resets.last(bench)
    return report["culprit"], report["traceback"]


def _floor_of(bench: Bench) -> int:
    clock.Clock(bench, {"server": None, "port": 123, "every_s": 3600, "latest_s": 0}, False, lambda: None)
    return bench.set_ms


def _address_of(bench: Bench, host: str) -> str | None:
    uplink = object.__new__(Uplink)
    uplink._board, uplink.config = bench, {"host": host}
    found: str | None = uplink._cached("asked")
    return found


def all_flips() -> list[Flipped]:
    """Every file that the column trusts."""
    return [journal_flips(), *configuration_flips(), boot_flips(), *active_flips(), *small_flips()]
