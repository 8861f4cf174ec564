"""What the desk knew of the year, held against what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from desk.register import Register
from desk.upkeep import life, orders, store
from desk.upkeep.hearing import FIELDS, Heard
from desk.upkeep.life import DOWN, Span
from sim.search.city_year.city import BEGIN_MS, LIMITS, LOOK_MS, City
from sim.search.city_year.failures import KINDS, WRONG_ADDRESS, WRONG_RECEIVER, Failure

RIGHT_MIN = 0.95
SLACK_MS = LIMITS.wire_ms + 15 * 60_000  # silence is noticed that much later


@dataclass
class Verdict:
    """Of one city's time."""

    minutes: Counter[str] = field(default_factory=Counter)
    lives: dict[str, bytes] = field(default_factory=dict)
    found: list[tuple[Failure, str]] = field(default_factory=list)
    """(failure, the cause that the desk has for most of its columns; "" for none)"""
    late: list[str] = field(default_factory=list)
    """Wrong receivers and addresses that the first drill did not find."""
    repair: dict[str, dict[str, int]] = field(default_factory=dict)
    corrections: int = 0
    orders: tuple[int, int] = (0, 0)
    heard: Heard = field(default_factory=Heard)
    """By all columns together, as the desk counted it."""
    restarts: int = 0
    """As many as there were."""

    @property
    def share(self) -> float:
        """Of the failures, those of which the desk knows the right cause."""
        right = sum(failure.cause == cause for failure, cause in self.found)
        return right / len(self.found) if self.found else 0.0

    def complaints(self) -> list[str]:
        """What was promised and is not so."""
        wrong = [f"{self.minutes['none']} minutes without a state"] * bool(self.minutes["none"])
        if self.share < RIGHT_MIN:
            wrong.append(f"{100 * self.share:.1f} % of the causes are right, should be {100 * RIGHT_MIN:.0f}")
        if self.heard.restarts != self.restarts:
            wrong.append(f"{self.heard.restarts} restarts are known, of {self.restarts}")
        return wrong + self.late

    def by_kind(self) -> dict[str, tuple[int, int, Counter[str]]]:
        """Kind -> (how many, how many right, what else was thought)."""
        table = {}
        for kind in KINDS:
            causes = [cause for failure, cause in self.found if failure.kind == kind]
            right = sum(cause == KINDS[kind].cause for cause in causes)
            table[kind] = (len(causes), right, Counter(cause or "-" for cause in causes if cause != KINDS[kind].cause))
        return table


def judge(city: City) -> Verdict:
    """After the time has passed."""
    register = city.desk.register
    spans = store.spans(register, BEGIN_MS, city.end_ms)
    verdict = Verdict()
    for name in city.columns:
        verdict.lives[name] = life.minutes(spans.get(name, []), BEGIN_MS, city.end_ms)
        verdict.minutes.update(life.summed(verdict.lives[name]))
    for failure in city.failures:
        verdict.found.append((failure, _cause(failure, spans)))
        if failure.kind in (WRONG_RECEIVER, WRONG_ADDRESS):
            verdict.late += _late(failure, spans)
    closed = store.orders(register, is_open=False, limit=10_000)
    verdict.repair = orders.repair_ms(closed)
    verdict.orders = len(closed), len(store.orders(register, is_open=True))
    verdict.heard = _heard(register)
    verdict.restarts = sum(column.boot - 1 for column in city.columns.values())
    verdict.corrections = len(store.corrections(register, limit=100_000))
    return verdict


def _heard(register: Register) -> Heard:
    sums = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in FIELDS)
    return Heard(**register.ask(f"SELECT {sums} FROM hearing")[0])


def _cause(failure: Failure, spans: Mapping[str, Sequence[Span]]) -> str:
    """Of most of its columns: the cause of the time that they were down within it, the longest if there are several."""
    causes = Counter(_of_column(failure, spans.get(name, [])) for name in failure.columns)
    return causes.most_common(1)[0][0]


def _of_column(failure: Failure, rows: Sequence[Span]) -> str:
    lasted: Counter[str] = Counter()
    ends = [*(span.from_ms for span in rows[1:]), failure.to_ms]
    for span, end_ms in zip(rows, ends, strict=True):
        within_ms = min(end_ms, failure.to_ms + SLACK_MS) - max(span.from_ms, failure.from_ms)
        if span.state == DOWN and within_ms > 0:
            lasted[span.cause] += within_ms
    return lasted.most_common(1)[0][0] if lasted else ""


def _late(failure: Failure, spans: Mapping[str, Sequence[Span]]) -> list[str]:
    """The desk has to know it at its next look after the first drill, and by the fault's own name."""
    wrong = []
    for name in failure.columns:
        first_ms = failure.drills.get(name)
        told = [span for span in spans.get(name, []) if span.state == DOWN and span.why == f"fault {failure.kind}"]
        if first_ms is None:
            wrong.append(f"{name}: {failure.kind}, and no drill in {failure.to_ms - failure.from_ms} ms")
        elif not any(0 <= span.from_ms - first_ms <= LOOK_MS for span in told):
            wrong.append(f"{name}: {failure.kind} was not found at the first drill")
    return wrong


def summary(city: City, verdict: Verdict) -> dict[str, Any]:
    """The figures, for a program."""
    injected = [one for one in city.failures if one.kind in (WRONG_RECEIVER, WRONG_ADDRESS)]
    return {
        "seed": city.seed, "days": city.days, "columns": len(city.columns), "failures": len(city.failures),
        "minutes": dict(verdict.minutes), "causes_right": round(verdict.share, 4),
        "wrong_receivers_and_addresses": len(injected), "not_at_first_drill": len(verdict.late),
        "orders_closed": verdict.orders[0], "orders_open": verdict.orders[1], "causes_revised": verdict.corrections,
        "heartbeats": verdict.heard.heartbeats, "heartbeats_lost": verdict.heard.lost, "restarts": verdict.restarts,
        "restarts_known": verdict.heard.restarts,
    }  # fmt: skip
