"""A broker and centre in one, for one column in real time: strict about every byte, and it counts packet ids."""

import json
import socket
import ssl
import threading
from contextlib import suppress
from typing import Self

from common.ports import HOST
from sim.virtual import mqtt_wire as wire

LAST_ID = 0xFFFF
READ_BYTES = 4_096
POLL_S = 0.2
ANSWERS = ("received", "closed")


class CountingBroker:
    """A context manager. Closes every alarm at once, so that the next one may follow."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(POLL_S)
        self.port: int = self._listener.getsockname()[1]
        self._stop = False
        self._thread = threading.Thread(target=self._serve, name="counting-broker", daemon=True)
        self.sessions = 0
        self.publishes = 0  # of QoS 1, without repeats
        self.repeats = 0
        self.alarms: set[str] = set()  # every id; what a column promises is that none is missing or doubled
        self.wraps = 0  # an id of 65,535 was followed by 1
        self.violations: list[str] = []
        self._last_id: int | None = None
        self._own_id = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._stop:
            with suppress(TimeoutError):
                stream, _ = self._listener.accept()
                with suppress(OSError):  # the column went away, or its handshake did not suit
                    self._session(stream)

    def _session(self, stream: socket.socket) -> None:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            stream = self._tls.wrap_socket(stream, server_side=True)
        stream.settimeout(POLL_S)
        self.sessions += 1
        buffer = bytearray()
        with stream:
            while not self._stop:
                try:
                    data = stream.recv(READ_BYTES)
                except TimeoutError:
                    continue
                if not data:
                    return
                buffer += data
                try:
                    answers = []
                    while (packet := wire.take(buffer)) is not None:
                        answers += self._answers(packet)
                except wire.ProtocolError as error:
                    self.violations.append(f"wire: {error}")
                    return
                if answers:
                    stream.sendall(b"".join(answers))

    def _answers(self, packet: wire.Packet) -> list[bytes]:
        if packet.kind == wire.CONNECT:
            wire.read_connect(packet.body)
            return [wire.connack(0, False)]
        if packet.kind == wire.SUBSCRIBE:
            number, filters = wire.read_subscribe(packet.body)
            self._follow(number)
            return [wire.with_id(wire.SUBACK, number, bytes(qos for _, qos in filters))]
        if packet.kind == wire.PINGREQ:
            return [wire.packet(wire.PINGRESP)]
        if packet.kind == wire.PUBLISH:
            return self._published(wire.read_publish(packet))
        return []

    def _published(self, message: wire.Publish) -> list[bytes]:
        if message.qos != 1:
            if not message.topic.endswith("/heartbeat"):
                self.violations.append(f"wire: {message.topic} with QoS {message.qos}, after packet id {self._last_id}")
            return []
        answers = [wire.with_id(wire.PUBACK, message.packet_id)]
        if message.dup:
            self.repeats += 1
            return answers
        self.publishes += 1
        self._follow(message.packet_id)
        if message.topic.endswith("/alarm"):
            answers += self._close(message)
        return answers

    def _follow(self, number: int) -> None:
        """Ids come in turn, from 65,535 to 1."""
        if self._last_id is not None and number != self._last_id % LAST_ID + 1:
            self.violations.append(f"wire: packet id {number} after {self._last_id}")
        self.wraps += self._last_id == LAST_ID and number == 1
        self._last_id = number

    def _close(self, message: wire.Publish) -> list[bytes]:
        alarm = json.loads(message.payload)
        ident = alarm["id"]
        if ident in self.alarms:
            self.violations.append(f"I3: alarm {ident} came twice, and neither was marked as a repeat")
        self.alarms.add(ident)
        topic = message.topic.removesuffix("alarm") + "ack"
        return [self._answer(topic, ident, state) for state in ANSWERS]

    def _answer(self, topic: str, ident: str, state: str) -> bytes:
        body = {"v": 1, "id": ident, "state": state, "by": "endurance"}
        if state == "closed":
            body["outcome"] = "other"
        self._own_id = self._own_id % LAST_ID + 1
        return wire.publish(wire.Publish(topic, json.dumps(body).encode(), 1, False, False, self._own_id))
