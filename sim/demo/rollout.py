"""`python -m sim rollout`: a signed update for the whole example fleet, in real time, and a bad one before it.

Real mosquitto with the files that provisioning made, the real desk, `python -m desk.rollout` as a process that is
killed on the way, and a virtual board for each column, on MicroPython. The bad release does not understand answers: the
first column that tries it finds no answer to its drills and goes back by itself. Buttons are pressed meanwhile.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from common import release
from common.arguments import Parser, add_language, byte_count, described, whole
from common.home import COLUMN_COMMAND
from common.ports import HOST
from common.sentences import LANGUAGES, Sentences, any_letters
from desk.rollout.book import Book
from desk.rollout.command import WORDS as ROLLOUT_WORDS
from field import bundle, provision
from field import release as releases
from field.documents import KEYS_FILE
from firmware import VERSION
from sim.demo.desk_client import DeskClient
from sim.demo.desk_process import DeskError, DeskProcess
from sim.demo.presses import Seen, Taken, unheard_of, unknown
from sim.fleet.broker import ProvisionedBroker
from sim.real import flash_image
from sim.real.changed import Change, changed_copy
from sim.real.column import RealColumn
from sim.real.flash_image import PROJECT
from sim.real.runtimes import RUNTIMES
from sim.servers.broker import BrokerError
from sim.servers.stand_ins import TimeServer
from sim.spoken import spoken
from tools import toolbox

FLEET = PROJECT / "examples" / "petropavl"
COLUMNS_MAX = 19  # the example has no more
BAD, GOOD = "1.0.1", "1.0.2"
PATIENCE_S = 300.0
POLL_S = 0.2
PRESS_MS = 150
WORDS = "> "
PROOF_MS = 15_000  # instead of a quarter of an hour: that a bad release goes back is what is waited for
HEALTHY_S = 3
# What a release changes in the tree.
_QUICK = Change("firmware/update/trial.py", "_PROOF_MS = const(900000)", f"_PROOF_MS = const({PROOF_MS})")
_LEAVES = Change("firmware/startup/again.py", "_LEFT_MS = 60000", "_LEFT_MS = 5000")
_DEAF = Change("firmware/column.py", 'body["v"] != 1 or state', 'body["v"] != 2 or state')


class Figures(NamedTuple):
    """Of one run. Bytes: of the pieces that a column fetches; times from the command until the firmware was kept."""

    columns: int
    whole_s: float
    column_s: float
    bytes_each: int
    heap_min: int
    presses: int


class RolloutFailed(Exception):
    """Something did not come about; says what."""


def main(argv: Sequence[str] | None = None) -> int:
    any_letters()
    argv = sys.argv[1:] if argv is None else argv
    sentences = spoken(argv, ROLLOUT_WORDS)
    said, arguments = sentences.said, _parser(sentences).parse_args(argv)

    def say(text: str) -> None:
        print(in_words(text, said), flush=True)

    try:
        with tempfile.TemporaryDirectory(prefix="sos-rollout-") as folder:
            count, runtime = arguments.columns, arguments.runtime
            found = perform(Path(folder), count, runtime, say, arguments.heap, language=sentences.language)
    except toolbox.ToolMissing as error:
        return toolbox.missing(error, said)
    except (RolloutFailed, BrokerError, DeskError, OSError) as error:
        print(in_words(f"FAILED: {error}", said), file=sys.stderr)
        return 1
    print(json.dumps(found._asdict()))
    return 0


def in_words(text: str, said: Callable[[str], str]) -> str:
    """Each line is turned by itself, but for what a column's console said."""
    return "\n".join(line if line.strip().startswith(WORDS) else said(line) for line in text.split("\n"))


def _parser(sentences: Sentences) -> Parser:
    description = described(__doc__).partition("`: ")[2].strip()
    layout = argparse.RawDescriptionHelpFormatter
    parser = Parser(sentences, f"{COLUMN_COMMAND} rollout", description, formatter_class=layout)
    add_language(parser)
    add, count = parser.add_argument, whole("columns", 1, COLUMNS_MAX)
    add("--columns", type=count, default=COLUMNS_MAX, metavar="N", help="of the example fleet (default: %(default)s)")
    help_text = "of the virtual boards (default: %(default)s)"
    add("--runtime", choices=RUNTIMES, default="micropython", help=help_text)
    add("--heap", type=byte_count, metavar="BYTES", help="of MicroPython, that the firmware has")
    return parser


