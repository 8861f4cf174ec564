"""The centre on real brokers: it answers what it should, keeps silent when told to, comes back by itself."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from column_probe import need
from contract_examples import example, packed
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from common.identity import Identity
from common.mqtt import end
from contract import validator
from desk.ledger import LedgerError
from sim.servers.authority import Authority
from sim.servers.broker import Broker, EmbeddedBroker, Mosquitto, Tls
from sim.servers.centre import Centre

WAIT_S = 5.0
SHORT_S = 0.3
ALARM_TOPIC, ALARM = example("alarm")
ROOT = ALARM_TOPIC.rpartition("/")[0]
DEVICE = ALARM["device_id"]


class Speaker:
    """Speaks as a column does, word for word, and keeps the answers."""

    def __init__(self, broker: Broker, tls: Identity | None = None) -> None:
        self.heard: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._ready = threading.Event()
        self._mqtt = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=DEVICE)
        if tls is not None:
            self._mqtt.tls_set(str(tls.ca), str(tls.cert), str(tls.key))
        self._mqtt.reconnect_delay_set(1, 1)
        self._mqtt.on_connect = self._subscribe
        self._mqtt.on_subscribe = lambda *args: self._ready.set()
        self._mqtt.on_disconnect = lambda *args: self._ready.clear()
        self._mqtt.on_message = self._hear
        self._mqtt.connect(broker.host, broker.port)
        self._mqtt.loop_start()
        assert self._ready.wait(WAIT_S)

    def _subscribe(self, *_: object) -> None:
        self._mqtt.subscribe([(f"{ROOT}/ack", 1), (f"{ROOT}/cmd", 1)])

    def _hear(self, client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        validator.validate(message.topic, bytes(message.payload), retain=message.retain)
        self.heard.put((message.topic.rpartition("/")[2], json.loads(message.payload)))

    def say(self, kind: str, **changes: Any) -> None:
        assert self._ready.wait(WAIT_S)
        topic, document = example(kind)
        qos, retain = validator.delivery(kind)
        self._mqtt.publish(topic, packed({**document, **changes}), qos, retain).wait_for_publish(WAIT_S)

    def publish(self, payload: bytes, qos: int = 1) -> None:
        self._mqtt.publish(ALARM_TOPIC, payload, qos).wait_for_publish(WAIT_S)

    def answer(self) -> tuple[str, str]:
        """(id, state) of the next acknowledgement."""
        kind, document = self.heard.get(timeout=WAIT_S)
        assert kind == "ack"
        return document["id"], document["state"]

    def close(self) -> None:
        end(self._mqtt)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def centre(broker: EmbeddedBroker) -> Iterator[Centre]:
    with Centre(broker.host, broker.port) as running:
        yield running


@pytest.fixture
def column(broker: EmbeddedBroker) -> Iterator[Speaker]:
    speaker = Speaker(broker)
    yield speaker
    speaker.close()


def test_each_transmission_is_answered_with_the_latest_state(centre: Centre, column: Speaker) -> None:
    incident_id = ALARM["id"]
    column.say("alarm")
    assert column.answer() == (incident_id, "received")
    centre.accept(incident_id, by="desk 1")
    assert column.answer() == (incident_id, "accepted")
    column.say("alarm")
    assert column.answer() == (incident_id, "accepted")
    centre.dispatch(incident_id)
    assert column.answer() == (incident_id, "dispatched")
    centre.close(incident_id, "false")
    kind, ack = column.heard.get(timeout=WAIT_S)
    assert (ack["state"], ack["outcome"], ack["by"]) == ("closed", "false", "operator")
    column.say("alarm")
    assert column.answer() == (incident_id, "closed")
    ledger = centre.ledger()
    assert ledger.incidents[incident_id].transmissions == 3 and not centre.violations


def test_a_silent_centre_answers_nothing_but_its_operator(centre: Centre, column: Speaker) -> None:
    centre.auto = None
    column.say("alarm")
    centre.wait_for(lambda ledger: ledger.incidents, WAIT_S)
    with pytest.raises(queue.Empty):
        column.heard.get(timeout=SHORT_S)
    centre.accept(ALARM["id"])
    assert column.answer() == (ALARM["id"], "accepted")
    centre.auto = "received"
    column.say("alarm")
    assert column.answer() == (ALARM["id"], "accepted")


def test_software_can_take_it_further(centre: Centre, column: Speaker) -> None:
    centre.auto = "dispatched"
    column.say("alarm")
    assert column.answer() == (ALARM["id"], "dispatched")


def test_a_violation_is_kept_and_not_answered(centre: Centre, column: Speaker) -> None:
    column.publish(b"{}")
    column.publish(packed({**ALARM, "status": "real"}))
    column.say("alarm")
    assert column.answer() == (ALARM["id"], "received")
    assert ["status" in violation.why for violation in centre.violations] == [True, True]


def test_commands_reach_a_known_column_and_results_come_back(centre: Centre, column: Speaker) -> None:
    with pytest.raises(LedgerError, match="nobody"):
        centre.command("nobody", "report")
    column.say("heartbeat")
    centre.wait_for(lambda ledger: DEVICE in ledger.columns, WAIT_S)
    command_id = centre.command(DEVICE, "report")
    kind, command = column.heard.get(timeout=WAIT_S)
    assert (kind, command["id"], command["cmd"]) == ("cmd", command_id, "report")
    column.say("result", id=command_id)
    result = centre.wait_for(lambda ledger: ledger.columns[DEVICE].results.get(command_id), WAIT_S)
    assert result["id"] == command_id


def test_it_comes_back_with_the_broker(broker: EmbeddedBroker, centre: Centre, column: Speaker) -> None:
    broker.stop()
    with pytest.raises(TimeoutError, match="nothing"):
        centre.wait_for(lambda ledger: ledger.incidents, SHORT_S, "nothing")
    assert not centre.connected
    broker.start()
    centre.wait_connected(WAIT_S)
    column.say("alarm")
    centre.wait_for(lambda ledger: ledger.incidents, WAIT_S)


def test_starting_without_a_broker_says_so(broker: EmbeddedBroker) -> None:
    broker.stop()
    centre = Centre(broker.host, broker.port)
    with pytest.raises(TimeoutError, match=str(broker.port)):
        centre.start(SHORT_S)


def test_changes_are_announced(broker: EmbeddedBroker, column: Speaker) -> None:
    changed = threading.Semaphore(0)
    with Centre(broker.host, broker.port, on_change=changed.release):
        assert changed.acquire(timeout=WAIT_S)  # connected
        column.say("alarm")
        assert changed.acquire(timeout=WAIT_S)


@pytest.mark.mosquitto
def test_over_mutual_tls_it_also_checks_the_quality_of_service(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    need("mosquitto")
    authority = Authority(tmp_path_factory.mktemp("ca"))
    acl = "user centre\ntopic readwrite #\n\npattern readwrite sos/v1/nko/%u/#"
    with (
        Mosquitto(tls=Tls(authority), acl=acl) as broker,
        Centre(broker.host, broker.port, tls=authority.client("centre"), check_qos=True) as centre,
    ):
        column = Speaker(broker, authority.client(DEVICE))
        column.publish(packed(ALARM), qos=0)
        column.say("alarm")
        assert column.answer() == (ALARM["id"], "received")
        column.say("heartbeat")
        centre.wait_for(lambda ledger: ledger.columns[DEVICE].heartbeat, WAIT_S)
        column.close()
        (violation,) = centre.violations
        assert "QoS" in violation.why


def test_it_may_be_silenced_while_it_answers() -> None:
    """By another thread, as a campaign does. Red where it looks twice: its network's thread would end, unseen."""

    class Silenced(Centre):
        looks = 0

        @property
        def auto(self) -> str | None:
            self.looks += 1
            return "received" if self.looks == 1 else None

        @auto.setter
        def auto(self, state: str | None) -> None: ...

    centre = Silenced("127.0.0.1", 1)
    topic, alarm = example("alarm")
    incident = centre._ledger.take(topic, packed(alarm), 0.0)
    assert incident is not None
    centre._answer_by_itself(incident)
    assert incident.state == "received"
