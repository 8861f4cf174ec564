# mypy: allow-untyped-calls
"""firmware/packets.py over several versions of umqtt.simple.

1.3.4 is the real file, unmodified. ESP32 images carry later ones frozen, which no package index has; they are
*emulated* here by changing the text of 1.3.4 in memory, in what their source differs in and packets.py can notice:

- 1.4.0: `ssl=None` in place of `ssl=False, ssl_params={}`; an empty user counts as none; `wait_msg` returns the type.
- timeout (after 1.4.0): the names `socket`, `struct`, `binascii` without "u"; `connect(clean_session, timeout)` with
  `settimeout` on the socket before it connects.
- legacy-ssl (1.6.0): the former, and `ssl_params` back beside `ssl`. 1.7.0 adds `unsubscribe`, which nobody calls.
- 1.7.1: `connect` closes the socket that it had.
- 1.8.0: `subscribe` says its length in as many bytes as it takes, and writes header and packet id apart.
"""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from sim.virtual import umqtt_host
from tools import toolbox

umqtt_host.install()

ROOT = Path(__file__).resolve().parents[2]
OLD_IMPORTS = "import usocket as socket\nimport ustruct as struct\nfrom ubinascii import hexlify\n"
NEW_IMPORTS = "import socket\nimport struct\nfrom binascii import hexlify\n"
V_1_4 = (
    ("ssl=False, ssl_params={}):", "ssl=None):"),
    ("        self.ssl_params = ssl_params\n", ""),
    ("            import ussl\n            self.sock = ussl.wrap_socket(self.sock, **self.ssl_params)\n",
     "            self.sock = self.ssl.wrap_socket(self.sock, server_hostname=self.server)\n"),
    ("        if self.user is not None:\n            sz", "        if self.user:\n            sz"),
    ("        if self.user is not None:\n            self._send", "        if self.user:\n            self._send"),
    ("        elif op & 6 == 4:\n            assert 0\n",
     "        elif op & 6 == 4:\n            assert 0\n        return op\n"),
)  # fmt: skip
TIMEOUT = (
    *V_1_4,
    (OLD_IMPORTS, NEW_IMPORTS),
    ("def connect(self, clean_session=True):\n        self.sock = socket.socket()\n",
     "def connect(self, clean_session=True, timeout=None):\n"
     "        self.sock = socket.socket()\n        self.sock.settimeout(timeout)\n"),
)  # fmt: skip
LEGACY_SSL = (
    *TIMEOUT,
    ("ssl=None):", "ssl=None, ssl_params={}):"),
    ("        self.ssl = ssl\n", "        self.ssl = ssl\n        self.ssl_params = ssl_params\n"),
)
V_1_7_1 = (
    *LEGACY_SSL,
    ("        self.sock = socket.socket()\n        self.sock.settimeout(timeout)\n",
     "        if self.sock is not None:\n            self.sock.close()\n"
     "        self.sock = socket.socket()\n        self.sock.settimeout(timeout)\n"),
)  # fmt: skip
V_1_8 = (
    *V_1_7_1,
    ('        struct.pack_into("!BH", pkt, 1, 2 + 2 + len(topic) + 1, self.pid)\n'
     '        #print(hex(len(pkt)), hexlify(pkt, ":"))\n        self.sock.write(pkt)\n',
     "        left, at = len(topic) + 5, 1\n"
     "        while left > 127:\n            pkt[at], left, at = left & 127 | 128, left >> 7, at + 1\n"
     "        pkt[at] = left\n        self.sock.write(bytes(pkt), at + 1)\n"
     '        struct.pack_into("!H", pkt, 2, self.pid)\n        self.sock.write(pkt[2:], 2)\n'),
)  # fmt: skip
VERSIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "1.3.4": (),
    "1.4.0 emulated": V_1_4,
    "timeout emulated": TIMEOUT,
    "legacy-ssl emulated": LEGACY_SSL,
    "1.7.1 emulated": V_1_7_1,
    "1.8.0 emulated": V_1_8,
}


def source(version: str) -> str:
    """The library's text in that version. Raises ValueError when 1.3.4 is not what the changes were made for."""
    text = (toolbox.device_libraries() / "umqtt" / "simple.py").read_text()
    for old, new in VERSIONS[version]:
        if text.count(old) != 1:
            raise ValueError(f"umqtt.simple has this {text.count(old)} times instead of once: {old!r}")
        text = text.replace(old, new)
    return text


def stock(version: str = "1.3.4") -> Any:
    """A fresh module `umqtt.simple` of that version."""
    module = ModuleType("umqtt.simple")
    exec(compile(source(version), f"umqtt.simple {version}", "exec"), module.__dict__)
    return module


@cache
def packets_on(version: str) -> Any:
    """firmware/packets.py as a module of its own over that version."""
    package = ModuleType("umqtt")
    package.__dict__["simple"] = stock(version)
    spec = importlib.util.spec_from_file_location(f"packets_on_{version}", ROOT / "firmware" / "packets.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, {"umqtt": package, "umqtt.simple": package.__dict__["simple"]}):
        spec.loader.exec_module(module)
    return module
