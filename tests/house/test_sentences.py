"""No command speaks half a language: what provisioning, revoking, releases, the desk's and the rollout's commands,
`make run`, `board` and `servers`, what installs and fetches before them, and `make help` say is taken from the source
and turned; what is left of the English is found."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import logging
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from field_tools import MAINS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from sentences import FILLED, all_texts, docstrings, fields, said_by

import sim.spoken
import tools.spoken
from common import sentences
from common.sentences import COMMON, LANGUAGES, Sentences, pattern
from desk import account_command, backup_command, command, evidence_command, unrecorded
from desk import trouble as trouble_module
from desk.media import process
from desk.media.trouble import NoStream
from desk.register import Register
from desk.rollout import command as rollout
from desk.sip import under_way
from desk.spoken import LINE_MAX, LOG_WORDS, LineInWords, begin_log, spoken
from field import release
from field.telling import Main
from field.words import SENTENCES as FIELD_SENTENCES
from field.words import Words
from firmware.lamp import COLOURS as LAMP
from sim import __main__ as simulator
from sim import demo
from sim.demo import rollout as rehearsal
from sim.fleet import command as fleet
from sim.fleet import surroundings
from sim.pillar import command as pillar
from sim.real import command as column
from sim.serial_board import command as board
from tools import targets, toolbox

ROOT = Path(__file__).resolve().parents[2]
OTHERS = LANGUAGES[1:]
CYRILLIC, KAZAKH = re.compile("[\u0400-\u04ff]"), re.compile("[әғқңөұүһі]", re.IGNORECASE)
ERRORS = r"(?<!Runtime)Error$|^print$|^said$|troubles\.|errors\.|^found\.|_lines\.|wrong\.|Trouble$|NoStream$"
# Who says it: files -> in which calls, and whether what is returned or yielded is said too.
FIELD = {
    "field/provision.py": "", "field/fleet.py": "|return", "field/misread.py": "|Misread$",
    "field/rows.py": "", "field/keeping.py": "",
    "field/authorities.py": "|return|_only$",
    "field/certificates.py": "", "field/shared.py": "|yield", "field/laptop.py": "", "field/release.py": "",
    "field/renewal.py": "|return", "field/reached.py": "", "common/console_code.py": "",
    "field/revocation.py": "|return", "common/release.py": "", "firmware/startup/config.py": "|return",
    "firmware/startup/pins.py": "|return", "firmware/startup/addresses.py": "|return",
}  # fmt: skip
DESK = {
    "desk/command.py": "", "desk/broker_options.py": "", "desk/own_folder.py": "",
    "desk/private_file.py": "", "desk/ladder.py": "", "desk/cameras.py": "|return",
    "desk/media/credentials.py": "", "desk/media/hosts.py": "", "desk/upkeep/roster.py": "|yield|return",
    "desk/upkeep/receiver.py": "", "desk/officers/__init__.py": "", "desk/officers/email.py": "",
    "desk/officers/sip.py": "", "desk/officers/webhook.py": "", "desk/web/accounts.py": "",
    "desk/web/second_factor.py": "", "desk/web/retired.py": "", "desk/column_keys.py": "",
    "desk/register.py": "", "desk/register_file.py": "", "desk/evidence_command.py": "", "desk/backup_command.py": "",
    "desk/agreement.py": "|yield|return", "desk/evidence.py": "|yield|return|NotWhole$", "desk/web/audit.py": "|yield",
    "common/arguments.py": "|return", "common/release.py": "",
}  # fmt: skip
ROLLOUT = {
    "desk/rollout/command.py": "", "desk/broker_options.py": "", "desk/rollout/plan.py": "|return|_stop|_put",
    "common/release.py": "",
}  # fmt: skip
# What the log says besides its own lines: why the broker is not heard, an intercom does not call, an officer was not
# told. What else is raised in desk/ goes to the page, by its code.
LOGGED = {
    "desk/web/sessions.py": "_put_aside$",
    "desk/trouble.py": "^Trouble$", "desk/page.py": "^OSError$", "desk/web/listener.py": "_tell$",
    **dict.fromkeys(("desk/media/gateway.py", "desk/media/process.py", "desk/media/hosts.py"), "NoStream$|return"),
    **{str(path.relative_to(ROOT)): "NoCall$" for path in (ROOT / "desk" / "sip").glob("*.py")},
    **{str(path.relative_to(ROOT)): "NotTold$|RuntimeError$" for path in (ROOT / "desk" / "officers").glob("*.py")},
}  # fmt: skip
LOG = r"^log\."
# Names, which are the same in every language: options, keys, files, examples of what to type.
NAMES = re.compile(
    r"\.venv/bin/python -m [\w.]+|\[\w+\] \w+|account add\|remove\|list\|reset-second-factor|--[a-z-]+|[a-z]+://\S+|\w+=\S*"
    r"|`[^`]*`|'[^']*'|\"[^\"]*\"|«[^»]*»|\[\[?[\w.]+\]\]?|\{[^}]*\}|\bsip:\S*|geo:\S+"
    r"|\.\.\.\w+|mpy-cross|MicroPython|mpremote|Ctrl-\S|\.(?:mpy|bin|app-bin)\b|\bprovisioned\b"
    r"|[\w.-]*[/_@|]\S*|\w+(?:\.\w+)+|\b[A-Z][A-Z0-9]{1,}\w*(?::[A-Z]+)?\b|%\S+|a-z|A-Z|python -m [\w.]+"
    r"|\b(?:make (?:provision|revoke|release|flash)|open = true|chmod 600|sudo chown|chown -R|mosquitto|mqtt\w*|webrtc"
    r"|rtsps?|sip|http|https|null|believed|desks|email|after_s|steps|host|user|root|device|password|chip|port|lat|lon|secrets"
    r"|broker|tls|region|site|officer|ladder|column|link|pins|location|stream|mdc|spi|phy|start|resume|status|pause|abort"
    r"|export|switch|drop|renew|diag|authority|NAME|operator|chief|auditor|backup|evidence(?= --help)"
    r"|config(?= --)|test-01|nko|sos-columns|chmod \+r|keepalive|make accept|sha256sum|Linux|ls|macOS"
    r"|pip config list|make tools|pip|apt-get|venv|python3-venv|Python|Debian|main|noexec|sha256|amd64|unix|LittleFS"
    r"|micropython(?:32)?|cpython|chromium(?:-headless-shell)?|nginx|kamailio|opensc|softhsm2|pkcs11-tool|gstreamer|baresip"
    r"|LimitNOFILE|ulimit|amqtt|esp32|(?:press|hang|wave|tamper|simulator)(?=: )"
    r"|check|head|key|add|true|false|public|school|Wi-Fi|X-Forwarded-For|ADC\d|GPIO\w+|gateway|address|centre|token|url"
    r"|language|how|to|timeout_s|ring_s|name|fleet|tell|geo|configuration|account|desk-1|openssl|esptool|ruff|mypy|make|sos|v|line|step)\b"
)
TOOLS_FILES = {
    "tools/environment.py": "|_say$|Broken$|return", "tools/toolbox.py": "|Missing$|return", "tools/debian.py": "",
    "tools/chromium.py": "", "tools/pip_archive.py": "", "common/arguments.py": "|return",
}  # fmt: skip
SIM = {
    "sim/fleet/command.py": "", "sim/fleet/surroundings.py": "", "sim/fleet/streams.py": "",
    "sim/servers/street.py": "|^say$", "sim/servers/broker/mosquitto.py": "|return", "sim/servers/broker/base.py": "",
    "sim/servers/broker/embedded.py": "", "sim/servers/intercom.py": "", "sim/servers/centre.py": "",
    "sim/serial_board/command.py": "", "sim/serial_board/faults.py": "", "sim/serial_board/port.py": "",
    "sim/serial_board/serial.py": "|_log$", "sim/serial_board/wiring.py": "", "sim/real/command.py": "|return",
    "sim/real/column.py": "|_log$", "sim/real/runtimes.py": "", "sim/real/flash_image.py": "",
    "sim/demo/__init__.py": "|^say$", "sim/demo/live.py": "|^say$",
    "sim/demo/script.py": "|^require$|_wait$|^Step$|_say$", "sim/demo/watch.py": "|^require$|wait_for$",
    "sim/demo/town.py": r"|false_answers\.append$", "sim/demo/desk_process.py": "", "sim/demo/columns.py": "",
    "common/connect_to.py": "", "common/assumptions.py": "",
    "sim/__main__.py": "", "sim/real/configuration.py": "", "sim/real/changed.py": "", "sim/pillar/command.py": "",
    "sim/demo/rollout.py": "|Failed$|say$|wait$|return", "sim/demo/presses.py": "|return",
}  # fmt: skip
# Whom only a developer reads: what a chip's modules say, and calls that no command makes.
DEVELOPERS = {"bits is 7; MicroPython comes in 64 and 32", "7: 7 calls open, not 7: 7"}


def by_hand() -> list[str]:
    """What to do where a tool cannot be fetched, and what tools are; what a target of make lacks."""
    return [*toolbox._BY_HAND.values(), *toolbox.WHAT.values(), *(what for what, *_ in targets.VARIABLES.values())]


def shown_on_help() -> list[str]:
    """What `help` answers, typed at a board or at servers."""
    tables = (fleet.COMMANDS, surroundings.BREAKS, board.COMMANDS, column.COMMANDS)
    return [text for table in tables for text in table.values()]


def english_left(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]{3,}", NAMES.sub("", text))


source_says = cache(said_by)  # of files that no test changes: each is read once


def sayings(files: dict[str, str]) -> list[str]:
    found = [text for path, more in files.items() for text in source_says(ROOT / path, ERRORS + more)]
    return [text for text in dict.fromkeys(found) if text not in DEVELOPERS]


def parse_wave_says() -> list[str]:
    """Of sim/chip/contact.py what a command of a board can hear; the rest is the chip's own."""
    return [text for text in said_by(ROOT / "sim/chip/contact.py", "Error$") if text.startswith("wave: ")]


