"""Flashing a virtual board over its serial port: it ends with the new firmware or the old, whatever is pulled when."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from board_probe import unhealthy
from column_probe import need

from common.assumptions import on_chip
from field import bundle, flash
from field.board import Board, BoardError
from field.documents import DocumentError
from field.words import Trouble, Words
from sim.real.flash_image import Image
from sim.serial_board import SerialBoard
from sim.servers.broker import Mosquitto
from sim.servers.centre import Centre

pytestmark = [pytest.mark.micropython, pytest.mark.mosquitto]

PATIENCE_S = 30.0
GRACE_MS = 1_500  # of a board whose cable is pulled and that nobody waits for 30 s; a slow machine takes longer else
CRAMMED_BYTES = 108 * 1024
QUICKLY_S = 0.0  # do not wait for a session
OLD, NEW = "old-name", "new-name"


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    need("micropython")
    need("mosquitto")
    with Mosquitto() as made:
        yield made


@pytest.fixture(scope="module")
def centre(broker: Mosquitto) -> Iterator[Centre]:
    with Centre(broker.host, broker.port) as made:
        yield made


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def silence(key: str, done: int, total: int, name: str) -> None:
    pass


def configuration(folder: Path, broker: Mosquitto, device_id: str) -> Path:
    document = {
        "v": 1,
        "device_id": device_id,
        "region": "nko",
        "location": {"geo": "geo:54.8753,69.1628", "address": "Петропавл", "site": "public"},
        "stream": {"rtsp": "rtsp://cameras.example/1"},
        "broker": {"host": broker.host, "port": broker.port, "insecure": True},
        "secrets": {"wifi_ssid": "sos-columns"},
    }
    file = folder / f"{device_id}.json"
    file.write_text(json.dumps(document))
    return file


class Bench:
    """A board on a cable, and what was said while it was flashed."""

    def __init__(self, folder: Path, stack: ExitStack, broker: Mosquitto, centre: Centre) -> None:
        self._folder, self._stack, self._broker, self._centre = folder, stack, broker, centre
        self.said: list[str] = []
        self._lamps: dict[SerialBoard, list[str]] = {}
        self._flashed: set[SerialBoard] = set()

    def board(self, name: str = "board", **options: Any) -> SerialBoard:
        image = self._folder / f"{name}.img"
        lamp: list[str] = []

        def see(event: dict[str, Any]) -> None:
            print(name, event)  # shown when the test fails
            if event["event"] == "lamp":
                lamp.append(event["state"])

        board = SerialBoard(flash_path=image, link=self._folder / name, on_event=see, **options)
        self._lamps[board] = lamp
        self._stack.callback(board.close)
        board.power_on()
        return board

    def flash(self, board: SerialBoard, device_id: str = NEW, **options: Any) -> str:
        config = configuration(self._folder, self._broker, device_id)
        is_again = board in self._flashed  # as another column, perhaps
        self._flashed.add(board)
        options = {"session_within_s": PATIENCE_S, "force": is_again, **options}

        def say(key: str, done: int, total: int, name: str) -> None:
            self.said.append(Words("en")(key, name=name))

        return str(flash.flash(flash.Job(board.port, config), say, **options))

    def alarm_from(self, board: SerialBoard) -> str:
        """Press once the lamp is green; the device id of the column that the centre then hears."""
        wait_for(lambda: self._lamps[board][-1:] == ["ready"], "the lamp to be green")
        before = self._centre.look(heard)
        board.press(120)

        def newest(ledger: Any) -> str | None:
            return next((name for name, count in heard(ledger).items() if count > before[name]), None)

        return self._centre.wait_for(newest, PATIENCE_S, "an alarm after the flash")


def heard(ledger: Any) -> dict[str, int]:
    """Alarms by column. A board on a copy of an image uses an incident id again, so transmissions are counted."""
    return {name: sum(incident.transmissions for incident in ledger.of(name)) for name in (OLD, NEW)}


@pytest.fixture
def bench(tmp_path: Path, stack: ExitStack, broker: Mosquitto, centre: Centre) -> Bench:
    return Bench(tmp_path, stack, broker, centre)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited for {what}"
        time.sleep(0.02)


def wait_on_duty(board: SerialBoard) -> None:
    wait_for(lambda: board.console == "main.py", "the column to run again")


# -- from an empty board to an alarm


@pytest.mark.parametrize("runtime", ["micropython", "micropython32"])
def test_an_empty_board_becomes_a_column_that_raises_alarms(bench: Bench, runtime: str) -> None:
    need(runtime)
    board = bench.board(runtime=runtime)
    verdict = bench.flash(board)
    assert "folder a is in force; armed after" in verdict and "connected to" in verdict
    assert bench.alarm_from(board) == NEW


def test_the_second_run_asks_once_and_copies_nothing(bench: Bench, tmp_path: Path) -> None:
    """Its reset is not counted among the starts that fail, of which five lead to safe mode: broken by taking
    `forget_starts` out of the agent's reset()."""
    board = bench.board()
    bench.flash(board)
    bench.said.clear()
    before = board.executions
    assert "nothing to do" in bench.flash(board)
    assert board.executions - before == 4  # is there room, the agent, one question, the reset
    assert bench.said == []
    assert unhealthy(tmp_path / "board.img") == 1, "a start that a flash cut off has not failed"
    assert bench.alarm_from(board) == NEW


