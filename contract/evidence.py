"""Checks the evidence of one incident, as a desk exports it: offline, with nothing but Python's standard library.

Each event of the incident is a link: it names the hash of the link before it, and whoever caused it signs its hash
(Ed25519, RFC 8032). The desk's key vouches for the others' and signs how many links there are. More: docs/evidence.md.
"""

import hashlib
import hmac
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Document = dict[str, Any]
USAGE = "python3 evidence.py FILE [--desk FINGERPRINT] [--column-key HEX] [--lang en|ru|kk]"
SAID = {  # in English, Russian and Kazakh
    "link": ("link {} ({} by {})", "звено {} ({}, {})", "{}-буын ({}, {})"), "wrong": ("WRONG", "НЕВЕРНО", "ҚАТЕ"),
    "nobody": ("nobody", "никто", "ешкім"), "end": ("the end", "конец", "соңы"), "desk": ("desk", "пульт", "пульт"),
    "key": ("the key of {}", "ключ {}", "{} кілті"), "signed": ("signed by {}", "подписал {}", "қол қойған {}"),
    "unread": ("cannot be read", "не читается", "оқылмайды"), "operator": ("operator", "оператор", "оператор"),
    "other": ("inserted: it belongs to {}", "вставлено: относится к {}", "қосылған: {} шақыруынікі"),
    "place": ("inserted, or in the wrong place", "вставлено или не на своём месте", "қосылған не өз орнында емес"),
    "gap": ("missing before it: link {}", "перед ним не хватает звена {}", "оның алдында {}-буын жоқ"),
    "gaps": ("missing before it: links {} to {}", "перед ним не хватает звеньев {}–{}", "алдында {}–{} буындар жоқ"),
    "unsigned": ("changed, or inserted: its signature is not that of {}",
                 "изменено или вставлено: подписал не {}", "өзгертілген не қосылған: қол қойған {} емес"),
    "broken": ("the link before it was changed", "звено перед ним изменено", "алдындағы буын өзгертілген"),
    "unproven": ("the column's key does not fit", "с ключом колонны не сходится", "баған кілтіне сай емес"),
    "print": ("its fingerprint is {}, not {}", "его отпечаток {}, а не {}", "оның цифрлық ізі {}, {} емес"),
    "form": ("no desk's export, or no key", "не выгрузка пульта или не ключ", "пульт файлы емес не кілт емес"),
    "vouch": ("changed: the desk does not vouch for it", "изменён: пульт не ручается", "өзгерген: пульт кепіл емес"),
    "damaged": ("changed: it is not as a desk writes it", "изменено: пульт так не пишет", "бүлінген: пульттікі емес"),
    2: ("no such file", "такого файла нет", "мұндай файл жоқ"), 21: ("a folder", "это папка", "бұл қалта"),
    13: ("no permission", "нет прав", "рұқсат жоқ"), "help": ("checks a call that a desk exported: docs/evidence.md",
        "проверяет вызов, выгруженный пультом: docs/ru/evidence.md", "шақыруды тексереді: docs/kk/evidence.md"),
    "whole": ("whole: every link is as it was made", "цело: каждое звено как было", "бүтін: әр буын жасалған күйінде"),
}  # fmt: skip

# Ed25519, straight from RFC 8032, section 6: slow, short, and for verifying only.
P, Q = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, P - 2, P) % P, pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def _add(one: Point, other: Point) -> Point:
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % P, (one[1] + one[0]) * (other[1] + other[0]) % P
    c, d = 2 * one[3] * other[3] * D % P, 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    result = (0, 1, 1, 0)
    for bit in f"{scalar:b}":
        result = _add(result, result)
        result = _add(result, point) if bit == "1" else result
    return result


def _point(data: bytes) -> Point | None:
    """A point as it is written; None: there is none."""
    sign, y = divmod(int.from_bytes(data, "little"), 1 << 255)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE: Point = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))  # type: ignore[assignment]


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of that key signed the message."""
    key, r = _point(public) if len(public) == 32 else None, _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or len(signature) != 64 or s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % Q
    one, other = _times(s, BASE), _add(r, _times(h, key))
    return (one[0] * other[2] - other[0] * one[2]) % P == 0 and (one[1] * other[2] - other[1] * one[2]) % P == 0


def digest(document: Document) -> bytes:
    """The hash of a link, a head or a voucher: of everything in it but its signature, written in one way."""
    bare = {key: value for key, value in document.items() if key != "signature"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()).digest()


def fingerprint(public: str) -> str:
    """Of a public key in hex: short enough to be read out over a telephone."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()[:32]


def speaker(language: str) -> Callable[..., str]:
    at = {"ru": 1, "kk": 2}.get(language, 0)

    def shown(value: object) -> str:  # a signer is `desk`, or `operator` and a name
        kind, blank, name = str(value).partition(" ")
        return SAID[kind][at] + blank + name if kind in ("desk", "operator") else str(value)

    return lambda key, *values: SAID[key][at].format(*map(shown, values))


