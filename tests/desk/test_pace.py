"""A desk connects no more often than every broker puts up with: one that is locked out hears nobody."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from duty_rig import until

from desk import pace
from desk.line import Line, Login
from desk.mqtt_client import monotonic_ms
from desk.pace import BURST, EVERY_MS, Pace

LOCKED_OUT_AT = 15  # within a minute, by EMQX's flapping detection
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
CONNACK = b"\x20\x02\x00\x00"


def line(port: int) -> Line:
    def nothing(*_: object) -> None: ...

    return Line("desk-1", Login("127.0.0.1", port), ["sos/#"], lambda *_: True, nothing, nothing, nothing)


@contextmanager
def closing(met_s: list[float]) -> Iterator[int]:
    """A broker that ends each connection once it stands: the port; when it did."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                met_s.append(time.monotonic())
                connection.recv(1024)
                connection.sendall(CONNACK)
                connection.close()

        thread = threading.Thread(target=lambda: pytest.raises(OSError, serve), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize("eager_ms", [10, 900, 3_000, 7_000])
def test_however_often_there_is_a_reason_to_no_minute_has_too_many(eager_ms: int) -> None:
    """Red with a burst of 8, or 5 s in place of EVERY_MS."""
    one, made_ms = Pace(), []
    for now_ms in range(0, HOUR_MS, eager_ms):
        if not one.pause_ms(now_ms):
            one.made(now_ms)
            made_ms.append(now_ms)
    worst = max(sum(at <= each < at + MINUTE_MS for each in made_ms) for at in made_ms[:50])
    assert worst < LOCKED_OUT_AT - 1, "one more may be a person's restart"
    assert len(made_ms) > HOUR_MS / 10_000, "and it goes on trying"


def test_what_is_rare_waits_for_nothing() -> None:
    one = Pace()
    for now_ms in range(0, HOUR_MS, 10_000):  # as a flood that lasts has the line connect again
        assert one.pause_ms(now_ms) == 0
        one.made(now_ms)


def test_a_line_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red without `await_turn` in line.py: a tenth of a second after each end."""
    monkeypatch.setattr(pace, "EVERY_MS", 1000)
    met_s: list[float] = []
    with closing(met_s) as port:
        here = line(port)
        here.start()
        until(lambda: len(met_s) > BURST, "the connection after the burst")
        here.stop()
    gaps_s = [after - before for before, after in itertools.pairwise(met_s)]
    assert gaps_s[BURST - 1] > 0.6 and sum(gaps_s[: BURST - 1]) < EVERY_MS / 1000, gaps_s


def test_a_flood_in_pulses_is_no_reason_to_connect_again_and_again() -> None:
    """Red without the look at `pause_ms` in `_is_to_renew`."""
    here = line(1)
    here._flooded_ms = (monotonic_ms() - 5_000,) * 2
    assert here._is_to_renew(monotonic_ms())
    for _ in range(BURST):
        here._client._pace.made(monotonic_ms())
    assert not here._is_to_renew(monotonic_ms())
