"""The virtual `network`, `socket`, `select` and `tls` of a chip, on every runtime, against real servers."""

import binascii
import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chip_rig import Chip
from pole_probe import need, runtimes

from sim.certs import Authority, Identity

Make = Callable[..., Chip]

JOIN = """
import time, machine, network, errno, socket, select, gc
w = network.WLAN(network.STA_IF)
def join():
    w.active(True)
    w.connect("sos-columns", "password")
    while not w.isconnected():
        time.sleep_ms(5)
def code(what, *args):
    try:
        return what(*args)
    except OSError as error:
        return errno.errorcode.get(error.args[0], error.args[0])
"""


@pytest.fixture(params=runtimes())
def runtime(request: pytest.FixtureRequest) -> str:
    return need(request.param)


@pytest.fixture
def chip(runtime: str, tmp_path: Path) -> Iterator[Make]:
    made: list[Chip] = []

    def make(main: str, files: dict[str, str | bytes] | None = None) -> Chip:
        made.append(Chip(tmp_path, runtime, JOIN + main, files))
        return made[-1]

    yield make
    for one in made:
        one.kill()


class Echo:
    """A server that sends back what it gets in angle brackets, over TLS when it has a context."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._context = context
        self.peers: list[str] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            stream = self._context.wrap_socket(connection, server_side=True) if self._context else connection
            if isinstance(stream, ssl.SSLSocket):
                self.peers.append(str(stream.getpeercert()))
            with stream:
                while data := stream.recv(65536):
                    stream.sendall(b"<" + data + b">")
        except OSError:
            connection.close()

    def close(self) -> None:
        """The thread first: its accept() could otherwise take the next server's connections by a reused descriptor."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


WIFI = """
print("idle", w.active(), w.status(), w.isconnected(), w.ifconfig()[0], code(w.connect, "a", "password"))
w.active(True)
w.config(pm=w.PM_NONE)
w.connect("sos-columns", "password")
try:
    w.connect("sos-columns", "password")
except OSError as error:
    print("busy", error)
print("joining", w.status())
while not w.isconnected():
    time.sleep_ms(5)
print("joined", w.status(), w.status("rssi") < 0, w.ifconfig()[0] != "0.0.0.0", w.config("pm"), w.config("ssid"))
w.disconnect()
print("left", w.status(), w.isconnected())
"""


def test_wifi_states_and_codes(chip: Make) -> None:
    one = chip(WIFI).start()
    assert one.wait("idle (.*)")[1] == "False 1000 False 0.0.0.0 Wifi Not Started"
    assert one.wait("busy (.*)")[1] == "Wifi Internal Error"
    assert one.wait("joining (.*)")[1] == "1001"
    assert one.wait("joined (.*)")[1] == "1010 True True 0 sos-columns"
    assert one.wait("left (.*)")[1] == "1000 False"


STATUS = """
w.active(True)
w.connect("sos-columns", "password")
last = 0
while True:
    if w.status() != last:
        last = w.status()
        print("status", last)
    time.sleep_ms(5)
"""


def test_wifi_without_access_point_retries_by_itself(chip: Make) -> None:
    one = chip(STATUS).start(link=0)
    one.wait("status 201")
    one.send("link 1")
    one.wait("status 1010")
    one.send("link 0")
    one.wait("status 1001")
    one.wait("status 201")


def test_wifi_with_a_wrong_password(chip: Make) -> None:
    chip(STATUS).start(password="something else").wait("status 202")
    chip(STATUS).start(ssid="another network").wait("status 201")


LAN = """
def refused(**options):
    try:
        network.LAN(**options)
    except ValueError as error:
        return str(error)
print("refused", refused(phy_addr=0, phy_type=network.PHY_LAN8720), refused(phy_addr=99, phy_type=1, mdc=23, mdio=18))
lan = network.LAN(mdc=machine.Pin(23), mdio=machine.Pin(18), phy_type=network.PHY_LAN8720, phy_addr=1)
print("first", lan.status(), lan.isconnected())
lan.active(True)
while not lan.isconnected():
    time.sleep_ms(5)
print("up", lan.status() == network.ETH_GOT_IP)
while lan.isconnected():
    time.sleep_ms(5)
print("down", lan.status() == network.ETH_DISCONNECTED)
"""
LAN_SPI = """
spi = machine.SPI(1, baudrate=20000000)
lan = network.LAN(spi=spi, cs=machine.Pin(10), int=machine.Pin(9), phy_type=network.PHY_W5500, phy_addr=0)
lan.active(True)
while not lan.isconnected():
    time.sleep_ms(5)
print("up", network.LAN(phy_type=1, phy_addr=0) is lan)
"""


