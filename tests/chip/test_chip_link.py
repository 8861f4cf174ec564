"""The HAL's links on the chip, on every runtime: a driver that says it is joining and is idle, hardware that fails."""

import json
from pathlib import Path

import pytest
from chip_net_rig import Make
from chip_rig import Chip
from column_probe import need, runtimes

from firmware.startup import config

ROOT = Path(__file__).resolve().parents[2]
FILES: dict[str, str | bytes] = {
    path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted((ROOT / "hal").glob("*.py"))
}
RMII = {"type": "ethernet", "phy": None, "phy_addr": 1, "mdc": 23, "mdio": 18, "power": None, "reset": None}
NO_PINS = dict.fromkeys(("ref_clk", "ref_clk_out", "spi", "sck", "mosi", "miso", "cs", "int"))


WIFI = """
from hal.esp32_link import WifiLink
link = WifiLink("sos-columns", "password", None)
link.start()
def until(is_up, limit_ms=20000):
    start = time.ticks_ms()
    while link.is_up() != is_up and time.ticks_diff(time.ticks_ms(), start) < limit_ms:
        time.sleep_ms(5)
    return link.is_up() == is_up
print("up", until(True), link.describe()["rssi_dbm"])
until(False)
while w.status() == 1010:
    time.sleep_ms(5)
print("refused", w.status())
RESTART
print("restarted", w.status())
until(True, 2000)
print("then", link.is_up())
"""
TRUSTING = """
w.active(False)
w.active(True)
if w.status() != 1001:
    w.connect("sos-columns", "password")
"""


@pytest.mark.parametrize("reason", [2, 15, 204])
def test_a_restart_connects_though_the_driver_says_that_it_is_at_it(chip: Make, reason: int) -> None:
    one = chip(WIFI.replace("RESTART", "link.restart()"), FILES).start()
    assert one.wait("up (.*)")[1] == "True -61"
    one.send(f"reason {reason}")
    assert one.wait("refused (.*)")[1] == "1001", "network_wlan.c takes this reason for still connecting"
    one.send("reason 0")
    assert one.wait("restarted (.*)")[1] in ("1001", "1000")
    assert one.wait("then (.*)")[1] == "True"


def test_a_restart_that_trusts_the_status_leaves_it_idle(chip: Make) -> None:
    """What C7 was: red for the code that was there before."""
    one = chip(WIFI.replace("RESTART", TRUSTING.strip()), FILES).start()
    one.wait("up (.*)")
    one.send("reason 204")
    one.wait("refused 1001")
    one.send("reason 0")
    assert one.wait("restarted (.*)")[1] == "1001"
    assert one.wait("then (.*)")[1] == "False"


BOARD = """
import json
from hal.esp32 import Esp32Board
board = Esp32Board()
board.configure(json.loads(CONFIG))
print("made", board.link.failure, board.contact.is_closed())
try:
    board.link.start()
    print("start ok")
except OSError as error:
    print("start", error)
print("describe", board.link.describe()["kind"])
"""


BY_DHCP = {"hostname": "sos-1", "country": None, "address": None, "netmask": None, "gateway": None, "dns": None}


def configured(link: dict[str, object], with_tls: bool = False) -> str:
    document = {**config.fallback("esp32"), "secrets": {"wifi_ssid": "a", "tls_key": None}}
    document["link"] = {**NO_PINS, **BY_DHCP, **link}
    document["broker"] = {"tls": {"ca": "", "cert": None} if with_tls else None}
    document["pins"] = {**document["pins"], "tamper": None, "supply": None}
    document["secrets"]["wifi_password"] = "password"
    return f"CONFIG = {json.dumps(document)!r}\n" + BOARD


@pytest.mark.parametrize("runtime", runtimes())
@pytest.mark.parametrize(
    ("fails", "link", "failure"),
    [
        ("wlan", {"type": "wifi"}, "WiFi Out of Memory"),
        ("lan", RMII, "esp_eth_driver_install failed"),
        ("tls-memory", {"type": "wifi"}, r"\[Errno 12\] ENOMEM|12"),
    ],
)
def test_a_network_that_cannot_be_made_is_no_refusal(
    tmp_path: Path, runtime: str, fails: str, link: dict[str, object], failure: str
) -> None:
    with Chip(tmp_path, need(runtime), configured(link, fails == "tls-memory"), FILES) as one:
        one.start(fails=fails).wait(f"made the network's hardware: ({failure}) False")
        one.wait("describe other")


@pytest.mark.parametrize(("fails", "link"), [("wifi-start", {"type": "wifi"}), ("eth-start", RMII)])
def test_an_interface_that_does_not_start_says_so_and_can_be_tried_again(
    chip: Make, fails: str, link: dict[str, object]
) -> None:
    one = chip(configured(link), FILES).start(fails=fails)
    one.wait("made None False")
    one.wait("start the interface does not start")


STREAM = """
from hal.esp32_net import Stream
join()
stream = Stream("127.0.0.1", 1, None, None, select.poll())
start = time.ticks_ms()
try:
    while not stream.is_open() and time.ticks_diff(time.ticks_ms(), start) < 2000:
        time.sleep_ms(5)
    print("opened")
except OSError as error:
    print("failed", error)
"""


def test_a_connection_that_is_refused_is_not_open(chip: Make) -> None:
    """C11: registered for POLLOUT alone, it was, by what lwIP says."""
    chip(STREAM, FILES).start().wait("failed .*refused or unreachable")
    deaf = {**FILES, "hal/esp32_net.py": str(FILES["hal/esp32_net.py"]).replace(" | select.POLLHUP)", ")", 1)}
    chip(STREAM, deaf).start().wait("opened")
