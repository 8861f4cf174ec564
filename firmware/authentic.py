"""Who wrote it: proof from end to end, over a broker that need not be believed.

A message that holds `n` and, last of all, `mac` was written by somebody with this column's key, for this topic, as it
stands here: HMAC-SHA-256, cut to 128 bits, over the topic, a zero byte and every byte of the payload before the digits.

Nothing of it is kept on flash: `n` is [boot, count], and boot.py counts the boots already. A count that is lost (an
erased flash begins at a random boot) proves as well as any: the centre asks a column once in each boot, with a command
that nobody could foresee, whether it is alive in that boot, and takes what follows by its count.
"""

from binascii import hexlify

from firmware import const
from firmware.hmac import digest, pads

_MAC_CHARS = const(32)
_WINDOW = const(16)  # numbers of commands that are remembered: they may arrive out of order
ROOM_BYTES = const(72)  # that `seal` adds at most
_MARK = b'"mac":"'
_END = b'"}'


class Authentic:
    """`key`: this column's own, from provisioning. `boot`: this boot's number."""

    room_bytes = ROOM_BYTES

    def __init__(self, key: bytes, boot: int):
        self._pads = pads(key)
        self._boot = boot
        self._count = 0
        self._numbers = []  # of the last commands
        self._floor = 0  # the highest that was forgotten
        self._newest = 0

    def seal(self, topic: bytes, payload: bytearray) -> bytearray:
        """`payload`, a JSON object that is not empty, grown by `n` and `mac`."""
        self._count += 1
        payload[-1] = 0x2C  # a comma for the closing brace
        payload.extend(b'"n":[%d,%d],' % (self._boot, self._count))
        payload.extend(_MARK)
        payload.extend(self.mac(topic, payload))
        payload.extend(_END)
        return payload

    def leaving(self, kind: bytes, topic: bytes, payload):
        """What the outbox lets go. Events and faults wait there without a proof, which would take room. The end of a
        fault is an empty payload: the heartbeat behind it proves it."""
        if payload and kind in (b"event", b"fault"):
            return self.seal(topic, bytearray(payload))  # a copy: it may have to wait again
        return payload

    def is_sealed(self, topic: bytes, payload: bytes) -> bool:
        """Whether somebody with the key wrote it for this topic."""
        at = len(payload) - _MAC_CHARS - len(_END)
        if at <= 0 or payload[at - len(_MARK) : at] != _MARK or payload[-len(_END) :] != _END:
            return False
        differs = 0
        for one, other in zip(self.mac(topic, memoryview(payload)[:at]), payload[at : at + _MAC_CHARS]):
            differs |= one ^ other
        return differs == 0

    def objection(self, body: dict):
        """To the number of a sealed command: why it is not obeyed again, in words, or None."""
        boot, number = body["n"]
        if boot != self._boot:
            return "meant for another boot of this column"
        if type(number) is not int or number <= self._floor or number in self._numbers:
            return "repeated command"
        self._numbers.append(number)
        if len(self._numbers) > _WINDOW:
            self._floor = min(self._numbers)
            self._numbers.remove(self._floor)
        return None

    def is_newest(self, body: dict) -> bool:
        """Whether a sealed answer that says what somebody does now (`listening_s`) is of this boot, and behind all that
        said so before. Of a state an older answer says nothing new; that it would say again and again."""
        try:
            boot, number = body["n"]
            if boot != self._boot or number <= self._newest:
                return False
        except (KeyError, TypeError, ValueError):
            return False
        self._newest = number
        return True

    def mac(self, topic: bytes, data) -> bytes:
        """For whatever is to be authenticated, named by `topic`: 32 hex digits."""
        return hexlify(digest(self._pads, topic, b"\0", data))[:_MAC_CHARS]
