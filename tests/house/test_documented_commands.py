"""Every command that documentation shows is run by a test as it stands there, or each of its words is held against what
it belongs to.

The commands are taken from the Markdown itself, from blocks without a name and from between backticks, and from the
comments of the examples: rigs/shown.py. What a word belongs to is in rigs/belonging.py.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import shown
from belonging import Checked, called_as, is_called, made_by, missing_files, named_in
from desk_rig import Speaker
from shown import EXAMPLES, PAGES, ROOT, Line, commands, in_comments, lines

from desk.register import Register
from sim.servers.broker import EmbeddedBroker, Mosquitto

NAMES = {path: path.relative_to(ROOT).as_posix() for path in (*PAGES, *EXAMPLES)}
TEXTS = {NAMES[path]: path.read_text("utf-8") for path in PAGES}
SHOWN = {name: lines(text) for name, text in TEXTS.items()}
SHOWN |= {NAMES[path]: in_comments(path.read_text("utf-8")) for path in EXAMPLES}


# What is typed wrong, and a part of what is said of it.
BROKEN = {
    'make desk BROKER=b:1 FOLDER=x ARGS="--user c --passwort-file p"': "--passwort-file",
    "make desk BROKER=b:1": 'missing: "desk" "BROKER FOLDER" "FOLDER"',
    "make diag PROT=/dev/ttyUSB0": "make has no variable ['PROT']",
    "make diag PORT=/dev/ttyUSB0 FLEET=fleet.csv": "diag takes no FLEET=fleet.csv",
    "make fly": "No rule to make target 'fly'",
    "sos-column column --config x --nonsense": "--nonsense",
    ".venv/bin/python -m sim config": "--device-id, --region, --broker",
    ".venv/bin/python -m field.nonsense PORT": "No module named field.nonsense",
    ".venv/bin/mpremote exec x reseet": "'reseet' is not a command",
    "chown -R root: broker": "no test takes it",
    "mosquitto -c broker.conf": "no test takes it",
    "systemctl enable --now sos-pult": "no test takes it",
    "SOS_WIFI_PASWORD=x make provision FLEET=fleet.csv": "nobody reads SOS_WIFI_PASWORD",
    "python3 evidence.py call.json --desck X": "checks a call",
    ".venv/bin/python -m pytest tests/gone.py": "pytest tests/gone.py",
    "--tls-kert desk.pem --tls-key desk.key": "--tls-kert",
}
# Programs that are shown and that no test calls by their command line, and why.
NOT_CALLED = {
    "sim rollout": "demo/test_rollout_whole.py calls what is behind it",
    "tools.mutation": "takes hours; what it is made of is tested, and that it starts is not",
    "serial.tools.miniterm": "pyserial's own terminal: a person types in it",
    "venv": "Python's own",
}


def test_every_word_of_a_command_belongs_somewhere() -> None:
    """The project's programs parse what is shown for them, behind a make target and in its ARGS too. Red on a page for
    `--passwort-file` in the ARGS of `make desk`, for `--tls-kert desk.pem` in running text, for a variable that its
    target does not use; for `chown -R root: broker` and `mosquitto -c broker.conf` on a translated page: on the English
    one field/test_provisioned_broker.py, which runs them, is red. And for a program that no test calls any more."""
    controls = [(command, lines(f"```\n{command}\n```")) for command in BROKEN]
    checked = Checked([*SHOWN.items(), *controls])
    said = {where: why for (where, _), why in checked.wrong.items() if where in BROKEN}
    assert {command: said.get(command) for command, why in BROKEN.items() if why not in said.get(command, "")} == {}
    assert {place: why for place, why in checked.wrong.items() if place[0] in SHOWN} == {}
    programs = {called_as(program) for where in SHOWN for program in checked.programs[where]}
    assert len(programs) > 30 and {name for name in programs if not is_called(*name.split())} == {*NOT_CALLED}
    assert not is_called("field.nonsense") and not is_called("sim", "nonsense")


def test_a_file_in_a_command_is_there() -> None:
    """It is a part of the project, provisioning or another command that is shown makes it, or the page names it. Red
    for `mosquitto -c broker.conf` on all three pages, and for a desk's `--ca cb.pem`."""
    made = {file for found in SHOWN.values() for file in made_by(found)} | YOURS
    found = {name: missing_files(told, made | named_in(TEXTS.get(name, ""))) for name, told in SHOWN.items()}
    assert {name: files for name, files in found.items() if files} == {}
    page = TEXTS["docs/provisioning.md"].replace("-c mosquitto.conf", "-c broker.conf")
    assert missing_files(lines(page), made | named_in(page)) == {"broker.conf"}
    page = TEXTS["docs/virtual-board.md"].replace("provisioned/centre/ca.pem", "provisioned/broker/cb.pem")
    assert missing_files(lines(page), made | named_in(page)) == {"provisioned/broker/cb.pem"}


