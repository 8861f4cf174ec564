"""Part of the campaign: releases that are forged, cut short, replayed, older or made of others' parts; none is put in
force. A true one in between always is. Each number is one attempt, the same on every machine but for the keys."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, lru_cache
from typing import Any, NamedTuple
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import rsa

from common import release as releases
from common.release import Release
from field.release import sign
from firmware.update import signature, state
from sim.search.findings import Control, Findings, Violation, command_of
from sim.search.updates.column import Column, Flash, Spoil, flashed

ACCEPTED = "none but the true release is put in force"
TAKEN = "the true release is put in force"
CONTROLS: dict[str, Control] = {
    "signature-not-checked": Control("every signature counts as good", ACCEPTED),
    "older-accepted": Control("any version is new enough", ACCEPTED),
}
_BREAKS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "signature-not-checked": (signature, "is_good", lambda *_: True),
    "older-accepted": (state, "floor", lambda _: "0.0.0"),
}
MILLION = 1_000_000
_POWERS_MAX = 4096  # that are remembered: most attempts carry a signature that was looked at before
_TRUE_EVERY = 1000
_SHOWN_MAX = 10
_OLD = {"firmware/__init__.mpy": b"M\x06old", "hal/esp32.mpy": b"M\x06same"}
_NEW = {"firmware/__init__.mpy": b"M\x06new", "hal/esp32.mpy": b"M\x06same", "firmware/long.mpy": b"M\x06" + b"x" * 700}
_ROOTS = {"boot.py": b"boot", "main.py": b"main"}
_FLOOR, _VERSION = "2.0.0", "2.1.0"


class Attempt(NamedTuple):
    release: Release
    spoil: Spoil


@cache
def _key(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(releases.EXPONENT, releases.KEY_BITS)


@cache
def _signed(version: str, content: bytes = b"", signer: int = 0) -> Release:
    roots = {name: [hashlib.sha256(data).hexdigest()[:16]] for name, data in _ROOTS.items()}
    head = {"version": version, "floor": version, "mpy": 6, "micropython": "1.24", "chips": ["esp32"], "roots": roots}
    files = {**_NEW, **({"firmware/other.mpy": content} if content else {})}
    text = releases.manifest(head, files)
    return Release(text, sign(text, _key(signer)), files)


def _honest(file: str, at: int, data: bytes) -> bytes:
    return data


def _flipped(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


# -- what may be tried: each gives a release that no column may take, or spoils what is sent


def _forged(dice: random.Random) -> Attempt:
    """Another manifest under a true signature, or a signature of nobody's making."""
    true = _signed(_VERSION)
    choice = dice.randrange(4)
    if choice == 0:
        return Attempt(true._replace(manifest=_flipped(true.manifest, dice)), _honest)
    if choice == 1:
        return Attempt(true._replace(signature=_flipped(true.signature, dice)), _honest)
    if choice == 2:
        return Attempt(true._replace(signature=dice.randbytes(releases.KEY_BYTES)), _honest)
    return Attempt(_signed(_VERSION, signer=9), _honest)


def _truncated(dice: random.Random) -> Attempt:
    true = _signed(_VERSION)
    if dice.random() < 0.5:
        return Attempt(true._replace(manifest=true.manifest[: dice.randrange(1, len(true.manifest))]), _honest)
    return Attempt(true._replace(manifest=true.manifest + dice.randbytes(dice.randrange(1, 40))), _honest)


def _older(dice: random.Random) -> Attempt:
    """Signed, once upon a time."""
    return Attempt(_signed(f"{dice.randrange(2)}.{dice.randrange(10)}.{dice.randrange(10)}"), _honest)


def _swapped(dice: random.Random) -> Attempt:
    """Parts of two true releases."""
    one, other = _signed(_VERSION), _signed("2.2.0", b"M\x06other")
    return Attempt(
        dice.choice((one._replace(signature=other.signature), other._replace(signature=one.signature))), _honest
    )


