"""Bytes that no honest broker sends; a column drops the link over them, and nothing else happens to it."""

from sim.virtual import mqtt_wire as wire

BIG_BYTES = 16 * 1024
_BIG = wire.publish(wire.Publish("sos/v1/nko/x/cmd", b"x" * BIG_BYTES, 0, False))

SCRIPTS: dict[str, bytes] = {
    "endless-length": b"\x30" + b"\xff" * 8,
    "big-publish": _BIG,
    "biggest-length": b"\x30\xff\xff\xff\x7f" + b"\0\1x" + b"y" * 64,
    "truncated-publish": _BIG[:40],  # and then silence
    "unknown-type": b"\xf0\x00",
    "type-zero": b"\x00\x00",
    "empty-topic": wire.packet(wire.PUBLISH, b"\0\0payload"),
    "topic-longer-than-packet": wire.packet(wire.PUBLISH, b"\xff\xffabc"),
    "publish-of-nothing": wire.packet(wire.PUBLISH, b""),
    "qos-3": wire.packet(wire.PUBLISH, b"\0\1x\0\1y", flags=6),
    "qos-2": wire.packet(wire.PUBLISH, b"\0\1x\0\1y", flags=4),
    "short-puback": wire.packet(wire.PUBACK, b"\0"),
    "long-puback": wire.packet(wire.PUBACK, b"\0\1" + b"z" * 60),
    "second-connack": wire.connack(0, False),
    "bad-utf8-topic": wire.packet(wire.PUBLISH, b"\0\2\xc3\x28{}"),
    "noise": bytes((i * 73 + 41) % 256 for i in range(300)),
}
