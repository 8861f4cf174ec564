"""New certificates for the key that this column has: fetched, and tried only if they can be right.

A package is one JSON object, {"v", "device_id", "number", "ca", "cert", "n", "mac"}: whom to trust (one authority, or
two during a change), and who we are. `mac` is made with a key that only this column and the machine that provisioned it
can derive, from the column's own TLS key: neither broker nor desk has it. `number` rises, so that no package comes
twice: an older one might bring back an authority that is trusted no more. No signature of an authority is checked here.
TLS does it: with a session the certificates are good (proving.py), without one the column goes back to those before.
"""

import json
from binascii import a2b_base64
from hashlib import sha256

from firmware import const, record
from firmware.proven import Proven
from firmware.startup import certificate, renewed
from firmware.startup.pem import in_force
from firmware.startup.seal import SECRETS_FILE, path
from firmware.update import pieces, state

KEY_OF = b"sos renewal\0"  # what the key is derived with
TOPIC = b"renewal/"  # and the column's id: what the proof is about
_AUTHORITIES_MAX = const(2)
_RESTART_MS = const(1000)
_LOADED = ["firmware.startup." + module for module in ("certificate", "renewed", "pem", "seal")]
_LOADED += ["firmware.startup", "firmware.proven", "firmware.authentic", "firmware.hmac", "firmware.rfc3339_parse"]


def work(board, update):
    flash, entry, column = board.flash, update.entry, update.column
    try:
        yield from pieces.listen(update)
        yield from pieces.get(board, update, "renewal", entry["bytes"], entry["digest"])
        own = yield from _own(flash, column)
        made = _judged(flash, column, own, flash.read(state.PART_FILE))
    finally:
        board.forget(*_LOADED)
    made["digest"], made["tries"] = entry["digest"], 0
    yield 0
    flash.replace(renewed.RENEWAL_FILE, record.frame(json.dumps(made).encode()))
    entry["state"] = state.TRIAL  # no sooner: else nothing goes on before the next start
    column.actions.restart.start(_RESTART_MS)
    board.log("certificates: new ones are on trial")
    try:
        state.write(flash, entry)
        flash.remove(state.PART_FILE)
    except OSError as error:  # the file that is there decides, see proving.py
        board.log("certificates: %s" % error)


def _own(flash, column):
    """Ends with the certificate in force."""
    text = ""
    for piece in in_force(flash, column, b'"cert"'):
        text += piece
        yield 0
    return certificate.Certificate(a2b_base64(text))


def _judged(flash, column, own, payload):
    """What is put on trial. Raises ValueError: why not."""
    ident, tls, clock = column.messages.device_id, column.uplink.config["tls"], column.clock
    secrets = json.loads(flash.read(path(column.folder, SECRETS_FILE)).decode())
    key = sha256(KEY_OF + secrets["tls_key"].encode()).digest()
    if not Proven(key, 0).is_sealed(TOPIC + ident.encode(), payload):
        raise ValueError("not made for this column by whoever provisioned it")
    body = json.loads(payload.decode())
    if body["v"] != 1 or body["device_id"] != ident:
        raise ValueError("not for this column")
    before = renewed.read(flash, renewed.RENEWED_FILE)
    if type(body["number"]) is not int or before is not None and body["number"] <= before["number"]:
        raise ValueError("older than the certificates in force")
    now_ms = clock.floor_ms if clock.source == "none" else clock.now_ms()
    ends_ms = _end(own, list(certificate.read(body["cert"])), list(certificate.read(body["ca"])), clock.floor_ms)
    if ends_ms <= now_ms:
        raise ValueError("certificates that have ended")
    of = tls["digest"] if not tls["source"] else before["of"]
    return {"number": body["number"], "of": of, "ends_ms": ends_ms, "ca": body["ca"], "cert": body["cert"]}


def _end(own, found, authorities, floor_ms):
    """Until when sessions are possible with them."""
    if len(found) != 1 or found[0].subject != own.subject or found[0].public_key != own.public_key:
        raise ValueError("a certificate of another name or another key")
    if found[0].ends_ms < own.ends_ms:
        raise ValueError("a certificate that ends before the one in force")
    if not 1 <= len(authorities) <= _AUTHORITIES_MAX:
        raise ValueError("must have one or two authorities, has %d" % len(authorities))
    if [one for one in authorities if one.begins_ms > floor_ms]:  # where a column without network time stands
        raise ValueError("an authority that begins after the floor of this column's clock")
    return min(found[0].ends_ms, max([one.ends_ms for one in authorities]))
