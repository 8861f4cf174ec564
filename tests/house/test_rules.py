"""The rules of the house: who imports whom, what keeps firmware/ free of any board, and how long a file may be."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any, Protocol

import pytest

from common.arguments import Parser
from common.sentences import Sentences
from hal import interface
from sim.virtual.board import VirtualBoard
from sim.virtual.connection import VirtualStream
from sim.virtual.flash import VirtualFlash
from sim.virtual.integrator import VirtualIntegrator
from sim.virtual.network import VirtualDatagram, VirtualLookup
from sim.virtual.peripherals import VirtualContact, VirtualLamp, VirtualRelay, VirtualScratch, VirtualWatchdog

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = {"firmware": 400, "hal": 400}  # the heap asks for it
LINES_MAX_ELSEWHERE = 600
# The rooms from the ground up: a room imports only from rooms before it.
ROOMS = (
    "common", "contract", "firmware", "hal", "tools", "desk", "field", "sim/document", "sim/spoken",
    "sim/chip", "sim/virtual", "sim/real", "sim/servers", "sim/fleet", "sim/serial_board",
    "sim/pillar", "sim/demo", "sim/bench", "sim/search", "sim",
)  # fmt: skip
# ... and these, which people use, from no others: the desk runs without the rest of the house.
ONLY: dict[str, set[str]] = {
    "common": set(),
    "contract": set(),
    "tools": {"common"},
    "desk": {"common", "contract"},
    "field": {"common", "firmware"},
}
PURE = {"json", "struct", "binascii", "hashlib", "micropython"}
CHIP = {"machine", "network", "esp32"}
BOOT = {"json", "os", "binascii", "machine"}
MAIN = {"sys", "time", "machine", "firmware", "hal"}
NOT_PURE = ("machine", "network", "esp32", "socket", "time", "os", "random", "sim", "select", "asyncio", "ssl", "hal")


def files(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py")) or list((ROOT / folder).parent.glob(f"{Path(folder).name}.py"))
    assert found, f"no files in {folder}: the rule would hold for nothing"
    return found


def imports(source: str) -> set[str]:
    """The first part of every imported name; of `typing` only what runs (a TYPE_CHECKING block does not)."""
    found: set[str] = set()
    tree = ast.parse(source)
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            skipped.update(inner for statement in node.body for inner in ast.walk(statement))
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else (node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "import_module", "exec", "eval"):
            found.add("a computed import")
    return found


def broken_firmware(source: str) -> list[str]:
    wrong = sorted(imports(source) - PURE - {"firmware", "umqtt"})
    from_micropython = [
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module == "micropython"
        for alias in node.names
        if alias.name != "const"
    ]
    return wrong + [f"micropython.{name}" for name in from_micropython]


def f_strings(source: str) -> list[int]:
    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)]


def others_private_members(source: str) -> list[str]:
    """Accesses to a private member of anything but `self`."""
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        if ast.unparse(node.value) != "self"
    ]


def asks_for_the_implementation(source: str) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr == "implementation"
        or isinstance(node, ast.ImportFrom) and any(alias.name == "implementation" for alias in node.names)
        for node in ast.walk(ast.parse(source))
    )  # fmt: skip


def missing(thing: Any, protocol: type) -> list[str]:
    """What `thing` (an object or a class) lacks of the protocol, by member names and numbers of parameters."""
    wrong = []
    for name in (*getattr(protocol, "__annotations__", {}), *(n for n in vars(protocol) if not n.startswith("_"))):
        wanted = vars(protocol).get(name)
        if not hasattr(thing, name):
            wrong.append(f"{name}: missing")
        elif inspect.isfunction(wanted):
            ours = [p for p in inspect.signature(getattr(thing, name)).parameters.values() if p.name != "self"]
            theirs = [p for p in inspect.signature(wanted).parameters.values() if p.name != "self"]
            required = [p for p in ours if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
            if not len(required) <= len(theirs) <= len(ours):
                wrong.append(f"{name}: takes {len(ours)} parameters, must take {len(theirs)}")
    return wrong


# -- a test that is skipped says so

MARK = "!!! NOT TESTED: "


def unmarked_skips(source: str) -> list[str]:
    """Reasons of skips without the mark that STRICT=1 and people look for; a text made elsewhere is need()'s."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("pytest.skip", "mark.skipif", "mark.skip")):
            texts = [*node.args[:1], *(one.value for one in node.keywords if one.arg in ("reason", "msg"))]
            reasons = [one.value for one in texts if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            found += [reason for reason in reasons if not reason.startswith(MARK)]
    return found


def test_a_skipped_test_is_loud() -> None:
    paths = (ROOT / "tests").rglob("test_*.py")
    assert {path.name: found for path in paths if (found := unmarked_skips(path.read_text("utf-8")))} == {}


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ('pytest.skip("NOT TESTED: no openssl")', ["NOT TESTED: no openssl"]),
        ('@pytest.mark.skipif(True, reason="slow")\ndef f(): pass', ["slow"]),
        ('pytest.skip("!!! NOT TESTED: no openssl")', []),
    ],
)
def test_a_quiet_skip_is_noticed(source: str, wrong: list[str]) -> None:
    assert unmarked_skips(source) == wrong


