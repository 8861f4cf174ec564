"""Settles on a configuration that the board takes."""

from firmware.startup import config as configuration
from firmware.startup import config_files


def configure(board, folder: str):
    """(configuration without its certificates or None, origin, errors); the board is configured in any case.

    `folder`: of the firmware in force, see boot.py.
    `origin`: {"digest": of the configuration file, "source": see config.load}. Without a configuration: whether the
    board refused a valid one. That may be the hardware's fault (mbedTLS calls a certificate invalid when it has no
    memory), so that a reset is worth a try.
    """
    config, source, errors = configuration.load(board.flash, board.chip, folder)
    refused = False
    while config is not None:
        try:
            board.configure(config)
            _drop_certificates(config)
            return config, _origin(board, folder, source), errors
        except (OSError, ValueError, TypeError) as error:
            errors = errors + ["pins, link or certificates: the board refused them: %s" % error]
            refused = True
        config, source = configuration.last_good(board.flash, board.chip) if source == "current" else (None, "none")
    board.configure(configuration.fallback(board.chip))
    return None, refused, errors


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
