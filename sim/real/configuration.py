"""`python -m sim config`: print a complete configuration, checked by the firmware's own validator."""

import argparse
import contextlib
import json
import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from firmware.startup import config as firmware_config
from firmware.startup import pins
from sim.chip.options import CHIPS
from sim.document import document
from sim.real.command import unheard

PETROPAVL = (54.8753, 69.1628)
EXIT_USAGE = 2


class ConfigurationError(ValueError):
    """The arguments give no valid configuration; one line per trouble."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--device-id", required=True, metavar="ID", help="1 to 32 of a-z, 0-9 and -")
    add("--region", required=True, metavar="R", help="1 to 32 of a-z, 0-9 and -")
    add("--broker", required=True, metavar="HOST:PORT", help="the MQTT broker; an IPv6 address in [brackets]")
    add("--ca", type=Path, metavar="FILE", help="PEM of the broker's authority; without it: no TLS")
    add("--cert", type=Path, metavar="FILE", help="PEM of the column's certificate")
    add("--key", type=Path, metavar="FILE", help="PEM of the column's private key")
    add("--server-name", metavar="NAME", help="the name in the broker's certificate, when it is not HOST")
    add("--keepalive", type=int, default=12, metavar="S", help="MQTT keepalive (default: %(default)s)")
    add(
        "--lat",
        type=float,
        default=PETROPAVL[0],
        metavar="DEG",
        help="latitude, WGS-84 (default: %(default)s)",
    )
    add("--lon", type=float, default=PETROPAVL[1], metavar="DEG", help="longitude (default: %(default)s)")
    add("--address", default="Петропавл, Конституция көшесі 1", help="in words (default: %(default)s)")
    add("--site", choices=("public", "school"), default="public", help="(default: %(default)s)")
    add("--rtsp", metavar="URI", help="the camera's stream (default: rtsp://cameras.example/ID)")
    add("--user", metavar="NAME", help="MQTT user")
    add("--password", metavar="TEXT", help="MQTT password")
    add("--wifi-ssid", default="sos-columns", metavar="NAME", help="Wi-Fi network (default: %(default)s)")
    add("--wifi-password", metavar="TEXT", help="8 to 63 characters (default: an open network)")
    add("--chip", choices=CHIPS, default="esp32", help="whose default pins to use (default: %(default)s)")


def main(arguments: argparse.Namespace, said: Callable[[str], str] = str) -> int:
    """`said` turns a text into the person's language."""
    try:
        document = make(arguments)
    except ConfigurationError as error:
        print(said(f"error: {error}"), file=sys.stderr)
        return EXIT_USAGE
    _for_its_owner_only(sys.stdout)
    try:
        print(json.dumps(document, ensure_ascii=False, indent=2), flush=True)
    except OSError as error:
        return unheard(error, said)
    return 0


def _for_its_owner_only(stream: TextIO) -> None:
    """`sim config ... > column.json`: passwords and keys go into a file that the shell made for everybody."""
    with contextlib.suppress(OSError):  # no file of ours, or none at all
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            os.fchmod(stream.fileno(), 0o600)


def make(arguments: argparse.Namespace) -> dict[str, Any]:
    """The whole document, with its secrets. Raises ConfigurationError."""
    host, port = _endpoint(arguments.broker)
    rtsp = arguments.rtsp or f"rtsp://cameras.example/{arguments.device_id}"
    made = document(
        arguments.device_id,
        host,
        port,
        region=arguments.region,
        location={
            "geo": f"geo:{arguments.lat},{arguments.lon};u=5",
            "address": arguments.address,
            "site": arguments.site,
        },
        stream={"rtsp": rtsp},
        broker={"keepalive_s": arguments.keepalive, **_security(arguments)},
        pins=pins.defaults(arguments.chip),
        secrets={
            "wifi_ssid": arguments.wifi_ssid,
            "wifi_password": arguments.wifi_password,
            "mqtt_user": arguments.user,
            "mqtt_password": arguments.password,
            "tls_key": _text("--key", arguments.key),
        },
    )
    _, errors = firmware_config.validate(made, arguments.chip)
    if errors:
        raise ConfigurationError("these arguments make no valid configuration:\n  " + "\n  ".join(errors))
    return made


def _endpoint(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([^:\s\[\]]+)):(\d{1,5})", text)
    if not found:
        raise ConfigurationError(f"--broker: found {text!r}, must be HOST:PORT such as 127.0.0.1:8883")
    return found[1] or found[2], int(found[3])


def _security(arguments: argparse.Namespace) -> dict[str, Any]:
    if (arguments.cert is None) != (arguments.key is None):
        raise ConfigurationError("--cert and --key belong together: give both or neither")
    if arguments.ca is None:
        if arguments.cert is not None or arguments.server_name is not None:
            raise ConfigurationError("--cert, --key and --server-name need --ca beside them")
        return {"tls": None, "insecure": True}
    tls = {
        "ca": _text("--ca", arguments.ca),
        "cert": _text("--cert", arguments.cert),
        "server_name": arguments.server_name,
    }
    return {"tls": tls, "insecure": arguments.cert is None}


def _text(option: str, path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{option}: {error}; must be a PEM file") from error
