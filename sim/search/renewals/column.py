# mypy: allow-untyped-calls
"""One column of a city whose authority changes: the whole firmware in the virtual world, and a broker that goes by
certificates, as mosquitto and mbedTLS do: who signed them, whom the other side trusts, dates by each side's clock."""

from __future__ import annotations

import datetime
import hashlib
import json
import random
from base64 import b64encode
from functools import cache
from typing import Any, NamedTuple

from contract import validator
from field import certificates, renewal
from firmware import rfc3339
from firmware.clock import EARLIEST_MS
from sim.virtual.broker import BrokerFault
from sim.virtual.centre import Policy
from sim.virtual.checks.invariants import Violation as Broken
from sim.virtual.configuration import BROKER_PORT, config_with
from sim.virtual.mqtt_wire import Publish
from sim.virtual.network_faults import Net
from sim.virtual.timeline import US_PER_MS
from sim.virtual.world import TRUE_EPOCH_MS, World

DEVICE, ROOT = "petropavl-01", "sos/v1/nko/petropavl-01/"
MINUTE_MS, YEAR_MS, YEAR_S = 60_000, 31_536_000_000, 31_536_000
OFTEN_MS, VALID_MS = 30_000, 600_000  # how often the desk looks who is left; how long a command counts
TROUBLE_MS, CALM_MS = 5 * MINUTE_MS, 90 * MINUTE_MS  # of each step: with faults, and the most without
FAULT_MS = 500, 4 * MINUTE_MS  # longer than a trial waits for its session
TROUBLES = ("power", "power-at-a-write", "link", "broker", "ahead", "behind", "press", "frozen")
CLOCKS = ("right", "none", "years-ahead", "years-behind")


class Signer(NamedTuple):
    name: str
    key: certificates.Key
    pem: str


class Pair(NamedTuple):
    """Certificates of a column: whom it trusts, who signed its own, and until when that counts."""

    ca: str
    cert: str
    trusts: tuple[str, ...]
    issuer: str
    ends_ms: int


@cache
def signer(name: str) -> Signer:
    key = certificates.new_key()
    return Signer(name, key, certificates.authority(key, name, _at(TRUE_EPOCH_MS + 30 * YEAR_MS)).decode())


@cache
def _key() -> certificates.Key:
    """Of every column here: none of them meets another."""
    return certificates.new_key()


def _at(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)


@cache
def pair(trusts: tuple[str, ...], issuer: str, years: int) -> Pair:
    end_ms = TRUE_EPOCH_MS + years * YEAR_MS
    one = signer(issuer)
    cert = certificates.certificate(DEVICE, _key(), one.name, one.key, _at(end_ms), certificates.CLIENT).decode()
    return Pair("".join(signer(name).pem for name in trusts), cert, trusts, issuer, end_ms)


class Step(NamedTuple):
    """Of the change: what the broker shows and trusts from now on, and what columns get."""

    name: str
    server: str
    trusted: tuple[str, ...]
    wanted: Pair


def steps() -> tuple[Step, ...]:
    """As docs/provisioning.md has them. `bad`: somebody erred, and the broker does not know who signed it."""
    return (
        Step("bad", "old", ("old",), pair(("old",), "stranger", 12)),
        Step("add", "old", ("old", "new"), pair(("old", "new"), "old", 8)),
        Step("switch", "new", ("old", "new"), pair(("new", "old"), "new", 9)),
        Step("drop", "new", ("new",), pair(("new",), "new", 10)),
    )


