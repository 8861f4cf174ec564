"""The parts of a virtual board that need no MicroPython: framing, the port, the line editor, names of faults."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_probe import Typist
from littlefs import LittleFSError

import sim.spoken
from sim.chip import machine, wires
from sim.chip.readline import Line
from sim.document import document
from sim.real import command as real
from sim.real.flash_image import BLOCK_BYTES, Image, configuration_files
from sim.serial_board import command
from sim.serial_board.faults import FAULTS, Faults, fill
from sim.serial_board.port import Port
from sim.serial_board.wire import Unframer

# -- what the chip's process writes


def framed(data: bytes) -> bytes:
    """As sim/chip/uart.py's `send` has it."""
    return data.replace(b"\xff", b"\xff\xff").replace(b"\n", b"\xff\n")


def test_text_gets_line_ends_and_bytes_stay_as_they_are() -> None:
    raw = bytes(range(256)) * 2 + b"\xff\xff\n\xff\x01\n"
    line, said = Unframer().feed("one\nдва\n".encode() + framed(raw) + b'\xff\x01{"pin":4}\n' + b"end")
    assert line == "one\r\nдва\r\n".encode() + raw + b"end"
    assert said[:2] == ["one", "два"] and said[-1] == '\x01{"pin":4}'


def test_a_message_within_a_line_of_text_does_not_tear_it() -> None:
    line, said = Unframer().feed(b'be\xff\x01{"pin":4}\ngun\n')
    assert line == b"begun\r\n" and said == ['\x01{"pin":4}', "begun"]


def test_pieces_of_any_size_give_the_same() -> None:
    data = (
        b"text\n" + framed(bytes(range(256)) * 3) + b'\xff\x01{"reset":"soft"}\n' + framed(b"\xff" * 5 + b"\n") + b"\n"
    )
    whole = Unframer().feed(data)
    chance = random.Random(7)
    for _ in range(50):
        unframer, line, at = Unframer(), b"", 0
        said: list[str] = []
        while at < len(data):
            step = chance.randrange(1, 9)
            more, lines = unframer.feed(data[at : at + step])
            line, said, at = line + more, said + lines, at + step
        assert (line, said) == whole


# -- the terminal


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    port = Port(tmp_path / "link")
    yield port
    port.close()


def test_bytes_pass_the_port_unchanged_both_ways(port: Port) -> None:
    everything = bytes(range(256))
    with Typist(port.path) as typist:
        assert port.has_listener()
        port.write(everything)
        assert typist.until(everything) == everything
        typist.type(everything)
        assert port.read() == everything
    assert not port.has_listener()


def test_what_nobody_listens_to_is_lost(port: Port) -> None:
    port.write(b"old news")
    with Typist(port.path) as typist:
        port.write(b"news")
        assert typist.until(b"news") == b"news"


def test_a_program_that_reads_nothing_does_not_stop_the_board(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.serial_board.port.STALL_S", 0.0)
    with Typist(port.path):
        port.write(b"x" * 500_000)
        for _ in range(100):
            port.flush()
        assert not port.is_backed_up


def test_the_cable_comes_out_and_back(port: Port, tmp_path: Path) -> None:
    with Typist(port.path) as typist:
        port.close()
        assert not port.is_open and not (tmp_path / "link").exists()
        with pytest.raises(OSError):
            typist.type(b"x")
    port.open()
    with Typist(port.path) as typist:
        port.write(b"here again")
        typist.until(b"again")


def test_a_file_in_the_links_place_stays_and_another_boards_link_too(tmp_path: Path) -> None:
    """A second board used to take the link of the first one over, and to remove it at its end. A pulled cable gives
    nothing away. Red when a port holds nothing, or only while its cable is in."""
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ValueError, match="no symbolic link"):
        Port(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "precious"
    first = Port(tmp_path / "link")
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"link: another board \(process {os.getpid()}\) has this link.*--link"):
            Port(tmp_path / "link")
        first.close()
    first.open()
    assert str(Path(first.path).readlink()) == first.name
    first.give_up()
    Port(tmp_path / "link").give_up()  # the control: it is free now
    with pytest.raises(FileNotFoundError, match=r"none/link'$"):
        Port(tmp_path / "none" / "link")


# -- the friendly prompt's line


def typed(keys: bytes) -> tuple[int, str, bytes]:
    """(what ended it, text, what was shown)"""
    left, shown = bytearray(keys), bytearray()

    def take(_: int) -> bytes:
        return bytes([left.pop(0)])

    line = Line(take, shown.extend)
    end = line.read()
    assert not left, f"not taken: {left!r}"
    return end, line.text, bytes(shown)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (b"1 + 1\r", "1 + 1"),
        (b"ab\x7fc\r", "ac"),
        (b"\x7fa\r", "a"),
        (b"a\x1b[Ab\x1b[1;5Cc\r", "abc"),
        (b"if x:\r  y\r\r", "if x:\n  y\n"),
        (b"@d\rdef f():\r pass\r\r", "@d\ndef f():\n pass\n"),
        (b"f(\r1)\r", "f(\n1)"),
        (b"x = '''\ra'\r'''\r", "x = '''\na'\n'''"),
        (b"x = '('\r", "x = '('"),
        (b"x = '\\'('\r", "x = '\\'('"),
        (b"a + \\\rb\r", "a + \\\nb"),
        (b"iffy = 1\r", "iffy = 1"),
        (b"classes(1)\r", "classes(1)"),
    ],
)
def test_a_statement_is_taken_whole(keys: bytes, text: str) -> None:
    end, found, shown = typed(keys)
    assert (end, found) == (0, text)
    assert shown.startswith(b">>> ")