def check(evidence: Document, desk: str | None = None, column_key: bytes | None = None, lang: str = "en") -> list[str]:
    """Everything that is wrong, in words; none: it is whole."""
    say, before, expected = speaker(lang), "", 1
    keys, wrong = _keys(evidence, desk, say)
    if not keys:
        return wrong  # whose links they are is not known, so nothing can be said of them
    for link in evidence["links"]:
        signer, by = link["signer"], link["by"]
        name = say("link", link["k"], link["kind"], by or say("nobody"))
        if link["incident"] != evidence["incident"]:
            wrong.append(f"{name}: {say('other', link['incident'])}")
            continue
        if signer not in ("desk", f"operator {by}") or not _is_signed_by(keys.get(signer), link):
            wrong.append(f"{name}: {say('unsigned', signer)}")
        if link["k"] > expected:
            wrong.append(f"{name}: {say('gap' if link['k'] == expected + 1 else 'gaps', expected, link['k'] - 1)}")
        elif link["k"] < expected:
            wrong.append(f"{name}: {say('place')}")
            continue
        elif link["before"] != before:
            wrong.append(f"{name}: {say('broken')}")
        if link["kind"] == "alarm" and column_key is not None and not _is_columns(link["detail"], column_key):
            wrong.append(f"{name}: {say('unproven')}")
        before, expected = digest(link).hex(), link["k"] + 1
    head = evidence["head"]
    if not _is_signed_by(keys.get("desk"), head) or head["incident"] != evidence["incident"]:
        wrong.append(f"{say('end')}: {say('unsigned', 'desk')}")
    elif head["count"] >= expected:
        wrong.append(f"{say('end')}: {say('gap' if head['count'] == expected else 'gaps', expected, head['count'])}")
    elif head["count"] < expected - 1 or head["last"] != before:
        wrong.append(f"{say('end')}: {say('broken')}")
    return wrong


def _keys(evidence: Document, desk: str | None, say: Callable[..., str]) -> tuple[dict[str, bytes], list[str]]:
    """The keys that the desk's own vouches for, and what is wrong with them."""
    root = evidence["keys"]["desk"]
    if desk is not None and fingerprint(root["public"]) != desk.replace(" ", "").lower():
        return {}, [f"{say('desk')}: {say('print', fingerprint(root['public']), desk)}"]
    public = bytes.fromhex(root["public"])
    vouched = {one: key for one, key in evidence["keys"].items() if key["signer"] == one and _is_signed_by(public, key)}
    wrong = [f"{say('key', one)}: {say('vouch')}" for one in evidence["keys"] if one not in vouched]
    return {one: bytes.fromhex(key["public"]) for one, key in vouched.items()}, wrong


def _is_signed_by(public: bytes | None, document: Document) -> bool:
    return public is not None and is_signed(public, digest(document), bytes.fromhex(document["signature"]))


def _is_columns(alarm: Document, key: bytes) -> bool:
    """Whether the column with that key said it; see contract/authentic.py."""
    said, mac = alarm["payload"].encode()[:-34], alarm["payload"].encode()[-34:-2]
    right = hmac.new(key, alarm["topic"].encode() + b"\0" + said, hashlib.sha256).hexdigest()[:32]
    return said.endswith(b'"mac":"') and hmac.compare_digest(right.encode(), mac)


def main(argv: list[str]) -> int:
    options = dict(zip(argv, argv[1:], strict=False))  # each word with the next
    say = speaker(language := (options.get("--lang") or os.environ.get("LC_ALL") or os.environ.get("LANG") or "")[:2])
    if (is_help := "--help" in argv) or set(argv[1::2]) - {"--desk", "--column-key", "--lang"} or len(argv) % 2 == 0:
        print(USAGE, say("help"), sep="\n\n", file=sys.stdout if is_help else sys.stderr)
        return 0 if is_help else 2
    try:
        evidence = json.loads(text := Path(argv[0]).read_text("utf-8"))
        key = bytes.fromhex(options["--column-key"]) if "--column-key" in options else None
    except (OSError, ValueError, RecursionError) as error:
        reason = isinstance(error, OSError) and (say(error.errno) if error.errno in SAID else error.strerror)
        print(f"{argv[0]}: {say('unread')}: {reason}" if reason else f"{argv[0]}: {say('form')}", file=sys.stderr)
        return 2
    try:
        wrong = check(evidence, options.get("--desk"), key, language)
        said = ["".join(json.dumps(evidence, ensure_ascii=one).split()) for one in (True, False)]
        if "".join(text.split()) not in said or set(evidence) != {"v", "incident", "keys", "links", "head"}:
            wrong.append(say("damaged"))  # a reader would see what is not checked: of two of one name, say
        row = "{k:3} {} {kind:12} {by} [{}]"
        signed = (*evidence["links"], evidence["head"])
        at = [datetime.fromtimestamp(one["at_ms"] / 1000, UTC).isoformat(" ", "milliseconds") for one in signed]
        lines = [row.format(at[n], say("signed", one["signer"]), **one) for n, one in enumerate(evidence["links"])]
        lines.append(f"{evidence['head']['count']:3} {at[-1]} {say('end')}")
        lines.append(f"{evidence['incident']}: {say('desk')} {fingerprint(evidence['keys']['desk']['public'])}")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError):
        lines, wrong = [], [say("damaged")]
    lines += [f"{say('wrong')} {line}" for line in wrong] or [say("whole")]  # nothing in them moves a cursor
    print(*("".join(one if one.isprintable() else "\ufffd" for one in line) for line in lines), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
