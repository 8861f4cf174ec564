"""Every command that the documentation shows exists as it stands there, and is run by a test.

The commands are taken from the Markdown itself, from its blocks and from between its backticks. A new one turns this
red until RUN_BY names the test that runs what it runs. A session of an integrator's is typed here as it stands.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from desk_rig import Speaker

from desk.register import Register
from sim.servers.broker import Mosquitto

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:make|\.venv/bin/\S+|sos-\w+|mosquitto|pip) ")
MODULE = re.compile(r"\.venv/bin/python -m (sim|desk)\b(?!\.)|(?<!/)sos-(column|desk)\b")
PROGRAMS = {"column": "sim", "desk": "desk"}


def commands(text: str) -> list[str]:
    """What the fenced blocks of a Markdown text tell to type, comments and continued lines taken off."""
    found = []
    for block in BLOCK.findall(text):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            command = re.split(r"\s+#|\s{3,}", line.strip())[0]
            if COMMAND.match(command + " "):
                found.append(command)
    return found


def spans(text: str) -> list[str]:
    """What the running text shows between backticks."""
    return [span for span in SPAN.findall(BLOCK.sub("", text)) if COMMAND.match(span)]


TEXTS = [path.read_text("utf-8") for path in DOCUMENTS]
DOCUMENTED = sorted({command for text in TEXTS for command in (*commands(text), *spans(text))})
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M)) | {"help"}
VARIABLES = set(re.findall(r"\$\(([A-Z0-9_]+)\)|^([A-Z0-9_]+) \?=|\$\(if \$\(([A-Z0-9_]+)\)", MAKEFILE, re.M))
KNOWN_VARIABLES = {name for names in VARIABLES for name in names if name} | {"STRICT", "SEED"}


def broken_make(command: str) -> list[str]:
    """Targets and variables of a make command that the Makefile has not."""
    words = [word for word in shlex.split(command.partition("make ")[2]) if word[0] not in "[."]
    if not words or words[0] == "-C":
        return []  # another project's
    named = {word.partition("=")[0] for word in words if "=" in word}
    targets = {word for word in words[:1] if "=" not in word}  # "make ... LANG=kk": of any
    return sorted((targets - TARGETS) | (named - KNOWN_VARIABLES))


@cache
def help_of(module: str, words: tuple[str, ...]) -> str:
    done = subprocess.run([sys.executable, "-m", module, *words, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def needed(text: str) -> list[str]:
    """Options that a program's help shows outside of brackets: without them it only complains."""
    usage, before = text.partition("\n\n")[0], ""
    while usage != before:
        usage, before = re.sub(r"\[[^][]*\]", "", usage), usage
    return re.findall(r"--[a-z-]+", usage)


def broken_options(command: str) -> list[str]:
    """Options of one of our programs that its help does not know, or that are not there and have to be: whoever types
    what is shown, in a block or in running text, gets what the page promises. "..." says that something is left out."""
    found = MODULE.search(command)
    assert found
    module = found[1] or PROGRAMS[found[2]]
    rest = command[found.end() :].replace("[", " ").replace("]", " ").replace("|", " ")
    rest = re.split(r"[<>&]", rest)[0]
    words = [word for word in shlex.split(rest) if re.fullmatch(r"[a-z]+", word)]
    has_verbs = module == "sim" or words[:1] in (["evidence"], ["backup"])
    verbs = tuple(words[:2] if words[:1] == ["account"] else words[:1] if has_verbs else ())
    options = re.findall(r"(?<!\S)--[a-z-]+", rest)
    text = help_of(module, verbs)
    lacking = [] if "..." in rest or "--help" in rest else [one for one in needed(text) if one not in options]
    return [option for option in options if not re.search(rf"{option}\b", text)] + lacking


BARE = re.compile(r"python3? -m (?:sim|desk|field|tools|pytest)\b")