@cache
def logged() -> list[str]:
    """The lines of the desk's log, its processes' and its rollouts', and what they say after a colon."""
    found = [text for path in sorted((ROOT / "desk").rglob("*.py")) for text in said_by(path, LOG)]
    found += [text for path, sayers in LOGGED.items() for text in said_by(ROOT / path, sayers)]
    found += [under_way.LOST, unrecorded.LOST, *trouble_module.REFUSED_LOGIN]
    return list(dict.fromkeys(re.sub("%[sdr]", FILLED, text) for text in found))


def register_troubles() -> list[str]:
    """Of desk/trouble.py those with which a desk does not start; the others are the page's, by their codes."""
    both = said_by(ROOT / "desk/trouble.py", r"^Trouble$")
    return [text for text in both if text.startswith(f"{FILLED}: {FILLED}: ")]


def without_configuration() -> list[str]:
    """Why a column is off duty, as it answers `status` and the console's other commands; not what it logs."""
    found: set[str] = set()
    for name in ("config_files", "certificate", "configure", "unconfigured", "wiped"):
        found |= all_texts(path := ROOT / f"firmware/startup/{name}.py") - docstrings(path)
    logged = "boot|configuration|certificates|tamper|-----BEGIN CERTIFICATE-----"
    return sorted(text for text in found if " " in text and "%" not in text and not re.match(logged, text))


