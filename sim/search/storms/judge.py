"""Performs one storm in a worker's process and says what it broke. A storm's name is `SEED:MODE`."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sim.search.storms import rare, script
from sim.search.storms.controls import applied
from sim.search.storms.script import Outcome, Storm

CPU_LIMIT_S = 60  # a storm takes well under a second: one that takes so long never ends
RARE = "rare"  # before the name of a control: its own storm
NEVER_EVERY = 3  # every third storm has faults that do not heal


class Verdict(NamedTuple):
    name: str
    violations: list[str]
    simulated_s: float
    fired: Counter[str]
    checks: Counter[str]
    digest: str
    tail: str  # the last of the trace


class Endless(BaseException):
    """Not an Exception: no `except` of the firmware may stop it."""


def name_of(seed: int) -> str:
    return f"{seed}:{'never' if seed % NEVER_EVERY == 0 else 'heal'}"


def read(what: str) -> Storm:
    """The storm `SEED`, `SEED:MODE`, `rare:CONTROL` or that of a file. Raises ValueError, OSError."""
    seed, _, mode = what.partition(":")
    if seed == RARE and mode in rare.STORMS:
        return script.load(rare.STORMS[mode])
    if not seed.isdigit():
        return script.load(Path(what).read_text())
    return script.generate(int(seed), mode or name_of(int(seed)).partition(":")[2])


def perform(what: str | Storm, times: int, control: str | None) -> Verdict:
    """Perform it so many times in this process; the traces have to be the same (I9)."""
    storm = read(what) if isinstance(what, str) else what
    name = what if isinstance(what, str) and what.startswith(RARE) else f"{storm.seed}:{storm.mode}"
    with applied(control):
        outcomes = [_perform(storm) for _ in range(times)]
    first = outcomes[0]
    checks = Counter(first.checks)
    violations = list(first.violations)
    for again in outcomes[1:]:
        checks["I9"] += 1
        if again.digest != first.digest:
            violations.append(f"I9 (seed {storm.seed}): two runs in one process have different traces")
    simulated_s = sum(one.simulated_s for one in outcomes)
    return Verdict(name, violations, simulated_s, first.fired, checks, first.digest, first.tail)


def compare(first: Verdict, second: Verdict) -> list[str]:
    """I9: what two processes with different hash seeds made of one storm."""
    if first.digest == second.digest:
        return []
    return [f"I9 (seed {first.name.partition(':')[0]}): other string hashes gave another trace"]


def broken(violation: str) -> str:
    """What a violation is about: an invariant, `broker`, `contract`, or else the `harness` itself."""
    word = violation.split()[0].rstrip(":")
    return word if word in ("broker", "contract") or word[1:].isdigit() else "harness"


def _perform(storm: Storm) -> Outcome:
    try:
        with _bounded():
            return script.perform(storm)
    except Endless:
        return _failed(f"harness: it does not end within {CPU_LIMIT_S} s of processor time")
    except Exception as error:  # of the world itself: to be found and replayed like everything else
        return _failed(f"harness: {type(error).__name__}: {error}")


def _failed(text: str) -> Outcome:
    return Outcome([text], 0.0, Counter(), "")


@contextmanager
def _bounded() -> Iterator[None]:
    def end(*_: object) -> None:
        raise Endless

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
