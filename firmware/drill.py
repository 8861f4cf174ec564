"""The end of a drill: who answered it, for which place? Held against what this column was provisioned with, and told;
then forgotten.

The centre signs its answer (docs/contract.md, `receiver`) with a key that only it and this column have.
"""

from binascii import hexlify, unhexlify

from firmware.hmac import digest, pads

_NEAR = 0.003  # degrees: some 300 m; a geo URI has its own uncertainty


def ended(board, column, incident, answered: bool, detail: dict):
    """Raise and clear the faults, add to `detail`, tell the event. Why the drill failed, in words, or None."""
    why = None
    if answered:
        name, key = column.centre
        wanted = name, unhexlify(key) if key else None
        verdict, receiver, place = judge(column.said, wanted, column.messages.location, incident.id)
        if not column.messages.authentic:  # else proofs have it in memory anyway
            board.forget("firmware.hmac")
        column.faults.set("wrong-receiver", receiver)
        column.faults.set("wrong-address", place)
        if verdict == "wrong":
            why = "the test alarm was answered by the wrong centre, or for another place"
        detail["receiver"], detail["flash"] = verdict, flash(board)
    column.telemetry.event("drill", dict(detail, id=incident.id, answered=answered))
    return why


def flash(board) -> str:
    """Whether the file system takes a file: what a call's journal needs."""
    from firmware.selftest import flash as tried

    said = tried(board)
    board.discard("firmware.selftest")
    return said


def judge(said, wanted, location, ident: str):
    """(verdict, wrong-receiver, wrong-address): `right`, `unproven` or `wrong`, and the faults' details or None.

    `said`: the answer's `receiver`, as hostile as it may be; `wanted`: (name, key) as provisioned, each may be None."""
    if not isinstance(said, dict):
        return "unproven", None, None
    name, address, geo, sig = [said.get(key) for key in ("name", "address", "geo", "sig")]
    if not all(isinstance(text, str) for text in (name, address, geo)):
        return "unproven", None, None
    wanted_name, key = wanted
    receiver = place = None
    if wanted_name is not None and name != wanted_name:
        receiver = "answered by %s, not by %s" % (name[:40], wanted_name)
    elif key is not None and sig is not None and sig != sign(key, ident, name, address, geo):
        receiver = "answered in the name of %s, with a wrong signature" % name[:40]
    if address != location["address"] or _is_far(geo, location["geo"]):
        place = "it shows %s, %s" % (address[:60], geo[:40])
    if receiver or place:
        return "wrong", receiver, place
    is_proven = wanted_name is not None and key is not None and sig is not None
    return "right" if is_proven else "unproven", None, None


def sign(key: bytes, ident: str, name: str, address: str, geo: str) -> str:
    text = "\n".join((ident, name, address, geo)).encode()
    return hexlify(digest(pads(key), text)).decode()


def _is_far(one, other):
    try:
        here, there = [[float(number) for number in geo[4:].split(";")[0].split(",")[:2]] for geo in (one, other)]
        return abs(here[0] - there[0]) > _NEAR or abs(here[1] - there[1]) > _NEAR
    except (ValueError, IndexError):
        return True