def test_a_column_in_safe_mode_is_tried_anew_once_it_was_flashed(bench: Bench, tmp_path: Path) -> None:
    """`make diag` says so of one in safe mode. Broken where the agent takes back but one start."""
    board = bench.board()
    bench.flash(board)
    with Board(board.port) as cable:
        cable.run("with open('boot.rec', 'wb') as file: file.write(_framed(b'{\"n\":20000000,\"u\":9}'))\n")
    bench.flash(board)
    assert unhealthy(tmp_path / "board.img") == 1
    assert bench.alarm_from(board) == NEW


def test_a_column_in_a_crammed_heap_is_flashed_as_often_as_one_likes(bench: Bench, tmp_path: Path) -> None:
    """It restarts into service mode, for the agent finds no room beside a column. Broken by `_AGENT_KB = 0` in
    field/board.py: then the heap fails at the prompt, and each flash costs a start that counts as failed."""
    need("micropython32")
    board = bench.board(runtime="micropython32", heap_bytes=CRAMMED_BYTES)
    bench.flash(board)
    for _ in range(2):
        assert "nothing to do" in bench.flash(board)
        assert unhealthy(tmp_path / "board.img") == 1, "neither start that a flash cut off has failed"
    assert board.console == "main.py"


def test_what_a_column_has_taken_of_the_memory_is_not_missing(bench: Bench) -> None:
    """On an ESP32 without PSRAM that has the room. Broken by measuring beside the running column only: its Wi-Fi would
    be counted twice, and a good board thrown away."""
    board = bench.board(psram=False)
    assert "WARNING" not in bench.flash(board, force=False)
    assert "WARNING" not in bench.flash(board)


def test_a_change_sends_what_changed_only(bench: Bench) -> None:
    board = bench.board()
    bench.flash(board, OLD)
    bench.said.clear()
    assert "folder b is in force" in bench.flash(board, NEW)
    assert [what for what in bench.said if what.startswith("sending")] == ["sending b/config.json"]
    assert bench.alarm_from(board) == NEW


def test_another_identity_over_a_serving_column_needs_force(bench: Bench) -> None:
    board = bench.board()
    bench.flash(board, OLD)
    with pytest.raises(flash.FlashError, match=f"serves as column '{OLD}', not '{NEW}'.*FORCE=1"):
        bench.flash(board, NEW, force=False)
    assert bench.alarm_from(board) == OLD


def test_a_board_without_umqtt_gets_it(bench: Bench) -> None:
    board = bench.board(faults=["no-umqtt"])
    bench.flash(board)
    assert "sending a/umqtt/simple.mpy" in bench.said
    assert bench.alarm_from(board) == NEW


