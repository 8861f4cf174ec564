"""Both real brokers keep the promises that the simulator and the other tests build on."""

from __future__ import annotations

import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from column_probe import need
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from common.identity import Identity
from common.mqtt import end
from common.ports import free_port
from sim.servers.authority import Authority
from sim.servers.broker import Broker, BrokerError, EmbeddedBroker, Mosquitto, Published, Tls

WAIT_S = 5.0
SHORT_S = 0.3
KINDS = [
    pytest.param(EmbeddedBroker, id="amqtt"),
    pytest.param(Mosquitto, id="mosquitto", marks=pytest.mark.mosquitto),
]
BrokerMaker = Callable[..., Broker]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[BrokerMaker]:
    """Makes started brokers of either kind, and stops them."""
    kind = request.param
    if kind is Mosquitto:
        need("mosquitto")
    made: list[Broker] = []

    def maker(**options: Any) -> Broker:
        broker: Broker = kind(**options)
        made.append(broker)
        broker.start()
        return broker

    yield maker
    for broker in made:
        broker.stop()
        if isinstance(broker, Mosquitto):
            broker.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


class Client:
    """A paho client that puts what it hears into a queue."""

    def __init__(self, broker: Broker, name: str, *, tls: Identity | None = None, will: str = "") -> None:
        self.heard: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self._ready = threading.Event()
        self.mqtt = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
        if tls is not None:
            self.mqtt.tls_set(str(tls.ca), str(tls.cert), str(tls.key))
        if will:
            self.mqtt.will_set(will, b"gone", qos=1, retain=True)
        self.mqtt.on_message = lambda client, data, message: self.heard.put(message)
        self.mqtt.on_connect = lambda *args: self._ready.set()
        self.mqtt.on_subscribe = lambda *args: self._ready.set()
        self.mqtt.connect(broker.host, broker.port, keepalive=5)
        self.mqtt.loop_start()
        assert self._ready.wait(WAIT_S)

    def subscribe(self, topic: str, qos: int = 1) -> None:
        self._ready.clear()
        self.mqtt.subscribe(topic, qos)
        assert self._ready.wait(WAIT_S)

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        self.mqtt.publish(topic, payload, qos, retain).wait_for_publish(WAIT_S)

    def next(self) -> mqtt.MQTTMessage:
        return self.heard.get(timeout=WAIT_S)

    def tear(self) -> None:
        """Lose the connection without a DISCONNECT."""
        sock = self.mqtt.socket()
        assert isinstance(sock, socket.socket)
        sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        end(self.mqtt)


@pytest.fixture
def join() -> Iterator[Callable[..., Client]]:
    """Makes clients and closes them."""
    made: list[Client] = []

    def joiner(*args: Any, **options: Any) -> Client:
        made.append(Client(*args, **options))
        return made[-1]

    yield joiner
    for client in made:
        client.close()


def test_a_message_arrives_once_and_in_order(make: BrokerMaker, join: Callable[..., Client]) -> None:
    broker = make()
    reader, writer = join(broker, "reader"), join(broker, "writer")
    reader.subscribe("sos/v1/+/+/#")
    for number in range(50):
        writer.publish("sos/v1/nko/a/alarm", f"№{number}".encode())
    assert [reader.next().payload.decode() for _ in range(50)] == [f"№{number}" for number in range(50)]
    assert reader.heard.empty()


def test_retained_is_kept_for_later_readers_until_cleared(make: BrokerMaker, join: Callable[..., Client]) -> None:
    broker = make()
    writer = join(broker, "writer")
    writer.publish("a/state", b"on", retain=True)
    first = join(broker, "first")
    first.subscribe("a/+")
    message = first.next()
    assert (message.payload, message.retain) == (b"on", True)
    writer.publish("a/state", b"", retain=True)
    assert first.next().payload == b""
    later = join(broker, "later")
    later.subscribe("a/+")
    writer.publish("a/mark", b"mark")
    assert later.next().payload == b"mark"


def test_the_last_will_goes_out_and_stays(make: BrokerMaker, join: Callable[..., Client]) -> None:
    broker = make()
    reader = join(broker, "reader")
    reader.subscribe("will/#")
    join(broker, "column", will="will/column").tear()
    assert reader.next().payload == b"gone"
    later = join(broker, "later")
    later.subscribe("will/#")
    assert later.next().retain


