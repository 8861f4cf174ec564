"""The tools of tests and simulations, got without root: MicroPython, brokers, Chromium, camera, intercom, libraries.

Each is looked for on PATH first, then fetched into the git-ignored folder .tools (device libraries: into
lib) once; after that no network is needed. `python -m tools.toolbox [NAME ...]` fetches and checks all, or
those named, and prints a table; what nothing works without is told on standard error.
"""

import argparse
import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from common.arguments import Parser, add_language, lists
from common.home import INSTALLED, LIB, LOCK, TOOLS
from common.ports import free_port
from common.sentences import Sentences, any_letters
from tools import chromium, debian, gstreamer
from tools.spoken import spoken

STRICT = os.environ.get("STRICT", "") not in ("", "0")
"""True when a missing runtime or broker is a failure instead of a loudly printed skip."""

OLDEST_MICROPYTHON = (1, 24)
# The pinned packages. MicroPython's version decides the .mpy format; mosquitto may take security updates.
MICROPYTHON_VERSION = "1.25.0+ds-1*"
MOSQUITTO_VERSION = "2.0.*"
NEWEST_MOSQUITTO_VERSION = "2.1.*"  # what cities will have after their next upgrade
ERLANG = tuple(f"erlang-{part}" for part in (
    "base", "asn1", "crypto", "eldap", "inets", "mnesia", "os-mon", "parsetools", "public-key", "runtime-tools", "ssl",
    "syntax-tools", "tools", "xmerl"))  # fmt: skip
NGINX_VERSION = "1.*"
BARESIP_VERSION = "1.*"
KAMAILIO_VERSION = "*"
NEWEST_SUITE = "sid"
# Names the interpreter to take, whatever is on PATH.
CHOSEN = {64: "MICROPYTHON", 32: "MICROPYTHON32"}
# Word size, version, and what it lacks of what a simulated chip needs: `ffi` for shared memory and its exit, ...
PROBE = """
import sys
lacks = []
for name in ("vfs", "tls", "ffi", "uctypes", "select", "socket", "asyncio"):
    try:
        module = __import__(name)
        if name == "vfs" and not hasattr(module, "VfsLfs2"):
            lacks.append("vfs.VfsLfs2")
    except ImportError:
        lacks.append(name)
print(64 if sys.maxsize >> 32 else 32, *(list(sys.implementation[1][:3]) + lacks))
"""
GSTREAMER_PROBE = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert Gst.ElementFactory.find("x264enc")
print(*Gst.version()[:3], sep=".")
"""
MORE_PATH = ":/usr/sbin:/usr/local/sbin"
PROBE_TIMEOUT_S = 20
START_TIMEOUT_S = 10
PIP_ARCHIVE = Path(__file__).with_name("pip_archive.py")
DOWNLOAD_TIMEOUT_S = 180
DOWNLOAD_ERROR_TAIL = 800


EXIT_USAGE = 2
EXIT_MISSING_TOOL = 3
PROG = "python -m tools.toolbox"


class ToolMissing(RuntimeError):
    """A tool is neither here nor to be had; the message says why and how to get it by hand."""


def missing(error: ToolMissing | str, said: Callable[[str], str] = str) -> int:
    """Say on standard error that a command cannot run without a tool; its exit status. `said` turns a text into the
    person's language."""
    how = "by themselves, at their first use" if INSTALLED else "by: make tools"
    print(said(f"error: {error}\nAll tools are fetched, without root, {how}"), file=sys.stderr)
    return EXIT_MISSING_TOOL


def require(name: str) -> list[str]:
    """The argv prefix of the tool `name`, one of TOOL_NAMES. Raises ToolMissing."""
    with _locked():
        try:
            return _FINDERS[name]()
        except debian.DebianError as error:
            raise ToolMissing(f"{name}: {error}. By hand: {_BY_HAND[name]}") from error


@functools.cache
def find(name: str) -> list[str] | None:
    """Like `require`, but a missing tool is None and a loud message, once a process."""
    try:
        return require(name)
    except ToolMissing as error:
        print(f"!!! MISSING {error}", file=sys.stderr, flush=True)
        return None


def at_hand(name: str) -> bool:
    """Whether the tool (one of Debian's packages) is here already, so that it need not be fetched."""
    path = os.environ.get("PATH", os.defpath) + MORE_PATH
    return shutil.which(name, path=path) is not None or any(TOOLS.glob(f"debian/{name}-*"))


