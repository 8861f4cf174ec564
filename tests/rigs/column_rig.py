# mypy: allow-untyped-calls
"""A whole column over a fake board and a scripted broker, turned by hand: for the tests of firmware/column.py."""

import json
from collections.abc import Callable
from typing import Any

from config_document import document
from fake_board import FakeBoard, FakeFlash
from fake_net import PUBLISH, FakeDatagram, FakeStream, Heard, publish

from contract import validator
from firmware.column import Column
from firmware.lamp import COLOURS
from firmware.startup.config import validate

ROOT = "sos/v1/nko/petropavl-01/"
BOOT = 1 << 24
NAME_OF = {colour: name for name, colour in COLOURS.items()}
TRESPASS = b'"by":"access test"'  # a technician tries what no column may send
ACCEPTED = ("connack", "suback", "puback", "pingresp")


class Rig:
    """`changes` of the configuration as in `document`; everything the column sends is held against its schema."""

    def __init__(
        self,
        flash: FakeFlash | None = None,
        cause: str = "power-on",
        mode: str = "normal",
        boot: int = BOOT,
        errors: tuple[str, ...] = (),
        folder: str = "",
        scratch: bytes = b"",
        micropython: str = "cpython",
        **changes: Any,
    ) -> None:
        self.board = FakeBoard()
        if flash is not None:
            self.board.flash = flash
        self.board.cause, self.board.scratch.data, self.board.micropython = cause, scratch, micropython
        self.board.names["broker.example"] = "10.0.0.2"
        self.board.on_dial = self._dial
        self.board.on_datagram = lambda address, port: FakeDatagram(lambda request: [])
        self.streams: list[FakeStream] = []
        self.violations: list[str] = []
        self.answers = " ".join(ACCEPTED)
        self.check_retained = True
        self.ends_at: Callable[[Heard], bool] = lambda _: False  # the broker ends the connection at such a packet
        changes.setdefault("selftest__stream_s", 0)  # nobody is at the stream's address, unless a test says so
        config = self.configuration(folder, mode, changes)
        found_by_boot = {"number": boot, "mode": mode, "unhealthy": 5 if mode == "safe" else 0, "folder": folder}
        make: Any = Column
        origin = {"digest": "0" * 16, "source": "last-good" if errors else "current"}
        self.column = make(self.board, found_by_boot, config, origin, list(errors))

    def configuration(self, folder: str, mode: str, changes: dict[str, Any]) -> Any:
        config, found = validate(document(**changes), "esp32")
        assert found == []
        return config

    def _dial(self, address: str, port: int, server_name: str | None) -> FakeStream:
        stream = FakeStream(self.board, self.answers)
        stream.ends_at = self.ends_at
        stream.on_heard = self._check
        self.streams.append(stream)
        self.board.wakes = [lambda: stream.unread() > 0 and not stream.closed]
        return stream

    def _check(self, one: Heard) -> None:
        try:
            if one.kind == PUBLISH and TRESPASS not in one.payload:
                validator.validate(
                    one.topic.decode(), one.payload, qos=one.qos, retain=one.retain if self.check_retained else None
                )
        except validator.ContractError as error:  # raised here, it would be the uplink's to catch
            self.violations.append(str(error))

    # -- what happens to it

    def run(self, ms: int) -> "Rig":
        end_ms = self.board.now_ms + ms
        while self.board.now_ms < end_ms:
            self.column.supervisor.turn()
        assert not self.violations, self.violations
        assert self.column.supervisor.culprit is None, self.board.logged
        return self

    def up(self) -> "Rig":
        self.run(3000)
        assert self.column.uplink.is_up() and self.lamp() == "ready", self.board.logged
        return self

    def press(self) -> str:
        """The incident's id."""
        self.board.contact.wave((0, 1), (150, 0))
        self.run(300)
        return str(self.column.incidents.current().id)

    def answer(self, ident: str, state: str) -> None:
        self.send("ack", {"v": 1, "id": ident, "state": state})

    def send(self, kind: str, body: Any) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.streams[-1].send(publish((ROOT + kind).encode(), payload))
        self.run(100)

    # -- what it shows and says

    def lamp(self) -> str:
        return str(self.column.lamp.state)

    def lamps(self) -> list[str]:
        """Every state that was shown, in order."""
        names = [NAME_OF[colour] for _, colour in self.board.lamp.shown if colour in NAME_OF]
        return [name for name, before in zip(names, ["", *names], strict=False) if name != before]

    def said(self, kind: str) -> list[Any]:
        """What it published on one of its topics, in order; b"" (a cleared fault) as None."""
        topic = (ROOT + kind).encode()
        return [json.loads(one.payload) if one.payload else None for s in self.streams for one in s.published(topic)]

    def fault(self, ident: str) -> list[str | None]:
        """Its details, None when cleared; without the clearing of every fault that a first session begins with."""
        details = [fault and str(fault["detail"]) for fault in self.said("fault/" + ident)]
        return details[1:] if details[:1] == [None] else details

    def events(self, name: str) -> list[Any]:
        return [event["detail"] for event in self.said("event") if event["event"] == name]
