"""The uplink against real brokers: amqtt and mosquitto, plain, TLS and mutual TLS, and everything they must refuse."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from column_probe import need
from rig_real import RealRig
from runs import SEED, runtime_parameters

from common.identity import Identity
from sim.servers.authority import Authority
from sim.servers.broker import Broker, EmbeddedBroker, Mosquitto, Tls
from sim.servers.centre import Centre
from sim.servers.stand_ins import TimeServer

DEVICE = "tls-column"
ANSWER_S = 1
BROKERS = [pytest.param("amqtt"), pytest.param("mosquitto", marks=pytest.mark.mosquitto)]
SECURITY = ("plain", "tls", "mutual")
PASSWORD = "a password"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody here trusts."""
    return Authority(tmp_path_factory.mktemp("strange-pki"))


@pytest.fixture(params=runtime_parameters("cpython", "micropython", "micropython32"))
def runtime(request: pytest.FixtureRequest) -> str:
    if request.param != "cpython":
        need(request.param)
    return str(request.param)


class Bench:
    """Makes a centre and a column for a broker; everything ends with the test."""

    def __init__(self, stack: ExitStack, runtime: str, time_server: TimeServer) -> None:
        self._stack, self._runtime, self._time_server = stack, runtime, time_server

    def rig(self, broker: Broker, **centre: Any) -> RealRig:
        hears_qos = isinstance(broker, Mosquitto)
        made = self._stack.enter_context(Centre(broker.host, broker.port, check_qos=hears_qos, **centre))
        return self._rig(broker, made)

    def unheard_rig(self, broker: Broker) -> RealRig:
        """For brokers with which no centre would speak either."""
        return self._rig(broker, Centre(broker.host, broker.port))

    def _rig(self, broker: Broker, centre: Centre) -> RealRig:
        name = f"uplink-{next(_numbers)}"
        rig = RealRig(self._runtime, name, SEED, broker, centre, self._time_server.port)
        self._stack.callback(rig.close)
        return rig


@pytest.fixture
def bench(runtime: str, time_server: TimeServer) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack, runtime, time_server)


def secured(ca: Path, client: Identity | None) -> dict[str, dict[str, Any]]:
    """The sections of a configuration that speaks TLS: with a client certificate, or (as demos do) without."""
    cert, key = (client.cert_pem, client.key_pem) if client is not None else (None, None)
    tls = {"ca": ca.read_text("ascii"), "cert": cert, "server_name": None}
    return {"broker": {"tls": tls, "insecure": client is None}, "secrets": {"tls_key": key}}


def make_broker(kind: str, tls: Tls | None) -> Broker:
    if kind == "mosquitto":
        need("mosquitto")
        return Mosquitto(tls=tls)
    return EmbeddedBroker(tls=tls)


@pytest.mark.parametrize("security", SECURITY)
@pytest.mark.parametrize("kind", BROKERS)
def test_an_alarm_is_delivered_and_answered(bench: Bench, authority: Authority, kind: str, security: str) -> None:
    tls = None if security == "plain" else Tls(authority, mutual=security == "mutual")
    with make_broker(kind, tls) as broker:
        rig = bench.rig(broker, tls=authority.client("centre") if tls else None)
        client = authority.client(rig.device_id) if security == "mutual" else None
        rig.start(**(secured(authority.ca_path, client) if tls else {}))
        mark = rig.mark()
        rig.press()
        rig.wait_lamp("answered")
        assert [state for state in rig.lamps(mark) if state != "sent"] == ["calling", "answered"]
        rig.check_all_arrived_once()
        rig.check()


REFUSALS = (
    "the column trusts another authority",
    "the server's certificate has expired",
    "the server's certificate is for another name",
    "the column shows no certificate",
    "the column's certificate is from another authority",
    "the column's certificate has expired",
)


@pytest.mark.mosquitto
@pytest.mark.parametrize("why", REFUSALS)
def test_a_wrong_certificate_is_refused(bench: Bench, authority: Authority, stranger: Authority, why: str) -> None:
    """Each is one change to what works in the test above; the alarm must never pass for `sent`."""
    good = server = authority.server()
    ca, client = authority.ca_path, authority.client(DEVICE)
    match why:
        case "the column trusts another authority":
            ca = stranger.ca_path
        case "the server's certificate has expired":
            server = authority.server(expired=True)
        case "the server's certificate is for another name":
            server = authority.server(("other.example",))
        case "the column's certificate is from another authority":
            client = stranger.client(DEVICE)
        case "the column's certificate has expired":
            client = authority.client(DEVICE, expired=True)
    need("mosquitto")
    with Mosquitto(tls=Tls(authority, server=server)) as broker:
        rig = bench.unheard_rig(broker)
        shown = None if why == "the column shows no certificate" else client
        rig.install(rig.document(incident={"answer_s": ANSWER_S}, **secured(ca, shown)))
        rig.power_on()
        rig.wait_lamp("out-of-service")
        rig.wait_log("column: armed")  # from then on it looks at its button
        rig.press()
        rig.wait_lamp("calling")
        rig.wait_lamp("not-delivered")
        broker_is_wrong = ca is not authority.ca_path or server is not good
        blamed = "the broker's certificate is refused" if broker_is_wrong else "the broker refuses us"
        rig.wait_log(f"uplink: {broker.host}:{broker.port}: TLS: {blamed}")
        assert not {"sent", "ready", "answered"} & set(rig.lamps()), rig.history()
        assert not any("session with" in line for line in rig.logs())


@pytest.mark.mosquitto
def test_a_broker_that_throws_alarms_away_is_not_believed(bench: Bench) -> None:
    """An access list that denies the topic `alarm`: mosquitto acknowledges, and nobody gets it."""
    need("mosquitto")
    allowed = "\n".join(
        f"topic write sos/v1/nko/+/{kind}" for kind in ("state", "info", "heartbeat", "event", "fault/+")
    )
    acl = f"user centre\ntopic readwrite sos/#\n\nuser denied\n{allowed}\n\nuser granted\ntopic readwrite sos/#"
    users = dict.fromkeys(("centre", "denied", "granted"), PASSWORD)
    with Mosquitto(users=users, acl=acl) as broker:
        denied, granted = (bench.rig(broker, user="centre", password=PASSWORD, name=f"centre-{i}") for i in range(2))
        for rig, user in ((denied, "denied"), (granted, "granted")):
            rig.start(secrets={"mqtt_user": user, "mqtt_password": PASSWORD}, incident={"answer_s": ANSWER_S})
            rig.press()
        granted.wait_lamp("answered")  # the control: the same, but for one line of the access list
        denied.wait_lamp("sent")
        denied.wait_lamp("not-delivered")
        assert "answered" not in denied.lamps() and not denied.alarms()
        denied.check()
