"""The broker: it has every message that was ever sent, both passwords, and no key. It drops, keeps back, doubles and
replays what is said, changes it, and says what nobody said; all drawn from a seed."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from contract import authentic
from contract.authentic import Number
from desk.mqtt_client import utc
from sim.virtual.timeline import US_PER_MS, US_PER_S, Timeline

WAY_MS = (1, 60)
KEPT_BACK_S = (1, 60)
SILENCE_S = (0.5, 8.0)
"""Between two of its own inventions."""
NOBODYS_KEY = b"nobody's key, 32 bytes of a broker"[:32]
STATES = ("received", "accepted", "dispatched", "closed")
COMMANDS = ("restart", "identify", "drill", "selftest", "report")
FATES = {"passed on": 0.74, "dropped": 0.08, "kept back": 0.10, "doubled": 0.08}
TO_COLUMN = ("ack", "cmd")
TO_DESK = ("alarm", "state", "heartbeat", "result", "info", "event", "fault/tamper", "fault/supply", "ack")
"""What it invents: `ack` is also how desks hear each other."""
PRESS_MAX = 9
VALID_MS = 30_000

Say = Callable[[str, bytes, bool], None]


class Liar:
    """`root`: the column's prefix of topics; `to_column`, `to_desk`: who is lied to. Honest while `lies` is false."""

    def __init__(
        self,
        timeline: Timeline,
        dice: random.Random,
        root: str,
        to_column: Say,
        to_desk: Say,
        epoch_ms: Callable[[], int],
    ) -> None:
        self._timeline, self._dice, self._root = timeline, dice, root
        self._say = {"column": to_column, "desk": to_desk}
        self._epoch_ms = epoch_ms
        self.lies = True
        self.fired: Counter[str] = Counter()
        self._heard: dict[str, list[tuple[str, bytes]]] = {"column": [], "desk": []}
        """What was said to each, ever: (topic, payload)."""
        self._ids: list[str] = []
        """Of calls and drills that it has seen."""
        self._later(self._invent)

    # What passes through it

    def carry(self, to: str, topic: str, payload: bytes, retain: bool = False) -> None:
        """A true message on its way to the column or to the desk."""
        self._heard[to].append((topic, payload))
        if topic.endswith("/alarm") and (ident := json.loads(payload)["id"]) not in self._ids:
            self._ids.append(ident)
        if not self.lies:
            self._bring(to, topic, payload, retain, self._dice.randint(*WAY_MS))
            return
        (fate,) = self._dice.choices(list(FATES), list(FATES.values()))
        self.fired[fate] += 1
        if fate != "dropped":
            kept_back_ms = round(self._dice.uniform(*KEPT_BACK_S) * 1000) if fate == "kept back" else 0
            self._bring(to, topic, payload, retain, kept_back_ms + self._dice.randint(*WAY_MS))
        if fate == "doubled":
            self._bring(to, topic, payload, False, round(self._dice.uniform(*KEPT_BACK_S) * 1000))

    def _bring(self, to: str, topic: str, payload: bytes, retain: bool, after_ms: int) -> None:
        self._timeline.after(after_ms * US_PER_MS, lambda: self._say[to](topic, payload, retain))

    # What it says by itself

    def _later(self, act: Callable[[], None]) -> None:
        self._timeline.after(round(self._dice.uniform(*SILENCE_S) * US_PER_S), act)

    def _invent(self) -> None:
        if self.lies:
            to = self._dice.choice(("column", "desk"))
            lie = self._dice.choice((self._replay, self._swap, self._strip, self._alter, self._forge, self._forge))
            if (told := lie(to)) is not None:
                kind, topic, payload = told
                self.fired[f"{kind} to the {to}"] += 1
                self._bring(to, topic, payload, self._dice.random() < 0.05, 1)
        self._later(self._invent)

    def _old(self, to: str) -> tuple[str, bytes] | None:
        """A message of any time, the latest ones more often: a lie is most dangerous while it is nearly true."""
        heard = [one for one in self._heard[to] if one[1]]
        if not heard:
            return None
        return self._dice.choice(heard[-6:] if self._dice.random() < 0.5 else heard)

    def _replay(self, to: str) -> tuple[str, str, bytes] | None:
        old = self._old(to)
        alarms = [one for one in self._heard[to] if one[0].endswith("/alarm")]
        if alarms and self._dice.random() < 0.5:  # of any day: what it would like most
            old = self._dice.choice(alarms)
        return None if old is None else ("replay", *old)

    def _swap(self, to: str) -> tuple[str, str, bytes] | None:
        """A proven message under another topic, or another call's proven answer with this call's name in it."""
        if (old := self._old(self._dice.choice(("column", "desk")))) is None:
            return None
        topic, payload = old
        if self._ids and self._dice.random() < 0.5:
            ident = json.loads(payload).get("id")
            if isinstance(ident, str):
                payload = payload.replace(ident.encode(), self._dice.choice(self._ids).encode())
        else:
            topic = self._root + self._dice.choice(TO_COLUMN if to == "column" else TO_DESK)
        return "swap", topic, payload

    def _strip(self, to: str) -> tuple[str, str, bytes] | None:
        """The same without its proof, and with what it would like in it."""
        if (old := self._old(to)) is None:
            return None
        document = json.loads(old[1])
        document.pop("n", None)
        document.pop("mac", None)
        return "strip", old[0], _text(self._wished(document))

    def _alter(self, to: str) -> tuple[str, str, bytes] | None:
        """The same with the old proof, and something else in it."""
        if (old := self._old(to)) is None:
            return None
        topic, payload = old
        if self._dice.random() < 0.3:
            changed = bytearray(payload)
            changed[self._dice.randrange(len(changed))] ^= 1 << self._dice.randrange(7)
            return "alter", topic, bytes(changed)
        for old_word, new in ((b'"received"', b'"accepted"'), (b'"report"', b'"restart"'), (b'"heard":1', b'"heard":3'),
                              (b'"press":1', b'"press":2'), (b'"identify"', b'"restart"')):  # fmt: skip
            if old_word in payload and self._dice.random() < 0.7:
                return "alter", topic, payload.replace(old_word, new)
        return "alter", topic, _text(self._wished(json.loads(payload)))

    def _wished(self, document: dict[str, Any]) -> dict[str, Any]:
        if "cmd" in document:
            document |= {"cmd": self._dice.choice(COMMANDS), "expires": utc(self._epoch_ms() + VALID_MS)}
        elif document.get("state") in STATES:
            document |= {"state": self._dice.choice(STATES), "heard": self._dice.randint(1, PRESS_MAX)}
            if document["state"] == "closed":
                document.setdefault("outcome", "false")
        elif "press" in document:
            document["press"] = self._dice.randint(1, PRESS_MAX)
        return document

    def _forge(self, to: str) -> tuple[str, str, bytes] | None:
        """Of its own making: without a proof, with one that is noise, or with one by another key."""
        kind = self._dice.choice(TO_COLUMN if to == "column" else TO_DESK)
        if (document := self._made(kind)) is None:
            return None
        topic, how = self._root + kind, self._dice.randrange(3)
        if kind.startswith("fault/") and self._dice.random() < 0.5:
            return "forge", topic, b""  # the end of a fault
        if how == 0:
            return "forge", topic, _text(document)
        number = Number(self._boot(), self._dice.randrange(1, 1 << 40))
        payload = authentic.seal(NOBODYS_KEY, topic, document, number)
        if how == 1:
            payload = payload[: -authentic.MAC_CHARS - len(authentic.END)] + b"0" * authentic.MAC_CHARS + authentic.END
        return "forge", topic, payload

    def _made(self, kind: str) -> dict[str, Any] | None:
        if kind == "cmd":
            expires = utc(self._epoch_ms() + VALID_MS)
            return {"v": 1, "id": f"{self._dice.getrandbits(48):012x}", "cmd": self._dice.choice(COMMANDS),
                    "expires": expires}  # fmt: skip
        if not self._ids:
            return None
        if kind == "ack":
            return self._wished({"v": 1, "id": self._guessed(), "state": "received", "press": 1, "by": "operator 1"})
        if kind.startswith("fault/"):
            return {"v": 1, "id": kind.partition("/")[2], "since": None, "detail": "of a broker's making"}
        said = [payload for topic, payload in self._heard["desk"] if topic == self._root + kind]
        if not said:
            return None
        document: dict[str, Any] = json.loads(self._dice.choice(said))
        document.pop("n", None)
        document.pop("mac", None)
        if kind == "alarm":
            document |= {"id": self._guessed(), "press": self._dice.randint(1, PRESS_MAX)}
        return document

    def _guessed(self) -> str:
        """A call that there is, or the next one: ids are easily foreseen."""
        ident = self._dice.choice(self._ids[-3:])
        if self._dice.random() < 0.5:
            return ident
        start, _, serial = ident.rpartition("-")
        return f"{start}-{int(serial) + self._dice.randint(1, 2)}"

    def _boot(self) -> int:
        return int(self._ids[-1].rsplit("-", 2)[1]) if self._ids else 1


def _text(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
