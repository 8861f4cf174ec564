"""What `contract/evidence.py` prints: explained on a page, and with its reason, in three languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from contract import evidence as tool
from desk import recordings

TOOL = Path(tool.__file__)


def unexplained(page: str, at: int) -> list[str]:
    """What the tool says in a language and the page has in no first cell of a table (nor, of what is a part of a line,
    in its second one)."""
    cells = re.findall(r"\*([^*|]+)\*", "\n".join(line for line in page.splitlines() if line.startswith("| ")))
    texts = {key: each[at] for key, each in tool.SAID.items()}
    patterns = {text: re.escape(text).replace(r"\{\}", r"[^\s:]+") for text in texts.values()}
    return [
        text for text in texts.values() if not any(re.search(rf"(^|\W){patterns[text]}($|\W)", one) for one in cells)
    ]


# Of the page's words: what is no kind, and what tells two of one kind apart.
PAGE_ONLY = {"title", "unrecorded", "press-again"} | {f"readback-{how}" for how in ("right", "wrong")}
PAGE_ONLY |= {f"exercise-{why}" for why in ("real", "missed")}
PAGE_ONLY |= {f"{what}-{of}" for what in ("opened", "shut") for of in ("camera", "recording", "playback")}
ARGUMENT = r"(?:[^,()]|\(\))+"
CALLED = r"(?:(?:entries|links)\.append\(\(|put_(?:entry|link)\()"
WRITTEN = re.compile(rf"{CALLED}{ARGUMENT},{ARGUMENT}, (f?\"[\w{{}}-]+\"|[A-Z_]+),")


def links_kinds() -> set[str]:
    """The page's words for each kind of event, and what the desk's source enters besides."""
    words = json.loads((TOOL.parents[1] / "desk/web/static/i18n/en.json").read_text("utf-8"))
    worded = {key.partition(".")[2] for key in words if key.startswith("entry.")} - PAGE_ONLY
    source = "".join(path.read_text("utf-8") for path in sorted((TOOL.parents[1] / "desk").glob("*.py")))
    names = dict(re.findall(r'^([A-Z_]+) = "([\w-]+)"', source, re.M))
    names |= {"HELD": recordings.HELD, "RELEASED": recordings.RELEASED, "DELETED": recordings.DELETED}
    written = {names.get(one, one.strip('"')) for one in WRITTEN.findall(source) if not one.startswith("f")}
    assert {"alarm", "answer", "note", "nobody-here", "recorded", "held"} <= written, written
    return worded | written


@pytest.mark.parametrize(("at", "page"), [*enumerate(("docs", "docs/ru", "docs/kk"))])
def test_all_that_the_tool_says_is_explained(at: int, page: str) -> None:
    """Whoever gets a file and a verdict looks it up. Red when the tool says something that the page's table lacks, or
    says otherwise; and for a kind of link that no row names (`nobody-here` was none), or a row that no link has."""
    text = (TOOL.parents[1] / page / "evidence.md").read_text("utf-8")
    assert unexplained(text, at) == []
    assert unexplained(text.replace(tool.SAID["whole"][at], "intact"), at) == [tool.SAID["whole"][at]]
    rows = re.findall(r"^\| (`.*?) \|", text, re.M)
    assert set(re.findall(r"`([\w-]+)`", "".join(rows))) == links_kinds()


def test_what_cannot_be_read_is_told_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the language of whoever has only this file; `--help` and a command without a file too. Red without a reason,
    or where a missing file's name is taken for one."""
    assert tool.main([str(tmp_path / "nix.json"), "--lang", "ru"]) == 2
    assert capsys.readouterr().err.endswith("nix.json: не читается: такого файла нет\n")
    assert tool.main([str(tmp_path), "--lang", "kk"]) == 2
    assert capsys.readouterr().err.endswith(": оқылмайды: бұл қалта\n")
    for words, status in ((["--help", "--lang", "ru"], 0), (["--lang", "ru"], 2)):
        assert tool.main(words) == status
        said = capsys.readouterr()
        assert (said.out if status == 0 else said.err) == f"{tool.USAGE}\n\n{tool.SAID['help'][1]}\n"
        assert (said.err if status == 0 else said.out) == ""