def bare(text: str) -> list[str]:
    """What is shown to be typed with the machine's own Python, which has none of the packages. In running text a
    program may be named without its folder, but not with an option or with "..."."""
    lines = [line.strip() for block in BLOCK.findall(text) for line in block.splitlines()]
    lines = [line for line in lines if not re.search(r"\s{3,}[^#\s]", line)]  # a drawing has words beside it
    spans = [span for span in SPAN.findall(BLOCK.sub("", text)) if " -" in span.partition(" -m ")[2] or "..." in span]
    return [one for one in (*lines, *spans) if BARE.match(one)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
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


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
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


@pytest.mark.parametrize("command", [one for one in DOCUMENTED if "make " in one])
def test_make_knows_what_the_documentation_types(command: str) -> None:
    assert broken_make(command) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", [one for one in DOCUMENTED if MODULE.search(one)])
def test_our_programs_know_what_the_documentation_types(command: str) -> None:
    assert broken_options(command) == []


@pytest.mark.parametrize(
    ("command", "wrong"),
    [("make fly", ["fly"]), ("make diag PROT=/dev/ttyUSB0", ["PROT"]), ("make run UI=script", [])],
)
def test_a_command_that_is_gone_is_noticed(command: str, wrong: list[str]) -> None:
    assert broken_make(command) == wrong
    assert broken_options(".venv/bin/python -m sim column --config x --nonsense") == ["--nonsense"]
    assert broken_options(".venv/bin/python -m sim config") == ["--device-id", "--region", "--broker"]
    assert broken_options(".venv/bin/python -m desk backup --folder x [--lang ru]") == ["--to"]
    text = "```\nmake run  # see\nmake desk A=1 \\\n  B=2\n{}\n```\nmake no\n"
    assert commands(text) == ["make run", "make desk A=1 B=2"]


# -- each is run by a test

RUN_BY = {
    "make accept": "field/test_accept_board.py::test_a_board_as_the_model_is_agrees_in_every_line",
    "make bench": "bench/test_bench_smoke.py::test_latency_has_a_row_for_each_contender",
    "make board": "field/test_diag_whole.py::test_on_a_column_with_everything_fitted_all_pass",
    "make build": "field/test_make.py::test_build_tells_in_the_language_too",
    "make campaign": "search/test_campaign_command.py::test_a_storm_is_replayed_by_its_number",
    "make code": "field/test_code.py::test_a_console_is_opened_and_closed",
    "make desk": "browser/test_city_whole.py::test_from_the_press_to_the_recording",
    "make diag": "field/test_diag_whole.py::test_on_a_column_with_everything_fitted_all_pass",
    "make flash": "field/test_diag_whole.py::test_on_a_column_with_everything_fitted_all_pass",
    "make flash-all": "field/test_make.py::test_a_fleet_a_folder_and_a_configuration_with_blanks_and_brackets",
    "make image": "field/test_image.py::test_an_image_goes_onto_an_empty_board",
    "make logs": "serial_board/test_board_console.py::test_logs_and_watch_for_people_and_for_machines",
    "make mutation": "tools/test_mutation.py::test_what_no_test_notices_or_runs_survives",
    "make pictures": "browser/test_pictures.py::test_the_desk_with_a_call_and_a_silent_column",
    "make provision": "field/test_diag_whole.py::test_on_a_column_with_everything_fitted_all_pass",
    "make release": "field/test_release.py::test_two_builds_have_the_same_bytes",
    "make authority": "field/test_authorities.py::test_no_step_out_of_turn_and_no_step_half",
    "make renew": "field/test_renewals_packed.py::test_it_packs_what_provisioning_made_and_nothing_twice",
    "make revoke": "field/test_revocation.py::test_a_replacement_has_nothing_of_the_stolen_one",
    "make run": "demo/test_demo.py::test_without_a_terminal_it_plays_the_script_and_passes",
    "make servers": "field/test_diag_whole.py::test_on_a_column_with_everything_fitted_all_pass",
    "make shell": "serial_board/test_board_console.py::test_the_shell_is_not_bitten_and_the_column_goes_back_on_duty",
    "make soak": "search/test_endurance.py::test_a_leak_is_noticed",
    "make venv": "tools/test_environment.py::test_a_target_gets_its_own_set_and_no_other",
    "make watch": "serial_board/test_board_console.py::test_logs_and_watch_for_people_and_for_machines",
    "sim": "house/test_documented_commands.py::test_our_programs_know_what_the_documentation_types",
    "sim bench": "bench/test_bench_media.py::test_picture_and_sound_have_their_figures",
    "sim board": "serial_board/test_board_column.py::test_the_command_line_opens_a_port_and_obeys",
    "sim city": "search/test_city_year.py::test_the_command_writes_its_report",
    "sim campaign": "search/test_campaign_command.py::test_a_storm_is_replayed_by_its_number",
    "sim column": "real/test_cli_column.py::test_a_press_calls_a_cut_is_dark_and_the_image_is_kept",
    "sim config": "real/test_cli_config.py::test_with_certificates_it_is_mutual_tls_with_the_texts_inside",
    "sim renewals": "search/test_renewals_fleet.py::test_several_share_a_folder",
    "sim rollout": "demo/test_rollout_whole.py::test_a_bad_release_stops_and_a_good_one_goes_through",
    "sim pillar": "pillar/test_pillar_command.py::test_it_serves_its_page_and_runs_its_column_until_it_is_told_to_end",
    "desk": "desk/test_desk_command.py::test_accounts_are_made_listed_and_removed",
    "desk.rollout": "demo/test_rollout_whole.py::test_a_bad_release_stops_and_a_good_one_goes_through",
    "field.release": "field/test_release.py::test_it_is_verified_with_the_right_key_only",
    "field.console": "serial_board/test_board_console.py::test_a_port_where_nobody_answers_is_explained",
    "field.diag": "field/test_diag_whole.py::test_on_a_column_with_everything_fitted_all_pass",
    "mpremote": "serial_board/test_board_column.py::test_a_blank_board_becomes_a_column_over_the_port",
    "mosquitto": "real/test_cli_alarm.py::test_the_lamp_tells_the_truth_all_the_way",
    "pip install": "house/test_installed.py::test_a_column_from_another_folder_raises_an_alarm",
    "tools.mutation": "tools/test_mutation.py::test_what_no_test_notices_or_runs_survives",
    "tools.toolbox": "tools/test_toolbox.py::test_a_tool_that_was_fetched_is_run_by_its_name",
}
# These are not run, and why.
NOT_RUN = {
    "make help": "said of every target",
    "make test": "it is what runs this; .ci/run calls it",
    "make quick": "it is the fast part of the same tests",
    "make lock": "asks the registry for newer packages",
    "make -C": "another project's Makefile, with Espressif's compiler",
    "pytest": "one test of those that run here",
    "serial.tools.miniterm": "pyserial's own terminal: a person types in it, and the console's tests type the same",
}


def runs(command: str) -> str:
    """The key in RUN_BY or NOT_RUN of what a command runs."""
    for program in (
        "pytest", "mpremote", "tools.mutation", "tools.toolbox", "field.console", "field.diag", "field.release",
        "desk.rollout", "pip install", "mosquitto",
    ):  # fmt: skip
        if re.search(rf"(^|[ /]){re.escape(program)}( |$)", command):
            return program
    if found := MODULE.search(command):
        verb = re.match(r"\s*([a-z]+)", command[found.end() :])
        named = found[1] or PROGRAMS[found[2]]
        return named if named == "desk" or not verb or verb[1] == "desk" else f"sim {verb[1]}"
    if not re.match(r"(?:[A-Z_]+=\S+ )*make(?: |$)", command):
        called = re.search(r"python -m (\S+)", command) or re.match(r"(?:[A-Z_]+=\S+ )*(\S+)", command)
        return called[1] if called else command
    words = [word for word in command.partition("make ")[2].split() if word != "..." and "=" not in word]
    return f"make {words[0] if words else 'help'}"


def is_a_test(node: str) -> bool:
    path, _, name = node.partition("::")
    file = ROOT / "tests" / path
    return file.exists() and f"def {name}(" in file.read_text("utf-8")


@pytest.mark.parametrize("command", DOCUMENTED)
def test_a_test_runs_what_the_documentation_types(command: str) -> None:
    assert runs(command) in {**RUN_BY, **NOT_RUN}, f"name the test that runs {runs(command)!r} in RUN_BY"


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (".venv/bin/python -m serial.tools.nonsense PORT", "serial.tools.nonsense"),
        (".venv/bin/esptool erase_flash", ".venv/bin/esptool"),
        ("SOS_WIFI_PASSWORD=x make provision FLEET=a", "make provision"),
        ("make LANG=ru", "make help"),
    ],
)
def test_a_program_that_nobody_knows_is_told_by_its_name(command: str, what: str) -> None:
    """Broken by taking whatever is unknown for `make help`: so no test had to run it."""
    assert runs(command) == what


