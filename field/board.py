"""A board at the other end of a cable: mpremote's transport, with this project's agent on the board.

    with Board("/dev/ttyUSB0") as board:
        survey = board.survey()
        board.send("a/firmware/lamp.mpy", data)

Whatever goes wrong becomes a BoardError that says what happened and what to do next. Leaving the block restarts the
board, so that a column goes back on duty; if the cable is pulled, its watchdog does that within 30 s.
"""

from __future__ import annotations

import base64
import contextlib
import json
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import serial
from mpremote import transport_serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from field import ports
from field.words import PortTrouble

AGENT = Path(__file__).with_name("device") / "agent.py"
BAUD = 115_200
PROMPT = b">>> "
CHUNK_BYTES = 1024
READ_TIMEOUT_S = 10.0  # longest silence: a board that erases flash, or hashes its largest file
GRACE_MS = 30_000
_ATTEMPTS = 3
_GARBLED = "SyntaxError"
# A timer or a thread of the column that went off duty, or the collector, says what it has to say into an answer.
_ASIDE = "Traceback"
_CTRL_C = "KeyboardInterrupt"  # somebody else's
_SHOWN_BYTES = 60  # of an answer that is none
_PORT_PAUSE_S = 0.2  # between looks whether the port is back
BACK_WITHIN_S = 30.0  # from a reset to the prompt of a board that leaves its column off
# Without room for the agent, a column's heap would fail anywhere, at the prompt itself as well, and restart the chip.
_AGENT_KB = 32  # its source, its parse tree, its code, and the hashes of a hundred files
_CRAMMED = "crammed"
_ROOM = f"""import gc
gc.collect()
try:
 [bytearray(1024) for _ in range({_AGENT_KB})]
except MemoryError:
 print("{_CRAMMED}" if "boot" in globals() else "")
"""
_OFF_DUTY = "open('service.req', 'w').close()\nimport machine\nmachine.reset()"  # boot.py knows that file


# It would print whatever a deaf or noisy board said in place of its prompt: "b''".
vars(transport_serial)["print"] = lambda *_, **__: None


class BoardError(PortTrouble):
    """What happened, on which port, and what to do next."""


class PortGone(BoardError):
    """The port is not there any more: a pulled cable, or native USB during a reset."""


