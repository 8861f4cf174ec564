"""One command, understood and obeyed, or refused in words: expired, repeated, unknown, malformed. Then forgotten.

A command counts for an hour at most, and a restart comes once in an hour, whoever asks for it: it leaves its time and
the ids of the last commands on flash, so that neither is forgotten by what it brings about.
"""

import json

from firmware import record, rfc3339
from firmware.rfc3339_parse import parse
from firmware.timing import Deadline

ID_MAX_CHARS = 64
REMEMBERED = 16
MAINTAIN_MAX_S = 43200
AHEAD_MAX_MS = 3600000
RESTART_FILE = "restart.rec"  # {"at": Unix ms, "seen": [ids]}
_RESTART_EVERY_MS = 3600000
# Harmless, or proven by what they are about: they may come to a column whose clock was never set.
_WITHOUT_CLOCK = ("report", "identify", "renew")
_IDENTIFY_MS = 10000
_RESTART_MS = 1000  # lets the result reach the broker first
_UPDATE_NEEDS_BYTES = 12288  # of free heap, as in firmware/update/task.py


def receive(commands, payload: bytes) -> None:
    try:
        body = json.loads(payload.decode())
        ident, command = body["id"], body["cmd"]
        if body["v"] != 1 or not isinstance(ident, str) or not 1 <= len(ident) <= ID_MAX_CHARS:
            raise ValueError("v or id")
        ident.encode()  # raises for half a surrogate pair, which could not be answered
        expires_ms = parse(body["expires"])
        if commands.authentic and not commands.authentic.is_sealed(commands.topic(), payload):
            raise ValueError("not proven to be the centre's")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        return commands.refuse("", "malformed command (%s)" % error)
    why = _objection(commands, ident, command, expires_ms) or _replay(commands, body)
    if why is not None:
        return commands.refuse(ident, why)
    commands.seen = commands.seen[-REMEMBERED + 1 :] + [ident]
    error, detail, now = _TABLE[command](commands, ident, body)
    if error is not None:
        commands.refuse(ident, error)
    elif now:
        commands.answer(ident, None, detail)


def _objection(commands, ident, command, expires_ms):
    clock = commands.clock
    if not isinstance(command, str) or command not in _TABLE:
        return "unknown command, must be one of %s" % ", ".join(sorted(_TABLE))
    if ident in commands.seen or ident in _kept(commands)["seen"]:
        return "repeated command"
    if clock.source == "none":
        return None if command in _WITHOUT_CLOCK else "clock unset: cannot tell whether the command has expired"
    if clock.now_ms() > expires_ms:
        return "expired at %s" % rfc3339.text(expires_ms)
    if expires_ms - clock.now_ms() > AHEAD_MAX_MS:
        return "expires more than %d s from now" % (AHEAD_MAX_MS // 1000)
    return None


def _replay(commands, body):
    """A proven command counts once, and in the boot that it was meant for: power cuts bring none back."""
    try:
        return commands.authentic.objection(body) if commands.authentic else None
    except (KeyError, TypeError, ValueError):
        return "malformed command (n)"


def _kept(commands):
    """What the last restart by command left behind."""
    try:
        good, _ = record.split(commands.board.flash.read(RESTART_FILE) or b"")
        body = json.loads(good[0].decode())
        if type(body["at"]) is int and isinstance(body["seen"], list):
            return body
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        pass
    return {"at": None, "seen": []}


def _report(commands, *_):
    column = commands.actions.column
    column.telemetry.report()
    detail = {"open": column.incidents.open_ids()}  # a centre tells by it a call from a replayed one
    if column.messages.authentic:
        detail["proves"] = ("info", "fault", "event")  # beside the kinds that were always proven
    return None, detail, True


def _identify(commands, *_):
    commands.actions.identify.start(_IDENTIFY_MS)
    return None, None, True


def _selftest(commands, *_):
    return None, commands.actions.column.self_test(), True


def _drill(commands, ident, body):
    actions = commands.actions
    if actions.drill_command is not None:
        return "refused: a drill is under way", None, False
    actions.drill_command = ident
    actions.column.incidents.start_drill("exercise" if body.get("status") == "exercise" else "test")
    return None, None, False  # answered when the test alarm came back, or did not


def _maintain(commands, _, body):
    """The lamp sends people elsewhere, and presses are sent all the same."""
    for_s = body.get("for_s")
    if type(for_s) is not int or not 0 <= for_s <= MAINTAIN_MAX_S:
        return "for_s: must be an integer from 0 to %d" % MAINTAIN_MAX_S, None, False
    commands.actions.maintenance = Deadline(commands.board, for_s * 1000) if for_s else None
    return None, None, True


def _restart(commands, *_):
    actions = commands.actions
    if actions.column.incidents.count():
        return "refused: an incident is open", None, False
    now_ms, last_ms = commands.clock.now_ms(), _kept(commands)["at"]
    if last_ms is not None and abs(now_ms - last_ms) < _RESTART_EVERY_MS:
        return "refused: restarted by command at %s, and once in an hour is enough" % rfc3339.text(last_ms), None, False
    entry = json.dumps({"at": now_ms, "seen": commands.seen}).encode()
    try:
        commands.board.flash.replace(RESTART_FILE, record.frame(entry))
    except OSError as error:  # it would be obeyed again, after each restart
        return "refused: the flash cannot note it: %s" % error, None, False
    actions.restart.start(_RESTART_MS)
    return None, None, True


def _update(commands, _, body):
    return _fetch(commands, "release", body)


def _renew(commands, _, body):
    return _fetch(commands, "renewal", body)


def _fetch(commands, kind, body):
    """A release, or certificates, from now on, or none any more: see firmware/update/."""
    board = commands.board
    board.collect()
    if board.heap() < _UPDATE_NEEDS_BYTES:
        return "refused: too little memory is free", None, False
    try:
        from firmware.update.order import obey

        return obey(board, commands.actions.column, kind, body.get(kind)), None, True
    finally:
        board.forget(*["firmware.update." + module for module in ("order", "task", "signature", "state")])


_TABLE = {
    "report": _report,
    "identify": _identify,
    "selftest": _selftest,
    "drill": _drill,
    "restart": _restart,
    "update": _update,
    "renew": _renew,
    "maintain": _maintain,
}
