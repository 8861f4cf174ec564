"""The negative controls of the storms: columns (and, for I9, worlds) that break one promise each, on purpose.

A control replaces attributes of the firmware's classes in the process that asks for it, for as long as `applied` lasts.
A search that does not notice a control is blind there. Nothing of this is ever near a real column.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

from sim.search.findings import Control
from sim.virtual import umqtt_host

umqtt_host.install()

from firmware import (  # noqa: E402
    button,
    column,
    counted,
    debounce,
    incident,
    incidents,
    journal,
    lamp,
    outbox,
    outcomes,
    resets,
    supervisor,
    uplink,
)
from firmware.startup import again, configure, restoring  # noqa: E402
from sim.virtual import link  # noqa: E402
from sim.virtual.board import VirtualBoard  # noqa: E402
from sim.virtual.peripherals import VirtualWatchdog  # noqa: E402
from sim.virtual.timeline import US_PER_MS  # noqa: E402

TIMER_MS = 500  # of the watchdog's false friend


class Patch(NamedTuple):
    """Put `value` in the place of `owner`'s attribute."""

    owner: Any
    attribute: str
    value: Any


CONTROLS: dict[str, Control] = {}
_PATCHES: dict[str, Callable[[], Patch]] = {}


def _control(name: str, breaks: str, caught_by: str) -> Callable[[Callable[[], Patch]], Callable[[], Patch]]:
    def enter(patch: Callable[[], Patch]) -> Callable[[], Patch]:
        CONTROLS[name] = Control(breaks, caught_by)
        _PATCHES[name] = patch
        return patch

    return enter


@contextmanager
def applied(name: str | None) -> Iterator[None]:
    """The column is broken in the way of that control meanwhile; None = not at all. KeyError: no such control."""
    with ExitStack() as stack:
        if name is not None:
            stack.enter_context(mock.patch.object(*_PATCHES[name]()))
        yield


# -- I1: the journal first


@_control("lamp-before-journal", "the lamp says `sent` before the press is on flash", "I1")
def _lamp_before_journal() -> Patch:
    honest: Callable[..., None] = column.Column._pressed

    def hasty(self: Any, age_ms: int, in_stall: bool) -> None:
        self.lamp.show("calling")
        self.lamp.show("sent")
        honest(self, age_ms, in_stall)

    return Patch(column.Column, "_pressed", hasty)


@_control("relay-before-journal", "the relay closes before the press is on flash", "I1")
def _relay_before_journal() -> Patch:
    honest: Callable[..., None] = column.Column._pressed

    def hasty(self: Any, age_ms: int, in_stall: bool) -> None:
        self.lamp.show("calling")
        self.relay.close()
        honest(self, age_ms, in_stall)

    return Patch(column.Column, "_pressed", hasty)


@_control("alarm-before-journal", "the alarm is given to the broker before the press is on flash", "I1")
def _alarm_before_journal() -> Patch:
    def hasty(self: Any, age_ms: int, _in_stall: bool) -> None:
        self.lamp.show("calling")
        records: list[dict[str, Any]] = []
        with mock.patch.object(self.journal, "add", records.append):
            self.incidents.press(age_ms)
            self.uplink.step()
        for record in records:
            self.journal.add(record)
        self.relay.close()
        self.uplink.kick()
        self.supervisor.hurry()

    return Patch(column.Column, "_pressed", hasty)


@_control("lazy-journal", "a record waits in RAM until the next one, or the next housekeeping", "I1")
def _lazy_journal() -> Patch:
    def add(self: Any, entry: dict[str, Any]) -> bool:
        self.unsaved.append(entry)
        return True

    return Patch(journal.Journal, "add", add)


# -- I2: every press reaches the centre


@_control(
    "done-at-puback", "what the broker acknowledged is never sent again, whether the centre answered or not", "I2"
)
def _done_at_puback() -> Patch:
    honest: Callable[..., None] = incident.Incident.at_broker

    def at_broker(self: Any, press: int) -> None:
        honest(self, press)
        if press == self.press:
            self._repeat.stop()
            vars(self)["lost"] = lambda: vars(self).update(in_flight=False)

    return Patch(incident.Incident, "at_broker", at_broker)


@_control("never-repeated", "an alarm whose connection died is not sent again", "I2")
def _never_repeated() -> Patch:
    def lost(self: Any) -> None:
        if self.in_flight:
            self._repeat.stop()
        self.in_flight = False

    return Patch(incident.Incident, "lost", lost)