# -- who imports whom


@pytest.mark.parametrize("path", files("firmware"), ids=lambda path: path.name)
def test_firmware_imports_its_own_files_umqtt_and_what_is_pure(path: Path) -> None:
    assert broken_firmware(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        *(f"import {name}" for name in NOT_PURE),
        "from time import ticks_ms",
        "def f():\n    import time",
        "try:\n    import utime\nexcept ImportError:\n    pass",
        "from . import clock",
        "__import__('time')",
        "from micropython import schedule",
        "import typing",
    ],
)
def test_a_forbidden_import_is_noticed(source: str) -> None:
    assert broken_firmware(source)


def test_what_only_type_checkers_see_is_not_an_import() -> None:
    assert broken_firmware("TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from typing import Any\n") == []


def test_only_hal_imports_the_chip() -> None:
    for path in [*files("firmware"), *files("sim")]:
        if path.is_relative_to(ROOT / "sim" / "chip") or path.is_relative_to(ROOT / "sim" / "bench" / "device"):
            continue  # the virtual chip itself, and what the bench runs on it
        assert not imports(path.read_text()) & CHIP, path
    assert any(imports(path.read_text()) & CHIP for path in files("hal")), "the rule looks at nothing"


def test_hal_knows_nothing_of_the_firmware_or_the_simulator() -> None:
    for path in files("hal"):
        assert not imports(path.read_text()) & {"firmware", "sim", "umqtt", "asyncio"}, path


def room(path: str) -> str:
    """Of a file's path below the root; "" for none of the house's rooms."""
    return next((name for name in sorted(ROOMS, key=len, reverse=True) if re.match(rf"{name}[/.]", path)), "")


def rooms_imported(source: str) -> set[str]:
    """The rooms that a file imports from, in functions too."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return {room(name.replace(".", "/") + "/") for name in modules} - {""}


def out_of_order(name: str, imported: set[str]) -> set[str]:
    """The rooms among them that a room may not import from."""
    allowed = ONLY.get(name, set(ROOMS[: ROOMS.index(name)])) | {name}
    return imported - allowed


@pytest.mark.parametrize("name", ROOMS)
def test_imports_run_one_way(name: str) -> None:
    for path in files(name):
        where = path.relative_to(ROOT).as_posix()
        if room(where) == name:
            assert not out_of_order(name, rooms_imported(path.read_text())), where


@pytest.mark.parametrize(
    ("name", "source", "wrong"),
    [
        ("desk", "from sim.real import column", {"sim/real"}),
        ("desk", "from firmware import record", {"firmware"}),
        ("field", "def late():\n    import desk.register", {"desk"}),
        ("sim/chip", "from sim import real", {"sim/real"}),
        ("common", "from tools.toolbox import ROOT", {"tools"}),
        ("sim/search", "from sim.virtual import world\nfrom desk import ledger", set()),
    ],
)
def test_an_import_against_the_order_is_noticed(name: str, source: str, wrong: set[str]) -> None:
    assert out_of_order(name, rooms_imported(source)) == wrong


def test_the_tools_for_real_devices_leave_the_chip_to_what_runs_on_it() -> None:
    for path in files("field"):
        if not path.is_relative_to(ROOT / "field" / "device"):
            assert not imports(path.read_text()) & CHIP, path


def test_boot_imports_the_standard_library_only_and_main_composes() -> None:
    assert imports((ROOT / "boot.py").read_text()) <= BOOT
    assert imports((ROOT / "main.py").read_text()) <= MAIN
    assert not imports("import firmware") <= BOOT


# -- same code on every runtime


def test_no_option_passes_for_another() -> None:
    """argparse takes the beginning of an option for it: --ca, of `sim config`, was --card to `sim column`, and the
    certificate was called a damaged card."""
    for path in [path for room in ("common", "desk", "field", "sim", "tools") for path in files(room)]:
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "argparse.ArgumentParser":
                assert "allow_abbrev" in {each.arg for each in call.keywords}, path
    parser = Parser(Sentences("en"), "tool")
    parser.add_argument("--card")
    with pytest.raises(SystemExit):
        parser.parse_args(["--ca", "ca.pem"])


def test_no_branch_on_the_interpreter_outside_hal_and_sim() -> None:
    for path in [*files("firmware"), ROOT / "boot.py", ROOT / "main.py"]:
        assert not asks_for_the_implementation(path.read_text()), path
    assert any(asks_for_the_implementation(path.read_text()) for path in files("hal")), "the rule looks at nothing"
    assert asks_for_the_implementation("from sys import implementation")


def test_the_console_asks_for_what_is_public() -> None:
    console = (ROOT / "firmware/console").glob("*.py")
    found = {path.name: others_private_members(path.read_text("utf-8")) for path in console}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_a_look_into_something_private_is_noticed() -> None:
    assert others_private_members("self._a = other.thing._b") == ["line 1: other.thing._b"]


def test_no_f_strings_on_the_device() -> None:
    for path in [ROOT / "boot.py", ROOT / "main.py", *files("firmware"), *files("hal")]:
        assert f_strings(path.read_text()) == [], path


def test_an_f_string_is_noticed() -> None:
    assert f_strings("a = 1\nb = f'{a}'") == [2]


# -- a page changes while one looks at it


READ_ONCE = {"text_content", "inner_text", "inner_html", "input_value", "get_attribute"} | {
    "all_inner_texts", "all_text_contents"}  # fmt: skip


def reads_once(source: str) -> list[int]:
    """The lines that assert what a page shows at one instant; playwright's `expect` waits until it does."""
    calls = [(node.lineno, inner.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)
             for inner in ast.walk(node.test) if isinstance(inner, ast.Call)]  # fmt: skip
    return [line for line, called in calls if isinstance(called, ast.Attribute) and called.attr in READ_ONCE]


