# mypy: allow-untyped-calls
"""Storms that once broke a promise: today they break none, and with the fault of that day again they break it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from firmware import uplink
from firmware.incident import RECEIVED, Incident
from firmware.incidents import Incidents
from firmware.startup import restoring
from sim.search.storms import judge
from sim.search.storms.script import load, perform
from sim.virtual.checks.flash_watch import FlashWatch
from sim.virtual.checks.invariants import INCIDENT_LAMPS, Invariants
from sim.virtual.checks.oracle import Oracle

STORMS = {path.stem: path for path in sorted((Path(__file__).parent / "storms").glob("*.txt"))}
# Both need looks of a chip that has edges counted and no integrator, which no storm draws any more. What they
# showed is held by tests/firmware/test_debounce_limits.py and test_debounce_gaps.py.
OF_OLDER_IMAGES = {"a-short-press-that-ends-in-a-gap", "bounce-then-press-in-a-handshake"}


def forgetful_step(self: Any) -> int:
    """An answered incident goes when its time is over, whether its last press is at the broker or not."""
    for one in list(self._list):
        one.lamp()
        if one.state >= RECEIVED and one.age.ms() >= self._retention_ms:
            self._list.remove(one)
    self._journal.step()
    if self._journal.wants_compaction():
        self.compact()
    return 2000


def next_boot(incidents: Any, records: Any, boot: int) -> None:
    """The boot number is one more than the journal's: with a flash that refuses, the centre may know that one too."""
    incidents.boot = boot
    for entry in records:
        restoring._replay(incidents, entry)
        incidents.boot = max(incidents.boot, restoring.boot_of(entry.get("id", "")) + 1)
    incidents.clock_set()


def heedless(self: Any, topic: bytes, payload: bytes) -> bool:
    """A heartbeat goes out whatever waits."""
    if self.session is None or not self.session.takes_telemetry():
        return False
    self.session.publish_once(topic, payload)
    return True


def strict_durable(self: Any, what: str) -> None:
    """The watcher blames the column for a record that the flash spoilt."""
    if not self._flash.is_sick() and (self._undurable_us is not None or not self._durable):
        self.violate("I1", f"{what}, and no press is on flash")


def never_set() -> property:
    return property(lambda self: False, lambda self, value: None)


# storm: (whose attribute, its name, what it was that day, the promise)
FAULTS: dict[str, tuple[Any, str, Any, str]] = {
    "a-compaction-puts-spoilt-presses-right": (FlashWatch, "is_recalled", lambda *_: False, "I5"),
    "a-heartbeat-past-an-alarm": (uplink.Uplink, "publish_once", heedless, "I8"),
    "a-press-after-its-incident-was-spoilt": (Incident, "sealed", never_set(), "I3"),
    "a-press-forgotten-with-its-incident": (Incidents, "step", forgetful_step, "I2"),
    "a-press-that-begins-in-a-stall-unseen": (Oracle, "unseen", lambda *_: None, "I6"),
    "a-record-spoilt-as-it-was-written": (Invariants, "_check_durable", strict_durable, "I1"),
    "a-refused-press-that-nobody-writes-again": (FlashWatch, "nobody_retries", lambda *_: None, "I1"),
    "an-id-used-again-after-a-flash-that-refused": (restoring, "replay", next_boot, "I3"),
    "an-incident-that-only-the-wire-knew": (FlashWatch, "forgotten", lambda *_: set(), "I4"),
    "an-incident-that-the-flash-refused-until-the-power-went": (
        FlashWatch, "forgotten", lambda self, known: self.lost.keys() - known, "I4",
    ),
    "closed-at-once-after-a-further-press": (
        Invariants, "_tells_of_a_press", lambda self: self.lamp in INCIDENT_LAMPS, "I6",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STORMS)
def test_a_storm_that_once_broke_a_promise_breaks_none(name: str) -> None:
    storm = load(STORMS[name].read_text("utf-8"))
    outcome = perform(storm)
    assert outcome.violations == []
    assert {one.kind for one in storm.script} <= set(outcome.fired), "the storm does not do any more what it did"


@pytest.mark.parametrize("name", FAULTS)
def test_with_the_fault_of_its_day_it_breaks_that_promise(name: str) -> None:
    """Broken by whatever makes a storm miss its fault: another script, another seed, costs that move it elsewhere."""
    owner, attribute, fault, promise = FAULTS[name]
    patch: Callable[..., Any] = mock.patch.object
    with patch(owner, attribute, fault, create=True):
        violations = perform(load(STORMS[name].read_text("utf-8"))).violations
    assert promise in map(judge.broken, violations), violations


def test_each_storm_has_its_fault() -> None:
    assert FAULTS.keys() | OF_OLDER_IMAGES == STORMS.keys()
