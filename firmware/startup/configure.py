"""Settles on a configuration that the board takes."""

from binascii import hexlify
from hashlib import sha256

from firmware import const
from firmware.startup import config as configuration
from firmware.startup import config_files

_RENEWAL_FILE = const("tls.new")  # see renewed.py
_RENEWED_FILE = const("tls.good")
_PIECE = const(256)


def configure(board, folder: str, mode: str = "normal"):
    """(configuration without its certificates or None, origin, errors); the board is configured in any case.

    `folder`: of the firmware in force, see boot.py. In safe `mode` no certificates are tried.
    `origin`: {"digest": of the configuration file, "source": see config.load}. Without a configuration: whether the
    board refused a valid one. That may be the hardware's fault (mbedTLS calls a certificate invalid when it has no
    memory), so that a reset is worth a try.
    """
    if board.flash.size(config_files.WIPE_FILE) and (errors := _wiped(board, folder)):
        return None, False, errors
    config, source, errors = configuration.load(board.flash, board.chip, folder)
    refused = False
    while config is not None:
        tls = config["broker"]["tls"]
        try:
            if tls:
                tls["source"] = ""
                tls["digest"] = _digest(tls["ca"], tls["cert"] or "")
                if board.flash.size(_RENEWAL_FILE) or board.flash.size(_RENEWED_FILE):
                    from firmware.startup import renewed  # newer ones, which came over the air

                    renewed.start(board, config, mode)
                    board.discard("firmware.startup.renewed")
                    if tls["source"]:
                        tls["digest"] = _digest(tls["ca"], tls["cert"])
            board.configure(config)
            _drop_certificates(config)
            return config, _origin(board, folder, source), errors
        except (OSError, ValueError, TypeError) as error:
            if tls and tls["source"] == _RENEWAL_FILE:  # without it, then
                mode = "safe"
                board.log("certificates: the board refused the new ones: %s" % error)
                config, source, _ = configuration.load(board.flash, board.chip, folder)
                continue
            errors = errors + ["pins, link or certificates: the board refused them: %s" % error]
            refused = True
        config, source = configuration.last_good(board.flash, board.chip) if source == "current" else (None, "none")
    board.configure(configuration.fallback(board.chip))
    return None, refused, errors


def _digest(*texts):
    """Of the certificates in use, in pieces: a copy of them all takes 4 KB, and may be left over for the column."""
    found = sha256()
    for text in texts:
        for at in range(0, len(text), _PIECE):
            found.update(text[at : at + _PIECE].encode())
    return hexlify(found.digest()).decode()[:16]


def _wiped(board, folder):
    """Why a column whose keys were wiped is none; None: somebody has provisioned it anew."""
    from firmware.startup.wiped import why

    reason = why(board, folder)
    if not reason:
        return None
    board.configure(configuration.fallback(board.chip))
    return [reason]


def _drop_certificates(config):
    """The board has taken them; as PEM texts they would take several KB for nothing."""
    config["secrets"]["tls_key"] = None
    tls = config["broker"]["tls"]
    if tls:
        tls["ca"] = tls["cert"] = None


def _origin(board, folder, source):
    try:
        config_files.put_on_trial(board.flash, folder, source)
    except OSError as error:
        board.log("configuration: cannot be kept as good: %s" % error)
    return {"digest": config_files.digest(board.flash, folder), "source": source}
