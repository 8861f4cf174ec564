"""Columns and RabbitMQ over mutual TLS: a broker that ends the session at what its access list denies."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from column_probe import need
from rig_real import RealRig
from runs import SEED

from sim.servers.authority import Authority
from sim.servers.broker import RabbitMq, Tls
from sim.servers.broker.rabbitmq import May
from sim.servers.centre import Centre
from sim.servers.stand_ins import TimeServer

PASSWORD = "a password"
CENTRE, GRANTED, DEAF, EVENTLESS = "centre", "rabbit-granted", "rabbit-deaf", "rabbit-eventless"
PER_MINUTE = 13
RIGHTS = {DEAF: May(read="^$"), EVENTLESS: May(write=r"^sos\.v1\.nko\.[^.]+\.(?!event).*$")}

pytestmark = pytest.mark.xdist_group("rabbitmq")  # one start for all of them


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def broker(authority: Authority) -> Iterator[RabbitMq]:
    need("rabbitmq")
    users = dict.fromkeys((CENTRE, GRANTED, DEAF, EVENTLESS), PASSWORD)
    with RabbitMq(tls=Tls(authority), users=users, rights=RIGHTS) as made:
        yield made


@pytest.fixture
def column(broker: RabbitMq, authority: Authority, time_server: TimeServer) -> Iterator[Callable[[str], RealRig]]:
    """Starts one with that user's rights, and a centre that answers it."""
    with ExitStack() as stack:
        login: dict[str, Any] = {"tls": authority.client(CENTRE), "user": CENTRE, "password": PASSWORD}
        centre = stack.enter_context(Centre(broker.host, broker.port, **login))

        def made(user: str) -> RealRig:
            rig = RealRig("cpython", user, SEED, broker, centre, time_server.port)
            stack.callback(rig.close)
            own = authority.client(user)
            tls = {"ca": authority.ca_path.read_text("ascii"), "cert": own.cert_pem, "server_name": None}
            secrets = {"tls_key": own.key_pem, "mqtt_user": user, "mqtt_password": PASSWORD}
            rig.install(rig.document(broker={"tls": tls, "insecure": False}, secrets=secrets))
            rig.power_on()
            return rig

        yield made


def sessions(rig: RealRig) -> int:
    return sum("uplink: session with" in line for line in rig.logs())


def test_an_alarm_is_delivered_and_answered(column: Callable[[str], RealRig]) -> None:
    rig = column(GRANTED)
    rig.wait_lamp("ready")
    rig.press()
    rig.wait_lamp("answered")
    rig.check_all_arrived_once()
    assert sessions(rig) == 1


def test_a_column_that_may_not_subscribe_gets_its_alarm_through_and_is_bounded(
    column: Callable[[str], RealRig],
) -> None:
    """RabbitMQ closes the connection at the SUBSCRIBE: 430 to 570 connections a second, before."""
    rig = column(DEAF)
    rig.wait_log("uplink: session with")
    rig.press()
    assert rig.wait_alarms()[0].press == 1
    fault = rig.wait_heard("fault/not-subscribed", 30_000)
    assert "no answer can arrive" in fault["detail"]
    assert sessions(rig) <= PER_MINUTE
    rig.wait_lamp("not-delivered")


def test_a_column_that_may_not_publish_events_says_so_and_is_answered(column: Callable[[str], RealRig]) -> None:
    rig = column(EVENTLESS)
    rig.wait_heard("fault/broker-refuses", 40_000)
    rig.press()
    rig.wait_lamp("answered")
    assert sessions(rig) <= PER_MINUTE
