"""A board of the virtual world without any firmware: what the tests of the world's parts stand on."""

from typing import Any

from hal.interface import Board
from sim.virtual.board import Hardware, VirtualBoard
from sim.virtual.broker import Broker
from sim.virtual.costs import Costs
from sim.virtual.flash import FlashStore
from sim.virtual.network import Network
from sim.virtual.timeline import Timeline, dice
from sim.virtual.trace import Trace

BROKER, PORT = "10.0.0.2", 1883
SERVER_NAME = "broker.example"
CONFIG: dict[str, Any] = {
    "device_id": "column-1",
    "link": {"type": "wifi", "hostname": None, "country": None, "address": None},
    "secrets": {"wifi_ssid": "sos-columns", "wifi_password": None},
}


class Probe:
    """Board, network and broker; `board` is typed as the interface, so that mypy proves that it satisfies it."""

    def __init__(self, seed: int = 1, costs: Costs | None = None, chip: str = "esp32") -> None:
        self.timeline = Timeline()
        self.trace = Trace(self.timeline)
        self.network = Network(self.timeline, self.trace, dice(seed, "network"))
        self.store = FlashStore(self.trace, dice(seed, "flash"))
        self.hardware = Hardware(
            self.timeline, self.trace, self.network, self.store, costs or Costs(), dice(seed, "board")
        )
        self.broker = Broker(self.timeline, self.trace)
        self.network.serve("broker.example", BROKER, PORT, self.broker)
        self.virtual = VirtualBoard(self.hardware, "power-on", chip)
        self.board: Board = self.virtual
        self.board.configure(CONFIG)

    def wave(self, *edges: tuple[int, int]) -> None:
        """(milliseconds from now, level)"""
        now_us = self.timeline.now_us
        self.hardware.contact.replace_from(now_us, [(now_us + ms * 1000, level) for ms, level in edges])
        self.hardware.contact_version += 1

    def link_up(self) -> None:
        self.board.link.start()
        self.wait_for(self.board.link.is_up)

    def wait_for(self, condition: Any, limit_ms: int = 10_000) -> None:
        """Turn as a firmware would until the condition holds."""
        end_us = self.timeline.now_us + limit_ms * 1000
        while not condition():
            assert self.timeline.now_us < end_us, f"not within {limit_ms} ms\n{self.trace.tail()}"
            self.board.wait(10)

    def connected(self, tls: bool = False) -> Any:
        """An open stream to the broker."""
        self.link_up()
        stream = self.board.dial(BROKER, PORT, SERVER_NAME if tls else None)
        self.wait_for(stream.is_open)
        return stream

    def read(self, stream: Any, limit_ms: int = 1_000, count: int = 4096) -> bytes | None:
        """What arrives first; b"" = closed, None = nothing within the limit."""
        buffer = bytearray(count)
        end_us = self.timeline.now_us + limit_ms * 1000
        while self.timeline.now_us < end_us:
            got = stream.read_into(buffer)
            if got is not None:
                return bytes(buffer[:got])
            self.board.wait((end_us - self.timeline.now_us) // 1000 + 1)
        return None

    def exchange(self, stream: Any, data: bytes, limit_ms: int = 1_000) -> bytes | None:
        assert stream.write(data) == len(data)
        return self.read(stream, limit_ms)
