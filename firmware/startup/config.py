"""The configuration: validated whole, before anything is used.

`load` gives the configuration to run on and says where it came from; `validate` is what a host calls as well.
On a device this file is forgotten again once it has done its work (firmware/startup/start.py): it takes 20 KB.
Every error names the key, what was found and what would be right.
"""

import json

from firmware import encoding
from firmware.startup import addresses, config_files, hosts, pins

ID_MAX = 32
ADDRESS_MAX_BYTES = 240
URI_MAX_BYTES = 160
KEY_CHARS = 64  # of HMAC-SHA-256
PLACE_MAX_BYTES = 560  # location and stream together: keeps an alarm below 1,024 bytes
STREAM_SCHEMES = {
    "rtsp": ("rtsp://", "rtsps://"),
    "webrtc": ("http://", "https://"),
    "sip": ("sip:", "sips:"),
    "http": ("http://", "https://"),
}

_REQUIRED = object()


def _int(low, high):
    def check(value):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            return "an integer from %d to %d" % (low, high)

    return check


def _number(low, high):
    def check(value):
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            return "a number from %s to %s" % (low, high)

    return check


def _bool(value):
    if not isinstance(value, bool):
        return "true or false"


def _fits(value, low, high):
    """True for a string of `low` to `high` bytes of UTF-8 (half a surrogate pair has none)."""
    try:
        return isinstance(value, str) and low <= len(value.encode()) <= high
    except UnicodeError:
        return False


def _is_visible(value):
    return all("!" <= c <= "~" for c in value)


def _text(low, high):
    def check(value):
        if not _fits(value, low, high):
            return "a string of %d to %d bytes" % (low, high)

    return check


def _host(value):
    if not hosts.is_host(value):
        return "a DNS name or an IP address, without scheme, port and blanks"


def _hex(value):
    if not _fits(value, KEY_CHARS, KEY_CHARS) or not all(c in "0123456789abcdef" for c in value):
        return "%d lower-case hex digits" % KEY_CHARS


def _one_of(*choices):
    def check(value):
        if not any(type(value) is type(c) and value == c for c in choices):
            return "one of " + ", ".join(repr(c) for c in choices)

    return check


def _optional(check):
    return lambda value: None if value is None else check(value)


def is_id(value) -> bool:
    """[a-z0-9-]{1,32}: what may stand in a topic."""
    if not isinstance(value, str) or not 1 <= len(value) <= ID_MAX:
        return False
    return all(c in "abcdefghijklmnopqrstuvwxyz0123456789-" for c in value)


def _id(value):
    if not is_id(value):
        return "1 to 32 of a-z, 0-9 and -"


def _pem(kind):
    def check(value):
        if not isinstance(value, str) or "-----BEGIN " not in value or kind not in value:
            return "PEM text, '-----BEGIN ...%s-----' and so on" % kind

    return check


def _is_decimal(text, limit=None):
    """[-]digits[.digits] as RFC 5870 has it, without a leading zero; at most `limit` either way."""
    whole, dot, part = text.partition(".")
    whole = whole[1:] if whole[:1] == "-" else whole
    if not whole.isdigit() or (len(whole) > 1 and whole[0] == "0") or (dot and not part.isdigit()):
        return False
    return limit is None or abs(float(text)) <= limit


def _geo(value):
    right = "an RFC 5870 URI such as 'geo:54.8753,69.1628;u=5'"
    if not isinstance(value, str) or any(c not in "geo:;=u,.-0123456789" for c in value) or value[:4] != "geo:":
        return right
    place, semicolon, accuracy = value[4:].partition(";")
    numbers = place.split(",")
    if len(numbers) not in (2, 3) or not all(_is_decimal(n, limit) for n, limit in zip(numbers, (90, 180, 100000))):
        return right
    if semicolon and not (accuracy.startswith("u=") and accuracy[2:3] != "-" and _is_decimal(accuracy[2:])):
        return right


