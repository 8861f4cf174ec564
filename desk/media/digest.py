"""How a client says who it is (RFC 7616, RFC 7617), in RTSP as in HTTP. Pure but for the client's nonce."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Sequence
from urllib.request import parse_http_list, parse_keqv_list

ALGORITHMS = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}  # the better first


def authorization(challenges: Sequence[str], method: str, uri: str, user: str, password: str) -> str | None:
    """The header `Authorization` for one request; None when there is no challenge that we can answer.

    A digest goes before Basic, which shows the password to everybody on the way.
    """
    parsed = [_parsed(challenge) for challenge in challenges]
    for algorithm in ALGORITHMS:
        for scheme, values in parsed:
            if scheme == "digest" and values.get("algorithm", "MD5").upper() == algorithm:
                answer = _digest(values, algorithm, method, uri, user, password)
                if answer is not None:
                    return answer
    if any(scheme == "basic" for scheme, _ in parsed):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return None


def _parsed(challenge: str) -> tuple[str, dict[str, str]]:
    scheme, _, rest = challenge.strip().partition(" ")
    try:
        values = parse_keqv_list(parse_http_list(rest))
    except (ValueError, IndexError):
        return "", {}
    return scheme.lower(), {key.lower(): value for key, value in values.items()}


def _digest(values: dict[str, str], algorithm: str, method: str, uri: str, user: str, password: str) -> str | None:
    realm, nonce = values.get("realm", ""), values.get("nonce", "")
    qops = [qop.strip() for qop in values.get("qop", "").split(",") if qop.strip()]
    if any('"' in text or "\\" in text for text in (realm, nonce, values.get("opaque", ""), uri, user)):
        return None
    if not nonce or (qops and "auth" not in qops):
        return None

    def hashed(text: str) -> str:
        return ALGORITHMS[algorithm](text.encode()).hexdigest()

    a1, a2 = hashed(f"{user}:{realm}:{password}"), hashed(f"{method}:{uri}")
    fields = {"username": user, "realm": realm, "nonce": nonce, "uri": uri}
    plain = {"algorithm": algorithm} if "algorithm" in values else {}
    if qops:
        count, own = "00000001", secrets.token_hex(8)
        fields |= {"response": hashed(f"{a1}:{nonce}:{count}:{own}:auth:{a2}"), "cnonce": own}
        plain |= {"qop": "auth", "nc": count}
    else:
        fields["response"] = hashed(f"{a1}:{nonce}:{a2}")
    if "opaque" in values:
        fields["opaque"] = values["opaque"]
    quoted = [f'{key}="{value}"' for key, value in fields.items()]
    return "Digest " + ", ".join(quoted + [f"{key}={value}" for key, value in plain.items()])
