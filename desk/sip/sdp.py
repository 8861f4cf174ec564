"""What the desk offers for a call's sound, and what the other side made of it (RFC 3264, RFC 4566)."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass

from desk.sip.g711 import ALAW, BLOCK_S, LAWS, ULAW, Law
from desk.sip.trouble import NoCall

DIGITS = 101  # the payload type that the desk uses for pressed digits (RFC 4733)
SIZE_MAX = 16 * 1024
MEDIA_LINE = re.compile(r"audio ([0-9]{1,5})(?:/[0-9]+)? RTP/AVPF? ([0-9 ]{1,200})")
CONNECTION = re.compile(r"IN IP[46] ([0-9A-Fa-f:.]{2,45})(?:/[0-9/]+)?")
RTPMAP = re.compile(r"rtpmap:([0-9]{1,3}) ([A-Za-z0-9-]{1,40})/([0-9]{1,6})(?:/1)?")
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


@dataclass(frozen=True)
class Session:
    """Where the other side wants the sound, and how. `digits`: the payload type of pressed digits; None: none."""

    address: str
    port: int
    law: Law
    digits: int | None
    hears: bool  # it takes sound
    speaks: bool


def described(address: str, port: int, laws: tuple[Law, ...] = (ULAW, ALAW), digits: int | None = DIGITS) -> bytes:
    """The desk's side, as an offer or as an answer."""
    kind = "IP6" if ":" in address else "IP4"
    number = secrets.randbelow(2**31)
    payloads = [str(law.payload_type) for law in laws] + ([str(digits)] if digits is not None else [])
    lines = ["v=0", f"o=- {number} {number} IN {kind} {address}", "s=-", f"c=IN {kind} {address}", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP {' '.join(payloads)}"]
    lines += [f"a=rtpmap:{law.payload_type} {law.name}/8000" for law in laws]
    if digits is not None:
        lines += [f"a=rtpmap:{digits} telephone-event/8000", f"a=fmtp:{digits} 0-15"]
    lines += [f"a=ptime:{BLOCK_S * 1000:.0f}", "a=sendrecv"]
    return "\r\n".join([*lines, ""]).encode()


def read(body: bytes) -> Session:
    """The other side's. Raises NoCall."""
    if len(body) > SIZE_MAX:
        raise NoCall("protocol", "its description of the call is too long")
    lines = body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    common = lines[: _first_media(lines)]
    sound = _part(lines)
    found = MEDIA_LINE.fullmatch(sound[0][2:].strip()) if sound else None
    if found is None or found[1] == "0":
        raise NoCall("codec", "it wants no sound, or only sound that is encrypted")
    offered = [int(number) for number in found[2].split()]
    names = {int(m[1]): (m[2].upper(), m[3]) for line in sound if (m := RTPMAP.fullmatch(line[2:].strip()))}
    law = next((law for number in offered if (law := _law(number, names)) is not None), None)
    if law is None:
        raise NoCall("codec", "it speaks no G.711")
    digits = next((n for n in offered if names.get(n) == ("TELEPHONE-EVENT", "8000")), None)
    direction = next((d for line in [*sound[::-1], *common[::-1]] if (d := line[2:].strip()) in DIRECTIONS), "sendrecv")
    address = _address(sound) or _address(common)
    if address is None or not 0 < int(found[1]) < 65536:
        raise NoCall("protocol", "it does not say where the sound goes")
    hears, speaks = direction in ("sendrecv", "recvonly"), direction in ("sendrecv", "sendonly")
    return Session(address, int(found[1]), law, digits, hears, speaks)


def _first_media(lines: list[str]) -> int:
    return next((at for at, line in enumerate(lines) if line.startswith("m=")), len(lines))


def _part(lines: list[str]) -> list[str]:
    """The first m=audio and what belongs to it."""
    start = next((at for at, line in enumerate(lines) if line.startswith("m=audio ")), None)
    if start is None:
        return []
    end = next((at for at in range(start + 1, len(lines)) if lines[at].startswith("m=")), len(lines))
    return lines[start:end]


def _law(number: int, names: dict[int, tuple[str, str]]) -> Law | None:
    """Of a payload type that always means G.711; other numbers for it are not known to exist."""
    law = LAWS.get(number)
    return law if law is not None and names.get(number, (law.name, "8000")) == (law.name, "8000") else None


def _address(lines: list[str]) -> str | None:
    for line in lines:
        if line.startswith("c=") and (found := CONNECTION.fullmatch(line[2:].strip())):
            try:
                return str(ipaddress.ip_address(found[1]))
            except ValueError:
                return None
    return None
