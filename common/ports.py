"""Ports of this machine for servers that stop and come back where they were."""

import contextlib
import fcntl
import os
import random
import socket
import tempfile
import threading
from collections import deque
from pathlib import Path

HOST = "127.0.0.1"
# Below those that systems hand out to clients (Linux from 32,768 on, others from 49,152): or somebody's connection
# takes the port of a server while it is away.
SERVERS = range(20_000, 32_000)
ATTEMPTS = 100
KEPT = 300  # the newest ports of a process, which nobody else is given; more than it has servers at once
_dice = random.SystemRandom()
_given: deque[int] = deque()
_giving = threading.Lock()
_claims: list[int] = []
"""The open file of the claims, once there is one. Its name never goes; a claim is a lock on one byte of it, and ends
with its process, however that ends."""


def free_port() -> int:
    """A port that is free for TCP and UDP now, and that no process of this user is given meanwhile: it may be taken
    later, and let go between. Raises OSError when none of many is."""
    with _giving:
        tried = _dice.sample(SERVERS, min(ATTEMPTS, len(SERVERS)))
        for port in tried:
            if port not in _given and _claim(port, fcntl.LOCK_EX | fcntl.LOCK_NB):
                if is_free(port):
                    _given.append(port)
                    if len(_given) > KEPT:
                        _claim(_given.popleft(), fcntl.LOCK_UN)
                    return port
                _claim(port, fcntl.LOCK_UN)
    raise OSError(f"none of {len(tried)} ports between {SERVERS.start} and {SERVERS.stop} of {HOST} is free")


def is_free(port: int) -> bool:
    with contextlib.suppress(OSError):
        with socket.create_server((HOST, port)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind((HOST, port))
        return True
    return False


def _claim(port: int, how: int) -> bool:
    """Whether it is this process's now; for LOCK_UN: nobody's any more."""
    with contextlib.suppress(OSError):  # a stranger has made a file of that name: then chance keeps them apart
        if not _claims:
            path = Path(tempfile.gettempdir()) / f"sos-ports-{os.getuid()}"
            _claims.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        try:
            fcntl.lockf(_claims[0], how, 1, port)
        except BlockingIOError:
            return False
    return True
