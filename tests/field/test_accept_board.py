"""`make accept` on virtual boards: one as the model is agrees in every line; one that differs in a figure, in that."""

import json
import re
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from board_probe import unhealthy
from chip_net_rig import Echo
from column_probe import need
from config_document import document
from rich.console import Console as Terminal

from common import assumptions
from field.accept import command
from field.accept.bench import Bench
from field.accept.command import Card
from field.accept.measures import MEASURES, NEAR, Wish
from field.accept.verdict import Verdict
from field.board import Board, BoardError
from field.words import LANGUAGES, Words, load
from firmware.startup.pins import CHIPS
from sim.real.flash_image import Image
from sim.serial_board import SerialBoard
from sim.servers.authority import Authority

pytestmark = [pytest.mark.micropython]

BRIEFLY = Wish(edges_s=0.5)
ANOTHER_MODULE = {"psram_bytes"}
OF_A_SESSION = {"wifi_join_bytes": 10_900, "tcp_socket_bytes": 3_900, "tls_session_bytes": 24_000,
                "tls_handshake_bytes": 11_000}  # fmt: skip
OF_A_LEAD = {"wake_us", "counter_filter_us"}
NEED_MORE = {"tls_ms", "tls_fits", *OF_A_SESSION} | OF_A_LEAD | ANOTHER_MODULE  # a server, a lead between two pins
OF_THE_COUNTER = {"counter_pulls_up", "integrator_ms", "pulse_hz"}  # the C3 has none


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    need("micropython")
    with ExitStack() as made:
        yield made


def board(
    stack: ExitStack,
    folder: Path,
    changed: dict[str, float] | None = None,
    config: Any = None,
    chip: str = "esp32",
    faults: Sequence[str] = (),
    psram: bool = False,
) -> SerialBoard:
    """On; as the model is, but for what is changed."""
    figures = assumptions.on_chip(chip) | (changed or {})
    made = SerialBoard(
        config,
        link=folder / "board",
        chip=chip,
        figures=figures,
        flash_path=folder / "flash.img",
        faults=faults,
        psram=psram,
    )
    stack.callback(made.close)
    made.power_on()
    return made


def differing(card: Card) -> dict[str, Verdict]:
    return {line.figure.name: line.verdict for line in card.lines() if line.verdict is not Verdict.AGREES}


@pytest.mark.parametrize("chip", CHIPS)
def test_a_board_as_the_model_is_agrees_in_every_line(stack: ExitStack, tmp_path: Path, chip: str) -> None:
    card = command.take(board(stack, tmp_path, chip=chip).port, BRIEFLY)
    cannot = NEED_MORE | (OF_THE_COUNTER if chip == "esp32c3" else set())
    unmeasured = {name for name in assumptions.load() if name not in NEAR}
    wanted = dict.fromkeys(cannot | unmeasured, Verdict.UNMEASURED)
    assert differing(card) == wanted, card.measured
    assert card.status() == 0


# Figures that have nothing to do with each other share a board: each card takes ten seconds.
DEVIATING: list[tuple[dict[str, float], dict[str, Verdict]]] = [
    (
        {"tick_ms": 5, "idf_boot_other_bytes": 26_624},
        {"tick_ms": Verdict.WITHIN, "idf_boot_other_bytes": Verdict.WITHIN},
    ),
    ({"tick_ms": 25, "stuck_pin": 13}, {"tick_ms": Verdict.OUTSIDE, "lamp_pins": Verdict.OUTSIDE}),
    ({"sleep_floor_ms": 20, "pulls": 1}, {"sleep_floor_ms": Verdict.OUTSIDE, "pulls": Verdict.OUTSIDE}),
    ({"timer_late_ms": 20, "pulse": 0}, {"timer_late_ms": Verdict.OUTSIDE, "integrator_ms": Verdict.OUTSIDE}),
    ({"rename_ms": 80}, {"rename_ms": Verdict.OUTSIDE}),
    ({"program_us": 2200}, {"program_us": Verdict.WITHIN}),
    ({"drift_ppm": 20_000}, {"drift_ppm": Verdict.OUTSIDE}),
    (
        {"pulse_hz": 940, "erase_us": 80_000, "adc_low_mv": 900, "rtc_bytes": 512, "cause_hard": 5},
        {"pulse_hz": Verdict.OUTSIDE, "erase_us": Verdict.WITHIN, "adc_low_mv": Verdict.OUTSIDE,
         "rtc_bytes": Verdict.OUTSIDE, "cause_hard": Verdict.OUTSIDE},
    ),
    (
        {"counter_pulls_up": 0, "fs_bytes": 917_504, "adc_high_mv": 1800, "rtc_kept_soft": 0, "cause_watchdog": 2},
        {"counter_pulls_up": Verdict.WITHIN, "fs_bytes": Verdict.OUTSIDE, "adc_high_mv": Verdict.OUTSIDE,
         "rtc_kept_soft": Verdict.OUTSIDE, "cause_watchdog": Verdict.OUTSIDE},
    ),
    (
        {"wifi_init_bytes": 40_000, "rtc_kept_hard": 0, "watchdog_2s_ms": 4000},
        {"wifi_init_bytes": Verdict.OUTSIDE, "rtc_kept_hard": Verdict.OUTSIDE, "watchdog_2s_ms": Verdict.OUTSIDE},
    ),
    (
        {"idf_boot_largest_bytes": 80_000, "rtc_kept_watchdog": 0},
        {"idf_boot_largest_bytes": Verdict.OUTSIDE, "rtc_kept_watchdog": Verdict.OUTSIDE},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "wanted"), DEVIATING, ids=["+".join(changed) for changed, _ in DEVIATING])
