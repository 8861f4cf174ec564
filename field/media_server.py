"""Ready configurations for a city's own media server: MediaMTX or go2rtc, one path a column, pulled when one looks.

The keys are those of MediaMTX's sample configuration (mediamtx.yml, August 2026) and of go2rtc's schema
(www/schema.json, March 2026). Both listen for this machine only, where the desk should be; neither publishes anything,
records, or lets others in. Cameras' logins stand in them, so they are their owner's only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

FOLDER, MEDIAMTX, GO2RTC = "media-server", "mediamtx.yml", "go2rtc.yaml"
CAMERA_LOGIN = "SOS_CAMERA_LOGIN"  # the environment's name for USER:PASSWORD of the cameras
_SOURCE = re.compile(r'^ +(?:source:|-) "rtsp://([^@"/]+)@([^"/]+)(?:/[^"]*)?"$')


def sources(columns: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """By column, the RTSP address of its camera; columns without one have no path."""
    found = {name: document["stream"].get("rtsp") for name, document in columns.items()}
    return {name: address for name, address in found.items() if address and address.startswith("rtsp://")}


def with_logins(addresses: Mapping[str, str], given: str | None, earlier: Mapping[str, str]) -> dict[str, str]:
    """The same with the cameras' login in them: as given now, else as it was for that host in an earlier run."""
    login = ":".join(quote(part, safe="") for part in given.split(":", 1)) if given else None
    found = {}
    for name, address in addresses.items():
        place = address.removeprefix("rtsp://")
        mine = login or earlier.get(place.split("/", 1)[0])
        found[name] = f"rtsp://{mine}@{place}" if mine and "@" not in place.split("/", 1)[0] else address
    return found


def earlier_logins(file: Path) -> dict[str, str]:
    """By host, what an earlier run wrote, or somebody by hand; nothing if there was none."""
    if not file.exists():
        return {}
    found = [_SOURCE.match(line) for line in file.read_text("utf-8").splitlines()]
    return {one[2]: one[1] for one in found if one is not None}


def given_login() -> str | None:
    """Of the environment."""
    return os.environ.get(CAMERA_LOGIN) or None


def mediamtx(addresses: Mapping[str, str]) -> str:
    """mediamtx.yml"""
    lines = [
        "# MediaMTX. Start: mediamtx mediamtx.yml. Desk: --media-server 'http://127.0.0.1:8889/{device_id}/whep'",
        "# Where the desk runs on another machine: give the addresses below its place, and its address to ips.",
        "authMethod: internal",
        "authInternalUsers:",
        "  - user: any",
        '    pass: ""',
        '    ips: ["127.0.0.1", "::1"]',
        "    permissions:",
        "      - action: read",
        '        path: ""',
        "api: false",
        "metrics: false",
        "pprof: false",
        "playback: false",
        "rtsp: true",
        "rtspTransports: [tcp]",
        'rtspAddress: "127.0.0.1:8554"',
        "rtmp: false",
        "hls: false",
        "srt: false",
        "webrtc: true",
        'webrtcAddress: "127.0.0.1:8889"',
        'webrtcLocalUDPAddress: ":8189"  # UDP, for the operators\' browsers',
        "paths:",
    ]
    for name, address in addresses.items():
        lines += [
            f"  {name}:",
            f"    source: {json.dumps(address)}",
            "    sourceOnDemand: true",
            "    rtspTransport: tcp",
        ]
    return "\n".join(lines if addresses else [*lines[:-1], "paths: {}"]) + "\n"


def go2rtc(addresses: Mapping[str, str]) -> str:
    """go2rtc.yaml"""
    lines = [
        "# go2rtc. Start: go2rtc -config go2rtc.yaml. Desk: --media-server 'http://127.0.0.1:1984/api/webrtc?src={device_id}'",
        "# Whoever reaches port 1984 may run programs here: leave it to this machine.",
        "api:",
        '  listen: "127.0.0.1:1984"',
        "rtsp:",
        '  listen: "127.0.0.1:8554"',
        "srtp:",
        '  listen: ""',
        "webrtc:",
        '  listen: ":8555"  # UDP and TCP, for the operators\' browsers',
        "  ice_servers: []",
        "streams:",
    ]
    for name, address in addresses.items():
        lines += [f"  {name}:", f"    - {json.dumps(address)}"]
    return "\n".join(lines if addresses else [*lines[:-1], "streams: {}"]) + "\n"
