"""A real column on MicroPython and a real desk, with mosquitto and somebody with its password between them, who plays
back all that he hears and invents what he likes."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from column_probe import PATIENCE_S, Recorder, need
from duty_rig import topic_of, until
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from common.mqtt import end
from desk import origin
from desk.column_keys import ColumnKeys
from desk.duty import Duty
from desk.mqtt_client import utc
from desk.register import Register
from sim.document import document
from sim.real.column import RealColumn
from sim.servers.broker import Mosquitto

pytestmark = [pytest.mark.micropython, pytest.mark.mosquitto]
ME, KEY = "probe-01", bytes(range(32))


class Liar:
    """Knows the broker's password, and no key."""

    def __init__(self, broker: Mosquitto) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._ready = threading.Event()
        self._mqtt = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="liar")
        self._mqtt.on_connect = self._subscribe
        self._mqtt.on_subscribe = lambda *_: self._ready.set()
        self._mqtt.on_message = lambda client, data, message: self.heard.append((message.topic, bytes(message.payload)))
        self._mqtt.connect(broker.host, broker.port)
        self._mqtt.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def _subscribe(self, *_: object) -> None:
        self._mqtt.subscribe("sos/v1/#", 1)

    def say(self, kind: str, payload: bytes | dict[str, Any]) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self._mqtt.publish(topic_of(ME, kind), data, 1).wait_for_publish(PATIENCE_S)

    def said(self, kind: str) -> list[bytes]:
        return [payload for topic, payload in self.heard if topic == topic_of(ME, kind)]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in map(json.loads, self.said("event")) if event["event"] == name]

    def stop(self) -> None:
        end(self._mqtt)


def test_whoever_has_the_broker_can_drop_and_delay_and_nothing_else(tmp_path: Path) -> None:
    """Red with any of the guards that tests/firmware/test_authentic.py and test_origin.py name; here they meet."""
    need("micropython32")
    need("mosquitto")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"v": 1, "columns": {ME: KEY.hex()}}))
    keys.chmod(0o600)
    seen = Recorder()
    with Mosquitto() as broker, Register(tmp_path / "register.sqlite") as register:
        configuration = document(
            ME, broker.host, broker.port, broker={"believed": False}, secrets={"auth_key": KEY.hex()}
        )
        liar = Liar(broker)
        with (
            Duty(register, broker.host, broker.port, keys=ColumnKeys(keys)) as duty,
            RealColumn(configuration, runtime="micropython32", on_event=seen) as column,
        ):
            duty.wait_connected(PATIENCE_S)
            column.power_on()
            seen.wait("lamp", state="ready")
            until(lambda: duty.origin(ME) == origin.PROVEN, "proof that the column lives")
            column.press(120)
            seen.wait("lamp", state="answered")
            one = until(lambda: next(iter(register.incidents()), None), "call")
            assert one["origin"] == origin.PROVEN
            ident = str(one["id"])
            # The relay's end, and the desk's screen.
            closed = {"v": 1, "id": ident, "state": "closed", "heard": 1, "press": 1, "outcome": "false", "by": "x"}
            liar.say("ack", closed)
            liar.say("ack", liar.said("ack")[0].replace(b'"received"', b'"accepted"'))
            # A restart, a drill, and the desk's own question once more.
            liar.say("cmd", {"v": 1, "id": "c-1", "cmd": "restart", "expires": utc(2_000_000_000_000)})
            liar.say("cmd", liar.said("cmd")[0])
            # Another press of this call, an invented call, and the very call again.
            alarm = json.loads(liar.said("alarm")[0])
            liar.say("alarm", {**alarm, "press": 9})
            liar.say("alarm", {**alarm, "id": f"{ME}-{alarm['n'][0]}-99"})
            liar.say("alarm", liar.said("alarm")[0])
            until(lambda: len(liar.events("ack-refused")) >= 2, "the column's refusal of both answers")
            until(lambda: len(liar.events("command-refused")) >= 2, "the column's refusal of both commands")
            until(lambda: len(register.incidents()) == 2, "the invented call")
            invented, genuine = sorted(register.incidents(), key=lambda row: row["id"] == ident)
            assert (genuine["state"], genuine["press"], genuine["origin"]) == ("received", 1, origin.PROVEN)
            assert invented["origin"] == origin.FORGED
            refused = [line["why"] for line in register.violations()]
            assert sum("nobody with the key" in why for why in refused) >= 3, refused
            # What the centre itself says still counts, and nothing that was seen above did.
            duty.close(ident, "help-given", "operator 1")
            seen.wait("relay", closed=False)
            events = seen.events
        liar.stop()
    shown = [event["state"] for event in events if event["event"] == "lamp"]
    assert "help-coming" not in shown and not [event for event in events if event["event"] == "reset"], shown