def test_a_board_that_differs_is_told_in_exactly_those_lines(
    stack: ExitStack, tmp_path: Path, changed: dict[str, float], wanted: dict[str, Verdict]
) -> None:
    card = command.take(board(stack, tmp_path, changed).port, BRIEFLY)
    found = {name: verdict for name, verdict in differing(card).items() if verdict is not Verdict.UNMEASURED}
    assert found == wanted, card.measured
    assert card.status() == command.EXIT_DIFFERS


def test_a_laptop_that_was_busy_counts_a_bite_again(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when one count that is too long is believed."""
    starve, counted = Bench.starve, list[float]()

    def busy(bench: Bench) -> float:
        counted.append(starve(bench) + (1500 if not counted else 0))
        return counted[-1]

    monkeypatch.setattr(Bench, "starve", busy)
    (measure,) = (measure for measure in MEASURES if "watchdog_2s_ms" in measure.near)
    with Board(board(stack, tmp_path).port) as cable, Bench(cable) as bench:
        found = measure.take(bench, BRIEFLY)
    assert found["watchdog_2s_ms"] == min(counted) and len(counted) == 2


def test_a_module_with_psram_tells_how_much(stack: ExitStack, tmp_path: Path) -> None:
    card = command.take(board(stack, tmp_path, chip="esp32s3", psram=True).port, BRIEFLY)
    assert card.measured["psram_bytes"] == assumptions.load()["psram_bytes"].on("esp32s3")
    assert card.measured.get("idf_boot_largest_bytes") is None and card.status() == 0


def test_an_open_button_that_moves_by_itself_is_told(stack: ExitStack, tmp_path: Path) -> None:
    one = board(stack, tmp_path)
    one.wave([(at_ms * 1000, at_ms // 50 % 2) for at_ms in range(50, 12_000, 50)])
    found = differing(command.take(one.port, Wish(edges_s=3)))
    (name,) = (name for name, verdict in found.items() if verdict == verdict.OUTSIDE)
    assert name == "false_edges"


def test_a_board_whose_port_goes_away_with_each_reset_agrees(stack: ExitStack, tmp_path: Path) -> None:
    one = board(stack, tmp_path, faults=["native-usb"])
    found = differing(command.take(one.port, BRIEFLY))
    assert {name for name, verdict in found.items() if verdict is not Verdict.UNMEASURED} == set()


def test_nothing_stays_behind_on_a_column(stack: ExitStack, tmp_path: Path) -> None:
    """The files, the RTC's memory and the count of starts that did not become healthy; then it is on duty again.
    Broken by leaving out the bench's clean(), or the agent's forget_starts()."""
    plain = document(broker__tls=None, broker__insecure=True, broker__host="127.0.0.1", broker__port=1)
    one = board(stack, tmp_path, config=json.dumps(plain).encode())
    wait_for(one, "main.py")
    time.sleep(1)  # of its work
    before = unhealthy(tmp_path / "flash.img")
    command.take(one.port, BRIEFLY)
    wait_for(one, "main.py")
    image = Image((tmp_path / "flash.img").read_bytes())
    assert not [name for name in ("accept.tmp", "service.req") if image.read(name) is not None]
    assert unhealthy(tmp_path / "flash.img") == before  # the last one counts


def wait_for(one: SerialBoard, console: str) -> None:
    deadline_s = time.monotonic() + 20
    while one.console != console:
        assert time.monotonic() < deadline_s, one.console
        time.sleep(0.02)


NO_ROOM = {"tls_handshake_bytes": 50_000}


@pytest.mark.parametrize(
    ("changed", "told"),
    [({}, set()), ({"tls_ms": 2800}, {"tls_ms"}), (OF_A_SESSION, set(OF_A_SESSION)), (NO_ROOM, {"tls_fits"})],
    ids=["as the model", "time", "heap", "no room"],
)
def test_a_session_is_measured_where_a_server_is_given(
    stack: ExitStack, tmp_path: Path, changed: dict[str, float], told: set[str]
) -> None:
    """Its time, and what Wi-Fi, connection, session and handshake take of ESP-IDF's heap."""
    server = Authority(tmp_path / "pki").server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.cert, server.key)
    echo = stack.enter_context(closing(Echo(context)))
    wish = Wish(edges_s=0.5, server=("127.0.0.1", echo.port), wifi=("sos-columns", ""))
    card = command.take(board(stack, tmp_path, changed).port, wish)
    found = differing(card)
    assert {name for name, verdict in found.items() if verdict is not Verdict.UNMEASURED} == told, card.measured
    for name in OF_A_SESSION:
        wanted = changed.get(name, assumptions.load()[name].value)
        assert card.measured[name] == wanted or changed == NO_ROOM and card.measured[name] is None, name


