"""The bench runs whole with tiny counts and has every row; no figure is judged."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from column_probe import need

from sim import bench
from sim.bench import flood, memory, proof, report
from sim.bench.debounce import TICKS_MS, WAYS
from sim.bench.rig import OURS, RUNTIMES, TRANSPORTS, BenchColumn, ColumnFailed, Workbench, robust_library
from sim.bench.stats import slope, spread

TOOLS = ("micropython", "micropython32", "mosquitto")
ONE_RUN_S = 300
PRESSES, ROUNDS, ALARMS = 2, 1, 10
MUCH_TOO_SMALL_BYTES = 24 * 1024
HEAP_OF_A_PROOF = 2000  # bytes: the heap is the alarm's, and every provisioned column has a key


@pytest.fixture
def tools() -> None:
    for name in TOOLS:
        need(name)


@pytest.fixture
def workbench() -> Iterator[Workbench]:
    with Workbench() as workbench:
        yield workbench


def figures(row: dict[str, Any], *names: str) -> list[float]:
    return [row[name][figure] for name in names for figure in ("median_ms", "p99_ms")]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert bench.main(["--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.micropython
@pytest.mark.mosquitto
@pytest.mark.timeout(ONE_RUN_S)
def test_latency_has_a_row_for_each_contender(tools: None, capsys: pytest.CaptureFixture[str]) -> None:
    rows = run(capsys, "--only", "latency", "--presses", str(PRESSES))["latency"]
    found = [(row["transport"], row["runtime"], row["who"]) for row in rows]
    contenders = ("bare socket", "umqtt.simple", OURS)
    assert found == [(t, r, who) for t in TRANSPORTS for r in RUNTIMES for who in contenders]
    for row in rows:
        assert all(value > 0 for value in figures(row, "puback", "subscriber"))
        assert row["puback"]["count"] == PRESSES
        assert row["floor_ratio"] > 0 and row["stock_ratio"] > 0
        if row["who"] == OURS:
            assert all(value > 0 for value in figures(row, "debounced", "journal", "publish"))
            stages = [row[name]["median_ms"] for name in ("journal", "publish", "puback")]
            assert stages == sorted(stages), "the stages follow each other"
    report.show({"latency": rows})
    assert "umqtt.simple" in capsys.readouterr().out


@pytest.mark.micropython
@pytest.mark.mosquitto
@pytest.mark.timeout(ONE_RUN_S)
def test_recovery_has_a_row_for_each_contender(tools: None, capsys: pytest.CaptureFixture[str]) -> None:
    rows = run(capsys, "--only", "recovery", "--rounds", str(ROUNDS))["recovery"]
    ours = [("micropython", transport, OURS) for transport in TRANSPORTS]
    peers = [("micropython", "plain", "umqtt.robust")] if robust_library() is not None else []
    assert [(row["runtime"], row["transport"], row["who"]) for row in rows] == peers + ours
    for row in rows:
        assert all(value > 0 for value in figures(row, "puback", "broker_up"))
        if row["who"] == OURS:
            assert row["answered"]["median_ms"] >= row["puback"]["median_ms"] - 1  # the lamp's time has whole ms
    report.show({"recovery": rows})
    assert "answered" in capsys.readouterr().out


@pytest.mark.mosquitto
@pytest.mark.timeout(ONE_RUN_S)
def test_a_flood_has_a_row(tools: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit of one column, so that it is named; of one kind, beside other work. The others go the same way."""
    monkeypatch.setattr(flood, "KINDS", flood.KINDS[:1])
    monkeypatch.setattr(flood, "BUSY", (1,))
    monkeypatch.setattr(flood, "AFTERWARDS_S", 0.1)
    rows = run(capsys, "--only", "flood", "--flood", "800", "--flood-seconds", "0.5")["flood"]
    assert [(row["kind"], row["busy"], row["named"]) for row in rows] == [(flood.KINDS[0].name, 1, True)]
    (row,) = rows
    assert 0 < row["wait"]["median_ms"] <= row["worst_ms"] and row["afterwards_worst_ms"] > 0
    assert row["desk_ms_per_1000"] > 0 and row["per_second"] > 0
    report.show({"flood": rows})
    assert "ms for 1,000" in capsys.readouterr().out


