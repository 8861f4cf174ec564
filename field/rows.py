"""One row of the fleet's table -> one configuration document, held against the firmware's own validator."""

import copy
import math
import os
import re
from typing import Any
from urllib.parse import urlsplit

from common.letters import in_letters
from common.numbers import must_be
from field.access import CENTRE
from field.shared import WIFI_OF_LINK
from firmware.startup import config, hosts, pins
from firmware.startup.pins import CHIPS

# name: is it needed?
COLUMNS = {
    "device_id": True,
    "region": True,
    "address": True,
    "lat": True,
    "lon": True,
    "uncertainty_m": False,
    "site": True,
    "height_m": True,
    "stream": True,
    "link": True,
    "pins": True,
    "hostname": False,
    "ip": False,
    "netmask": False,
    "gateway": False,
    "dns": False,
}
# These are keys of the section "link", which a row has for itself.
OF_LINK = {"hostname": "hostname", "ip": "address", "netmask": "netmask", "gateway": "gateway", "dns": "dns"}
DEFAULT_UNCERTAINTY_M = "5"
EXAMPLES = {"lat": "54.8753", "lon": "69.1628", "uncertainty_m": DEFAULT_UNCERTAINTY_M, "height_m": "1.2"}
WIFI_PASSWORD = "SOS_WIFI_PASSWORD"  # the environment's name for what must not stand in a table
RESERVED = (CENTRE,)  # names that the broker's files use for themselves
LIMITS = {"lat": 90, "lon": 180}
# What stands in for a cell that is wrong, so that the others are judged in the same run.
_STAND_INS = {
    "device_id": "a", "region": "a", "address": "a", "lat": "0", "lon": "0", "uncertainty_m": "5", "site": "public",
    "height_m": "1.0", "stream": "rtsp://a/",
}  # fmt: skip
# What provisioning adds later: here only so that the rest of the document can be validated whole.
_PEM = "-----BEGIN {0}-----\n-----END {0}-----\n"

Trouble = tuple[str, str]  # (name of the table's column, what is wrong); '' = it stands in no cell


def document(cells: dict[str, str], shared: dict[str, Any]) -> tuple[tuple[dict[str, Any], str] | None, list[Trouble]]:
    """((document, chip), troubles), all of them at once; the first is None when there are any."""
    cells = {name: cell.strip() for name, cell in cells.items()}
    troubles = _numbers(cells)
    if reserved := taken(cells["device_id"]):
        troubles.append(("device_id", reserved))
    link = _link(cells["link"], shared, troubles)
    chip, wiring = _pins(cells["pins"], shared, troubles)
    stream = _stream(cells["stream"], troubles)
    known = {name for name, _ in troubles}
    # A profile that is not there says nothing of the link; and without its chip no pin of a link is right or wrong.
    blind = {"link"} if known & {"link", "pins"} else set[str]()
    link = dict(_A_LINK) if blind else link
    link |= {key: cells[name] for name, key in OF_LINK.items() if cells.get(name)}
    made = _assemble(_stood_in(cells, known), shared, link, wiring, stream if "stream" not in known else _A_STREAM)
    while errors := _errors(made, chip, cells, known | blind):
        fresh = [(name, error) for name, error in errors if name not in known or (name, error) not in troubles]
        troubles += [one for one in fresh if one not in troubles]
        wrong = {name for name, _ in errors}
        if wrong <= known:
            break  # it comes from what all columns share, or from a profile: nothing can stand in for that
        known |= wrong
        link = dict(_A_LINK) if "link" in known else link
        wiring = pins.defaults(chip) if "pins" in known else wiring
        stream = _A_STREAM if "stream" in known else stream
        made = _assemble(_stood_in(cells, known), shared, link, wiring, stream)
    return (None, troubles) if troubles else ((made, chip), [])


def taken(device_id: str) -> str:
    """Why no column can have that name; '' if one can."""
    return f"{device_id!r} is a name of the broker's own files; take another" if device_id in RESERVED else ""


