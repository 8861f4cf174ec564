"""The real RabbitMQ with its MQTT plugin, as processes of this user: it ends the session at what it denies."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from common.ports import HOST, free_port
from sim.servers.broker.base import STOP_TIMEOUT_S, Broker, BrokerError, Tls
from tools import toolbox

START_S = 90.0  # Erlang and 40 applications: some seconds, on a machine with something else to do many
POLL_S = 0.1
LOG_TAIL_LINES = 30
SALT_BYTES = 4


class May(NamedTuple):
    """Regular expressions of the topics (with points for slashes) that a user may write and read."""

    write: str = ".*"
    read: str = ".*"


class RabbitMq(Broker):
    """start() raises toolbox.ToolMissing or BrokerError. `users`: name -> password; `rights`: of who may not do all."""

    def __init__(
        self, *, tls: Tls | None = None, users: Mapping[str, str], rights: Mapping[str, May] | None = None
    ) -> None:
        super().__init__(port=None, tls=tls, users=users)
        self._rights = dict(rights or {})
        self._folder = Path(tempfile.mkdtemp(prefix="rabbitmq-"))
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def running(self) -> bool:
        return bool(self._processes)

    def start(self) -> None:
        if self._processes:
            return
        root = Path(toolbox.require("rabbitmq")[0])
        environment = self._prepare(root)
        epmd = [str(_runtime(root) / "bin" / "epmd"), "-port", environment["ERL_EPMD_PORT"], "-address", HOST]
        self._run([*epmd, "-relaxed_command_check"], environment, "epmd")
        self._run(["sh", str(_home(root) / "sbin" / "rabbitmq-server")], environment, "log")
        self._wait_until_it_answers()

    def stop(self) -> None:
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):  # each has a group of its own: the node has children
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_TIMEOUT_S)
        self._processes = []

    def __exit__(self, *error: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, command: Sequence[str], environment: Mapping[str, str], log: str) -> None:
        with (self._folder / log).open("ab") as out:
            made = subprocess.Popen(command, env=dict(environment), cwd=self._folder, stdin=subprocess.DEVNULL,
                                    stdout=out, stderr=out, start_new_session=True)  # fmt: skip
        self._processes.append(made)

    def _wait_until_it_answers(self) -> None:
        end_s = time.monotonic() + START_S
        while not self.answers():
            ended = [process.returncode for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > end_s:
                tail = "\n".join((self._folder / "log").read_text("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:])
                self.stop()
                raise BrokerError(f"rabbitmq on {self.host}:{self.port} did not answer ({ended}). Its log:\n{tail}")
            time.sleep(POLL_S)

    def _prepare(self, root: Path) -> dict[str, str]:
        """Configuration, users and environment, all in this broker's own folder."""
        folder = self._folder
        (folder / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
        (folder / "definitions.json").write_text(json.dumps(self._definitions()))
        (folder / "rabbitmq.conf").write_text("\n".join(self._settings()) + "\n")
        erl = folder / "erl"  # Debian's own looks below /usr only
        runtime = _runtime(root)
        erl.write_text(
            f"#!/bin/sh\nexport ROOTDIR='{root}/usr/lib/erlang' BINDIR='{runtime}/bin' EMU=beam PROGNAME=erl\n"
            'exec "$BINDIR/erlexec" "$@"\n'
        )
        erl.chmod(0o700)
        libraries = ":".join(str(path) for path in sorted(root.glob("usr/lib/*-linux-*")))
        made = {
            "PATH": f"{folder}:{os.environ.get('PATH', os.defpath)}", "HOME": str(folder), "LC_ALL": "C.UTF-8",
            "LD_LIBRARY_PATH": libraries, "ERL_EPMD_PORT": str(free_port()), "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_HOME": str(_home(root)), "RABBITMQ_PLUGINS_DIR": str(_home(root) / "plugins"),
            "RABBITMQ_NODENAME": "sos@localhost", "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2",
        }  # fmt: skip
        files = {"MNESIA_BASE": "db", "LOG_BASE": "logs", "CONFIG_FILE": "rabbitmq.conf", "PID_FILE": "pid",
                 "ENABLED_PLUGINS_FILE": "enabled_plugins", "PLUGINS_EXPAND_DIR": "plugins",
                 "FEATURE_FLAGS_FILE": "flags", "GENERATED_CONFIG_DIR": "generated"}  # fmt: skip
        return made | {f"RABBITMQ_{key}": str(folder / name) for key, name in files.items()}

    def _settings(self) -> list[str]:
        kind = "tcp" if self.tls is None else "ssl"
        lines = ["listeners.tcp = none", f"mqtt.listeners.{kind}.1 = {self.host}:{self.port}"]
        lines += ["mqtt.allow_anonymous = false", "log.console = true", "log.file = false"]
        lines += ["disk_free_limit.absolute = 1MB", f"load_definitions = {self._folder}/definitions.json"]
        if self.tls is not None:
            identity = self.tls.identity()
            lines += ["mqtt.listeners.tcp = none", f"ssl_options.cacertfile = {self.tls.authority.ca_path}"]
            lines += [f"ssl_options.certfile = {identity.cert}", f"ssl_options.keyfile = {identity.key}"]
            if self.tls.mutual:
                lines += ["ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true"]
        return lines

    def _definitions(self) -> dict[str, Any]:
        users = [
            {"name": name, "password_hash": _hashed(password), "tags": ""} for name, password in self.users.items()
        ]
        all_ = {"vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
        topics = [{"user": name, "vhost": "/", "exchange": "amq.topic", "write": may.write, "read": may.read}
                  for name, may in self._rights.items()]  # fmt: skip
        return {
            "vhosts": [{"name": "/"}],
            "users": users,
            "permissions": [{"user": name, **all_} for name in self.users],
            "topic_permissions": topics,
        }


def _home(root: Path) -> Path:
    return next(root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*"))


def _runtime(root: Path) -> Path:
    return next(root.glob("usr/lib/erlang/erts-*"))


def _hashed(password: str) -> str:
    salt = os.urandom(SALT_BYTES)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode("ascii")