def test_ethernet_follows_the_cable(chip: Make) -> None:
    one = chip(LAN).start()
    assert one.wait("refused (.*)")[1] == "mdc and mdio must be specified invalid phy address"
    assert one.wait("first (.*)")[1] == "0 False"
    assert one.wait("up (.*)")[1] == "True"
    one.send("link 0")
    assert one.wait("down (.*)")[1] == "True"


TCP = """
import _thread
no_route = socket.socket()
print("before", code(no_route.connect, ("127.0.0.1", PORT)))
join()
found = []
_thread.start_new_thread(lambda: found.append(socket.getaddrinfo("127.0.0.1", PORT)[0][-1]), ())
s = socket.socket()
s.setblocking(False)
print("connect", code(s.connect, ("127.0.0.1", PORT)))
poll = select.poll()
poll.register(s, select.POLLOUT)
print("writable", [flags for _, flags in poll.ipoll(2000)])
poll.modify(s, select.POLLIN)
print("nothing", s.read(5), code(s.recv, 5), poll.poll(0))
print("sent", s.write(b"hello"))
print("readable", [obj is s for obj, _ in poll.poll(2000)])
buffer = bytearray(20)
while not found:
    time.sleep_ms(5)
print("got", s.readinto(buffer), bytes(buffer[:7]), found)
s.settimeout(0.1)
start = time.ticks_ms()
print("timeout", code(s.recv, 1), 90 <= time.ticks_diff(time.ticks_ms(), start) < 1000)
s.setblocking(False)
refused = socket.socket()
refused.setblocking(False)
code(refused.connect, ("127.0.0.1", 1))
poll.register(refused, select.POLLOUT)
print("refused", [flags & select.POLLERR != 0 for _, flags in poll.poll(2000)], code(refused.write, b"x"))
poll.unregister(refused)
refused.close()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setblocking(False)
print("udp", udp.sendto(b"x", ("127.0.0.1", PORT)), code(udp.recvfrom, 10))
name = socket.socket()
name.connect(socket.getaddrinfo("localhost", PORT)[0][-1])
print("blocking", name.send(b"wait"), name.recv(6))
"""


def test_ethernet_on_spi_is_for_every_chip(chip: Make) -> None:
    assert chip(LAN_SPI).start(chip="esp32c3").wait("up (.*)")[1] == "True"
    chip(LAN).start(chip="esp32s3").wait("refused invalid phy type")


def test_tcp_and_udp_do_not_wait_when_told_so(chip: Make, echo: Echo) -> None:
    one = chip(f"PORT = {echo.port}\n" + TCP).start()
    assert one.wait("before (.*)")[1] == "EHOSTUNREACH"
    assert one.wait("connect (.*)")[1] == "EINPROGRESS"
    assert one.wait("writable (.*)")[1] == "[4]"
    assert one.wait("nothing (.*)")[1] == "None EAGAIN []"
    assert one.wait("sent (.*)")[1] == "5"
    assert one.wait("readable (.*)")[1] == "[True]"
    assert one.wait("got (.*)")[1] == f"7 b'<hello>' [('127.0.0.1', {echo.port})]"
    assert one.wait("timeout (.*)")[1] == "ETIMEDOUT True"
    assert one.wait("refused (.*)")[1] == "[True] ECONNREFUSED"
    assert one.wait("udp (.*)")[1] == "1 EAGAIN"
    assert one.wait("blocking (.*)")[1] == "4 b'<wait>'"


def test_error_numbers_are_the_chips_on_cpython(tmp_path: Path) -> None:
    need("cpython")
    one = Chip(tmp_path, "cpython", "import errno\nprint('numbers', errno.EINPROGRESS, errno.EHOSTUNREACH)\n").start()
    assert one.wait("numbers (.*)")[1] == "119 118" != f"{errno.EINPROGRESS} {errno.EHOSTUNREACH}"
    one.kill()


DEAD_LINK = """
join()
s = socket.socket()
s.connect(("127.0.0.1", PORT))
s.write(b"first")
while s.read(7) != b"<first>":
    pass
s.setblocking(False)
print("talking")
while w.isconnected():
    time.sleep_ms(5)
poll = select.poll()
poll.register(s, select.POLLIN)
new = socket.socket()
new.setblocking(False)
print("dead", s.write(b"later"), s.read(7), poll.poll(20), code(new.connect, ("127.0.0.1", PORT)))
print("names", code(socket.getaddrinfo, "localhost", 1), socket.getaddrinfo("10.0.0.1", 1)[0][-1])
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("udp", code(udp.sendto, b"x", ("127.0.0.1", PORT)))
filled = 5
while True:
    taken = s.write(bytes(1000))
    if not taken:
        break
    filled += taken
print("filled", filled, taken)
while not w.isconnected():
    time.sleep_ms(5)
s.settimeout(5)
data = b""
while len(data) < filled + 2:
    data += s.read(filled)
print("alive", data[:6], data.count(b"\\0"))
"""