def test_several_boards_at_once(
    bench: Bench, tmp_path: Path, broker: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    boards = {name: bench.board(name) for name in (OLD, NEW)}
    assert flash.main([f"{board.port}={configuration(tmp_path, broker, name)}" for name, board in boards.items()]) == 0
    assert capsys.readouterr().out.count("connected to") == 2


@pytest.fixture
def fleet(tmp_path: Path, broker: Mosquitto) -> Path:
    """What provisioning makes: a folder for each column."""
    for name in (OLD, NEW):
        folder = tmp_path / "columns" / name
        folder.mkdir(parents=True)
        configuration(folder, broker, name).rename(folder / "config.json")
    return tmp_path / "columns"


def test_a_board_that_is_a_column_gets_its_own_configuration_of_a_fleets(bench: Bench, fleet: Path) -> None:
    """Goes red when the fleet's first column is taken, or the board's word for a path."""
    board = bench.board()
    bench.flash(board, NEW)
    document = json.loads((fleet / NEW / "config.json").read_text())
    document["incident"] = {"answer_s": 7}
    (fleet / NEW / "config.json").write_text(json.dumps(document))
    assert "folder b is in force" in str(flash.flash(flash.Job(board.port, fleet), silence))
    with Board(board.port) as cable:
        assert json.loads(cable.run("print(open('b/config.json').read())"))["incident"] == {"answer_s": 7}
    assert bench.alarm_from(board) == NEW


@pytest.mark.parametrize(
    ("carried", "left", "text"),
    [
        (None, [OLD, NEW], f'the board is no column yet; say which: make flash PORT=... CONFIG=".*/columns/{NEW}"'),
        (NEW, [OLD], f"the board is column '{NEW}', and .*/columns holds {OLD}"),
        (NEW, [], "columns holds no column"),
    ],
)
def test_a_board_that_is_no_column_of_the_fleet_stays_as_it_was(
    bench: Bench, fleet: Path, carried: str | None, left: list[str], text: str
) -> None:
    board = bench.board()
    if carried:
        bench.flash(board, carried)
    for name in {OLD, NEW} - set(left):
        (fleet / name / "config.json").unlink()
    with pytest.raises(DocumentError, match=text):
        flash.flash(flash.Job(board.port, fleet), silence)
    if carried:
        assert bench.alarm_from(board) == carried


# -- the cable


def test_the_cable_is_pulled_at_every_step_and_the_board_has_the_old_or_the_new(bench: Bench, tmp_path: Path) -> None:
    """The cable is the supply, so that each step is a power cut as well. Red when the files go straight into the folder
    in force: then some cut leaves half of each (see the control below)."""
    board = bench.board(usb_powered=True)
    bench.flash(board, OLD, session_within_s=QUICKLY_S)
    old_image = (tmp_path / "board.img").read_bytes()
    first = board.executions
    bench.flash(board, NEW, session_within_s=QUICKLY_S)
    count = board.executions - first - 1  # the last one is the reset
    board.close()
    outcomes = []
    for step in range(1, count + 2):
        (tmp_path / "cut.img").write_bytes(old_image)
        board = bench.board("cut", usb_powered=True)
        wait_on_duty(board)
        board.unplug_after(executions=step)
        with pytest.raises(BoardError) as error:
            bench.flash(board, NEW, session_within_s=QUICKLY_S, force=True)
        assert "cut" in str(error.value)
        board.plug()
        outcomes.append(bench.alarm_from(board))
        board.close()
    print(f"{count} steps, {outcomes.count(OLD)} cuts left the old firmware, {outcomes.count(NEW)} the new one")
    assert outcomes == sorted(outcomes, reverse=True)  # the old one up to a point, from there on the new one
    assert set(outcomes) == {OLD, NEW} and count > 10


def test_a_board_whose_cable_was_pulled_goes_back_on_duty_by_itself(bench: Bench) -> None:
    """With a supply of its own. Red when the agent does not leave the watchdog armed."""
    board = bench.board()
    bench.flash(board, OLD)
    board.unplug_after(executions=5)
    with pytest.raises(BoardError):
        bench.flash(board, NEW, grace_ms=GRACE_MS)
    wait_on_duty(board)
    assert bench.alarm_from(board) == OLD


def test_after_a_pulled_cable_the_next_flash_completes_it(bench: Bench) -> None:
    board = bench.board()
    bench.flash(board, OLD)
    board.unplug_after(executions=7)
    with pytest.raises(BoardError):
        bench.flash(board, NEW, grace_ms=GRACE_MS)
    board.plug()
    wait_on_duty(board)
    assert "folder b is in force" in bench.flash(board, NEW)
    assert bench.alarm_from(board) == NEW


def test_a_cable_that_is_put_back_at_once_needs_no_other_one(bench: Bench) -> None:
    """The board waits for the rest of a program then, and has a file open, which the collector closes within the answer
    to the survey. Red where a stalled flash needs memory: then a traceback stands before the answer."""
    board = bench.board(figures=on_chip("esp32"), faults=["unplugged=20000"])
    with pytest.raises(BoardError):
        bench.flash(board)
    board.plug()
    with Board(board.port) as again:
        assert any(name.startswith("a/firmware/") for name in again.survey()["files"])


def test_a_board_whose_port_goes_away_with_each_reset(bench: Bench) -> None:
    """Native USB, as on an S2 or S3: success is not reported as a failure. What the column says meanwhile is lost."""
    board = bench.board(faults=["native-usb"])
    verdict = bench.flash(board)
    assert "folder a is in force; armed after" in verdict and "connected to" in verdict
    assert bench.alarm_from(board) == NEW
    assert "nothing to do" in bench.flash(board)


def test_a_port_that_is_not_waited_for_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by taking a port that goes away for a pulled cable."""
    monkeypatch.setattr(flash, "PORT_BACK_WITHIN_S", 0.0)
    with pytest.raises(BoardError, match="went away"):
        bench.flash(bench.board(faults=["native-usb"]))


# -- what must not go in


def broken_bundle() -> bundle.Bundle:
    made = bundle.make()
    column = bundle.compiled("firmware/column.py", b"raise ValueError('a broken build')")
    return made._replace(files={**made.files, "firmware/column.mpy": column})


def test_a_firmware_that_does_not_start_gives_way_to_the_one_before(bench: Bench) -> None:
    """Red without boot.py's `_folder`: the board would restart for ever."""
    board = bench.board()
    bench.flash(board, OLD)
    with pytest.raises(flash.FlashError, match="(?s)does not start; the board goes back.*a broken build"):
        bench.flash(board, NEW, made=broken_bundle())
    assert bench.alarm_from(board) == OLD


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        (["old-micropython"], "must be 1.24 or newer"),
        (["flash-full"], "too little"),
        (["deaf"], "no MicroPython prompt"),
    ],
)
def test_a_board_that_cannot_take_it_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, faults: list[str], text: str
) -> None:
    monkeypatch.setattr("field.board.READ_TIMEOUT_S", 1.0)
    board = bench.board(faults=faults)
    with pytest.raises(Trouble, match=text):
        bench.flash(board)


