"""Who wrote what the broker delivers: see "Proof from end to end" in docs/contract.md.

Pure: no network, no disk, no clock. What is asked of a column (`challenges`) the duty sends.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.key_mark import mark_of
from contract import authentic, validator
from contract.authentic import Number
from desk.column_keys import ColumnKeys

NO_KEY = ""  # the desk has no key for the column: nobody can tell
PROVEN = "proven"
UNCONFIRMED = "unconfirmed"  # the column's own words, but perhaps of another day: it has been asked
REPLAYED = "replayed"  # ... and it says that it did not say this now
UNSIGNED = "unsigned"  # the desk has a key, and the message no proof
FORGED = "forged"  # its proof is wrong
AUTHENTIC = (PROVEN, UNCONFIRMED, REPLAYED)
DOUBTFUL = (UNSIGNED, FORGED)
RANK = (FORGED, UNSIGNED, NO_KEY, REPLAYED, UNCONFIRMED, PROVEN)

SEALED_KINDS = ("alarm", "state", "heartbeat", "result")
LATER_KINDS = ("info", "fault", "event")
"""Proven by columns that say so in their answer to CHALLENGE: older firmware has no proof for these."""
CHALLENGE = "report"
CHALLENGE_EVERY_MS = 20_000  # a column obeys ten commands a minute, the operators' among them
UNANSWERED_MS = 120_000
"""For how long words in doubt show that a column lives while it does not answer: its own, of a boot before, can be said
again for as long as somebody likes."""
CHALLENGE_BYTES = 12
SEEN_MAX = 256


@dataclass
class Voice:
    """What one column has proven."""

    boot: int | None = None
    """The boot in which it has answered."""
    heard_boot: int = 0
    """Of its last message with a proof: what is said to the column is meant for that boot."""
    counts: dict[str, int] = field(default_factory=dict)
    """The highest of each kind: kinds travel on connections of their own."""
    seen: dict[tuple[int, str], int] = field(default_factory=dict)
    """(boot, kind) -> the highest that was heard at all, whatever it was worth."""
    asked: dict[str, int] = field(default_factory=dict)
    """Command id -> the boot that it asks."""
    last_asked: str = ""
    asked_ms: int | None = None
    unanswered_ms: int | None = None
    """Since when it is asked, and has not answered at all."""
    doubts: set[str] = field(default_factory=set)
    """Its calls that wait for what it says."""
    is_to_ask: bool = False
    proven_with: str = ""
    """The mark of the key with which it has ever proven something."""
    proves: frozenset[str] = frozenset()
    """Of LATER_KINDS, what it has said that it proves in `boot`."""
    said_without: bool = False
    """Its last words had no proof, or a wrong one."""

    def note(self, kind: str, number: Number) -> None:
        """One that was heard is never new again, though an answer with a lower count may come behind it."""
        if len(self.seen) >= SEEN_MAX:
            self.seen.clear()
        self.seen[number.boot, kind] = max(number.serial, self.seen.get((number.boot, kind), 0))

    def must_prove(self, kind: str) -> bool:
        """Whether one of LATER_KINDS counts only with a proof, in the boot that speaks now. Boots rise: what comes out
        of an older one is a replay, or is settled by the column's answer."""
        return kind in self.proves and self.boot is not None and self.heard_boot <= self.boot


