"""What documentation shows to be typed, word by word, held against what the words belong to.

The project's programs parse the very command line, the one behind a make target's too, what is in ARGS with it. Another
program's line is either run by a test, which takes it from the page, or it is one of OTHERS, whose users, folders and
modes are those of the unit and of provisioning.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from shown import ROOT, Command, Line, blocks, commands, lines

from contract import evidence
from field import fleet
from field.provision import Provisioning
from sim.__main__ import DELEGATED
from tools.targets import strangers
from tools.toolbox import TOOL_NAMES

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
OURS = re.compile(r"\.venv/bin/python -m ((?:desk|field|sim|tools)\b\S*)")
# What stands for something that a program wants to understand.
PLACES = {
    "HOST:PORT": "broker.example:8884", "N:HASH": f"7:{'0' * 64}", "BYTES": "112k", "N": "7", "COMMAND": "status",
    "NAME=N": "deaf", "NAME": "deaf",
}  # fmt: skip
SERVICE = ROOT / "examples/desk/sos-desk.service"
UNIT, NAME = SERVICE.read_text("utf-8"), SERVICE.stem
OF_UNIT = dict(re.findall(r"^(\w+)=(.*)$", UNIT, re.M))
FOLDER, PLACE = f"/var/lib/{OF_UNIT['StateDirectory']}", OF_UNIT["WorkingDirectory"]
(SECRETS,) = re.findall(r"--password-file (\S+)/", UNIT)
USER, GROUP = OF_UNIT["User"], OF_UNIT["Group"]
# Of other people's programs, what no test runs: it wants root, systemd, another machine, or a package registry.
OTHERS = f"""
useradd --system --home-dir {FOLDER} --shell /usr/sbin/nologin {USER}
install -d -o {USER} -g {GROUP} -m {OF_UNIT["StateDirectoryMode"]} {SECRETS} {FOLDER}
install -o {USER} -g {GROUP} -m 0600 provisioned/centre/* {SECRETS}
ln -sfn {PLACE}-1 {PLACE}
ln -sfn {PLACE}-2 {PLACE}
cd {PLACE}
cd {PLACE}-2
systemctl daemon-reload
systemctl enable --now {NAME}
systemctl start {NAME}
systemctl stop {NAME}
systemctl restart {NAME}
systemctl reload nginx
nginx -t
journalctl -u {NAME}
journalctl -u {NAME} -f
ls /dev/serial/by-id
sudo usermod -aG dialout $USER
chmod 600
mosquitto -p 1883
. column-tools/bin/activate
pip install git+file:///path/to/this/repository
pip install git+file:///PATH/TO/THIS/REPOSITORY
pip install jsonschema paho-mqtt
make -C ports/esp32 BOARD=ESP32_GENERIC_S3 BOARD_VARIANT=SPIRAM_OCT FROZEN_MANIFEST=/path/to/manifest.py
make -C ports/esp32 BOARD_DIR=/path/to/image/SOS_COLUMN_ESP32
"""
TAKES = re.compile(r"shown\.block\(\"([\w.-]+)\", \"([^\"]+)\"\)")


class Job(NamedTuple):
    """`python -m module words`, for parse_only.py."""

    module: str
    words: tuple[str, ...]
    whole: bool


VERBS = {"sim", "desk", "desk.rollout", "field.release"}
# Whose options a page names that shows none of their commands.
USUAL = [Job("desk", (), False), Job("sim", ("column",), False)]
FILE = re.compile(r"[\w./*-]*\.(?:bin|conf|csv|der|img|json|key|log|password|pem|py|sig|toml)")


class Strange(Exception):
    """Nobody knows it; the text says what."""


@cache
def run_by_tests() -> set[str]:
    """Commands of the blocks that tests take from the pages, to run them."""
    taken = {found for path in (ROOT / "tests").rglob("test_*.py") for found in TAKES.findall(path.read_text("utf-8"))}
    texts = [text for page, begins in taken for text in blocks((ROOT / "docs" / page).read_text("utf-8"))
             if any(line.strip().startswith(begins) for line in text.splitlines())]  # fmt: skip
    return {shlex.join(one.words) for text in texts for line in lines(f"```\n{text}```") for one in commands(line.text)}


@cache
def quoted_names() -> set[str]:
    """Names of the environment are among what the sources have in capitals."""
    sources = [path for room in ("common", "field", "sim", "tests") for path in (ROOT / room).rglob("*.py")]
    return {name for path in sources for name in re.findall(r'"([A-Z][A-Z_]+)"', path.read_text("utf-8"))}


@cache
def recipe(*words: str) -> str:
    """What make would run; its Python, which makes .venv, is none."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", "-n", "PYTHON=:", *words], cwd=ROOT, env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode:
        raise Strange(done.stderr.strip())
    return done.stdout


def _of_make(words: list[str], whole: bool) -> list[Job]:
    """Each variable makes a difference, and what the target runs takes what it is given."""
    given = [word for word in words if "=" in word]
    if unknown := strangers(MAKEFILE, [word.partition("=")[0] for word in given]):
        raise Strange(f"make has no variable {sorted(unknown)}")
    typed = recipe(*words)
    for one in given:
        name, others = one.partition("=")[0], [word for word in words if word != one]
        if name != "STRICT" and recipe(*others) == recipe(*others, f"{name}=another") == typed:
            raise Strange(f"{words[0]} takes no {one}")
    if missing := re.search(r"tools/targets\.py .* missing (.*)", typed):
        if whole:
            raise Strange(f"missing: {missing[1]}")
        return []
    ran = [one for line in re.sub(r"\\\n\s*", "", typed).splitlines() for one in commands(line)]
    return [job for one in ran if OURS.match(" ".join(one.words)) for job in _jobs(one.words, True)]


def _of_pytest(words: list[str]) -> list[Job]:
    for word in words:
        if word not in ("-s", "-k", "micropython32") and not (ROOT / word.partition("::")[0]).is_file():
            raise Strange(f"pytest {word}")
    return []


def _of_evidence(words: list[str]) -> list[Job]:
    """It has a parser of its own."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        evidence.main(words)
    if evidence.USAGE in said.getvalue():
        raise Strange(said.getvalue())
    return []


def jobs(command: Command, whole: bool) -> list[Job]:
    """Whose parsers have to take it. Raises Strange."""
    for name in command.environment:
        if name not in quoted_names():
            raise Strange(f"nobody reads {name}")
    return _jobs([word for word in command.words if word != "..."], whole)


def _jobs(words: list[str], whole: bool) -> list[Job]:
    words = [PLACES.get(word, word) for word in words]
    match words:
        case [_] if not whole:
            return []  # it is only named
        case ["make", *rest] if rest[:1] != ["-C"]:
            return _of_make(rest, whole)
        case ["sos-column", *rest]:
            return [Job("sim", (*rest,), whole)]
        case ["sos-desk", *rest]:
            return [Job("desk", (*rest,), whole)]
        case [_, "-m", "tools.toolbox", "run", program, *rest] if program in TOOL_NAMES:
            return _jobs([program, *rest], whole)
        case [_, "-m", "pytest", *rest]:
            return _of_pytest(rest)
        case [".venv/bin/python" | "python" | "python3", "-m", module, *rest]:
            return [Job(module, (*rest,), whole)]
        case ["python3", "evidence.py", *rest]:
            return _of_evidence(rest)
        case [".venv/bin/mpremote", *rest]:
            return [Job("mpremote", (*rest,), whole)]
    said = shlex.join(words)
    if said.replace("'", "") not in OTHERS.splitlines() and said not in run_by_tests():
        raise Strange("no test takes it from the page and runs it, and OTHERS has it not")
    return []


def objections(wanted: Sequence[Sequence[Job]]) -> list[str]:
    """What the programs say, asked in one process: to each of `wanted`, of which one has to be taken."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(ROOT / "tests/rigs/parse_only.py")], input=json.dumps(wanted), cwd=ROOT,
                          env=environment, capture_output=True, text=True, timeout=100, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return list(map(str, json.loads(done.stdout)))


class Checked:
    """What is wrong with the commands of these texts; each is (where, lines)."""

    def __init__(self, texts: Sequence[tuple[str, list[Line]]]) -> None:
        self.wrong: dict[tuple[str, str], str] = {}
        self.programs: dict[str, dict[Job, None]] = {}
        """Of each text: its programs, without what they are told but for a verb."""
        asked: dict[tuple[Job, ...], list[tuple[str, str]]] = {}
        options = []
        for where, shown in texts:
            self.programs[where] = {}
            for line in shown:
                for command in commands(line.text):
                    if command.words[0].startswith("--"):
                        options.append((where, line.text, command))
                        continue
                    for job in self._jobs(where, line, command):
                        asked.setdefault((job,), []).append((where, line.text))
                        self.programs[where][program(job)] = None
        typed = {word for line in run_by_tests() for word in shlex.split(line)}
        typed |= {*re.findall(r"[\w-]+", evidence.USAGE)}  # it has a parser of its own
        for where, text, command in options:
            if {*command.words} <= typed:
                continue  # another program's, of a line that a test runs
            words = tuple(PLACES.get(word, word) for word in command.words)
            belongs = dict.fromkeys([*self.programs[where], *USUAL])
            any_of = tuple(job._replace(words=(*job.words, *words), whole=False) for job in belongs)
            asked.setdefault(any_of, []).append((where, text))
        for said, places in zip(objections([*asked]), asked.values(), strict=True):
            self.wrong |= dict.fromkeys(places, said.strip().rpartition("\n")[2]) if said else {}

    def _jobs(self, where: str, line: Line, command: Command) -> list[Job]:
        try:
            return jobs(command, line.whole)
        except Strange as strange:
            self.wrong[where, line.text] = str(strange)
            return []


def program(job: Job) -> Job:
    verbs = takewhile(re.compile(r"[a-z][a-z-]*$").match, job.words) if job.module in VERBS else ()
    return job._replace(words=(*verbs,))


def called_as(job: Job) -> str:
    return " ".join((job.module, *job.words[:1])) if job.module == "sim" else job.module


def is_called(module: str, *verb: str) -> bool:
    """Whether a test, or what tests share, calls the program: by its name, or its `main`."""
    named = r",\s*".join(f'"{re.escape(word)}"' for word in (module, *verb))
    ways = [rf'"-m",\s*{named}', rf"\btool\({named}", *(rf'\brun_sim\("{one}"' for one in verb)]
    module = DELEGATED[verb[0]][0] if verb and verb[0] in DELEGATED else module
    for one in (module, f"{module}.command"):
        room, _, last = one.rpartition(".")
        ways.append(rf"from {re.escape(one)} import[^\n]*\bmain\b")
        ways.append(rf"from {re.escape(room)} import (?:[^\n]*\b)?{last}\b(?s:.*)\b{last}\.main\b")
        ways.append(rf"from {re.escape(room)} import {last} as (\w+)\n(?s:.*)\b\1\.main\b")
    return any(re.search(way, text) for text in sources() for way in ways)


@cache
def sources() -> list[str]:
    """Of what may run a program: this house, which reads pages, does not."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if path.parent.name != "house" and path != Path(__file__)]
    return [path.read_text("utf-8") for path in files]


@cache
def provisioned() -> set[str]:
    """Every file that provisioning makes of the example, and every folder."""
    with tempfile.TemporaryDirectory() as folder:
        Provisioning(Path(folder)).make(fleet.read(ROOT / "examples/petropavl/fleet.csv"))
        return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*")}


def missing_files(shown: list[Line], others: set[str]) -> set[str]:
    """Files in commands that are no part of the project, that provisioning does not make, and that are not among
    `others`."""
    words = [word for line in shown for command in commands(line.text) for word in command.words]
    files = {piece for word in words for piece in re.split("[= ]", word) if FILE.fullmatch(piece)}
    return {file for file in files if not _is_there(file, others)}


def _is_there(file: str, others: set[str]) -> bool:
    made = provisioned()
    if file.startswith("provisioned/"):
        return any(fnmatch(one, file.removeprefix("provisioned/").replace("/ID", "/*")) for one in made)
    name = Path(file).name
    return name in others | {Path(one).name for one in made} or (ROOT / file).exists() or any(ROOT.glob(f"*/*/{file}"))


def named_in(text: str) -> set[str]:
    """Files that a page names by themselves, not as a word of a command."""
    return {Path(span).name for span in re.findall(r"`([^`\s]+)`", text)}


def made_by(shown: list[Line]) -> set[str]:
    return {Path(file).name for line in shown for command in commands(line.text) for file in command.made}
