"""One simulated column under measurement: the firmware as it is, with a piece of the bench beside it on the flash."""

import json
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from common.home import TOOLS
from common.identity import Identity
from firmware.startup.pins import defaults as default_pins
from sim.document import REGION, SSID, document
from sim.real import flash_image
from sim.real.changed import changed_copy
from sim.real.column import Event, RealColumn
from sim.servers.authority import Authority
from sim.servers.broker import Mosquitto, Tls
from tools import toolbox

DEVICE_ID = "bench"
PATIENCE_S = 30.0
POLL_S = 0.01
_DEATHS = ("main: restarting", "supervisor: task", "simulator: main.py ended")  # console lines of a column that failed
RUNTIMES = ("cpython", "micropython")
TRANSPORTS = ("plain", "mutual TLS")
OURS = "this firmware"
TOPIC = f"sos/v1/{REGION}/{DEVICE_ID}/alarm"
# As long as the column's own alarm of this configuration; @ becomes a number of six digits.
PAYLOAD = (
    '{"v":1,"event_type":"sos","id":"bench-1-@","device_id":"bench","status":"actual","press":1,"raised_at":null,'
    '"clock":"none","age_ms":41,"late":false,"location":{"geo":"geo:54.8753,69.1628;u=5","address":"Петропавл, '
    'Конституция көшесі 1","site":"public","height_m":1.0},"stream":{"rtsp":"rtsp://cameras.example/bench",'
    '"ok_at":null},"faults":["clock-unset"],"fw":"0.1.0"}'
)
_DEVICE = Path(__file__).parent / "device"
_LINE = "bench "
_LOG_LINES = 15
_PEERS = Path(__file__).parent / "peers.json"


class ColumnFailed(RuntimeError):
    """It did not say what was waited for, or it restarted; the message has its last words."""


class ColumnSilent(ColumnFailed):
    """It runs on, but did not say what was waited for."""


class Workbench:
    """A scratch folder with a certificate authority; a context manager."""

    def __enter__(self) -> Self:
        self._scratch = tempfile.TemporaryDirectory(prefix="sos-bench-")
        self.folder = Path(self._scratch.name)
        self._making = threading.Lock()
        self._authority = Authority(self.folder / "certs")
        self._client = self._authority.client(DEVICE_ID)
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()

    def broker(self, transport: str, *, persistence: bool = False, extra: Sequence[str] = ()) -> Mosquitto:
        """mosquitto, not started yet."""
        tls = Tls(self._authority) if transport != "plain" else None
        return Mosquitto(tls=tls, persistence=persistence, extra=extra)

    def desk_identity(self, transport: str) -> Identity | None:
        return self.client("bench-desk") if transport != "plain" else None

    def client(self, name: str) -> Identity:
        """A client's certificate."""
        return self._authority.client(name)

    def server_identity(self) -> Identity:
        """For a broker of one's own on this machine."""
        return self._authority.server()

    def tls(self, transport: str) -> dict[str, str] | None:
        """What hal/esp32_start.py takes, None for plain."""
        if transport == "plain":
            return None
        return {
            "ca": self._client.ca_pem,
            "cert": self._client.cert_pem,
            "key": self._client.key_pem,
            "server_name": "localhost",
        }

    def config(self, port: int, transport: str) -> dict[str, Any]:
        """A configuration document for the firmware."""
        tls = self._client if transport != "plain" else None
        return document(DEVICE_ID, "127.0.0.1", port, tls, server_name="localhost")

    def stamped_sources(self) -> Path:
        """The firmware with time stamps, see device/stamps.py."""
        return self.sources("stamped", "stamps.py", "import hal.bench_probe\n")

    def sources(self, name: str, device_file: str | None, before_main: str, *, boot: str | None = None) -> Path:
        """A tree for `flash.build_image`: the project's own, plus `device_file` as hal/bench_probe.py, imported
        by `before_main`, text in front of main.py. An empty main.py follows a `boot`, which replaces boot.py."""
        tree = self.folder / name
        with self._making:  # contenders run side by side, and one must not get what another has half made
            if tree.exists():
                return tree
            changed_copy(tree)
            if device_file is not None:
                shutil.copyfile(_DEVICE / device_file, tree / "hal" / "bench_probe.py")
            main = (flash_image.PROJECT / "main.py").read_text() if boot is None else ""
            (tree / "main.py").write_text(before_main + main)
            (tree / "boot.py").write_text((flash_image.PROJECT / "boot.py").read_text() if boot is None else boot)
        return tree

    def peer_options(self, peer: str, port: int, transport: str, **more: int) -> dict[str, Any]:
        """What device/peer.py takes; "count" and "pause_ms" are `more`, for the peers that do not wait for presses."""
        pins = default_pins("esp32")
        return {
            "peer": peer,
            "host": "127.0.0.1",
            "port": port,
            "tls": self.tls(transport),
            "ssid": SSID,
            "now": (*time.gmtime()[:3], 0, *time.gmtime()[3:6], 0),  # as machine.RTC takes it
            "topic": TOPIC,
            "payload": PAYLOAD,
            "button": pins["button"],
            "relay": pins["relay"],
            "lamp": [pins[name] for name in ("lamp_red", "lamp_green", "lamp_blue")],
            **more,
        }

    def peer_sources(self, name: str, options: Mapping[str, Any], library: Path | None = None) -> Path:
        """A tree in which a peer runs in the firmware's place. `library`: unpacked umqtt.robust."""
        call = f"import hal.bench_probe\nhal.bench_probe.run({dict(options)!r})\n"
        tree = self.sources(name, "peer.py", call, boot="")
        (tree / "main.py").write_text(call)
        if library is not None:
            package = tree / "hal" / "umqtt"
            package.mkdir(exist_ok=True)
            (package / "__init__.py").touch()
            shutil.copyfile(library / "umqtt" / "robust.py", package / "robust.py")
            shutil.copyfile(toolbox.device_libraries() / "umqtt" / "simple.py", package / "simple.py")
        return tree


