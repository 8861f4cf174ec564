# mypy: ignore-errors
# ruff: noqa: I001, PTH102, PTH123, PTH208, SIM105, UP031
"""The next life on what a cut left: does the column come up, with every press, and raise the next alarm?"""

from firmware import record
from firmware.incident import RECEIVED

from .board import Board, End
from .column import SERVICE, boot, mount
from .nor import Nor
from .witness import Witness, complaints

_RELEASE_MS = 30  # whoever held the button lets go
_PRESS_MS = 150
_PRESS_LENGTH_MS = 60
_HEALTHY_MS = 1200  # every life's `watchdog.healthy_s` is 1: its writes after a cut are checked as well
_LIMIT_MS = 20000
_TRIAL_MS = 50000  # new certificates on trial, which no broker takes: a call ends that after 30 s, by a restart
_BOOTS_MAX = 2
_LATE = "too late"
_RESET = "reset"


def check(order: dict, nor: Nor, boot_source: str) -> dict:
    """{"wrong": [...], "remains": programs over what the cut left, "simulated_s"}. `order`: known, sizes, full (so
    that some writes are refused), damaged (lines that were broken before), offered."""
    try:
        mount(nor, order["sizes"])
    except OSError as error:
        wrong = ["boots: the file system cannot be mounted (%s)" % error]
        return {"wrong": wrong, "remains": nor.refused, "simulated_s": 0}
    known = order["known"]
    witness = Witness(known)
    witness.closed_contact = known["held"]
    offered = order["offered"] or {}
    script = [[_RELEASE_MS, "release", None]] if known["held"] else []
    limit_ms = _TRIAL_MS if "known" in offered else _LIMIT_MS
    script += [[_PRESS_MS, "press", _PRESS_LENGTH_MS], [limit_ms, "end", _LATE]]
    wrong, us = [], 0
    for _ in range(_BOOTS_MAX):
        board = Board(witness, script, "power-on", device=order["device"], offered=order["offered"])
        board.on_turn = lambda: _turn(board, witness, known)  # noqa: B023
        came, why = boot(board, boot_source)
        us += board.us
        if why == _RESET and came:  # a trial has ended; somebody presses once more
            wrong += _came_up(came, known, order["damaged"], board, offered)
            known = dict(witness.known(), doubtful=known["doubtful"])
            witness = Witness(known)
        elif why != SERVICE:  # the technician's one boot without a column
            break
    wrong += _came_up(came, known, order["damaged"], board, offered)
    if came:
        wrong += _alarm(came, why, witness) + ([] if order["full"] else _troubles(board))
    if came and not wrong:
        mount(nor, order["sizes"])
        wrong += _durable(witness, board) + _whole(offered)
    return {"wrong": wrong, "remains": nor.refused, "simulated_s": us / 1000000}


def _turn(board, witness, known) -> None:
    """The centre answers from the new press on; the check is over when the person was told."""
    if witness.made > known["made"]:
        board.answer_new = "received"
    if board.us >= _HEALTHY_MS * 1000 and board.told and witness.lamp in ("answered", "help-coming"):
        raise End("told")


def _whole(offered) -> list:
    """The folder in force is the old firmware or the new one, and nothing between."""
    if "folders" not in offered:
        return []
    with open("active") as file:
        folder = file.read(1)
    for name, text in offered["folders"][folder].items():
        try:
            with open(folder + "/" + name, "rb") as file:
                found = file.read()
        except OSError:
            found = None
        if found != (text.encode() if isinstance(text, str) else bytes(text)):
            return ["half: %s/%s is not as it was released, and in force" % (folder, name)]
    return []


def _came_up(came, known, damaged, board, offered) -> list:
    if came is None:
        return ["boots: no column came up: %s" % board.logged[-2:]]
    wrong = complaints(known, came.restored, came.number, came.mark)
    if came.certificates not in offered.get("pairs", (came.certificates,)):
        wrong.append("certificates: %s are in force, which nobody gave to it" % came.certificates)
    if came.quarantined > damaged:
        wrong.append("torn: %d damaged records in the journal" % (came.quarantined - damaged))
    return wrong


def _alarm(came, why, witness) -> list:
    """It raises what it restored, and the new press; and the person is told."""
    wrong = []
    if why == _LATE:
        wrong.append("alarms: nobody was told within %d s (lamp: %s)" % (_LIMIT_MS // 1000, witness.lamp))
    sent = {ident: press for ident, press, _ in witness.published}
    for ident, _, state in came.restored:
        if state < RECEIVED and ident not in sent:
            wrong.append("alarms: restored incident %s was not sent again" % ident)
    if not any(press > came.presses.get(ident, 0) for ident, press in sent.items()):
        wrong.append("alarms: the new press was not sent")
    return wrong


def _troubles(board) -> list:
    """What a flash that has room must not make the column say."""
    return ["boots: %s" % line for line in board.logged if "died" in line or "cannot be" in line][:1]


def _durable(witness, board) -> list:
    """What was sent last is on flash, read by a file system that was mounted anew."""
    ident, press, _ = witness.published[-1]
    records, _ = record.split(board.flash.read("journal.log") or b"")
    wanted = (('"id": "%s"' % ident).encode(), ('"n": %d' % press).encode())
    if not any(all(part in entry for part in wanted) for entry in records):
        return ["lost: press %d of %s after the restart is not on flash" % (press, ident)]
    return []
