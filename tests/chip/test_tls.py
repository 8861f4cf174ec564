"""The virtual `tls` of a chip, on every runtime, against a real server that wants a certificate."""

import binascii
import contextlib
import datetime
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import wrong_peers
from chip_net_rig import Echo, Make, chips
from column_probe import need
from cryptography import x509

from common.identity import Identity
from firmware.clock import EARLIEST_MS
from sim.servers.authority import Authority

START = Path(__file__).parents[2] / "hal" / "esp32_start.py"


TLS = """
import tls
join()
def der(name):
    with open(name, "rb") as file:
        return file.read()
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_REQUIRED
context.load_verify_locations(der("ca.der"))
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
    print("first", s.read(7), time.ticks_diff(time.ticks_ms(), start) < 500)
    sent = s.write(b"hello")
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


HOLDS = """
import tls
join()
def der(name):
    with open(name, "rb") as file:
        return file.read()
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_REQUIRED
context.load_verify_locations(der("ca.der"))
context.load_cert_chain(der("cert.der"), der("key.der"))
raw = socket.socket()
raw.connect(("127.0.0.1", PORT))
raw.setblocking(False)
s = context.wrap_socket(raw, do_handshake_on_connect=False, server_hostname=NAME)
while not s.write(b"a"):
    time.sleep_ms(2)
print("shaken")
while w.isconnected():
    time.sleep_ms(2)
while s.write(b"x" * 1000):
    pass
print("held", s.write(b"ALARM"))
while not w.isconnected():
    time.sleep_ms(2)
sent = None
while not sent:
    sent = s.write(b"ALARM")
    time.sleep_ms(2)
print("reported", sent)
while not s.write(b"."):
    time.sleep_ms(2)
data = b""
while b"." not in data:
    data += s.read(200) or b""
print("arrived", b"ALARM" in data)
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
    with contextlib.closing(Echo(context)) as echo:
        yield echo


def _settings(port: int, name: str, year: int | None = None) -> str:
    now = datetime.datetime.now(tz=datetime.UTC)
    date = (year or now.year, now.month, now.day, 0, 12, 0, 0, 0)
    return f"PORT, NAME = {port}, {name!r}\nmachine.RTC().datetime({date})\n"


def test_mutual_tls_without_waiting(chip: Make, tls_echo: Echo, authority: Authority) -> None:
    files = _files(authority.client("column-1"))
    one = chip(_settings(tls_echo.port, "localhost") + TLS, files).start()
    one.wait("refused invalid (key|cert)")
    one.wait("refused CERT_REQUIRED requires server_hostname")
    assert one.wait("first (.*)")[1] == "None True"
    assert one.wait("got (.*)")[1] == "5 b'<hello>' None []"
    assert one.wait("big (.*)")[1] == "40000"
    assert "column-1" in tls_echo.peers[0]


def test_a_record_that_is_held_takes_the_next_write_for_itself(
    chip: Make, tls_echo: Echo, authority: Authority
) -> None:
    """C13, as mbedTLS does it: which is why firmware/session.py offers nothing else in between."""
    one = chip(_settings(tls_echo.port, "localhost") + HOLDS, _files(authority.client("column-1"))).start()
    one.wait("shaken")
    one.send("link 0")
    one.wait("held None")
    one.send("link 1")
    assert one.wait("reported (.*)")[1] == "5"
    assert one.wait("arrived (.*)")[1] == "False"


@pytest.mark.parametrize(("year", "why"), [(2001, "starts in the future"), (2099, "has expired")])
def test_dates_are_checked_by_the_chips_clock(
    tmp_path: Path, tls_echo: Echo, authority: Authority, year: int, why: str
) -> None:
    """C19, on CPython alone: the unix port's mbedTLS knows the host's clock only."""
    with chips(tmp_path, need("cpython")) as make:
        main = _settings(tls_echo.port, "localhost", year=year) + TLS
        make(main, _files(authority.client("column-1"))).start().wait(f"failed ValueError The .* {why}")


def test_a_column_whose_clock_was_never_set_takes_a_new_certificate(authority: Authority) -> None:
    """Why C19 is harmless where provisioning makes the certificates: they begin before any firmware was built."""
    der = _der(Path(authority.server().cert).read_text())
    begins_ms = x509.load_der_x509_certificate(der).not_valid_before_utc.timestamp() * 1000
    assert begins_ms < EARLIEST_MS


