"""The column: walks an alarm through its parts, which firmware/startup/assembly.py puts together.

contact -> debouncer -> incident -> journal -> uplink -> broker; the answer comes the same road back to the incident,
and the lamp only ever reads the incident.
"""

import json

from firmware import const, resets
from firmware.incident import ACK_STATES
from firmware.timing import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware.button import Button
    from firmware.clock import Clock
    from firmware.commands import Actions, Commands
    from firmware.faults import Faults
    from firmware.incidents import Incidents
    from firmware.journal import Journal
    from firmware.lamp import Lamp
    from firmware.link import LinkKeeper
    from firmware.messages import Messages
    from firmware.outbox import Outbox
    from firmware.relay import Relay
    from firmware.supervisor import Supervisor
    from firmware.uplink import Uplink

_HEALTH_MS = const(2000)
_LISTENS_MAX_S = const(300)
_CERTIFY_MS = const(30000)  # between looks at a boot that runs long enough, and has had no session yet


class Column:
    """`boot`: what boot.py found out: {"number": int, "mode": "normal" | "safe", "unhealthy": int}.

    `config`: a validated configuration, of which each part keeps what it needs; `origin`: {"digest", "source"} of it;
    `errors`: what was wrong with the current one.
    In safe mode only what an alarm needs is run: no clock, no heartbeat, no commands.
    """

    name = "column"
    every_turn = True  # the lamp follows an answer or a PUBACK in the same turn

    if TYPE_CHECKING:  # its parts
        number: int  # of this boot
        lamp: Lamp
        relay: Relay
        outbox: Outbox
        clock: Clock
        faults: Faults
        journal: Journal
        incidents: Incidents
        messages: Messages
        actions: Actions
        commands: Commands
        uplink: Uplink
        button: Button
        link: LinkKeeper
        supervisor: Supervisor
        centre: tuple  # (name, key in hex) with which the right centre answers a drill; each may be None
        said: Any  # by whoever answered last: who it is

    def __init__(self, board, boot: dict, config: dict, origin: dict, errors: list):
        self._board = board
        self.boot = boot
        self.origin = origin
        self._stuck_s = config["button"]["stuck_s"]
        self.wipe_after_s = config["tamper"]["wipe_after_s"]
        self.last_reset = resets.last(board)
        self.ack_topic = b""
        self._healthy = Deadline(board, config["watchdog"]["healthy_s"] * 1000)
        self._listens = Deadline(board)  # running: somebody at the centre hears the place
        self._first_session = True
        self.folder = boot.get("folder", "")  # of the firmware in force
        self.update: Any = None  # firmware/update/task.py or trial.py, while there is one
        self.authentic: Any = None  # with it, answers and commands have to be proven
        self.lock: Any = None  # of the console, where the fleet asks for codes
        self.telemetry: Any = None
        self.drills: Any = None  # nor are there any in safe mode
        self.looks: Any = None  # at the stream: where there is room for them
        self.console: Any = None  # likewise
        from firmware.startup.assembly import assemble  # gives us the rest, and is forgotten: 2 KB

        assemble(self, board, config, errors)
        del assemble
        board.discard("firmware.startup.assembly", "firmware.startup")

    def run(self) -> None:
        """Never returns."""
        self._board.log("column: armed")
        self.supervisor.run()

    # -- the way of an alarm

    def _pressed(self, age_ms, in_stall):
        self.lamp.show("calling")
        self._make_room(True)
        incident = self.incidents.press(age_ms)  # on flash when it returns
        self.relay.close()
        self._board.log("press: incident %s press %d" % (incident.id, incident.press))
        self.uplink.kick()
        self.supervisor.hurry()
        if in_stall:
            self.telemetry.event("press-in-stall", {"id": incident.id, "age_ms": age_ms})

    def _make_room(self, for_alarm):
        """A look at the stream takes 3 KB, an answer on the console 5, which on a small heap are the alarm's."""
        if self.looks:
            self.looks.give_up()
        if self.console and for_alarm:
            self.console.make_room()
        if self.update:
            self.update.make_room()

    def alarm(self, incident):
        self._make_room(incident.status == "actual")
        return self.messages.alarm(incident, self.faults.ids())

    def heard(self, topic, payload, retained) -> None:
        """Whatever the broker sends. Only an acknowledgement of an open incident can change what the lamp says.

        The broker keeps neither for us: what is retained was said to somebody else, at another time."""
        if retained:
            self._command_refused("", "retained on ...%s" % topic.decode()[-4:])
        elif topic == self.ack_topic:
            self._acknowledgement(payload)
        elif topic == self.messages.topic("cmd"):
            self.commands.receive(payload)
        elif self.update and topic == self.messages.topic("piece"):
            self.update.take(payload)
        else:
            self._board.log("uplink: message on a foreign topic ignored")

    def _acknowledgement(self, payload):
        try:
            body = json.loads(payload.decode())
            ident, state, heard = body["id"], body["state"], body.get("heard")
            if body["v"] != 1 or state not in ACK_STATES or not isinstance(ident, str):
                raise ValueError("v, id or state")
            if heard is not None and not (type(heard) is int and heard > 0):
                raise ValueError("heard")
            if self.authentic and not (heard and self.authentic.is_sealed(self.ack_topic, payload)):
                raise ValueError("not proven to be the centre's")
            unanswered = state == "received" and bool(body.get("unanswered_s"))
            listens_s = body.get("listening_s")
            self.said = body.get("receiver")
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError, MemoryError) as error:
            self.telemetry.event("ack-refused", "malformed: %s" % error)
            return
        if self.incidents.answered(ident, state, heard, unanswered):
            self._board.log("answer: %s %s" % (ident, "unanswered" if unanswered else state))
            if type(listens_s) is int and 0 <= listens_s <= _LISTENS_MAX_S:
                if not self.authentic or self.authentic.is_newest(body):
                    self._listens.start(listens_s * 1000)

    def _incident_closed(self, incident):
        if self.incidents.current() is None:
            self.relay.open()
            self._listens.stop()
        self.telemetry.event("call-ended", {"id": incident.id})

    def step(self) -> int:
        """The lamp's state from the incident; health; a restart that was asked for."""
        incident = self._show()
        if self._healthy.expired() and (self.update is None or self.update.may_certify()):
            self._healthy.start(_CERTIFY_MS)
            if resets.certify(self._board, self.number, not self._first_session):
                self._healthy.stop()
        if self.actions.restart_due():
            self._board.log("restart: by command")
            self._board.scratch.write(resets.crumb("", self.supervisor.clock_trusted))  # nobody is to blame
            self._board.reset()
        self._look_around()
        return incident.lamp_changes_in_ms(self._listens.left_ms(_HEALTH_MS)) if incident else _HEALTH_MS

    def is_certified(self) -> bool:
        """This boot was found healthy, and what it runs with is there to stay."""
        return not self._healthy.running()

    def _show(self):
        """Called for each step of an incident: no state is skipped, however fast the next one follows."""
        incident = self.incidents.current()
        if self._listens.expired():
            self._listens.stop()
        self.lamp.show(self._lamp_state(incident), incident is not None and self._listens.running())
        return incident

    def _lamp_state(self, incident):
        maintenance = self.actions.maintenance
        if maintenance and not maintenance.expired():  # also while somebody presses: nobody at the desk hears it
            return "out-of-service"
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

    def _counter_failed(self, why):
        self._board.log("button: the pulse counter is no debouncer any more: %s" % why)
        self.telemetry.event("counter-failed", {"why": why})
        if self.uplink.is_up():
            self.telemetry.report()

    def _look_around(self):
        is_open, was_open = self._board.tamper_open(), self.faults.has("tamper")
        self.faults.set("tamper", "the housing is open" if is_open else None)
        if self.wipe_after_s and (is_open or was_open):
            try:
                from firmware.wiping import look

                look(self._board, self, is_open)
            except MemoryError:  # with the next look
                pass
        if self.uplink.is_up():
            topic = self.uplink.unheard()
            what = "no answer" if topic == self.ack_topic else "no command"
            self.faults.set("not-subscribed", "%s can arrive: %s refused" % (what, topic.decode()) if topic else None)
            self.faults.set("broker-refuses", self.uplink.refusal)
            self.faults.set("duplicate-id", self.uplink.rival)

    def _fault_changed(self, ident, fault):
        if self.telemetry is not None:
            self.telemetry.fault(ident, fault)

    def _clock_set(self):
        self.incidents.clock_set()
        self.supervisor.trust_clock()
        self.faults.set("clock-unset", None)
        try:
            from firmware import expiry  # looks at it, and is forgotten: the clock is set once an hour

            expiry.look(self)
        except MemoryError:  # in an hour, then
            pass
        self._board.discard("firmware.expiry")

    def session_began(self) -> None:
        self.telemetry.announce()
        self.faults.publish_all(self._first_session)
        self._first_session = False
        if self.looks:
            self.looks.online()
        self.telemetry.report()  # the longest message comes last, when the others have given their memory back

    def _command_refused(self, ident, why):
        self._board.log("command: %r refused: %s" % (ident, why))
        self.telemetry.event("command-refused", {"id": ident[:36], "why": why})

    def _drill_ended(self, incident, answered):
        self.faults.set("drill-unanswered", None if answered else "no answer to %s" % incident.id)
        if self.drills:
            self.drills.ended(answered)
        if self.update:
            self.update.drilled(answered)
        why = None if answered else "the centre did not answer the test alarm"
        detail = {"round_trip_ms": incident.age.ms()}
        try:
            from firmware.drill import ended  # who answered, for which place? 2 KB, forgotten again

            why = ended(self._board, self, incident, answered, detail) or why
        except MemoryError:  # then nothing is proven
            pass
        self._board.discard("firmware.drill")
        self.said, command = None, self.actions.drill_ended()
        if command is not None:
            self.commands.answer(command, why, detail)

    # -- what it says about itself

    def _birth(self):
        """See birth.py, which is in memory only meanwhile."""
        self._make_room(False)
        try:
            from firmware.birth import birth

            return birth(self, self._board)
        finally:
            self._board.discard("firmware.birth")

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
            "reset": self.last_reset["cause"],
            "open_incidents": self.incidents.count(),
            "supply_mv": self._board.supply_mv(),
            "faults": self.faults.ids(),
        }

    def self_test(self) -> dict:
        """See firmware/selftest.py, which is in memory only meanwhile."""
        try:
            from firmware.selftest import examine

            return examine(self._board, self)
        finally:
            self._board.discard("firmware.selftest")