def _stream(value):
    if not isinstance(value, dict) or not value:
        return "an object with at least one of rtsp, webrtc, sip, http"
    for kind, uri in value.items():
        if kind not in STREAM_SCHEMES:
            return "only the keys rtsp, webrtc, sip, http; not %r" % kind
        if not isinstance(uri, str) or not uri.startswith(STREAM_SCHEMES[kind]) or not _fits(uri, 1, URI_MAX_BYTES):
            return "for %s a URI of at most %d bytes that begins with %s" % (
                kind,
                URI_MAX_BYTES,
                " or ".join(STREAM_SCHEMES[kind]),
            )
        if not _is_visible(uri):
            return "for %s a URI of visible ASCII characters (%%-encode the others)" % kind
        authority = uri.split("//", 1)[-1].split("/")[0]
        if kind != "sip" and "@" in authority or kind == "sip" and ":" in uri[5:].split("@")[0] and "@" in uri:
            return "a URI without a user or password inside (%s)" % kind
        if any(word in uri.lower() for word in ("password=", "passwd=", "pwd=", "pass=")):
            return "a URI without a password in its query (%s)" % kind


_gpio = _optional(_int(0, 48))

# (key, check, default). Durations and thresholds: where a figure comes from stands in docs/configuration.md.
_RULES = (
    ("v", _one_of(1), 1),
    ("device_id", _id, _REQUIRED),
    ("region", _id, _REQUIRED),
    ("location.geo", _geo, _REQUIRED),
    ("location.address", _text(1, ADDRESS_MAX_BYTES), _REQUIRED),
    ("location.site", _one_of("public", "school"), _REQUIRED),
    ("location.height_m", _number(0, 5), 1.0),
    ("stream", _stream, _REQUIRED),
    ("broker.host", _host, _REQUIRED),
    ("broker.port", _int(1, 65535), 8883),
    ("broker.keepalive_s", _int(2, 600), 12),
    ("broker.connect_timeout_s", _int(1, 120), 20),
    ("broker.puback_timeout_s", _int(1, 60), 4),
    ("broker.retry_max_s", _int(1, 600), 60),
    ("broker.insecure", _bool, False),
    ("broker.believed", _bool, True),
    ("broker.tls.ca", _pem("CERTIFICATE"), _REQUIRED),
    ("broker.tls.cert", _optional(_pem("CERTIFICATE")), None),
    ("broker.tls.server_name", _optional(_host), None),
    ("link.type", _one_of("wifi", "ethernet"), "wifi"),
    ("link.restart_after_s", _int(10, 3600), 120),
    ("link.hostname", _optional(addresses.hostname), None),
    ("link.country", _optional(addresses.country), None),
    ("link.address", _optional(addresses.ipv4), None),
    ("link.netmask", _optional(addresses.netmask), None),
    ("link.gateway", _optional(addresses.ipv4), None),
    ("link.dns", _optional(addresses.ipv4), None),
    ("link.phy", _optional(pins.phy), None),
    ("link.phy_addr", _optional(_int(0, 31)), None),
    ("link.ref_clk_out", _bool, False),
    ("link.spi", _optional(_int(1, 2)), None),
    ("button.active_low", _bool, True),
    ("button.press_ms", _int(26, 200), 40),
    ("button.release_ms", _int(43, 1000), 60),
    ("button.stuck_s", _int(5, 3600), 60),
    ("button.stall_ms", _int(26, 1000), 40),
    ("incident.answer_s", _int(1, 120), 10),
    ("incident.open_s", _int(10, 86400), 600),
    ("incident.retention_s", _int(60, 604800), 86400),
    ("incident.repeat_s", _int(1, 300), 2),
    ("incident.repeat_max_s", _int(1, 3600), 60),
    ("relay.active_high", _bool, True),
    ("relay.limit_s", _int(1, 86400), 180),
    ("telemetry.heartbeat_s", _int(1, 3600), 30),
    ("clock.server", _optional(_host), None),
    ("clock.port", _int(1, 65535), 123),
    ("clock.every_s", _int(60, 604800), 3600),
    ("clock.latest_s", _int(1767225600, 4102444800), 4102444800),
    ("selftest.stream_s", _int(0, 604800), 900),
    ("selftest.drill_s", _int(0, 604800), 86400),
    ("tamper.wipe_after_s", _optional(_int(10, 86400)), None),
    ("access.code", _bool, False),
    ("supply.divider", _number(1, 100), 1),
    ("supply.low_mv", _int(0, 60000), 0),
    ("receiver.name", _optional(_text(1, 128)), None),
    ("watchdog.timeout_s", _int(2, 60), 8),
    ("watchdog.healthy_s", _int(1, 3600), 120),
    ("secrets.wifi_ssid", _optional(_text(1, 32)), None),
    ("secrets.wifi_password", _optional(_text(8, 63)), None),
    ("secrets.mqtt_user", _optional(_text(1, 128)), None),
    ("secrets.mqtt_password", _optional(_text(1, 256)), None),
    ("secrets.tls_key", _optional(_pem("PRIVATE KEY")), None),
    ("secrets.answer_key", _optional(_hex), None),
    ("secrets.auth_key", _optional(_hex), None),
) + tuple([("link." + key, _gpio, None) for key in pins.LINK])  # short names in the text would never be forgotten