def columns_reasons() -> list[str]:
    """Why a column takes no update, or went back: what its firmware says behind no part's name."""
    found: set[str] = set()
    for path in (ROOT / "firmware/update").glob("*.py"):
        found |= all_texts(path) - docstrings(path)
    shown = {text.removeprefix("refused: ") for text in found}
    for name in ("orders", "proven", "commands"):
        shown |= all_texts(path := ROOT / f"firmware/{name}.py") - docstrings(path) - {"v or id"}
    whole = (text for text in shown if " " in text and "%" not in text)
    return sorted(text for text in whole if not re.match(f"(update|certificates): |{FILLED}?$", text))


SPEAKERS: dict[str, tuple[Callable[[], list[str]], Callable[[str], Callable[[str], str]]]] = {
    "field": (lambda: sayings(FIELD) + without_configuration(), lambda language: Words(language).said),
    "desk": (lambda: sayings(DESK) + register_troubles(), lambda language: spoken(["--lang", language]).said),
    "log": (lambda: logged() + register_troubles(), lambda language: spoken(["--lang", language], LOG_WORDS).said),
    "rollout": (
        lambda: sayings(ROLLOUT) + columns_reasons(),
        lambda language: spoken(["--lang", language], rollout.WORDS).said,
    ),
    "tools": (
        lambda: sayings(TOOLS_FILES) + by_hand(),
        lambda language: tools.spoken.spoken(["--lang", language]).said,
    ),
    "sim": (
        lambda: sayings(SIM) + parse_wave_says() + shown_on_help(),
        lambda language: sim.spoken.spoken(["--lang", language]).said,
    ),
}


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("speaker", SPEAKERS)
def test_what_a_command_says_is_turned(speaker: str, language: str) -> None:
    """Red when a command gets a sentence that no table knows, or one is changed in the source alone."""
    source, speak = SPEAKERS[speaker]
    said, texts = speak(language), source()
    assert len(texts) > 8, "the source is not understood any more"
    left = {text: said(text) for text in texts if english_left(said(text))}
    assert left == {}


