"""Some minutes of one column and one desk with the liar between them: presses, drills, operators, commands, power cuts,
desks that begin again with and without their register; and at last an honest broker."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from paho.mqtt import client as mqtt

from common.receiver import key_of
from desk.column_keys import ColumnKeys
from desk.ledger import Incident, LedgerError
from desk.silence import Limits
from desk.upkeep.roster import parse
from sim.search.lying.liar import Liar
from sim.search.lying.promises import Judge
from sim.virtual.centre import Policy
from sim.virtual.configuration import config_with
from sim.virtual.desk import Air, VirtualDesk
from sim.virtual.mqtt_wire import Publish
from sim.virtual.timeline import US_PER_MS, dice
from sim.virtual.world import World

ME, REGION = "petropavl-01", "nko"
ROOT = f"sos/v1/{REGION}/{ME}/"
KEY, DESKS_KEY = bytes(range(32)), bytes(range(1, 33))
CENTRE = "nko-102"
LYING_S, HONEST_S = 600, 150
DARK_S = 240  # longer than DEAD_AFTER_S
LIMITS = Limits(beats=1.0)  # a broker that drops heartbeats makes them rare: two minutes at most
LOOK_US = 500 * US_PER_MS
PUBACK_US = 20 * US_PER_MS
SILENT = Policy(received_ms=None, answer_repeats=False)  # the world's own centre says nothing
OPERATOR = "operator 1"
NEXT = {"received": "accepted", "accepted": "dispatched", "dispatched": "closed"}
ORDERS = ("identify", "drill", "report", "selftest", "restart", "restart")


class _Air(Air):
    """What the desk sends goes to the liar."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self._life = life

    def publish(self, topic: str, payload: bytes, qos: int) -> mqtt.MQTTMessageInfo:
        info = super().publish(topic, payload, qos)
        self._life.desk_says(topic, payload, info.mid)
        return info


