"""A rollout that does not reach its broker says so, in the person's language: it waited in silence."""

from pathlib import Path
from typing import Any, cast

import pytest
import wrong_peers
from desk_rig import wait_for
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from common.mqtt import end
from common.ports import HOST
from desk.line import Login
from desk.rollout import command
from desk.rollout.connection import Connection
from desk.rollout.service import Service
from desk.spoken import LOG_WORDS, spoken
from sim.servers.authority import Authority


@pytest.fixture
def client() -> Any:
    return mqtt.Client(CallbackAPIVersion.VERSION2)


def fail(client: Any, error: OSError) -> None:
    """As paho tells of it: while it handles the error."""
    try:
        raise error
    except OSError:
        client.on_connect_fail(client, None)


def test_a_broker_that_is_not_there_is_said_once_and_when_it_came(client: Any) -> None:
    """Red where only `idle, stage 1` is printed, or where each attempt is a line."""
    connection = Connection(client, Login("localhost", 8884), ())
    assert connection.news() == ""
    for _ in range(3):
        fail(client, ConnectionRefusedError())
    told = connection.news()
    assert "localhost:8884: nothing listens there" in told and connection.news() == ""
    client.on_subscribe(client, None, 1, [], None)
    assert connection.news() == "the broker localhost:8884 is heard again" and connection.news() == ""
    said = spoken(["--lang", "ru"], command.WORDS, LOG_WORDS).said
    assert said(told).startswith("брокер недоступен: localhost:8884: там никто не принимает соединений")


def test_a_broker_that_refuses_is_said(client: Any) -> None:
    connection = Connection(client, Login("localhost", 8884), ())
    client.on_connect(client, None, None, ReasonCode(PacketTypes.CONNACK, "Not authorized"), None)
    assert "does not authorise" in connection.news()
    client.on_disconnect(client, None, None, None, None)
    assert connection.news() == ""  # the same trouble


def test_its_password_goes_to_no_server_of_another_name(tmp_path: Path) -> None:
    """A certificate of the right authority is not enough: a column has one. Red with `tls_insecure_set` in the desk's
    mqtt_client.py, and where the rollout has encryption of its own making."""
    authority, wrong = Authority(tmp_path), "for another name"
    nothing = cast("Any", None)
    with wrong_peers.echoes({wrong: wrong_peers.server(authority, wrong)}) as servers:
        login = Login(HOST, servers[wrong].port, authority.client("desk"), "desk", "geheim-17")
        service = Service(nothing, nothing, nothing, login, print)
        service._client.loop_start()
        try:
            told = wait_for(service._connection.news, "why there is no broker")
        finally:
            end(service._client)
    assert "its certificate is not accepted" in told and b"geheim-17" not in servers[wrong].heard
