"""What is shown on a terminal is whole on one of 40 columns and 10 lines, and is what was said, brackets too."""

import collections
import io

import pytest
from diag_answers import STATUS
from field_tools import MAINS
from rich.console import Console

from field import watch
from field.diag import table
from field.diag.finding import LINES, Finding, Verdict
from field.diag.words import Words
from field.words import LANGUAGES

WIDTH, HEIGHT = 40, 10
SHORT = 9
LOG = ["uplink: [Errno 104] ECONNRESET", "wrote [/config.json] of [red]", "a [/] b", "[link]x"]


def shown(*parts: object) -> list[str]:
    """The lines."""
    screen = io.StringIO()
    Console(file=screen, width=WIDTH, height=HEIGHT, force_terminal=True, color_system=None).print(*parts)
    return screen.getvalue().splitlines()


@pytest.mark.parametrize("language", LANGUAGES)
def test_watching_on_the_smallest_terminal_shows_what_the_column_said(language: str) -> None:
    """Red where a text of the column's is taken for rich's markup: `[/config.json]` ended `make watch` in a traceback,
    `[red]` was not to be seen."""
    words = Words(language)
    status = {**STATUS, "broker": {**STATUS["broker"], "session": False, "error": "[/x] failed"}}
    lines = shown(watch.picture("/dev/[red] 1", status, collections.deque(LOG), words))
    assert max(map(len, lines)) <= WIDTH
    seen = " ".join(" ".join(lines).split())
    assert [text for text in ("[red]", "[/x]", *LOG) if text not in seen] == []
    said = [word for row in watch.rows(status, words) for text in row for word in text.split()]
    assert [word for word in said if len(word) <= SHORT and word not in seen] == [], "longer ones are broken"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_check_up_on_the_smallest_terminal_loses_no_word(language: str) -> None:
    words = Words(language)
    screen = io.StringIO()
    terminal = Console(file=screen, width=WIDTH, height=HEIGHT, highlight=False, markup=False)
    found = [Finding(line, Verdict.UNTESTED, "locked", {}) for line in LINES]
    table.show(found, words, terminal)
    said = screen.getvalue()
    assert all(
        words.line(one) in said and words.text(finding) in said for one, finding in zip(LINES, found, strict=True)
    )


@pytest.mark.parametrize("name", MAINS)
@pytest.mark.parametrize("columns", ["40", "x"])
def test_help_on_any_terminal(
    name: str, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit) as ended:
        MAINS[name](["--help"])
    assert ended.value.code == 0 and capsys.readouterr().out
