"""Checks the evidence of one incident, as a desk exports it: offline, with nothing but Python's standard library.

    python evidence.py FILE [--desk FINGERPRINT] [--column-key HEX]

Exit status 0: every link is as it was made, none is missing, none was put in. 1: what is wrong is named. 2: no such
file.

Each event of the incident is a link: it names the hash of the link before it, and whoever caused it signs its hash
(Ed25519, RFC 8032). The desk's key vouches for the others' and signs how many links there are. FINGERPRINT is the
desk's, which you should have from somebody else than who gave you the file (`python -m desk evidence key`). A column
signs its alarms with a key of its own (HMAC, docs/contract.md): who is given that key checks these too.
"""

import hashlib
import hmac
import json
import sys
from pathlib import Path

# Ed25519, straight from RFC 8032, section 6: slow, short, and for verifying only.
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def _add(one: Point, other: Point) -> Point:
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % P, (one[1] + one[0]) * (other[1] + other[0]) % P
    c, d = 2 * one[3] * other[3] * D % P, 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


def _point(data: bytes) -> Point | None:
    """A point as it is written; None: there is none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


_BASE_Y = 4 * pow(5, P - 2, P) % P
_found = _point(_BASE_Y.to_bytes(32, "little"))
assert _found is not None
BASE: Point = _found


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of that key signed the message."""
    key, r = _point(public) if len(public) == 32 else None, _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or len(signature) != 64 or s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % Q
    one, other = _times(s, BASE), _add(r, _times(h, key))
    return (one[0] * other[2] - other[0] * one[2]) % P == 0 and (one[1] * other[2] - other[1] * one[2]) % P == 0


def digest(document: dict) -> bytes:  # type: ignore[type-arg]
    """The hash of a link, a head or a voucher: of everything in it but its signature, written in one way."""
    bare = {key: value for key, value in document.items() if key != "signature"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()).digest()


def fingerprint(public: str) -> str:
    """Of a public key in hex: short enough to be read out over a telephone."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()[:32]


def check(evidence: dict, desk: str | None = None, column_key: bytes | None = None) -> list[str]:  # type: ignore[type-arg]
    """Everything that is wrong, in words; none: it is whole."""
    keys, wrong = _keys(evidence, desk)
    before, expected = "", 1
    for link in evidence["links"]:
        name = f"link {link['k']} ({link['kind']} by {link['by'] or 'nobody'})"
        if link["incident"] != evidence["incident"]:
            wrong.append(f"{name}: inserted: it belongs to {link['incident']}")
            continue
        if not _is_signed_by(keys.get(link["signer"]), link):
            wrong.append(f"{name}: changed, or inserted: its signature is not that of {link['signer']}")
        if link["k"] > expected:
            wrong.append(f"{name}: missing before it: {_range(expected, link['k'] - 1)}")
        elif link["k"] < expected:
            wrong.append(f"{name}: inserted, or in the wrong place")
            continue
        elif link["before"] != before:
            wrong.append(f"{name}: it does not follow the link before it, which was changed")
        if link["kind"] == "alarm" and column_key is not None and not _is_columns(link["detail"], column_key):
            wrong.append(f"{name}: the column's proof does not fit: another key, or it never said so")
        before, expected = digest(link).hex(), link["k"] + 1
    head = evidence["head"]
    if not _is_signed_by(keys.get("desk"), head) or head["incident"] != evidence["incident"]:
        wrong.append("the end: changed: it is not signed by the desk")
    elif head["count"] >= expected:
        wrong.append(f"the end: missing: {_range(expected, head['count'])}")
    elif head["count"] < expected - 1 or head["last"] != before:
        wrong.append("the end: it does not follow the last link, which was changed or inserted")
    return wrong


def _keys(evidence: dict, desk: str | None) -> tuple[dict[str, bytes], list[str]]:  # type: ignore[type-arg]
    """The keys that the desk's own vouches for, and what is wrong with them."""
    root = evidence["keys"]["desk"]
    if desk is not None and fingerprint(root["public"]) != desk:
        return {}, [f"the desk: its fingerprint is {fingerprint(root['public'])}, and should be {desk}"]
    keys, wrong = {}, []
    for signer, key in evidence["keys"].items():
        if key["signer"] == signer and _is_signed_by(bytes.fromhex(root["public"]), key):
            keys[signer] = bytes.fromhex(key["public"])
        else:
            wrong.append(f"the key of {signer}: changed: the desk does not vouch for it")
    return keys, wrong


def _is_signed_by(public: bytes | None, document: dict) -> bool:  # type: ignore[type-arg]
    return public is not None and is_signed(public, digest(document), bytes.fromhex(document["signature"]))


def _is_columns(alarm: dict, key: bytes) -> bool:  # type: ignore[type-arg]
    """Whether the column with that key said it; see contract/authentic.py."""
    text = alarm["payload"].encode()
    said, mac = text[:-34], text[-34:-2].decode()
    right = hmac.new(key, alarm["topic"].encode() + b"\0" + said, hashlib.sha256).hexdigest()[:32]
    return said.endswith(b'"mac":"') and hmac.compare_digest(right, mac)


def _range(first: int, last: int) -> str:
    return f"link {first}" if first == last else f"links {first} to {last}"


def main(argv: list[str]) -> int:
    options = dict(zip(argv[1::2], argv[2::2], strict=False))
    if not argv or set(options) - {"--desk", "--column-key"} or len(argv) % 2 == 0:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        evidence = json.loads(Path(argv[0]).read_text("utf-8"))
        key = bytes.fromhex(options["--column-key"]) if "--column-key" in options else None
    except (OSError, ValueError) as error:
        print(f"{argv[0]}: {error}", file=sys.stderr)
        return 2
    try:
        wrong = check(evidence, options.get("--desk"), key)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        wrong = [f"changed: it is not as a desk writes it ({type(error).__name__}: {error})"]
    else:
        for link in evidence["links"]:
            print(f"{link['k']:3} {link['at_ms']} {link['kind']:12} {link['by']} [signed by {link['signer']}]")
        print(f"{evidence['incident']}: desk {fingerprint(evidence['keys']['desk']['public'])}")
    print(*(f"WRONG {line}" for line in wrong), sep="\n") if wrong else print("whole: every link is as it was made")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
