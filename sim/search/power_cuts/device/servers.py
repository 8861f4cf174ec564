# mypy: ignore-errors
# ruff: noqa: I001, PTH102, PTH123, PTH208, SIM105, UP031
"""What the column meets: a broker with a control centre behind it, a time server, a name server. All in one process."""

import json

_CONNECT, _PUBLISH, _PUBACK, _SUBSCRIBE, _PINGREQ = 0x10, 0x30, 0x40, 0x80, 0xC0
_QOS_MASK, _QOS1 = 0x06, 0x02
BROKER_ADDRESS = "192.0.2.1"


class Broker:
    """Accepts everything at once. `on_alarm(body)` for each alarm that arrives, before it is acknowledged;
    `on_want(body)` for each piece of a release that is asked for."""

    def __init__(self, on_alarm, on_want) -> None:
        self._on_alarm = on_alarm
        self._on_want = on_want
        self._root = ""
        self.connect_again()

    def connect_again(self) -> None:
        self._in = b""
        self.out = b""

    def receive(self, data: bytes) -> None:
        self._in += data
        while len(self._in) >= 2:
            size, at, shift = 0, 1, 0
            while True:
                byte = self._in[at]
                size |= (byte & 0x7F) << shift
                at, shift = at + 1, shift + 7
                if not byte & 0x80:
                    break
                if at >= len(self._in):
                    return
            if len(self._in) < at + size:
                return
            first, body = self._in[0], self._in[at : at + size]
            self._in = self._in[at + size :]
            self._take(first, body)

    def _take(self, first: int, body: bytes) -> None:
        kind = first & 0xF0
        if kind == _CONNECT:
            self.out += b"\x20\x02\0\0"
        elif kind == _SUBSCRIBE:
            self.out += b"\x90\x03" + body[:2] + b"\x01"
        elif kind == _PINGREQ:
            self.out += b"\xd0\0"
        elif kind == _PUBLISH:
            end = 2 + (body[0] << 8 | body[1])
            topic, payload = body[2:end].decode(), body[end:]
            self._root = topic[: topic.rfind("/") + 1]
            if first & _QOS_MASK == _QOS1:
                pid, payload = payload[:2], payload[2:]
                if topic.endswith("/alarm"):
                    self._on_alarm(json.loads(payload))
                self.out += b"\x40\x02" + pid
            elif topic.endswith("/want"):
                self._on_want(json.loads(payload))

    def publish(self, device: dict, kind: str, body: dict) -> None:
        """To the column, QoS 0. `device`: its configuration; `kind`: the last part of the topic."""
        topic = ("sos/v1/%s/%s/%s" % (device["region"], device["device_id"], kind)).encode()
        payload = json.dumps(body).encode()
        rest = bytes([len(topic) >> 8, len(topic) & 0xFF]) + topic + payload
        length = bytes([len(rest)]) if len(rest) < 128 else bytes([len(rest) & 0x7F | 0x80, len(rest) >> 7])
        self.out += bytes([_PUBLISH]) + length + rest


class Stream:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        broker.connect_again()

    def is_open(self) -> bool:
        return True

    def read_into(self, buffer) -> object:
        data = self._broker.out[: len(buffer)]
        if not data:
            return None
        self._broker.out = self._broker.out[len(data) :]
        buffer[: len(data)] = data
        return len(data)

    def write(self, data) -> int:
        self._broker.receive(bytes(data))
        return len(data)

    def close(self) -> None:
        pass


class TimeServer:
    """One question, one right answer."""

    def __init__(self, seconds_since_1900: int) -> None:
        self._seconds = seconds_since_1900
        self._answer = None

    def send(self, data: bytes) -> None:
        seconds = (self._seconds & 0xFFFFFFFF).to_bytes(4, "big")
        self._answer = b"\x24\x02" + bytes(22) + data[40:48] + seconds + bytes(4) + seconds + bytes(4)

    def receive(self):
        answer, self._answer = self._answer, None
        return answer

    def close(self) -> None:
        pass


class Lookup:
    def result(self) -> str:
        return BROKER_ADDRESS
