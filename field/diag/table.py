"""The check-up as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console as Terminal
from rich.text import Text

from field.diag.finding import LINES, Finding, Verdict
from field.diag.interview import Column
from field.diag.words import Words

STYLES = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red", Verdict.UNTESTED: "dim"}
SCHEMA_VERSION = 1


def show(findings: list[Finding], words: Words, terminal: Terminal) -> None:
    """One line each; under what failed stands why, and what to do."""
    verdict_width = max(len(words.verdict(verdict)) for verdict in Verdict)
    name_width = max(len(words.line(one)) for one in LINES)
    for finding in findings:
        row = Text(f"{words.verdict(finding.verdict):{verdict_width}}", STYLES[finding.verdict])
        row.append(f"  {words.line(finding.line):{name_width}}  ", "default")
        below = "\n" + " " * (verdict_width + 2 + name_width + 2)  # several of a kind stand in the same column
        row.append(below.join(line.strip() for line in words.text(finding).split("\n")), "default")
        terminal.print(row, soft_wrap=True)
        for what, text in zip(("cause", "next"), words.advice(finding), strict=True):
            if text:
                indent = " " * (verdict_width + 2)
                terminal.print(Text(f"{indent}{words(f'advice.{what}')}: {text}"), soft_wrap=True)


def summary(findings: list[Finding], words: Words) -> str:
    counts = {verdict: sum(one.verdict is verdict for one in findings) for verdict in Verdict}
    return "  ".join(f"{words.verdict(verdict)}: {count}" for verdict, count in counts.items())


def document(findings: list[Finding], column: Column, words: Words, status: int, trouble: str | None) -> dict[str, Any]:
    """See docs/diagnostics.md. `trouble`: what ended the check-up early, or why the console
    would not be closed again."""
    names = _names(column)
    return {
        "v": SCHEMA_VERSION,
        "port": column.port,
        "at": column.now.isoformat(timespec="seconds"),
        "device_id": names.get("device_id"),
        "language": words.language,
        "exit": status,
        "error": trouble,
        "lines": [_entry(finding, words) for finding in findings],
    }


def _entry(finding: Finding, words: Words) -> dict[str, Any]:
    cause, step = words.advice(finding)
    return {
        "line": finding.line,
        "verdict": str(finding.verdict),
        "finding": finding.key,
        "text": words.text(finding),
        "cause": cause or None,
        "next": step or None,
        "because": finding.because or None,
        "values": finding.values,
    }


def _names(column: Column) -> dict[str, Any]:
    answer = column.answers.get("status")
    names = answer.said.get("names", {}) if answer else {}
    return names if isinstance(names, dict) else {}


def as_json(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1)