def perform(
    folder: Path,
    count: int,
    runtime: str,
    say: Callable[[str], None],
    heap_bytes: int | None = None,
    *,
    language: str = LANGUAGES[0],
) -> Figures:
    """`say` gets English; `language` is what provisioning tells of itself in. Raises RolloutFailed."""
    key = rsa.generate_private_key(release.EXPONENT, release.KEY_BITS)
    table = _fleet(folder, count, key)
    out = folder / "provisioned"
    if provision.main([str(table), "--out", str(out), "--lang", language]):
        raise RolloutFailed("the fleet cannot be provisioned")
    bad = _release(folder / "bad", BAD, [_QUICK, _LEAVES, _DEAF], key)
    good = _release(folder / "good", GOOD, [_QUICK], key)
    with ExitStack() as stack:
        broker = stack.enter_context(ProvisionedBroker(out))
        clock = stack.enter_context(TimeServer())
        desk = stack.enter_context(DeskProcess(folder / "desk", HOST, broker.centre_port, arguments=_centre(out)))
        seen = Seen()
        street = stack.enter_context(_street(folder, out, broker.port, clock.port, runtime, heap_bytes, seen))
        town = Town(folder, out, broker.centre_port, DeskClient(desk.url), street, seen, say)
        town.wait(
            lambda: not seen.timeless and all(town.fw(name) for name in street),
            "every column at the desk, and knowing the time",
        )
        return _tell(town, bad, good)


def _tell(town: Town, bad: Path, good: Path) -> Figures:
    """The story."""
    town.say(f"{len(town.street)} columns are up; the bad release goes out")
    with town.rollout(bad, "bad") as rolling:
        town.press_while(lambda: rolling.poll() is None)
        if rolling.returncode != 1:
            raise RolloutFailed(f"the bad release ended with {rolling.returncode}")
    status = town.status("bad")
    touched = {name: one["state"] for name, one in status["columns"].items() if one["state"] != "waiting"}
    town.say(f"it stopped: {status['why']}; touched: {touched}")
    if status["state"] != "stopped" or len(touched) != 1 or status["stage"] != 1:
        raise RolloutFailed(f"it did not stop at the first column: {status}")
    (tried,) = touched
    town.wait(lambda: town.outcome(tried) == "returned", f"{tried} back by itself")
    town.wait(lambda: all(town.fw(name) == VERSION for name in town.street), "the old firmware everywhere")
    town.say(f"{tried} is back by itself")
    began_s = time.monotonic()
    town.say("the good release goes out; its process is killed once")
    with town.rollout(good, "good") as rolling:
        town.wait(lambda: "fetching" in town.states("good").values(), "somebody who fetches")
        rolling.send_signal(signal.SIGKILL)
    with town.rollout(good, "good") as rolling:
        town.press_while(lambda: rolling.poll() is None)
        if rolling.returncode != 0:
            raise RolloutFailed(f"the good release ended with {rolling.returncode}: {town.status('good')}")
    whole_s = time.monotonic() - began_s
    town.wait(lambda: all(town.fw(name) == GOOD for name in town.street), "the new firmware everywhere")
    town.settle()
    return town.figures(whole_s, _needed_bytes(good))