def test_what_a_page_shows_is_waited_for() -> None:
    of_pages = [path for path in files("tests") if "from playwright.sync_api import" in path.read_text("utf-8")]
    assert len(of_pages) > 10, "the rule looks at nothing"
    found = {path.name: reads_once(path.read_text("utf-8")) for path in of_pages}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_look_at_one_instant_is_noticed() -> None:
    assert reads_once('assert state.text_content() in ("a", "b")') == [1]
    assert reads_once('assert row.all_inner_texts()[-1:] == ["0"]') == [1]
    assert reads_once('assert "pulse" in (strip.get_attribute("class") or "")') == [1]


# -- pytest's import mode knows a test file by its bare name


def twice_named(paths: list[Path]) -> set[str]:
    names = [path.name for path in paths if path.name.startswith("test_")]
    return {name for name in names if names.count(name) > 1}


def test_every_test_file_has_a_name_of_its_own() -> None:
    assert twice_named(files("tests")) == set()
    assert twice_named([Path("a/test_ports.py"), Path("b/test_ports.py"), Path("b/rig.py")]) == {"test_ports.py"}


# -- one screen and a bit


def too_long(path: Path) -> bool:
    folder = path.relative_to(ROOT).parts[0] if path.is_relative_to(ROOT) else ""
    return len(path.read_text().splitlines()) > LINES_MAX.get(folder, LINES_MAX_ELSEWHERE)


def test_every_file_is_short(tmp_path: Path) -> None:
    for folder in (*dict.fromkeys(name.split("/")[0] for name in ROOMS), "tests"):
        for path in files(folder):
            assert not too_long(path), f"{path.relative_to(ROOT)} is too long: does it hold one idea?"
    (tmp_path / "long.py").write_text("\n" * (LINES_MAX_ELSEWHERE + 1))
    assert too_long(tmp_path / "long.py")


# -- the boards are what the interface says


def class_of(path: Path, name: str) -> Any:
    """A stand-in with the members of a class that cannot be imported here (the chip's modules are not there)."""
    tree = ast.parse(path.read_text())
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    members: dict[str, Any] = {}
    for node in ast.walk(body):
        if isinstance(node, ast.Assign):
            for one in (one for target in node.targets for one in ast.walk(target)):  # of a tuple, too
                if isinstance(one, ast.Attribute) and ast.unparse(one.value) == "self":
                    members[one.attr] = None
    for node in body.body:
        if isinstance(node, ast.Assign):
            members.update({ast.unparse(target): None for target in node.targets})
        elif isinstance(node, ast.FunctionDef):
            scope: dict[str, Any] = {}
            node.returns, node.body, node.decorator_list = None, [ast.Pass()], []
            for argument in node.args.args:
                argument.annotation = None
            exec(ast.unparse(node), scope)
            members[node.name] = scope[node.name]
    members.update({tick: vars(interface.Board)[tick] for tick in ("ticks_ms", "ticks_diff", "ticks_add")})
    return type(name, (), members)