def test_a_connecting_client_hears_only_what_it_subscribed_to(make: BrokerMaker, join: Callable[..., Client]) -> None:
    broker = make()
    reader, writer = join(broker, "reader"), join(broker, "writer")
    reader.subscribe("#")
    writer.publish("other/state", b"on", retain=True)
    reader.next()
    newcomer = join(broker, "newcomer")
    newcomer.subscribe("mine/#")
    writer.publish("mine/mark", b"mark")
    assert newcomer.next().topic == "mine/mark"


def test_a_second_connection_ends_the_first(make: BrokerMaker) -> None:
    broker = make()
    first, second = _connect(broker, b"same"), _connect(broker, b"same")
    with first, second:
        first.settimeout(WAIT_S)
        assert _ended(first)
        second.sendall(b"\xc0\x00")
        assert second.recv(2) == b"\xd0\x00"


def test_a_silent_client_is_dropped(make: BrokerMaker) -> None:
    broker = make()
    with _connect(broker, b"silent", keepalive_s=1) as client:
        client.settimeout(15)
        assert _ended(client)


def test_it_comes_back_on_the_same_port(make: BrokerMaker) -> None:
    broker = make()
    port = broker.port
    with _connect(broker, b"column") as client:
        broker.stop()
        assert _ended(client)
    assert not broker.running and not broker.answers(SHORT_S)
    broker.stop()
    broker.start()
    assert broker.running and broker.answers() and broker.port == port


def test_users_need_their_password(make: BrokerMaker) -> None:
    broker = make(users={"desk": "right"})
    assert _connack(broker, user=b"desk", password=b"right") == 0
    assert _connack(broker, user=b"desk", password=b"wrong") in (4, 5)
    assert _connack(broker) in (4, 5)


def test_mutual_tls_asks_for_a_certificate(
    make: BrokerMaker, join: Callable[..., Client], authority: Authority, tmp_path: Path
) -> None:
    broker = make(tls=Tls(authority))
    good = join(broker, "petropavl-01", tls=authority.client("petropavl-01"))
    good.subscribe("a/#")
    good.publish("a/b", b"over TLS")
    assert good.next().payload == b"over TLS"
    stranger = Authority(tmp_path / "stranger").client("petropavl-01")
    assert not _tls_accepted(broker, authority, None)
    assert not _tls_accepted(broker, authority, stranger)
    assert not _tls_accepted(broker, authority, authority.client("petropavl-01", expired=True))
    assert _tls_accepted(broker, authority, authority.client("petropavl-01"))


def test_one_sided_tls_asks_for_none(make: BrokerMaker, authority: Authority) -> None:
    assert _tls_accepted(make(tls=Tls(authority, mutual=False)), authority, None)


@pytest.mark.parametrize("fault", ["expired", "other name", "other authority"])
def test_bad_server_certificates_are_told_apart(
    make: BrokerMaker, authority: Authority, tmp_path: Path, fault: str
) -> None:
    server = {
        "expired": lambda: authority.server(expired=True),
        "other name": lambda: authority.server(hosts=("other.example",)),
        "other authority": lambda: Authority(tmp_path / "other").server(),
    }[fault]()
    broker = make(tls=Tls(authority, mutual=False, server=server))
    assert broker.answers()
    assert not _tls_accepted(broker, authority, None)