class Town:
    """The columns, the desk, and who presses."""

    def __init__(
        self, folder: Path, out: Path, centre_port: int, desk: DeskClient, street: dict[str, RealColumn], seen: Seen,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.street, self.say, self._desk, self._seen = street, say, desk, seen
        self._folder, self._out, self._port = folder, out, centre_port
        self.pressed: Counter[str] = Counter()  # contacts closed, by column
        self.dice = random.Random(1)

    def fw(self, name: str) -> str:
        """What the desk knows of that column's version; empty while it is not connected."""
        column = self._desk.column(name)
        return str((column.get("info") or {}).get("fw", "")) if column.get("presence") in (None, "up") else ""

    def outcome(self, name: str) -> str:
        """What the column says of its last update."""
        return str((self._desk.column(name)["info"].get("update") or {}).get("state", ""))

    def press(self) -> None:
        """At some column, whatever it is doing; and the operator closes what there is.

        Who finds that the lamp goes out instead has met a restart, in which nobody looks at the button. Whether such a
        press counts only the column knows: one that is still held when it is armed does (docs/reliability.md)."""
        name = self.dice.choice(sorted(self.street))
        if not self._is_watching(name):
            return
        taken, boots = self._seen.count(name), self._seen.boots[name]
        self.pressed[name] += 1
        self.street[name].press(PRESS_MS)
        self.wait(
            lambda: (self._seen.count(name), self._seen.boots[name]) != (taken, boots),
            f"a sign of press {self.pressed[name]} at {name}",
        )
        if self._seen.count(name) == taken:
            self.say(f"a press of {PRESS_MS} ms at {name} met its restart")
            return
        self.wait(lambda: not unknown(self._seen.taken, self._desk.incidents()), f"the last press at {name}")
        self._close_all()

    def _close_all(self) -> None:
        for one in self._desk.incidents():
            if one.is_open:
                self._desk.close(one.id, "false")

    def settle(self) -> None:
        """Until the desk has what the columns took, that and no more, and each column knows how its incidents ended."""

        def is_settled() -> bool:
            self._close_all()
            return not self._amiss()

        self.wait(is_settled, f"an answer to each of {len(self._seen.taken)} presses")
        for name, pressed in self.pressed.items():
            if self._seen.count(name) > pressed:
                raise RolloutFailed(
                    f"{name} took more than the {pressed} presses that there were{self._what_is_known()}"
                )
        missed = self.pressed.total() - len(self._seen.taken)
        self.say(f"{len(self._seen.taken)} presses, all at the desk and answered; {missed} fell into a restart")

    def _amiss(self) -> list[str]:
        """Presses of which a column and the desk do not say the same, each with what the desk has."""
        incidents, taken = self._desk.incidents(), list(self._seen.taken)
        has = {one.id: f"the desk has {one.press} of it, {one.state}" for one in incidents}

        def had(one: Taken) -> str:
            return has.get(one.incident, "the desk knows no such incident")

        found = [f"{one} is not at the desk; {had(one)}" for one in unknown(taken, incidents)]
        found += [f"{one} is at the desk, but not taken; {had(one)}" for one in unheard_of(taken, incidents)]
        found += [f"{one} has no end at the column; {had(one)}" for one in self._seen.waiting()]
        return found

    def _is_watching(self, name: str) -> bool:
        """A column that restarts just now has no lamp, and nobody would take it for one that works."""
        return self.fw(name) != ""

    def press_while(self, is_so: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while is_so():
            self.press()
            time.sleep(2.0)
            if time.monotonic() > deadline_s:
                raise RolloutFailed(f"the rollout did not end within {PATIENCE_S:.0f} s")

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not is_so():
            if time.monotonic() > deadline_s:
                raise RolloutFailed(f"within {PATIENCE_S:.0f} s there was not: {what}{self._what_is_known()}")
            time.sleep(POLL_S)

    def _what_is_known(self) -> str:
        """Lines for whoever has to find out what became of a press; a column's own words are behind `WORDS`."""
        lines = self._amiss()
        for name in sorted(self.street):
            presses = f"{self.pressed[name]} presses, {self._seen.count(name)} taken, {self._seen.boots[name]} boots"
            lines.append(f"{name}: {presses}; at the desk: {self.fw(name) or 'not connected'}")
            lines.append(f"{WORDS}{self._seen.words(name)}")
        return "".join(f"\n  {line}" for line in lines)

    @contextmanager
    def rollout(self, release_folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
        argv = [sys.executable, "-m", "desk.rollout", "start", "--folder", str(self._folder / f"rollout-{name}")]
        argv += ["--release", str(release_folder), "--keys", str(self._folder / "release.pem")]
        argv += ["--broker", f"{HOST}:{self._port}", *_centre(self._out)]
        argv += ["--watch-s", "1", "--at-once", "6", "--silent-s", "120"]
        with (self._folder / f"rollout-{name}.log").open("a") as log:
            process = subprocess.Popen(argv, cwd=PROJECT, stdout=log, stderr=log, text=True)
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def status(self, name: str) -> dict[str, Any]:
        folder = str(self._folder / f"rollout-{name}")
        argv = [sys.executable, "-m", "desk.rollout", "status", "--json", "--folder", folder]
        done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {"columns": {}}

    def states(self, name: str) -> dict[str, str]:
        return {column: one["state"] for column, one in self.status(name)["columns"].items()}

    def figures(self, whole_s: float, bytes_each: int) -> Figures:
        told: dict[str, int] = {}
        took_s = []
        for at_ms, text in Book(self._folder / "rollout-good").log():
            name, _, what = text.partition(" ")
            if what == "told":
                told[name] = at_ms
            elif what == "kept" and name in told:
                took_s.append((at_ms - told[name]) / 1000)
        heap_min = min(int(self._desk.column(name)["heartbeat"]["heap_min"]) for name in self.street)
        return Figures(
            len(self.street),
            round(whole_s, 1),
            round(statistics.median(took_s), 1),
            bytes_each,
            heap_min,
            len(self._seen.taken),
        )


# What it is made of


def _needed_bytes(new: Path) -> int:
    """Manifest, signature, and what the firmware before did not have."""
    found, old = release.load(new), flash_image.firmware_files(mpy=True)
    fetched = [data for name, data in found.files.items() if old.get(name) != data]
    return len(found.manifest) + len(found.signature) + sum(map(len, fetched))


def _fleet(folder: Path, count: int, key: rsa.RSAPrivateKey) -> Path:
    """The example's first `count` columns, which trust `key`."""
    header, *rows = (FLEET / "fleet.csv").read_text("utf-8").splitlines()
    (folder / "fleet.csv").write_text("\n".join([header, *rows[:count]]) + "\n", "utf-8")
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "release.pem").write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    toml = (FLEET / "fleet.toml").read_text("utf-8")
    toml += f'\n[common.watchdog]\nhealthy_s = {HEALTHY_S}\n\n[updates]\nkeys = ["release.pem"]\n'
    (folder / "fleet.toml").write_text(toml, "utf-8")
    return folder / "fleet.csv"


def _release(out: Path, version: str, changes: Sequence[Change], key: rsa.RSAPrivateKey) -> Path:
    """This tree with changes, as a signed release."""
    of_version = Change("firmware/__init__.py", f'VERSION = "{VERSION}"', f'VERSION = "{version}"')
    try:
        tree = changed_copy(out.with_name(out.name + "-tree"), of_version, *changes)
    except ValueError as error:
        raise RolloutFailed(str(error)) from None
    made = bundle.make(tree, toolbox.device_libraries())
    manifest = releases.write(made, out, version=version)
    (out / release.SIGNATURE_FILE).write_bytes(releases.sign(manifest, key))
    return out


def _centre(out: Path) -> list[str]:
    """Of a command line: who the centre is at the broker, and what columns prove their words with."""
    centre = out / "centre"
    words = ["--user", "centre", "--password-file", str(centre / "centre.password"), "--ca", str(centre / "ca.pem")]
    words += ["--column-keys", str(centre / "keys.json")]
    return [*words, "--cert", str(centre / "centre.pem"), "--key", str(centre / "centre.key")]


@contextmanager
def _street(
    folder: Path, out: Path, port: int, ntp_port: int, runtime: str, heap_bytes: int | None, seen: Seen
) -> Iterator[dict[str, RealColumn]]:
    """A virtual board for each column, switched on."""
    with ExitStack() as stack:
        street = {}
        for place in sorted((out / "columns").iterdir()):
            config = json.loads((place / "config.json").read_text("utf-8"))
            config["secrets"] = json.loads((place / "secrets.json").read_text("utf-8"))
            config["broker"] |= {"host": HOST, "port": port}
            config["clock"] |= {"server": HOST, "port": ntp_port}
            flash = folder / f"{place.name}.img"
            chip = (place / "chip").read_text("ascii").strip()
            told = partial(seen.add, place.name)
            column = RealColumn(
                config, runtime=runtime, flash_path=flash, heap_bytes=heap_bytes, chip=chip, on_event=told
            )
            image = flash_image.Image(flash.read_bytes())
            image.write(KEYS_FILE, (place / KEYS_FILE).read_bytes())
            flash_image.replace(flash, image.content())
            street[place.name] = stack.enter_context(column)
        for column in street.values():
            column.power_on()
        yield street