def _spoilt(dice: random.Random) -> Attempt:
    """A true release of which a piece is another one, each time that it is sent."""
    file = dice.choice(("firmware/__init__.mpy", "firmware/long.mpy", "signature", "manifest"))
    seed = dice.randrange(1 << 30)

    def spoil(name: str, at: int, data: bytes) -> bytes:
        return _flipped(data, random.Random(seed + at)) if name == file else data

    return Attempt(_signed(_VERSION), spoil)


def _replayed(dice: random.Random) -> Attempt:
    """Pieces of another true release in the place of these."""
    other = _signed("2.2.0", b"M\x06other")
    swaps = {"manifest": other.manifest, "signature": other.signature, "firmware/__init__.mpy": b"M\x06xyz"}
    file = dice.choice(list(swaps))

    def spoil(name: str, at: int, data: bytes) -> bytes:
        return (swaps[file][at:] + data)[: len(data)] if name == file else data

    return Attempt(_signed(_VERSION), spoil)


KINDS: dict[str, Callable[[random.Random], Attempt]] = {
    "forged": _forged, "truncated": _truncated, "older": _older, "swapped": _swapped, "spoilt": _spoilt,
    "replayed": _replayed,
}  # fmt: skip


@cache
def _trusted() -> bytes:
    return releases.trusted([_key(0).public_key(), _key(1).public_key()])


def _column(attempt: Attempt) -> Column:
    from firmware import record

    flash = flashed(_OLD, _trusted(), _ROOTS)
    flash.files[state.FLOOR_FILE] = record.frame(_FLOOR.encode())
    return Column(flash, attempt.release, attempt.spoil)


def _is_old(flash: Flash) -> bool:
    return flash.files["active"] == b"a" and all(flash.files[f"a/{name}"] == data for name, data in _OLD.items())


def attempt(number: int) -> str:
    """What is wrong with how it went; empty: nothing."""
    dice = random.Random(number)
    if number % _TRUE_EVERY == 0:
        column = _column(Attempt(_signed(_VERSION), _honest))
        why = column.update()
        return f"{TAKEN}: number {number} was refused: {why}" if why or column.flash.files["active"] != b"ba" else ""
    kind = list(KINDS)[number % len(KINDS)]
    column = _column(KINDS[kind](dice))
    why = column.update()
    return "" if why and _is_old(column.flash) else f"{ACCEPTED}: number {number}, {kind}, was taken"


def run(budget_s: float, seed: int, control: str | None, say: Callable[[str], None]) -> Findings:
    """A million attempts, or as many as the budget lets."""
    return explore(MILLION, budget_s, seed, control, say)


def explore(count: int, budget_s: float, seed: int, control: str | None, say: Callable[[str], None]) -> Findings:
    findings = Findings("Releases that are none", invariants=(ACCEPTED, TAKEN), kinds=frozenset(KINDS))
    began_s = time.monotonic()
    with _broken(control):
        for number in range(seed, seed + count):
            found = attempt(number)
            findings.runs += 1
            is_true = number % _TRUE_EVERY == 0
            findings.checks[TAKEN if is_true else ACCEPTED] += 1
            if not is_true:
                findings.fired[list(KINDS)[number % len(KINDS)]] += 1
            if found and len(findings.violations) < _SHOWN_MAX:
                findings.violations.append(Violation(found, command_of("updates", str(number), control)))
            if number % 500 == 0:
                say(f"updates: {findings.runs} attempts, {len(findings.violations)} wrong")
                if time.monotonic() - began_s > budget_s:
                    break
    findings.wall_s = time.monotonic() - began_s
    findings.figures = {"attempts": f"{findings.runs:,} of {count:,}"}
    return findings


def _broken(control: str | None) -> ExitStack:
    stack = ExitStack()
    # The same number to the same power is the same: two thirds of the time went into that.
    stack.enter_context(mock.patch.object(signature, "pow", lru_cache(_POWERS_MAX)(pow), create=True))
    if control is not None:
        stack.enter_context(mock.patch.object(*_BREAKS[control]))
    return stack


def replay(what: str, control: str | None) -> int:
    """`what`: an attempt's number. 1 = it happened again."""
    with _broken(control):
        found = attempt(int(what))
    print(found or "as it should be")
    return int(bool(found))
