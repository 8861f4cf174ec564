"""The broker's side of provisioning, for mosquitto: access list, passwords, configuration.

The access list confines each device to its own prefix, and within it to what the contract lets a column write and read.
"""

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Mapping

CENTRE = "centre"  # the control centre's user name
CENTRE_PROOF = "sos/desk/+/proof"  # the desk's messages to itself, by which it knows that it hears
COLUMN_WRITES = ("alarm", "state", "info", "heartbeat", "fault/+", "event", "result", "want")
COLUMN_READS = ("ack", "cmd", "piece")
PASSWORD_ITERATIONS = 101  # mosquitto_passwd's own; the passwords are 192 bits of chance, not words
PASSWORD_SALT_BYTES = 12
BROKER_USER = "mosquitto"  # what it becomes when root starts it
PACKET_MAX_BYTES = 20480  # the contract's longest message is an alarm, 1,024 bytes, and a birth message twice as long
MEMORY_MAX_BYTES = 256 * 1024 * 1024
QUEUED_MAX, QUEUED_MAX_BYTES = 10000, 16 * 1024 * 1024  # for a desk that is away
LIMITS = f"""max_packet_size {PACKET_MAX_BYTES}
memory_limit {MEMORY_MAX_BYTES}
max_queued_messages {QUEUED_MAX}
max_queued_bytes {QUEUED_MAX_BYTES}
"""
CONNECTIONS_SPARE = 1000  # beside two for each column: idle ones of a stranger must not keep columns out
CENTRE_CONNECTIONS = 100


def access_list(columns: Iterable[tuple[str, str]]) -> str:
    """mosquitto's acl_file for (region, device id) pairs and the control centre."""
    centre = ["read sos/v1/+/+/#", *(f"write sos/v1/+/+/{kind}" for kind in COLUMN_READS), f"readwrite {CENTRE_PROOF}"]
    parts = [f"user {CENTRE}\n" + "".join(f"topic {line}\n" for line in centre)]
    for region, device_id in columns:
        prefix = f"sos/v1/{region}/{device_id}"
        lines = [f"user {device_id}"]
        lines += [f"topic write {prefix}/{kind}" for kind in COLUMN_WRITES]
        lines += [f"topic read {prefix}/{kind}" for kind in COLUMN_READS]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def without(text: str, device_id: str) -> str:
    """An access list in which that column has no rights any more."""
    return re.sub(rf"(?m)^user {re.escape(device_id)}\n(?:topic .*\n)*\n?", "", text)


def password_file(users: Mapping[str, str]) -> str:
    """mosquitto's own format ($7$ = PBKDF2 with SHA-512), so that its password tool is not needed."""
    lines = []
    for name, password in users.items():
        salt = os.urandom(PASSWORD_SALT_BYTES)
        key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PASSWORD_ITERATIONS)
        salt_text, key_text = (base64.b64encode(part).decode("ascii") for part in (salt, key))
        lines.append(f"{name}:$7${PASSWORD_ITERATIONS}${salt_text}${key_text}\n")
    return "".join(lines)


def configuration(port: int, centre_port: int, columns: int) -> str:
    """mosquitto.conf; its paths are relative: mosquitto is started in the folder where it lies."""
    tls = "cafile ca.pem\ncertfile server.pem\nkeyfile server.key\ncrlfile revoked.crl\nrequire_certificate true\n"
    return f"""# Made by provisioning. Start mosquitto in this folder: mosquitto -c mosquitto.conf
allow_anonymous false
password_file passwords
acl_file acl
set_tcp_nodelay true

# What is retained or queued survives a restart of the broker.
persistence true
persistence_location ./
autosave_interval 60
persistent_client_expiration 30d

# Nobody brings the broker down, or what others wait for. A larger packet ends its sender's session, unread.
{LIMITS}
# Columns: the name in a column's certificate is its user and its client id, whatever it says itself. So nobody speaks,
# hears or takes a session in another's name, and one certificate is one session.
listener {port}
max_connections {CONNECTIONS_SPARE + 2 * columns}
use_identity_as_username true
use_username_as_clientid true
{tls}
# The control centre: its password as well as a certificate; client ids are its own, for it may have several sessions.
listener {centre_port}
max_connections {CENTRE_CONNECTIONS}
{tls}"""
