"""MicroPython's prompts on a virtual board, byte for byte as a terminal program meets them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from board_probe import Bench, Typist, bench
from column_probe import need

from sim.real.flash_image import Image

pytestmark = pytest.mark.micropython
RAW = b"raw REPL; CTRL-B to exit\r\n>"
BOOT = "import machine\nprint('boot ran', machine.reset_cause() == machine.SOFT_RESET)\n"
MAIN = "import time\nkept = 'from main'\nprint('main ran')\nwhile True:\n    time.sleep_ms(10)\n"


@pytest.fixture
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A board with a main.py that never ends."""
    need("micropython")
    image = Image()
    image.write("boot.py", BOOT.encode())
    image.write("main.py", MAIN.encode())
    path = tmp_path / "flash.img"
    path.write_bytes(image.content())
    with bench(tmp_path, flash_path=path) as desk:
        desk.console("main.py")
        yield desk


@pytest.fixture
def typist(desk: Bench) -> Iterator[Typist]:
    with Typist(desk.board.port) as typist:
        yield typist


def friendly(typist: Typist) -> None:
    typist.talk(b"\r\x03", b">>> ")
    typist.talk(b"\x02", b'Type "help()" for more information.\r\n>>> ')


def test_ctrl_c_ends_main_and_its_names_stay(typist: Typist) -> None:
    shown = typist.talk(b"\x03", b">>> ").removeprefix(b"main ran\r\n")  # printed before the port was opened, or behind
    assert shown.startswith(
        b'Traceback (most recent call last):\r\n  File "main.py", line 5, in <module>\r\nKeyboardInterrupt:'
    )
    assert b"\r\nMicroPython v" in shown
    assert typist.talk(b"kept\r", b"\r\n>>> ") == b"kept\r\n'from main'\r\n>>> "


def test_the_friendly_prompt_shows_values_and_takes_blocks(typist: Typist) -> None:
    friendly(typist)
    assert typist.talk(b"6 * 7\r", b"\r\n>>> ") == b"6 * 7\r\n42\r\n>>> "
    shown = typist.talk(b"for i in range(2):\r  i\r\r", b"1\r\n>>> ")
    assert shown == b"for i in range(2):\r\n...   i\r\n... \r\n0\r\n1\r\n>>> "
    shown = typist.talk(b"\x05a = 'pa'\rb = 'sted'\r\x04a + b\r", b"'\r\n>>> ")
    assert b"\r\npaste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== a = 'pa'\r\n=== b = 'sted'\r\n=== " in shown
    assert shown.endswith(b"'pasted'\r\n>>> ")
    typist.talk(b"while True: pass\r\r", b"... \r\n")
    assert b"KeyboardInterrupt" in typist.talk(b"\x03", b">>> "), "it touches no hardware"


def test_raw_mode_answers_as_the_protocol_has_it(typist: Typist) -> None:
    friendly(typist)
    assert typist.talk(b"\x01", RAW).endswith(b"\r\n" + RAW)
    assert typist.talk(b"print(1)\n\x04", b"\x04>") == b"OK1\r\n\x04\x04>"
    assert typist.talk(b"rubbish\x03print(2)\x04", b"\x04>") == b"OK2\r\n\x04\x04>"
    failed = typist.talk(b"1/0\x04", b"\x04>")
    assert failed.startswith(b"OK\x04Traceback (most") and failed.endswith(
        b"\r\nZeroDivisionError: divide by zero\r\n\x04>"
    )
    assert typist.talk(b"\x05B\x01", b">") == b"R\x00>", "an unknown extension is refused"
    assert typist.talk(b"x\x01", RAW) == RAW, "Ctrl-A starts afresh"
    typist.talk(b"import sys; sys.stdout.buffer.write(bytes(range(256)))\x04", bytes(range(256)))
    typist.talk(b"\x02", b">>> ")


def test_raw_paste_has_a_window(typist: Typist) -> None:
    friendly(typist)
    typist.talk(b"\x01", RAW)
    assert typist.talk(b"\x05A\x01", b"\x80\x00\x01") == b"R\x01\x80\x00\x01", "128 bytes, twice"
    typist.type(b"print('pasted')" + b" " * 113)
    assert typist.until(b"\x01") == b"\x01", "128 bytes have been taken: 128 more"
    assert typist.talk(b"\x04", b"\x04>") == b"\x04pasted\r\n\x04\x04>"
    typist.talk(b"\x05A\x01", b"\x80\x00\x01")
    cancelled = typist.talk(b"print('never')\x03\r\x01", RAW)
    assert b"KeyboardInterrupt" in cancelled and b"never" not in cancelled


def test_a_soft_reset_runs_boot_and_main_from_the_friendly_prompt_only(typist: Typist) -> None:
    friendly(typist)
    typist.talk(b"forgotten = 1\r", b">>> ")
    again = typist.talk(b"\x04", b"main ran\r\n")
    assert again == b"\r\nMPY: soft reboot\r\nboot ran True\r\nmain ran\r\n"
    friendly(typist)
    assert b"NameError" in typist.talk(b"forgotten\r", b"NameError")
    friendly(typist)
    typist.talk(b"\x01", RAW)
    assert typist.talk(b"\x04", RAW) == b"OK\r\nMPY: soft reboot\r\nboot ran True\r\n" + RAW, "mpremote counts on it"
    typist.talk(b"import sys; sys.exit()\x04", b"MPY: soft reboot\r\n")
    typist.until(RAW)


def test_what_is_typed_during_a_soft_reset_is_not_lost(typist: Typist) -> None:
    friendly(typist)
    typist.talk(b"\x01", RAW)
    assert typist.talk(b"\x04print('typed ahead')\x04", b"\x04>").endswith(RAW + b"OKtyped ahead\r\n\x04\x04>")


def test_a_hard_reset_starts_as_the_chip_does(typist: Typist) -> None:
    friendly(typist)
    shown = typist.talk(b"import machine; machine.reset()\r", b"main ran\r\n")
    assert (
        b"\r\nets " in shown
        and b"rst:0xc (SW_CPU_RESET)" in shown
        and shown.endswith(b"boot ran False\r\nmain ran\r\n")
    )


def test_standard_input_is_the_line(typist: Typist) -> None:
    friendly(typist)
    typist.talk(b"\x01", RAW)
    code = b"import sys, select\np = select.poll(); p.register(sys.stdin, select.POLLIN)\n"
    code += b"print(len(p.poll(50)))\nprint(repr(sys.stdin.readline()), len(p.poll(50)), repr(sys.stdin.read(2)))\n"
    typist.type(code + b"\x04")
    typist.until(b"OK0\r\n")
    assert typist.talk(b"some text\rab", b"\x04>") == b"'some text\\n' 1 'ab'\r\n\x04\x04>"


def test_the_32_bit_board_is_the_same(tmp_path: Path) -> None:
    need("micropython32")
    with bench(tmp_path, runtime="micropython32", heap_bytes=100 * 1024) as desk:
        assert int(desk.does("exec", "import gc, sys; gc.collect(); print(gc.mem_free())")) > 80 * 1024