def micropython(bits: int = 64) -> list[str] | None:
    """The argv prefix of a MicroPython (>= 1.24, with LittleFS and tls) of 64 or 32 bits, or None."""
    if bits not in (64, 32):
        raise ValueError(f"bits is {bits}; MicroPython comes in 64 and 32")
    return find("micropython" if bits == 64 else "micropython32")


def device_libraries() -> Path:
    """The folder that looks like /lib on the device, with umqtt.simple in it. Raises ToolMissing."""
    return Path(require("umqtt")[0])


def fetch_libraries(lib: Path, lock: Path) -> list[str]:
    """Unpack into `lib` what `lock` names and is not there yet. Raises ToolMissing.

    The caller keeps others out.
    """
    lib.mkdir(parents=True, exist_ok=True)
    for entry in json.loads(lock.read_text()):
        if not all((lib / name).is_file() for name in entry["files"]):
            with tempfile.TemporaryDirectory(dir=lib, prefix=".fetch-") as scratch:
                archive = Path(scratch, "archive")
                _download(entry["name"], entry["version"], archive)
                _unpack_library(entry, archive, lib, lock)
    return [str(lib)]


def _unpack_library(entry: dict[str, str], archive: Path, lib: Path, lock: Path) -> None:
    """Take the entry's files out of the archive, if its hash is the locked one. Raises ToolMissing."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    label = f"{entry['name']} {entry['version']}"
    if digest != entry["sha256"]:
        raise ToolMissing(f"{label}: the archive's sha256 is {digest}, {lock} has {entry['sha256']}. "
                          "Refused; ask whoever runs your package index what it serves")  # fmt: skip
    with tarfile.open(archive) as tar:
        for name in entry["files"]:
            member = tar.extractfile(f"{entry['name']}-{entry['version']}/{name}")
            if member is None:
                raise ToolMissing(f"{label}: its archive has no file {name}")
            part = archive.parent / "part"
            part.write_bytes(member.read())
            (lib / name).parent.mkdir(parents=True, exist_ok=True)
            part.replace(lib / name)


def _download(name: str, version: str, archive: Path) -> None:
    """Fetch the source archive as pip would. Raises ToolMissing."""
    try:
        done = _output([sys.executable, "-I", str(PIP_ARCHIVE), name, version, str(archive)], DOWNLOAD_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise ToolMissing(f"{name} {version} did not come within {DOWNLOAD_TIMEOUT_S} s: is the network up?") from None
    if done.returncode:
        unreached = re.findall(r"^Could not fetch .*", done.stdout, re.MULTILINE)
        why = "\n".join([*unreached, done.stderr.strip()[-DOWNLOAD_ERROR_TAIL:]])
        raise ToolMissing(f"{name} {version} is not to be had by pip's settings (see: pip config list).\n{why}")


class Interpreter(NamedTuple):
    """What a MicroPython says of itself."""

    bits: int
    version: tuple[int, ...]
    lacks: tuple[str, ...]

    def unfit(self, bits: int) -> str | None:
        """Why no simulated chip of that word size can run on it, or None."""
        if self.bits != bits:
            return f"it has {self.bits} bits, not {bits}"
        if self.version < OLDEST_MICROPYTHON:
            return f"it is {_dotted(self.version)}, must be {_dotted(OLDEST_MICROPYTHON)} or newer"
        if self.lacks:
            return f"it was built without {', '.join(self.lacks)}, which the simulated chip needs"
        return None


def _micropython(bits: int) -> list[str]:
    chosen = os.environ.get(CHOSEN[bits])
    if chosen:
        why = _unfit([chosen], bits)
        if why is not None:
            raise ToolMissing(f"{CHOSEN[bits]}={chosen} cannot be used: {why}")
        return [chosen]
    on_path = shutil.which("micropython")
    why = _unfit([on_path], bits) if on_path else None
    if on_path and why is None:
        return [on_path]
    try:
        return _debians_micropython(bits, MICROPYTHON_VERSION, debian.SUITE)
    except debian.DebianError as error:
        if on_path is None:
            raise
        raise debian.DebianError(f"{on_path} cannot be used ({why}), and {error}") from error


def _newest_micropython(bits: int) -> list[str]:
    """Of Debian's newest suite: what becomes of the firmware on the next images can be seen on it today."""
    return _debians_micropython(bits, "*", NEWEST_SUITE, beside="-newest")


