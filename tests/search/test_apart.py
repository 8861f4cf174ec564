"""Parts of the campaign in processes of their own: what they find, how they fail, how they are stopped."""

import time
from pathlib import Path

import pytest

from sim.search.apart import PartFailed, run_apart
from sim.search.findings import Findings
from tools.toolbox import ToolMissing


def perform(control: str | None, stop_after_s: float = 60.0) -> tuple[Findings, list[str]]:
    said: list[str] = []
    until_s = time.monotonic() + stop_after_s
    return run_apart("campaign_fakes", 3.0, 4, control, said.append, lambda: time.monotonic() > until_s), said


def test_findings_and_progress_come_back() -> None:
    findings, said = perform(None)
    assert findings.runs == 4 and said == ["None for 3 s", ""]


def test_what_a_part_raises_comes_back_as_text() -> None:
    with pytest.raises(PartFailed, match=r"(?s)Traceback.*ArithmeticError: the year has no end"):
        perform("raises")


def test_a_missing_tool_stays_one() -> None:
    with pytest.raises(ToolMissing, match="micropython: not there"):
        perform("tool-missing")


def test_a_process_that_dies_is_noticed() -> None:
    with pytest.raises(PartFailed, match="status 7"):
        perform("dies")


def test_a_part_that_is_stopped_cleans_up(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    with pytest.raises(PartFailed, match="stopped"):
        perform(f"sleeps:{witness}", stop_after_s=4.0)
    assert witness.read_text() == "cleaned up"
