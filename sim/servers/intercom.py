"""An intercom that nobody here wrote: baresip, a SIP user agent, in a process that may be frozen, and taken away.

It answers a call by itself, as intercoms do; its microphone hears a tone, and what its loudspeaker says is kept.
"""

from __future__ import annotations

import array
import contextlib
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.beside import within
from common.ports import HOST, free_port
from sim.servers.program import NotStarted, Program
from tools import toolbox

START_S = 20.0
LOOK_S = 0.02
RECV_BYTES = 4096
WAV_HEADER = 44  # bytes of baresip's recordings
NOWHERE = ("192.0.2.1", 9)  # TEST-NET-1: nothing is sent there
HEARD_SAMPLES, HEARD_LEVEL = 4000, 4000  # half a second; of 32,767
MODULES = ("g711.so", "ausine.so", "aufile.so", "aubridge.so")
APPLICATIONS = ("account.so", "menu.so", "ctrl_tcp.so")
STARTS, ENDS = "CALL_ESTABLISHED", "CALL_CLOSED"

Event = dict[str, Any]


class IntercomError(NotStarted):
    """It did not start; the message has the end of its log."""


def own_address() -> str:
    """This machine's on its network: baresip knows no loopback. Raises IntercomError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(NOWHERE)
        except OSError as error:
            raise IntercomError(f"baresip needs a network, and this machine has none: {error.strerror}") from None
        return str(probe.getsockname()[0])


class Intercom(Program):
    """A context manager. `name`: of its address; `others`: names of more that stand behind the same address, each with
    a loudspeaker of its own; `by_name`: they are called by a host's name instead of that address, and call nobody.
    `port`: 0 = a free one. `answers`: by itself, else it rings. `hertz`: what its microphone
    hears; `echo`: it hears its own loudspeaker instead, and nothing is kept. `on_event` hears in a thread of its own
    what happens to it.

    Raises IntercomError, toolbox.ToolMissing at its start.
    """

    def __init__(
        self,
        name: str = "intercom",
        *others: str,
        by_name: bool = False,
        port: int = 0,
        answers: bool = True,
        hertz: int = 440,
        echo: bool = False,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        super().__init__("intercom")
        self.name, self._answers, self._hertz, self._on_event = name, answers, hertz, on_event
        self._names, self._by_name, self._echo = (name, *others), by_name, echo
        self.host, self.port, self._control_port = "", port or free_port(), free_port()
        self.open_calls = 0
        self._control: socket.socket | None = None
        self._changed = threading.Condition()
        self.events: list[Event] = []

    @property
    def address(self) -> str:
        return f"sip:{self.name}@{self.host}:{self.port}"

    def start(self) -> None:
        """(Back) on the network."""
        if self._process is not None:
            return
        self.host = self.host or own_address()
        argv = toolbox.require("baresip")
        self._configure(Path(argv[-1]).parents[1] / "lib" / "baresip" / "modules")
        self._control = self._wait_for_control(self._spawn([*argv, "-f", str(self.folder)]))
        threading.Thread(target=self._listen, args=(self._control,), daemon=True).start()

    def stop(self) -> None:
        """Away, without a word: as with a cut cable, whoever talks with it hears nothing of it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        control, self._control = self._control, None
        if control is not None:
            control.close()
        with self._changed:
            self.open_calls = 0

    def revive(self) -> bool:
        """Whether it had crashed by a signal of its own, and was started again, as its watchdog would do. baresip 1.1
        did, once in some thousand calls: a segmentation fault, in a call of which much was lost."""
        if self._process is None or (self._process.poll() or 0) >= 0:
            return False
        self.stop()
        self.start()
        return True

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def do(self, command: str, parameters: str = "") -> None:
        """One of its own commands: "hangup", "dial" with an address, "accept"."""
        assert self._control is not None
        text = json.dumps({"command": command, "params": parameters}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))

    def newest(self) -> Event:
        """What happened last; {} before anything did."""
        return self.events[-1] if self.events else {}

    def wait_for_calls(self, number: int, timeout_s: float = START_S) -> None:
        """Until that many are open. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.open_calls == number, timeout_s):
                raise TimeoutError(f"{self.name}: {self.open_calls} calls open, not {number}: {self.events[-3:]}")

    def said(self, seconds: float = 0.5, name: str = "") -> array.array[int]:
        """The last of what its loudspeaker said, or that of the other `name`: 8,000 samples a second."""
        try:
            with self._said(name or self.name).open("rb") as file:
                size = file.seek(0, 2) // 2 * 2
                file.seek(max(WAV_HEADER, size - 2 * round(seconds * 8000)))
                data = file.read(2 * round(seconds * 8000))
        except FileNotFoundError:
            data = b""
        return array.array("h", data[: len(data) // 2 * 2])

    def hears(self, name: str = "") -> bool:
        """Whether its loudspeaker, or that of the other `name`, has said something loud for the last half second."""
        said = self.said(name=name)
        return len(said) == HEARD_SAMPLES and max(said) > HEARD_LEVEL

    def _said(self, name: str) -> Path:
        return self.folder / f"{name}.wav"

    def _configure(self, modules: Path) -> None:
        lines = [
            f"net_interface {self.host}", f"sip_listen {self.host}:{self.port}", f"call_max_calls {len(self._names)}",
            f"ctrl_tcp_listen {HOST}:{self._control_port}", f"module_path {modules}",
            f"audio_source {'aubridge,air' if self._echo else f'ausine,{self._hertz}'}",
            f"audio_player {'aubridge,air' if self._echo else f'aufile,{self._said(self.name)}'}",
            f"audio_alert aufile,{self.folder / 'alert.wav'}", f"audio_path {self.folder}",
            f"ausrc_srate {8000 if self._echo else 48000}", "auplay_srate 8000",
            "ausrc_channels 1", "auplay_channels 1",
            *(f"module {name}" for name in MODULES), *(f"module_app {name}" for name in APPLICATIONS),
        ]  # fmt: skip
        with within(self.folder):
            (self.folder / "config").write_text("\n".join([*lines, ""]))
        answers = "auto" if self._answers else "manual"
        # One that registers nowhere (regint=0) takes no call that names a host; one of the second rank (prio) would
        # register, if the first failed.
        rank = "regint=60;prio=1" if self._by_name else "regint=0"
        lines = [f"<sip:{name}@{self.host}>;answermode={answers};{rank}" for name in self._names]
        if len(lines) > 1:
            players = [f";audio_player=aufile,{self._said(name)}" for name in self._names]
            lines = [line + player for line, player in zip(lines, players, strict=True)]
        with within(self.folder):
            (self.folder / "accounts").write_text("\n".join([*lines, ""]))
        (self.folder / "contacts").touch()

    def _wait_for_control(self, process: subprocess.Popen[bytes]) -> socket.socket:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s and process.poll() is None:
            with contextlib.suppress(OSError):
                return socket.create_connection((HOST, self._control_port))
            time.sleep(LOOK_S)
        self.stop()
        raise IntercomError(f"baresip did not start:\n{self.log_tail()}")

    def _listen(self, control: socket.socket) -> None:
        waiting = b""
        with contextlib.suppress(OSError):
            while data := control.recv(RECV_BYTES):
                waiting += data
                while (found := _netstring(waiting)) is not None:
                    text, waiting = found
                    with contextlib.suppress(ValueError):
                        self._take(json.loads(text))

    def _take(self, event: Event) -> None:
        if not event.get("event"):
            return  # an answer to a command
        with self._changed:
            if self._control is None:
                return
            self.events.append(event)
            self.open_calls += (event["type"] == STARTS) - (event["type"] == ENDS and self.open_calls > 0)
            self._changed.notify_all()
        self._on_event(event)


def _netstring(data: bytes) -> tuple[bytes, bytes] | None:
    """(the first text, the rest), as soon as it is whole."""
    length, colon, rest = data.partition(b":")
    if not colon or len(rest) <= int(length):
        return None
    return rest[: int(length)], rest[int(length) + 1 :]
