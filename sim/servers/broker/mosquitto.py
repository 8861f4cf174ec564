"""The real mosquitto as a child process, with a configuration made for the occasion in its own folder."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from common.beside import within
from field.access import password_file
from sim.servers.broker.base import START_TIMEOUT_S, STOP_TIMEOUT_S, Broker, BrokerError, Tls
from tools import toolbox

LOG_TAIL_LINES = 30
POLL_S = 0.02


class Mosquitto(Broker):
    """mosquitto, found by `tools.toolbox`; start() raises toolbox.ToolMissing if there is none,
    and BrokerError if it does not start.

    `tls`: with `mutual`, the common name of a client's certificate is its user name. `users`: name ->
    password (plain or one-sided TLS). `acl`: text of the access list, e.g. "pattern readwrite
    sos/v1/nko/%u/#".
    `persistence`: keep retained and queued messages over a kill. `extra`: further lines of configuration.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        tls: Tls | None = None,
        users: Mapping[str, str] | None = None,
        acl: str | None = None,
        persistence: bool = False,
        extra: Sequence[str] = (),
    ) -> None:
        super().__init__(port=port, tls=tls, users=users)
        self.acl, self.persistence, self.extra = acl, persistence, tuple(extra)
        self.folder = Path(tempfile.mkdtemp(prefix="mosquitto-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen = False
        atexit.register(self.close)

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def log_path(self) -> Path:
        """Where its log is."""
        return self.folder / "mosquitto.log"

    def start(self) -> None:
        if self._process is not None:
            return
        command = [*toolbox.require("mosquitto"), "-c", str(self._write_config())]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait_until_it_answers(self._process)

    def stop(self) -> None:
        """Ask it to end (SIGTERM); if that takes too long, or it is frozen, kill it."""
        if self._process is None:
            return
        if not self._frozen:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """SIGKILL: the broker's machine lost its power. Does nothing if it is stopped."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process, self._frozen = None, False

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, the kernel still accepts new ones, and nothing answers."""
        self._signal(signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """SIGCONT: go on after `freeze()`."""
        self._signal(signal.SIGCONT)
        self._frozen = False

    def close(self) -> None:
        """Stop, and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    def __exit__(self, *error: object) -> None:
        self.stop()
        self.close()

    def log_tail(self) -> str:
        """The last lines of its log."""
        if not self.log_path.exists():
            return "(it wrote no log)"
        return "\n".join(self.log_path.read_text("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:])

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise BrokerError(f"mosquitto on port {self.port} is not running: start() it before {number.name}")
        self._process.send_signal(number)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        # An ended process is looked for first: on a taken port, somebody else's broker may answer.
        while not (ended := _ended_within(process, POLL_S)) and not self.answers():
            if time.monotonic() > deadline_s:
                break
        else:
            if not ended:
                return
        why = f"ended with status {process.returncode}" if ended else f"did not answer in {START_TIMEOUT_S} s"
        self.kill()
        raise BrokerError(f"mosquitto on {self.host}:{self.port} {why}. Its log:\n{self.log_tail()}")

    def _write_config(self) -> Path:
        lines = [
            f"listener {self.port} {self.host}",
            f"allow_anonymous {_word(not self.users)}",
            "set_tcp_nodelay true",
            "log_dest stderr",
            f"persistence {_word(self.persistence)}",
        ]
        if self.persistence:
            lines += [
                f"persistence_location {self.folder}/",
                "autosave_on_changes true",
                "autosave_interval 1",
            ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it changes to a user that cannot read the folder
        if self.users:
            lines.append(f"password_file {self._write('passwords', password_file(self.users))}")
        if self.acl is not None:
            lines.append(f"acl_file {self._write('acl', self.acl + chr(10))}")
        if self.tls is not None:
            lines += _tls_lines(self.tls)
        return self._write("mosquitto.conf", "\n".join([*lines, *self.extra]) + "\n")

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        with within(self.folder):
            path.write_text(text, "utf-8")
        path.chmod(0o600)
        return path


def _ended_within(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _tls_lines(tls: Tls) -> list[str]:
    identity = tls.identity()
    lines = [f"cafile {tls.authority.ca_path}", f"certfile {identity.cert}", f"keyfile {identity.key}"]
    return lines + (["require_certificate true", "use_identity_as_username true"] if tls.mutual else [])


def _word(value: bool) -> str:
    return "true" if value else "false"