def wrong_id(device_id: str) -> str:
    """What is wrong with a column's name, as `document` says it; '' if nothing is."""
    errors = config.validate({"device_id": device_id}, CHIPS[0])[1]
    return taken(device_id) or next((in_letters(one) for one in errors if one.startswith("device_id:")), "")


def of_profile(kind: str, name: str, values: dict[str, Any]) -> list[str]:
    """What is wrong with a profile of fleet.toml whatever row has it, as the firmware says it: with a link, on each
    chip."""
    cells, shared = _STAND_INS, {"broker": {"host": "a"}}
    if kind == "pins":
        wrong: list[Trouble] = []
        chip, wiring = _pins(name, {"pins": {name: values}}, wrong)
        made = _assemble(cells, shared, _A_LINK, wiring, _A_STREAM)
        of_pins = [error for error in config.validate(_trial(made), chip)[1] if error.startswith("pins.")]
        return [what for _, what in wrong] + [in_letters(error) for error in of_pins]
    of_chips = [
        {
            error.partition(":")[0]: error
            for error in config.validate(_trial(_assemble(cells, shared, values, _wiring(chip), _A_STREAM)), chip)[1]
            if error.startswith("link.")
        }
        for chip in CHIPS
    ]
    everywhere = set.intersection(*map(set, of_chips))
    return [in_letters(error) for key, error in of_chips[0].items() if key in everywhere]


def _wiring(chip: str) -> dict[str, Any]:
    """The default one; the firmware's own pulse gives way to a pin that the link has."""
    return {role: pin for role, pin in pins.defaults(chip).items() if role != "pulse"}


def _errors(made: dict[str, Any], chip: str, cells: dict[str, str], known: set[str]) -> list[Trouble]:
    """What the firmware says of the document; nothing about a link that only stands in for a wrong one."""
    found = [(_cell_of(error, cells), in_letters(error)) for error in config.validate(_trial(made), chip)[1]]
    return [one for one in found if one[0] != "link" or "link" not in known]


_A_LINK = {"type": "ethernet"}
_A_STREAM = {"rtsp": _STAND_INS["stream"]}


def _stood_in(cells: dict[str, str], wrong: set[str]) -> dict[str, str]:
    return {name: _STAND_INS.get(name, cell) if name in wrong else cell for name, cell in cells.items()}


def _numbers(cells: dict[str, str]) -> list[Trouble]:
    troubles = []
    for name in EXAMPLES:
        cell = cells.get(name) or ""
        if not cell and not COLUMNS[name]:
            continue
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", cell):
            right = must_be(cell, f"a number with a point, such as {EXAMPLES[name]}")
            troubles.append((name, f"found {cell!r}, must be {right}"))
        elif abs(float(cell)) > (limit := LIMITS.get(name, math.inf)):
            troubles.append((name, f"found {cell}, must be degrees from -{limit} to {limit}"))
        elif name == "uncertainty_m" and cell.startswith("-"):
            troubles.append((name, f"found {cell!r}, must be a number with a point, such as {EXAMPLES[name]}"))
    return troubles


def _trial(made: dict[str, Any]) -> dict[str, Any]:
    """With what provisioning adds later."""
    trial = copy.deepcopy(made)
    server_name = trial["broker"].pop("server_name", None)
    trial["broker"]["tls"] = {"ca": _PEM.format("CERTIFICATE"), "cert": _PEM.format("CERTIFICATE")}
    trial["broker"]["tls"]["server_name"] = server_name
    trial["secrets"] |= {"tls_key": _PEM.format("PRIVATE KEY"), "auth_key": "0" * config.KEY_CHARS}
    return trial


