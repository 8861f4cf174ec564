"""`python -m sim column` as integrators use it: commands in, JSON lines out, the real firmware within."""

import json
import os
import re
import signal
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_probe import BOOT_TIMEOUT_S, column, run_sim

from sim.real import command, flash_image
from sim.real.command import telling_of_a_small_heap

WATCHDOG_S = 2
# First the two that safe mode leaves out.
TASKS = (
    *("telemetry", "commands", "button", "clock", "column", "incidents", "lamp", "link", "relay", "uplink"),
    "supervisor",
)


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def is_gone(pid: int, timeout_s: float = 2.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not Path(f"/proc/{pid}").exists()


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A column without a broker, with a watchdog that bites soon."""
    arguments = ["--device-id", "cli-01", "--region", "nko", "--broker", f"127.0.0.1:{closed_port()}"]
    document = json.loads(run_sim("config", *arguments).stdout)
    document["watchdog"] = {"timeout_s": WATCHDOG_S}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_a_press_calls_a_cut_is_dark_and_the_image_is_kept(config: str, runtime: str, tmp_path: Path) -> None:
    image = str(tmp_path / "flash.img")
    with column("--config", config, "--runtime", runtime, "--flash", image, "--seed", "7") as col:
        first = col.seen.wait("boot", BOOT_TIMEOUT_S, cause="power-on")["boot"]
        col.seen.wait("log", text="column: armed")  # a contact that is closed at the start is held, and no press
        col.say("press 120")
        col.seen.wait("lamp", state="calling")
        col.seen.wait("relay", closed=True)
        col.say("power off")
        col.seen.wait("lamp", state="dark")
        col.say("press 120")
        col.say("power on")
        col.seen.wait("boot", BOOT_TIMEOUT_S, boot=first + 1, cause="power-on")
        (chip,) = col.chips()
        col.say("quit")
        assert col.process.wait(20) == 0
        assert is_gone(chip)
    with column("--config", config, "--runtime", runtime, "--flash", image) as col:
        col.seen.wait("boot", BOOT_TIMEOUT_S, boot=first + 2)
        assert col.end() == 0


def test_a_hang_is_a_reset_with_the_culprits_name(config: str, runtime: str) -> None:
    with column("--config", config, "--runtime", runtime) as col:
        col.seen.wait("boot", BOOT_TIMEOUT_S)
        col.say("hang uplink")
        reset = col.seen.wait("reset", WATCHDOG_S + 5)
        assert (reset["cause"], reset["culprit"]) == ("watchdog", "uplink")
        col.seen.wait("boot", BOOT_TIMEOUT_S, cause="watchdog")


def test_a_hang_of_any_task_is_a_reset_that_names_it(config: str) -> None:
    """In safe mode too, which these hangs lead to."""
    with column("--config", config) as col:
        col.seen.wait("boot", BOOT_TIMEOUT_S)
        for task in TASKS:
            col.say(f"hang {task}")
            assert col.seen.wait("reset", 3 * WATCHDOG_S + 2)["culprit"] == task
            col.seen.wait("boot", BOOT_TIMEOUT_S, cause="watchdog")


def test_a_broken_configuration_runs_and_names_the_key(config: str, runtime: str) -> None:
    path = Path(config)
    document = json.loads(path.read_text())
    document["telemetry"] = {"heartbeat_s": "often"}
    path.write_text(json.dumps(document))
    with column("--config", config, "--runtime", runtime) as col:
        col.seen.wait_for(lambda e: "telemetry.heartbeat_s" in e.get("text", ""), BOOT_TIMEOUT_S, "log of the key")
        assert col.end() == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"device_id": "a", "broker": {"prot": 1}}', "  broker.prot: неизвестный ключ"),
        ('{"v": 1,', "column.json, строка 1, столбец 9: это не JSON"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_told_in_the_persons_language(
    text: str, told: str, tmp_path: Path
) -> None:
    """The console of a column that runs with it says it in English, of config.json. Red without the warning."""
    path = tmp_path / "column.json"
    path.write_text(text)
    run = run_sim("column", "--config", str(path), "--lang", "ru")
    assert run.returncode == 0 and run.stderr.startswith("внимание: ") and told in run.stderr


def test_a_right_configuration_is_not_warned_of(config: str) -> None:
    assert run_sim("column", "--config", config).stderr == ""


def test_a_document_that_is_no_json_runs_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"v": 1,')
    with column("--config", str(path)) as col:
        col.seen.wait_for(lambda e: "config.json" in e.get("text", ""), BOOT_TIMEOUT_S, "log of the file")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("dance", "unknown command 'dance': must be one of press MS, hold"),
        ("press", "press: found 0 words after it, must be: press MS"),
        ("press soon", "press: found 'soon', must be milliseconds"),
        ("press 0", "press: found '0'"),
        ("press -5", "press: found '-5'"),
        ("hold 5", "hold: found 1 words after it, must be: hold"),
        ("wave", "wave: found 0 words"),
        ("wave 5:2", "'5:2' is not T_US:LEVEL"),
        ("wave 5:1 4:0", "give the edges in order"),
        ("power sideways", "power: found 'sideways', must be: power off|on"),
        ("link", "must be: link down|up"),
        ("hang Two Words", "must be: hang TASK"),
        ("hang \x07", "must be one of button, clock,"),
        ("hang frobnicate", "hang: found 'frobnicate', must be one of button, clock,"),
        ("hang uplink", "hang: no task runs without power; before it: power on"),
        ("tamper open", "tamper: the housing has no contact in this configuration: pins.tamper is null"),
        ("tamper ajar", "must be: tamper open|closed"),
    ],
)
def test_a_wrong_command_is_an_error_line_and_not_an_exit(line: str, told: str) -> None:
    """Each of them used to do nothing without a word. Red when one of them reaches the column."""
    reports: list[tuple[str, str]] = []
    dark: Any = SimpleNamespace(has_power=False, has_tamper=False)
    command.run(dark, [line, "", "help"], lambda event, **more: reports.append((event, more["text"])))
    assert reports[0][0] == "error" and told in reports[0][1]
    assert [event for event, _ in reports[1:]] == ["help"] * len(command.COMMANDS)


def test_every_task_of_the_firmware_can_be_hung_by_its_name() -> None:
    """Red when the firmware has a task that `hang` knows nothing of, or the other way round."""
    sources = [path.read_text("utf-8") for path in (flash_image.PROJECT / "firmware").rglob("*.py")]
    named = {name for text in sources for name in re.findall(r'^    name = "(\w+)"$', text, re.MULTILINE)}
    assert {*TASKS, *command.OPTIONAL_TASKS} == named | {"supervisor"}
    assert set(TASKS) == {*command.TASKS, "supervisor"}


def test_an_error_line_leaves_the_column_running(config: str) -> None:
    with column("--config", config) as col:
        col.say("dance")
        assert "unknown command 'dance'" in col.seen.wait("error")["text"]
        col.seen.wait("boot", BOOT_TIMEOUT_S)
        assert all(type(event["t_ms"]) is int for event in col.seen.events)
        assert col.end() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_leaves_no_orphan(config: str, how: signal.Signals) -> None:
    with column("--config", config) as col:
        col.seen.wait("boot", BOOT_TIMEOUT_S)
        (chip,) = col.chips()
        os.kill(col.process.pid, how)
        assert col.process.wait(10) != 0
        assert is_gone(chip)


def test_help_lists_everything() -> None:
    run = run_sim("--help")
    assert run.returncode == 0
    for word in (
        "column",
        "config",
        "demo",
        "bench",
        "--runtime",
        "--heap",
        "--device-id",
        *command.COMMANDS,
        *command.EVENTS,
    ):
        assert word in run.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--config", "/nowhere.json"], "/nowhere.json"),
        (["--config", "CONFIG", "--heap", "96q"], "found '96q', must be a number of bytes"),
        (["--config", "CONFIG", "--heap", "96k"], "needs a MicroPython runtime"),
        (["--config", "CONFIG", "--flash", "CONFIG"], "remove it"),
        (["--config", "CONFIG", "--runtime", "lua"], "invalid choice: 'lua'"),
        (["--config", "CONFIG", "--lang", "kz"], "found 'kz', must be one of en, ru, kk"),
        ([], "--config"),
    ],
)
def test_unusable_arguments_are_explained(config: str, arguments: list[str], told: str) -> None:
    words = [config if word == "CONFIG" else word for word in arguments]
    run = run_sim("column", *words)
    assert (run.returncode, run.stdout) == (2, "")
    assert told in run.stderr and "Traceback" not in run.stderr


def test_a_missing_runtime_says_how_to_get_it(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sim import __main__
    from tools import toolbox

    def missing(name: str) -> list[str]:
        raise toolbox.ToolMissing(f"{name}: not to be had")

    monkeypatch.setattr(toolbox, "require", missing)
    assert __main__.main(["column", "--config", config, "--runtime", "micropython32"]) == 3
    assert "micropython32: not to be had" in (err := capsys.readouterr().err) and "make tools" in err


@pytest.mark.parametrize(("runtime", "enough_kb"), [("micropython", 208), ("micropython32-newest", 104)])
def test_a_heap_that_is_too_small_is_told_once_with_one_that_suffices(runtime: str, enough_kb: int) -> None:
    """There were tracebacks alone, each second. Red without `telling_of_a_small_heap`'s look at the column's log."""
    told: list[dict[str, Any]] = []
    tell = telling_of_a_small_heap(told.append, runtime, 10_240)
    for text in ("Traceback (most recent call last):", "MemoryError: memory allocation failed", "MemoryError: again"):
        tell({"t_ms": 16, "event": "log", "text": text})
    ((at, said),) = [(at, one["text"]) for at, one in enumerate(told) if one["text"].startswith("simulator: ")]
    assert at == 2 and "10240 bytes are too few" in said and said.endswith(f"firmware: {enough_kb}k suffice")
    enough: list[dict[str, Any]] = []
    telling_of_a_small_heap(enough.append, runtime, enough_kb * 1024)(told[1])
    assert enough == [told[1]], "what is not the heap's fault is not laid on it"