@_control("deaf-in-a-stall", "what the contact did while nobody looked does not count", "I2")
def _deaf_in_a_stall() -> Patch:
    honest: Callable[..., int] = counted.Counted._take

    def take(self: Any, outcome: int) -> int:
        return outcomes.NOTHING if outcome == outcomes.PRESS_IN_STALL else honest(self, outcome)

    return Patch(counted.Counted, "_take", take)


@_control("amnesia", "what the journal says is not read at boot", "I2")
def _amnesia() -> Patch:
    def restore(self: Any, records: Any, boot: int) -> None:
        self.boot = max([boot, *(restoring.boot_of(entry.get("id", "")) + 1 for entry in records)])

    return Patch(incidents.Incidents, "restore", restore)


@_control("trusts-status", "an interface that says it is joining is not told to connect", "I2")
def _trusts_status() -> Patch:
    """What it was until somebody read network_wlan.c: after a restart that begins nothing, the status still says that
    it is joining."""

    def restart(self: Any) -> None:
        nic, connecting = self._nic, 1001
        nic.active(False)
        nic.active(True)
        if not nic.isconnected() and nic.status() != connecting:
            nic.connect(self._ssid, self._password)

    return Patch(link.esp32_link.WifiLink, "restart", restart)


@_control("startup-error-is-configuration", "a network that fails as it is made is taken for a bad configuration", "I2")
def _startup_error_is_configuration() -> Patch:
    honest: Callable[..., Any] = configure.configure

    def suspicious(board: Any, *more: Any) -> Any:
        found = honest(board, *more)
        return (None, False, ["the board refused it"]) if board.link.failure else found

    return Patch(configure, "configure", suspicious)


@_control("no-last-step", "the chip is never reset for want of a link", "I2")
def _no_last_step() -> Patch:
    return Patch(again, "give_up", lambda *_: None)


# -- I3: one incident, one id


@_control("new-id-each-time", "an alarm that is sent again gets an id of its own", "I3")
def _new_id_each_time() -> Patch:
    honest: Callable[..., None] = incident.Incident.transmitted

    def transmitted(self: Any) -> None:
        honest(self)
        if self.sent_press or getattr(self, "was_sent", False):
            head, boot, seq = self.id.rsplit("-", 2)
            self.id = f"{head}-{boot}-{int(seq) + 1000}"
        self.was_sent = True

    return Patch(incident.Incident, "transmitted", transmitted)


@_control("id-used-twice", "ids are counted from 1 again after each boot", "I3")
def _id_used_twice() -> Patch:
    def next_id(self: Any) -> str:
        self._seq += 1
        return f"{self._device_id}-1-{self._seq}"

    return Patch(incidents.Incidents, "_next_id", next_id)


# -- I4: only the centre can say `answered`


@_control("answered-at-puback", "the broker's PUBACK is taken for an answer", "I4")
def _answered_at_puback() -> Patch:
    honest: Callable[..., None] = incident.Incident.at_broker

    def flattered(self: Any, press: int) -> None:
        honest(self, press)
        self.state = max(self.state, incident.RECEIVED)

    return Patch(incident.Incident, "at_broker", flattered)


@_control("comforting-lamp", "the lamp says `help-coming` where it should say `not-delivered`", "I4")
def _comforting_lamp() -> Patch:
    honest: Callable[..., str] = incident.Incident.lamp

    def comfort(self: Any) -> str:
        state = honest(self)
        return "help-coming" if state == "not-delivered" else state

    return Patch(incident.Incident, "lamp", comfort)


# -- I5: what is no press raises no alarm


@_control("no-integrator", "a contact that is seen closed is a press at once", "I5")
def _no_integrator() -> Patch:
    def sample(self: Any, _dt_ms: int, closed: bool, *_: Any) -> int:
        was_pressed, self.pressed, self._closed = self.pressed, closed, closed
        if closed == was_pressed:
            return outcomes.NOTHING
        return outcomes.PRESS if closed else outcomes.RELEASE

    return Patch(debounce.Debouncer, "sample", sample)


@_control("poll-only", "nothing wakes the wait and no counter decides: looks come with FreeRTOS's tick alone", "I5")
def _poll_only() -> Patch:
    return Patch(VirtualBoard, "interrupts", False)


# -- I6: `calling` at once


