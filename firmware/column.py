"""The column: puts its parts together and walks an alarm through them.

contact -> debouncer -> incident -> journal -> uplink -> broker; the answer comes the same road back to the incident,
and the lamp only ever reads the incident.
"""

import json

from firmware import resets
from firmware.button import Button
from firmware.clock import Clock
from firmware.commands import Actions, Commands
from firmware.faults import Faults
from firmware.incident import ACK_STATES
from firmware.incidents import Incidents
from firmware.journal import Journal
from firmware.lamp import Lamp
from firmware.link import LinkKeeper
from firmware.messages import Messages
from firmware.outbox import Outbox
from firmware.packets import Packets
from firmware.relay import Relay
from firmware.supervisor import Supervisor
from firmware.telemetry import Telemetry
from firmware.timing import Deadline
from firmware.uplink import Uplink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HEALTH_MS = 2000


class Column:
    """`boot`: what boot.py found out: {"number": int, "mode": "normal" | "safe", "unhealthy": int}.

    `config`: a validated configuration, of which each part keeps what it needs; `origin`: {"digest", "source"} of it;
    `errors`: what was wrong with the current one.
    In safe mode only what an alarm needs is run: no clock, no heartbeat, no commands.
    """

    name = "column"
    every_turn = True  # the lamp follows an answer or a PUBACK in the same turn

    def __init__(self, board, boot: dict, config: dict, origin: dict, errors: list):
        self._board = board
        self._boot = boot
        self._stuck_s = config["button"]["stuck_s"]
        self._origin = origin
        self._safe = boot["mode"] == "safe"
        self._reset = resets.last(board)
        self._healthy = Deadline(board, config["watchdog"]["healthy_s"] * 1000)
        self._first_session = True
        self.lamp = Lamp(board)
        self.lamp.show("out-of-service")  # until we know better
        self.relay = Relay(board, config["relay"]["limit_s"])
        self.relay.open()
        self.outbox = Outbox()
        self.telemetry: Any = None
        self.clock = Clock(board, config["clock"], self._reset["clock_trusted"], self._clock_set)
        self.faults = Faults(self.clock, board.log, self._fault_changed)
        self._restore(config)
        self._connect_parts(config)
        self._first_faults(errors)

    def run(self) -> None:
        """Never returns."""
        self._board.log("column: armed")
        self.supervisor.run()

    # -- putting it together

    def _restore(self, config):
        """Journal and incidents, as the last boot left them."""
        board = self._board
        self.journal = Journal(board, self.faults.set)
        self.incidents = Incidents(
            board, config, self.journal, self.clock, self._incident_closed, self._drill_ended, self._show
        )
        self.incidents.restore(self.journal.restore(), self._boot["number"])
        self.number = number = self.incidents.boot
        cause, culprit = self._reset["cause"], self._reset["culprit"]
        board.log("boot: number=%d cause=%s mode=%s culprit=%s" % (number, cause, self._boot["mode"], culprit))
        if self.incidents.count():
            board.log("boot: %d incident(s) open from before" % self.incidents.count())
            if cause != "power-on":  # seconds ago, so the caller is still there; after a power cut nobody can tell
                self.relay.close()

    def _connect_parts(self, config):
        board = self._board
        self.messages = Messages(config, self.clock, self.number)
        self.telemetry = Telemetry(
            board, self.messages, self.outbox, config["telemetry"]["heartbeat_s"], self._birth, self._figures
        )
        self.actions = Actions(board, self)
        self.commands = Commands(
            board, self.messages, self.outbox, self.clock, self.actions.table, self._command_refused
        )
        self.uplink = self._make_uplink(config)
        self.telemetry.uplink = self.uplink
        self.button = Button(
            board, config["button"], self._pressed, self.incidents.released, self._stuck, self.incidents.held
        )
        self.link = LinkKeeper(board, config["link"]["restart_after_s"], self.uplink.down_ms)
        tasks = [self.button, self.uplink, self.incidents, self, self.lamp, self.relay, self.link]
        if not self._safe:
            tasks += [self.telemetry, self.clock, self.commands]
        self.supervisor = Supervisor(board, self.button, tasks, config["watchdog"]["timeout_s"] * 1000)
        if self.clock.source != "none":
            self.supervisor.trust_clock()

    def _make_uplink(self, config):
        messages = self.messages
        user, password = config["secrets"]["mqtt_user"], config["secrets"]["mqtt_password"]
        coder = Packets(
            config["device_id"].encode(),
            user.encode() if user else None,
            password.encode() if password else None,
            config["broker"]["keepalive_s"],
            messages.topic("state"),
            messages.state(False),
        )
        self._ack_topic = messages.topic("ack")
        subscriptions = (self._ack_topic,) if self._safe else (self._ack_topic, messages.topic("cmd"))
        return Uplink(
            self._board,
            config,
            coder,
            self.incidents,
            self.outbox,
            lambda incident: messages.alarm(incident, self.faults.ids()),
            {"alarm": messages.topic("alarm"), "subscribe": subscriptions},
            self._session_began,
            self._message,
            lambda: self.button.wants_calm(),
        )

    def _first_faults(self, errors):
        if errors:
            for error in errors:
                self._board.log("configuration: %s" % error)
            self.faults.set("config", "running on %s: %s" % (self._origin["source"], errors[0]))
        if self._safe:
            self.faults.set("boot-loop", "%d boots in a row did not become healthy" % self._boot["unhealthy"])
        if self.clock.source == "none":
            self.faults.set("clock-unset", "no time since power-up")
        if self.journal.quarantined:
            self.telemetry.event("journal-quarantined", {"records": self.journal.quarantined})
        self.telemetry.event("boot", {"number": self.number, "cause": self._reset["cause"]})

    # -- the way of an alarm

    def _pressed(self, age_ms, in_stall):
        self.lamp.show("calling")
        incident = self.incidents.press(age_ms)  # on flash when it returns
        self.relay.close()
        self._board.log("press: incident %s press %d" % (incident.id, incident.press))
        self.uplink.kick()
        self.supervisor.hurry()
        if in_stall:
            self.telemetry.event("press-in-stall", {"id": incident.id, "stall_ms": age_ms})

    def _message(self, topic, payload):
        """Whatever the broker sends. Only an acknowledgement of an open incident can change what the lamp says."""
        if topic == self._ack_topic:
            self._acknowledgement(payload)
        elif topic == self.messages.topic("cmd"):
            self.commands.receive(payload)
        else:
            self._board.log("uplink: message on a foreign topic ignored")

    def _acknowledgement(self, payload):
        try:
            body = json.loads(payload.decode())
            ident, state = body["id"], body["state"]
            if body["v"] != 1 or state not in ACK_STATES or not isinstance(ident, str):
                raise ValueError("v, id or state")
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError, MemoryError) as error:
            self.telemetry.event("ack-refused", "malformed: %s" % error)
            return
        if self.incidents.answered(ident, state):
            self._board.log("answer: %s %s" % (ident, state))

    def _incident_closed(self, incident):
        if self.incidents.current() is None:
            self.relay.open()
        self.telemetry.event("call-ended", {"id": incident.id})

    def step(self) -> int:
        """The lamp's state from the incident; health; a restart that was asked for."""
        incident = self._show()
        if self._healthy.expired():
            self._healthy.stop()
            resets.certify(self._board, self.number)
        if self.actions.restart_due():
            self._board.log("restart: by command")
            self._board.scratch.write(resets.crumb("", self.supervisor.clock_trusted))  # nobody is to blame
            self._board.reset()
        self._look_around()
        return incident.lamp_changes_in_ms(_HEALTH_MS) if incident else _HEALTH_MS

    def _show(self):
        """Called for each step of an incident: no state is skipped, however fast the next one follows."""
        incident = self.incidents.current()
        self.lamp.show(self._lamp_state(incident))
        return incident

    def _lamp_state(self, incident):
        if incident is not None:
            return incident.lamp()
        if self.actions.identifying():
            return "identify"
        if not self.uplink.is_up() or self.button.is_stuck:
            return "out-of-service"
        return "ready"

    # -- what the parts report

    def _stuck(self, is_stuck):
        self.faults.set("button-stuck", "closed for %d s" % self._stuck_s if is_stuck else None)

    def _look_around(self):
        self.faults.set("tamper", "the housing is open" if self._board.tamper_open() else None)
        if self.uplink.is_up():
            topic = self.uplink.unheard()
            what = "no answer" if topic == self._ack_topic else "no command"
            self.faults.set("not-subscribed", "%s can arrive: %s refused" % (what, topic.decode()) if topic else None)

    def _fault_changed(self, ident, fault):
        if self.telemetry is not None:
            self.telemetry.fault(ident, fault)

    def _clock_set(self):
        self.incidents.clock_set()
        self.supervisor.trust_clock()
        self.faults.set("clock-unset", None)

    def _session_began(self):
        self.telemetry.announce()
        self.faults.publish_all(self._first_session)
        self._first_session = False

    def _command_refused(self, ident, why):
        self._board.log("command: %s refused: %s" % (ident, why))
        self.telemetry.event("command-refused", {"id": ident[:36], "why": why})

    def _drill_ended(self, incident, answered):
        self.faults.set("drill-unanswered", None if answered else "no answer to %s" % incident.id)
        command = self.actions.drill_ended()
        if command is not None:
            error = None if answered else "the centre did not answer the test alarm"
            self.commands.answer(command, error, {"round_trip_ms": incident.age.ms()})

    # -- what it says about itself

    def _birth(self):
        return self.messages.info(self._board, self._origin, self._reset, self._boot["mode"], self._capabilities())

    def _capabilities(self):
        has = ["relay"]
        if self._board.contact.counts:
            has.append("edge-counter")
        if self._board.tamper_open() is not None:
            has.append("tamper")
        if self._board.supply_mv() is not None:
            has.append("supply")
        return has

    def _figures(self):
        link = self._board.link.describe()
        self._board.collect()
        free = self._board.heap()
        self._heap_min = min(free, getattr(self, "_heap_min", free))
        return {
            "heap_free": free,
            "heap_min": self._heap_min,
            "rssi_dbm": link["rssi_dbm"],
            "link": link["kind"],
            "queue": self.incidents.waiting(),
            "reset": self._reset["cause"],
            "open_incidents": self.incidents.count(),
            "supply_mv": self._board.supply_mv(),
            "faults": self.faults.ids(),
        }

    def self_test(self) -> dict:
        """Figures a technician wants; writes and reads back one small file."""
        probe = b"selftest"
        try:
            self._board.flash.replace("selftest.tmp", probe)
            flash = "ok" if self._board.flash.read("selftest.tmp") == probe else "reads back wrong"
            self._board.flash.remove("selftest.tmp")
        except OSError as error:
            flash = str(error)
        return {
            "flash": flash,
            "flash_free": self._board.flash.free_bytes(),
            "heap_free": self._board.heap(),
            "button": "stuck" if self.button.is_stuck else "ok",
            "faults": self.faults.ids(),
        }
