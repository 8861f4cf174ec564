"""`make renew`: new certificates on their way to columns in the street, without a ladder.

Run `make provision` first: it makes certificates anew that have used up two thirds of their life, or whose authority
signs no more, and knows whom to trust. This puts what it made for each column into one file:

  centre/renewals.json     for `.venv/bin/python -m desk.rollout start --renewals FILE`; nothing in it is secret

Each package is sealed for its column, with a key that is made of the column's own TLS key. So the desk, which has no
such key, carries it and cannot change it, and no broker can. A column that has its certificates already is passed over.
"""

import datetime
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from field import laptop, reached
from field.authorities import Authorities
from field.certificates import fingerprint
from field.keeping import PROVISIONED, KeepError, read_secrets, understood, write
from field.telling import in_words
from field.words import asked_for, tool_parser
from firmware.proven import Proven
from firmware.update.order import RENEWAL_MAX_BYTES
from firmware.update.renewal import KEY_OF, TOPIC

FILE = reached.RENEWALS
MS = 1000  # in a second: a package's number is the time at which it was made


def sealing_key(tls_key: str) -> bytes:
    """`tls_key`: as it stands in the column's secrets.json."""
    return hashlib.sha256(KEY_OF + tls_key.encode()).digest()


def package(device_id: str, tls_key: str, ca: str, cert: str, number: int) -> bytes:
    """What one column takes. `number`: must rise."""
    body = {"v": 1, "device_id": device_id, "number": number, "ca": ca, "cert": cert}
    text = bytearray(json.dumps(body, separators=(",", ":")).encode())
    return bytes(Proven(sealing_key(tls_key), 0).seal(TOPIC + device_id.encode(), text))


def pack(out: Path, now: datetime.datetime) -> list[str]:
    """What was done, in lines. Raises KeepError, ClockError or OSError. A package that says the same as before stays as
    it is."""
    file = out / "centre" / FILE
    before, made = _before(file)
    laptop.check(now, laptop.made(Authorities(out).years) | {str(file): made})
    number = max(_ms(now), _ms(made) + 1)  # columns take no lower one: also after a clock that was fast
    columns: dict[str, dict[str, str]] = {}
    for folder in sorted((out / "columns").iterdir()):
        if not (folder / "config.json").is_file():
            continue
        name = folder.name
        tls = reached.tls(out, name)
        key = read_secrets(folder / "secrets.json")["tls_key"]
        is_same = _says(before.get(name), name, key, tls["ca"], tls["cert"])
        text = before[name]["package"] if is_same else package(name, key, tls["ca"], tls["cert"], number).decode()
        if len(text) > RENEWAL_MAX_BYTES:
            size = f"{len(text)} bytes, a column takes {RENEWAL_MAX_BYTES}"
            raise KeepError(f"{name}: {size}: certificates of EC P-256 fit")
        columns[name] = {"certificates": fingerprint(tls["ca"], tls["cert"]), "package": text}
    write(file, json.dumps({"v": 1, "columns": columns}, indent=1) + "\n", is_secret=False)
    fresh = sum(columns[name] != before.get(name) for name in columns)
    return [
        f"{len(columns)} columns in {file}, {fresh} of them with something new",
        f"bring it to the desk's machine; there: .venv/bin/python -m desk.rollout start --renewals {FILE} ...",
    ]


def _before(file: Path) -> tuple[dict[str, Any], datetime.datetime]:
    """What the runs before packed, and when the newest of it was made."""
    if not file.exists():
        return {}, datetime.datetime.fromtimestamp(0, datetime.UTC)
    with understood(file, "remove it, and all columns get new packages"):
        columns = dict(json.loads(file.read_text("utf-8"))["columns"])
        numbers = [json.loads(one["package"])["number"] for one in columns.values()]
        return columns, datetime.datetime.fromtimestamp(max(numbers, default=0) / MS, datetime.UTC)


def _ms(moment: datetime.datetime) -> int:
    return round(moment.timestamp() * MS)


def _says(entry: dict[str, str] | None, name: str, key: str, ca: str, cert: str) -> bool:
    if entry is None or entry["certificates"] != fingerprint(ca, cert):
        return False
    text = entry["package"].encode()
    return Proven(sealing_key(key), 0).is_sealed(TOPIC + name.encode(), text)


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.renewal", __doc__)
    parser.add_argument("--out", type=Path, default=PROVISIONED, help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    print(*map(words.said, pack(arguments.out, laptop.now())), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