@_control("calling-on-release", "a press counts when the button is let go", "I6")
def _calling_on_release() -> Patch:
    honest: Callable[..., None] = button.Button._report

    def late(self: Any, outcome: int, dt_ms: int) -> None:
        if outcome == outcomes.PRESS:
            return
        if outcome == outcomes.RELEASE:
            honest(self, outcomes.PRESS, dt_ms)
        honest(self, outcome, dt_ms)

    return Patch(button.Button, "_report", late)


@_control("lamp-stays-calm", "the lamp goes on saying `ready` while it calls", "I6")
def _lamp_stays_calm() -> Patch:
    honest: Callable[..., None] = lamp.Lamp.show

    def calm(self: Any, state: str) -> None:
        honest(self, "ready" if state == "calling" else state)

    return Patch(lamp.Lamp, "show", calm)


# -- I7: the watchdog bites what hangs, and nobody else


@_control("fed-by-a-timer", "a timer feeds the watchdog, whether the tasks make progress or not", "I7")
def _fed_by_a_timer() -> Patch:
    honest: Callable[..., None] = VirtualWatchdog.__init__

    def automatic(self: VirtualWatchdog, board: VirtualBoard, timeout_us: int) -> None:
        honest(self, board, timeout_us)

        def tick() -> None:
            if board.ended is None:
                self.feed()
                board.hardware.timeline.after(TIMER_MS * US_PER_MS, tick)

        tick()

    return Patch(VirtualWatchdog, "__init__", automatic)


@_control("dead-task-is-fed-for", "the watchdog is fed although a task has died", "I7")
def _dead_task_is_fed_for() -> Patch:
    honest: Callable[..., None] = supervisor.Supervisor._died

    def died(self: Any, entry: Any, error: Exception) -> None:
        honest(self, entry, error)
        self.culprit = None

    return Patch(supervisor.Supervisor, "_died", died)


@_control("trusts-mem-free", "what gc.mem_free() says is taken for free, IDF's largest block included", "I7")
def _trusts_mem_free() -> Patch:
    """A look at the stream begins where the next record of the journal finds no room beside it."""
    return Patch(VirtualBoard, "heap", lambda self: self.heaps.free_bytes() + self.heaps.growth_bytes())


@_control("nobody-is-named", "a reset by the watchdog is reported without the task that hung", "I7")
def _nobody_is_named() -> Patch:
    honest: Callable[..., dict[str, Any]] = resets.last
    return Patch(resets, "last", lambda board: {**honest(board), "culprit": None})


@_control("offline-is-a-hang", "the watchdog is fed only while the link is up", "I7")
def _offline_is_a_hang() -> Patch:
    honest: Callable[..., None] = supervisor.Supervisor.turn

    def turn(self: Any) -> None:
        fed_us = self._board.watchdog_us
        honest(self)
        if not self._board.link.is_up():
            self._board.watchdog_us = fed_us

    return Patch(supervisor.Supervisor, "turn", turn)


# -- I8: alarms first


@_control("telemetry-first", "alarms wait until all telemetry is sent", "I8")
def _telemetry_first() -> Patch:
    honest: Callable[..., None] = uplink.Uplink._send_alarms

    def send(self: Any) -> None:
        if self._outbox.next() is None:
            honest(self)

    return Patch(uplink.Uplink, "_send_alarms", send)


# -- I10: connections are bounded


@_control(
    "no-backoff-after-young-death", "a session that the broker accepted counts as good, however soon it dies", "I10"
)
def _no_backoff_after_young_death() -> Patch:
    def judge(self: Any, _: Exception) -> bool:
        self._spent.start(0)
        self._failures = self.young = 0
        return True

    return Patch(uplink.Uplink, "_judge", judge)


# -- I9: the same seed, the same trace


@_control("hash-order", "telemetry leaves in the order of Python's string hashes", "I9")
def _hash_order() -> Patch:
    honest: Callable[..., Any] = outbox.Outbox.next

    def shuffled(self: Any) -> Any:
        self.retained.sort(key=lambda one: hash(bytes(one[0])))
        return honest(self)

    return Patch(outbox.Outbox, "next", shuffled)


@_control("true-chance", "the board's random numbers come from the machine, not from the seed", "I9")
def _true_chance() -> Patch:
    return Patch(VirtualBoard, "random", lambda self, below: int.from_bytes(os.urandom(4)) % below)