def test_a_board_with_too_little_memory_is_refused_unless_forced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that is on duty already only hears it."""
    monkeypatch.setattr("field.memory.SPARE_BYTES", 64 * 1024)
    board = bench.board(psram=False)
    with pytest.raises(flash.FlashError, match=r"too small for this column: \d+ bytes would be left .* FORCE=1"):
        bench.flash(board)
    assert "folder a is in force" in bench.flash(board, force=True)
    assert "folder b is in force" in (verdict := bench.flash(board, OLD)) and "WARNING: the board's memory" in verdict
    assert bench.alarm_from(board) == OLD


def test_a_bad_configuration_is_refused_before_the_board_is_touched(
    bench: Bench, tmp_path: Path, broker: Mosquitto
) -> None:
    file = configuration(tmp_path, broker, NEW)
    file.write_text(file.read_text().replace("geo:54.8753", "geo:95"))
    board = bench.board()
    bench.flash(board, OLD)
    before = board.executions
    with pytest.raises(DocumentError, match=r"location\.geo"):
        flash.flash(flash.Job(board.port, file), silence)
    assert board.executions == before


def test_what_arrives_damaged_is_not_put_in_force(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    board = bench.board()
    bench.flash(board, OLD)
    send = Board.send

    def spoiling(self: Board, name: str, data: bytes) -> Iterator[int]:
        return send(self, name, data[:-1] + bytes([data[-1] ^ 1]) if "config" in name else data)

    monkeypatch.setattr(Board, "send", spoiling)
    with pytest.raises(flash.FlashError, match=r"b/config.json arrived damaged; the old firmware stays in force"):
        bench.flash(board, NEW)
    assert bench.alarm_from(board) == OLD


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "no such file or folder"), ("{", "line 1, column 2"), ("[]", "no configuration"), (b"\xff{}", "UTF-8")],
)
def test_a_configuration_that_is_none_is_told_without_numbers(
    content: str | bytes | None, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words, and in the language. Red when an error of the system or of json is shown as it is."""
    file = tmp_path / "config.json"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    for language in ("en", "ru", "kk"):
        assert flash.main([f"{tmp_path}/port={file}", "--lang", language]) == 1
        said = capsys.readouterr().err
        assert "Errno" not in said and "Expecting" not in said and "codec" not in said
        assert (text in said) is (language == "en" or text == "UTF-8")


def test_no_such_port(tmp_path: Path, broker: Mosquitto) -> None:
    with pytest.raises(BoardError, match="cannot be opened"):
        flash.flash(flash.Job(str(tmp_path / "nothing"), configuration(tmp_path, broker, NEW)), silence)


def test_a_simulated_image_holds_what_a_board_would_get(bench: Bench, tmp_path: Path) -> None:
    """The simulator's columns run the same files."""
    from sim.real.flash_image import firmware_files

    board = bench.board()
    bench.flash(board, session_within_s=QUICKLY_S)
    board.close()
    image = Image((tmp_path / "board.img").read_bytes())
    for name, data in firmware_files(mpy=True).items():
        if not name.startswith("lib/"):
            assert image.read(name if name in bundle.STAYS_SOURCE else f"a/{name}") == data, name
