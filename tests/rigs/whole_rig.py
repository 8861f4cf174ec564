"""From the table of a fleet to a column on duty, by make's targets alone: each is a process, as a person starts it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cli_probe import Column
from column_probe import need

from sim.real.flash_image import PROJECT, Image

EXAMPLE = PROJECT / "examples" / "petropavl" / "fleet.csv"
COLUMN = "petropavl-03"  # ESP32-S3, Ethernet, tamper switch and supply fitted
PLANNED = {"RUNTIME": "micropython32", "HEAP": "120k"}  # docs/architecture.md: the heap to plan for
PATIENCE_S = 60.0
INSTALLED_S = 150.0  # make waits for whoever installs or fetches something just then: there is one lock
ASKED_OF_A_PERSON = ["lamp", "button"]
# What else takes minutes: a start counts as a good one, a button as stuck.
IMPATIENT = "\n[common.watchdog]\nhealthy_s = 1\n\n[common.button]\nstuck_s = 5\n\n[common.supply]\nlow_mv = 900\n"
MAKE = ["make", "--silent", "--no-print-directory"]
# What a `make test` around these tests would pass on to them.
for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"):
    os.environ.pop(name, None)


def make(target: str, **variables: object) -> "subprocess.CompletedProcess[str]":
    """To its end."""
    command = [*MAKE, target, *(f"{key}={value}" for key, value in variables.items())]
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=100
    )


def succeeds(target: str, **variables: object) -> str:
    """What it prints."""
    done = make(target, **variables)
    assert done.returncode == 0, f"make {target}: {done.stdout}{done.stderr}"
    return done.stdout


class Running(Column):
    """A target that runs until its input ends: `make servers`, `make board`."""

    program = MAKE

    def __init__(self, target: str, **variables: object) -> None:
        self.command = target
        super().__init__(*(f"{key}={value}" for key, value in variables.items()))

    def close(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.end()
        self.process.kill()


class Desk(Running):
    """`make desk`, which ends when it is told to."""

    own_session = True

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)


class Line(dict[str, Any]):
    """One line of a check-up."""

    def __str__(self) -> str:
        return f"{self['verdict']:4} {self['line']:13} {self['text']} | {self['cause']} | {self['next']}"


class Checkup:
    """What `make diag JSON=1` said."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.lines = {line["line"]: Line(line) for line in document["lines"]}

    def __str__(self) -> str:
        return "\n".join(["", *map(str, self.lines.values())])

    def with_verdict(self, *verdicts: str) -> list[str]:
        return [name for name, line in self.lines.items() if line["verdict"] in verdicts]