def test_control_characters_end_a_line() -> None:
    for char in (1, 2, 3, 4, 5):
        assert typed(bytes([char]))[0] == char
    assert typed(b"abc\x03")[:2] == (3, "")
    assert typed(b"a\x04\x01b\r")[:2] == (0, "ab"), "in mid-line only Ctrl-C does"
    assert typed(b"if x:\r\x03")[0] == 3


# -- faults


def test_faults_have_names_and_numbers() -> None:
    faults = Faults.parse(["deaf", "unplugged=77", "garbage"])
    assert "deaf" in faults and "noise" not in faults
    assert (faults.number("unplugged"), faults.number("garbage"), faults.number("noise")) == (77, 500, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rust", "is unknown, must be one of unplugged, "),
        ("unplugged=0", "unplugged=N with a whole number from 1"),
        ("unplugged=", "unplugged=N"),
        ("deaf=3", "must be deaf alone"),
    ],
)
def test_a_wrong_fault_is_explained(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Faults.parse([text])
    assert text not in FAULTS


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--fault", "rust"], "қате: 'rust' деген ақау жоқ; барлары: unplugged, "),
        (["--wired-for", "nowhere"], "қате: nowhere: мұндай файл немесе қалта жоқ; атын тексеріңіз"),
        (["--heap", "much"], "--heap: 'much' деп жазылған, керегі байт саны"),
        (["--config", "nowhere.json"], "қате: --config: nowhere.json: мұндай файл жоқ; оны жасайтын: "),
    ],
)
def test_what_a_board_refuses_is_told_in_the_language(
    asked: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make board LANG=kk`, or a locale. Red when one of them is printed as it was raised."""
    monkeypatch.setattr(command, "exit_on", lambda *_: None)
    monkeypatch.setenv("LC_ALL", "kk_KZ.UTF-8")
    try:
        status = command.main(asked)
    except SystemExit as refused:
        status = int(str(refused.code))
    assert status == command.EXIT_USAGE and told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "warning: {image}: this board is not blank, it is sos-01; for a blank one give another LINK, or remove"),
        ("ru", "внимание: {image}: эта плата не пустая, это sos-01; если нужна пустая, укажите другой LINK или"),
        ("kk", "назар аударыңыз: {image}: бұл плата бос емес, бұл sos-01; бос плата керек болса, басқа LINK беріңіз"),
    ],
)
def test_a_flash_that_is_another_columns_is_told(
    language: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make board CONFIG=other` ran the column of before, and the refusal of `make flash` was the first word of it. Red
    without the warning; the column that was asked for, a blank flash and one that nobody can read need none."""
    monkeypatch.setattr("common.typed.TARGET", "board")
    said, path = sim.spoken.spoken(["--lang", language]).said, tmp_path / "board.img"
    image = Image()
    path.write_bytes(image.content())
    command._tell_whose(path, "sos-02", said)
    image.write("active", b"ba")  # a flash of it behind one as another column
    for folder, column in (("a", "sos-02"), ("b", "sos-01")):
        for name, data in configuration_files(document(column, "broker.example", 1883)).items():
            image.write(f"{folder}/{name}", data)
    path.write_bytes(image.content())
    command._tell_whose(path, "sos-01", said)
    assert capsys.readouterr().err == ""
    command._tell_whose(path, "sos-02", said)
    assert capsys.readouterr().err.startswith(told.format(image=path))
    path.write_bytes(bytes(BLOCK_BYTES * 8))
    command._tell_whose(path, "sos-02", said)
    assert capsys.readouterr().err == ""


def test_a_flash_is_filled_but_for_so_many_blocks(tmp_path: Path) -> None:
    path = tmp_path / "flash.img"
    path.write_bytes(Image().content())
    for free in (3, 1, 8):
        fill(path, free)
        assert Image(path.read_bytes()).free_blocks() == free
    image = Image(path.read_bytes())
    image.write("fits", bytes(4 * BLOCK_BYTES))
    with pytest.raises(LittleFSError):
        image.write("does not", bytes(9 * BLOCK_BYTES))


def test_each_image_is_a_chip_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two boards on one bench had one number, and the log of what was flashed took them for one. After a restart a
    board has its number still. Red with the same seed for all."""

    def number(flash: Path | None) -> bytes:
        monkeypatch.setitem(wires.options, "seed", command.seed_of(flash))
        return machine.unique_id()

    boards = [tmp_path / f"board-{n}.img" for n in range(8)]
    numbers = [number(board) for board in boards]
    assert len(set(numbers)) == len(boards) and numbers == [number(board) for board in boards]
    monkeypatch.chdir(tmp_path)
    assert number(Path("board-3.img")) == numbers[3], "however it is named"


def test_an_unknown_command_is_answered_with_the_boards_own_too() -> None:
    """Red where the list is a column's alone: who mistypes `unplug` would read that there is no such command."""
    said: list[str] = []
    real.run(None, ["unplugg"], lambda event, **more: said.append(more["text"]), more=command.COMMANDS)  # type: ignore[arg-type]
    assert "unplug, plug" in said[0] and "press MS" in said[0]