def _debians_micropython(bits: int, version: str, suite: str, beside: str = "") -> list[str]:
    architecture = debian.architecture(bits)
    root = debian.unpack("micropython", version, architecture, TOOLS, suite=suite, beside=beside)
    argv = debian.command(root, "usr/bin/micropython")
    why = _unfit(argv, bits)
    if why is not None:
        raise debian.DebianError(f"the package unpacked in {root} cannot be used: {why}")
    return argv


def _unfit(argv: list[str], bits: int) -> str | None:
    found = _probe(argv)
    return "it does not run here" if found is None else found.unfit(bits)


def _probe(argv: list[str]) -> Interpreter | None:
    """None when it does not run, or is no MicroPython."""
    try:
        done = _output([*argv, "-c", PROBE])
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.fullmatch(r"(\d+) (\d+) (\d+) (\d+)((?: [\w.]+)*)\s*", done.stdout) if done.returncode == 0 else None
    if found is None:
        return None
    bits, *version = map(int, found.groups()[:4])
    return Interpreter(bits, tuple(version), tuple(found[5].split()))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _output(argv: list[str], timeout_s: int = PROBE_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s,
                          stdin=subprocess.DEVNULL, check=False)  # fmt: skip


def _mosquitto(program: str) -> list[str]:
    path = os.environ.get("PATH", os.defpath) + MORE_PATH
    if system := shutil.which(Path(program).name, path=path):
        return [system]
    root = debian.unpack("mosquitto", MOSQUITTO_VERSION, debian.architecture(64), TOOLS)
    return debian.command(root, program)


def _newest_mosquitto() -> list[str]:
    arch = debian.architecture(64)
    root = debian.unpack("mosquitto", NEWEST_MOSQUITTO_VERSION, arch, TOOLS, suite=NEWEST_SUITE, beside="-newest")
    return debian.command(root, "usr/sbin/mosquitto")


def _rabbitmq() -> list[str]:
    """[its folder]. The runtime starts programs of its own, which run on this machine's loader: so from its suite."""
    suite, arch = debian.own_suite(), debian.architecture(64)
    return [str(debian.unpack("rabbitmq-server", "*", arch, TOOLS, suite=suite, also=ERLANG))]


def _nginx() -> list[str]:
    path = os.environ.get("PATH", os.defpath) + MORE_PATH
    if system := shutil.which("nginx", path=path):
        return [system]
    root = debian.unpack("nginx", NGINX_VERSION, debian.architecture(64), TOOLS)
    return debian.command(root, "usr/sbin/nginx")


def _baresip() -> list[str]:
    """The SIP user agent; its modules are beside it."""
    root = debian.unpack("baresip-core", BARESIP_VERSION, debian.architecture(64), TOOLS)
    return debian.command(root, "usr/bin/baresip")


def _kamailio() -> list[str]:
    """The telephone exchange; its modules are beside it."""
    path = os.environ.get("PATH", os.defpath) + MORE_PATH
    if system := shutil.which("kamailio", path=path):
        return [system]
    root = debian.unpack("kamailio", KAMAILIO_VERSION, debian.architecture(64), TOOLS, without=("libpython",))
    loader, option, libraries, program = debian.command(root, "usr/sbin/kamailio")
    return [loader, option, f"{libraries}:{kamailio_modules([program]).parent}", program]


def _pkcs11_tool() -> list[str]:
    """OpenSC's; SoftHSM, which stands for a token, lies beside it."""
    path = os.environ.get("PATH", os.defpath) + MORE_PATH
    system = shutil.which("pkcs11-tool", path=path)
    if system and softhsm([system]).is_file():
        return [system]
    arch = debian.architecture(64)
    root = debian.unpack("opensc", "*", arch, TOOLS, more=("libsofthsm2",), also=("opensc-pkcs11",))
    return debian.command(root, "usr/bin/pkcs11-tool")


def softhsm(argv: Sequence[str]) -> Path:
    """The library that makes that program's token."""
    return next(iter(sorted(Path(argv[-1]).parents[1].glob("lib/**/libsofthsm2.so"))), Path("libsofthsm2.so"))


