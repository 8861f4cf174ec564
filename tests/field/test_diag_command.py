"""`make diag` as a program: its table, its JSON, its exit status, its questions, and a cable that is pulled."""

import io
import json
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from diag_answers import BUILD, SOUND, UNKNOWN, Recorded
from diag_port import FakeColumn, FakePort, Say, dialogue

from field.console import ANOTHER_CAME, Console
from field.diag import command, interview
from field.diag.checkup import our_build
from field.diag.finding import LINES
from field.diag.interview import QUESTIONS, Build
from field.diag.words import Words
from field.telling import EXIT_FAILED
from field.words import LANGUAGES
from firmware.console.talk import SHORT
from sim.servers.authority import Authority

SCHEMA = json.loads((Path(command.__file__).parent / "schema.json").read_text("utf-8"))
PATIENCE_S = 30.0
LOCKED = "a technician's code is needed; type: code; or at a laptop: make code PORT=..."  # see test_code.py


class Keyboard(io.StringIO):
    """A terminal at which nobody types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _quick_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("field.diag.command.our_build", lambda: BUILD)


def run(port: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = command.main([port, *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def as_json(recorded: Recorded, capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[int, dict[str, Any]]:
    with FakeColumn(recorded, **options) as column:
        status, out, _ = run(column.port, capsys, "--json")
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert document["exit"] == status and [one["line"] for one in document["lines"]] == list(LINES)
    return status, document


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {one["line"]: one["verdict"] for one in document["lines"]}


# -- for machines


def test_a_sound_column_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, document = as_json(Recorded(), capsys)
    assert status == 0 and document["device_id"] == "petropavl-07" and document["error"] is None
    assert {line for line, verdict in verdicts(document).items() if verdict != "PASS"} == {"lamp", "button"}
    alarm = next(one for one in document["lines"] if one["line"] == "alarm")
    assert alarm["values"] == {"sent_ms": 1, "broker_ms": 3, "centre_ms": 5} and alarm["cause"] is None


def test_one_failure_is_exit_status_1_with_its_advice(capsys: pytest.CaptureFixture[str]) -> None:
    status, document = as_json(Recorded().away("the broker refused us: not authorised", "session"), capsys)
    (failed,) = [one for one in document["lines"] if one["verdict"] == "FAIL"]
    assert status == EXIT_FAILED and failed["finding"] == "login.password"
    assert "password" in failed["cause"] and "make flash" in failed["next"]
    assert {one["because"] for one in document["lines"] if one["line"] in ("access", "alarm")} == {"login"}


def test_warnings_alone_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    status, document = as_json(Recorded().status("tamper_open", value=True), capsys)
    assert status == 0 and verdicts(document)["tamper"] == "WARN"


@pytest.mark.parametrize(
    ("refusals", "why", "told"),
    [
        (1, SHORT, {"en": "", "ru": "", "kk": ""}),
        (99, SHORT, {"en": "press the board's reset", "ru": "нажмите reset", "kk": "reset түймесін басыңыз"}),
        (99, "OSError: 5", {"en": "5). To close it: make code PORT=", "ru": "5). Закрыть её: make code PORT=",
                            "kk": "5). Жабу: make code PORT="}),
    ],
)  # fmt: skip
def test_a_console_that_will_not_be_closed_ends_no_check_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, refusals: int, why: str, told: dict[str, str]
) -> None:
    """In a small heap: "ended early", and exit 3, as if nobody had answered. Red where it is asked once, where the
    refusal counts as trouble, where nobody is told that it stays open, where a column that lacks the memory for it is
    to be closed by the command that has just failed, and where the reason runs into the next sentence."""
    monkeypatch.setattr("field.diag.checkup.code.open_console", lambda *_: True)
    monkeypatch.setattr("field.code._CLOSE_PAUSE_S", 0.0)
    recorded = Recorded()
    recorded.lines["status"].append({"locked": True})

    class Short(FakeColumn):
        def _answer(self, word: str, say: Say) -> None:
            if word != "code end":
                return super()._answer(word, say)
            self.asked.append(word)
            is_short = self.asked.count(word) <= refusals
            self._line({"re": "code", "ok": not is_short, **({"error": why} if is_short else {})})
            return None

    for language, piece in told.items():
        with Short(recorded) as column:
            status, out, err = run(column.port, capsys, "--lang", language)
        assert status == 0 and " 0" in out.splitlines()[-1] and bool(err) is (refusals > 1), err
        assert piece in err and ("make code" in err) is (why != SHORT), err


def test_a_document_that_is_wrong_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    _, document = as_json(Recorded(), capsys)
    document["lines"][0]["verdict"] = "OK"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_an_old_firmware_is_asked_all_and_refuses_without_a_crash(capsys: pytest.CaptureFixture[str]) -> None:
    recorded = Recorded()
    for word in ("files", "certs", "net", "stream", "access"):
        recorded.refuse(word, UNKNOWN)
    with FakeColumn(recorded) as column:
        status, out, _ = run(column.port, capsys)
        assert column.asked == ["status", *QUESTIONS]
    assert status == 0 and out.count("this firmware cannot say (") == 3


def test_this_laptop_looks_at_a_certificate_that_the_column_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The column cannot tell its dates; the broker shows them to anybody."""
    identity = Authority(tmp_path).server(("broker.example",), expired=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def show() -> None:
            with context.wrap_socket(server.accept()[0], server_side=True):
                pass

        showing = threading.Thread(target=show)
        showing.start()
        recorded = Recorded().away("TLS: the broker's certificate is refused: unknown reason", "session")
        recorded.status("broker", address="127.0.0.1", port=server.getsockname()[1])
        _, document = as_json(recorded, capsys)
        showing.join()
    tls = next(one for one in document["lines"] if one["line"] == "tls")
    assert tls["finding"] == "tls.broker-expired" and tls["values"]["name"] == "broker.example"


# -- for people


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_in_each_language(capsys: pytest.CaptureFixture[str], language: str) -> None:
    with FakeColumn(Recorded().status("button", stuck=True, closed=True)) as column:
        status, out, err = run(column.port, capsys, "--lang", language)
    said = Words(language)
    assert status == EXIT_FAILED and err == ""
    lines = out.splitlines()
    for line in LINES:
        assert sum(said.line(line) in text for text in lines) >= 1, line
    at = next(number for number, text in enumerate(lines) if said("button.stuck") in text)
    assert lines[at].startswith(said("verdict.FAIL"))
    assert said("button.stuck.cause") in lines[at + 1] and said("advice.cause") in lines[at + 1]
    assert said("button.stuck.next") in lines[at + 2]


def test_the_language_comes_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", "kk")
    with FakeColumn(Recorded()) as column:
        assert "кезекшілік" in run(column.port, capsys)[1]


def test_without_a_terminal_nobody_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeColumn(Recorded()) as column:
        _, out, _ = run(column.port, capsys)
        assert not {"lamp", "button"} & set(column.asked)
    assert out.count("not asked") == 2


def test_a_wrong_argument_is_exit_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        command.main(["--language", "de", "/dev/null"])
    assert error.value.code == command.EXIT_USAGE and "unrecognized arguments" in capsys.readouterr().err


# -- nobody, or somebody else


def absent(on_line: Any, capsys: pytest.CaptureFixture[str], first: bytes = b"") -> tuple[int, dict[str, Any]]:
    with FakePort(on_line) as port:
        port.say(first)
        status, out, _ = run(port.port, capsys, "--json")
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert {one["because"] for one in document["lines"][1:]} == {"duty"}
    return status, document["lines"][0]


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("field.console.FIRST_LINE_S", 0.3)
    monkeypatch.setattr("field.diag.absence.LISTEN_S", 0.5)


@pytest.mark.usefixtures("_impatient")
def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    status, duty = absent(lambda line, say: None, capsys)
    assert status == command.EXIT_NOBODY and duty["finding"] == "duty.nobody" and "make flash" in duty["next"]


@pytest.mark.usefixtures("_impatient")
def test_somebody_else_there(capsys: pytest.CaptureFixture[str]) -> None:
    status, duty = absent(lambda line, say: say(b"login: \r\n"), capsys)
    assert status == command.EXIT_NOBODY and duty["finding"] == "duty.strange-talk" and "login:" in duty["text"]


def prompt(line: str, say: Say) -> None:
    """The friendly prompt: Ctrl-B greets; anything else is echoed and run."""
    if "\x02" in line:
        say(b"\r\nMicroPython v1.25.0 on 2025-04-15; ESP32 module\r\n>>> ")
    elif line:
        say(b">>> " + line.encode() + b"\r\nNameError: name '" + line.encode() + b"' isn't defined\r\n>>> ")


def raw_prompt(line: str, say: Say) -> None:
    """Nothing is echoed there."""
    if "\x02" in line:
        prompt(line, say)


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("kind", [prompt, raw_prompt])
def test_a_board_at_its_prompt(kind: Any, capsys: pytest.CaptureFixture[str]) -> None:
    status, duty = absent(kind, capsys)
    assert status == EXIT_FAILED and duty["finding"] == "duty.prompt" and "reset" in duty["next"]


@pytest.mark.usefixtures("_impatient")
def test_an_unconfigured_column_that_only_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    speech = b"configuration: pins.button: missing, must be a GPIO number\r\n"
    status, duty = absent(lambda line, say: say(speech) if line else None, capsys)
    assert status == EXIT_FAILED and duty["finding"] == "duty.unconfigured"
    assert "pins.button: missing" in duty["text"] and "CONFIG=" in duty["next"]


def test_a_port_that_cannot_be_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(str(tmp_path / "none"), capsys, "--json")
    document = json.loads(out)
    assert status == command.EXIT_NOBODY and "cannot be opened" in document["error"]
    assert set(verdicts(document).values()) == {"-"}


# -- a column that takes its time


@pytest.mark.parametrize(("word", "times"), [("stream", 1), ("access", 1), ("net", 1), ("files", 2)])
def test_what_waits_for_the_network_is_asked_once(word: str, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again, a column begins anew; what answers at once is asked again when nothing comes."""
    monkeypatch.setattr("field.console.FIRST_LINE_S", 0.2)
    asked: list[str] = []

    def late(line: str, say: Say) -> None:
        if line:
            asked.append(line)
            threading.Timer(0.6 if len(asked) == 1 else 0.0, say, (answer,)).start()

    answer = b'console: {"re":"%s","ok":true}\r\n' % word.encode()
    with FakePort(late) as port, Console(port.port) as console:
        assert console.ask(word) == {}
    assert asked == [word] * times


def test_what_a_torn_answer_had_said_is_no_part_of_the_next() -> None:
    """Red when lines that came before "another command came" are kept, or that is taken for a refusal."""
    torn = b'console: {"re":"status","faults":["old"]}\r\nconsole: {"re":"status","ok":false,"error":"%s"}\r\n'
    whole = b'console: {"re":"status","faults":["new"]}\r\nconsole: {"re":"status","ok":true}\r\n'

    def twice(line: str, say: Say) -> None:
        if line:
            say(torn % ANOTHER_CAME.encode() * 2 + whole)

    with FakePort(twice) as port, Console(port.port) as console:
        assert console.ask("status") == {"faults": ["new"]}
        assert interview.ask(console, "status").said == {"faults": ["new"]}


# -- the cable comes out


def said_in_all() -> int:
    return sum(len(SOUND[word]) + 1 for word in ("status", *QUESTIONS))


@pytest.mark.parametrize("pull_at", [0, 7, 23, 32, 41, 50, 59, -1])  # -1: before the last line
def test_a_pulled_cable_leaves_what_is_known(pull_at: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert pull_at < said_in_all()  # which varies by a line: so many are a certificate's
    pull_at %= said_in_all()
    status, document = as_json(Recorded(), capsys, pull_at=pull_at)
    assert status == command.EXIT_NOBODY and "is the cable in" in document["error"]
    found = verdicts(document)
    assert set(found.values()) <= {"PASS", "-"} and "-" in found.values(), "nothing failed that was not tested"
    assert (found["duty"] == "PASS") == (pull_at > len(SOUND["status"]))
    assert found["alarm"] == "-"


def test_the_table_of_a_pulled_cable_ends_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeColumn(Recorded(), pull_at=30) as column:
        status, out, err = run(column.port, capsys)
    assert status == command.EXIT_NOBODY and "still on duty" in err
    assert "PASS  duty" in out and "-     test alarm" in out and "the check-up ended before it" in out


# -- a person at the terminal


@pytest.fixture(scope="module")
def build() -> Build:
    """Of the program itself, which a fixture replaces in this process only."""
    return our_build()


def at_the_column(build: Build) -> Recorded:
    """Its files are those of the very build that the program makes; somebody presses once."""
    files = {**build.files, **build.libraries}
    recorded = Recorded().says("files", *({"files": {name: digest[:16]}} for name, digest in files.items()))
    recorded.says("lamp", *({"colours": [name]} for name in ("red", "green", "blue", "white")))
    return recorded.says(
        "button",
        {"lasts_ms": 10000, "counts": True},
        {"samples": [[0, 0, 0], [2000, 1, 1], [2002, 0, 0], [2004, 1, 1], [2300, 0, 0]]},
        {"presses": 1, "closures": 2, "alarm": "petropavl-07-1-2", "stuck": False},
    )


def test_a_technician_tells_the_lamp_and_presses_the_button(build: Build) -> None:
    with FakeColumn(at_the_column(build)) as column, dialogue(column.port, "--lang", "en") as (typist, process):
        typist.until(b"test alarm", PATIENCE_S)
        typist.until(b"Look at the lamp", PATIENCE_S)
        typist.until(b"Did you see red?")
        typist.talk(b"r\n", b"Look at the lamp")  # once more
        typist.until(b"Did you see red?")
        typist.talk(b"y\n", b"Did you see green?")
        typist.talk(b"maybe\n", b"Did you see green?")
        typist.talk(b"n\n", b"Did you see blue?")
        typist.talk(b"yes\n", b"Did you see white?")
        typist.talk(b"y\n", b"REAL ALARM. Call the centre first")
        typist.until(b"Test the button now?")
        assert "button" not in column.asked
        typist.talk(b"y\n", b"You have 10 s")
        typist.until("█".encode())
        typist.until(b"not seen: green")
        typist.until(b"bounces 1; the centre closes alarm petropavl-07-1-2")
        assert process.wait(PATIENCE_S) == EXIT_FAILED
        assert column.asked[-3:] == ["lamp", "lamp", "button"]


def test_a_technician_who_only_presses_return_raises_no_alarm(build: Build) -> None:
    with FakeColumn(at_the_column(build)) as column, dialogue(column.port, "--lang", "kk") as (typist, process):
        for colour in ("қызыл", "жасыл", "көк", "ақ"):
            typist.until(f"{colour} түс көрінді ме?".encode(), PATIENCE_S)
            typist.type("и\n".encode())
        typist.until("Түймені қазір тексереміз бе?".encode())
        typist.talk(b"\n", "түйме".encode())
        typist.until("сұралмады".encode())
        assert process.wait(PATIENCE_S) == 0
        assert "button" not in column.asked


def test_a_terminal_that_closes_ends_the_questions(build: Build) -> None:
    with FakeColumn(at_the_column(build)) as column, dialogue(column.port) as (typist, process):
        typist.until(b"?", PATIENCE_S)
        typist.talk(b"\x04", b"not asked")
        assert process.wait(PATIENCE_S) == 0
        assert "button" not in column.asked


def test_of_a_board_that_is_no_column_nothing_is_asked(build: Build) -> None:
    recorded = Recorded().says("status", {"configured": False}, {"errors": ["pins.button: missing"]})
    with FakeColumn(recorded) as column, dialogue(column.port, "--lang", "en") as (typist, process):
        typist.until(b"no usable configuration: pins.button: missing", PATIENCE_S)
        assert process.wait(PATIENCE_S) == EXIT_FAILED
        assert column.asked == ["status"]


@pytest.mark.parametrize("first", [("access", "test", "lamp"), ("lamp",)])
def test_of_a_column_that_wants_a_code_nobody_is_asked_to_look_or_to_press(
    build: Build, first: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red where the lamp is to be watched though `access` and `test` have said that a code is needed, and where the
    button is to be pressed though `lamp` has."""
    monkeypatch.setattr("field.diag.command.our_build", lambda: build)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdin", Keyboard())
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    recorded = at_the_column(build)
    for word in first:
        recorded.refuse(word, LOCKED)
    with FakeColumn(recorded) as column:
        status, out, _ = run(column.port, capsys, "--lang", "en")
        assert column.asked == ["status", *QUESTIONS, *(["lamp"] if "test" not in first else [])]
    assert status == 0 and "REAL ALARM" not in out and ("Look at the lamp" in out) is ("test" not in first)
    rows = [row for row in out.splitlines() if "asks for a technician's code" in row]
    assert [row.split()[1] for row in rows][-2:] == ["lamp", "button"], out


def test_a_stuck_button_is_not_to_be_pressed(build: Build) -> None:
    recorded = at_the_column(build).status("button", stuck=True, closed=True)
    with FakeColumn(recorded) as column, dialogue(column.port, "--lang", "ru") as (typist, process):
        for _ in range(4):
            typist.until("Был ли виден".encode())
            typist.type("д\n".encode())
        typist.until("залипла".encode())
        assert process.wait(PATIENCE_S) == EXIT_FAILED
        assert "button" not in column.asked
