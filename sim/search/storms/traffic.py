"""What the centre, or somebody who passes for it, sends to a column: commands in floods, and answers to nothing."""

import json
from collections.abc import Callable
from random import Random

from firmware.rfc3339 import text as rfc3339
from sim.search.storms.stage import Stage
from sim.virtual.configuration import DEFAULT_CONFIG
from sim.virtual.mqtt_wire import Publish

ROOT = f"sos/v1/{DEFAULT_CONFIG['region']}/{DEFAULT_CONFIG['device_id']}/"
EXPIRES_MS = 60_000
COMMANDS = ("report", "identify", "selftest", "drill", "restart", "no-such-command")


def commands(stage: Stage, count: int, gap_ms: int, command: str) -> None:
    """Well-formed ones, each with its own id."""
    name = f"c{stage.world.timeline.now_us}"
    _repeat(stage, "commands", "cmd", count, gap_ms, lambda n: _command(stage, f"{name}-{n}", command))


def bad_commands(stage: Stage, count: int, gap_ms: int, seed: int) -> None:
    """Malformed, expired, repeated, from nobody."""
    dice = Random(seed)
    _repeat(stage, "bad-commands", "cmd", count, gap_ms, lambda n: _malformed(dice, _command(stage, "same", "drill")))


def bad_answers(stage: Stage, count: int, gap_ms: int, seed: int) -> None:
    """Answers to alarms that nobody raised, and noise."""
    dice = Random(seed)

    def answer(_: int) -> bytes:
        ident = f"{DEFAULT_CONFIG['device_id']}-{dice.randrange(1 << 26)}-{dice.randrange(99)}"
        state = dice.choice(("received", "accepted", "dispatched", "closed", "sent", ""))
        return _malformed(dice, json.dumps({"v": 1, "id": ident, "state": state, "by": "x"}).encode())

    _repeat(stage, "bad-answers", "ack", count, gap_ms, answer)


def retained_command(stage: Stage, for_ms: int, command: str) -> None:
    """Against the contract: it comes again with every new session, until somebody clears it."""
    broker, topic = stage.world.broker, ROOT + "cmd"
    payload = _command(stage, f"r{stage.world.timeline.now_us}", command)
    stage.after(for_ms, lambda: broker.publish(Publish(topic, b"", 1, True)))
    if broker.publish(Publish(topic, payload, 1, True)):
        stage.fired("retained-command")


def _repeat(
    stage: Stage, kind: str, topic: str, count: int, gap_ms: int, payload: Callable[[int], bytes], n: int = 0
) -> None:
    if stage.world.broker.publish(Publish(ROOT + topic, payload(n), 1, False)):
        stage.fired(kind)
    if n + 1 < count:
        stage.after(gap_ms, lambda: _repeat(stage, kind, topic, count, gap_ms, payload, n + 1))


def _command(stage: Stage, ident: str, command: str) -> bytes:
    expires = rfc3339(stage.world.true_epoch_ms() + EXPIRES_MS)
    return json.dumps({"v": 1, "id": ident, "cmd": command, "expires": expires}).encode()


def _malformed(dice: Random, payload: bytes) -> bytes:
    """As it was, or spoilt in one of many ways."""
    position = dice.randrange(len(payload))
    return dice.choice(
        (
            payload,
            payload[:position],
            payload[:position] + dice.randbytes(3) + payload[position:],
            dice.randbytes(dice.randrange(1, 900)),
            b"[" * dice.randrange(1, 900),
            payload.replace(b'"v": 1', b'"v": 2'),
            payload.replace(b'"id"', b'"di"'),
            payload.replace(b"20", b"10"),  # the year: long expired
            b'{"v":1,"id":7,"cmd":[],"state":{},"expires":null}',
            b'{"v":1,"id":"\\ud800","cmd":"report","state":"received","expires":"2031-01-01T00:00:00.000Z"}',
            b"",
        )
    )