class Origins:
    """Judges each message once, in the order of arrival. `proven`: columns that have ever proven something, and the
    mark of the key with which they did; `count`: of what was said to columns last. Of the processes before."""

    def __init__(self, keys: ColumnKeys | None = None, proven: Mapping[str, str] | None = None, count: int = 0) -> None:
        self.keys = keys or ColumnKeys()
        self._key_of = self.keys.of
        self._voices = {name: Voice(proven_with=mark) for name, mark in (proven or {}).items()}
        self.count = count
        self.noted: list[tuple[str, str]] = []
        """Further ones of `proven`, since somebody took them."""
        self.settled: list[tuple[str, str]] = []
        """(call, PROVEN or REPLAYED) since somebody took them."""

    # What is heard

    def judge(self, parts: validator.Topic, topic: str, payload: bytes, document: dict[str, Any]) -> str:
        """One of the words above, for a message of a kind that is proven."""
        key = self._key_of(parts.device_id)
        if key is None:
            return NO_KEY
        if parts.kind == "ack":
            return PROVEN if authentic.is_sealed(key, topic, payload) else _lack(document)
        voice = self._voices.setdefault(parts.device_id, Voice())
        number, must = authentic.number(document), parts.kind in SEALED_KINDS or voice.must_prove(parts.kind)
        if parts.kind == "fault" and not payload and must:
            return REPLAYED  # the end of a fault cannot be proven: the next heartbeat tells which are left
        if number is None or not authentic.is_sealed(key, topic, payload):
            if not must and "mac" not in document:
                return NO_KEY
            voice.said_without = True
            return _lack(document)
        if parts.kind == "result":
            self._answered(parts.device_id, voice, document, number)
        word = self._weigh(voice, parts.kind, number, str(document.get("id", "")))
        voice.note(parts.kind, number)
        if word == PROVEN or number.boot != voice.boot:  # what was heard before tells nothing of now
            voice.heard_boot, voice.said_without = number.boot, False
        return word

    def takes(self, parts: validator.Topic, document: dict[str, Any], word: str) -> bool:
        """Whether such a message counts. An alarm always does; a last will is the broker's to say."""
        if parts.kind == "ack":
            return word in (NO_KEY, PROVEN)
        if parts.kind == "alarm" or document.get("state") == "offline":
            return True
        return word not in DOUBTFUL or not self._has_proven(parts.device_id)

    def is_sign(self, parts: validator.Topic, word: str, now_ms: int) -> bool:
        """Whether such a message, which counts, shows that the column lives: nobody else can have said it now."""
        if parts.kind == "alarm":
            return word in (NO_KEY, PROVEN)
        voice = self._voices.get(parts.device_id)
        if word == UNCONFIRMED and voice is not None and voice.unanswered_ms is not None:
            return now_ms - voice.unanswered_ms < UNANSWERED_MS
        return parts.kind not in LATER_KINDS or word != NO_KEY or not self._has_proven(parts.device_id)

    def _has_proven(self, device_id: str) -> bool:
        """With the key that it has now: after a theft, or another board, all begins anew."""
        voice, key = self._voices.get(device_id), self._key_of(device_id)
        return voice is not None and key is not None and voice.proven_with == mark_of(key)

    def _weigh(self, voice: Voice, kind: str, number: Number, incident_id: str) -> str:
        if number.boot == voice.boot and number.serial > voice.counts.get(kind, 0):
            voice.counts[kind] = number.serial
            return PROVEN
        if number.boot == voice.boot and kind != "alarm":
            return REPLAYED  # a redelivery, as a rule; it says nothing new
        voice.is_to_ask = True
        if number.boot > max(voice.asked.values(), default=number.boot):  # it was switched on again: asked at once
            voice.asked_ms = None
        if kind == "alarm":
            voice.doubts.add(incident_id)
        return UNCONFIRMED

    def _answered(self, device_id: str, voice: Voice, document: dict[str, Any], number: Number) -> None:
        """A column that answers what nobody could foresee lives in that boot, also if it does not obey: its clock may
        be wrong, or ours."""
        asked_boot = voice.asked.get(document["id"])
        if asked_boot is None:
            return
        voice.unanswered_ms = None
        if asked_boot != number.boot:  # that one is asked
            voice.heard_boot, voice.asked_ms = number.boot, None
            return
        voice.asked.clear()
        key = self._key_of(device_id)
        assert key is not None, "the answer is proven"
        voice.proven_with, voice.boot = mark_of(key), number.boot
        self.noted.append((device_id, voice.proven_with))
        seen = {kind: voice.seen.get((number.boot, kind), 0) for kind in (*SEALED_KINDS, *LATER_KINDS)}
        voice.counts = {kind: max(number.serial, highest) for kind, highest in seen.items()}
        voice.counts["result"] = number.serial - 1  # this one is new
        if not document["ok"]:  # what its calls are worth it has not said: it is asked again, in a while
            return
        voice.is_to_ask = False
        detail = document["detail"] if isinstance(document.get("detail"), dict) else {}
        its_own, proves = detail.get("open", []), detail.get("proves")
        voice.proves = frozenset(kind for kind in LATER_KINDS if isinstance(proves, list) and kind in proves)
        for incident_id in voice.doubts:
            self.settled.append((incident_id, PROVEN if incident_id in its_own else REPLAYED))
        voice.doubts.clear()

    # What is said

    def challenges(self, now_ms: int) -> list[tuple[str, str, int]]:
        """(column, command id, boot): whom to ask now."""
        asked = []
        for device_id, voice in self._voices.items():
            waits = voice.asked_ms is not None and 0 <= now_ms - voice.asked_ms < CHALLENGE_EVERY_MS
            if voice.is_to_ask and not waits:
                command_id = secrets.token_hex(CHALLENGE_BYTES)
                voice.asked, voice.asked_ms, voice.last_asked = {command_id: voice.heard_boot}, now_ms, command_id
                voice.unanswered_ms = now_ms if voice.unanswered_ms is None else voice.unanswered_ms
                asked.append((device_id, command_id, voice.heard_boot))
        return asked

    def is_challenge(self, device_id: str, command_id: str) -> bool:
        """Whether the desk itself asked that, and not an operator."""
        voice = self._voices.get(device_id)
        return voice is not None and command_id == voice.last_asked

    def seal(
        self, device_id: str, topic: str, document: dict[str, Any], now_ms: int, boot: int | None = None
    ) -> bytes | None:
        """What the desk says to a column, proven; None: there is no key. `boot`: for which, if not the present one."""
        key = self._key_of(device_id)
        if key is None:
            return None
        self.count = max(self.count + 1, now_ms)
        voice = self._voices.get(device_id, Voice())
        if boot is None:
            boot = voice.heard_boot if voice.boot is None else voice.boot
        return authentic.seal(key, topic, document, Number(boot, self.count))

    def column(self, device_id: str) -> str:
        """How far the column's words are proven, for the page."""
        voice = self._voices.get(device_id)
        if self._key_of(device_id) is None or voice is None:
            return NO_KEY
        if voice.said_without:
            return UNSIGNED
        if voice.boot is None and not voice.seen:  # the process before has heard it
            return NO_KEY
        return PROVEN if voice.boot == voice.heard_boot else UNCONFIRMED


def better(one: str, other: str) -> str:
    """The one that says more for a call."""
    return max(one, other, key=RANK.index)


def _lack(document: dict[str, Any]) -> str:
    return FORGED if "mac" in document else UNSIGNED
