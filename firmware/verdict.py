"""What the end of a session tells about the broker: see uplink.py, which loads this when one has died young.

A careful session does one thing at a time, so what the broker has not answered is what it ended the session at. Two of
them in a row prove it: a retained message comes without that flag from then on; if it is not that, and for everything
else, the kind of topic is left out, until the sessions have lasted for a while and all of it is tried again.
"""

from firmware.session import CLOSED
from firmware.uplink import kind

RETAINED = b"retained"
_PROOFS = 2
_DUELS = 3  # sessions, in a row, that were ended though nothing was owed: somebody else connects with our id
_AGAIN_DOUBLINGS_MAX = 5


def judge(uplink, session, error, is_old) -> None:
    found = uplink.evidence or {"suspect": b"", "proofs": 0, "duels": 0, "tries": 0, "again_ms": 0}
    if is_old:
        uplink.careful = bool(uplink.refused)
        if uplink.refused:  # in vain, most likely: with a back-off of up to a minute, again after 2 to 64 minutes
            found["tries"] = min(found["tries"] + 1, _AGAIN_DOUBLINGS_MAX)
        uplink.evidence = found if uplink.refused else None
        uplink.refused = {}
        uplink.deaf = b""
        uplink.refusal = uplink.rival = None
        return
    if uplink.careful:
        _convict(uplink, session, error, found)
    found["again_ms"] = uplink.young_ms << 1 + found["tries"]
    uplink.evidence = found
    uplink.careful = True
    uplink.young += 1


def _convict(uplink, session, error, found):
    suspect, is_retained, size = _owed(session)
    was_closed = str(error) == CLOSED or isinstance(error, OSError)
    if not suspect:
        found["duels"] += was_closed
        if found["duels"] >= _DUELS:
            uplink.rival = "the broker ends its sessions for nothing: a second device with this id?"
        return
    found["duels"] = 0
    found["proofs"] = found["proofs"] + 1 if suspect == found["suspect"] else 1
    found["suspect"] = suspect
    refused = uplink.refused
    if found["proofs"] < _PROOFS or suspect in refused:
        return
    found["proofs"] = uplink.young = 0  # the next session is better
    if is_retained and was_closed and RETAINED not in refused:
        refused[RETAINED] = "retained messages"
    else:
        refused.pop(RETAINED, None)  # it is not that, but the topic, or the size
        refused[suspect] = "%s (%d bytes)" % (suspect.decode(), size)
    uplink.refusal = "it ends the session at: " + ", ".join(refused.values())
    if not session.sent and session.subscriptions:
        uplink.deaf = uplink.deaf or session.subscriptions[0]


def _owed(session):
    """(kind, retained?, bytes) of what the broker has not answered for longest; (b"", False, 0): nothing."""
    if not session.sent:
        return kind(session.subscriptions[0] if session.subscriptions else session.once), False, 0
    token, size = session.sent[0].token, len(session.sent[0].packet)
    if len(token) == 2:  # an incident and its press, not an item of the outbox
        return b"alarm", False, size
    return kind(token[0]), token[2], size
