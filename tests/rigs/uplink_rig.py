# mypy: allow-untyped-calls
"""An uplink over scripted brokers and incidents that only count: for the tests of firmware/uplink.py."""

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from fake_board import FakeBoard
from fake_net import TOPICS, FakeStream, coder

from firmware.outbox import Outbox
from firmware.uplink import Uplink

HOST, ADDRESS, TIMEOUT_S, RETRY_MAX_S = "broker.example", "10.0.0.2", 20, 60
STEP_MS = 10
GRACE_MS = 200


class FakeIncident:
    def __init__(self, name: str) -> None:
        self.id, self.press, self.in_flight, self.sent = name, 1, False, 0

    def transmitted(self) -> None:
        assert not self.in_flight, "twice in flight"
        self.in_flight = True

    def at_broker(self, press: int) -> None:
        self.in_flight, self.sent = False, press


class FakeIncidents:
    """What the uplink asks of firmware/incidents.py."""

    def __init__(self) -> None:
        self.list: list[FakeIncident] = []

    def add(self, name: str) -> FakeIncident:
        self.list.append(FakeIncident(name))
        return self.list[-1]

    def due(self) -> FakeIncident | None:
        return next((one for one in self.list if one.sent < one.press and not one.in_flight), None)

    def due_in_ms(self, otherwise: int) -> int:
        return 0 if self.due() else otherwise

    def is_waiting(self) -> bool:
        return any(one.sent < one.press for one in self.list)

    def at_broker(self, incident: FakeIncident, press: int) -> None:
        incident.at_broker(press)

    def connection_lost(self) -> None:
        for one in self.list:
            one.in_flight = False


class Rig:
    def __init__(self, host: str = HOST, answers: str = "connack suback puback pingresp", seed: int = 1,
                 tls: dict[str, Any] | None = None, hold_off: Callable[[], bool] = lambda: False) -> None:  # fmt: skip
        self.board = FakeBoard(seed)
        self.board.names[HOST] = ADDRESS
        self.answers = answers
        self.opened: bool | OSError = True
        self.dialled: list[tuple[int, str, int, str | None]] = []
        self.streams: list[FakeStream] = []
        self.board.on_dial = self.dial
        self.incidents = FakeIncidents()
        self.outbox = Outbox()
        self.ups: list[int] = []
        self.messages: list[tuple[bytes, bytes]] = []
        broker = {"host": host, "port": 8883, "keepalive_s": 12, "puback_timeout_s": 4, "tls": tls,
                  "connect_timeout_s": TIMEOUT_S, "retry_max_s": RETRY_MAX_S}  # fmt: skip
        self.button = SimpleNamespace(wants_calm=hold_off)
        self.uplink = Uplink(self.board, {"broker": broker}, coder(), self.incidents, self.outbox, TOPICS, self)

    # What the uplink asks of firmware/column.py.

    def alarm(self, incident: FakeIncident) -> bytes:
        return incident.id.encode()

    def session_began(self) -> None:
        self.ups.append(self.board.now_ms)

    def heard(self, topic: bytes, payload: bytes, _: int) -> None:
        self.messages.append((topic, payload))

    def dial(self, address: str, port: int, server_name: str | None) -> FakeStream:
        self.dialled.append((self.board.now_ms, address, port, server_name))
        stream = FakeStream(self.board, self.answers)
        stream.opened = self.opened
        self.streams.append(stream)
        return stream

    def run(self, ms: int) -> "Rig":
        end = self.board.now_ms + ms
        while self.board.now_ms < end:
            assert self.uplink.step() >= 0
            self.board.advance(STEP_MS)
        return self

    def run_until(self, condition: Any, limit_ms: int) -> int:
        start = self.board.now_ms
        while not condition():
            assert self.board.now_ms - start < limit_ms, f"not within {limit_ms} ms"
            self.uplink.step()
            self.board.advance(STEP_MS)
        return self.board.now_ms - start

    def delivered(self) -> list[str]:
        return [one.payload.decode() for stream in self.streams for one in stream.published()]


def gaps(rig: Rig) -> list[int]:
    return [b[0] - a[0] for a, b in itertools.pairwise(rig.dialled)]