class Whole:
    """A provisioned fleet, its servers, and one board. `on_duty()` flashes it; everything lies in `folder`."""

    def __init__(
        self,
        folder: Path,
        device_id: str,
        fleet: Path = EXAMPLE,
        board: dict[str, str] | None = None,
        *,
        street: bool = False,
    ) -> None:
        """`board`: further variables of `make board`; `street`: with real cameras and intercoms."""
        for tool in ("micropython", "mosquitto"):
            need(tool)
        self.device_id = device_id
        self.is_sound = True  # a test may say no
        self.provisioned, self.port = folder / "provisioned", folder / "board"
        self.image = folder / "board.img"
        succeeds("provision", FLEET=fleet, OUT=self.provisioned)
        self._stack = contextlib.ExitStack()
        where: dict[str, object] = {"SERVERS": folder / "servers"}
        stand_ins = {} if street else {"STAND_INS": 1}
        self.servers = self._running("servers", OUT=self.provisioned, **where, **stand_ins)
        self.ready = self.servers.seen.wait("ready", INSTALLED_S)
        self.board = self._running("board", CONFIG=self.config, LINK=self.port, **where, **(board or {}))
        self.board.seen.wait("port", PATIENCE_S, path=str(self.port))

    @property
    def config(self) -> Path:
        return self.provisioned / "columns" / self.device_id

    def close(self) -> None:
        self._stack.close()

    def flash(self, config: Path | None = None) -> str:
        return succeeds("flash", PORT=self.port, CONFIG=config or self.config)

    def diag(self, **variables: object) -> Checkup:
        """Whatever its verdict; make's own exit status is checked against it."""
        done = make("diag", PORT=self.port, JSON=1, **variables)
        document = json.loads(done.stdout)
        assert (done.returncode == 0) == (document["exit"] == 0), done.stderr
        found = Checkup(document)
        print(found)  # shown when the test fails
        return found

    def tell_servers(self, *words: str) -> dict[str, Any]:
        """A command to the servers; its answer."""
        answers = {"break": "broken", "mend": "mended", "expire": "expired", "close": "closed"}
        self.servers.say(" ".join(words))
        return self.servers.seen.wait(answers[words[0]])

    def says(self, text: str) -> None:
        """Wait until the column says that on its console, from now on."""

        def matches(event: dict[str, Any]) -> bool:
            return event["event"] == "log" and text in event["text"]

        self.board.seen.wait_for(matches, PATIENCE_S, f"console line with {text!r}")

    def has_session(self) -> None:
        self.says("uplink: session with")

    def goes_on_duty_and_passes(self) -> None:
        """Flashed, it is heard at the broker, nothing of its check-up is amiss, and a press arrives."""
        assert "connected to" in self.flash()
        assert self.servers.seen.wait("column", PATIENCE_S, device_id=self.device_id, online=True)
        found = self.diag()
        assert found.document["device_id"] == self.device_id
        assert set(found.with_verdict("-")) <= {*ASKED_OF_A_PERSON, "supply", "tamper"}  # not fitted there
        assert found.with_verdict("FAIL", "WARN") == []
        assert self.alarm()["device_id"] == self.device_id

    def desk(self, folder: Path, *more: str) -> str:
        """`make desk` as docs/virtual-board.md has it; its page."""
        options = {
            "--password-file": "centre.password", "--ca": "ca.pem", "--cert": "centre.pem", "--key": "centre.key",
            "--roster": "roster.json", "--answer-key": "answer.key", "--column-keys": "keys.json",
        }  # fmt: skip
        named = [word for option, file in options.items() for word in (option, f"{self.provisioned}/centre/{file}")]
        here = ["--connect-to", self.ready["servers"], "--listen", "127.0.0.1:0"]
        arguments = ["--user", "centre", *named, *here, *more]
        running = Desk("desk", BROKER=self.ready["desk"], FOLDER=folder, ARGS=" ".join(arguments))
        self._stack.callback(running.close)
        return str(running.seen.wait("desk", PATIENCE_S)["url"])

    @contextlib.contextmanager
    def dark(self) -> Iterator[None]:
        """Without power meanwhile; then it is on duty again, with a session."""
        self.board.say("power off")
        self.board.seen.wait("console", state="off")
        yield
        self.board.say("power on")

    def on_flash(self, change: Callable[[Image], None]) -> None:
        """Change the board's flash, which must be dark."""
        image = Image(self.image.read_bytes())
        change(image)
        self.image.write_bytes(image.content())

    def alarm(self) -> dict[str, Any]:
        """A press, until the centre has it; it is closed again."""
        self.board.say("press 120")
        return self.is_heard()

    def is_heard(self) -> dict[str, Any]:
        """Wait until the centre has an alarm of a press; it is closed."""
        heard = self.servers.seen.wait("alarm", device_id=self.device_id, status="actual", state="received")
        self.tell_servers("close")
        return heard

    def _running(self, target: str, **variables: object) -> Running:
        running = Running(target, **variables)
        self._stack.callback(running.close)
        return running


class Wholes:
    """One column on duty for all tests of a file, and a new one after a test that did not mend what it broke."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._whole: Whole | None = None
        self._count = 0
        self._fleet = Path(shutil.copytree(EXAMPLE.parent, folder / "fleet"), EXAMPLE.name)
        with self._fleet.with_name("fleet.toml").open("a") as file:
            file.write(IMPATIENT)

    def column(self) -> Whole:
        if self._whole is None:
            self._count += 1
            folder = self._folder / str(self._count)
            folder.mkdir()
            self._whole = Whole(folder, COLUMN, self._fleet)
            verdict = self._whole.flash()
            assert "folder a is in force; armed after" in verdict and "connected to" in verdict
            self._whole.has_session()
        return self._whole

    def close(self) -> None:
        if self._whole is not None:
            self._whole.close()
            self._whole = None