SPEAKS = """
from hal.esp32_start import make_context
join()
def pem(name):
    with open(name) as file:
        return file.read()
for number, port in enumerate(PORTS):
    raw = socket.socket()
    raw.connect(("127.0.0.1", port))
    raw.setblocking(False)
    try:
        context = make_context(pem("ca"), pem("cert%d" % number), pem("key%d" % number))
        s = context.wrap_socket(raw, do_handshake_on_connect=False, server_hostname="localhost")
        while not s.write(b"password"):
            time.sleep_ms(2)
        while s.read(1) is None:
            time.sleep_ms(2)
    except (OSError, ValueError) as error:
        print("failed", number, error)
    raw.close()
print("that was all")
"""


def told(chip: Make, authority: Authority, servers: dict[str, Echo], shown: Sequence[Identity | None]) -> list[str]:
    """Which of the servers hear something of a chip that shows each what stands at its place."""
    files: dict[str, str | bytes] = {"hal/esp32_start.py": START.read_bytes(), "ca": authority.ca_path.read_text()}
    for number, identity in enumerate(shown):
        files[f"cert{number}"] = identity.cert_pem if identity else ""
        files[f"key{number}"] = identity.key_pem if identity else ""
    ports = [echo.port for echo in servers.values()]
    main = _settings(0, "localhost") + f"PORTS = {ports}\n" + SPEAKS
    chip(main, files).start().wait("that was all")
    return [wrong for wrong, echo in servers.items() if b"password" in echo.heard]


def test_nothing_is_said_to_a_wrong_server(chip: Make, authority: Authority) -> None:
    """It may be anybody: a column's password must not get there. Red where hal/esp32_start.py asks for no certificate,
    and where the handshake is done with TLS older than 1.2 or left out."""
    own = wrong_peers.client(authority, "")
    contexts = {wrong: wrong_peers.server(authority, wrong) for wrong in ("", *wrong_peers.SERVERS)}
    with wrong_peers.echoes(contexts) as servers:
        assert told(chip, authority, servers, [own] * len(servers)) == [""]


def test_a_server_that_asks_who_is_there_hears_no_wrong_column(chip: Make, authority: Authority) -> None:
    """Red with a server that asks, and does not insist: then the one that shows nothing is heard."""
    wrongs = ("", *wrong_peers.CLIENTS)
    asking = wrong_peers.server(authority, "")
    assert asking is not None
    asking.load_verify_locations(authority.ca_path)
    asking.verify_mode = ssl.CERT_REQUIRED
    with wrong_peers.echoes(dict.fromkeys(wrongs, asking)) as servers:
        shown = [wrong_peers.client(authority, wrong) for wrong in wrongs]
        assert told(chip, authority, servers, shown) == [""]


@pytest.mark.parametrize("version", wrong_peers.OLD)
def test_the_old_servers_speak_as_they_say(authority: Authority, version: str) -> None:
    """Else a client that is refused would prove nothing. Red where OpenSSL does not know the version any more."""
    with wrong_peers.echoes({version: wrong_peers.server(authority, version)}) as servers:
        spoken = wrong_peers.spoken(servers[version].port, wrong_peers.OLD[version])
    assert spoken == {"TLS 1.0": "TLSv1", "TLS 1.1": "TLSv1.1"}[version]


UNUSABLE = """
from hal.esp32_start import make_context
def pem(name):
    with open(name) as file:
        return file.read()
ca, cert, key = pem("ca.pem"), pem("cert.pem"), pem("key.pem")
torn = "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n"
for texts in (("text", cert, key), (torn, cert, key), (ca, torn, key), (ca, cert, torn), (ca, cert, key)):
    try:
        make_context(*texts)
        print("taken")
    except ValueError as error:
        print("refused:", error)
"""


def test_unusable_certificates_are_refused_before_anything_is_dialled(chip: Make, authority: Authority) -> None:
    identity = authority.client("column-1")
    paths = {"ca.pem": identity.ca, "cert.pem": identity.cert, "key.pem": identity.key, "hal/esp32_start.py": START}
    one = chip(UNUSABLE, {name: path.read_bytes() for name, path in paths.items()}).start()
    for why in ("refused: not PEM text", *["refused: invalid (cert|key)"] * 3, "taken"):
        one.wait(why)
