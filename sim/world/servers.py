"""The other servers of the virtual network: time and camera."""

import struct
from collections.abc import Callable

from sim.world.conditions import Net
from sim.world.connection import Connection
from sim.world.network import Network

NTP_BYTES = 48
NTP_TO_UNIX_S = 2_208_988_800
NTP_SERVER_HEAD = b"\x24\x02\x06\xec"  # version 4, server, stratum 2


class TimeServer:
    """Answers as RFC 5905 has it: the client's transmit time comes back as the originate time."""

    def __init__(self, network: Network, true_epoch_ms: Callable[[], int]) -> None:
        self._network = network
        self._true_epoch_ms = true_epoch_ms

    def reply(self, data: bytes) -> bytes | None:
        bites = self._network.bites
        if bites(Net.NTP_SILENT) or len(data) < NTP_BYTES:
            return None
        if bites(Net.NTP_GARBAGE):
            return bytes(self._network.dice.randrange(256) for _ in range(self._network.dice.randrange(1, 80)))
        seconds, ms = divmod(self._true_epoch_ms() + self._error_ms(), 1000)
        stamp = struct.pack("!II", seconds + NTP_TO_UNIX_S, (ms << 32) // 1000)
        head = b"\xe4\x00\x06\xec" if bites(Net.NTP_KISS) else NTP_SERVER_HEAD
        return head + bytes(12) + stamp + data[40:48] + stamp + stamp

    def _error_ms(self) -> int:
        network = self._network
        ahead_s = network.conditions[Net.NTP_AHEAD] if network.bites(Net.NTP_AHEAD) else 0
        behind_s = network.conditions[Net.NTP_BEHIND] if network.bites(Net.NTP_BEHIND) else 0
        return (ahead_s - behind_s) * 1000


class Camera:
    """A port that can be reached, or not: `up`. Says nothing."""

    def __init__(self) -> None:
        self.up = True

    def accepts(self) -> bool:
        return self.up

    def answers_tls(self) -> bool:
        return self.up

    def opened(self, connection: Connection) -> None:
        pass

    def received(self, connection: Connection, data: bytes) -> None:
        pass

    def closed(self, connection: Connection) -> None:
        pass