class Board:
    """One connection; all names are paths on the board without a leading slash."""

    def __init__(self, port: str, grace_ms: int = GRACE_MS, let_in: Callable[[str], None] = lambda port: None) -> None:
        """`grace_ms`: how long the board waits for the next command until its watchdog puts it back on duty. `let_in`:
        called once when it gives no prompt: a column may want a code first, see field/code.py."""
        self.port = port
        self._let_in = let_in
        self._grace_ms = grace_ms
        self._is_cleared = False
        self._transport: Any = ports.opened(self.port, _transport, BoardError)

    def __enter__(self) -> Board:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._explained("board.promptless"):
                    self._transport.enter_raw_repl(soft_reset=False)
                if not self._is_cleared and _CRAMMED in self.run(_ROOM):
                    self.clear()
                else:
                    self._send_agent()
                return self
            except BoardError:
                if attempt == _ATTEMPTS:
                    self.close()
                    raise
            if attempt == 1:
                self.close()
                self._let_in(self.port)
                self._transport = ports.opened(self.port, _transport, BoardError)
        raise AssertionError("unreachable")

    def clear(self) -> None:
        """Both heaps as they are before a column starts: what one has taken, a driver's buffers too, only a reset gives
        back. So a column restarts once, into service mode; `restart` forgets the start that was cut off."""
        if self._is_cleared:
            return
        self._is_cleared = True
        gone = contextlib.suppress(serial.SerialException, OSError)  # native USB
        with self._explained("board.not-reset"), gone:
            self._transport.exec_raw_no_follow(_OFF_DUTY)
        self._transport.in_raw_repl = False
        self.come_back(BACK_WITHIN_S)

    def _send_agent(self) -> None:
        self.run(f"GRACE_MS = {self._grace_ms}\n" + AGENT.read_text("utf-8"))

    def __exit__(self, *error: object) -> None:
        if self._transport.in_raw_repl:
            with contextlib.suppress(BoardError):
                self.restart()
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._transport.close()

    def run(self, code: str) -> str:
        """Run code on the board; returns what it printed. Raises BoardError."""
        with self._explained("board.silent"):
            output, trouble = self._transport.exec_raw(code, timeout=READ_TIMEOUT_S)
        if trouble:
            raise self._says(trouble, code.splitlines()[0][:60])
        return str(output.decode("utf-8", "replace"))

    def survey(self) -> dict[str, Any]:
        """Versions, room, and the SHA-256 of every file, in one round trip."""
        return self._told("survey()")

    def room(self) -> dict[str, Any]:
        """Both heaps, of the survey's answer."""
        return self._told("tell(room())")

    def feed(self) -> None:
        """Nothing is to be done yet: the watchdog goes on waiting."""
        self.run("watchdog.feed()")

    def send(self, name: str, data: bytes) -> Iterator[int]:
        """Write a file in chunks; yields the bytes sent, chunk by chunk."""
        self.run(f"begin({name!r})")
        for start in range(0, len(data), CHUNK_BYTES):
            chunk = data[start : start + CHUNK_BYTES]
            self.run(f"put({base64.b64encode(chunk)!r})")
            yield len(chunk)
        self.run("end()")

    def digests(self, names: list[str]) -> dict[str, str]:
        """SHA-256 of files on the board."""
        return self._told(f"digests({', '.join(repr(name) for name in names)})") if names else {}

    def copy(self, pairs: list[tuple[str, str]]) -> None:
        """Copy files on the board itself: (source, target) pairs."""
        self.run(f"copy({pairs!r})")

    def rename(self, source: str, target: str) -> None:
        """Atomic on LittleFS: afterwards `target` is the old one or the new one."""
        self.run(f"rename({source!r}, {target!r})")

    def remove(self, name: str) -> None:
        self.run(f"remove({name!r})")

    def restart(self) -> None:
        """A hard reset; the raw REPL is over then."""
        # Native USB is gone before it could say that it heard; of a pulled cable tells what follows.
        gone = contextlib.suppress(serial.SerialException, OSError)
        with self._explained("board.not-reset"), gone:
            self._transport.exec_raw_no_follow("reset()")
        self._transport.in_raw_repl = False

    def soft_reset(self) -> None:
        """The chip runs on, and so does its watchdog; main.py does not start."""
        with self._explained("board.no-soft-reset"):
            self._transport.enter_raw_repl(soft_reset=True)
        self._send_agent()

    def come_back(self, within_s: float) -> None:
        """To the prompt again after a reset that leaves a column off. Native USB's port goes away with the chip."""
        deadline_s = time.monotonic() + within_s
        while True:
            try:
                self._await_prompt(deadline_s)
                self.__enter__()
                return
            except BoardError:
                if time.monotonic() > deadline_s:
                    raise
            self.close()
            time.sleep(_PORT_PAUSE_S)
            with contextlib.suppress(BoardError):
                self._transport = ports.opened(self.port, _transport, BoardError)

    def _await_prompt(self, deadline_s: float) -> None:
        """What is typed while a chip starts is lost, so a line feed is typed until the prompt shows."""
        heard = b""
        with self._explained("board.not-back"):
            self._transport.serial.timeout = _PORT_PAUSE_S
            while not heard.endswith(PROMPT):
                if time.monotonic() > deadline_s:
                    raise TransportError("-")
                self._transport.serial.write(b"\r")
                heard = (heard + self._transport.serial.read(4096))[-len(PROMPT) :]

    def until_reset(self, code: str, said: str, within_s: float) -> float:
        """Run code that says `said` and then nothing until the chip restarts; how many seconds that took."""
        deadline_s, heard, since_s = time.monotonic() + within_s, b"", 0.0
        with self._explained("board.not-taken"):
            self._transport.exec_raw_no_follow(code)
            self._transport.in_raw_repl = False
        while time.monotonic() < deadline_s:
            try:
                self._transport.serial.timeout = 0.1
                new = self._transport.serial.read(1)
            except (serial.SerialException, OSError):  # native USB
                new = b"?"
            if since_s and new:
                return time.monotonic() - since_s
            heard += new
            if not since_s and heard.endswith(said.encode() + b"\r\n"):
                since_s = time.monotonic()
        raise BoardError(self.port, "board.not-restarted", seconds=round(within_s))

    def to_prompt(self) -> None:
        """Leave the board at its friendly prompt, off duty, to another program; its watchdog keeps the grace."""
        with self._explained("board.raw"):
            self._transport.exit_raw_repl()
        self.close()

    def lines(self, for_s: float) -> Iterator[str]:
        """What the console says after `restart`, line by line, for so long; "" while it says nothing."""
        deadline_s = time.monotonic() + for_s
        rest = b""
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                self._transport.serial.timeout = min(left_s, 0.1)
                rest += self._transport.serial.read(256)
            except (serial.SerialException, OSError) as error:
                raise PortGone(self.port, "board.gone", error=error) from error
            *whole, rest = rest.split(b"\n")
            for line in whole or [b""]:
                yield line.decode("utf-8", "replace").strip()

    def _told(self, code: str) -> dict[str, Any]:
        """What the board answers, as JSON. Raises BoardError, also for an answer that a bad cable changed, or that the
        board itself interrupted."""
        answer = self.run(code)
        try:
            return dict(json.loads(answer))
        except (ValueError, RecursionError, TypeError) as error:
            if _ASIDE in answer:
                raise BoardError(self.port, "board.interrupted") from error
            at = max(0, getattr(error, "pos", 0) - _SHOWN_BYTES // 2)  # where it stops being JSON; no word of Python's
            heard = f"{at}/{len(answer)}: {answer[at : at + _SHOWN_BYTES]!r}"
            raise BoardError(self.port, "board.garbled", error=heard) from error

    def _says(self, text: str | bytes, where: str) -> BoardError:
        """The board refuses what it was told. A syntax error is the cable's: what is sent has none."""
        last = _last_line(text)
        if _GARBLED in last:
            return BoardError(self.port, "board.garbled", error=last)
        if last.startswith(_CTRL_C):
            return BoardError(self.port, "board.interrupted")
        return BoardError(self.port, "board.says", error=last, where=where)

    @contextlib.contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except TransportExecError as error:
            raise self._says(error.error_output, "-") from error
        except (TransportError, serial.SerialException, OSError, struct.error, ValueError) as error:
            raise BoardError(self.port, key, error=error) from error


def _transport(path: str) -> Any:
    try:
        return SerialTransport(path, baudrate=BAUD, timeout=READ_TIMEOUT_S)
    except TransportError:  # mpremote keeps the reason to itself
        serial.Serial(path, BAUD, exclusive=True).close()
        return SerialTransport(path, baudrate=BAUD, timeout=READ_TIMEOUT_S)


def _last_line(text: str | bytes) -> str:
    lines = (text.decode("utf-8", "replace") if isinstance(text, bytes) else text).strip().splitlines()
    return lines[-1] if lines else "-"
