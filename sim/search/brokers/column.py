"""One column in real time behind a spoiling proxy, and the person who presses, hour after hour.

What the column must have sent is told from the contact alone, not from the column's own numbers:

- A press is a closure of 60 ms or more after a release that the firmware had every chance to see. The person holds the
  contact until the column reacts, so that no stall of this machine makes a press too short.
- Presses come in rounds. Within a round nobody waits for anything. At its end the centre's ledger must hold exactly as
  many presses as were made since the beginning, over all incidents: none missing, none invented, none in two incidents.
  Press number n of an incident stands for its presses 1 to n, as the contract has it.
- Ids are <device>-<boot>-<seq> with seq 1, 2, 3 ... without a gap. A new one is only right after the operator has
  closed the one before: that is when presses stop joining it.
"""

import contextlib
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from desk.ledger import NEW, STATES, Ledger, LedgerError
from sim.real.column import Event, RealColumn
from sim.real.flash_image import PROJECT
from sim.real.rtc import now_us
from sim.search.brokers.broker_side import Book, BrokerSide
from sim.servers.proxy import Proxy

HOLD_S = 0.06
OPEN_S = 0.1
OPEN_MAX_S = 0.8  # without proof that the firmware saw the release
RELEASE_US = 60_000
SLACK_US = 10_000
TAKEN_S = 15.0  # no invariant: a column that does not react for so long is written down and the round goes on
IDLE_S = 0.5
READY_S = 60.0
LOOK_S = 0.003
EXTRA_MAX = 200  # presses more in a round that waits for its faults to heal
PATIENT_PAUSE_S = (0.0, 0.15)  # between presses of a round that waits
INCIDENT_LAMPS = ("calling", "sent", "answered", "unanswered", "help-coming", "not-delivered", "dark")
NEEDED_ANSWER = {"answered": "received", "unanswered": "received", "help-coming": "accepted"}
REFUSED = re.compile(r"refused|Errno 111|ECONNREFUSED")
DEATHS = ("main: restarting", "supervisor: task", "simulator: main.py ended", "simulator: the chip's process ended")


LEDGERS, ONE_INCIDENT = "ledgers equal: none missing, none invented", "one incident per press, ids without a gap"
ANSWERED, SENT, OVER = "answered only by the centre", "sent only after the broker", "no open call left for ready"
CONTRACT, NO_RESTART = "contract of every message", "no restart"
INVARIANTS = (LEDGERS, ONE_INCIDENT, ANSWERED, SENT, OVER, CONTRACT, NO_RESTART)


