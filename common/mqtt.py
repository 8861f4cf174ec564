"""The end of a client of a broker."""

import contextlib
from typing import Protocol


class Client(Protocol):
    """paho's, or one like it."""

    def disconnect(self) -> object: ...

    def loop_stop(self) -> object: ...


def end(client: Client) -> None:
    """Disconnect, and wait for the thread of the network, if there is one."""
    client.disconnect()
    # paho 2.1 looks for its thread, and again to wait for it: one that was told to disconnect may have ended between
    # (Client.loop_stop, Client._thread_main).
    with contextlib.suppress(AttributeError):
        client.loop_stop()