@pytest.mark.micropython
@pytest.mark.mosquitto
@pytest.mark.timeout(ONE_RUN_S)
def test_memory_is_weighed(tools: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "STEP_BYTES", 64 * 1024)
    monkeypatch.setattr(memory, "BOARDS", memory.BOARDS[:1] + memory.BOARDS[-1:])
    found = run(capsys, "--only", "memory", "--alarms", str(ALARMS), "--chip-alarms", "3")["memory"]
    # A press gives back what a look or an answer had loaded, so the one may be below the other.
    assert found["idle_bytes"] > 0 and found["highest_bytes"] > 0
    assert found["probe_bytes"] > 0 and len(found["chips"]) == 2 and found["in_place"]["areas"] == 1
    assert found["alarms"] == ALARMS and found["live_by_alarms"][-1][0] == ALARMS
    assert found["smallest_heap_bytes"] is not None, "it runs in some heap"
    assert found["smallest_heap_bytes"] > MUCH_TOO_SMALL_BYTES and found["ms_per_alarm"] > 0
    report.show({"memory": found})
    assert "inside --heap 102k" in capsys.readouterr().out


@pytest.mark.micropython
@pytest.mark.mosquitto
def test_a_heap_that_is_too_small_is_found_out(tools: None, workbench: Workbench) -> None:
    with workbench.broker(memory.TRANSPORT) as broker:
        assert not memory._works(workbench.config(broker.port, memory.TRANSPORT), MUCH_TOO_SMALL_BYTES)


@pytest.mark.micropython
def test_sizes_and_pace_of_virtual_time(tools: None, capsys: pytest.CaptureFixture[str]) -> None:
    """No time at all is enough for a figure. Broken by asking the clock first: on a loaded machine the time was over
    before the first alarm."""
    found = run(capsys, "--only", "sizes", "virtual_time", "--seconds", "0")
    assert {"boot.py", "main.py", "firmware/column.mpy", "hal/esp32.mpy", "lib/umqtt/simple.mpy"} <= set(found["sizes"])
    assert sum(size > 0 for size in found["sizes"].values()) == len(found["sizes"])
    resting, alarming = found["virtual_time"]
    assert resting["per_second"] > 1 and resting["alarms"] == 0
    assert alarming["per_second"] > 1 and alarming["alarms"] > 0
    report.show(found)
    assert "all .mpy" in capsys.readouterr().out


def test_the_debouncers_have_a_row_for_each_way(tools: None, capsys: pytest.CaptureFixture[str]) -> None:
    rows = run(capsys, "--only", "debounce", "--contacts", "60")["debounce"]
    found = [(row["way"], row["tick_ms"], row["stalls"]) for row in rows]
    assert found == [(way, tick, stalls) for way in WAYS for tick in TICKS_MS for stalls in (False, True)]
    assert all(row["contacts"] == 60 and row["decided"]["count"] > 0 for row in rows)
    assert all((row["missed"], row["false"], row["doubled"]) == (0, 0, 0) for row in rows if row["way"] == "counter")
    report.show({"debounce": rows})
    assert "poll only" in capsys.readouterr().out


def test_a_column_that_says_nothing_is_an_error_with_its_last_words(workbench: Workbench) -> None:
    with (
        BenchColumn(b"{broken", "cpython") as column,
        pytest.raises(ColumnFailed, match=r"(?s)no lamp 'ready'.*config.json"),
    ):
        column.lamp("ready", timeout_s=3)


@pytest.mark.micropython
def test_what_a_proof_costs(tools: None) -> None:
    found = proof.measure(rounds=20)
    report.show({"proof": found})
    assert 0 < found["code_bytes"] < HEAP_OF_A_PROOF and 0 < found["kept_bytes"] < HEAP_OF_A_PROOF
    assert found["passing_bytes"] < HEAP_OF_A_PROOF and found["seal_us"] and found["check_us"]


def test_spread_and_slope() -> None:
    found = spread([n * 1000 for n in range(1, 201)])
    assert (found.count, found.median_ms, found.p99_ms) == (200, 100.5, 198)
    assert spread([3000, 1000, 2000]).p99_ms == 3, "of few values the highest"
    assert slope([(0, 100), (1000, 100), (2000, 100)]) == 0
    assert slope([(0, 100), (1000, 108), (2000, 116)]) == pytest.approx(0.008)
    assert slope([(0, 100)]) == 0


def test_unusable_counts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--presses", "0"])
    assert "must be a number from 1 on" in capsys.readouterr().err
