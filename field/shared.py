"""fleet.toml: what all columns of a table share. A key that nobody reads is refused, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from firmware.startup import config, hosts, pins

PORT = 8883  # of MQTT over TLS
NAME_MAX_BYTES = 64  # of a certificate's common name: X.520's ub-common-name, as cryptography counts it
_NAMES = {("authority", "name"): NAME_MAX_BYTES, ("desk", "centre"): 128}  # the firmware's own of receiver.name
# Sections of a configuration that the table or a section of fleet.toml's own fills.
_FILLED = {"v", "device_id", "region", "location", "stream", "broker", "link", "pins", "receiver", "secrets"}
WIFI_OF_LINK = ("country", "netmask", "gateway", "dns")  # keys of [wifi] that belong to the link of those that have it
_KEYS = tuple(key for key, *_ in config._RULES)  # what a configuration may hold
SECTIONS = ("authority", "broker", "desk", "clock", "wifi", "links", "pins", "updates", "common")
PUBLIC = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?")
PUBLIC_MAX = 80  # characters: more make a QR code that no telephone reads on a label


def check(shared: Mapping[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """Everything that is wrong with it but for values that the firmware's validator judges."""
    return [*_sections(shared), *_keys(shared), *_hosts(shared), *_names(shared), *_updates(shared)]


def _of_firmware(section: str) -> set[str]:
    return {key.split(".")[1] for key in _KEYS if key.startswith(f"{section}.")}


def _sections(shared: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, value in shared.items():
        if name not in SECTIONS:
            yield (name,), f"unknown section [{name}], must be one of {', '.join(SECTIONS)}"
        elif not isinstance(value, dict):
            yield (name,), f"[{name}] must be a section with keys below it"
        elif name in ("links", "pins"):
            for profile, keys in value.items():
                if not isinstance(keys, dict):
                    yield (name, profile), f"[{name}.{profile}] must be a section with keys below it"


def _section(shared: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = shared.get(name)
    return found if isinstance(found, dict) else {}


def _keys(shared: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    read = {
        "authority": {"name"},
        "desk": {"centre", "public"},
        "broker": (_of_firmware("broker") - {"tls", "insecure"}) | {"hosts", "server_name", "centre_port"},
        "clock": _of_firmware("clock"),
        "updates": {"keys"},
        "wifi": {"ssid", "open", *WIFI_OF_LINK},
        "common": {key.split(".")[0] for key in _KEYS} - _FILLED - ({"clock"} if "clock" in shared else set()),
    }
    for section, keys in read.items():
        for key in _section(shared, section):
            if key not in keys:
                yield (section, key), f"[{section}] {key}: nobody reads it, must be one of {', '.join(sorted(keys))}"
    for kind, keys in (("links", _of_firmware("link")), ("pins", {"chip", *pins.defaults("esp32")})):
        for profile, values in _section(shared, kind).items():
            for key in values if isinstance(values, dict) else ():
                if key not in keys:
                    text = f"[{kind}.{profile}] {key}: nobody reads it, must be one of {', '.join(sorted(keys))}"
                    yield (kind, profile, key), text


def _hosts(shared: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    broker = _section(shared, "broker")
    right = "must be a DNS name or an IP address, without scheme, port and blanks"
    if "host" not in broker:
        yield ("broker",), "[broker] host is missing, must be the name or address of the MQTT broker"
    more = broker.get("hosts", [])
    if not isinstance(more, list):
        yield ("broker", "hosts"), f"[broker] hosts: found {more!r}, must be a list of names and addresses"
        more = []
    named = [(key, broker.get(key)) for key in ("host", "server_name")] + [("hosts", one) for one in more]
    for key, host in named:
        if key in broker and not hosts.is_host(host):
            yield ("broker", key), f"[broker] {key}: found {host!r}, {right}"
    centre_port = broker.get("centre_port", 1)
    if type(centre_port) is not int or not 1 <= centre_port <= 65535 or centre_port == broker.get("port", PORT):
        yield ("broker", "centre_port"), f"[broker] centre_port: found {centre_port!r}, must be a port other than port"
    server = _section(shared, "clock").get("server")
    if server is not None and not hosts.is_host(server):
        yield ("clock", "server"), f"[clock] server: found {server!r}, {right}"


def _names(shared: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    for (section, key), most in _NAMES.items():
        name = _section(shared, section).get(key, "x")
        if wrong := wrong_name(name, most):
            yield (section, key), f"[{section}] {key}: {wrong}"
    public = _section(shared, "desk").get("public", "https://x")
    if not isinstance(public, str) or len(public) > PUBLIC_MAX or not PUBLIC.fullmatch(public):
        right = f"must be where people reach the desk, such as https://sos.example, at most {PUBLIC_MAX} characters"
        yield ("desk", "public"), f"[desk] public: found {public!r}, {right}"
    wifi = _section(shared, "wifi")
    if not isinstance(wifi.get("open", False), bool):
        yield ("wifi", "open"), f"[wifi] open: found {wifi['open']!r}, must be true or false"


def wrong_name(name: object, most: int = NAME_MAX_BYTES) -> str:
    """What is wrong with a name that goes into a certificate, or to a column; '' if nothing is."""
    if isinstance(name, str) and name.strip() and name.isprintable() and len(name.encode()) <= most:
        return ""
    return f"found {name!r}, must be printable characters of at most {most} bytes ({most // 2} Cyrillic letters)"


def _updates(shared: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    names = _section(shared, "updates").get("keys", ["x"])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not 1 <= len(names) <= 2:
        text = f"[updates] keys: found {names!r}, must be a list of one or two files with public keys"
        yield ("updates", "keys"), text


def place(text: str, keys: tuple[str, ...]) -> str:
    """Of keys in a TOML text: ':line:column', or '' where they stand in no line of their own."""
    best = ""
    section: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            section = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            if section == keys[: len(section)]:
                best = f":{number}:{header.start(1)}"
        elif found := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            key = (*section, *(part.strip("\"'") for part in found[1].split(".")))
            if key == keys[: len(key)]:
                best = f":{number}:{found.start(1) + 1}"
    return best
