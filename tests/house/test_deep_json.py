"""JSON of a hundred thousand brackets is bad JSON, and no traceback, wherever a program of the house reads what
somebody else has written: a piece of evidence, a release, a board on a cable."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from common.release import MAGIC, ReleaseError, header
from contract import evidence
from desk.rollout.offer import Renewals
from field.board import Board, BoardError
from field.console import PREFIX, _parsed
from field.documents import DocumentError, read_document
from field.keeping import KeepError, read_secrets

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("common", "contract", "desk", "field")
DEEP = "[" * 100_000
READS = ("json.loads", "json.load")


def tries(source: str) -> list[ast.Try]:
    """Those in which JSON is read, and bad JSON is caught."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Try)]
    return [node for node in found if caught(node) & {"ValueError", "JSONDecodeError"} and does_read(node)]


def does_read(node: ast.Try) -> bool:
    inside = [one for statement in node.body for one in ast.walk(statement) if isinstance(one, ast.Call)]
    return any(ast.unparse(one.func) in READS for one in inside)


def caught(node: ast.Try) -> set[str]:
    types = [handler.type for handler in node.handlers if handler.type is not None]
    return {name.rpartition(".")[2] for one in types for name in ast.unparse(one).strip("()").split(", ")}


def test_whoever_catches_bad_json_catches_deep_json() -> None:
    """Python says RecursionError of it, which is no ValueError. What runs on a board is another Python's."""
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "device" not in path.parts]
    found = {str(path.relative_to(ROOT)): tries(path.read_text("utf-8")) for path in paths}
    assert sum(map(len, found.values())) > 20, "the source is not understood any more"
    wrong = {name for name, nodes in found.items() if any("RecursionError" not in caught(node) for node in nodes)}
    assert wrong == set()


def test_one_that_forgets_it_is_noticed() -> None:
    (node,) = tries("try:\n    a = json.loads(b)\nexcept (OSError, ValueError):\n    pass\n")
    assert caught(node) == {"OSError", "ValueError"}


def test_what_others_have_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red where the handler has ValueError alone: the auditor, or a technician at a column, sees a traceback."""
    with pytest.raises(RecursionError):
        json.loads(DEEP)
    file = tmp_path / "config.json"
    file.write_text(DEEP)
    file.chmod(0o600)
    assert evidence.main([str(file), "--lang", "ru"]) == 2
    assert str(file) in capsys.readouterr().err
    refusals: list[tuple[type[Exception], Any]] = [
        (DocumentError, lambda: read_document(file)),
        (KeepError, lambda: read_secrets(file)),
        (ReleaseError, lambda: Renewals(file)),
        (ReleaseError, lambda: header(MAGIC + f"{DEEP}\n".encode())),
    ]
    for error, read in refusals:
        with pytest.raises(error):
            read()
    board = Board.__new__(Board)
    board.port = "/dev/x"
    monkeypatch.setattr(Board, "run", lambda self, code: DEEP)
    with pytest.raises(BoardError, match="garbled"):
        board.survey()
    assert _parsed(PREFIX + DEEP.encode()) is None