class PressedColumn:
    """`work` presses in its own thread until `stopped`; `settled` says whether all presses have arrived."""

    def __init__(
        self,
        device_id: str,
        runtime: str,
        place: BrokerSide,
        proxy: Proxy,
        book: Book,
        folder: Path,
        seed: int,
        sources: Path = PROJECT,
        heap_bytes: int | None = None,
    ) -> None:
        self.device_id, self.runtime, self.place, self.proxy, self._book = device_id, runtime, place, proxy, book
        self.begun = 0  # presses whose contact has closed
        self.taken = 0  # presses that the column has written to its console: for pace, not for judgement
        self.unproven = 0  # closures that do not count: a stalled machine hid the release before them
        self.resets = -1
        self.heard: dict[str, int] = {}  # the receiver's ledger: id -> highest press
        self.alarms: Counter[tuple[str, int]] = Counter()  # each transmission
        self.checks: Counter[str] = Counter()
        self._closed: set[str] = set()  # ids that the operator has closed
        self._boot: int | None = None
        self._last_id = ""
        self._closures_ms: list[int] = []
        self.lamp = "dark"
        self._proven = True
        self._said: set[str] = set()
        self._dice = random.Random(f"{seed} {device_id}")
        self._news = threading.Event()
        self._lock = threading.Lock()
        self.real = RealColumn(
            place.document(device_id, proxy.port),
            runtime=runtime,
            heap_bytes=heap_bytes,
            flash_path=folder / f"{device_id}.img",
            seed=seed,
            on_event=self._event,
            sources=sources,
        )

    # -- what the person does

    def wait_ready(self) -> None:
        """Raises TimeoutError."""
        self.real.power_on()
        end_s = time.monotonic() + READY_S
        while self.lamp != "ready":
            if time.monotonic() > end_s:
                raise TimeoutError(f"{self.device_id} ({self.runtime}) is not ready {READY_S} s after power-on")
            self._news.wait(0.05)
            self._news.clear()

    def work(self, stopped: threading.Event) -> None:
        while not stopped.is_set():
            for _ in range(self._dice.choice((1, 1, 1, 2, 3, 5, 8, 13))):
                self.press()
                if self._dice.random() < 0.1:
                    self.operate()  # in the middle of it
                if stopped.is_set():
                    return
            extra = EXTRA_MAX
            while not self.settled() and not stopped.wait(self._dice.uniform(*PATIENT_PAUSE_S) if extra else IDLE_S):
                if extra and not self.settled():
                    self.press()
                    extra -= 1
            self.operate()
            if self._dice.random() < 0.7:
                self._wait(lambda: self.lamp not in INCIDENT_LAMPS, IDLE_S)

    def press(self) -> None:
        with self._lock:
            self.begun += 1
        wanted, start_s = self.taken + 1, time.monotonic()
        self._closures_ms.append(self.real.now_ms())
        self.real.hold()
        reacted = self._wait(lambda: self.taken >= wanted, TAKEN_S)
        time.sleep(max(0.0, start_s + HOLD_S - time.monotonic()))
        opened_us = now_us()
        self.real.release()
        if not reacted and self._proven:
            self._complain(f"a contact that was closed for {TAKEN_S} s was no press")
        elif not reacted:
            self.unproven += 1
            with self._lock:
                self.begun -= 1
        self._proven = self._watch_release(opened_us)

    def _watch_release(self, opened_us: int) -> bool:
        """Pause, and find out whether the loop turned for long enough to see that the contact is open.

        It feeds the watchdog at the end of each turn, so between two feeds there was a look.
        """
        feeds: list[int] = []  # the first two after the opening, and the last
        start_s = time.monotonic()
        while (past_s := time.monotonic() - start_s) < OPEN_MAX_S:
            turned_us = self.real.turned_us
            if turned_us >= opened_us and turned_us not in feeds:
                feeds = [*feeds[:2], turned_us]
            if past_s >= OPEN_S and len(feeds) == 3:
                if feeds[2] - feeds[1] >= RELEASE_US:
                    return True
                if feeds[2] - feeds[1] >= RELEASE_US - SLACK_US:
                    return False  # most likely; no need to wait for the next feed, the press just proves less
            time.sleep(LOOK_S)
        return False

    def _wait(self, look: Callable[[], bool], timeout_s: float) -> bool:
        end_s = time.monotonic() + timeout_s
        while not look():
            self._news.clear()
            if look():
                return True
            if time.monotonic() > end_s:
                return False
            self._news.wait(0.05)
        return True

    # -- what the operator does

    def operate(self) -> None:
        """Close what is open, sometimes step by step."""
        for ident in self._open():
            states = [state for state in ("accepted", "dispatched") if self._dice.random() < 0.3]
            centre = self.place.centre
            with contextlib.suppress(LedgerError):  # a repeat of the incident has moved it meanwhile
                for state in states:
                    {"accepted": centre.accept, "dispatched": centre.dispatch}[state](ident)
                self._closed.add(ident)
                centre.close(ident)

    def _open(self) -> list[str]:
        with self._lock:
            mine = list(self.heard)[-8:]

        def look(ledger: Ledger) -> list[str]:
            return [ident for ident in mine if ident in ledger.incidents and ledger.incidents[ident].is_open]

        return self.place.centre.look(look)

    # -- what the centre hears

    def alarm(self, ident: str, press: int) -> None:
        """Called for each transmission, before the centre answers it."""
        with self._lock:
            self.alarms[ident, press] += 1
            is_new = ident not in self.heard
            self.heard[ident] = max(self.heard.get(ident, 0), press)
            heard, begun = sum(self.heard.values()), self.begun
        self.checks[LEDGERS] += 1
        self.checks[CONTRACT] += 1  # by the centre's own ledger
        if heard > begun:
            self._complain(f"invented: {ident} press {press} makes {heard} presses, and only {begun} were made")
        if is_new:
            self._check_id(ident)

    def _check_id(self, ident: str) -> None:
        self.checks[ONE_INCIDENT] += 1
        prefix, _, seq = ident.rpartition("-")
        if prefix != f"{self.device_id}-{self._boot}" or not seq.isdigit():
            self._complain(f"invented: {ident} is no id of boot {self._boot}")
        elif int(seq) > 1 and (before := f"{prefix}-{int(seq) - 1}") not in self._closed:
            self._complain(f"two incidents: {ident} was opened, and the operator had not closed {before}")

    def settled(self) -> bool:
        """The receiver's ledger has as many presses as were made."""
        with self._lock:
            return sum(self.heard.values()) == self.begun

    def finish(self) -> None:
        """Nothing is under way any more: compare the ledgers."""
        with self._lock:
            heard, begun = dict(self.heard), self.begun
        total = sum(heard.values())
        if total < begun:
            self._complain(f"missing: {begun} presses were made and {total} arrived; last id {self._last_id}")
        elif total > begun:
            self._complain(f"invented: {begun} presses were made and {total} arrived")
        wanted = {f"{self.device_id}-{self._boot}-{seq}" for seq in range(1, len(heard) + 1)}
        if set(heard) != wanted:
            odd = ", ".join(sorted(set(heard) ^ wanted)[:6])
            self._complain(f"the ids are not 1 to {len(heard)} without a gap: {odd}")

    # -- what the column shows

    def _event(self, event: Event) -> None:
        """In the column's thread, in the order in which the chip said it."""
        kind = event["event"]
        if kind == "lamp":
            self.lamp = event["state"]
            self._check_lamp(event["state"], event["t_ms"])
        elif kind == "boot":
            self.resets += 1
            self.checks[NO_RESTART] += 1
            self._boot = event["boot"]
            if self.resets:
                self._complain(f"it restarted by itself, cause {event['cause']}")
        elif kind == "log":
            self._log(event["text"])
        self._news.set()

    def _log(self, text: str) -> None:
        if text.startswith("press: incident "):
            self._last_id = text.split(" ")[2]
            self.taken += 1
        elif text.startswith("uplink:") and REFUSED.search(text) and self.proxy.weather.refuse:
            self._book.fire("refuse")
        elif text.startswith(DEATHS):
            self._complain(text)

    def _check_lamp(self, state: str, t_ms: int) -> None:
        if state == "sent":
            self._check_sent(t_ms)
        elif state in NEEDED_ANSWER:
            self._check_answered(state)
        elif state not in INCIDENT_LAMPS and self.taken:
            self._check_over(state)

    def _check_sent(self, t_ms: int) -> None:
        """PUBACK came after the press: so something came. (More is not known here: it may be encrypted.)"""
        self.checks[SENT] += 1
        pressed_ms = max((at for at in self._closures_ms[-5:] if at < t_ms), default=0)
        last_down_ms = self.real.now_ms() - (now_us() - self.proxy.last_down_us) / 1000
        if last_down_ms < pressed_ms - 1:
            self._complain("the lamp says sent, and nothing had come from the broker since the press")

    def _check_answered(self, state: str) -> None:
        self.checks[ANSWERED] += 1
        ident, needed = self._last_id, NEEDED_ANSWER[state]

        def look(ledger: Ledger) -> str:
            incident = ledger.incidents.get(ident)
            return incident.state if incident is not None else NEW

        found = self.place.centre.look(look)
        if STATES.index(found) < STATES.index(needed) and ident not in self._closed:
            self._complain(f"the lamp says {state}, and the centre said {found} of {ident}")

    def _check_over(self, state: str) -> None:
        """`ready` and `out-of-service` tell that nobody's call is open."""
        self.checks[OVER] += 1
        with self._lock:
            heard, last = sum(self.heard.values()), self._last_id
        if heard < self.taken:
            self._complain(f"the lamp says {state}, and the centre knows {heard} presses of {self.taken}")
        elif last not in self._closed:
            self._complain(f"the lamp says {state}, and nobody has closed {last}")

    def _complain(self, text: str) -> None:
        """The first of a kind: what follows from it is no news."""
        kind = re.sub(r"\S*\d\S*", "", text)
        if kind not in self._said:
            self._said.add(kind)
            self._book.complain(f"{self.device_id} ({self.runtime}, {self.real.now_ms() / 1000:.1f} s): {text}")