def kamailio_modules(argv: Sequence[str]) -> Path:
    """Where that program's modules are; its own libraries are one folder up."""
    return next(iter(sorted(Path(argv[-1]).parents[1].glob("lib/*-linux-*/kamailio/modules"))), Path("modules"))


_FINDERS: dict[str, Callable[[], list[str]]] = {
    "umqtt": lambda: fetch_libraries(LIB, LOCK),
    "micropython": lambda: _micropython(64),
    "micropython32": lambda: _micropython(32),
    "micropython-newest": lambda: _newest_micropython(64),
    "micropython32-newest": lambda: _newest_micropython(32),
    "mosquitto": lambda: _mosquitto("usr/sbin/mosquitto"),
    "mosquitto_passwd": lambda: _mosquitto("usr/bin/mosquitto_passwd"),
    "mosquitto-newest": _newest_mosquitto,
    "rabbitmq": _rabbitmq,
    "nginx": _nginx,
    "chromium": lambda: [chromium.find(TOOLS)],
    "gstreamer": lambda: gstreamer.find(TOOLS),
    "baresip": _baresip,
    "kamailio": _kamailio,
    "pkcs11-tool": _pkcs11_tool,
}
TOOL_NAMES = tuple(_FINDERS)
WHAT = {
    "umqtt": "the MQTT library of boards, into lib/",
    "micropython": "MicroPython for this computer, 64 bits: virtual boards run on it",
    "micropython32": "... 32 bits, as a board has",
    "micropython-newest": "... Debian's newest, 64 bits",
    "micropython32-newest": "... Debian's newest, 32 bits",
    "mosquitto": "the MQTT broker, 2.0",
    "mosquitto_passwd": "its program for passwords",
    "mosquitto-newest": "the MQTT broker, 2.1",
    "rabbitmq": "another MQTT broker, for tests",
    "nginx": "the web server that stands before the desk",
    "chromium": "a browser without a window, for tests",
    "gstreamer": "a camera's streams",
    "baresip": "an intercom",
    "kamailio": "a telephone exchange, for tests",
    "pkcs11-tool": "a token that keeps a signing key, for tests",
}
RUN = ("mosquitto", "mosquitto_passwd", "nginx", "micropython", "micropython32")
"""Those that are worth a command of one's own: they lie deep in .tools, with a loader and libraries beside them."""
_BY_HAND = {
    "umqtt": "unpack micropython-umqtt.simple into lib/ (see lib/README.md)",
    "micropython": "put a 64-bit micropython >= 1.24 (unix port) on PATH",
    "micropython32": "put a 32-bit micropython >= 1.24 (unix port) on PATH",
    "micropython-newest": "there is no other way than Debian's package",
    "micropython32-newest": "there is no other way than Debian's package",
    "mosquitto": "install mosquitto 2 so that it is on PATH",
    "mosquitto_passwd": "install mosquitto 2 so that mosquitto_passwd is on PATH",
    "mosquitto-newest": "there is none on PATH: the tests of the provisioned files go without",
    "rabbitmq": "there is none by hand: its tests go without",
    "nginx": "install nginx so that it is on PATH",
    "chromium": "install chromium or chromium-headless-shell so that it is on PATH",
    "gstreamer": "there is no other way than Debian's packages",
    "baresip": "there is no other way than Debian's packages",
    "kamailio": "install kamailio so that it is on PATH",
    "pkcs11-tool": "install opensc and softhsm2 so that pkcs11-tool is on PATH",
}


