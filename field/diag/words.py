"""What is said to people, in their language. The texts are data: words/en.json, ru.json, kk.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from field.diag.finding import Finding, Verdict

FOLDER = Path(__file__).with_name("words")
LANGUAGES = ("en", "ru", "kk")


class Words:
    """Texts of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = load(language)

    def __call__(self, key: str, **values: object) -> str:
        return self._texts[key].format(**values)

    def line(self, line: str) -> str:
        return self(f"line.{line}")

    def verdict(self, verdict: Verdict) -> str:
        return self(f"verdict.{verdict}")

    def text(self, finding: Finding) -> str:
        return self(finding.key, **self._values(finding))

    def advice(self, finding: Finding) -> tuple[str, str]:
        """(likely cause, next step); empty for what passed or was not tested."""
        if finding.verdict not in (Verdict.WARN, Verdict.FAIL):
            return "", ""
        values = self._values(finding)
        return self(f"{finding.key}.cause", **values), self(f"{finding.key}.next", **values)

    def _values(self, finding: Finding) -> dict[str, object]:
        values = {key: "-" if value is None else value for key, value in finding.values.items()}
        if finding.because:
            values["because"] = self.line(finding.because)
        if isinstance(colours := values.get("colours"), list):
            values["colours"] = ", ".join(self(f"colour.{one}") for one in colours)
        return values


@cache
def load(language: str) -> Mapping[str, str]:
    texts: dict[str, str] = json.loads((FOLDER / f"{language}.json").read_text("utf-8"))
    return texts


def choose(asked: str | None, environment: Mapping[str, str]) -> str:
    """`asked`, else what LC_ALL, LC_MESSAGES or LANG say ("ru_RU.UTF-8"), else English."""
    for text in (asked, *(environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))):
        if text:
            language = text.replace("-", "_").partition("_")[0].partition(".")[0].lower()
            return language if language in LANGUAGES else LANGUAGES[0]
    return LANGUAGES[0]
