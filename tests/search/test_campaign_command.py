"""`python -m sim campaign`: exit statuses, what it prints, Ctrl-C, and parts that fail."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sim.search import command, report
from sim.search.apart import PartFailed
from sim.search.findings import Control, Findings, Violation
from sim.search.progress import Progress
from sim.search.storms import search
from tools.toolbox import ToolMissing

ROOT = Path(__file__).resolve().parents[2]
KEPT = "Every promise was kept."

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def parts(monkeypatch: Patch) -> dict[str, Any]:
    """What each part finds or raises, put into it by the test; no processes, no storms."""
    names = ("year", "power_cuts", "updates", "renewals", "lying", "storms")
    found: dict[str, Any] = {name: Findings(name) for name in names}

    def result(part: str) -> Findings:
        if isinstance(found[part], Exception):
            raise found[part]
        return found[part]

    monkeypatch.setattr(command, "_module", lambda part: search if part == "storms" else SimpleNamespace(CONTROLS={}))
    monkeypatch.setattr(command, "run_apart", lambda name, *_: result(name.split(".")[2]))
    monkeypatch.setattr(search, "run", lambda *_: result("storms"))
    return found


def campaign(*arguments: str) -> int:
    return command.main(["--seed", "1", "--budget", "0.1", *arguments])


def test_nothing_wrong_is_0(parts: dict[str, Any], capsys: Capture) -> None:
    assert campaign() == 0
    text = capsys.readouterr().out
    assert text.startswith("seed 1, 0.1 minutes, ") and text.rstrip().endswith(KEPT)
    assert "relay-before-journal" in text, "the controls are part of the report"


def test_a_violation_is_1_with_its_replay(parts: dict[str, Any], capsys: Capture) -> None:
    parts["year"].violations.append(Violation("I7 bitten", "replay --this"))
    assert campaign() == 1
    text = capsys.readouterr().out
    assert "I7 bitten\n  replay --this" in text and "1 violation(s)." in text


def test_a_kind_that_never_fired_is_1(parts: dict[str, Any], capsys: Capture) -> None:
    parts["storms"].kinds, parts["storms"].fired = frozenset({"emi", "flood"}), Counter(emi=3)
    assert campaign() == 1
    assert "faults that never fired: flood." in capsys.readouterr().out


def test_a_part_that_raises_is_1_and_the_others_are_reported(parts: dict[str, Any], capsys: Capture) -> None:
    parts["year"], parts["storms"] = PartFailed("status 7"), ArithmeticError("no end")
    assert campaign() == 1
    text = capsys.readouterr().out
    assert "year did not come to its end: status 7" in text and "ArithmeticError: no end" in text
    assert "parts without a result: " in text and KEPT not in text


def test_a_missing_tool_is_3(parts: dict[str, Any], capsys: Capture) -> None:
    parts["power_cuts"] = ToolMissing("micropython: not there")
    assert campaign() == 3
    assert "make tools" in capsys.readouterr().err


def test_a_control_is_red_when_it_is_caught(parts: dict[str, Any], capsys: Capture) -> None:
    assert campaign("--control", "lazy-journal") == 0
    assert "lazy-journal was NOT caught: exit status 0" in capsys.readouterr().out
    parts["storms"].violations.append(Violation("I1", "x"))
    assert campaign("--control", "lazy-journal") == 1
    assert "lazy-journal was caught, as it has to be: exit status 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--parts", "storms moon"], "no part 'moon'; the parts are: storms, "),
        (["--control", "moonlight"], "no control 'moonlight'; the controls are: lamp-before-journal, "),
        (["--replay", "moon:17"], "no part 'moon'"),
        (["--replay", "storms:no/such/file.storm"], "No such file"),
    ],
)
def test_what_is_not_there_is_2(arguments: list[str], why: str, capsys: Capture) -> None:
    assert campaign(*arguments) == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("budget", ["0", "-1", "soon"])
def test_a_budget_that_is_none_is_refused(budget: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["--budget", budget])
    assert caught.value.code == 2 and "must be minutes above 0" in capsys.readouterr().err


def test_the_document_has_what_the_tables_have(parts: dict[str, Any], tmp_path: Path) -> None:
    parts["storms"] = Findings("storms", 7, 1.5, 2.5, ("I1",), Counter(I1=9), fired=Counter(emi=3))
    assert campaign("--json", str(tmp_path / "new" / "report.json")) == 0
    document = json.loads((tmp_path / "new" / "report.json").read_text())
    part = document["parts"]["storms"]
    assert (part["runs"], part["simulated_s"], part["fired"], part["checks"]) == (7, 1.5, {"emi": 3}, {"I1": 9})
    assert document["seed"] == 1 and document["verdict"] == KEPT
    assert document["controls"]["storms"]["lazy-journal"]["caught_by"] == "I1"


@pytest.mark.parametrize(("cores", "expected"), [(1, [12, 12, 15, 20, 24]), (2, [12, 24, 24, 30, 30])])
def test_more_parts_than_cores_share_the_budget(
    monkeypatch: Patch, parts: dict[str, Any], cores: int, expected: list[float]
) -> None:
    shares: list[float] = []

    def run_apart(_name: str, budget_s: float, *_: object) -> Findings:
        shares.append(budget_s)
        return Findings("x")

    monkeypatch.setattr(command, "run_apart", run_apart)
    monkeypatch.setattr(command, "all_cores", lambda: cores)
    command.main(["--seed", "1", "--budget", "1"])
    assert sorted(shares) == pytest.approx(expected, abs=2)  # the power cuts leave half to the storms


def test_ctrl_c_ends_it_with_the_report_so_far() -> None:
    arguments = [sys.executable, "-m", "sim", "campaign", "--parts", "storms", "--seed", "1"]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("seed 1, 15 minutes, ")
        time.sleep(6)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        text, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted: the report so far." in text and "storms in virtual time" in text


def test_a_storm_is_replayed_by_its_number() -> None:
    arguments = [sys.executable, "-m", "sim", "campaign", "--replay", "storms:4:heal"]
    run = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0 and "every promise was kept" in run.stdout, run.stdout
    broken = subprocess.run([*arguments, "--control", "relay-before-journal"], cwd=ROOT, stdout=subprocess.PIPE)
    assert broken.returncode == 1 and b"I1 (seed 4" in broken.stdout


# -- progress and report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_written_again_and_again(monkeypatch: Patch) -> None:
    monkeypatch.setattr("sim.search.progress.TERMINAL_EVERY_S", 0.0)
    with Progress(900, stream := Terminal()) as progress:
        progress.say("storms", "12 storms")
        progress.say("year", "day 3")
    assert "\n" not in stream.getvalue() and stream.getvalue().endswith("\r\x1b[K")
    assert "0:00 of 15:00  storms: 12 storms | year: day 3" in stream.getvalue()


def test_elsewhere_there_are_lines_and_not_many(monkeypatch: Patch) -> None:
    with Progress(900, stream := io.StringIO()) as progress:
        progress.say("storms", "12 storms")
        assert stream.getvalue() == ""
        monkeypatch.setattr(progress, "_every_s", 0.0)
        progress.say("storms", "13 storms")
    assert stream.getvalue() == "0:00 of 15:00  storms: 13 storms\n"


def test_a_year_reads_as_years() -> None:
    assert [report._duration(days * 86_400) for days in (0.01, 3, 400)] == ["864 s", "3.0 days", "1.10 years"]


def test_the_controls_of_all_parts_have_different_names() -> None:
    names = [name for controls in command._controls().values() for name in controls]
    assert len(names) == len(set(names)) > 0
    assert all(isinstance(one, Control) for controls in command._controls().values() for one in controls.values())


def test_every_part_that_there_is_can_be_asked_for() -> None:
    """Red when a part falls out of PARTS: its own tests call it, so nothing else notices."""
    folder = Path(command.__file__).parent
    assert set(command.PARTS) == {found.parent.name for found in folder.glob("*/search.py")}
