"""The virtual control centre: a ledger of incidents by id, and answers as its policy has them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contract import validator
from sim.virtual.broker import Broker
from sim.virtual.mqtt_wire import Publish
from sim.virtual.timeline import US_PER_MS, Timeline
from sim.virtual.trace import Trace

OPERATOR = "operator-1"
SOFTWARE = "centre"


@dataclass(frozen=True)
class Policy:
    """Milliseconds from an incident's first alarm to each answer; None = never."""

    received_ms: int | None = 0
    accepted_ms: int | None = None
    dispatched_ms: int | None = None
    closed_ms: int | None = None
    outcome: str = "help-given"
    answer_repeats: bool = True  # a repeated alarm gets the last answer once more
    tells_heard: bool = True  # an answer says which press the centre has heard of


@dataclass
class Case:
    """One incident as the centre knows it."""

    id: str
    topic: str
    first_us: int
    raised_us: int  # by the column's own `age_ms`
    first: dict[str, Any]
    copies: int = 0
    press: int = 0
    late: bool = False
    states: list[str] = field(default_factory=list)


class Centre:
    """Subscribes to everything. `violations` holds each message that breaks the contract."""

    def __init__(self, timeline: Timeline, trace: Trace, broker: Broker, policy: Policy | None = None) -> None:
        self.policy = Policy() if policy is None else policy
        self.ledger: dict[str, Case] = {}
        self.violations: list[str] = []
        self.latest: dict[str, dict[str, Any]] = {}  # last payload of each topic but alarm
        self.events: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self.births: list[dict[str, Any]] = []
        self.on_alarm: list[Callable[[Case, dict[str, Any]], None]] = []
        self.on_birth: list[Callable[[dict[str, Any]], None]] = []
        self.heartbeats = 0
        self._timeline = timeline
        self._trace = trace
        self._broker = broker
        self._commands = 0
        broker.on_publish.append(self._check)
        broker.subscribe("sos/v1/#", self._received)

    # -- answers and commands

    def answer(self, ident: str, state: str, outcome: str | None = None) -> None:
        """Send one acknowledgement, for a case of the ledger."""
        case = self.ledger[ident]
        case.states.append(state)
        by = SOFTWARE if state == "received" else OPERATOR
        body: dict[str, Any] = {"v": 1, "id": ident, "state": state, "by": by}
        if self.policy.tells_heard:
            body["heard"] = case.press
        if state == "closed":
            body["outcome"] = outcome or self.policy.outcome
        self._send(case.topic.rsplit("/", 1)[0] + "/ack", body)

    def command(self, root: str, cmd: str, expires: str, **more: Any) -> str:
        """Send a command to the device whose topics begin with `root` (".../"); returns its id."""
        self._commands += 1
        ident = f"cmd-{self._commands}"
        self._send(root + "cmd", {"v": 1, "id": ident, "cmd": cmd, "expires": expires, **more})
        return ident

    def _send(self, topic: str, body: dict[str, Any]) -> None:
        payload = json.dumps(body).encode()
        self._trace.add("centre", topic, payload)
        self._broker.publish(Publish(topic, payload, 1, False))

    # -- what comes in

    def _check(self, message: Publish) -> None:
        try:
            retain = message.retain or None  # where sessions end at retained messages, a column does without the flag
            validator.validate(message.topic, message.payload, qos=message.qos, retain=retain)
        except validator.ContractError as error:
            self.violations.append(str(error))
            self._trace.add("violation", "contract", str(error))

    def _received(self, message: Publish) -> None:
        kind = message.topic.split("/")[4]
        if not message.payload:
            self.latest.pop(message.topic, None)
            return
        try:
            body = json.loads(message.payload)
        except ValueError:
            return  # recorded by _check
        if kind == "alarm":
            self._alarm(message.topic, body)
        elif kind == "heartbeat":
            self.heartbeats += 1
            self.latest[message.topic] = body
        else:
            self.latest[message.topic] = body
            {"event": self.events, "result": self.results, "info": self.births}.get(kind, []).append(body)
            if kind == "info":
                for listener in self.on_birth:
                    listener(body)

    def _alarm(self, topic: str, body: dict[str, Any]) -> None:
        ident, now_us = body["id"], self._timeline.now_us
        case = self.ledger.get(ident)
        if case is None:
            case = Case(ident, topic, now_us, now_us - body["age_ms"] * US_PER_MS, body)
            self.ledger[ident] = case
            self._schedule(case)
        elif case.states and self.policy.answer_repeats:
            state = case.states[-1]
            self._timeline.after(0, lambda: self.answer(ident, state))
        case.copies += 1
        case.press = max(case.press, body["press"])
        case.late = case.late or body["late"]
        for listener in self.on_alarm:
            listener(case, body)

    def _schedule(self, case: Case) -> None:
        policy = self.policy
        plan = {
            "received": policy.received_ms,
            "accepted": policy.accepted_ms,
            "dispatched": policy.dispatched_ms,
            "closed": policy.closed_ms,
        }
        for state, delay_ms in plan.items():
            if delay_ms is not None:
                self._timeline.after(delay_ms * US_PER_MS, lambda state=state: self.answer(case.id, state))  # type: ignore[misc]