HAL = [
    ("esp32.py", "Esp32Board", interface.Board),
    ("esp32.py", "RgbLamp", interface.Lamp),
    ("esp32.py", "Relay", interface.Relay),
    ("esp32.py", "Scratch", interface.Scratch),
    ("esp32_flash.py", "Flash", interface.Flash),
    ("esp32_contact.py", "Contact", interface.Contact),
    ("esp32_integrator.py", "Integrator", interface.Integrator),
    ("esp32_link.py", "WifiLink", interface.Link),
    ("esp32_nolink.py", "NoLink", interface.Link),
    ("esp32_ethernet.py", "EthernetLink", interface.Link),
    ("esp32_net.py", "Stream", interface.Stream),
    ("esp32_net.py", "Lookup", interface.Lookup),
    ("esp32_net.py", "Datagram", interface.Datagram),
]
WORLD = [
    (VirtualContact, interface.Contact),
    (VirtualIntegrator, interface.Integrator),
    (VirtualLamp, interface.Lamp),
    (VirtualRelay, interface.Relay),
    (VirtualScratch, interface.Scratch),
    (VirtualWatchdog, interface.Watchdog),
    (VirtualFlash, interface.Flash),
    (VirtualStream, interface.Stream),
    (VirtualLookup, interface.Lookup),
    (VirtualDatagram, interface.Datagram),
]


@pytest.mark.parametrize(("file", "name", "protocol"), HAL, ids=[name for _, name, _ in HAL])
def test_the_chips_hal_is_what_the_interface_says(file: str, name: str, protocol: type) -> None:
    assert missing(class_of(ROOT / "hal" / file, name), protocol) == []


def given_by(made: type) -> Any:
    """The class as it is after its __init__."""
    return class_of(Path(inspect.getfile(made)), made.__name__)


@pytest.mark.parametrize(("made", "protocol"), WORLD, ids=[made.__name__ for made, _ in WORLD])
def test_the_worlds_parts_are_what_the_interface_says(made: type, protocol: type) -> None:
    assert missing(given_by(made), protocol) == []


def test_every_protocol_is_held_against_both() -> None:
    protocols = {
        thing for thing in vars(interface).values() if inspect.isclass(thing) and thing.__module__ == interface.__name__
    }
    assert {protocol for _, _, protocol in HAL} == protocols - {interface.Watchdog}, "machine.WDT is the chip's own"
    assert {protocol for _, protocol in WORLD} == protocols - {interface.Board, interface.Link}, "the HAL's own link"


def test_the_worlds_board_is_what_the_interface_says() -> None:
    configured = {"contact", "lamp", "relay", "link"}  # made by `configure`, and by __init__ before
    instance_only = {"chip", "uid", "micropython", "flash", "scratch"} | configured
    wrong = [line for line in missing(VirtualBoard, interface.Board) if line.split(":")[0] not in instance_only]
    assert wrong == []
    given = {name for node in ast.walk(ast.parse(inspect.getsource(VirtualBoard))) if isinstance(node, ast.Attribute)
             and ast.unparse(node.value) == "self" for name in [node.attr]}  # fmt: skip
    assert instance_only <= given


def test_a_board_that_lacks_something_is_noticed() -> None:
    class Wanted(Protocol):
        chip: str

        def wait(self, timeout_ms: int) -> None: ...

    class Lacks:
        def wait(self) -> None: ...

    assert missing(Lacks, Wanted) == ["chip: missing", "wait: takes 0 parameters, must take 1"]


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("def is_closed(self): pass\n    def closures(self): pass", "counts: missing"),
        ("def __init__(self): self.counts = True\n    def is_closed(self): pass", "closures: missing"),
        (
            "counts = 1\n    def is_closed(self, now): pass\n    def closures(self): pass",
            "is_closed: takes 1 parameters",
        ),
    ],
)
def test_a_part_of_the_hal_that_lacks_something_is_noticed(tmp_path: Path, source: str, wrong: str) -> None:
    rest = "def integrate(self, press_ms): pass"
    (tmp_path / "part.py").write_text(f"class Part:\n    {source}\n    {rest}\n")
    (found,) = missing(class_of(tmp_path / "part.py", "Part"), interface.Contact)
    assert found.startswith(wrong)