class Renewed:
    """Number N is the same column on every machine, but for the keys."""

    def __init__(self, number: int) -> None:
        self.dice = random.Random(number)
        self.fired: set[str] = set()
        first = pair(("old",), "old", 5)
        self.step = Step("before", "old", ("old",), first)
        self.known = {certificates.fingerprint(first.ca, first.cert): first}
        self.clock = self.dice.choice(CLOCKS)
        self.package = b""
        self.number = 0
        document = config_with(
            broker={"tls": {"ca": first.ca, "cert": first.cert, "server_name": None}},
            clock={"server": None if self.clock == "none" else "time.example", "every_s": 600},
            secrets={"tls_key": certificates.key_pem(_key()).decode()},
            telemetry={"heartbeat_s": 600}, watchdog={"healthy_s": 5}, selftest={"stream_s": 0, "drill_s": 0},
        )  # fmt: skip
        self.world = World(number, document, policy=Policy(closed_ms=2 * MINUTE_MS))
        self.world._watch = lambda supervisor: None  # type: ignore[method-assign] # nobody sabotages a task here
        connect = self.world.network.connect

        def checked(address: str, port: int, payer: Any, tls: bool) -> Any:
            why = self._refusal() if port == BROKER_PORT else ""
            if why:
                raise OSError(why)
            return connect(address, port, payer, tls)

        self.world.network.connect = checked  # type: ignore[method-assign]
        self.world.broker.subscribe(ROOT + "want", self._wanted)

    # -- TLS

    def in_force(self) -> str:
        tls: Any = self.world.column.uplink.config["tls"]
        return str(tls["digest"])

    def _refusal(self) -> str:
        """Why there is no session now, as the handshake has it; empty: there may be one."""
        found = self.known[self.in_force()]
        assert self.world.board is not None
        clock_ms = self.world.board.epoch_ms()
        ends_ms = TRUE_EPOCH_MS + 15 * YEAR_MS
        if self.step.server not in found.trusts or not EARLIEST_MS - YEAR_MS <= clock_ms < ends_ms:
            return "TLS: the broker's certificate is refused"
        if found.issuer not in self.step.trusted or self.world.true_epoch_ms() >= found.ends_ms:
            return "TLS: the broker refuses us"
        return ""

    # -- the desk

    def _wanted(self, message: Publish) -> None:
        want = json.loads(message.payload)
        if want["file"] != "renewal" or want["release"] != self._digest()[:16]:
            return
        data = self.package[want["at"] : want["at"] + want["bytes"]]
        body = {key: want[key] for key in ("v", "release", "file", "at")} | {"data": b64encode(data).decode()}
        payload = json.dumps(body).encode()
        validator.validate(ROOT + "piece", payload)

        def answered() -> None:
            self.world.broker.publish(Publish(ROOT + "piece", payload, 0, False))

        self.world.timeline.after(20 * US_PER_MS, answered)

    def _digest(self) -> str:
        return hashlib.sha256(self.package).hexdigest()

    def _tell(self) -> None:
        """Whoever does not have them, and says nothing of being on the way, is told (again)."""
        info = self.world.centre.latest.get(ROOT + "info", {})
        update = info.get("update") or {}
        is_under_way = update.get("release") == self._digest()[:16] and update["state"] in ("fetching", "trial")
        is_over = self.step.name == "bad" and update.get("state") == "returned"
        if not self.world.broker.connected() or is_under_way or is_over or self.is_there():
            return
        expires = rfc3339.text(self.world.true_epoch_ms() + VALID_MS)
        wanted = {"digest": self._digest(), "bytes": len(self.package)}
        self.world.centre.command(ROOT, "renew", expires, renewal=wanted)

    def is_there(self) -> bool:
        """What it tries it may give back: only what is kept counts, as for a rollout."""
        info = self.world.centre.latest.get(ROOT + "info", {})
        wanted, is_tried = self.step.wanted, (info.get("update") or {}).get("state") == "trial"
        return not is_tried and bool(info.get("certificates") == certificates.fingerprint(wanted.ca, wanted.cert))

    # -- the city

    def perform(self, step: Step) -> str:
        """One step of the change, with trouble and then without; what went wrong, or empty."""
        self.step, wanted, world = step, step.wanted, self.world
        self.known[certificates.fingerprint(wanted.ca, wanted.cert)] = wanted
        self.number += 1
        key = certificates.key_pem(_key()).decode()
        self.package = renewal.package(DEVICE, key, wanted.ca, wanted.cert, self.number)
        world.broker.stop_all()
        world.broker.start(BrokerFault.DOWN)  # it is restarted with its new files
        world.run(3_000)
        world.broker.stop_all()
        self._trouble()
        self._pass(TROUBLE_MS, until_there=False)
        self.world.calm()  # but a clock that nobody sets stays as it is
        self._pass(CALM_MS, until_there=True)
        return self._judge()

    def presses(self) -> str:
        """What of the other promises was broken (sim/virtual/checks), such as a press that nobody heard of."""
        try:
            self.world.settle()
        except Broken as error:
            return str(error)
        return ""

    def _pass(self, for_ms: int, *, until_there: bool) -> None:
        for _ in range(for_ms // OFTEN_MS):
            if until_there and self._is_over():
                return
            self.world.run(OFTEN_MS)
            self._tell()

    def _is_over(self) -> bool:
        if not self.world.broker.connected():
            return False
        if self.step.name == "bad":
            update = self.world.centre.latest.get(ROOT + "info", {}).get("update") or {}
            return update.get("state") == "returned"
        return self.is_there()

    def _judge(self) -> str:
        if not self.world.broker.connected():
            return f"lost: no session after the step {self.step.name}: {self._refusal() or 'the link'}"
        if not self._is_over():
            update = self.world.centre.latest.get(ROOT + "info", {}).get("update")
            return f"left: the step {self.step.name} did not come about: {update}"
        return ""

    # -- what goes wrong

    def _wrong_clock(self) -> None:
        years_s = self.dice.randrange(1, 4) * YEAR_S
        if self.clock == "years-ahead":
            self.world.network.start(Net.NTP_AHEAD, years_s)
        elif self.clock == "years-behind":
            self.world.network.start(Net.NTP_BEHIND, years_s)
        self.fired.add(f"clock {self.clock}")

    def _trouble(self) -> None:
        now_ms = self.world.now_ms
        self._wrong_clock()
        for _ in range(self.dice.randrange(1, 6)):
            kind = self.dice.choice(TROUBLES)
            self.fired.add(kind)
            self._happens(kind, now_ms + self.dice.randrange(TROUBLE_MS), self.dice.randrange(*FAULT_MS))

    def _happens(self, kind: str, at_ms: float, for_ms: int) -> None:
        world = self.world
        if kind == "power":
            world.at(at_ms, world.power_off)
            world.at(at_ms + for_ms, world.power_on)
        elif kind == "power-at-a-write":
            world.at(at_ms, lambda: self._cut_at_write(for_ms))
        elif kind == "press":
            world.at(at_ms, world.press)
        else:
            faults: dict[str, Net | BrokerFault] = {
                "link": Net.LINK_DOWN, "broker": BrokerFault.DOWN, "frozen": BrokerFault.FREEZE,
                "ahead": Net.NTP_AHEAD, "behind": Net.NTP_BEHIND,
            }  # fmt: skip
            value = self.dice.randrange(1, 4) * YEAR_S if kind in ("ahead", "behind") else None
            world.during(at_ms, for_ms, faults[kind], value)

    def _cut_at_write(self, for_ms: int) -> None:
        """Some writes from now on, so that cuts come while something is on its way to flash."""
        left = [self.dice.randrange(6)]
        world = self.world

        def told(_: int) -> None:
            if left[0]:
                left[0] -= 1
                world.flash.on_write = told
                return
            world.at(world.now_ms + self.dice.random() * 3, world.power_off)
            world.at(world.now_ms + for_ms, world.power_on)

        world.flash.on_write = told