# What readers bring along.
YOURS = {"cameras.csv", "ESP32_GENERIC.bin", "fleet.csv"}


def test_what_is_shown_is_found() -> None:
    """Broken by taking indented blocks for text: most of flashing.md was not looked at."""
    text = "```\nmake run  # UI=script\nmake desk A=1 \\\n  B=2\n```\n```text\nmake no\n```\n"
    text += "- x\n\n  ```\n  a && b [c | d] > e\n  ```\n"
    found = lines(f"{text}`make\nx` `--a b` `c`")
    assert found == [
        Line("make run", True), Line("make run UI=script", False), Line("make desk A=1 B=2", True),
        Line("a && b [c | d] > e", True), Line("make x", False), Line("--a b", False),
    ]  # fmt: skip
    assert [(one.words, one.made) for one in commands(found[3].text)] == [
        (["a"], []), (["b", "c"], ["e"]), (["a"], []), (["b", "d"], ["e"]),
    ]  # fmt: skip
    assert in_comments("# Text `make venv`.\n#   make run\nx = 1\n") == [
        Line("make run", True),
        Line("make venv", False),
    ]
    assert sum(map(len, SHOWN.values())) > 600


BARE = re.compile(r"python3? -m (?:sim|desk|field|tools|pytest)\b")


def bare(text: str) -> list[str]:
    """What is shown to be typed with the machine's own Python, which has none of the packages. In running text a
    program may be named without its folder, but not with an option or with "..."."""
    told = [one.text for one in lines(text) if one.whole or " -" in one.text.partition(" -m ")[2] or "..." in one.text]
    return [one for one in told if BARE.match(one)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_command_is_left_to_the_machines_own_python(path: Path) -> None:
    """`python -m desk evidence check` ended with a ModuleNotFoundError for whoever typed it. Goes red if a page shows
    one without `.venv/bin/`."""
    assert bare(path.read_text("utf-8")) == []


def test_a_bare_command_is_noticed() -> None:
    assert bare(
        "```\npython -m desk evidence head --folder D\n```\n`python -m sim column`, `python -m sim --help`"
    ) == [
        "python -m desk evidence head --folder D",
        "python -m sim --help",
    ]


def unprepared(text: str) -> str:
    """The first command of a page that needs .venv, where nothing before it says what makes one."""
    first = re.search(r"\.venv/bin/\w.*", text)
    return first[0] if first and "`make venv`" not in text[: first.start()] else ""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_says_how_to_get_what_its_commands_need(path: Path) -> None:
    """The first command of a page ended with "No such file", another with "No module named pytest". Red where
    `make venv` stands nowhere on the page, or below the first command."""
    assert unprepared(path.read_text("utf-8")) == ""


def test_a_page_without_it_is_noticed() -> None:
    command = ".venv/bin/python -m sim board"
    assert unprepared(f"```\n{command}\n```\nafter `make venv`") == command
    assert unprepared(f"`.venv/bin/`: after `make venv`\n\n`{command}`") == ""


SERVICE = ROOT / "examples" / "desk"
COMMENTED = re.compile(
    r"/(?:etc|var|opt|usr)/[\w/.-]*\w|\d{3}/[A-Z]+|--[a-z][a-z-]+|(?<=--listen )\S+:\d+|(?<=--trusted-proxy )[\d.]*\d"
    r"|\b(?:useradd|install|systemctl|journalctl) [\w-]+|nginx -t|make venv"
)


def in_comments_alone(page: str, comments: str) -> set[str]:
    """What the comments of an example tell somebody to type or to look for, and the page's part on it does not."""
    part = page.partition("examples/desk/sos-desk.service")[2].partition("/healthz")[0]
    return {name for name in COMMENTED.findall(comments) if name not in part}


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("desk.md")), ids=lambda path: path.parent.name)
def test_the_service_is_told_on_the_page(path: Path) -> None:
    """Where the project goes and which Python makes its .venv stood in an English comment of the unit alone. Red for a
    folder, a command, an option or a status of systemd's that a page leaves to the comments."""
    files = [(SERVICE / name).read_text("utf-8") for name in ("sos-desk.service", "nginx.conf")]
    comments = "\n".join(line for text in files for line in text.splitlines() if line.lstrip().startswith("#"))
    assert len({*COMMENTED.findall(comments)}) > 20
    page = path.read_text("utf-8")
    assert in_comments_alone(page, comments) == set()
    assert in_comments_alone(page.replace("make venv", "").replace("203/EXEC", ""), comments) == {
        "make venv",
        "203/EXEC",
    }


ADVICE = re.compile(r"(?<!\.venv/bin/)\bpython3? -m (?:sim|desk|field|tools)\b")
# Where a program is named, and nothing is told to be typed.
NAMED = re.compile(r"prog=|Parser\(|described|^from |_COMMAND = |_TYPED|replace\(|\bCOLUMN_COMMAND,$|\bDESK_COMMAND,$")


