"""Ports of this machine for servers that stop and come back where they were."""

import contextlib
import random
import socket

HOST = "127.0.0.1"
# Below those that systems hand out to clients (Linux from 32,768 on, others from 49,152): or somebody's connection
# takes the port of a server while it is away.
SERVERS = range(20_000, 32_000)
ATTEMPTS = 100
_dice = random.SystemRandom()


def free_port() -> int:
    """A port that is free for TCP and UDP now. Raises OSError when none of many is."""
    for port in _dice.sample(SERVERS, ATTEMPTS):
        if is_free(port):
            return port
    raise OSError(f"none of {ATTEMPTS} ports between {SERVERS.start} and {SERVERS.stop} of {HOST} is free")


def is_free(port: int) -> bool:
    with contextlib.suppress(OSError):
        with socket.create_server((HOST, port)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind((HOST, port))
        return True
    return False
