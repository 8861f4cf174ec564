"""Puts a column's parts together: the larger half of its constructor, apart because it is forgotten after the start."""

from binascii import unhexlify

from firmware import const
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
from firmware.packets import Packets
from firmware.relay import Relay
from firmware.resets import UPDATE_FILE
from firmware.supervisor import Supervisor
from firmware.telemetry import Telemetry
from firmware.uplink import Uplink

_RENEWAL_FILE = const("tls.new")  # see renewed.py
# Of free heap before the first session: what that, an alarm and a broker's restart take, and besides:
_DRILLS_BYTES = const(6000)
_DRILLS_IN_PLACE_BYTES = const(2500)  # code in place: what is loaded for a moment takes less, and the heap could grow
_GROWS_BYTES = const(98304)  # of the system's heap: then MicroPython's has not grown yet
_CONSOLE_BYTES = const(11750)
_LOOKS_BYTES = const(13500)


def assemble(column, board, config, errors) -> None:
    """Give `column` its parts: lamp and relay first, then what the last boot left, then what talks to the world."""
    column.lamp = Lamp(board)
    column.lamp.show("out-of-service")  # until we know better
    column.relay = Relay(board, config["relay"]["limit_s"])
    column.relay.open()
    column.centre = config["receiver"]["name"], config["secrets"]["answer_key"]
    column.said = None
    column.outbox = Outbox()
    column.clock = Clock(board, config["clock"], column.last_reset["clock_trusted"], column._clock_set)
    column.faults = Faults(column.clock, board.log, column._fault_changed)
    _restore(column, board, config)
    _connect(column, board, config)
    _first_faults(column, board, errors)


def _restore(column, board, config):
    """Journal and incidents, as the last boot left them."""
    column.journal = Journal(board, column.faults.set)
    column.incidents = incidents = Incidents(
        board, config, column.journal, column.clock, column._incident_closed, column._drill_ended, column._show
    )
    incidents.restore(column.journal.restore(), column.boot["number"])
    board.discard("firmware.startup.restoring")
    column.number = number = incidents.boot
    cause, culprit = column.last_reset["cause"], column.last_reset["culprit"]
    board.log("boot: number=%d cause=%s mode=%s culprit=%s" % (number, cause, column.boot["mode"], culprit))
    if incidents.count():
        board.log("boot: %d incident(s) open from before" % incidents.count())
        if cause != "power-on":  # seconds ago, so the caller is still there; after a power cut nobody can tell
            column.relay.close()


def _connect(column, board, config):
    key, authentic = config["secrets"].get("auth_key"), None
    if key and config["broker"]["believed"]:
        from firmware.authentic import Authentic

        authentic = Authentic(unhexlify(key), column.number)
    elif key:
        from firmware.proven import Proven

        authentic = column.authentic = Proven(unhexlify(key), column.number)
    column.messages = messages = Messages(config, column.clock, column.number, authentic)
    column.telemetry = Telemetry(
        board, messages, column.outbox, config["telemetry"]["heartbeat_s"], column._birth, column._figures
    )
    column.actions = Actions(board, column)
    column.commands = commands = Commands(
        board, messages, column.outbox, column.clock, column.actions, column._command_refused
    )
    commands.authentic = column.authentic
    column.ack_topic = messages.topic("ack")
    column.button = button = Button(
        board,
        config["button"],
        column._pressed,
        column.incidents.released,
        column._stuck,
        column._counter_failed,
        column.incidents.held,
    )
    column.uplink = column.telemetry.uplink = uplink = _uplink(column, board, config)
    column.link = LinkKeeper(
        board, config["link"]["restart_after_s"], uplink.down_ms, column.last_reset["resets"], column
    )
    tasks = [button, uplink, column.incidents, column, column.lamp, column.relay, column.link]
    if not _is_safe(column):
        tasks += [column.telemetry, column.clock, column.commands]
    tasks += _update(column, board) + _comforts(column, board, config)
    column.supervisor = Supervisor(board, button, tasks, config["watchdog"]["timeout_s"] * 1000)
    if column.clock.source != "none":
        column.supervisor.trust_clock()


def _update(column, board):
    """What goes on with the update, or the renewal, that the last boot left, if there is one."""
    if _is_safe(column) or not (board.flash.size(UPDATE_FILE) or board.flash.size(_RENEWAL_FILE)):
        return []
    from firmware.update.resume import resume

    column.update = resume(board, column)
    board.forget(*["firmware.update." + module for module in ("resume", "state", "task", "trial")])
    return [column.update] if column.update else []


def _comforts(column, board, config):
    """What an alarm does not need, where it leaves an alarm its room: drills first, which find a silent failure, then
    the console, then looks at the stream."""
    board.collect()
    free, tasks, lacks = board.heap(), [], []
    if _is_safe(column):
        pass
    elif free < (_DRILLS_BYTES if board.system_heap() < _GROWS_BYTES else _DRILLS_IN_PLACE_BYTES):
        lacks.append("drills")
    else:
        from firmware.drills import Drills

        column.drills = Drills(board, config, column)
        tasks.append(column.drills)
    if free < _CONSOLE_BYTES:
        lacks.append("console")
    elif board.typed(0) is not None:
        tasks += _console(column, board, config)
    if free < _LOOKS_BYTES:
        lacks.append("looks at the stream")
    elif column.drills:
        from firmware.looks import Looks

        column.looks = Looks(board, config, column)
        tasks.append(column.looks)
    if lacks:
        board.log("column: no %s: only %d bytes of heap are free" % (", no ".join(lacks), free))
    return tasks


def _console(column, board, config):
    from firmware.console import Console

    column.console = Console(board, column)
    if config["access"]["code"]:  # never without a console, which alone can open it
        from firmware.lock import Lock

        column.lock = Lock(board, column.number)
    return [column.console]


def _uplink(column, board, config):
    messages = column.messages
    user, password = config["secrets"]["mqtt_user"], config["secrets"]["mqtt_password"]
    coder = Packets(
        config["device_id"].encode(),
        user.encode() if user else None,
        password.encode() if password else None,
        config["broker"]["keepalive_s"],
        messages.topic("state"),
        messages.state(False),
    )
    ack = column.ack_topic
    return Uplink(
        board,
        config,
        coder,
        column.incidents,
        column.outbox,
        {
            "prove": messages.authentic and messages.authentic.leaving,
            "alarm": messages.topic("alarm"),
            "subscribe": (ack,) if _is_safe(column) else (ack, messages.topic("cmd")),
        },
        column,
    )


def _first_faults(column, board, errors):
    if errors:
        for error in errors:
            board.log("configuration: %s" % error)
        column.faults.set("config", "running on %s: %s" % (column.origin["source"], errors[0]))
    if _is_safe(column):
        column.faults.set("boot-loop", "%d boots in a row did not become healthy" % column.boot["unhealthy"])
    if column.clock.source == "none":
        column.faults.set("clock-unset", "no time since power-up")
    if column.journal.quarantined:
        column.telemetry.event("journal-quarantined", {"records": column.journal.quarantined})
    if column.last_reset["resets"]:
        column.telemetry.event("link-reset", {"resets": column.last_reset["resets"], "why": column.last_reset["why"]})
    column.telemetry.event("boot", {"number": column.number, "cause": column.last_reset["cause"]})


def _is_safe(column):
    return column.boot["mode"] == "safe"