class BenchColumn:
    """A powered column; a context manager. Its lamp and what the bench's piece prints arrive here."""

    def __init__(
        self,
        config: Mapping[str, Any] | bytes,
        runtime: str,
        sources: Path = flash_image.PROJECT,
        heap_bytes: int | None = None,
        **board: Any,
    ) -> None:
        """`board`: what kind of one, see `RealColumn`."""
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._log: list[str] = []
        self.real = RealColumn(
            config, runtime=runtime, sources=sources, heap_bytes=heap_bytes, on_event=self._events.put, **board
        )

    def __enter__(self) -> Self:
        self.real.power_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.real.close()

    def report(self, key: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The next line of the bench's piece that has `key`. Raises ColumnFailed."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            event = self._next(deadline_s, f"no {key!r}")
            text = event.get("text", "")
            if text.startswith(_LINE):
                found: dict[str, Any] = json.loads(text.removeprefix(_LINE))
                if key in found:
                    return found

    def lamp(self, state: str, timeout_s: float = PATIENCE_S) -> int:
        """Wait until the lamp changes to `state`; the column's milliseconds at which it did. Raises ColumnFailed."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            event = self._next(deadline_s, f"no lamp {state!r}")
            if event["event"] == "lamp" and event["state"] == state:
                return int(event["t_ms"])

    def _next(self, deadline_s: float, missing: str) -> Event:
        try:
            event = self._events.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            raise ColumnSilent(self._last_words(f"{missing} in time")) from None
        self._log.append(" ".join(str(value) for key, value in event.items() if key != "t_ms"))
        if event["event"] == "reset" or event.get("text", "").startswith(_DEATHS):
            raise ColumnFailed(self._last_words(f"{missing}: it failed"))
        return event

    def _last_words(self, what: str) -> str:
        last = "\n  ".join(self._log[-_LOG_LINES:])
        return f"bench: {what}. The column's last words:\n  {last}"


class Processors:
    """Column and broker share one processor, centre and simulator another: chance shifts figures by 1 ms."""

    def __init__(self) -> None:
        self._all = os.sched_getaffinity(0)
        ordered = sorted(self._all)
        self._theirs, self._ours = {ordered[0]}, {ordered[-1]}

    @contextmanager
    def of_the_broker(self) -> Iterator[None]:
        """What is started within goes to the first processor; after it, this thread and its children to the last."""
        os.sched_setaffinity(0, self._theirs)
        try:
            yield
        finally:
            os.sched_setaffinity(0, self._ours)

    def give(self, column: BenchColumn) -> None:
        """Put the chip's process beside the broker."""
        while (pid := column.real.chip_pid) is None:
            time.sleep(POLL_S)
        os.sched_setaffinity(pid, self._theirs)

    def release(self) -> None:
        os.sched_setaffinity(0, self._all)


def robust_library() -> Path | None:
    """umqtt.robust, unpacked beside the other tools; None when it is not to be had."""
    folder = TOOLS / "peers"
    try:
        toolbox.fetch_libraries(folder, _PEERS)
    except toolbox.ToolMissing:
        return None
    return folder