def validate(document, chip: str):
    """(configuration with all defaults filled in, list of errors). The first is None when there are errors."""
    if not isinstance(document, dict):
        return None, ["configuration: found %s, must be a JSON object" % type(document).__name__]
    if pins.unknown(chip):
        return None, [pins.unknown(chip)]
    errors = []
    config = {}
    for key, check, default in _RULES:
        if key.startswith("broker.tls.") and _is_plain(document):
            continue
        if key == "link.phy":
            check = _optional(lambda value: pins.phy(value, chip))
        _fill(config, document, key, check, default, errors)
    config["pins"] = _pins(document.get("pins"), chip, config.get("link"), errors)
    _unknown(document, errors)
    if not errors:
        _together(config, errors)
    return (None, errors) if errors else (config, errors)


def _is_plain(document):
    broker = document.get("broker")
    return isinstance(broker, dict) and broker.get("tls") is None and broker.get("insecure") is True


def _fill(config, document, key, check, default, errors):
    parts = key.split(".")
    source, target = document, config
    for i, part in enumerate(parts[:-1]):
        source = source.get(part) if isinstance(source, dict) else None
        if source is not None and not isinstance(source, dict):
            text = "%s: found %s, must be an object" % (".".join(parts[: i + 1]), _shown(key, source))
            if text not in errors:
                errors.append(text)
            return
        target = target.setdefault(part, {})
    source = source or {}
    if parts[-1] not in source:
        if default is _REQUIRED:
            errors.append("%s: missing, must be %s%s" % (key, check(None), _HINTS.get(key, "")))
        else:
            target[parts[-1]] = default
        return
    value = source[parts[-1]]
    right = check(value)
    if right:
        errors.append("%s: found %s, must be %s" % (key, _shown(key, value), right))
    else:
        target[parts[-1]] = value


_HINTS = {"broker.tls.ca": " (or set broker.tls to null and broker.insecure to true, on a closed demo network only)"}


def _shown(key, value):
    """The value as an error may show it: never a secret, never long."""
    text = json.dumps(value)
    if key.startswith("secrets.") or "PRIVATE KEY" in text or "@" in text:  # misplaced, or user:password@host
        return "a value that is not shown (%s)" % type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


def _pins(given, chip, link, errors):
    result = pins.defaults(chip)
    if given is None:
        given = {}
    if not isinstance(given, dict):
        errors.append("pins: found %s, must be an object" % _shown("pins", given))
        return result
    for role in given:
        if role not in result:
            errors.append("pins.%s: unknown, must be one of %s" % (role, ", ".join(sorted(result))))
    for role in result:
        pin = given.get(role, result[role])
        if pin is None and role not in pins.REQUIRED:
            result[role] = None
            continue
        if not isinstance(pin, int) or isinstance(pin, bool):
            errors.append("pins.%s: found %s, must be a GPIO number" % (role, _shown("pins", pin)))
            continue
        result[role] = pin
    if "pulse" not in given:
        pins.pulse_gives_way(chip, result, link)
    errors.extend(pins.troubles(chip, result, link))
    return result