def test_no_advice_is_left_to_the_machines_own_python() -> None:
    """What programs tell people to type works as it stands. Red for `python -m desk account add ...`, and for a text
    that takes DESK_COMMAND where it means DESK_TYPED."""
    tables = [path for room in ("common", "desk", "field", "sim", "tools") for path in (ROOT / room).rglob("*.json")]
    tables = [path for path in tables if path.stem in ("en", "ru", "kk", "targets.ru", "targets.kk")]
    assert len(tables) > 20
    told = {path: ADVICE.findall(path.read_text("utf-8")) for path in [*tables, ROOT / "Makefile"]}
    assert {str(path): found for path, found in told.items() if found} == {}
    rooms = [path for room in ("desk", "field", "sim", "tools") for path in (ROOT / room).rglob("*.py")]
    lines = [line.strip() for path in rooms for line in path.read_text("utf-8").splitlines()]
    assert [line for line in lines if "_COMMAND}" in line and not NAMED.search(line)] == []


# -- typed as it stands

SEES_IT = """#!/bin/sh
until grep -q '"ready"' test-01.log && grep -q 'clock-unset cleared' test-01.log; do sleep 0.1; done
"""
GOT_AN_ALARM = """#!/bin/sh
until grep -q '"sent"' test-01.log; do sleep 0.1; done
"""


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Path]:
    """A folder in which the installed commands are found."""
    for name, module in (("sos-column", "sim"), ("sos-desk", "desk")):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m {module} "$@"\n')
        program.chmod(0o755)
    yield tmp_path


def shell(text: str, folder: Path) -> None:
    """Whatever it leaves in the background ends with it."""
    script = ["/bin/sh", "-ec", f'PATH="$PWD:$PATH"\n{text}']
    with subprocess.Popen(script, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            _, said = process.communicate(timeout=100)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said


def test_an_integrators_session(typed: Path) -> None:
    """The whole script, with its own broker's port. Its column has a clock: red without one, and for any line that a
    shell or a column does not take."""
    for name, text in (("test-my-centre", SEES_IT), ("test-my-centre-got-an-alarm", GOT_AN_ALARM)):
        (typed / name).write_text(text)
        (typed / name).chmod(0o755)
    script = shown.block("integrating.md", "set -eu")
    with EmbeddedBroker() as broker:
        assert "127.0.0.1:1883" in script
        shell(script.replace("127.0.0.1:1883", f"{broker.host}:{broker.port}"), typed)
    assert '"event": "boot"' in (typed / "test-01.log").read_text()


@pytest.mark.mosquitto
def test_the_centre_that_integrators_are_shown(broker: Mosquitto, tmp_path: Path) -> None:
    """As it stands there: it answers an alarm with what it has heard of, and says what is wrong with a message. Red
    where it no longer fits the schemas, or the schemas no longer fit each other."""
    (program,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/integrating.md").read_text("utf-8"), re.M | re.S)
    (tmp_path / "centre.py").write_text(program, "utf-8")
    words = [sys.executable, "centre.py", broker.host, str(broker.port), str(ROOT / "contract/schema")]
    street, centre = Speaker(broker), subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert centre.stdout is not None
        street.say("state")  # retained: it comes whenever the centre has subscribed
        assert centre.stdout.readline().endswith("state is valid\n")
        call = street.press()
        assert street.hears("ack", id=call) == {"v": 1, "id": call, "state": "received", "by": "my centre", "heard": 1}
        street.press(press=2)
        assert street.hears("ack", id=call)["heard"] == 2
        for kind, payload in (("heartbeat", b"{}"), ("heartbeat", b"{"), ("fault/tamper", b"")):
            street.publish(f"sos/v1/nko/petropavl-01/{kind}", payload)
        said = [centre.stdout.readline() for _ in range(7)]
    finally:
        centre.kill()
        centre.communicate()
        street.close()
    told = "".join(line for line in said if "/ack " not in line)
    assert told.count("alarm is valid") == 2 and "'v' is a required property" in told, told
    assert "heartbeat is no JSON" in told and "fault/tamper is over" in told, told


def test_a_copy_of_the_desks_folder(tmp_path: Path) -> None:
    command = shown.block(
        "desk.md", ".venv/bin/python -m desk backup --folder /var/lib/sos-desk --to /backup/desk-monday"
    )
    (tmp_path / "srv").mkdir()
    Register(tmp_path / "srv" / "register.sqlite").close()
    python = f'PYTHONPATH="{ROOT}" {sys.executable}'
    places = {"/var/lib/sos-desk": tmp_path / "srv", "/backup": tmp_path / "backup", ".venv/bin/python": python}
    for place, here in places.items():
        assert place in command
        command = command.replace(place, str(here))
    shell(command, tmp_path)
    made = tmp_path / "backup" / "desk-monday" / "register.sqlite"
    assert b"CREATE TABLE incident" in made.read_bytes() and made.stat().st_mode & 0o077 == 0, "calls are in it"
