"""A telephone exchange that nobody here wrote: Kamailio, where names register and are called. It knows one password."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from common.ports import free_port
from sim.servers.intercom import own_address
from sim.servers.program import NotStarted, Program
from tools import toolbox

START_S, LOOK_S = 20.0, 0.05
GONE_MS = 2000  # whoever says nothing for so long is not there
RECV_BYTES = 4096
PROBE = (
    "OPTIONS sip:nobody@{there} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKprobe;rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:probe@{here}>;tag=probe\r\nTo: <sip:nobody@{there}>\r\nCall-ID: probe@{here}\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)
MODULES = ("tm", "sl", "rr", "pv", "maxfwd", "textops", "siputils", "usrloc", "registrar", "auth")
ROUTES = """
request_route {
    if (is_method("REGISTER")) {
        if (!pv_www_authenticate("$td", "PASSWORD", "0")) { www_challenge("$td", "1"); exit; }
        save("location");
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
    if (has_totag()) { loose_route(); t_relay(); exit; }
    t_check_trans();
    record_route();
    if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
    t_relay();
}
"""


class ExchangeError(NotStarted):
    """It did not start; the message has the end of its log."""


class Exchange(Program):
    """A context manager. Raises ExchangeError, IntercomError, toolbox.ToolMissing at its start."""

    def __init__(self, password: str) -> None:
        super().__init__("exchange")
        self.host, self.port, self._password = "", free_port(), password

    def address(self, name: str) -> str:
        """Of whoever has that name here."""
        return f"sip:{name}@{self.host}:{self.port}"

    def start(self) -> None:
        if self._process is not None:
            return
        self.host = self.host or own_address()
        argv = toolbox.require("kamailio")
        config = self.folder / "kamailio.cfg"
        config.write_text(self._configuration(toolbox.kamailio_modules(argv)))
        # -DD: no daemon, -E: its log here; -m, -M: megabytes of memory, of all its processes and of each.
        process = self._spawn([*argv, "-f", str(config), "-DD", "-E", "-m", "16", "-M", "8", "-Y", str(self.folder)])
        deadline_s = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > deadline_s or process.poll() is not None:
                self.stop()
                raise ExchangeError(f"Kamailio did not start:\n{self.log_tail()}")

    def _answers(self) -> bool:
        """Whether it says something to a question, soon."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(LOOK_S)
            probe.connect((self.host, self.port))
            host, port = probe.getsockname()
            try:
                probe.send(PROBE.format(here=f"{host}:{port}", there=f"{self.host}:{self.port}").encode())
                return bool(probe.recv(RECV_BYTES))
            except TimeoutError:
                return False
            except OSError:  # nothing listens yet
                time.sleep(LOOK_S)
                return False

    def stop(self) -> None:
        """Away, and it forgets who had registered."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()

    def _configuration(self, modules: Path) -> str:
        lines = ["debug=2", "log_stderror=yes", "fork=yes", "children=1", "disable_tcp=yes", "auto_aliases=no"]
        lines += [f"listen=udp:{self.host}:{self.port}", f'mpath="{modules}"']
        lines += [f'loadmodule "{name}.so"' for name in MODULES]
        lines += ['modparam("usrloc", "db_mode", 0)', 'modparam("registrar", "min_expires", 1)']
        lines += [f'modparam("tm", "fr_timer", {GONE_MS})']
        return "\n".join(lines) + ROUTES.replace("PASSWORD", self._password)
