"""The broker's side of provisioning, for mosquitto: access list, passwords, configuration.

The access list confines each device to its own prefix, and within it to what the contract lets a column write and read.
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping

CENTRE = "centre"  # the control centre's user name
COLUMN_WRITES = ("alarm", "state", "info", "heartbeat", "fault/+", "event", "result")
COLUMN_READS = ("ack", "cmd")
PASSWORD_ITERATIONS = 101  # mosquitto_passwd's own; the passwords are 192 bits of chance, not words
PASSWORD_SALT_BYTES = 12


def access_list(columns: Iterable[tuple[str, str]]) -> str:
    """mosquitto's acl_file for (region, device id) pairs and the control centre."""
    parts = [f"user {CENTRE}\ntopic read sos/v1/+/+/#\ntopic write sos/v1/+/+/ack\ntopic write sos/v1/+/+/cmd\n"]
    for region, device_id in columns:
        prefix = f"sos/v1/{region}/{device_id}"
        lines = [f"user {device_id}"]
        lines += [f"topic write {prefix}/{kind}" for kind in COLUMN_WRITES]
        lines += [f"topic read {prefix}/{kind}" for kind in COLUMN_READS]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def password_file(users: Mapping[str, str]) -> str:
    """mosquitto's own format ($7$ = PBKDF2 with SHA-512), so that its password tool is not needed."""
    lines = []
    for name, password in users.items():
        salt = os.urandom(PASSWORD_SALT_BYTES)
        key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PASSWORD_ITERATIONS)
        salt_text, key_text = (base64.b64encode(part).decode("ascii") for part in (salt, key))
        lines.append(f"{name}:$7${PASSWORD_ITERATIONS}${salt_text}${key_text}\n")
    return "".join(lines)


def configuration(port: int) -> str:
    """mosquitto.conf; its paths are relative: mosquitto is started in the folder where it lies."""
    return f"""# Made by provisioning. Start mosquitto in this folder: mosquitto -c mosquitto.conf
per_listener_settings false
allow_anonymous false
password_file passwords
acl_file acl
set_tcp_nodelay true
listener {port}
cafile ca.pem
certfile server.pem
keyfile server.key
require_certificate true
"""
