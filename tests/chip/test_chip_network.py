"""The virtual `network`, `socket` and `select` of a chip, on every runtime, against real servers."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from chip_net_rig import Echo, Make
from chip_rig import Chip
from column_probe import need

HAL = Path(__file__).resolve().parents[2] / "hal"


@pytest.fixture
def echo() -> Iterator[Echo]:
    with contextlib.closing(Echo()) as server:
        yield server


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
print("up", code(network.LAN, spi=spi, cs=machine.Pin(10), int=machine.Pin(9), phy_type=network.PHY_W5500, phy_addr=0))
"""


def test_ethernet_follows_the_cable(chip: Make) -> None:
    one = chip(LAN).start()
    assert one.wait("refused (.*)")[1] == "mdc and mdio must be specified invalid phy address"
    assert one.wait("first (.*)")[1] == "0 False"
    assert one.wait("up (.*)")[1] == "True"
    one.send("link 0")
    assert one.wait("down (.*)")[1] == "True"


def test_ethernet_on_spi_is_for_every_chip(chip: Make) -> None:
    assert chip(LAN_SPI).start(chip="esp32c3").wait("up (.*)")[1] == "esp_netif_attach failed"
    chip(LAN).start(chip="esp32s3").wait("refused invalid phy type")


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
poll.register(refused, select.POLLOUT | select.POLLERR)
print("writable", [flags for _, flags in poll.poll(2000)])
poll.register(refused, select.POLLOUT | select.POLLERR | select.POLLHUP)
print("refused", [flags for _, flags in poll.poll(2000)], code(refused.write, b"x"))
poll.unregister(refused)
refused.close()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setblocking(False)
print("udp", udp.sendto(b"x", ("127.0.0.1", PORT)), code(udp.recvfrom, 10))
name = socket.socket()
name.connect(socket.getaddrinfo("localhost", PORT)[0][-1])
print("blocking", name.send(b"wait"), name.recv(6))
"""


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
    assert one.wait("writable (.*)")[1] == "[4]", "lwIP says no more than that when nobody asked for POLLHUP"
    assert one.wait("refused (.*)")[1] == "[20] ECONNREFUSED"
    assert one.wait("udp (.*)")[1] == "1 EAGAIN"
    assert one.wait("blocking (.*)")[1] == "4 b'<wait>'"


def test_error_numbers_are_the_chips_on_cpython(tmp_path: Path) -> None:
    need("cpython")
    main = "import errno\nprint('numbers', errno.EINPROGRESS, errno.EHOSTUNREACH)\n"
    with Chip(tmp_path, "cpython", main) as one:
        assert one.start().wait("numbers (.*)")[1] == "119 118" != f"{errno.EINPROGRESS} {errno.EHOSTUNREACH}"


NO_DELAY = """
class Watched(socket.socket):
    def setsockopt(self, *options):
        print("option", options == (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1))
        super().setsockopt(*options)
join()
socket.socket = Watched
from hal.esp32_net import Stream
stream = Stream("127.0.0.1", PORT, None, None, select.poll())
while not stream.is_open():
    time.sleep_ms(2)
print("sent", stream.write(b"x"))
"""


def test_a_stream_of_the_hal_waits_for_no_acknowledgement_before_it_sends_more(chip: Make, echo: Echo) -> None:
    files: dict[str, str | bytes] = {"hal/esp32_net.py": (HAL / "esp32_net.py").read_text()}
    one = chip(f"PORT = {echo.port}\n" + NO_DELAY, files).start()
    assert one.wait("option (.*)")[1] == "True"
    assert one.wait("sent (.*)")[1] == "1"


def test_a_stream_that_waits_is_noticed(chip: Make, echo: Echo) -> None:
    source = (HAL / "esp32_net.py").read_text().replace("socket.TCP_NODELAY, 1)", "socket.TCP_NODELAY, 0)")
    one = chip(f"PORT = {echo.port}\n" + NO_DELAY, {"hal/esp32_net.py": source}).start()
    assert one.wait("option (.*)")[1] == "False"


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


def test_the_host_cannot_be_reached_by_name_of_a_module(chip: Make) -> None:
    one = chip("import usocket, utime\nprint('same', usocket is socket, utime is time)\n").start()
    assert one.wait("same (.*)")[1] == "True True"