def test_the_tests_that_are_named_are_there() -> None:
    """Red when a test is renamed or removed, and when nothing shows the command any more."""
    assert [node for node in RUN_BY.values() if not is_a_test(node)] == []
    shown = {runs(command) for command in DOCUMENTED}
    assert sorted({**RUN_BY, **NOT_RUN}.keys() - shown) == []


# -- typed as it stands

SHOWN = "sos-column column --config test-01.json --clock --no-input > test-01.log & column=$!"


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Path]:
    """A folder in which the installed commands are found."""
    for name, module in (("sos-column", "sim"), ("sos-desk", "desk")):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m {module} "$@"\n')
        program.chmod(0o755)
    yield tmp_path


def shell(text: str, folder: Path) -> str:
    done = subprocess.run(
        ["/bin/sh", "-ec", f'PATH="$PWD:$PATH"\n{text}'], cwd=folder, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_integrators_session(typed: Path) -> None:
    """Its column has a clock. Red without one: all times stay null, and commands are refused."""
    configured = next(one for one in DOCUMENTED if one.startswith("sos-column config"))
    assert SHOWN in DOCUMENTED
    wait = "until grep -q 'clock-unset cleared' test-01.log; do sleep 0.1; done; kill $column"
    shell(f"{configured}\n{SHOWN}\n{wait}", typed)
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
    (command,) = [one for one in DOCUMENTED if "desk backup" in one and "desk-monday" in one]
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