@pytest.mark.parametrize("language", OTHERS)
def test_the_simulator_names_the_lamps_states_in_the_language(language: str) -> None:
    """Of all that the firmware shows: a step of `make run` that failed said "лампа calling"."""
    said = sim.spoken.spoken(["--lang", language]).said
    assert [
        text for state in (*LAMP, "dark") if english_left(text := said(f"p-1: lamp {state}").partition(": ")[2])
    ] == []


@pytest.mark.parametrize(
    "sentence", ["7 was renamed on the way", "fleet.csv:7: found 7, must be a colour", "7 is damaged: bring it along"]
)
def test_a_sentence_that_nobody_turned_is_noticed(sentence: str, tmp_path: Path) -> None:
    for source, speak in SPEAKERS.values():
        assert english_left(speak("ru")(sentence)) and sentence not in source()
    source_text = "def f(x):\n    right = 'a colour'\n    raise SomeError(f'found {x}, must be {right}')\n"
    (tmp_path / "x.py").write_text(source_text)
    assert said_by(tmp_path / "x.py", ERRORS) == ["found 7, must be a colour"], "what a name stands for is seen"


TOOLS: dict[str, tuple[Main, list[str]]] = {
    **{name: (main, []) for name, main in MAINS.items()}, "release make": (release.main, ["make"]),
}  # fmt: skip