@contextmanager
def _locked() -> Iterator[None]:
    """One process at a time finds or unpacks."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check(name: str) -> str:
    """Run the tool and say its version (mosquitto: once it accepted a connection). Raises ToolMissing."""
    argv = require(name)
    if name == "umqtt":
        entries = json.loads(LOCK.read_text())
        return ", ".join(f"{entry['name']} {entry['version']}" for entry in entries)
    if name.startswith("micropython") and (interpreter := _probe(argv)) is not None:
        return f"{_dotted(interpreter.version)}, {interpreter.bits} bits"
    if name == "chromium":
        return chromium.version(argv[0]) or "runs"
    if name == "gstreamer":
        return _check_gstreamer(argv)
    if name == "rabbitmq":
        return next(Path(argv[0]).glob("usr/lib/rabbitmq/lib/rabbitmq_server-*")).name.rpartition("-")[2]
    if name in ("mosquitto", "mosquitto-newest"):
        _check_accepts(argv)
    done = _output([*argv, "-v" if name == "nginx" else "--help"])
    known = r"version:? (?:nginx/|kamailio )?(\S+)|^baresip v(\S+)|^mosquitto_passwd is a tool|^Usage: pkcs11-tool"
    found = re.search(known, done.stdout + done.stderr)
    if found is None:
        raise ToolMissing(f"{name}: {argv} does not run: {done.stderr.strip()}. By hand: {_BY_HAND[name]}")
    return found.group(1) or found.group(2) or "runs"


def _check_gstreamer(argv: list[str]) -> str:
    """Its version, once it has its RTSP server and an encoder. Raises ToolMissing."""
    done = _output([*argv, "-c", GSTREAMER_PROBE])
    if done.returncode:
        raise ToolMissing(f"gstreamer: {argv[-1]} does not run: {done.stderr.strip()[-DOWNLOAD_ERROR_TAIL:]}")
    return done.stdout.strip()


def _check_accepts(argv: list[str]) -> None:
    """Start the broker on a free port and connect to it. Raises ToolMissing."""
    port = free_port()
    broker = subprocess.Popen([*argv, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and broker.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise ToolMissing(f"mosquitto: {argv} did not accept a connection within {START_TIMEOUT_S} s. "
                          f"By hand: {_BY_HAND['mosquitto']}")  # fmt: skip
    finally:
        broker.kill()
        broker.wait()


def main(argv: list[str]) -> int:
    """Fetch and check the named tools (default: all); print a table. With `run` in front: become the one that is named,
    with all that follows.

    Returns 1 when a device library is missing, or under STRICT anything; 2 for an unknown name.
    """
    any_letters()
    if argv[:1] == ["run"] and argv[1:2] not in ([], ["-h"], ["--help"]):
        return _run(argv[1:], spoken([]))
    sentences = spoken(argv)
    parser = _parser(sentences)
    if argv[:1] == ["run"]:  # which one?
        parser.print_help(sys.stdout if argv[1:] else sys.stderr)
        return 0 if argv[1:] else EXIT_USAGE
    said, names = sentences.said, parser.parse_args(argv).names
    if unknown := sorted(set(names) - set(TOOL_NAMES)):
        print(said(f"error: no tool {', '.join(unknown)}; there are {', '.join(TOOL_NAMES)}"), file=sys.stderr)
        return EXIT_USAGE
    failed = False
    for name in names or TOOL_NAMES:
        started = time.monotonic()
        try:
            print(f"{name:17} {said(check(name)):36} {time.monotonic() - started:5.1f} s", flush=True)
        except (ToolMissing, OSError) as error:
            needed = STRICT or name == "umqtt"
            told = f"{name:17} {said('MISSING')}: {said(str(error))}"
            print(told, file=sys.stderr if needed else sys.stdout, flush=True)
            failed |= needed
    return int(failed)


def _run(argv: list[str], sentences: Sentences) -> int:
    """Returns only when that cannot be: 2."""
    name = argv[0]
    try:
        if name not in RUN:
            raise ToolMissing(f"no tool {name}; there are {', '.join(RUN)}")
        command = [*require(name), *argv[1:]]
        os.execv(command[0], command)
    except (ToolMissing, OSError) as error:
        print(sentences.said(f"error: {error}"), file=sys.stderr)
    return EXIT_USAGE


def _parser(sentences: Sentences) -> Parser:
    description = "fetches tools, without root, and checks that they run; what is here already is not fetched again."
    layout = argparse.RawDescriptionHelpFormatter
    parser = Parser(sentences, PROG, description, formatter_class=layout)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all); see below")
    add_language(parser)
    typed = f".venv/bin/{PROG}"  # the machine's own Python has none of the packages
    ways = {
        typed: "fetch and check all",
        f"{typed} nginx chromium": "... these",
        f"{typed} run mosquitto -p 1883": "become one of them: all that follows its name is its own",
    }
    run = {name: WHAT[name] for name in RUN}
    others = {name: text for name, text in WHAT.items() if name not in RUN}
    tables = {"what can be typed:": ways, "names that can be run:": run, "all other names:": others}
    parser.epilog = lists(tables, sentences.said)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