def test_a_taken_port_is_said_with_the_log(make: BrokerMaker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        # Whoever holds the port does not answer, so the probe cannot take it for the broker.
        with pytest.raises(BrokerError, match=rf"(?is){port}.*address already in use"):
            make(port=port)


def test_the_embedded_broker_shows_what_was_published(join: Callable[..., Client]) -> None:
    seen: queue.Queue[Published] = queue.Queue()
    with EmbeddedBroker(on_publish=seen.put) as broker:
        writer = join(broker, "writer")
        writer.publish("a/b", b"x", qos=0, retain=True)
        assert seen.get(timeout=WAIT_S) == Published("writer", "a/b", b"x", 0, True)
        writer.publish("a/c", b"", qos=1)
        assert seen.get(timeout=WAIT_S) == Published("writer", "a/c", b"", 1, False)


@pytest.fixture
def mosquitto() -> Iterator[Callable[..., Mosquitto]]:
    """Makes mosquitto only."""
    need("mosquitto")
    made: list[Mosquitto] = []

    def maker(**options: Any) -> Mosquitto:
        made.append(Mosquitto(**options))
        made[-1].start()
        return made[-1]

    yield maker
    for broker in made:
        broker.close()
        assert not broker.folder.exists()


@pytest.mark.mosquitto
def test_frozen_it_accepts_and_stays_silent(mosquitto: Callable[..., Mosquitto]) -> None:
    broker = mosquitto()
    broker.freeze()
    socket.create_connection((broker.host, broker.port), WAIT_S).close()
    assert not broker.answers(SHORT_S)
    broker.thaw()
    assert broker.answers()
    broker.freeze()
    broker.restart()
    assert broker.answers()


@pytest.mark.mosquitto
def test_a_kill_loses_only_what_was_not_persistent(
    mosquitto: Callable[..., Mosquitto], join: Callable[..., Client]
) -> None:
    for persistence in (False, True):
        broker = mosquitto(persistence=persistence)
        writer = join(broker, "writer")
        writer.publish("a/state", b"on", retain=True)
        writer.publish("a/state", b"on", retain=True)  # when it is acknowledged, the first is on disk
        writer.close()
        broker.kill()
        broker.start()
        reader = join(broker, "reader")
        reader.subscribe("a/+")
        reader.publish("a/mark", b"mark")
        assert reader.next().payload == (b"on" if persistence else b"mark")


@pytest.mark.mosquitto
def test_the_access_list_goes_by_the_certificate(
    mosquitto: Callable[..., Mosquitto], join: Callable[..., Client], authority: Authority
) -> None:
    acl = "user centre\ntopic readwrite #\n\npattern readwrite sos/v1/nko/%u/#"
    broker = mosquitto(tls=Tls(authority), acl=acl)
    centre = join(broker, "centre", tls=authority.client("centre"))
    centre.subscribe("#")
    column = join(broker, "x", tls=authority.client("petropavl-01"))
    column.publish("sos/v1/nko/petropavl-02/alarm", b"somebody else's")
    column.publish("sos/v1/nko/petropavl-01/alarm", b"mine")
    assert centre.next().payload == b"mine"


@pytest.mark.mosquitto
def test_a_bad_line_is_quoted_and_frozen_needs_running(mosquitto: Callable[..., Mosquitto]) -> None:
    with pytest.raises(BrokerError, match="no_such_setting"):
        mosquitto(extra=["no_such_setting 1"])
    stopped = Mosquitto(port=free_port())
    with pytest.raises(BrokerError, match="not running"):
        stopped.freeze()
    stopped.close()


def _connect_packet(client_id: bytes, keepalive_s: int, user: bytes, password: bytes) -> bytes:
    flags = 2 | (0x80 if user else 0) | (0x40 if password else 0)
    fields = [client_id, *(field for field in (user, password) if field)]
    texts = b"".join(struct.pack("!H", len(text)) + text for text in fields)
    body = b"\x00\x04MQTT\x04" + bytes([flags]) + struct.pack("!H", keepalive_s) + texts
    return bytes([0x10, len(body)]) + body


def _connect(broker: Broker, client_id: bytes, keepalive_s: int = 30) -> socket.socket:
    """A plain socket that has been told CONNACK with 0."""
    sock = socket.create_connection((broker.host, broker.port), WAIT_S)
    sock.sendall(_connect_packet(client_id, keepalive_s, b"", b""))
    assert sock.recv(4) == b"\x20\x02\x00\x00"
    return sock


def _connack(broker: Broker, user: bytes = b"", password: bytes = b"") -> int:
    with socket.create_connection((broker.host, broker.port), WAIT_S) as sock:
        sock.sendall(_connect_packet(b"someone", 30, user, password))
        return sock.recv(4)[3]


def _ended(sock: socket.socket) -> bool:
    """Whether the other side closes; raises TimeoutError if it does not in the socket's own time."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def _tls_accepted(broker: Broker, trusted: Authority, identity: Identity | None) -> bool:
    """Whether a client that trusts `trusted` and shows `identity` gets its CONNACK."""
    context = ssl.create_default_context(cafile=str(trusted.ca_path))
    if identity is not None:
        context.load_cert_chain(identity.cert, identity.key)
    try:
        with (
            socket.create_connection((broker.host, broker.port), WAIT_S) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            sock.sendall(_connect_packet(b"tls", 30, b"", b""))
            return sock.recv(4) == b"\x20\x02\x00\x00"
    except (ssl.SSLError, ConnectionError):
        return False
