"""Asks a column on duty, over its serial console, without stopping it: no reset, no Ctrl-C, no prompt.

    with Console("/dev/ttyUSB0") as console:
        answer = console.ask("status")

On the command line: `python -m field.console PORT status` prints the answer as JSON. What a column answers is in
docs/diagnostics.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import serial

from field import ports
from field.telling import fail, in_words
from field.words import PortTrouble, Words, asked_for, tool_parser

BAUD = 115_200
PREFIX = b"console: "
COMMANDS = ("status", "files", "net", "certs", "stream", "access", "logs", "lamp", "button", "test", "code", "help")
FIRST_LINE_S = 4.0  # then the command is sent once more: a column that is short of memory says nothing
# These wait for the network before they say anything. Sent once more they would begin anew.
FIRST_LINE_SLOW_S = {"net": 12.0, "stream": 12.0, "access": 12.0}
SILENCE_S = 20.0  # longest between two lines: `button` looks for 10 s, `test` waits for the centre
ANOTHER_CAME = "another command came"  # firmware/console/talk.py
SHORT_OF_MEMORY = "too little memory"  # as firmware/console/talk.py begins to say it
ATTEMPTS = 2
EXIT_REFUSED = 3
_READ_S = 0.1
_READ_BYTES = 4096
_LINE_MAX = 65536  # bytes: more without a line feed is no console

Line = dict[str, Any]


class ConsoleError(PortTrouble):
    """What happened, on which port, and what to do next."""


class NotOpened(ConsoleError):
    """The port itself: nobody was asked anything."""


class Refused(ConsoleError):
    """The column answered, and says why it cannot do that: `why`, in its own words."""

    def __init__(self, port: str, command: str, why: str) -> None:
        super().__init__(port, "console.refused", command=command)
        self.why = why

    @property
    def lacks_memory(self) -> bool:
        return self.why.startswith(SHORT_OF_MEMORY)

    def what(self, words: Words) -> str:
        return words(self.key, **self.values, why=words.said(self.why))


class Console:
    """One connection. `on_log(text)` is told what the column says of its own accord."""

    def __init__(self, port: str, on_log: Callable[[str], None] = lambda text: None) -> None:
        self.port = port
        self._on_log = on_log
        self._rest = b""
        self._serial = ports.opened(port, _serial, NotOpened)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError, serial.SerialException):
            self._serial.close()

    def ask(self, command: str) -> Line:
        """The whole answer: its lines as one object. Raises Refused, ConsoleError."""
        answer: Line = {}
        for line in self.lines(command, answer.clear):
            merge(answer, line)
        return answer

    def lines(self, command: str, anew: Callable[[], None] = lambda: None) -> Iterator[Line]:
        """The answer line by line, as it comes, without the last one. Raises Refused, ConsoleError.

        `anew()`: what was heard so far answered the same question of somebody whose cable was pulled, or ours before it
        was sent once more. Nobody else can ask meanwhile: the port is ours alone.
        """
        word = command.partition(" ")[0]  # what follows it is never said again
        for attempt in range(1, ATTEMPTS + 1):
            self._send(command)
            heard = False
            for line in self._heard(FIRST_LINE_SLOW_S.get(word, FIRST_LINE_S)):
                if line.get("re") not in (word, ""):  # none: too little memory even to read the word
                    continue  # the end of an answer that somebody else asked for
                heard = line.get("error") != ANOTHER_CAME
                if not heard:
                    anew()
                    continue
                if "ok" not in line:
                    yield line
                elif line["ok"]:
                    return
                else:
                    raise Refused(self.port, word, str(line.get("error", "refused")))
            if heard:
                raise ConsoleError(self.port, "console.broke-off", command=word)
            if attempt == ATTEMPTS:
                raise ConsoleError(self.port, "console.nobody")

    def listen(self, for_s: float) -> None:
        """Nothing is asked; `on_log` hears what the column says meanwhile."""
        deadline_s = time.monotonic() + for_s
        while time.monotonic() < deadline_s:
            self._read()

    def type(self, data: bytes) -> None:
        """Type anything, ask nothing. Raises ConsoleError."""
        with self._explained("console.untaken"):
            self._serial.write(data)

    def _send(self, command: str) -> None:
        self.type(f"\n{command}\n".encode())  # the first line feed ends what was left of another line

    def _heard(self, first_s: float) -> Iterator[Line]:
        """The console's lines, until there is silence."""
        deadline_s = time.monotonic() + first_s
        while time.monotonic() < deadline_s:
            for line in self._read():
                deadline_s = time.monotonic() + SILENCE_S
                yield line

    def _read(self) -> list[Line]:
        with self._explained("console.gone"):
            self._rest += self._serial.read(max(1, min(self._serial.in_waiting, _READ_BYTES)))
        *whole, self._rest = self._rest.split(b"\n")
        self._rest = self._rest[-_LINE_MAX:]
        found = []
        for raw in whole:
            text = raw.strip()
            line = _parsed(text)
            if line is not None:
                found.append(line)
            elif text:
                self._on_log(text.decode("utf-8", "replace"))
        return found

    @contextlib.contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except (serial.SerialException, OSError, ValueError) as error:
            raise ConsoleError(self.port, key, error=error) from error


def _serial(path: str) -> serial.Serial:
    # DTR and RTS are left alone, so that both rise together: a board's reset circuit acts when they differ.
    return serial.Serial(path, BAUD, timeout=_READ_S, exclusive=True)


def merge(answer: Line, line: Line) -> None:
    """Add one line to an answer: lists grow, anything else is set; `re` is not the answer's."""
    for key, value in line.items():
        if key == "re":
            continue
        if isinstance(value, list):
            answer.setdefault(key, []).extend(value)
        elif isinstance(value, dict):
            answer.setdefault(key, {}).update(value)
        else:
            answer[key] = value


def collect(answer: Line, line: Line) -> None:
    """Like `merge`, for people: an object that says again what is there already is one more of its kind (a look, a
    lookup), and they become a list."""
    for key, value in line.items():
        before = answer.get(key)
        if isinstance(before, list) and isinstance(value, dict):
            before.append(value)
        elif isinstance(before, dict) and isinstance(value, dict) and before.keys() & value.keys():
            answer[key] = [before, value]
        else:
            merge(answer, {key: value})


def in_language(answer: Line, words: Words) -> Line:
    """What the answer to `help` says of each command, which is for people; all else is for programs too, and stays."""
    if "commands" not in answer:
        return answer
    return {**answer, "commands": [{**one, "does": words.said(str(one.get("does", "")))} for one in answer["commands"]]}


def _parsed(text: bytes) -> Line | None:
    """A line of the console; None for all else. What another task had begun to say may stand before it."""
    _, found, body = text.partition(PREFIX)
    if not found:
        return None
    try:
        line = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0, EXIT_FAILED (nobody answers), EXIT_REFUSED (the column says no)."""
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.console", (__doc__ or "").partition("\n")[0])
    parser.add_argument("port", help="serial port of a column on duty, such as /dev/ttyUSB0")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("typed", nargs="?", default="", help="behind `code`: the code, or end")
    arguments = parser.parse_args(argv)
    try:
        answer: Line = {}
        with Console(arguments.port) as console:
            for line in console.lines(f"{arguments.command} {arguments.typed}".strip(), answer.clear):
                collect(answer, line)
        print(json.dumps(in_language(answer, words), ensure_ascii=False, indent=1))
    except Refused as refusal:
        fail(words, refusal)
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
