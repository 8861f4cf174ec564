"""`make renew`: new certificates on their way to columns in the street, without a ladder.

Run `make provision` first: it makes certificates anew that have used up two thirds of their life, or whose authority
signs no more, and knows whom to trust. This puts what it made for each column into one file:

  centre/renewals.json     for `python -m desk.rollout start --renewals FILE`; nothing in it is secret

Each package is sealed for its column, with a key that is made of the column's own TLS key. So the desk, which has no
such key, carries it and cannot change it, and no broker can. A column that has its certificates already is passed over.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from field.keeping import KeepError, read_secrets, write
from field.telling import in_words
from field.words import asked_for, tool_parser
from firmware.authentic import Authentic
from firmware.update.order import RENEWAL_MAX_BYTES
from firmware.update.renewal import KEY_OF, TOPIC

FILE = "renewals.json"


def sealing_key(tls_key: str) -> bytes:
    """`tls_key`: as it stands in the column's secrets.json."""
    return hashlib.sha256(KEY_OF + tls_key.encode()).digest()


def package(device_id: str, tls_key: str, ca: str, cert: str, number: int) -> bytes:
    """What one column takes. `number`: must rise."""
    body = {"v": 1, "device_id": device_id, "number": number, "ca": ca, "cert": cert}
    text = bytearray(json.dumps(body, separators=(",", ":")).encode())
    return bytes(Authentic(sealing_key(tls_key), 0).seal(TOPIC + device_id.encode(), text))


def fingerprint(ca: str, cert: str) -> str:
    """What a column that has them says in its birth message."""
    return hashlib.sha256((ca + cert).encode()).hexdigest()[:16]


def pack(out: Path, number: int) -> list[str]:
    """What was done, in lines. Raises KeepError or OSError. A package that says the same as before stays as it is."""
    file = out / "centre" / FILE
    before = _before(file)
    columns: dict[str, dict[str, str]] = {}
    for folder in sorted((out / "columns").iterdir()):
        if not (folder / "config.json").is_file():
            continue
        name = folder.name
        tls = json.loads((folder / "config.json").read_text("utf-8"))["broker"]["tls"]
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
        f"bring it to the desk's machine; there: python -m desk.rollout start --renewals {FILE} ...",
    ]


def _before(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text("utf-8"))["columns"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise KeepError(f"{file} is damaged ({error}); remove it, and all columns get new packages") from error


def _says(entry: dict[str, str] | None, name: str, key: str, ca: str, cert: str) -> bool:
    if entry is None or entry["certificates"] != fingerprint(ca, cert):
        return False
    text = entry["package"].encode()
    return Authentic(sealing_key(key), 0).is_sealed(TOPIC + name.encode(), text)


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.renewal", __doc__)
    parser.add_argument("--out", type=Path, default=Path("provisioned"), help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    print(*map(words.said, pack(arguments.out, time.time_ns() // 1_000_000)), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
