"""A rollout that does not reach its broker says so, in the person's language: it waited in silence."""

import threading
from pathlib import Path
from typing import Any, cast

import pytest
import wrong_peers
from desk_rig import WAIT_S, wait_for
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from update_rig import made

from common.mqtt import end
from common.ports import HOST, free_port
from desk.line import Login
from desk.rollout import command
from desk.rollout import plan as rules
from desk.rollout.book import Book
from desk.rollout.connection import Connection
from desk.rollout.offer import OneRelease
from desk.rollout.plan import Column, Limits, Plan
from desk.rollout.service import Service
from desk.spoken import LOG_WORDS, spoken
from sim.servers.authority import Authority
from sim.servers.broker.mosquitto import Mosquitto


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


@pytest.mark.mosquitto
def test_an_abort_waits_for_the_broker(tmp_path: Path) -> None:
    """Red where the process ends before the broker has acknowledged the command."""
    release, book, login = made(), Book(tmp_path), Login(HOST, free_port())
    plan = Plan(release.digest, release.version, Limits())
    plan.columns = {"c-1": Column("c-1", "nko", state=rules.FETCHING)}
    plan.changed = list(plan.columns.values())
    book.keep(plan, 0, [])
    book.wish("abort")
    said: list[str] = []
    over = threading.Event()

    def run() -> None:
        Service(plan, OneRelease(release), Book(tmp_path), login, said.append).run(over.is_set)

    rollout = threading.Thread(target=run)
    rollout.start()
    try:
        wait_for(lambda: any("nothing listens there" in text for text in said), "the trouble")
        wait_for(lambda: f"c-1 waiting: {rules.GIVES_UP}" in said, "who is to give up")
        assert rollout.is_alive()
        with Mosquitto(port=login.port) as broker:
            broker.start()
            rollout.join(WAIT_S)
        assert not rollout.is_alive() and said[-1] == f"c-1 waiting: {rules.GIVEN_UP}"
    finally:
        over.set()
        rollout.join()