LEAD = {"lead_from": 18, "lead_to": 23}
WITH_LEAD = Wish(edges_s=0.5, jumper=(18, 23))


@pytest.mark.alone  # it times edges, to 2 ms
@pytest.mark.parametrize(
    ("changed", "told"),
    [({}, set()), ({"wake_us": 9000}, {"wake_us"}), ({"counter_filter_us": 0}, {"counter_filter_us"})],
    ids=["as the model", "edges wake nobody", "no filter"],
)
def test_a_lead_between_two_pins_shows_what_takes_an_edge(
    stack: ExitStack, tmp_path: Path, changed: dict[str, float], told: set[str]
) -> None:
    card = command.take(board(stack, tmp_path, {**LEAD, **changed}).port, WITH_LEAD)
    found = differing(card)
    assert {name for name, verdict in found.items() if verdict is not Verdict.UNMEASURED} == told, card.measured
    assert all(card.measured[name] is not None for name in OF_A_LEAD)


@pytest.mark.parametrize(
    ("lead", "jumper", "key"),
    [
        ({}, (18, 23), "accept.jumper.none"),
        ({"lead_from": 23, "lead_to": 18}, (18, 23), "accept.jumper.none"),
        (LEAD, (18, 32), "accept.jumper.pins"),
        (LEAD, (34, 23), "accept.jumper.pins"),
        (LEAD, (18, 18), "accept.jumper.pins"),
    ],
    ids=["no lead", "the other way round", "the button's pin", "an input", "one pin"],
)
def test_a_lead_that_is_none_is_said_and_nothing_is_measured(
    stack: ExitStack, tmp_path: Path, lead: dict[str, float], jumper: tuple[int, int], key: str
) -> None:
    """Red without `Bench.led`: a lead that is missing would pass for a chip whose interrupts wake nobody."""
    bench = stack.enter_context(Bench(stack.enter_context(Board(board(stack, tmp_path, lead).port))))
    with pytest.raises(BoardError) as raised:
        bench.led(*jumper)
    assert raised.value.key == key


# -- the card


def test_a_card_is_what_the_simulator_runs_with(
    stack: ExitStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slow board's card; a second board with it shows the same figures again."""
    one = board(stack, tmp_path, {"erase_us": 90_000, "adc_high_mv": 2250})
    assert command.main([one.port, "--json", "--seconds", "1"]) == command.EXIT_DIFFERS
    card = tmp_path / "card.json"
    card.write_text(capsys.readouterr().out)
    one.close()
    figures = assumptions.on_chip("esp32", card)
    assert figures["adc_high_mv"] == 2250 and abs(figures["erase_us"] - 90_000) < 20_000
    assert figures["tls_ms"] == assumptions.load()["tls_ms"].value  # was not measured
    (tmp_path / "again").mkdir()
    again = board(stack, tmp_path / "again", figures)
    with Board(again.port) as cable, Bench(cable) as bench:
        assert bench.ask("adc(32, True)") == 2250


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no card of a board"),
        ("[]", "no card of a board"),
        ('{"v": 1, "chip": "esp32c3", "figures": {}}', "of an esp32c3, must be 1 and esp32"),
        ('{"v": 2, "chip": "esp32", "figures": {}}', "a card of version 2"),
        ('{"v": 1, "chip": "esp32", "figures": {"gravity": 9}}', "gravity: 9: must be a number, of a figure in"),
        ('{"v": 1, "chip": "esp32", "figures": {"tick_ms": "10"}}', "tick_ms: '10': must be a number"),
    ],
)
def test_what_is_no_card_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(assumptions.AssumptionError, match=words):
        assumptions.on_chip("esp32", tmp_path / "card.json")


# -- texts: tests/field/test_words.py holds the languages against each other


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_and_verdict_has_its_words(language: str) -> None:
    keys = {f"accept.{kind}.{name}" for name in NEAR for kind in ("figure", "outside")}
    keys |= {f"accept.verdict.{verdict}" for verdict in Verdict}
    assert sorted(keys - set(load(language))) == []


def test_a_technician_reads_no_names_of_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """Red when the table has a row for what nothing here measures, which has a name for programs alone."""
    bench: Any = SimpleNamespace(board=SimpleNamespace(port="/dev/x"), chip="esp32", machine="x", version="1.25.0")
    command.show(Card(bench, assumptions.load()), Words("ru"), Terminal(width=200))
    out = capsys.readouterr().out
    assert "такт ожидания" in out and "не измеряются: " in out
    assert re.findall(r"\b[a-z]+_[a-z_]+\b", out) == []


def test_every_measure_belongs_to_a_figure() -> None:
    known = set(assumptions.load())
    assert {name for measure in MEASURES for name in measure.near} <= known