def test_a_dead_link_is_silent_and_sends_later_what_it_took(chip: Make, echo: Echo) -> None:
    one = chip(f"PORT = {echo.port}\n" + DEAD_LINK).start()
    one.wait("talking")
    one.send("link 0")
    assert one.wait("dead (.*)")[1] == "5 None [] EHOSTUNREACH"
    assert one.wait("names (.*)")[1] == "-202 ('10.0.0.1', 1)"
    assert one.wait("udp (.*)")[1] == "EHOSTUNREACH"
    assert one.wait("filled (.*)")[1] == "5744 None"
    one.send("link 1")
    assert one.wait("alive (.*)")[1] == f"b'<later' {5744 - 5}"


TLS = """
import tls
join()
def der(name):
    with open(name, "rb") as file:
        return file.read()
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_REQUIRED
context.load_verify_locations(der("ca.der"))
if WITH_CERT:
    context.load_cert_chain(der("cert.der"), der("key.der"))
other = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
for bad in (lambda: other.load_cert_chain(b"-----BEGIN", b"x"), lambda: other.wrap_socket(socket.socket())):
    try:
        bad()
    except ValueError as error:
        print("refused", error)
raw = socket.socket()
raw.connect(("127.0.0.1", PORT))
raw.setblocking(False)
s = context.wrap_socket(raw, do_handshake_on_connect=False, server_hostname=NAME)
poll = select.poll()
poll.register(s, select.POLLIN)
try:
    start = time.ticks_ms()
    sent = s.write(b"hello")
    print("first", s.read(7), time.ticks_diff(time.ticks_ms(), start) < 500)
    while sent is None:
        sent = s.write(b"hello")
        time.sleep_ms(2)
    while not poll.poll(1000):
        pass
    data = b""
    while len(data) < 7:
        data += s.read(3) or b""
    print("got", sent, data, s.read(5), poll.poll(0))
    piece, buffer = bytes(2000), bytearray(2048)
    sent, zeros = 0, 0
    while zeros < 40000:
        if sent < 40000:
            sent += s.write(piece) or 0
        count = s.readinto(buffer)
        while count:
            zeros += bytes(buffer[:count]).count(b"\\0")
            count = s.readinto(buffer)
        poll.poll(5)
    print("big", zeros)
except (OSError, ValueError) as error:
    print("failed", type(error).__name__, error)
s.close()
"""


def _der(pem: str) -> bytes:
    return binascii.a2b_base64("".join(pem.strip().splitlines()[1:-1]))


def _files(identity: Identity) -> dict[str, str | bytes]:
    return {
        "ca.der": _der(identity.ca_pem),
        "cert.der": _der(identity.cert_pem),
        "key.der": _der(identity.key_pem),
    }


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certs")


@pytest.fixture
def tls_echo(authority: Authority) -> Iterator[Echo]:
    server = authority.server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.cert, server.key)
    context.load_verify_locations(server.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    echo = Echo(context)
    yield echo
    echo.close()


def _settings(port: int, name: str, with_cert: bool = True) -> str:
    return f"PORT, NAME, WITH_CERT = {port}, {name!r}, {with_cert}\n"


def test_mutual_tls_without_waiting(chip: Make, tls_echo: Echo, authority: Authority) -> None:
    files = _files(authority.client("column-1"))
    one = chip(_settings(tls_echo.port, "localhost") + TLS, files).start()
    one.wait("refused invalid (key|cert)")
    one.wait("refused CERT_REQUIRED requires server_hostname")
    assert one.wait("first (.*)")[1] == "None True"
    assert one.wait("got (.*)")[1] == "5 b'<hello>' None []"
    assert one.wait("big (.*)")[1] == "40000"
    assert "column-1" in tls_echo.peers[0]


def test_tls_to_a_server_with_another_name_or_authority_fails(
    chip: Make, tls_echo: Echo, authority: Authority, tmp_path: Path
) -> None:
    files = _files(authority.client("column-1"))
    one = chip(_settings(tls_echo.port, "elsewhere.example") + TLS, files).start()
    one.wait("failed ValueError")
    strangers = _files(Authority(tmp_path / "strangers").client("column-1"))
    one = chip(_settings(tls_echo.port, "localhost") + TLS, strangers).start()
    one.wait("failed ValueError")


def test_tls_without_the_certificate_that_the_server_wants_fails(
    chip: Make, tls_echo: Echo, authority: Authority
) -> None:
    files = _files(authority.client("column-1"))
    one = chip(_settings(tls_echo.port, "localhost", with_cert=False) + TLS, files).start()
    one.wait("failed OSError")


def test_the_host_cannot_be_reached_by_name_of_a_module(chip: Make) -> None:
    one = chip("import usocket, utime\nprint('same', usocket is socket, utime is time)\n").start()
    assert one.wait("same (.*)")[1] == "True True"
