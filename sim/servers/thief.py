"""A thief with one column's rights: a burst of messages as fast as, or as many a second as, is wanted. A process of its
own (`python thief.py OPTIONS`), so that it does not share the desk's interpreter; bounded, on this machine only.

`options`: {"port", "device", "kind", "count", "per_second" (0: no pause), "qos1_every" (0: none), "qos1_from", "bytes",
"payload" (a file; "@@@@@@" in it becomes the number, "@@name@@" the column), "ids" (as so many columns), "tls" ([ca,
cert, key]: the thief has them with the column)}. Prints how many were sent in how many seconds.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
PARTS = 500  # messages written at once
PAUSE_S = 0.002
NUMBER = b"@@@@@@"
CONNECT, PUBLISH_QOS0, PUBLISH_QOS1, CONNACK = 0x10, 0x30, 0x32, 0x20


def flood(port: int, kind: str, count: int, **options: Any) -> subprocess.Popen[str]:
    """Begin; the caller waits for its end, which comes by itself. `device`: hostile-01 unless told otherwise."""
    given = json.dumps({"port": port, "kind": kind, "count": count, **options})
    return subprocess.Popen([sys.executable, __file__, given], stdout=subprocess.PIPE, text=True)


def text(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


def packet(first: int, body: bytes) -> bytes:
    length, rest = b"", len(body)
    while True:
        rest, digit = divmod(rest, 128)
        length += bytes([digit | (128 if rest else 0)])
        if not rest:
            return bytes([first]) + length + body


def publish(topic: str, payload: bytes, number: int, qos: int) -> bytes:
    body = text(topic.encode())
    body += struct.pack("!H", number % 65535 + 1) if qos else b""
    return packet(PUBLISH_QOS1 if qos else PUBLISH_QOS0, body + payload.replace(NUMBER, b"%06d" % number))


def connect(options: dict[str, Any]) -> socket.socket:
    connection = socket.create_connection((HOST, options["port"]))
    if "tls" not in options:
        return connection
    ca, cert, key = options["tls"]
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(cert, key)
    return context.wrap_socket(connection, server_hostname=HOST)


def drain(connection: socket.socket) -> None:
    """The broker's receipts that are there: who does not read them is thrown out. Between two writes, for a TLS stream
    has one thread."""
    connection.settimeout(0)
    try:
        while connection.recv(65536):
            pass
    except OSError:  # nothing more, or the end, which the next write finds
        pass
    finally:
        connection.settimeout(None)


def main(options: dict[str, Any]) -> None:
    device, every, per_second = (
        options.get("device", "hostile-01"),
        options.get("qos1_every", 0),
        options.get("per_second"),
    )
    payload = Path(options["payload"]).read_bytes() if "payload" in options else b"x" * options.get("bytes", 8)
    connection = connect(options)
    connection.sendall(packet(CONNECT, text(b"MQTT") + b"\x04\x02\x00\x00" + text(f"flood-{device}".encode())))
    assert connection.recv(4)[0] == CONNACK
    sent, began_s = 0, time.monotonic()
    while sent < options["count"]:
        due = min(options["count"], round((time.monotonic() - began_s) * per_second) if per_second else sent + PARTS)
        if due <= sent:
            time.sleep(PAUSE_S)
            continue
        due = min(due, sent + PARTS)
        parts = []
        for number in range(sent, due):
            name = f"{device}-{number % options['ids']}" if "ids" in options else device
            part = payload.replace(b"@@name@@", name.encode())
            qos = int(bool(every) and number >= options.get("qos1_from", 0) and number % every == 0)
            parts.append(publish(f"sos/v1/nko/{name}/{options['kind']}", part, number, qos))
        connection.sendall(b"".join(parts))
        drain(connection)
        sent = due
    print(json.dumps({"sent": sent, "seconds": round(time.monotonic() - began_s, 2)}), flush=True)
    drain(connection)
    if not isinstance(connection, ssl.SSLSocket):
        connection.shutdown(socket.SHUT_WR)
    connection.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
