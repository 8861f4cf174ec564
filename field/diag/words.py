"""What a line of the check-up says, in the person's language."""

from __future__ import annotations

from field import words
from field.diag.finding import Finding, Verdict

_SAID_BY_COLUMNS = ("why", "error", "errors", "detail", "what", "cause", "culprit", "source", "mode", "kind")


class Words(words.Words):
    """Texts of one language, and what findings say in it."""

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
        values = dict(finding.values)
        values |= {name: self.said(str(values[name])) for name in _SAID_BY_COLUMNS if values.get(name) is not None}
        if finding.because:
            values["because"] = self.line(finding.because)
        if isinstance(colours := values.get("colours"), list):
            values["colours"] = ", ".join(self(f"colour.{one}") for one in colours)
        return values
