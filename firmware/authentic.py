"""Who wrote it: proof from end to end, over a broker that need not be believed.

A message that holds `n` and, last of all, `mac` was written by somebody with this column's key, for this topic, as it
stands here: HMAC-SHA-256, cut to 128 bits, over the topic, a zero byte and every byte of the payload before the digits.

Nothing of it is kept on flash: `n` is [boot, count], and boot.py counts the boots already. A count that is lost (an
erased flash begins at a random boot) proves as well as any: the centre asks a column once in each boot, with a command
that nobody could foresee, whether it is alive in that boot, and takes what follows by its count.

Here is what every column with a key does: prove what it says. What it hears is held against proofs by proven.py.
"""

from binascii import hexlify

from firmware.hmac import digest, pads

MAC_CHARS = 32


class Authentic:
    """`key`: this column's own, from provisioning. `boot`: this boot's number."""

    room_bytes = 72  # that `seal` adds at most

    def __init__(self, key: bytes, boot: int):
        self._pads = pads(key)
        self._boot = boot
        self._count = 0

    def seal(self, topic: bytes, payload: bytearray) -> bytearray:
        """`payload`, a JSON object that is not empty, grown by `n` and `mac`."""
        self._count += 1
        payload[-1] = 0x2C  # a comma for the closing brace
        payload.extend(b'"n":[%d,%d],"mac":"' % (self._boot, self._count))
        payload.extend(self.mac(topic, payload))
        payload.extend(b'"}')
        return payload

    def leaving(self, kind: bytes, topic: bytes, payload):
        """What the outbox lets go. Events and faults wait there without a proof, which would take room. The end of a
        fault is an empty payload: the heartbeat behind it proves it."""
        if payload and kind in (b"event", b"fault"):
            return self.seal(topic, bytearray(payload))  # a copy: it may have to wait again
        return payload

    def mac(self, topic: bytes, data) -> bytes:
        """For whatever is to be authenticated, named by `topic`: 32 hex digits."""
        return hexlify(digest(self._pads, topic, b"\0", data))[:MAC_CHARS]