def _unknown(document, errors):
    sections = {}
    for key, _, _ in _RULES:
        parts = key.split(".")
        for i in range(len(parts)):
            sections.setdefault(".".join(parts[:i]), set()).add(parts[i])
    sections[""].add("pins")
    _unknown_in(document, "", sections, errors)


def _unknown_in(found, path, sections, errors):
    for key in found:
        where = path + "." + key if path else key
        if key not in sections[path]:
            errors.append("%s: unknown key, must be one of %s" % (where, ", ".join(sorted(sections[path]))))
        elif where in sections and isinstance(found[key], dict):
            _unknown_in(found[key], where, sections, errors)


def _together(config, errors):
    """What no single key can tell."""
    broker, secrets = config["broker"], config["secrets"]
    tls = broker.get("tls") or None
    broker["tls"] = tls
    if tls and not (tls["cert"] and secrets["tls_key"]) and not broker["insecure"]:
        errors.append("broker.tls.cert: the client certificate and secrets.tls_key are both needed: run provisioning")
    if (secrets["mqtt_user"] is None) != (secrets["mqtt_password"] is None):
        errors.append("secrets.mqtt_user: needs secrets.mqtt_password beside it, and the other way round")
    if not broker["believed"] and not secrets["auth_key"]:
        errors.append("secrets.auth_key: missing, must be there when broker.believed is false: run provisioning")
    if config["access"]["code"] and not secrets["auth_key"]:
        errors.append("secrets.auth_key: missing, must be there when access.code is true: run provisioning")
    if config["tamper"]["wipe_after_s"] and config["pins"]["tamper"] is None:
        errors.append("pins.tamper: missing, must be the pin of the housing's switch when tamper.wipe_after_s is set")
    if config["link"]["type"] == "wifi" and not secrets["wifi_ssid"]:
        errors.append("secrets.wifi_ssid: missing, must be the network's name when link.type is 'wifi'")
    errors.extend(addresses.together(config["link"]))
    place = _place_bytes(config)
    if place > PLACE_MAX_BYTES:
        errors.append(
            "location and stream: %d bytes together, must be at most %d (an alarm has 1,024)" % (place, PLACE_MAX_BYTES)
        )
    if config["incident"]["repeat_s"] > config["incident"]["repeat_max_s"]:
        errors.append("incident.repeat_s: must not be more than incident.repeat_max_s")


def _place_bytes(config):
    texts = list(config["stream"].values()) + [config["location"]["address"], config["location"]["geo"]]
    return sum(len(encoding.encode(text)) - 2 for text in texts)  # as they go out, some characters escaped


def load(flash, chip: str, folder: str = ""):
    """(configuration or None, source, errors): source is "current", "last-good" or "none".

    A broken configuration falls back to the last one that worked; with neither, the caller says so and waits.
    """
    document, errors = config_files.read(flash, folder)
    if document is not None:
        config, errors = validate(document, chip)
        if config is not None:
            return config, "current", errors
    config, source = last_good(flash, chip)
    return config, source, errors


def last_good(flash, chip: str):
    """(the last configuration that worked, "last-good") or (None, "none")."""
    good = config_files.read_good(flash)
    config = None if good is None else validate(good, chip)[0]
    return config, "none" if config is None else "last-good"


def fallback(chip: str) -> dict:
    """Enough to configure a board whose configuration is broken: the default pins, no link. Raises ValueError for an
    unknown chip."""
    return {
        "pins": pins.defaults(chip),
        "button": {"active_low": True},
        "relay": {"active_high": True},
        "link": {"type": "none"},
        "broker": {"tls": None},
        "supply": {"divider": 1},
        "secrets": {},
    }