class Life:
    """`folder`: for the desk's files. `judge` has what was broken."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self._dice, self._folder = seed, dice(seed, "lying"), folder
        folder.mkdir(parents=True, exist_ok=True)
        config = config_with(
            broker={"believed": False},
            receiver={"name": CENTRE},
            relay={"limit_s": 86_400},
            selftest={"drill_s": self._dice.choice((120, 300))},
            secrets={"auth_key": KEY.hex(), "answer_key": key_of(DESKS_KEY, ME).hex()},
        )
        self.world = World(seed, config, policy=SILENT)
        self.desk = self._desk(config["location"])
        self.judge = Judge(self.world, self.desk)
        self.liar = Liar(
            self.world.timeline, random.Random(self._dice.random()), ROOT, self._to_column, self._to_desk,
            self.world.true_epoch_ms,
        )  # fmt: skip
        self.world.broker.on_publish.append(self._column_says)
        self._registers = 0
        self._lost_with_registers: Counter[str] = Counter()

    def _desk(self, location: dict[str, Any]) -> VirtualDesk:
        keys = self._folder / "keys.json"
        keys.write_text(json.dumps({"v": 1, "columns": {ME: KEY.hex()}}))
        keys.chmod(0o600)
        row = {"device_id": ME, "region": REGION, "address": location["address"], "site": location["site"],
               "geo": location["geo"], "stream": ["rtsp"]}  # fmt: skip
        roster = parse({"v": 1, "centre": CENTRE, "columns": [row]}, "a liar's town")
        register = self._folder / "register-0.sqlite"
        now_ms = self.world.true_epoch_ms()
        return VirtualDesk(register, now_ms, roster, DESKS_KEY, LIMITS, keys=ColumnKeys(keys), air=_Air(self))

    # What is said

    def _column_says(self, message: Publish) -> None:
        self.judge.column_said(message.topic, message.payload)
        self.liar.carry("desk", message.topic, message.payload, False)

    def desk_says(self, topic: str, payload: bytes, mid: int) -> None:
        self.judge.desk_said(topic, json.loads(payload))
        self.liar.carry("column", topic, payload)
        self.world.timeline.after(PUBACK_US, lambda: self.desk.duty._answers.on_taken(mid))

    def _to_column(self, topic: str, payload: bytes, retain: bool) -> None:
        self.world.broker.publish(Publish(topic, payload, 1, retain))  # what is retained comes again with each session

    def _to_desk(self, topic: str, payload: bytes, retain: bool) -> None:
        self.desk.now_ms = self.world.true_epoch_ms()
        self.judge.hears(topic, payload, lambda: self.desk.deliver(topic, payload, retain))

    # What happens

    def perform(self) -> None:
        """Live, lied to; then honestly."""
        self.desk.begin()
        try:
            self._plan()
            self.world.run(LYING_S * 1000)
            self._make_honest()
            self.world.run(HONEST_S * 1000)
            self.judge.at_the_end()
        finally:
            self.desk.end()

    @property
    def fired(self) -> Counter[str]:
        return self.liar.fired + self._lost_with_registers

    def _plan(self) -> None:
        draw, at = self._dice, self.world.at
        self._look()
        for _ in range(draw.randint(3, 6)):
            at(draw.uniform(20, LYING_S) * 1000, self.world.press)
        for _ in range(draw.randint(2, 5)):
            at(draw.uniform(60, LYING_S) * 1000, self._order)
        for _ in range(draw.randint(0, 3)):
            at_s = draw.uniform(20, LYING_S)
            at(at_s * 1000, lambda: self.world.tamper(True))
            at((at_s + draw.uniform(1, 90)) * 1000, lambda: self.world.tamper(False))
        for _ in range(draw.randint(0, 2)):
            self._power_cut(draw.uniform(60, LYING_S - 60), draw.choice((1, 5, 20)))
        if draw.random() < 0.3:
            self._power_cut(draw.uniform(100, LYING_S - DARK_S - 10), DARK_S)
        for _ in range(draw.randint(1, 3)):
            at(draw.uniform(60, LYING_S - 10) * 1000, self._begin_again)

    def _power_cut(self, at_s: float, for_s: float) -> None:
        self.world.at(at_s * 1000, self.world.power_off)
        self.world.at((at_s + for_s) * 1000, self.world.power_on)

    def _begin_again(self) -> None:
        """The desk is killed; the first time, and every other one, its register is lost, too."""
        self.desk.end()
        if self._registers == 0 or self._dice.random() < 0.5:
            self._registers += 1
            self._lost_with_registers["register lost"] += 1
            self.desk.path = self._folder / f"register-{self._registers}.sqlite"
            self.judge.register_begins()
        self.desk.now_ms = self.world.true_epoch_ms()
        self.desk.begin()

    def _look(self) -> None:
        """The desk's, the operator's and the judge's, twice a second."""
        self.desk.now_ms = self.world.true_epoch_ms()
        self.desk.tick()
        self._operate()
        self.judge.look()
        self.world.timeline.after(LOOK_US, self._look)

    def _operate(self) -> None:
        """An operator takes what there is, one step now and then; towards the end nobody closes the call."""
        if not self.liar.lies:
            return
        for incident in list(self.desk.duty._ledger.incidents.values()):
            if not incident.actual or not incident.is_open or self._dice.random() > 0.03:
                continue
            self._next_step(incident)

    def _next_step(self, incident: Incident) -> None:
        duty, state = self.desk.duty, NEXT.get(incident.state)
        if state is None:
            return
        self.judge.operator_does(incident.id, state)
        if state == "accepted":
            duty.accept(incident.id, OPERATOR)
        elif state == "dispatched":
            duty.dispatch(incident.id, OPERATOR)
        else:
            duty.close(incident.id, "help-given", OPERATOR)

    def _order(self) -> None:
        command = self._dice.choice(ORDERS)
        try:
            self.desk.duty.command(ME, command, OPERATOR)
        except LedgerError:  # it has not been heard of yet
            return

    def _make_honest(self) -> None:
        self.liar.lies = False
        self.world.power_on()
        self.world.at((LYING_S + HONEST_S / 2) * 1000, self.world.press)