def test_no_tool_is_left_out() -> None:
    folder = Path(release.__file__).parent
    with_main = {path.stem for path in folder.glob("*.py") if "def main(" in path.read_text("utf-8")}
    assert with_main | {"diag", "accept"} == {name.partition(" ")[0] for name in TOOLS}


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("name", TOOLS)
def test_a_tools_help_is_turned(
    name: str, language: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when a tool of field/ gets a text of its own or an option in English only, or its text is changed there."""
    monkeypatch.setenv("COLUMNS", "200")
    main, words = TOOLS[name]
    with pytest.raises(SystemExit):
        main([*words, "--help", "--lang", language])
    text = capsys.readouterr().out
    assert left_in_help(text) == [] and len(CYRILLIC.findall(text)) > 150


HELPS: dict[str, Callable[[Sentences], str]] = {
    "desk": lambda spoken: command._parser(spoken).format_help(),
    "desk account": lambda spoken: account_command._parser(spoken).format_help(),
    "desk backup": lambda spoken: backup_command._parser(spoken).format_help(),
    "desk evidence": lambda spoken: evidence_command._parser(spoken).format_help(),
    "desk.rollout": lambda spoken: rollout._parser(spoken).format_help(),
}
SIM_HELPS: dict[str, Callable[[Sentences], str]] = {
    "make run": lambda spoken: demo._parser(spoken).format_help(),
    "make board": lambda spoken: board._parser(spoken).format_help(),
    "make servers": lambda spoken: fleet._parser(spoken).format_help(),
    "toolbox": lambda spoken: toolbox._parser(spoken).format_help(),
    "sim": lambda spoken: simulator._parser(spoken).format_help(),
    "sim column": lambda spoken: of_command("column", spoken).format_help(),
    "sim config": lambda spoken: of_command("config", spoken).format_help(),
    "sim pillar": lambda spoken: pillar._parser(spoken).format_help(),
    "sim rollout": lambda spoken: rehearsal._parser(spoken).format_help(),
}
# Whose helps are for developers, and English: `sim --help` turns the line of each all the same.
DEVELOPERS_COMMANDS = {"campaign", "renewals", "city", "bench"}


def of_command(name: str, spoken: Sentences) -> argparse.ArgumentParser:
    (commands,) = simulator._parser(spoken)._subparsers._group_actions  # type: ignore[union-attr]
    parser = commands.choices[name]  # type: ignore[index]
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def test_no_command_of_the_simulator_is_left_out() -> None:
    """Red when `python -m sim` gets a command whose help no test reads."""
    tested = {name.rpartition(" ")[2] for name in {*HELPS, *SIM_HELPS}} - {"run", "sim"} | {"demo"}
    assert {*simulator.DELEGATED, "column", "config"} <= tested | DEVELOPERS_COMMANDS


USAGE = re.compile(r"^(?:usage|запуск|іске қосу): .*\n(?: {8,}.*\n)*", re.MULTILINE)


def left_in_help(text: str) -> list[str]:
    described = USAGE.sub("", text)  # which is names
    bare = [re.sub(r"^ +(-\S+,? ?)*[\w{},|:/. -]*?(?=  |$)", "", line) for line in described.splitlines()]
    return [line for line in bare if english_left(line)]


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("name", HELPS)
def test_help_is_turned(name: str, language: str) -> None:
    """Red when an option is added, or its help changed, in English only."""
    text = HELPS[name](spoken(["--lang", language], rollout.WORDS))
    assert left_in_help(text) == []
    assert len(CYRILLIC.findall(text)) > 100


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("name", SIM_HELPS)
def test_a_simulators_help_is_turned(name: str, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a command of the simulator's that technicians use gets an option, a command, an event, or a thing to
    break, in English only."""
    monkeypatch.setenv("COLUMNS", "200")
    text = SIM_HELPS[name](sim.spoken.spoken(["--lang", language]))
    assert left_in_help(text) == []
    assert len(CYRILLIC.findall(text)) > 200


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "не указано: --broker, --folder"),
        (["--broker", "x"], "--broker: указано 'x', а нужно: МАШИНА:ПОРТ, например 127.0.0.1:8080"),
        (["--broker"], "--broker: нужно одно значение"),
        (["--folder", "x", "--broker", "a:1", "--nonsense"], "неизвестные параметры: --nonsense"),
        (["--button-days", "x"], "а нужно: число (дней) от 1 до 3660"),
    ],
)
def test_a_wrong_command_line_is_told_in_the_language(
    argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.parse([*argv, "--lang", "ru"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and told in said and said.startswith("запуск: ")


def test_who_starts_a_desk_without_officers_is_advised_in_the_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the one handler that the desk's processes have. Red when a line is logged as it stands."""
    argv = ["--broker", "127.0.0.1:1", "--folder", str(tmp_path), "--lang", "kk"]
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    begin_log(argv)
    with Register(tmp_path / "register.sqlite") as register:
        arguments = command.parse(argv)
        command._duty(arguments, command._given(arguments), register, lambda change: None)
    said = capsys.readouterr().err
    assert said.startswith("НАЗАР desk: ") and "--ladder FILE" in said and "officers" not in said


def line_of(language: str, text: str, *values: object, name: str = "desk.duty") -> str:
    record = logging.LogRecord(name, logging.ERROR, "", 0, text, values, None)
    return LineInWords(spoken(["--lang", language], LOG_WORDS)).format(record)


def test_a_line_of_the_log_is_of_one_language_to_its_end() -> None:
    """Also what a system, a broker and SQLite say in it. Red where a value is left as it is."""
    why = trouble_module.of_connecting(socket.gaierror(-2, "Name or service not known"), "b.example", 1883)
    assert line_of("ru", "desk %s: %s", "desk-1", why.text) == (
        "ОШИБКА desk.duty: пульт desk-1: брокер недоступен: b.example:1883: имя не найдено (такого имени нет): "
        "проверьте --broker и сервер имён"
    )
    said = [
        line_of("kk", "desk %s: %s", "desk-1", trouble_module.of_refusal(ReasonCode(PacketTypes.CONNACK, name)).text)
        for name in trouble_module.REFUSED_LOGIN
    ]
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    register = trouble_module.of_register(full, Path("/srv/desk/register.sqlite")).text
    said.append(
        line_of("kk", "desk %s: the register cannot be written: %s; starting over from what is in it", "d", register)
    )
    said.append(line_of("kk", "%s: an officer was not told: %s", "p-1-1", "HTTP 500"))
    said.append(line_of("kk", "%s: %s: %s", "/srv/page", OSError(28, "No space left on device"), unrecorded.LOST))
    assert [line for line in said if english_left(line.partition(": ")[2])] == []
    assert all(line.startswith("ҚАТЕ desk.duty: ") and KAZAKH.search(line) for line in said)


def test_what_is_for_a_report_stays_as_it_is() -> None:
    """A traceback, a library's line, somebody else's long text. A file name with a percent sign ends nothing."""
    record = logging.LogRecord("desk", logging.ERROR, "", 0, "desk %s: a message that cannot be written", ("d",), None)
    try:
        raise ValueError("the message that was wrong")
    except ValueError:
        record.exc_info = sys.exc_info()
    first, *rest = LineInWords(spoken(["--lang", "ru"], LOG_WORDS)).format(record).splitlines()
    assert first == "ОШИБКА desk: пульт d: сообщение, которое не записывается"
    assert rest[0].startswith("Traceback") and rest[-1] == "ValueError: the message that was wrong"
    assert line_of("ru", "Task was destroyed but it is pending!", name="asyncio").endswith("it is pending!")
    assert line_of("ru", "%s: the MQTT library has caught an error: x", "a" * LINE_MAX).endswith("an error: x")


def test_the_desks_other_processes_log_in_its_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where the media gateway is started without the language, and where a process begins no log in words."""
    started: list[object] = []

    async def no_process(*words: object, **options: object) -> None:
        started.extend(words)
        raise OSError(12, "Cannot allocate memory")

    argv = ["--broker", "127.0.0.1:1", "--folder", str(tmp_path), "--lang", "kk"]
    gateway = command._player(command.parse(argv)).gateway
    monkeypatch.setattr(asyncio, "create_subprocess_exec", no_process)
    monkeypatch.setattr("desk.media.gateway.NEEDS", ())
    with pytest.raises(NoStream, match="does not start"):
        asyncio.run(gateway._running())
    assert started[-2:] == ["--lang", "kk"]
    for main in (command.main, rollout.main, process.main):
        assert "begin_log(" in inspect.getsource(main)


WRITES = r"\bprint\(|basicConfig|StreamHandler|std(out|err)\.write|lastResort"
"""What in desk/ may write for a person or a program: see desk/spoken.py."""


def test_the_desk_writes_in_one_place() -> None:
    """Red for a print past the words, and for a process with a log of its own."""
    found = [
        line.strip()
        for path in sorted((ROOT / "desk").rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if re.search(WRITES, line) and not re.search(r"said\(|json\.dumps\(", line)
    ]
    assert found == [
        'print(f"{account.role}\\t{account.name}{factor}")',
        "print(fingerprint(Signers(path.parent).public(DESK)))",
        'print(head.read_text("ascii").strip())',
        "print(f\"{time.strftime('%H:%M:%S')} {text}\", flush=True)",
        "handler = logging.StreamHandler()",
        "logging.basicConfig(level=logging.WARNING, handlers=[handler])",
    ]


def test_a_release_is_told_in_the_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "no.pem"
    assert release.main(["verify", str(tmp_path), "--keys", str(key), "--lang", "kk"]) == 1
    said = capsys.readouterr().err
    assert "шығарылым жиналып" in said and "мұндай файл немесе қалта жоқ" in said
    assert "Errno" not in said


# -- the tables

# What a library says in English or in numbers, and a sentence of ours says better.
DROPPED = {"number", "what", "char", "codec", "byte", "why", "kind"}
TABLES = [COMMON, ROOT / "desk" / "words", LOG_WORDS, rollout.WORDS, FIELD_SENTENCES, tools.spoken.WORDS,
          sim.spoken.WORDS]  # fmt: skip


@pytest.mark.parametrize("folder", TABLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_tables_of_the_languages_agree(folder: Path) -> None:
    english, russian, kazakh = (sentences.texts(folder, language) for language in LANGUAGES)
    assert set(english) == set(russian) == set(kazakh)
    for key in english:
        assert fields(english[key]) >= fields(russian[key]) == fields(kazakh[key]), key
        assert fields(english[key]) - fields(russian[key]) <= DROPPED, key
        assert not CYRILLIC.search(english[key]) and not KAZAKH.search(russian[key]), key
        for other in (russian[key], kazakh[key]):
            assert CYRILLIC.search(other) or not re.search(r"[A-Za-z]{3}", re.sub(r"\{\w+\}", "", other)), key


def test_whatever_fills_a_hole_stays_and_is_turned_itself() -> None:
    said = Words("ru").said
    assert said("fleet.csv:2:4 (lat): found '{x}', must be a number with a point, such as 5") == (
        "fleet.csv:2:4 (lat): указано '{x}', а нужно: число с точкой, например 5"
    )
    assert said("nobody knows: this") == "nobody knows: this"
    assert Words("en").said("found 1, must be 2") == "found 1, must be 2"


@pytest.mark.parametrize("language", OTHERS)
def test_a_place_ends_where_the_next_colon_stands(language: str) -> None:
    """In Kazakh a place's own word stands behind its name, and stood at the end of the line: "duty: ... кезекшісі".
    Red when the last hole of a place takes what is said of it, too."""
    said, words = spoken(["--lang", language]).said, sentences.texts(ROOT / "desk" / "words", language)
    told = said("error: ladder.toml: ladder 1: step 2: after_s: found 'x', must be a whole number from 0 to 9")
    places = words["place-ladder"].format(n=1), words["place-step"].format(n=2)
    assert f": ladder.toml: {places[0]}: {places[1]}: after_s: " in told and english_left(told) == []
    what = words["h-named"].format(host="h")
    assert said("--cameras c.csv: camera x: the desk may not call h: --stream-hosts does not name it") == (
        f"--cameras c.csv: {words['place-camera'].format(name='x')}: {what}"
    )
    ends = {key for key, text in sentences.texts(ROOT / "desk" / "words", "en").items() if PLACE.fullmatch(text)}
    assert ends == {key for key in words if re.match("place-(?!all|line)", key)}, "a place that is called none"


PLACE = re.compile(r"(?:camera|officer|ladder|step|column|role|line|entry) \{\w+\}")


def test_a_hole_with_the_same_name_is_the_same() -> None:
    assert pattern("{a} or {a}").fullmatch("x or x") and not pattern("{a} or {a}").fullmatch("x or y")


# -- make

SPEAKING = ("run", "servers", "board", "flash", "flash-all", "diag", "logs", "watch", "accept", "shell", "code",
            "image", "desk", "provision", "revoke", "authority", "renew", "release", "build", "tools")  # fmt: skip
TYPED = ("PORT=p", "CONFIG=c", "BOARDS=p=c", "IMAGE=i", "BROKER=b:1", "FOLDER=f", "FLEET=t", "DEVICE=d", "DO=add")


def speechless(makefile: Path) -> list[str]:
    """What make would run for a person that does not hear which language was typed."""
    argv = ["make", "--no-print-directory", "--dry-run", "--file", str(makefile), *SPEAKING, *TYPED, "LANG=kk"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.replace("\\\n", " ").splitlines()
    ours = [line for line in lines if re.search(r"tools/environment\.py|-m (tools|sim|field|desk)\b", line)]
    assert len(ours) > len(SPEAKING)
    return [line for line in ours if '--lang "kk"' not in line]


def test_what_a_target_runs_is_told_the_language(tmp_path: Path) -> None:
    """LANG=kk behind make beats the locale in the downloads before a program too. Red without $(SPEAK) in one line."""
    assert speechless(ROOT / "Makefile") == []
    without = tmp_path / "Makefile"
    without.write_text(makefile().replace("tools.toolbox $(SPEAK)", "tools.toolbox"), "utf-8")
    assert speechless(without)


def makefile() -> str:
    return (ROOT / "Makefile").read_text("utf-8")


@pytest.mark.parametrize("language", OTHERS)
def test_every_target_has_its_help(language: str) -> None:
    """Red when a target is added or its text changed, in English only; and for a text that no target has any more."""
    english, turned = targets.targets(makefile()), targets.table(language)
    assert set(turned) == set(english.values())
    left = [line for line in targets.lines(makefile(), language) if not CYRILLIC.search(line)]
    assert left == ["  make lint      ruff"]
    control = makefile().replace("list the targets", "list all targets")
    assert "list all targets" in targets.lines(control, language)[0]


def settings(text: str) -> Iterator[str]:
    """What is typed: variables, and what stands in brackets."""
    yield from re.findall(r"\b[A-Z][A-Z0-9_]*(?==)", text)


@pytest.mark.parametrize("language", OTHERS)
def test_a_targets_help_names_what_the_english_does(language: str) -> None:
    for english, turned in targets.table(language).items():
        assert list(settings(english)) == list(settings(turned)), english


def test_make_help_speaks_the_language_that_is_asked_for() -> None:
    done = subprocess.run(["make", "--no-print-directory", "help", "LANG=kk"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "\n".join(targets.lines(makefile(), "kk")) + "\n"
    assert json.loads((ROOT / "tools" / "targets.kk.json").read_text("utf-8"))