def _assemble(
    cells: dict[str, str], shared: dict[str, Any], link: dict[str, Any], wiring: dict[str, Any], stream: dict[str, str]
) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(shared.get("common", {}))
    uncertainty_m = cells.get("uncertainty_m") or DEFAULT_UNCERTAINTY_M
    broker = {key: value for key, value in shared["broker"].items() if key not in ("hosts", "centre_port")}
    made |= {
        "v": 1,
        "device_id": cells["device_id"],
        "region": cells["region"],
        "location": {
            "geo": f"geo:{cells['lat']},{cells['lon']};u={uncertainty_m}",
            "address": cells["address"],
            "site": cells["site"],
            "height_m": float(cells["height_m"]),
        },
        "stream": stream,
        "broker": broker,
        "link": link,
        "pins": wiring,
        "secrets": {},
    }
    if "clock" in shared:
        made["clock"] = dict(shared["clock"])
    if link.get("type") == "wifi":
        wifi = shared.get("wifi", {})
        made["secrets"] = {"wifi_ssid": wifi.get("ssid"), "wifi_password": os.environ.get(WIFI_PASSWORD)}
    return made


def _link(name: str, shared: dict[str, Any], troubles: list[Trouble]) -> dict[str, Any]:
    wifi = {key: shared["wifi"][key] for key in WIFI_OF_LINK if key in shared.get("wifi", {})}
    links = {"wifi": {"type": "wifi", **wifi}, **shared.get("links", {})}
    if name not in links:
        troubles.append(("link", f"found {name!r}, must be one of {', '.join(links)} ([links.NAME] in fleet.toml)"))
    return dict(links.get(name, {}))


def is_on_wifi(cells: dict[str, str], shared: dict[str, Any]) -> bool:
    """Whether such a row, right or wrong in all else, has a link of Wi-Fi."""
    link = _link(cells["link"].strip(), shared, [])
    return link.get("type") == "wifi" and config.is_id(cells["device_id"].strip())


def _pins(name: str, shared: dict[str, Any], troubles: list[Trouble]) -> tuple[str, dict[str, Any]]:
    """(chip, wiring) of a profile: a chip's name for its default pins, or a [pins.NAME] of fleet.toml."""
    profiles = {chip: {"chip": chip} for chip in CHIPS} | shared.get("pins", {})
    profile = dict(profiles.get(name, {"chip": "esp32"}))
    chip = profile.pop("chip", None)
    if name not in profiles:
        troubles.append(("pins", f"found {name!r}, must be one of {', '.join(profiles)} ([pins.NAME] in fleet.toml)"))
    elif chip not in CHIPS:
        troubles.append(
            ("pins", f"profile {name!r} of fleet.toml: chip is {chip!r}, must be one of {', '.join(CHIPS)}")
        )
        chip = "esp32"
    return chip, _wiring(chip) | profile


def _stream(text: str, troubles: list[Trouble]) -> dict[str, str]:
    """'rtsp://...', or several with blanks between; 'webrtc=https://...' names a kind that the URI does not tell."""
    found: dict[str, str] = {}
    for part in text.split():
        kind, equals, uri = part.partition("=")
        if not equals or kind not in config.STREAM_SCHEMES:
            uri = part
            kind = next((k for k in ("rtsp", "sip", "http") if uri.startswith(config.STREAM_SCHEMES[k])), "")
        if not kind:
            troubles.append(("stream", "must be URIs that begin with rtsp://, sip: or https://, or webrtc=https://..."))
        elif kind != "sip" and not _has_host(uri):
            troubles.append(("stream", f"found {uri!r}, must name a host, as a DNS name or an IP address"))
        elif kind in found:
            troubles.append(("stream", f"found two of the kind {kind}, must be one of each at most"))
        found[kind] = uri
    if not found:
        troubles.append(("stream", "empty, must be at least one URI such as rtsp://cameras.example/petropavl-01"))
    return found


def _has_host(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return hosts.is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False


_CELLS = {
    "location and stream": "address",
    "location.geo": "lat",
    "location.address": "address",
    "location.site": "site",
    "location.height_m": "height_m",
} | {f"link.{key}": name for name, key in OF_LINK.items()}


def _cell_of(error: str, cells: dict[str, str]) -> str:
    """The table's column that an error of the firmware's validator is about; '' = none, it is fleet.toml's."""
    key = error.partition(":")[0]
    name = _CELLS.get(key, "")
    name = name if name in cells else re.split(r"[. ]", key)[0]
    return name if name in cells else ""
