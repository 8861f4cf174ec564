"""What this column hears is its centre's, or nothing: in memory only where the broker need not be believed
(`broker.believed` is false), and while a renewal of its certificates is checked. What a proof is: authentic.py.
"""

from firmware import const
from firmware.authentic import MAC_CHARS, Authentic

_WINDOW = const(16)  # numbers of commands that are remembered: they may arrive out of order
_MARK = b'"mac":"'  # as `Authentic.seal` writes it
_END = b'"}'


class Proven(Authentic):
    """... and holds what it hears against proofs."""

    def __init__(self, key: bytes, boot: int):
        super().__init__(key, boot)
        self._numbers = []  # of the last commands
        self._floor = 0  # the highest that was forgotten
        self._newest = 0

    def is_sealed(self, topic: bytes, payload: bytes) -> bool:
        """Whether somebody with the key wrote it for this topic."""
        at = len(payload) - MAC_CHARS - len(_END)
        if at <= 0 or payload[at - len(_MARK) : at] != _MARK or payload[-len(_END) :] != _END:
            return False
        differs = 0
        for one, other in zip(self.mac(topic, memoryview(payload)[:at]), payload[at : at + MAC_CHARS]):
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
