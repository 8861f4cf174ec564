"""Certificates that came over the air: do they take the place of the configuration's? Loaded where there are some.

Two files, each a framed record with {"digest": of the package, "number", "of", "ends_ms", "ca", "cert"}: `tls.good`,
which had a session, and `tls.new`, which is on trial ({..., "tries": boots on it}). `of` is the fingerprint of the
configuration's own certificates: flash others by cable, and what came over the air for those before counts no more.
"""

import json

from firmware import const, record

RENEWAL_FILE, RENEWED_FILE = "tls.new", "tls.good"

_TRIES_MAX = const(3)  # boots; the trial itself ends in one of them, unless the power goes again and again


def read(flash, name: str):
    """The record as a dict, or None: none, or not readable."""
    try:
        good, _ = record.split(flash.read(name) or b"")
        entry = json.loads(good[0].decode())
        if type(entry["number"]) is type(entry["ends_ms"]) is int and entry["ca"] + entry["cert"] + entry["of"]:
            return entry
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        pass
    return None


def start(board, config, mode: str) -> None:
    """Change the configuration's section `tls`, and note there from which file they are; the digest is the caller's."""
    tls, name = config["broker"]["tls"], RENEWAL_FILE
    entry = None if mode == "safe" else _on_trial(board, tls["digest"])
    if entry is None:
        entry, name = read(board.flash, RENEWED_FILE), RENEWED_FILE
        if entry is None or entry["of"] != tls["digest"]:
            return
    tls["ca"], tls["cert"], tls["source"] = entry["ca"], entry["cert"], name
    config["clock"]["latest_s"] = entry["ends_ms"] // 1000


def give_up(board) -> None:
    """What was on trial is forgotten."""
    try:
        board.flash.remove(RENEWAL_FILE)
    except OSError as error:
        board.log("certificates: %s" % error)


def _on_trial(board, own):
    if not board.flash.size(RENEWAL_FILE):
        return None
    entry = read(board.flash, RENEWAL_FILE)
    try:
        if entry is not None and entry["of"] == own and entry["tries"] < _TRIES_MAX:
            entry["tries"] += 1
            board.flash.replace(RENEWAL_FILE, record.frame(json.dumps(entry).encode()))
            return entry
    except (OSError, KeyError, TypeError) as error:  # a trial that cannot be counted would have no end
        board.log("certificates: not tried: %s" % error)
    give_up(board)
    return None
